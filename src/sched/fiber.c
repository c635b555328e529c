/* Fibers: making them, switching between them, and what a stack does when its task has ended. */
#include "sched/fiber.h"

#include "arch/switch.h"
#include "base/futex.h"
#include "base/panic.h"
#include "sched/dispatch.h"
#include "sched/service.h"
#include "sched/task.h"
#include "sched/worker.h"

#include <string.h>

/* While another thread is about to switch away from a stack: pauses before the processor is given
   away. */
enum { SPINS_BEFORE_YIELD = 200 };

/* The control block's place: colours keep the blocks of neighbouring stacks, which all lie at the
   same offset in their pages, from falling into the same few sets of the cache. */
enum { COLOURS = 8, COLOUR_BYTES = 128 };

/* An inline child finds at least this part of the stack free: 1 / HEADROOM_PART. */
enum { HEADROOM_PART = 4 };

static void fiber_main(void *self);

struct skua__fiber *skua__fiber_create(skua_runtime *runtime, uint32_t stack_class)
{
    struct skua__stack stack;
    struct skua__timer *timer = skua__slab_take(&runtime->timers, NULL);
    if (timer == NULL) {
        return NULL;
    }
    if (skua__stacks_take(&runtime->stacks, stack_class, &stack) < 0) {
        skua__slab_return(&runtime->timers, NULL, timer);
        return NULL;
    }
    uintptr_t top = (uintptr_t)stack.bottom + stack.bytes;
    uintptr_t colour = (top >> 17) * 5 % COLOURS * COLOUR_BYTES;
    uintptr_t place =
        (top - sizeof(struct skua__fiber) - colour) & ~(uintptr_t)(SKUA_CACHE_LINE - 1);
    struct skua__fiber *fiber = (struct skua__fiber *)place; /* returned stacks read as zeros */
    fiber->runnable.kind = SKUA__RUNNABLE_FIBER;
    fiber->runnable.stack_class = (uint16_t)stack_class;
    fiber->runnable.runtime = runtime;
    fiber->stack = stack;
    *timer = (struct skua__timer){.parker = &fiber->parker};
    fiber->timer = timer;
    fiber->stack_low = (uintptr_t)stack.bottom + stack.bytes / HEADROOM_PART;
    /* A sequence that this address has never seen: a claimer that slept through a retirement must
       fail. */
    uint64_t epoch = (uint64_t)skua__clock_real_ns() >> 10;
    skua__store(&fiber->parker.word, epoch << (SKUA__SEQUENCE_SHIFT + 8), relaxed);
    skua__sanitize_init(&fiber->sanitize, stack.bottom, stack.bytes);
    fiber->context = skua__switch_prepare(fiber, fiber_main);
    return fiber;
}

void skua__fiber_retire(struct skua__fiber *fiber)
{
    skua__forks_release(fiber->forks);
    skua__timer_disarm(fiber->timer);
    skua__slab_return(&fiber->runnable.runtime->timers, NULL, fiber->timer);
    skua__sanitize_fini(&fiber->sanitize);
    skua__stacks_return(&fiber->runnable.runtime->stacks, &fiber->stack);
}

void skua__fiber_abandon(struct skua__fiber *fiber)
{
    skua__sanitize_fini(&fiber->sanitize);
}

/* --- switching -------------------------------------------------------------------------------- */

/* First thing on the new stack: the one that was left is complete now and may be resumed by others.
   */
static inline void arrived(void)
{
    struct skua__worker *worker = skua__worker_self();
    struct skua__fiber *left = worker->left;
    bool has_ended = worker->left_has_ended;
    worker->left_has_ended = false;
    /* release: publishes the saved context and registers; pairs with the acquire in
       wait_until_left(). */
    skua__store(&left->on_cpu, false, release);
    if (has_ended) {
        skua__cache_fiber(worker, left);
    }
}

/* The fiber is ready, but the thread that made it so may have been faster than the one that is
   leaving. */
static SKUA_NOINLINE void wait_until_left(struct skua__fiber *fiber)
{
    int spins = 0;
    /* acquire: pairs with the release in arrived(). */
    while (skua__load(&fiber->on_cpu, acquire)) {
        if (++spins < SPINS_BEFORE_YIELD) {
            skua__spin_pause();
        } else {
            skua__thread_yield();
        }
    }
}

/* In line, so that the registers are saved once. */
static SKUA_ALWAYS_INLINE void switch_fibers(struct skua__worker *worker, struct skua__fiber *from,
                                             struct skua__fiber *to)
{
    /* acquire: pairs with the release in arrived(). */
    if (SKUA_UNLIKELY(skua__load(&to->on_cpu, acquire))) {
        wait_until_left(to);
    }
    skua_assert(!skua__fork_has_private(&worker->forks)); /* (F1) of fork.c */
    skua__store(&to->on_cpu, true, relaxed);
    worker->left = from;
    skua__store(&worker->current, to == &worker->root ? NULL : to, relaxed);
    skua__fork_set_stack_low(&worker->forks, to->stack_low);
    skua__sanitize_leave(&from->sanitize, &to->sanitize);
    skua__switch_inline(&from->context, to->context, to);
    skua__sanitize_arrive(&from->sanitize);
    arrived();
}

SKUA_OPAQUE void skua__fiber_switch(struct skua__worker *worker, struct skua__fiber *from,
                                    struct skua__fiber *to)
{
    switch_fibers(worker, from, to);
}

bool skua__fiber_give(struct skua__worker *worker, struct skua__fiber *fiber,
                      struct skua__runnable *runnable)
{
    if (SKUA_UNLIKELY(runnable->kind == SKUA__RUNNABLE_FORKS)) {
        return skua__fork_take(worker, runnable, fiber);
    }
    skua__store(&fiber->task, SKUA_CONTAINER(runnable, struct skua_task, runnable), relaxed);
    return true;
}

/* Where to go for `next`: a suspended fiber, a warm one for a fresh task, or the root. */
static SKUA_ALWAYS_INLINE struct skua__fiber *destination(struct skua__worker *worker,
                                                          struct skua__runnable *next)
{
    if (next == NULL) {
        return &worker->root;
    }
    if (next->kind == SKUA__RUNNABLE_FIBER) {
        return SKUA_CONTAINER(next, struct skua__fiber, runnable);
    }
    struct skua__fiber *fiber = skua__cached_fiber(worker, next->stack_class);
    if (fiber == NULL) {
        worker->pending = next;
        return &worker->root;
    }
    if (SKUA_UNLIKELY(!skua__fiber_give(worker, fiber, next))) {
        skua__cache_fiber(worker, fiber);
        return &worker->root;
    }
    return fiber;
}

/* Leaves for `next`. The program's errno belongs to the task; its place is the thread's, and is
   another one after the switch. */
static SKUA_ALWAYS_INLINE void suspend_for(struct skua__worker *worker, struct skua__fiber *self,
                                           struct skua__runnable *next)
{
    self->saved_errno = *worker->errno_place;
    if (SKUA_UNLIKELY(self->keep_fpenv)) {
        self->fpenv = skua__fpenv_save();
        skua__fpenv_restore(worker->root.fpenv); /* the others have the thread's */
    }
    switch_fibers(worker, self, destination(worker, next));
    if (SKUA_UNLIKELY(self->keep_fpenv)) {
        skua__fpenv_restore(self->fpenv);
    }
    *skua__worker_self()->errno_place = self->saved_errno;
}

/* Or had public ones once, which costs a closer look. */
static inline bool has_children(const struct skua__worker *worker, const struct skua__fiber *fiber)
{
    return skua__fork_has_private(&worker->forks) || fiber->forks != NULL;
}

SKUA_OPAQUE void skua__fiber_suspend(struct skua__fiber *self)
{
    struct skua__worker *worker = skua__worker_self();
    if (SKUA_UNLIKELY(has_children(worker, self))) {
        skua__fork_promote(worker, self);
    }
    struct skua__runnable *next = skua__dispatch_next(worker);
    if (next != &self->runnable) {
        suspend_for(worker, self, next);
    }
}

SKUA_OPAQUE void skua__fiber_yield(struct skua__fiber *self)
{
    struct skua__worker *worker = skua__worker_self();
    if (SKUA_UNLIKELY(has_children(worker, self))) {
        skua__fork_promote(worker, self);
    }
    if (SKUA_UNLIKELY(self->runnable.pin != 0) ||
        SKUA_UNLIKELY(!skua__ring_push(&worker->ring, &self->runnable))) {
        skua__ready_yielded(worker, &self->runnable);
    }
    struct skua__runnable *next = skua__dispatch_next(worker);
    if (next != &self->runnable) {
        suspend_for(worker, self, next);
    }
}

void skua__fiber_check_locks(const struct skua__fiber *self)
{
    if (SKUA_UNLIKELY(self->locks_held != 0) && !skua__forked()) {
        skua__panic("a task has ended while it holds %u lock%s", (unsigned)self->locks_held,
                    self->locks_held == 1 ? "" : "s");
    }
}

/* What it ran has ended, and who waits for that alone (if not NULL) is claimed: go on with
   something fresh on this warm stack, or leave. In line in the loop of fiber_main(), so that no
   return is pending when the stack is left or found again: the processor's memory of returns then
   still fits those who were left and go on after this. */
static SKUA_ALWAYS_INLINE void find_next_task(struct skua__fiber *self,
                                              struct skua__runnable *joiner)
{
    struct skua__worker *worker = skua__worker_self();
    struct skua__runnable *next =
        joiner != NULL ? skua__dispatch_after(worker, joiner) : skua__dispatch_next(worker);
    if (next != NULL && next->kind != SKUA__RUNNABLE_FIBER &&
        next->stack_class == self->runnable.stack_class) {
        if (SKUA_LIKELY(skua__fiber_give(worker, self, next))) {
            return;
        }
        next = NULL;
    }
    struct skua__fiber *to = destination(worker, next);
    worker->left_has_ended = true;
    switch_fibers(worker, self, to);
}

static void fiber_main(void *arg)
{
    struct skua__fiber *self = arg;
    skua__sanitize_arrive(&self->sanitize);
    arrived();
    for (;;) {
        struct skua__runnable *joiner =
            SKUA_UNLIKELY(self->child != NULL) ? skua__fork_run(self) : skua__task_run(self);
        find_next_task(self, joiner);
    }
}
