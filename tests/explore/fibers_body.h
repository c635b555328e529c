/* Fibers, as far as waiting needs them. fibers.h has the idea. */
#include "fibers.h"

#include "base/futex.h"

struct fibers *fibers;

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
    worker->current = fiber;
    worker->budget = INT32_MAX;
    task->runnable.runtime = fiber->runnable.runtime = &fibers->runtime;
    skua__list_init(&task->joiners);
    skua__store(&task->refs, 2, relaxed);
    /* The root scope, as skua__scope_init_root() and skua__task_run() leave it. */
    task->scope.deadline_ns = SKUA__NEVER;
    skua__list_init(&task->scope.children);
    skua__store(&task->scope.flags, SKUA__SCOPE_OPEN, relaxed);
    skua__store(&task->scope.fiber, fiber, relaxed);
    fiber->task = task;
    fiber->scope = &task->scope;
    fiber->timer.parker = &fiber->parker;
    skua__store(&fiber->parker.word, UINT64_C(100) << SKUA__SEQUENCE_SHIFT, relaxed);
}

void fibers_make(int count)
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

void fibers_check(void)
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

/* Weak: models that have the real task.c use those. */
__attribute__((weak)) skua_task *skua_self(void)
{
    struct skua__fiber *fiber = skua__fiber_self();
    return fiber != NULL ? fiber->task : NULL;
}

__attribute__((weak)) const char *skua_task_name(const skua_task *task)
{
    (void)task;
    return "task";
}
