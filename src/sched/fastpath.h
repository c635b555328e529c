/* sched/fastpath.h: the halves of the waiter that are compiled into the rooms above: what every
   message and every lock goes through. The other halves, and the protocol, are in waiter.h. */
#ifndef SKUA_SCHED_FASTPATH_H
#define SKUA_SCHED_FASTPATH_H

#include "mem/forked.h"
#include "sched/runtime.h"
#include "sched/waiter.h"
#include "sched/worker.h"

/* skua__cancel_point() where it has nothing to do but to count. False: call that one. */
static inline bool skua__cancel_point_passes(void)
{
    struct skua__worker *worker = skua__worker_self();
    if (SKUA_UNLIKELY(worker == NULL || worker->budget <= 1 || skua__process_is_forked() ||
                      skua__scope_is_cancelled(skua__worker_current(worker)->scope))) {
        return false;
    }
    worker->budget--;
    skua__worker_current(worker)->cancels_ignored = 0;
    return true;
}

/* skua__wait_begin_for() for a fiber and a soft wait. */
static inline void skua__wait_begin_inline_for(struct skua__wait *wait, struct skua__fiber *fiber,
                                               const char *what)
{
    skua__wait_note(fiber, what);
    uint64_t word = skua__load(&fiber->parker.word, relaxed);
    wait->parker = &fiber->parker;
    wait->ticket =
        (((word >> SKUA__SEQUENCE_SHIFT) + 1) << SKUA__SEQUENCE_SHIFT) | SKUA__STATE_WAITING;
    /* release: publishes like the one in skua__wait_begin(). */
    skua__store(&fiber->parker.word, wait->ticket, release);
}

#define skua__wait_begin_inline(wait, fiber) skua__wait_begin_inline_for((wait), (fiber), __func__)

/* skua__wait_park() for a fiber whose wait is soft. */
static inline int skua__wait_park_inline(struct skua__wait *wait, struct skua__fiber *fiber,
                                         int64_t deadline_ns)
{
    const struct skua__scope *scope = fiber->scope;
    /* Our word is WAITING; now look at the flag and the deadlines. Pairs with the heavy fences in
       scope.c. */
    skua__runtime_light_fence(fiber->runnable.runtime);
    if (SKUA_UNLIKELY(deadline_ns != SKUA__NEVER || skua__scope_is_cancelled(scope) ||
                      skua__load(&scope->deadline_ns, relaxed) != SKUA__NEVER ||
                      (scope->parent != NULL && skua__scope_has_deadline(scope->parent)))) {
        return skua__wait_park(wait, deadline_ns);
    }
    skua__fiber_suspend(fiber);
    return skua__wait_outcome(wait, deadline_ns);
}

/* skua__wake() where it only has to fill the worker's empty LIFO slot. False: call that one. */
static inline bool skua__wake_passes(struct skua__parker *parker)
{
    if (SKUA_UNLIKELY(parker->is_thread)) {
        return false;
    }
    struct skua__runnable *runnable = &SKUA_CONTAINER(parker, struct skua__fiber, parker)->runnable;
    struct skua__worker *worker = skua__worker_self();
    if (SKUA_UNLIKELY(worker == NULL || worker->runtime != runnable->runtime ||
                      runnable->pin != 0 || skua__load(&worker->lifo, relaxed) != NULL)) {
        return false;
    }
    /* release: publishes the runnable, like lifo_put() in worker.c. */
    skua__store(&worker->lifo, runnable, release);
    return true;
}

static inline void skua__wake_inline(struct skua__parker *parker)
{
    if (!skua__wake_passes(parker)) {
        skua__wake(parker);
    }
}

#endif
