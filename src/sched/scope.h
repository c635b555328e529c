/* sched/scope.h: the inside of skua_scope, and cancellation.

   Every scope belongs to one fiber; every fiber has a root scope (in its task) and a chain of open
   ones, of which `fiber->scope` is the innermost. Cancelling pushes a flag down the tree, so that
   the check before a blocking call is one load; deadlines are pulled: a fiber that is about to wait
   takes the earliest of its chain. README.md argues why no cancel is missed.

   Once a scope was cancelled on its own account its deadline means nothing any more, and the same
   word says why it was: a root scope lies in its task, whose two cache lines are full. */
#ifndef SKUA_SCHED_SCOPE_H
#define SKUA_SCHED_SCOPE_H

#include "base/clock.h"
#include "base/list.h"
#include "base/lock.h"

#include <skua/runtime.h>
#include <skua/scope.h>

struct skua__fiber;
struct skua__wake_list;

enum {
    SKUA__SCOPE_OPEN = 1 << 0,
    SKUA__SCOPE_CANCELLED = 1 << 1, /* this or an outer one; what blocking calls look at */
    SKUA__SCOPE_REQUESTED = 1 << 2, /* somebody has asked for it, for this very scope */
    SKUA__SCOPE_EXPIRED = 1 << 3,   /* or its own deadline has fired; never both */
    SKUA__SCOPE_SHIELD = 1 << 4,
    SKUA__SCOPE_STOPPING = 1 << 5, /* what is inside was asked to come to its end */
    SKUA__SCOPE_STOP_DUE = 1 << 6, /* the deadline is the end of that stop */
    /* The bits from here on belong to the task whose root scope it is (sched/task.h). */
    SKUA__SCOPE_TASK_BITS = 1 << 16,
};

/* What a skua_scope holds. */
struct skua__scope {
    struct skua__lock lock;
    _Atomic uint32_t flags;
    /* SKUA__NEVER: none. Of a shield: the end of its grace. Negative: it was cancelled on its own
       account, and this is why. Changed under the lock. */
    _Atomic int64_t deadline_ns;
    struct skua__scope *parent; /* NULL: a root */
    struct skua__list children; /* under the lock */
    union {
        struct skua__link sibling; /* under the parent's lock */
        struct skua__list
            joiners; /* of a root without siblings (no member's): its task's, under the lock */
    };
    /* Whose it is; NULL before the start and, under the lock, after the end. */
    _Atomic(struct skua__fiber *) fiber;
};

_Static_assert(sizeof(struct skua__scope) <= sizeof(skua_scope), "skua_scope is too small");
_Static_assert(_Alignof(struct skua__scope) <= _Alignof(skua_scope), "skua_scope is misaligned");

/* Make a root scope for a task that has no fiber yet. It is not open: the task's launch sets the
   flags. */
static inline void skua__scope_init_root(struct skua__scope *scope)
{
    skua__store(&scope->deadline_ns, SKUA__NEVER, relaxed);
    scope->parent = NULL;
    skua__store(&scope->fiber, NULL, relaxed);
    skua__list_init(&scope->children);
    skua__list_init(&scope->joiners);
}

/* The scope of a forked child that runs on a fiber of its own, inside the scope of its fork. */
void skua__scope_enter_child(struct skua__scope *scope, struct skua__scope *parent,
                             struct skua__fiber *fiber);
void skua__scope_leave_child(struct skua__scope *scope, struct skua__fiber *fiber);

static inline bool skua__scope_is_cancelled(const struct skua__scope *scope)
{
    return (skua__load(&scope->flags, relaxed) & SKUA__SCOPE_CANCELLED) != 0;
}

/* Cancel all that is inside, and wake what waits there. `flag` says on whose account: REQUESTED,
   EXPIRED, or 0: an outer scope's. Call from anywhere, while the scope cannot go away. */
void skua__scope_cancel(struct skua__scope *scope, uint32_t flag, skua_runtime *runtime);

/* REQUESTED, for a reason < 0. */
void skua__scope_cancel_because(struct skua__scope *scope, int reason, skua_runtime *runtime);

/* Cancel an open scope for a reason < 0, under its lock. Who was claimed and not woken yet is in
   `list`. */
void skua__scope_cancel_locked(struct skua__scope *scope, uint32_t flag, int reason,
                               skua_runtime *runtime, struct skua__wake_list *list);

/* The two halves of it, for cancelling many with one heavy fence between the halves. */
void skua__scope_mark_cancelled(struct skua__scope *scope, int reason);
void skua__scope_claim_cancelled(struct skua__scope *scope);

/* Move the deadline, unless it has fired or a stop forbids it; with `is_stop`, ask for a stop with
   its end at that moment. Tells who waits inside. Call from anywhere, while the scope cannot go
   away. */
void skua__scope_move_deadline(struct skua__scope *scope, int64_t deadline_ns, bool is_stop,
                               skua_runtime *runtime);

/* What a caller's moment is as a scope's deadline: SKUA_NOW is already over. */
static inline int64_t skua__scope_moment(skua_time moment)
{
    return moment.ns < 0 ? 1 : moment.ns == 0 ? SKUA__NEVER : moment.ns;
}

/* The earliest deadline that holds for a wait in `scope`; cancels do not count. `now_ns` matters
   only inside shields. */
int64_t skua__scope_deadline(const struct skua__scope *scope, int64_t now_ns);

/* True if the chain has any deadline at all, so that the clock must be read. */
static inline bool skua__scope_has_deadline(const struct skua__scope *scope)
{
    for (; scope != NULL; scope = scope->parent) {
        if (skua__load(&scope->deadline_ns, relaxed) != SKUA__NEVER) {
            return true;
        }
    }
    return false;
}

/* Look for deadlines of the chain that have come, cancel those scopes. Returns whether `scope` is
   cancelled now, also because the grace of a shield is over. Call from: the fiber whose innermost
   scope it is. */
bool skua__scope_expire(struct skua__scope *scope, int64_t now_ns, skua_runtime *runtime);

#endif
