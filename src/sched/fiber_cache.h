/* sched/fiber_cache.h: fibers that have nothing to run: warm, with their stacks.

   Each worker keeps some of each stack class to itself; the rest stands in a pool of the runtime. A
   pool gives memory back slowly: each second, half of those that nobody has needed during that
   second. So a burst that comes again finds its stacks warm, and one that does not costs its memory
   for some seconds only. */
#ifndef SKUA_SCHED_FIBER_CACHE_H
#define SKUA_SCHED_FIBER_CACHE_H

#include "base/lock.h"
#include "sched/runnable.h"

#include <stdbool.h>
#include <stddef.h>

enum { SKUA__FIBER_CACHE_MAX = 128 };

/* One worker's, of one class. Zeroed is empty. Used by its thread only. */
struct skua__fiber_cache {
    struct skua__runnable *first; /* the heads of fibers, the latest first */
    uint32_t count;
};

/* The runtime's, of one class. Zeroed is empty. */
struct skua__fiber_pool {
    struct skua__lock lock;
    struct skua__runnable *first;
    size_t count;
    size_t count_min; /* since the last skua__fiber_pool_age() */
    size_t surplus;   /* of those, to be given back */
};

/* A batch from the pool to the empty cache, and from the full cache to the pool. */
void skua__fiber_cache_refill(struct skua__fiber_cache *cache, struct skua__fiber_pool *pool);
void skua__fiber_cache_spill(struct skua__fiber_cache *cache, struct skua__fiber_pool *pool);

/* A warm fiber's head, or NULL. */
static inline struct skua__runnable *skua__fiber_cache_take(struct skua__fiber_cache *cache,
                                                            struct skua__fiber_pool *pool)
{
    if (SKUA_UNLIKELY(cache->first == NULL)) {
        skua__fiber_cache_refill(cache, pool);
        if (cache->first == NULL) {
            return NULL;
        }
    }
    struct skua__runnable *fiber = cache->first;
    cache->first = fiber->next;
    cache->count--;
    return fiber;
}

/* Keep a fiber that has ended its task and that nobody executes on. */
static inline void skua__fiber_cache_put(struct skua__fiber_cache *cache,
                                         struct skua__fiber_pool *pool,
                                         struct skua__runnable *fiber)
{
    fiber->next = cache->first;
    cache->first = fiber;
    cache->count++;
    if (SKUA_UNLIKELY(cache->count > SKUA__FIBER_CACHE_MAX)) {
        skua__fiber_cache_spill(cache, pool);
    }
}

/* Once a second: decide how many are to be given back. */
void skua__fiber_pool_age(struct skua__fiber_pool *pool);

/* Give back up to `count` of the surplus. Returns whether the pool still holds any fiber. */
bool skua__fiber_pool_trim(struct skua__fiber_pool *pool, size_t count);

/* Let go of all; at the runtime's end, before the stacks are unmapped. */
void skua__fiber_cache_fini(struct skua__fiber_cache *cache);
void skua__fiber_pool_fini(struct skua__fiber_pool *pool);

#endif
