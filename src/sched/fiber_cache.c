/* Warm fibers: per-worker caches over shared pools. Batches go to and fro, so that the pool's lock
   is taken once for many fibers. */
#include "sched/fiber_cache.h"

#include "sched/fiber.h"

enum { BATCH = 64 };

/* Moves the latest of one list to another. */
static void move(struct skua__runnable **to, struct skua__runnable **from)
{
    struct skua__runnable *fiber = *from;
    *from = fiber->next;
    fiber->next = *to;
    *to = fiber;
}

void skua__fiber_cache_refill(struct skua__fiber_cache *cache, struct skua__fiber_pool *pool)
{
    skua__lock(&pool->lock, SKUA__RANK_MEM);
    while (cache->count < BATCH && pool->first != NULL) {
        move(&cache->first, &pool->first);
        cache->count++;
        pool->count--;
    }
    pool->count_min = pool->count < pool->count_min ? pool->count : pool->count_min;
    skua__unlock(&pool->lock, SKUA__RANK_MEM);
}

void skua__fiber_cache_spill(struct skua__fiber_cache *cache, struct skua__fiber_pool *pool)
{
    skua__lock(&pool->lock, SKUA__RANK_MEM);
    for (int i = 0; i < BATCH; i++) {
        move(&pool->first, &cache->first);
        cache->count--;
        pool->count++;
    }
    skua__unlock(&pool->lock, SKUA__RANK_MEM);
}

void skua__fiber_pool_age(struct skua__fiber_pool *pool)
{
    skua__lock(&pool->lock, SKUA__RANK_MEM);
    pool->surplus = pool->count_min <= BATCH ? pool->count_min : pool->count_min / 2;
    pool->count_min = pool->count;
    skua__unlock(&pool->lock, SKUA__RANK_MEM);
}

static struct skua__fiber *fiber_of(struct skua__runnable *head)
{
    return SKUA_CONTAINER(head, struct skua__fiber, runnable);
}

static struct skua__runnable *take_surplus(struct skua__fiber_pool *pool)
{
    struct skua__runnable *fiber = NULL;
    skua__lock(&pool->lock, SKUA__RANK_MEM);
    if (pool->surplus > 0 && pool->first != NULL) {
        fiber = pool->first;
        pool->first = fiber->next;
        pool->count--;
        pool->surplus--;
        pool->count_min = pool->count < pool->count_min ? pool->count : pool->count_min;
    }
    skua__unlock(&pool->lock, SKUA__RANK_MEM);
    return fiber;
}

bool skua__fiber_pool_trim(struct skua__fiber_pool *pool, size_t count)
{
    struct skua__runnable *fiber;
    while (count-- > 0 && (fiber = take_surplus(pool)) != NULL) {
        skua__fiber_retire(fiber_of(fiber));
    }
    skua__lock(&pool->lock, SKUA__RANK_MEM);
    bool has_any = pool->first != NULL;
    skua__unlock(&pool->lock, SKUA__RANK_MEM);
    return has_any;
}

static void abandon_all(struct skua__runnable **first)
{
    while (*first != NULL) {
        struct skua__runnable *fiber = *first;
        *first = fiber->next;
        skua__fiber_abandon(fiber_of(fiber));
    }
}

void skua__fiber_cache_fini(struct skua__fiber_cache *cache)
{
    abandon_all(&cache->first);
}

void skua__fiber_pool_fini(struct skua__fiber_pool *pool)
{
    abandon_all(&pool->first);
}
