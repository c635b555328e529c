/* sched/inject.h: an unbounded FIFO of runnables under a lock: for what comes from outside of the
   workers, for what overflows a ring, and as the inbox of pinned tasks.

   The queues that all workers share are a set, one for each group of processors that share a cache
   (topo/topo.h): a worker puts what overflows into its own group's queue and takes from that one
   first, so that the lock and the tasks stay among neighbours. Any worker may take from any. */
#ifndef SKUA_SCHED_INJECT_H
#define SKUA_SCHED_INJECT_H

#include "base/compiler.h"
#include "base/lock.h"
#include "sched/runnable.h"

#include <stdbool.h>

struct skua__inject {
    struct skua__lock lock;
    _Atomic uint32_t count; /* written under the lock, read by anybody */
    struct skua__runnable *first, *last;
};

/* Append a chain of `count` runnables that are linked by `next`. */
void skua__inject_push(struct skua__inject *inject, struct skua__runnable *first,
                       struct skua__runnable *last, uint32_t count);

/* Take up to `count` of the oldest into out; returns how many. */
uint32_t skua__inject_pop(struct skua__inject *inject, struct skua__runnable **out, uint32_t count);

/* A hint that costs one load. Exact after a full fence on both sides. */
static inline uint32_t skua__inject_count(const struct skua__inject *inject)
{
    return skua__load(&inject->count, relaxed);
}

/* One queue for each group, on lines of their own. */
struct skua__inject_set {
    uint32_t count;  /* constant */
    uint32_t takers; /* constant: workers for each queue */
    struct skua__inject_lane {
        struct skua__inject queue SKUA_CACHE_ALIGNED;
    } * lanes;
};

/* `count` empty queues for `workers` workers. 0 or -ENOMEM. */
int skua__inject_set_init(struct skua__inject_set *set, uint32_t count, uint32_t workers);
void skua__inject_set_fini(struct skua__inject_set *set);

/* A group's queue; groups that have none of their own share. */
static inline struct skua__inject *skua__inject_of(struct skua__inject_set *set, uint32_t group)
{
    return &set->lanes[group < set->count ? group : group % set->count].queue;
}

/* A hint like skua__inject_count(): false if all are empty. Costs one load for each queue. */
bool skua__inject_any(struct skua__inject_set *set);

#endif
