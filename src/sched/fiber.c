/* Fibers: making them, switching between them, and what a stack does when its task has ended. */
#include "sched/fiber.h"

#include "arch/switch.h"
#include "base/futex.h"
#include "base/panic.h"
#include "sched/runtime.h"
#include "sched/task.h"
#include "sched/worker.h"

#include <errno.h>
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
    if (skua__stacks_take(&runtime->stacks, stack_class, &stack) < 0) {
        return NULL;
    }
    uintptr_t top = (uintptr_t)stack.bottom + stack.bytes;
    uintptr_t colour = (top >> 17) * 5 % COLOURS * COLOUR_BYTES;
    uintptr_t place =
        (top - sizeof(struct skua__fiber) - colour) & ~(uintptr_t)(SKUA_CACHE_LINE - 1);
    struct skua__fiber *fiber = (struct skua__fiber *)place; /* returned stacks read as zeros */
    fiber->runnable.kind = SKUA__RUNNABLE_FIBER;
    fiber->runnable.runtime = runtime;
    fiber->stack = stack;
    fiber->timer.parker = &fiber->parker;
    fiber->stack_low = (uintptr_t)stack.bottom + stack.bytes / HEADROOM_PART;
    /* A sequence that this address has never seen: a claimer that slept through a retirement must
       fail. */
    uint64_t epoch = (uint64_t)skua__clock_ns() >> 10;
    skua__store(&fiber->parker.word, epoch << (SKUA__SEQUENCE_SHIFT + 8), relaxed);
    skua__sanitize_init(&fiber->sanitize, stack.bottom, stack.bytes);
    fiber->context = skua__switch_prepare(fiber, fiber_main);
    return fiber;
}

void skua__fiber_retire(struct skua__fiber *fiber)
{
    skua__timer_disarm(&fiber->timer);
    skua__forks_release(fiber->forks);
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
        skua__worker_cache_fiber(worker, left);
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
static inline void switch_fibers(struct skua__worker *worker, struct skua__fiber *from,
                                 struct skua__fiber *to)
{
    /* acquire: pairs with the release in arrived(). */
    if (SKUA_UNLIKELY(skua__load(&to->on_cpu, acquire))) {
        wait_until_left(to);
    }
    skua__store(&to->on_cpu, true, relaxed);
    worker->left = from;
    worker->current = to == &worker->root ? NULL : to;
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

/* The program's errno belongs to the task. Not inlined: the address of errno is the thread's, and
   must be found anew after a switch. */
static SKUA_OPAQUE void errno_set(int value)
{
    errno = value;
}

uint32_t skua__fiber_class_for(const struct skua__runnable *runnable)
{
    return runnable->kind == SKUA__RUNNABLE_TASK
               ? SKUA_CONTAINER(runnable, struct skua_task, runnable)->stack_class
               : skua__fork_stack_class(runnable);
}

bool skua__fiber_give(struct skua__worker *worker, struct skua__fiber *fiber,
                      struct skua__runnable *runnable)
{
    if (runnable->kind == SKUA__RUNNABLE_FORKS) {
        return skua__fork_take(worker, runnable, fiber);
    }
    fiber->task = SKUA_CONTAINER(runnable, struct skua_task, runnable);
    return true;
}

/* Where to go for `next`: a suspended fiber, a warm one for a fresh task, or the root. */
static struct skua__fiber *destination(struct skua__worker *worker, struct skua__runnable *next)
{
    if (next == NULL) {
        return &worker->root;
    }
    if (next->kind == SKUA__RUNNABLE_FIBER) {
        return SKUA_CONTAINER(next, struct skua__fiber, runnable);
    }
    struct skua__fiber *fiber = skua__worker_cached_fiber(worker, skua__fiber_class_for(next));
    if (fiber == NULL) {
        worker->pending = next;
        return &worker->root;
    }
    if (!skua__fiber_give(worker, fiber, next)) {
        skua__worker_cache_fiber(worker, fiber);
        return &worker->root;
    }
    return fiber;
}

SKUA_OPAQUE void skua__fiber_suspend(struct skua__fiber *self)
{
    struct skua__worker *worker = skua__worker_self();
    if (SKUA_UNLIKELY(skua__fork_has_private(&worker->forks))) {
        skua__fork_promote(worker, self);
    }
    struct skua__runnable *next = skua__worker_next(worker);
    if (next == &self->runnable) {
        return;
    }
    self->saved_errno = errno;
    if (SKUA_UNLIKELY(self->keep_fpenv)) {
        self->fpenv = skua__fpenv_save();
        skua__fpenv_restore(worker->root.fpenv); /* the others have the thread's */
    }
    switch_fibers(worker, self, destination(worker, next));
    if (SKUA_UNLIKELY(self->keep_fpenv)) {
        skua__fpenv_restore(self->fpenv);
    }
    errno_set(self->saved_errno);
}

void skua__fiber_yield(struct skua__fiber *self)
{
    skua__ready_yielded(skua__worker_self(), &self->runnable);
    skua__fiber_suspend(self);
}

/* The task has ended: go on with a fresh one on this warm stack, or leave. */
static SKUA_OPAQUE void find_next_task(struct skua__fiber *self)
{
    struct skua__worker *worker = skua__worker_self();
    struct skua__runnable *next = skua__worker_next(worker);
    if (next != NULL && next->kind != SKUA__RUNNABLE_FIBER &&
        skua__fiber_class_for(next) == self->stack.stack_class) {
        if (skua__fiber_give(worker, self, next)) {
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
        if (self->child != NULL) {
            skua__fork_run(self);
        } else {
            skua__task_run(self);
        }
        find_next_task(self);
    }
}
