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

/* skua__wait_begin() for a fiber. */
static inline void skua__wait_begin_inline(struct skua__wait *wait, struct skua__fiber *fiber)
{
    uint64_t word = skua__load(&fiber->parker.word, relaxed);
    wait->parker = &fiber->parker;
    wait->ticket =
        (((word >> SKUA__SEQUENCE_SHIFT) + 1) << SKUA__SEQUENCE_SHIFT) | SKUA__STATE_WAITING;
    /* release: publishes like the one in skua__wait_begin(). */
    skua__store(&fiber->parker.word, wait->ticket, release);
}

/* skua__wait_park() for a fiber whose wait is soft. */
static inline int skua__wait_park_inline(struct skua__wait *wait, struct skua__fiber *fiber,
                                         int64_t deadline_ns)
{
    const struct skua__scope *scope = fiber->scope;
    /* Our word is WAITING; now look at the flag. Pairs with the heavy fence in
       skua__scope_cancel(). */
    skua__runtime_light_fence(fiber->runnable.runtime);
    if (SKUA_UNLIKELY(deadline_ns != SKUA__NEVER || skua__scope_is_cancelled(scope) ||
                      scope->deadline_ns != SKUA__NEVER ||
                      (scope->parent != NULL && skua__scope_has_deadline(scope->parent)))) {
        return skua__wait_park(wait, deadline_ns);
    }
    skua__fiber_suspend(fiber);
    return skua__wait_outcome(wait, deadline_ns);
}

/* skua__wake(), for parkers that are fibers of the same runtime as a rule. */
static inline void skua__wake_inline(struct skua__parker *parker)
{
    if (SKUA_UNLIKELY(parker->is_thread)) {
        skua__wake(parker);
    } else {
        skua__ready(&SKUA_CONTAINER(parker, struct skua__fiber, parker)->runnable,
                    SKUA__READY_WOKEN);
    }
}

#endif
