/* sched/defer.h: what a fiber has to run when its scopes are closed. */
#ifndef SKUA_SCHED_DEFER_H
#define SKUA_SCHED_DEFER_H

#include "sched/fiber.h"

/* Owned by the fiber in whose list it stands. */
struct skua__defer {
    struct skua__defer *next;  /* the one deferred before, or of an outer scope */
    struct skua__scope *scope; /* open; its close runs it */
    void (*fn)(void *arg);
    void *arg;
};

/* Run what was deferred in `scope`, the fiber's innermost, which is about to be closed. May switch.
   Call from: the fiber. */
void skua__defers_run_all(struct skua__fiber *fiber, struct skua__scope *scope);

static inline void skua__defers_run(struct skua__fiber *fiber, struct skua__scope *scope)
{
    if (SKUA_UNLIKELY(fiber->defers != NULL) && fiber->defers->scope == scope) {
        skua__defers_run_all(fiber, scope);
    }
}

/* A forked child that ran on a fiber of its own is over: what it deferred outside of its own scopes
   becomes that of `scope`, where it was forked. Returns it for the parent to adopt; may be NULL. */
struct skua__defer *skua__defers_hand_over(struct skua__fiber *fiber, struct skua__scope *scope);

/* The parent's side, at the sync. */
void skua__defers_adopt(struct skua__fiber *fiber, struct skua__defer *defers);

#endif
