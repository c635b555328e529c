/* sched/inject.h: an unbounded FIFO of runnables under a lock: for what comes from outside of the
   workers, for what overflows a ring, and as the inbox of pinned tasks. */
#ifndef SKUA_SCHED_INJECT_H
#define SKUA_SCHED_INJECT_H

#include "base/lock.h"
#include "sched/runnable.h"

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

#endif
