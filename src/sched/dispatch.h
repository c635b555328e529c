/* sched/dispatch.h: what happens at each dispatch in the usual case, in line for those who switch.
   A call here and there, and the registers saved for it, are a third of the cost of a yield. */
#ifndef SKUA_SCHED_DISPATCH_H
#define SKUA_SCHED_DISPATCH_H

#include "sched/runtime.h"

static inline void skua__count_dispatch(struct skua__worker *worker)
{
    worker->budget = SKUA__BUDGET;
    worker->tick++;
    worker->upkeep_in--;
    skua__store(&worker->tick_seen, worker->tick, relaxed);
}

/* Neither upkeep, nor pinned tasks, nor one in the LIFO slot: only the ring is to be looked at. */
static inline bool skua__has_ring_only(const struct skua__worker *worker)
{
    return worker->upkeep_in > 1 && skua__inject_count(&worker->inbox) == 0 &&
           skua__load(&worker->lifo, relaxed) == NULL;
}

/* skua__worker_next(). */
static inline struct skua__runnable *skua__dispatch_next(struct skua__worker *worker)
{
    if (SKUA_UNLIKELY(!skua__has_ring_only(worker))) {
        return skua__worker_next(worker);
    }
    skua__count_dispatch(worker);
    worker->lifo_run = 0;
    return skua__ring_pop(&worker->ring);
}

/* The same when the running task, about to end, has claimed `woken`: it goes to the LIFO slot, and
   without that detour if it would be taken next. */
static inline struct skua__runnable *skua__dispatch_after(struct skua__worker *worker,
                                                          struct skua__runnable *woken)
{
    bool goes_next =
        skua__has_ring_only(worker) && woken->pin == 0 && woken->runtime == worker->runtime &&
        (worker->lifo_run < SKUA__LIFO_RUN_MAX || skua__ring_count(&worker->ring) == 0);
    if (SKUA_UNLIKELY(!goes_next)) {
        skua__ready(woken, SKUA__READY_WOKEN);
        return skua__worker_next(worker);
    }
    skua__count_dispatch(worker);
    worker->lifo_run++;
    return woken;
}

/* skua__ready(), for what the worker's running task has just spawned. */
static inline void skua__dispatch_later(struct skua__worker *worker, struct skua__runnable *spawned)
{
    if (SKUA_UNLIKELY(spawned->pin != 0) ||
        SKUA_UNLIKELY(!skua__ring_push(&worker->ring, spawned))) {
        skua__ready(spawned, SKUA__READY_SPAWNED);
        return;
    }
    /* Pairs with the heavy fence of the last one who parks. */
    skua__runtime_light_fence(worker->runtime);
    if (SKUA_UNLIKELY(skua__load(&worker->runtime->idle.state, relaxed) != 0)) {
        skua__wake_worker(worker->runtime, false);
    }
}

/* A fiber from the worker's cache, or NULL. */
static inline struct skua__fiber *skua__cached_fiber(struct skua__worker *worker,
                                                     uint32_t stack_class)
{
    struct skua__runnable *head =
        skua__fiber_cache_take(&worker->cache[stack_class], &worker->runtime->fibers[stack_class]);
    return head != NULL ? SKUA_CONTAINER(head, struct skua__fiber, runnable) : NULL;
}

static inline void skua__cache_fiber(struct skua__worker *worker, struct skua__fiber *fiber)
{
    uint32_t stack_class = fiber->runnable.stack_class;
    skua__fiber_cache_put(&worker->cache[stack_class], &worker->runtime->fibers[stack_class],
                          &fiber->runnable);
}

#endif
