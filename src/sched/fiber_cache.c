/* Warm fibers: per-worker caches over shared pools. Batches go to and fro, so that the pool's lock
   is taken once for many fibers. */
#include "sched/fiber_cache.h"

#include "sched/fiber.h"

enum { CACHE_MAX = 128, BATCH = 64 };

static struct skua__fiber *next_of(const struct skua__fiber *fiber)
{
    struct skua__runnable *next = fiber->runnable.next;
    return next != NULL ? SKUA_CONTAINER(next, struct skua__fiber, runnable) : NULL;
}

static void push(struct skua__fiber **first, struct skua__fiber *fiber)
{
    fiber->runnable.next = *first != NULL ? &(*first)->runnable : NULL;
    *first = fiber;
}

static struct skua__fiber *pop(struct skua__fiber **first)
{
    struct skua__fiber *fiber = *first;
    *first = next_of(fiber);
    return fiber;
}

static void refill(struct skua__fiber_cache *cache, struct skua__fiber_pool *pool)
{
    skua__lock(&pool->lock, SKUA__RANK_MEM);
    while (cache->count < BATCH && pool->first != NULL) {
        push(&cache->first, pop(&pool->first));
        cache->count++;
        pool->count--;
    }
    pool->count_min = pool->count < pool->count_min ? pool->count : pool->count_min;
    skua__unlock(&pool->lock, SKUA__RANK_MEM);
}

struct skua__fiber *skua__fiber_cache_take(struct skua__fiber_cache *cache,
                                           struct skua__fiber_pool *pool)
{
    if (SKUA_UNLIKELY(cache->first == NULL)) {
        refill(cache, pool);
        if (cache->first == NULL) {
            return NULL;
        }
    }
    cache->count--;
    return pop(&cache->first);
}

static SKUA_NOINLINE void spill(struct skua__fiber_cache *cache, struct skua__fiber_pool *pool)
{
    skua__lock(&pool->lock, SKUA__RANK_MEM);
    for (int i = 0; i < BATCH; i++) {
        push(&pool->first, pop(&cache->first));
        cache->count--;
        pool->count++;
    }
    skua__unlock(&pool->lock, SKUA__RANK_MEM);
}

void skua__fiber_cache_put(struct skua__fiber_cache *cache, struct skua__fiber_pool *pool,
                           struct skua__fiber *fiber)
{
    push(&cache->first, fiber);
    cache->count++;
    if (SKUA_UNLIKELY(cache->count > CACHE_MAX)) {
        spill(cache, pool);
    }
}

void skua__fiber_pool_age(struct skua__fiber_pool *pool)
{
    skua__lock(&pool->lock, SKUA__RANK_MEM);
    pool->surplus = pool->count_min <= BATCH ? pool->count_min : pool->count_min / 2;
    pool->count_min = pool->count;
    skua__unlock(&pool->lock, SKUA__RANK_MEM);
}

static struct skua__fiber *take_surplus(struct skua__fiber_pool *pool)
{
    struct skua__fiber *fiber = NULL;
    skua__lock(&pool->lock, SKUA__RANK_MEM);
    if (pool->surplus > 0 && pool->first != NULL) {
        fiber = pop(&pool->first);
        pool->count--;
        pool->surplus--;
        pool->count_min = pool->count < pool->count_min ? pool->count : pool->count_min;
    }
    skua__unlock(&pool->lock, SKUA__RANK_MEM);
    return fiber;
}

bool skua__fiber_pool_trim(struct skua__fiber_pool *pool, size_t count)
{
    struct skua__fiber *fiber;
    while (count-- > 0 && (fiber = take_surplus(pool)) != NULL) {
        skua__fiber_retire(fiber);
    }
    skua__lock(&pool->lock, SKUA__RANK_MEM);
    bool has_any = pool->first != NULL;
    skua__unlock(&pool->lock, SKUA__RANK_MEM);
    return has_any;
}

void skua__fiber_cache_fini(struct skua__fiber_cache *cache)
{
    while (cache->first != NULL) {
        skua__fiber_abandon(pop(&cache->first));
    }
}

void skua__fiber_pool_fini(struct skua__fiber_pool *pool)
{
    while (pool->first != NULL) {
        skua__fiber_abandon(pop(&pool->first));
    }
}
