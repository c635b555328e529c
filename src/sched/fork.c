/* Forks: the slow ways, and the end of children that were taken. fork.h has the idea.

     (F1) Private children are the running fiber's: a switch, a change of scope and the end of a
          task find the private stack empty, or empty it. So the newest private child is the newest
          child of whoever syncs, and all private children were forked in the present scope.
     (F2) A fiber's deque is pushed to and popped from by the thread that runs the fiber only.
     (F3) Private children are newer than all public ones of the same fiber. So a sync that finds no
          private child pops its own child from the deque, or nothing, if somebody took it.
     (F4) While QUEUED is set, the deque's runnable stands in one queue, or one worker is deciding
          about it. It is cleared by that worker only, which then looks at the deque once more; it
          is set, after a push, by the owner, who queues the runnable if it was clear. The two are
          read-modify-writes of one word: one of them sees the other. That worker sets it again only
          if the word has not changed since, which a version sees to: the deque may have been given
          back meanwhile.
          A deque that is not empty may be without QUEUED only while its fiber runs and has not been
          asked: it then takes the children back itself.
     (F5) Whoever takes a child out of the deque, or out of the private stack, runs it. A child that
          was taken is not touched any more after `join` says done: its frame may be gone.
     (F6) While a worker is parked, every other worker's limit says that somebody asks, unless it
          has public children. Who parks announces itself and then asks; who answers restores the
          limit, fences, and then looks for the announcement: one of them sees the other.

   Memory is needed only to share children. Without it they are LEFT to the sync, which calls them;
   so a fork cannot fail. */
#include "sched/fork.h"

#include "base/panic.h"
#include "sched/defer.h"
#include "sched/fiber.h"
#include "sched/runtime.h"
#include "sched/task.h"
#include "sched/worker.h"

/* Pauses before a sync waits; checkers compile with less, to have fewer steps to explore. */
#ifndef SKUA__JOIN_SPINS
#define SKUA__JOIN_SPINS 64
#endif

/* forks.state */
enum {
    QUEUED = 1,
    ORPHANED = 2, /* the fiber is through with it */
    PROMOTED = 4, /* the fiber has suspended: others have to run the children */
    VERSION = 8,  /* grows whenever QUEUED is cleared, and with each new fiber */
};

/* child.join; anything else is an address: of a slot, or of the parent's waiter */
enum {
    SYNCED = 0,
    OPEN = 1,  /* public, or taken */
    LEFT = 2,  /* not to be had by others, for lack of memory: the sync calls it */
    ENDED = 3, /* who took it has run it */
};

enum {
    DEQUE_CAPACITY = 32,
    LONE_BACKOFF_MAX = 1023,
};

/* --- the private stack ------------------------------------------------------------------------ */

/* The stack of no worker, for foreign threads: empty and full at once, so that forks and syncs go
   the slow way. */
static skua_child *no_slots[1];
struct skua__fork_line skua__fork_nobodys_line = {
    .bottom = &no_slots[1], .stack_low = UINTPTR_MAX, .limit = &no_slots[1]};

/* These fields are plain in the header, for C++; they are written by others as well. */
static _Atomic(uintptr_t) *stack_low_of(struct skua__fork_line *line)
{
    return (_Atomic(uintptr_t) *)&line->stack_low;
}

static _Atomic(skua_child **) *limit_of(struct skua__fork_line *line)
{
    return (_Atomic(skua_child **) *)&line->limit;
}

static struct skua__child *inside(skua_child *child)
{
    return (struct skua__child *)child;
}

static uint32_t private_count(const struct skua__fork_stack *stack)
{
    return (uint32_t)(stack->line.bottom - (skua_child **)&stack->slots[1]);
}

static skua_child **end_of(struct skua__fork_stack *stack)
{
    return &stack->slots[SKUA__FORK_SLOTS + 1];
}

void skua__fork_stack_init(struct skua__fork_stack *stack)
{
    stack->line.bottom = &stack->slots[1];
    skua__store(limit_of(&stack->line), end_of(stack), relaxed);
}

void skua__fork_set_stack_low(struct skua__fork_stack *stack, uintptr_t stack_low)
{
    skua__store(stack_low_of(&stack->line), stack_low, relaxed);
}

void skua__fork_ask(struct skua__fork_stack *stack)
{
    /* Looked at first: the line is the owner's, who reads it at every fork. */
    if (skua__load(limit_of(&stack->line), relaxed) != NULL) {
        skua__store(limit_of(&stack->line), NULL, relaxed);
        skua__store(stack_low_of(&stack->line), UINTPTR_MAX, relaxed);
    }
}

static bool is_anybody_idle(const skua_runtime *runtime)
{
    return skua__load(&runtime->idle.state, relaxed) != 0;
}

/* --- making public ---------------------------------------------------------------------------- */

static struct skua__forks *forks_of(struct skua__fiber *fiber)
{
    skua_runtime *runtime = fiber->runnable.runtime;
    if (fiber->forks != NULL && fiber->forks->runnable.pin == fiber->runnable.pin) {
        return fiber->forks;
    }
    skua__forks_release(fiber->forks); /* a task that was pinned otherwise has left it behind */
    fiber->forks = NULL;
    struct skua__forks *forks = skua__slab_take(&runtime->forks, NULL);
    if (forks == NULL) {
        return NULL;
    }
    if (skua__load(&forks->deque.array, relaxed) == NULL &&
        skua__deque_init(&forks->deque, DEQUE_CAPACITY) < 0) {
        skua__slab_return(&runtime->forks, NULL, forks);
        return NULL;
    }
    forks->runnable = (struct skua__runnable){.runtime = runtime,
                                              .kind = SKUA__RUNNABLE_FORKS,
                                              .pin = fiber->runnable.pin,
                                              .stack_class = fiber->runnable.stack_class};
    uint32_t last = skua__load(&forks->state, relaxed);
    skua__store(&forks->state, (last + VERSION) & ~(uint32_t)(VERSION - 1), relaxed);
    forks->fiber = fiber;
    fiber->forks = forks;
    return forks;
}

/* After a push: sees to it that the deque's runnable stands in a queue (F4). */
static void queue_forks(struct skua__forks *forks, uint32_t promoted)
{
    /* acq_rel: publishes the push to a worker that is about to clear QUEUED; pairs with the same in
       unqueue(). */
    if ((skua__fetch_or(&forks->state, QUEUED | promoted, acq_rel) & QUEUED) == 0) {
        skua__ready(&forks->runnable, SKUA__READY_SPAWNED);
    }
}

static bool has_public(struct skua__fiber *fiber)
{
    return fiber->forks != NULL && skua__deque_count(&fiber->forks->deque) > 0;
}

/* The oldest `count` private children become public, or are left to their syncs. */
static void make_public(struct skua__worker *worker, struct skua__fiber *fiber, uint32_t count)
{
    struct skua__fork_stack *stack = &worker->forks;
    skua_child **oldest = &stack->slots[1];
    struct skua__forks *forks = skua__forked() ? NULL : forks_of(fiber);
    if (forks != NULL) {
        skua__store(&forks->worker, worker->index, relaxed);
        if (SKUA_UNLIKELY(fiber->keep_fpenv)) {
            skua__store(&forks->fpenv, skua__fpenv_save().control, relaxed);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        struct skua__child *child = inside(oldest[i]);
        skua_assert(skua__load(&child->join, relaxed) == (uintptr_t)&oldest[i]);
        child->scope = fiber->scope;
        skua__store(&child->join, OPEN, relaxed);
        if (forks == NULL || skua__deque_push(&forks->deque, child) < 0) {
            skua__store(&child->join, LEFT, relaxed);
        }
    }
    stack->line.bottom -= count;
    for (uint32_t i = 0; i < private_count(stack); i++) {
        oldest[i] = oldest[i + count];
        skua__store(&inside(oldest[i])->join, (uintptr_t)&oldest[i], relaxed);
    }
}

/* A fork whose only child is the newest one: without it nobody could help, with it the sync that
   follows may be for nothing, and slow. So each time it was, longer patience. */
static bool lone_child_waits(struct skua__fork_stack *stack)
{
    uint32_t skips = skua__load(&stack->lone_skips, relaxed);
    if (skips == 0) {
        return false;
    }
    skua__store(&stack->lone_skips, skips - 1, relaxed);
    return true;
}

void skua__fork_lose_patience(struct skua__fork_stack *stack)
{
    skua__store(&stack->lone_skips, 0, relaxed);
}

/* Somebody may have asked, and is answered. `older`: private children that may be given away. */
static void answer(struct skua__worker *worker, struct skua__fiber *fiber, uint32_t older,
                   bool may_be_lone)
{
    struct skua__fork_stack *stack = &worker->forks;
    skua__store(limit_of(&stack->line), end_of(stack), relaxed);
    skua__fork_set_stack_low(stack, fiber->stack_low);
    /* seq_cst: orders the restored limit before the look at the idle word; pairs with the fence in
       park(), between the announcement in that word and the asking (F6). */
    skua__fence(seq_cst);
    if (!is_anybody_idle(worker->runtime) || skua__forked()) {
        return;
    }
    if (fiber->runnable.pin != 0) {
        skua__fork_ask(stack); /* its children cannot go elsewhere; the next fiber's can */
        return;
    }
    if (older > 0) {
        make_public(worker, fiber, (older + 1) / 2);
    } else if (may_be_lone && !has_public(fiber) && !lone_child_waits(stack)) {
        make_public(worker, fiber, 1);
    }
    if (has_public(fiber)) {
        skua__store(&fiber->forks->worker, worker->index, relaxed);
        queue_forks(fiber->forks, 0);
    } else {
        skua__fork_ask(stack); /* the next fork has to come here as well */
    }
}

void skua__fork_promote(struct skua__worker *worker, struct skua__fiber *fiber)
{
    int saved_errno = *worker->errno_place; /* the program's */
    make_public(worker, fiber, private_count(&worker->forks));
    if (has_public(fiber)) {
        queue_forks(fiber->forks, PROMOTED);
    }
    *worker->errno_place = saved_errno;
}

void skua__fork_checkpoint(struct skua__worker *worker, struct skua__fiber *fiber)
{
    if (SKUA_UNLIKELY(skua__load(limit_of(&worker->forks.line), relaxed) == NULL) &&
        skua__fork_has_private(&worker->forks)) {
        answer(worker, fiber, private_count(&worker->forks), false);
    }
}

void skua__fork_slowly(skua_child *child)
{
    struct skua__worker *worker = skua__worker_self();
    if (worker == NULL || skua__worker_current(worker) == NULL) {
        return; /* a foreign thread: the sync calls it */
    }
    struct skua__fork_stack *stack = &worker->forks;
    struct skua__fiber *fiber = skua__worker_current(worker);
    if (stack->line.bottom == end_of(stack)) {
        make_public(worker, fiber, SKUA__FORK_SLOTS / 2); /* for room; found when somebody asks */
    }
    skua__store(&inside(child)->join, (uintptr_t)stack->line.bottom, relaxed);
    *stack->line.bottom++ = child;
    if (SKUA_UNLIKELY(worker->runtime->takes_all_forks)) {
        skua__fork_promote(worker, fiber);
        skua__fork_ask(stack);
        return;
    }
    answer(worker, fiber, private_count(stack) - 1, true);
}

/* --- taking ----------------------------------------------------------------------------------- */

/* The worker that was dispatched to the deque's runnable does not put it back (F4). `was_empty`: it
   found nothing in the deque, so what is there now is new. */
static void unqueue(struct skua__forks *forks, bool was_empty)
{
    skua_runtime *runtime = forks->runnable.runtime;
    /* acq_rel: orders the look at the deque that follows after the owner's push, if the owner saw
       QUEUED; pairs with the same in queue_forks(). */
    uint32_t before = skua__fetch_add(&forks->state, VERSION - QUEUED, acq_rel);
    uint32_t after = before + VERSION - QUEUED;
    if ((before & ORPHANED) != 0) {
        skua__slab_return(&runtime->forks, NULL, forks);
        return;
    }
    bool must_go_on = was_empty || (before & PROMOTED) != 0 || is_anybody_idle(runtime);
    if (must_go_on && skua__deque_count(&forks->deque) > 0 &&
        /* acq_rel: pairs as above. */
        skua__cas(&forks->state, &after, after | QUEUED, acq_rel, relaxed)) {
        skua__ready(&forks->runnable, SKUA__READY_SPAWNED);
    }
}

bool skua__fork_take(struct skua__worker *worker, struct skua__runnable *runnable,
                     struct skua__fiber *fiber)
{
    struct skua__forks *forks = SKUA_CONTAINER(runnable, struct skua__forks, runnable);
    skua_runtime *runtime = worker->runtime;
    struct skua__child *child = skua__deque_steal(&forks->deque);
    if (child == NULL) {
        unqueue(forks, true);
        return false;
    }
    /* The parent waits for the child we hold: it and its fiber stay, and the deque is theirs. */
    fiber->child = child;
    skua__store(&fiber->task, skua__fiber_task(forks->fiber), relaxed);
    fiber->runnable.pin = forks->runnable.pin;
    fiber->keep_fpenv = forks->fiber->keep_fpenv;
    fiber->fpenv.control = skua__load(&forks->fpenv, relaxed);
    uint32_t owner = skua__load(&forks->worker, relaxed);
    bool has_more = skua__deque_count(&forks->deque) > 0;
    bool is_idle = is_anybody_idle(runtime);
    if (has_more && (is_idle || (skua__load(&forks->state, relaxed) & PROMOTED) != 0)) {
        skua__ready(&forks->runnable, SKUA__READY_SPAWNED);
        return true;
    }
    unqueue(forks, !has_more);
    if (is_idle) {
        skua__fork_ask(&runtime->workers[owner].forks); /* so that there is more to take */
    }
    return true;
}

struct skua__runnable *skua__fork_run(struct skua__fiber *fiber)
{
    struct skua__child *child = fiber->child;
    struct skua__scope root;
    fiber->child = NULL;
    fiber->cancels_ignored = 0;
    if (SKUA_UNLIKELY(fiber->keep_fpenv)) {
        skua__fpenv_restore(fiber->fpenv);
    }
    skua__scope_enter_child(&root, child->scope, fiber);
    int status = child->fn(child->arg);
    skua__fork_check_synced(skua__worker_self(), fiber);
    skua__fiber_check_locks(fiber);
    struct skua__defer *defers = skua__defers_hand_over(fiber, child->scope);
    fiber->ends_slowly = fiber->was_refused = false;
    skua__scope_leave_child(&root, fiber);
    skua__stack_check(&fiber->stack);
    if (SKUA_UNLIKELY(fiber->keep_fpenv)) {
        fiber->keep_fpenv = false;
        skua__fpenv_restore(skua__worker_self()->root.fpenv);
    }
    skua__store(&fiber->task, NULL, relaxed);
    child->status = status;
    child->defers = defers;
    /* acq_rel: publishes the status and all that the child did to the parent's sync, and orders the
       parent's waiter before the wake; pairs with the acquire and the swap in wait_for(). The last
       access to the child. */
    uintptr_t join = skua__exchange(&child->join, ENDED, acq_rel);
    if (join == OPEN) {
        return NULL;
    }
    struct skua__waiter *parent = (struct skua__waiter *)join;
    struct skua__parker *parker = parent->parker;
    bool is_claimed = skua__waiter_claim(parent);
    skua_require(is_claimed); /* nobody else wakes it */
    return &SKUA_CONTAINER(parker, struct skua__fiber, parker)->runnable;
}

/* --- syncing ---------------------------------------------------------------------------------- */

void skua__fork_check_synced(struct skua__worker *worker, struct skua__fiber *fiber)
{
    if (SKUA_UNLIKELY(skua__fork_has_private(&worker->forks) || has_public(fiber))) {
        skua__panic("a function has returned before it synced its forked children");
    }
}

static bool is_done(struct skua__child *child)
{
    /* acquire: pairs with the release in skua__fork_run(): what the child did is seen. */
    return skua__load(&child->join, acquire) == ENDED;
}

/* Somebody has taken the child, or will: wait for its end. */
static int wait_for(struct skua__fiber *fiber, struct skua__child *child, bool may_spin)
{
    for (int i = 0; may_spin && i < SKUA__JOIN_SPINS && !is_done(child); i++) {
        skua__spin_pause();
    }
    if (!is_done(child)) {
        struct skua__wait wait;
        struct skua__waiter parent;
        uintptr_t open = OPEN;
        skua__wait_begin_for(&wait, SKUA__HARD, "a forked child");
        skua__waiter_init(&parent, &wait, 0, NULL);
        /* acq_rel: publishes the waiter, or orders what the child did before our return; pairs with
           the exchange in skua__fork_run(). */
        if (skua__cas(&child->join, &open, (uintptr_t)&parent, acq_rel, acquire)) {
            int cause = skua__wait_park(&wait, SKUA__NEVER);
            skua_require(cause == 0);
        } else {
            skua__wait_abandon(&wait);
        }
    }
    skua__store(&child->join, SYNCED, relaxed);
    if (SKUA_UNLIKELY(child->defers != NULL)) {
        skua__defers_adopt(fiber, child->defers);
    }
    return child->status;
}

/* Call a child that nobody took, in the scope in which it was forked. */
static int call_in_scope(struct skua__fiber *fiber, struct skua__child *child)
{
    struct skua__scope *present = fiber->scope;
    skua__store(&child->join, SYNCED, relaxed);
    fiber->scope = child->scope;
    int status = child->fn(child->arg);
    if (fiber->scope != child->scope) {
        skua__panic("a forked function has returned with an open scope");
    }
    fiber->scope = present;
    return status;
}

static bool has_headroom(const struct skua__fiber *fiber)
{
    return (uintptr_t)__builtin_frame_address(0) > fiber->stack_low;
}

/* The child is private: the fast way was refused because somebody asks, or the stack is short. */
static int sync_private(struct skua__worker *worker, struct skua__fiber *fiber,
                        struct skua__child *child)
{
    struct skua__fork_stack *stack = &worker->forks;
    if (stack->line.bottom[-1] != (skua_child *)child) {
        skua__panic("children are synced in another order than newest first");
    }
    answer(worker, fiber, private_count(stack) - 1, false);
    if (SKUA_LIKELY(has_headroom(fiber))) {
        stack->line.bottom--;
        return child->fn(child->arg);
    }
    skua__fork_promote(worker, fiber);
    return skua__load(&child->join, relaxed) == LEFT ? call_in_scope(fiber, child)
                                                     : wait_for(fiber, child, false);
}

/* The child is public, or was left for lack of memory, or somebody took it. */
static int sync_public(struct skua__worker *worker, struct skua__fiber *fiber,
                       struct skua__child *child)
{
    struct skua__fork_stack *stack = &worker->forks;
    if (skua__load(&child->join, relaxed) == LEFT) {
        return call_in_scope(fiber, child);
    }
    if (fiber->forks == NULL) {
        skua__panic("a child is synced that was not forked here");
    }
    if ((!has_headroom(fiber) || worker->runtime->takes_all_forks) && !skua__forked()) {
        return wait_for(fiber, child, false);
    }
    void *newest = skua__deque_pop(&fiber->forks->deque);
    if (SKUA_UNLIKELY(newest == NULL && skua__forked())) {
        skua__panic("a child that another thread had taken is synced in a forked process");
    }
    if (newest == NULL) {
        stack->lone_backoff = 0;
        return wait_for(fiber, child, worker->runtime->worker_count > 1);
    }
    if (newest != child) {
        skua__panic("children are synced in another order than newest first");
    }
    if (skua__deque_count(&fiber->forks->deque) == 0) {
        uint32_t longer = 2 * stack->lone_backoff + 1;
        stack->lone_backoff = longer < LONE_BACKOFF_MAX ? longer : LONE_BACKOFF_MAX;
        skua__store(&stack->lone_skips, stack->lone_backoff, relaxed);
        if (is_anybody_idle(worker->runtime)) {
            skua__fork_ask(stack); /* nothing is public any more (F6) */
        }
    }
    return call_in_scope(fiber, child);
}

int skua__sync_slowly(skua_child *handle)
{
    struct skua__child *child = inside(handle);
    struct skua__worker *worker = skua__worker_self();
    if (worker == NULL || skua__worker_current(worker) == NULL) {
        skua_fn fn = child->fn;
        child->fn = NULL; /* for skua_child_fini() */
        return fn(child->arg);
    }
    struct skua__fiber *fiber = skua__worker_current(worker);
    int status = skua__fork_has_private(&worker->forks) ? sync_private(worker, fiber, child)
                                                        : sync_public(worker, fiber, child);
    return status;
}

void skua_child_fini(skua_child *handle)
{
    struct skua__child *child = inside(handle);
    struct skua__worker *worker = skua__worker_self();
    bool is_foreign = worker == NULL || skua__worker_current(worker) == NULL;
    if (child->fn == NULL) {
        return;
    }
    uintptr_t join = skua__load(&child->join, relaxed);
    bool is_newest = !is_foreign && skua__fork_has_private(&worker->forks) &&
                     worker->forks.line.bottom[-1] == handle;
    if (is_foreign || is_newest || join == OPEN || join == LEFT || join == ENDED) {
        int status = skua_sync(handle);
        (void)status;
    }
}

int skua_both(skua_fn left, void *left_arg, skua_fn right, void *right_arg)
{
    skua_child child;
    skua_fork(&child, left, left_arg);
    int right_status = right(right_arg);
    int left_status = skua_sync(&child);
    return left_status < 0 ? left_status : right_status;
}

/* --- memory ----------------------------------------------------------------------------------- */

void skua__forks_release(struct skua__forks *forks)
{
    if (forks == NULL) {
        return;
    }
    /* acq_rel: orders our accesses before those of whoever returns it to the slab; pairs with the
       same in unqueue(). */
    if ((skua__fetch_or(&forks->state, ORPHANED, acq_rel) & QUEUED) == 0) {
        skua__slab_return(&forks->runnable.runtime->forks, NULL, forks);
    }
}

static void free_deque(void *object, void *unused)
{
    (void)unused;
    skua__deque_fini(&((struct skua__forks *)object)->deque);
}

void skua__forks_fini(struct skua__slab *slab)
{
    skua__slab_visit(slab, free_deque, NULL);
    skua__slab_fini(slab);
}
