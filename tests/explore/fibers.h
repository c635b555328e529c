/* tests/explore/fibers.h: fibers for models of what waits: each thread of the model is a fiber with
   a worker of its own, and runs a task. The lower doors are replaced: suspending is waiting for
   skua__ready(), and a wake-up that comes twice is a failure. The rest is the library's.

   It is a whole source, for one file of a model to include: so the compiler puts the calls that
   watch plain memory into it, too. */
#ifndef SKUA_TESTS_EXPLORE_FIBERS_H
#define SKUA_TESTS_EXPLORE_FIBERS_H

#include "explore.h"

#include "base/futex.h"
#include "sched/defer.h"
#include "sched/fiber.h"
#include "sched/runtime.h"
#include "sched/task.h"
#include "sched/worker.h"

struct fibers {
    skua_runtime runtime;
    struct skua__worker *workers;
    struct skua__fiber fibers[EXPLORE_THREADS];
    struct skua_task tasks[EXPLORE_THREADS];
    struct skua__timer timers[EXPLORE_THREADS];
    _Atomic uint32_t is_ready[EXPLORE_THREADS];
};
static struct fibers *fibers;

__attribute__((visibility("hidden"))) _Thread_local struct skua__worker *skua__current_worker;
static int fiber_count;

#if !SKUA__TLS_HAS_LOAD
struct skua__worker *skua__worker_self(void)
{
    return skua__current_worker;
}
#endif

static void become(int thread)
{
    skua__current_worker = thread < fiber_count ? &fibers->workers[thread] : NULL;
}

static void make_fiber(int number)
{
    struct skua__worker *worker = &fibers->workers[number];
    struct skua__fiber *fiber = &fibers->fibers[number];
    struct skua_task *task = &fibers->tasks[number];
    worker->runtime = &fibers->runtime;
    worker->index = (uint32_t)number;
    worker->budget = INT32_MAX;
    worker->forks.line.bottom = (skua_child **)&worker->forks.slots[1];
    skua__store(&worker->current, fiber, relaxed);
    /* The LIFO slot is taken, so that whoever wakes has to come to skua__ready(). */
    skua__store(&worker->lifo, &worker->root.runnable, relaxed);
    task->runnable.runtime = fiber->runnable.runtime = &fibers->runtime;
    skua__store(&task->refs, 2, relaxed);
    skua__scope_init_root(&task->scope);
    skua__store(&task->scope.flags, SKUA__SCOPE_OPEN, relaxed);
    skua__store(&task->scope.fiber, fiber, relaxed);
    skua__store(&fiber->task, task, relaxed);
    fiber->scope = &task->scope;
    fiber->timer = &fibers->timers[number];
    fiber->timer->parker = &fiber->parker;
    skua__store(&fiber->parker.word, UINT64_C(100) << SKUA__SEQUENCE_SHIFT, relaxed);
}

/* In setup: threads below `count` are fibers, the others foreign threads. */
static void fibers_make(int count)
{
    fibers = explore_alloc(sizeof *fibers);
    fiber_count = count;
    skua__current_worker = NULL;
    explore_on_switch = become;
    fibers->runtime.worker_count = (uint32_t)count;
    fibers->workers = fibers->runtime.workers =
        explore_alloc((size_t)count * sizeof fibers->workers[0]);
    for (int i = 0; i < count; i++) {
        make_fiber(i);
    }
}

/* In finish: nobody was woken without waiting. */
static void fibers_check(void)
{
    skua__current_worker = NULL; /* the rest is done from outside */
    for (int i = 0; i < fiber_count; i++) {
        EXPLORE_CHECK(skua__load(&fibers->is_ready[i], relaxed) == 0);
    }
}

/* --- doors ------------------------------------------------------------------------------------ */

void skua__ready(struct skua__runnable *runnable, enum skua__ready_kind kind)
{
    (void)kind;
    struct skua__fiber *fiber = SKUA_CONTAINER(runnable, struct skua__fiber, runnable);
    EXPLORE_CHECK(runnable->pin == 0);
    runnable->next = NULL; /* as queues do: who makes it ready owns it now */
    /* release: publishes what the waker did, like the queues; pairs with the acquire in suspend. */
    uint32_t before = skua__fetch_add(&fibers->is_ready[fiber - fibers->fibers], 1, release);
    EXPLORE_CHECK(before == 0); /* else it was woken twice */
}

void skua__fiber_suspend(struct skua__fiber *self)
{
    _Atomic uint32_t *is_ready = &fibers->is_ready[self - fibers->fibers];
    explore_wait_while(is_ready, 0);
    /* acquire: pairs with the release in skua__ready(). */
    uint32_t before = skua__exchange(is_ready, 0, acquire);
    EXPLORE_CHECK(before == 1);
    self->runnable.next = NULL;
}

void skua__fiber_yield(struct skua__fiber *self)
{
    (void)self;
}

void skua__runtime_heavy_fence(const skua_runtime *runtime)
{
    (void)runtime;
    skua__fence_everywhere();
}

/* Nobody forks. */
__attribute__((weak)) void skua__fork_promote(struct skua__worker *worker,
                                              struct skua__fiber *fiber)
{
    (void)worker, (void)fiber;
}

__attribute__((weak)) void skua__fork_check_synced(struct skua__worker *worker,
                                                   struct skua__fiber *fiber)
{
    (void)worker, (void)fiber;
}

/* Nobody defers. */
__attribute__((weak)) void skua__defers_run_all(struct skua__fiber *fiber,
                                                struct skua__scope *scope)
{
    (void)fiber, (void)scope;
}

__attribute__((weak)) struct skua__defer *skua__defers_hand_over(struct skua__fiber *fiber,
                                                                 struct skua__scope *scope)
{
    (void)fiber, (void)scope;
    return NULL;
}

__attribute__((weak)) void skua__defers_adopt(struct skua__fiber *fiber, struct skua__defer *defers)
{
    (void)fiber, (void)defers;
}

__attribute__((weak)) void skua__fiber_check_locks(const struct skua__fiber *self)
{
    (void)self;
}

/* Weak: models that have the real task.c use those. */
__attribute__((weak)) skua_task *skua_self(void)
{
    struct skua__fiber *fiber = skua__fiber_self();
    return fiber != NULL ? skua__fiber_task(fiber) : NULL;
}

__attribute__((weak)) const char *skua_task_name(const skua_task *task)
{
    (void)task;
    return "task";
}

#endif
