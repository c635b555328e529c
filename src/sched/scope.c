/* Scopes: opening, closing, cancelling, expiring, stopping.

     (S1) A scope's children, their flags as far as cancels push them, and `fiber` are under its
          lock. Locks are taken from outer to inner.
     (S2) A scope is opened and closed by its fiber only, and linked to its parent while open: who
          holds the parent's lock keeps the children from going away.
     (S3) When CANCELLED is set in a scope, it is set in all scopes inside that no shield protects,
          or will be before the canceller returns; a scope that is opened meanwhile inherits it.
     (S4) A fiber that is about to wait stores its word, fences, and then looks at CANCELLED; a
          canceller sets CANCELLED, fences, and then looks at words. One of the two sees the other.
          The fiber's fence is free: the canceller's is a membarrier.
     (S5) Who cancels a scope holds its lock from the first look at it to the last; closing takes
          that lock once more after the scope has left the tree. So a canceller never meets a dead
          frame, and claims only waits inside.
     (S6) A scope is cancelled on its own account once: the first cause sets its flag and replaces
          the deadline by its reason, under the lock. So what has fired cannot be taken back.
     (S7) Who brings a deadline forward stores it, fences, and then claims the waits inside with
          RECHECK; a fiber looks at deadlines after the fence of (S4). One sees the other. A
          deadline that is put off needs nothing: timers that fire early look again.

   Rejected: a reason beside the deadline (a root scope, in its task's two cache lines, has no
   room), and the reason of the innermost cause (leaving that scope would not help). */
#include "sched/scope.h"

#include "base/panic.h"
#include "sched/defer.h"
#include "sched/fiber.h"
#include "sched/held.h"
#include "sched/runtime.h"
#include "sched/task.h"
#include "sched/worker.h"

static struct skua__scope *inside(skua_scope *scope)
{
    return (struct skua__scope *)scope;
}

static bool has_flag(const struct skua__scope *scope, uint32_t flag)
{
    return (skua__load(&scope->flags, relaxed) & flag) != 0;
}

static void link_scope(struct skua__scope *scope, struct skua__scope *parent,
                       struct skua__fiber *fiber, int64_t deadline_ns, uint32_t flags)
{
    *scope = (struct skua__scope){.parent = parent};
    skua__store(&scope->deadline_ns, deadline_ns, relaxed);
    skua__store(&scope->fiber, fiber, relaxed);
    skua__list_init(&scope->children);
    skua__lock(&parent->lock, SKUA__RANK_SCOPE);
    if ((flags & SKUA__SCOPE_SHIELD) == 0 && skua__scope_is_cancelled(parent)) {
        flags |= SKUA__SCOPE_CANCELLED;
    }
    skua__store(&scope->flags, flags | SKUA__SCOPE_OPEN, relaxed);
    skua__list_push_back(&parent->children, &scope->sibling);
    skua__unlock(&parent->lock, SKUA__RANK_SCOPE);
    fiber->scope = scope;
}

static void scope_open(skua_scope *storage, int64_t deadline_ns, uint32_t flags)
{
    if (skua__forked()) {
        return;
    }
    struct skua__fiber *fiber = skua__fiber_self();
    if (fiber == NULL) {
        skua__panic("a scope was opened outside of a task");
    }
    struct skua__scope *scope = inside(storage);
    if (has_flag(scope, SKUA__SCOPE_OPEN)) {
        skua__panic("the scope is open already, or its storage was not zeroed");
    }
    struct skua__worker *worker = skua__worker_self();
    if (SKUA_UNLIKELY(skua__fork_has_private(&worker->forks))) {
        skua__fork_promote(worker, fiber); /* they are outside of the new scope */
    }
    link_scope(scope, fiber->scope, fiber, deadline_ns, flags);
}

void skua_scope_open(skua_scope *scope, skua_time deadline)
{
    scope_open(scope, skua__scope_moment(deadline), 0);
}

void skua_shield_open(skua_scope *scope, skua_time grace)
{
    scope_open(scope, skua__scope_moment(grace), SKUA__SCOPE_SHIELD);
}

/* Whether blocking calls outside of this scope would be cancelled: by a flag, or by a deadline that
   has come though nobody has noticed yet. */
static bool outer_is_cancelled(struct skua__scope *parent, skua_runtime *runtime)
{
    if (skua__scope_is_cancelled(parent)) {
        return true;
    }
    return skua__scope_has_deadline(parent) &&
           skua__scope_expire(parent, skua__clock_ns(), runtime);
}

/* Takes the scope out of the tree, and waits for cancellers that are inside it (S5). */
static void unlink_scope(struct skua__scope *scope)
{
    struct skua__scope *parent = scope->parent;
    skua__lock(&parent->lock, SKUA__RANK_SCOPE);
    skua__list_remove(&scope->sibling);
    skua__unlock(&parent->lock, SKUA__RANK_SCOPE);
    skua__lock(&scope->lock, SKUA__RANK_SCOPE);
    if (SKUA_UNLIKELY(!skua__list_is_empty(&scope->children))) {
        skua__panic("a scope is closed before the children that were forked in it are synced");
    }
    uint32_t flags = skua__load(&scope->flags, relaxed);
    skua__store(&scope->flags, flags & ~(uint32_t)SKUA__SCOPE_OPEN, relaxed);
    skua__store(&scope->fiber, NULL, relaxed);
    skua__unlock(&scope->lock, SKUA__RANK_SCOPE);
}

int skua_scope_close(skua_scope *storage, int status)
{
    struct skua__fiber *fiber = skua__fiber_self();
    struct skua__scope *scope = inside(storage);
    if (skua__forked()) {
        return status;
    }
    if (fiber == NULL || fiber->scope != scope) {
        skua__panic("a scope is closed that is not the innermost open one of this task");
    }
    struct skua__scope *parent = scope->parent;
    if (SKUA_UNLIKELY(skua__fork_has_private(&skua__worker_self()->forks))) {
        skua__panic("a scope is closed before the children that were forked in it are synced");
    }
    skua__defers_run(fiber, scope);
    unlink_scope(scope);
    fiber->scope = parent;
    uint32_t flags = skua__load(&scope->flags, relaxed);
    bool is_own = (flags & (SKUA__SCOPE_EXPIRED | SKUA__SCOPE_REQUESTED)) != 0;
    if (status != -ECANCELED || !is_own || outer_is_cancelled(parent, fiber->runnable.runtime)) {
        return status;
    }
    int reason = (int)skua__load(&scope->deadline_ns, relaxed);
    return reason == -ECANCELED ? 0 : reason;
}

void skua__scope_enter_child(struct skua__scope *scope, struct skua__scope *parent,
                             struct skua__fiber *fiber)
{
    link_scope(scope, parent, fiber, SKUA__NEVER, 0);
}

void skua__scope_leave_child(struct skua__scope *scope, struct skua__fiber *fiber)
{
    if (fiber->scope != scope) {
        skua__panic("a forked function has returned with an open scope");
    }
    unlink_scope(scope);
    fiber->scope = NULL;
}

void skua_scope_fini(skua_scope *storage)
{
    if (has_flag(inside(storage), SKUA__SCOPE_OPEN)) {
        int status = skua_scope_close(storage, 0);
        (void)status;
    }
}

int skua_within(skua_time deadline, skua_fn fn, void *arg)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    skua_scope scope = {{0}};
    skua_scope_open(&scope, deadline);
    return skua_scope_close(&scope, fn(arg));
}

int skua_move_on(skua_time deadline, skua_fn fn, void *arg)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    skua_scope scope = {{0}};
    skua_scope_open(&scope, deadline);
    int status = fn(arg);
    int result = skua_scope_close(&scope, status);
    bool was_mapped = status == -ECANCELED && result == -ETIMEDOUT;
    return was_mapped ? 0 : result;
}

int skua_shielded(skua_time grace, skua_fn fn, void *arg)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    skua_scope scope = {{0}};
    skua_shield_open(&scope, grace);
    return skua_scope_close(&scope, fn(arg));
}

/* --- by hand ---------------------------------------------------------------------------------- */

/* The scope and its runtime, for what anybody may do to an open one. NULL in a forked child. */
static struct skua__scope *reach(skua_scope *storage, skua_runtime **runtime, const char *misuse)
{
    struct skua__scope *scope = inside(storage);
    if (skua__forked()) {
        return NULL;
    }
    struct skua__fiber *fiber = skua__load(&scope->fiber, relaxed);
    if (fiber == NULL) {
        skua__panic("%s that is not open", misuse);
    }
    *runtime = fiber->runnable.runtime;
    return scope;
}

void skua_scope_cancel_because(skua_scope *storage, int code)
{
    skua_runtime *runtime;
    struct skua__scope *scope = reach(storage, &runtime, "a scope is cancelled");
    if (scope != NULL) {
        skua__scope_cancel_because(scope, code, runtime);
    }
}

void skua_scope_cancel(skua_scope *storage)
{
    skua_scope_cancel_because(storage, -ECANCELED);
}

void skua_scope_stop(skua_scope *storage, skua_time until)
{
    skua_runtime *runtime;
    struct skua__scope *scope = reach(storage, &runtime, "a scope is stopped");
    if (scope != NULL) {
        skua__scope_move_deadline(scope, skua__scope_moment(until), true, runtime);
    }
}

void skua_scope_deadline(skua_scope *storage, skua_time deadline)
{
    skua_runtime *runtime;
    struct skua__scope *scope = reach(storage, &runtime, "a deadline is moved of a scope");
    if (scope != NULL) {
        skua__scope_move_deadline(scope, skua__scope_moment(deadline), false, runtime);
    }
}

skua_time skua_scope_when(const skua_scope *storage)
{
    const struct skua__scope *scope = (const struct skua__scope *)storage;
    int64_t deadline_ns = skua__load(&scope->deadline_ns, relaxed);
    if (deadline_ns < 0) {
        return SKUA_NOW;
    }
    return deadline_ns == SKUA__NEVER ? SKUA_FOREVER : skua_time_at(deadline_ns);
}

bool skua_scope_expired(const skua_scope *scope)
{
    return has_flag((const struct skua__scope *)scope, SKUA__SCOPE_EXPIRED);
}

/* --- what holds here -------------------------------------------------------------------------- */

bool skua_cancelled(void)
{
    struct skua__fiber *fiber = skua__fiber_self();
    if (fiber == NULL || skua__forked()) {
        return false;
    }
    return outer_is_cancelled(fiber->scope, fiber->runnable.runtime);
}

int skua_cancel_reason(void)
{
    if (!skua_cancelled()) {
        return 0;
    }
    int reason = -ECANCELED;
    for (struct skua__scope *scope = skua__fiber_self()->scope; scope != NULL;
         scope = scope->parent) {
        /* Whoever cancels it may not be through with marking: the flag may be here before the
           reason. */
        skua__lock(&scope->lock, SKUA__RANK_SCOPE);
        int64_t cause = skua__load(&scope->deadline_ns, relaxed);
        bool is_last = has_flag(scope, SKUA__SCOPE_SHIELD) && !skua__scope_is_cancelled(scope);
        skua__unlock(&scope->lock, SKUA__RANK_SCOPE);
        reason = cause < 0 ? (int)cause : reason;
        if (is_last) {
            break;
        }
    }
    return reason;
}

bool skua_stopping(void)
{
    struct skua__fiber *fiber = skua__fiber_self();
    if (fiber == NULL || skua__forked()) {
        return false;
    }
    const skua_runtime *runtime = fiber->runnable.runtime;
    if (skua__load(&runtime->is_draining, relaxed) || skua__load(&runtime->is_stopping, relaxed)) {
        return true;
    }
    for (const struct skua__scope *scope = fiber->scope; scope != NULL; scope = scope->parent) {
        if (has_flag(scope, SKUA__SCOPE_STOPPING | SKUA__SCOPE_CANCELLED)) {
            return true;
        }
    }
    return skua_cancelled(); /* by a deadline that nobody has noticed yet */
}

/* --- cancelling ------------------------------------------------------------------------------- */

/* Trees of scopes are walked without recursion: groups inside of groups make them deeper than any
   stack. A walk holds the locks of all scopes from its top down to the one that it is at. */
static struct skua__scope *scope_at(struct skua__link *link)
{
    return SKUA_CONTAINER(link, struct skua__scope, sibling);
}

/* Up from a scope, which is not the top: what follows it among its siblings. */
static struct skua__link *leave_scope(struct skua__scope **scope)
{
    struct skua__scope *left = *scope;
    struct skua__link *next = left->sibling.next;
    *scope = left->parent;
    skua__unlock(&left->lock, SKUA__RANK_SCOPE);
    return next;
}

static void set_flags(struct skua__scope *scope, uint32_t flags)
{
    skua__store(&scope->flags, skua__load(&scope->flags, relaxed) | flags, relaxed);
}

/* Sets CANCELLED in all that no shield protects. Under the lock of the top. */
static void mark(struct skua__scope *top)
{
    struct skua__scope *scope = top;
    struct skua__link *link = top->children.head.next;
    set_flags(top, SKUA__SCOPE_CANCELLED);
    while (scope != top || link != &top->children.head) {
        if (link == &scope->children.head) {
            link = leave_scope(&scope);
        } else if (has_flag(scope_at(link), SKUA__SCOPE_SHIELD)) {
            link = link->next;
        } else {
            scope = scope_at(link);
            skua__lock(&scope->lock, SKUA__RANK_SCOPE);
            set_flags(scope, SKUA__SCOPE_CANCELLED);
            link = scope->children.head.next;
        }
    }
}

/* The first cause of a cancel stays (S6); `reason` 0: it comes from outside. Under the lock. */
static void note_cause(struct skua__scope *scope, uint32_t flag, int reason)
{
    if (reason < 0 && skua__load(&scope->deadline_ns, relaxed) >= 0) {
        skua__store(&scope->deadline_ns, reason, relaxed);
        skua__store(&scope->flags, skua__load(&scope->flags, relaxed) | flag, relaxed);
    }
}

/* The scope is a root, since it has no fiber: that of a task which has not started, or has ended.
   Under its lock. */
static SKUA_NOINLINE void tell_holder(struct skua__scope *scope)
{
    if (has_flag(scope, SKUA__TASK_HELD)) {
        struct skua__held *held = SKUA_CONTAINER(scope, struct skua_task, scope)->arg;
        held->notice(held);
    }
}

/* Claims the present wait of the scope's fiber, if it waits. Under the lock of the fiber's
   innermost scope, so that the wait is one inside of it (S2). */
static void claim_wait(struct skua__scope *scope, uint32_t cause, struct skua__wake_list *list)
{
    /* acquire: pairs with the release in skua__task_run(): the fiber is whole. A task that starts
       just now and is not seen will see the flag at its first wait (S4). */
    struct skua__fiber *fiber = skua__load(&scope->fiber, acquire);
    if (fiber == NULL) {
        tell_holder(scope);
        return;
    }
    struct skua__parker *parker = &fiber->parker;
    /* acquire: pairs with the release in skua__wait_begin(). */
    uint64_t word = skua__load(&parker->word, acquire);
    if ((word & SKUA__STATE_MASK) == SKUA__STATE_WAITING && skua__claim(parker, word, cause) &&
        skua__wake_list_add(list, parker)) {
        skua__wake_list_flush(
            list); /* under the locks, since they must not be given up in the middle */
    }
}

/* Whether no scope inside is one of the same fiber. Under the lock. */
static bool is_innermost(const struct skua__scope *scope)
{
    const struct skua__fiber *fiber = skua__load(&scope->fiber, relaxed);
    struct skua__link *link = scope->children.head.next;
    while (link != &scope->children.head && skua__load(&scope_at(link)->fiber, relaxed) != fiber) {
        link = link->next;
    }
    return link == &scope->children.head;
}

/* Whether somebody inside of `child` may have to be told. A fiber that has opened a shield may wait
   outside of it, in an inline child that was forked before. */
static bool concerns(const struct skua__scope *child, const struct skua__scope *scope)
{
    return !has_flag(child, SKUA__SCOPE_SHIELD) ||
           skua__load(&child->fiber, relaxed) == skua__load(&scope->fiber, relaxed) ||
           skua__load(&child->deadline_ns, relaxed) != SKUA__NEVER;
}

static void claim_if_innermost(struct skua__scope *scope, uint32_t cause,
                               struct skua__wake_list *list)
{
    if (is_innermost(scope)) {
        claim_wait(scope, cause, list);
    }
}

/* Claims the waits in the tree. Inside a shield a waiter is only told to look at its scope and its
   deadlines again: the shield's grace counts from now on. Under the lock of the top. */
static void claim_tree(struct skua__scope *top, uint32_t cause, struct skua__wake_list *list)
{
    struct skua__scope *scope = top;
    struct skua__link *link = top->children.head.next;
    uint32_t shields = 0; /* between here and the top, which does not count */
    claim_if_innermost(top, cause, list);
    while (scope != top || link != &top->children.head) {
        if (link == &scope->children.head) {
            shields -= has_flag(scope, SKUA__SCOPE_SHIELD);
            link = leave_scope(&scope);
        } else if (!concerns(scope_at(link), scope)) {
            link = link->next;
        } else {
            scope = scope_at(link);
            skua__lock(&scope->lock, SKUA__RANK_SCOPE);
            shields += has_flag(scope, SKUA__SCOPE_SHIELD);
            claim_if_innermost(scope, shields > 0 ? SKUA__CAUSE_RECHECK : cause, list);
            link = scope->children.head.next;
        }
    }
}

/* For scopes that may be those of a task that is just being made. */
static bool is_open(const struct skua__scope *scope)
{
    /* acquire: pairs with the release in task_launch(): the lists of a root scope are there. */
    return (skua__load(&scope->flags, acquire) & SKUA__SCOPE_OPEN) != 0;
}

void skua__scope_mark_cancelled(struct skua__scope *scope, int reason)
{
    skua__lock(&scope->lock, SKUA__RANK_SCOPE);
    if (is_open(scope)) {
        note_cause(scope, SKUA__SCOPE_REQUESTED, reason);
        mark(scope);
    }
    skua__unlock(&scope->lock, SKUA__RANK_SCOPE);
}

void skua__scope_claim_cancelled(struct skua__scope *scope)
{
    struct skua__wake_list list;
    skua__wake_list_init(&list);
    skua__lock(&scope->lock, SKUA__RANK_SCOPE);
    if (is_open(scope)) {
        claim_tree(scope, SKUA__CAUSE_CANCEL, &list);
    }
    skua__unlock(&scope->lock, SKUA__RANK_SCOPE);
    skua__wake_list_flush(&list);
}

/* Cancels an open scope: marks, fences, claims. */
void skua__scope_cancel_locked(struct skua__scope *scope, uint32_t flag, int reason,
                               skua_runtime *runtime, struct skua__wake_list *list)
{
    note_cause(scope, flag, reason);
    mark(scope);
    skua__runtime_heavy_fence(runtime);
    claim_tree(scope, SKUA__CAUSE_CANCEL, list);
}

static void cancel_scope(struct skua__scope *scope, uint32_t flag, int reason,
                         skua_runtime *runtime)
{
    struct skua__wake_list list;
    skua__wake_list_init(&list);
    skua__lock(&scope->lock, SKUA__RANK_SCOPE);
    if (has_flag(scope, SKUA__SCOPE_OPEN)) {
        skua__scope_cancel_locked(scope, flag, reason, runtime, &list);
    }
    /* From here on the scope may be closed and gone. */
    skua__unlock(&scope->lock, SKUA__RANK_SCOPE);
    skua__wake_list_flush(&list);
}

void skua__scope_cancel(struct skua__scope *scope, uint32_t flag, skua_runtime *runtime)
{
    int reason = flag == SKUA__SCOPE_EXPIRED ? -ETIMEDOUT : flag != 0 ? -ECANCELED : 0;
    cancel_scope(scope, flag, reason, runtime);
}

void skua__scope_cancel_because(struct skua__scope *scope, int reason, skua_runtime *runtime)
{
    if (reason >= 0) {
        skua__panic("a cancel's reason is a code < 0, and not %d", reason);
    }
    cancel_scope(scope, SKUA__SCOPE_REQUESTED, reason, runtime);
}

/* --- deadlines -------------------------------------------------------------------------------- */

/* Stores the moment, unless it must not be; true if it is an earlier one. Under the lock. */
static bool store_deadline(struct skua__scope *scope, int64_t deadline_ns, bool is_stop)
{
    int64_t present_ns = skua__load(&scope->deadline_ns, relaxed);
    uint32_t flags = skua__load(&scope->flags, relaxed);
    bool is_earlier = deadline_ns < present_ns;
    if ((flags & SKUA__SCOPE_OPEN) == 0 || present_ns < 0) {
        return false;
    }
    if (is_stop) {
        flags |= SKUA__SCOPE_STOPPING;
    }
    if (is_earlier || (flags & SKUA__SCOPE_STOPPING) == 0) {
        flags = is_stop ? flags | SKUA__SCOPE_STOP_DUE : flags & ~(uint32_t)SKUA__SCOPE_STOP_DUE;
        skua__store(&scope->deadline_ns, deadline_ns, relaxed);
    }
    skua__store(&scope->flags, flags, relaxed);
    return is_earlier;
}

void skua__scope_move_deadline(struct skua__scope *scope, int64_t deadline_ns, bool is_stop,
                               skua_runtime *runtime)
{
    struct skua__wake_list list;
    skua__wake_list_init(&list);
    if (is_stop && deadline_ns != SKUA__NEVER && has_flag(scope, SKUA__SCOPE_SHIELD)) {
        skua__panic("a shield is stopped with a moment, but a shield is not cancelled by a moment");
    }
    skua__lock(&scope->lock, SKUA__RANK_SCOPE);
    if (store_deadline(scope, deadline_ns, is_stop)) {
        skua__runtime_heavy_fence(runtime);
        claim_tree(scope, SKUA__CAUSE_RECHECK, &list);
    }
    /* From here on the scope may be closed and gone. */
    skua__unlock(&scope->lock, SKUA__RANK_SCOPE);
    skua__wake_list_flush(&list);
}

/* Cancels the scope if its deadline has come: under the lock, since it may have been moved. */
static void expire_one(struct skua__scope *scope, int64_t now_ns, skua_runtime *runtime)
{
    struct skua__wake_list list;
    skua__wake_list_init(&list);
    skua__lock(&scope->lock, SKUA__RANK_SCOPE);
    if (!skua__scope_is_cancelled(scope) && skua__load(&scope->deadline_ns, relaxed) <= now_ns) {
        bool is_stop = has_flag(scope, SKUA__SCOPE_STOP_DUE);
        skua__scope_cancel_locked(scope, is_stop ? SKUA__SCOPE_REQUESTED : SKUA__SCOPE_EXPIRED,
                                  is_stop ? -ECANCELED : -ETIMEDOUT, runtime, &list);
    }
    skua__unlock(&scope->lock, SKUA__RANK_SCOPE);
    skua__wake_list_flush(&list);
}

/* Outside of the shield: when do cancels reach inside. */
static int64_t shield_deadline(const struct skua__scope *shield, int64_t now_ns)
{
    int64_t grace_ns = skua__load(&shield->deadline_ns, relaxed);
    if (now_ns < grace_ns) {
        int64_t outer = skua__scope_is_cancelled(shield->parent)
                            ? 0
                            : skua__scope_deadline(shield->parent, now_ns);
        return outer > grace_ns ? outer : grace_ns;
    }
    return skua__scope_is_cancelled(shield->parent) ? 1
                                                    : skua__scope_deadline(shield->parent, now_ns);
}

int64_t skua__scope_deadline(const struct skua__scope *scope, int64_t now_ns)
{
    int64_t earliest = SKUA__NEVER;
    for (; scope != NULL; scope = scope->parent) {
        if (has_flag(scope, SKUA__SCOPE_SHIELD)) {
            int64_t outer = shield_deadline(scope, now_ns);
            return outer < earliest ? outer : earliest;
        }
        /* Where a reason has replaced the deadline there is none any more, except for the one that
           has fired. */
        int64_t deadline_ns = skua__load(&scope->deadline_ns, relaxed);
        bool is_one = deadline_ns >= 0 || has_flag(scope, SKUA__SCOPE_EXPIRED);
        earliest = is_one && deadline_ns < earliest ? deadline_ns : earliest;
    }
    return earliest;
}

bool skua__scope_expire(struct skua__scope *scope, int64_t now_ns, skua_runtime *runtime)
{
    for (struct skua__scope *outer = scope; outer != NULL; outer = outer->parent) {
        if (has_flag(outer, SKUA__SCOPE_SHIELD)) {
            if (now_ns >= skua__load(&outer->deadline_ns, relaxed) &&
                !skua__scope_is_cancelled(outer) &&
                (skua__scope_is_cancelled(outer->parent) ||
                 skua__scope_expire(outer->parent, now_ns, runtime))) {
                skua__scope_cancel(outer, 0, runtime);
            }
            break;
        }
        if (skua__load(&outer->deadline_ns, relaxed) <= now_ns &&
            !skua__scope_is_cancelled(outer)) {
            expire_one(outer, now_ns, runtime);
        }
    }
    return skua__scope_is_cancelled(scope);
}
