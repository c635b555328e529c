/* sched/fiber_cache.h: fibers that have nothing to run: warm, with their stacks.

   Each worker keeps some of each stack class to itself; the rest stands in a pool of the runtime. A
   pool gives memory back slowly: each second, half of those that nobody has needed during that
   second. So a burst that comes again finds its stacks warm, and one that does not costs its memory
   for some seconds only. */
#ifndef SKUA_SCHED_FIBER_CACHE_H
#define SKUA_SCHED_FIBER_CACHE_H

#include "base/lock.h"

#include <stdbool.h>
#include <stddef.h>

struct skua__fiber;

/* One worker's, of one class. Zeroed is empty. Used by its thread only. */
struct skua__fiber_cache {
    struct skua__fiber *first; /* the latest first; linked by runnable.next */
    uint32_t count;
};

/* The runtime's, of one class. Zeroed is empty. */
struct skua__fiber_pool {
    struct skua__lock lock;
    struct skua__fiber *first;
    size_t count;
    size_t count_min; /* since the last skua__fiber_pool_age() */
    size_t surplus;   /* of those, to be given back */
};

/* A warm fiber, or NULL. */
struct skua__fiber *skua__fiber_cache_take(struct skua__fiber_cache *cache,
                                           struct skua__fiber_pool *pool);

/* Keep a fiber that has ended its task and that nobody executes on. */
void skua__fiber_cache_put(struct skua__fiber_cache *cache, struct skua__fiber_pool *pool,
                           struct skua__fiber *fiber);

/* Once a second: decide how many are to be given back. */
void skua__fiber_pool_age(struct skua__fiber_pool *pool);

/* Give back up to `count` of the surplus. Returns whether the pool still holds any fiber. */
bool skua__fiber_pool_trim(struct skua__fiber_pool *pool, size_t count);

/* Let go of all; at the runtime's end, before the stacks are unmapped. */
void skua__fiber_cache_fini(struct skua__fiber_cache *cache);
void skua__fiber_pool_fini(struct skua__fiber_pool *pool);

#endif
