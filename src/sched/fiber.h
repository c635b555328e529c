/* sched/fiber.h: fibers: one thread of control with a stack.

   A fiber runs tasks, one after the other: when its task has ended it takes the next fresh task
   that is ready, on the warm stack, or goes to its worker's cache. The control block lies at the
   top of the stack, in the page that the first frames use too: a parked task costs one page.

   Life of a fiber:
       create -> [ run task -> suspend <-> resume -> end of task ]* -> cache -> ... -> retired
       (memory returned)

   `on_cpu` is true while a thread executes on the stack. Who resumes a fiber waits until it is
   false: a fiber can be claimed and made ready by another thread a moment before it has switched
   away. */
#ifndef SKUA_SCHED_FIBER_H
#define SKUA_SCHED_FIBER_H

#include "arch/fpenv.h"
#include "base/sanitize.h"
#include "mem/stack.h"
#include "sched/runnable.h"
#include "sched/scope.h"
#include "sched/waiter.h"
#include "sched/wheel.h"

struct skua__child;
struct skua__defer;
struct skua__forks;
struct skua__worker;

struct skua__fiber {
    struct skua__runnable runnable;
    struct skua__parker parker;
    _Atomic(const char *) waits_for; /* what its present or latest wait is for */
    void *context;                   /* the stack pointer while suspended */
    _Atomic bool on_cpu;
    bool keep_fpenv;
    bool ends_slowly; /* something was deferred, or refused, since it began */
    bool was_refused; /* its task got -ECANCELED for a cancel of its own */
    int saved_errno;
    uint32_t cancels_ignored;         /* -ECANCELED returned in a row */
    uint32_t locks_held;              /* mutexes and rwlocks; counted by the fiber itself */
    _Atomic(struct skua_task *) task; /* written by who runs it; the monitor reads it */
    struct skua__child *child;        /* to be run instead of the task: one of its forks */
    struct skua__forks *forks;        /* its public children; NULL until there were any */
    uintptr_t stack_low;              /* below it, a sync leaves the child to another stack */
    struct skua__defer *defers;       /* what its scopes have to run when they are closed */
    struct skua__scope *scope;        /* innermost open one; changed by the fiber only */
    struct skua__timer *timer; /* constant, in a slab: wheels do not touch the pages of stacks */
    struct skua__fpenv fpenv;
    struct skua__stack stack;
    struct skua__sanitize sanitize;
    _Atomic(struct skua_task *) waits_for_task; /* whose end: of its runtime, or NULL */
    _Atomic int64_t waits_since_ns;             /* noted only in debug runs */
};

static inline struct skua_task *skua__fiber_task(const struct skua__fiber *fiber)
{
    return skua__load(&fiber->task, relaxed);
}

/* Make a fiber with a stack of the class for `runtime`, or NULL. */
struct skua__fiber *skua__fiber_create(skua_runtime *runtime, uint32_t stack_class);

/* Let the fiber, which has nothing to run, run it when it is switched to. False: there turned out
   to be nothing to run. */
bool skua__fiber_give(struct skua__worker *worker, struct skua__fiber *fiber,
                      struct skua__runnable *runnable);

/* Give its stack back. It must be in nobody's hands. */
void skua__fiber_retire(struct skua__fiber *fiber);

/* Let go of it without giving the stack back: all stacks are about to be unmapped. */
void skua__fiber_abandon(struct skua__fiber *fiber);

/* Switch from the running context `from` to `to`; returns when somebody switches back, perhaps on
   another thread: no pointer to a worker survives the call. */
void skua__fiber_switch(struct skua__worker *worker, struct skua__fiber *from,
                        struct skua__fiber *to);

/* Suspend the running fiber, which has put itself where somebody will find it, and run what is
   ready. */
void skua__fiber_suspend(struct skua__fiber *self);

/* Panics if what the fiber has run ends while it holds a lock, which nobody could give back. */
void skua__fiber_check_locks(const struct skua__fiber *self);

/* Let others run first. */
void skua__fiber_yield(struct skua__fiber *self);

#endif
