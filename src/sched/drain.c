/* Draining, cancelling everything, and waiting for the last task.

     running --- skua_drain() ---> draining --- the moment ---> stopping --- the last task ---> over
        |                                                          ^
        +----------------- skua_runtime_destroy() -----------------+

   Draining: work from outside is refused. Stopping: every spawn is, and all tasks are cancelled.

     (N1) A task that is launched while all are cancelled either sees is_stopping, and cancels
          itself, or its open scope is visible to the visits, which come after a heavy fence.
     (N2) Ends are summed up before starts, and a task counts what it starts before its own end. So
          if the sums are equal no task was alive at that moment.
     (N3) Who waits for ends makes itself an end_watcher, fences, and then sums up; a task counts
          its end and then looks for watchers. One of the two sees the other.
     (N4) The moment is kept by the monitor: nothing has to be allocated for it, and no task can be
          in its way. In a test run, whose clock the monitor does not see, a task keeps it.
     (N5) Whoever waits in a service for work from outside has published so, in the service, before
          asking whether the runtime drains. Draining is set, fences, and then looks there. */
#include "sched/drain.h"

#include "base/futex.h"
#include "base/panic.h"
#include "sched/report.h"
#include "sched/runtime.h"
#include "sched/task.h"

#include <skua/control.h>

enum { NAMED_MAX = 10 };

/* --- cancelling everything -------------------------------------------------------------------- */

void skua__runtime_visit_tasks(skua_runtime *runtime, void (*visit)(void *task, void *arg),
                               void *arg)
{
    skua__slab_visit(&runtime->tasks, visit, arg);
    skua__slab_visit(&runtime->roomy_tasks, visit, arg);
}

static void mark_one(void *object, void *arg)
{
    (void)arg;
    struct skua_task *task = object;
    if (skua__task_try_retain(task)) {
        skua__scope_mark_cancelled(&task->scope, -ESHUTDOWN);
        skua_task_release(task);
    }
}

static void claim_one(void *object, void *arg)
{
    (void)arg;
    struct skua_task *task = object;
    if (skua__task_try_retain(task)) {
        skua__scope_claim_cancelled(&task->scope);
        skua_task_release(task);
    }
}

/* After a heavy fence (N5). */
static void tell_services(skua_runtime *runtime)
{
    for (int slot = 0; slot < SKUA__SERVICE_COUNT; slot++) {
        /* acquire: pairs with the release in make_service(). */
        struct skua__service *service = skua__load(&runtime->services[slot], acquire);
        if (service != NULL && service->drain != NULL) {
            service->drain(service);
        }
    }
}

/* With one heavy fence for all tasks. */
void skua__runtime_cancel_all(skua_runtime *runtime)
{
    skua__store(&runtime->is_draining, true, relaxed);
    skua__store(&runtime->is_stopping, true, relaxed);
    skua__runtime_heavy_fence(runtime);
    tell_services(runtime);
    skua__callbacks_close(&runtime->callbacks);
    skua__runtime_visit_tasks(runtime, mark_one, NULL);
    skua__runtime_heavy_fence(runtime);
    skua__runtime_visit_tasks(runtime, claim_one, NULL);
    skua__room_wake(&runtime->room);
}

/* --- draining --------------------------------------------------------------------------------- */

bool skua__runtime_is_draining(const skua_runtime *runtime)
{
    skua__runtime_light_fence(runtime); /* (N5) */
    return skua__load(&runtime->is_draining, relaxed);
}

int64_t skua__runtime_end_drain(skua_runtime *runtime, int64_t now_ns)
{
    int64_t cancel_at_ns = skua__load(&runtime->cancel_at_ns, relaxed);
    if (SKUA_LIKELY(cancel_at_ns > now_ns)) {
        return cancel_at_ns;
    }
    skua__store(&runtime->cancel_at_ns, SKUA__NEVER, relaxed);
    skua__runtime_cancel_all(runtime);
    return SKUA__NEVER;
}

static int keep_moment(void *arg)
{
    skua_runtime *runtime = skua_runtime_current();
    int status = skua_sleep(skua_time_at(*(int64_t *)arg));
    if (status == 0) {
        skua__runtime_cancel_all(runtime);
    }
    return 0; /* else somebody was faster */
}

/* Under a director. Without memory for a task the time to drain is over. */
static void cancel_by_task(skua_runtime *runtime, int64_t moment_ns)
{
    const skua_spawn_opts opts = {.name = "drain", .arg_bytes = sizeof moment_ns};
    if (moment_ns != SKUA__NEVER &&
        skua__submit_own(runtime, keep_moment, &moment_ns, &opts) == -ENOMEM) {
        skua__runtime_cancel_all(runtime);
    }
}

/* The earliest moment holds. */
static void cancel_at(skua_runtime *runtime, int64_t moment_ns)
{
    int64_t present_ns = skua__load(&runtime->cancel_at_ns, relaxed);
    while (moment_ns < present_ns &&
           !skua__cas(&runtime->cancel_at_ns, &present_ns, moment_ns, relaxed, relaxed)) {}
    skua__monitor_ring(runtime);
}

void skua_drain(skua_runtime *runtime, skua_time until)
{
    runtime = runtime != NULL ? runtime : skua_runtime_current();
    if (runtime == NULL || skua__forked()) {
        return;
    }
    bool is_outsider = skua__runtime_enter(runtime);
    int64_t moment_ns = skua__deadline_ns(until);
    skua__store(&runtime->is_draining, true, relaxed);
    if (moment_ns <= skua__clock_ns()) {
        skua__runtime_cancel_all(runtime);
    } else {
        skua__runtime_heavy_fence(runtime);
        tell_services(runtime);
        skua__room_wake(&runtime->room); /* outsiders wait in vain from now on */
        if (runtime->director != NULL) {
            cancel_by_task(runtime, moment_ns);
        } else {
            cancel_at(runtime, moment_ns);
        }
    }
    skua__runtime_leave(runtime, is_outsider);
}

/* --- waiting for the end ---------------------------------------------------------------------- */

uint64_t skua__runtime_live_tasks(skua_runtime *runtime)
{
    uint64_t ended = 0;
    for (uint32_t i = 0; i < runtime->worker_capacity; i++) {
        /* acquire: pairs with the release in count_end(). */
        ended += skua__load(&runtime->workers[i].ended, acquire);
    }
    uint64_t started = skua__load(&runtime->submitted, relaxed);
    for (uint32_t i = 0; i < runtime->worker_capacity; i++) {
        started += skua__load(&runtime->workers[i].started, relaxed);
    }
    return started - ended;
}

/* Without the one that runs callbacks, which comes and goes under their lock. */
static uint64_t others_alive(skua_runtime *runtime)
{
    struct skua__callbacks *callbacks = &runtime->callbacks;
    skua__lock(&callbacks->lock, SKUA__RANK_SERVICE);
    uint64_t own = callbacks->has_task;
    uint64_t live = skua__runtime_live_tasks(runtime);
    skua__unlock(&callbacks->lock, SKUA__RANK_SERVICE);
    return live - own;
}

/* Waits until count() is 0, or until the moment. Returns the last count. */
static uint64_t await_ends(skua_runtime *runtime, uint64_t (*count)(skua_runtime *runtime),
                           int64_t until_ns)
{
    for (;;) {
        /* acquire: pairs with the release in count_end(). */
        uint32_t bell = skua__load(&runtime->ended_bell, acquire);
        /* seq_cst: orders the bell before the counts: an end that we miss rings after it. It pairs
           with the fetch_add in count_end(). */
        skua__fence(seq_cst);
        uint64_t left = count(runtime);
        if (left == 0 || (until_ns != SKUA__NEVER && skua__clock_real_ns() >= until_ns)) {
            return left;
        }
        skua__futex_wait(&runtime->ended_bell, bell, until_ns, false);
    }
}

static void watch_ends(skua_runtime *runtime)
{
    skua__fetch_add(&runtime->end_watchers, 1, relaxed);
    skua__runtime_heavy_fence(runtime); /* (N3) */
}

int skua_runtime_wait(skua_runtime *runtime, skua_time deadline)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (skua__worker_self() != NULL) {
        return -EDEADLK;
    }
    watch_ends(runtime);
    uint64_t left = await_ends(runtime, others_alive, skua__deadline_ns(deadline));
    skua__fetch_sub(&runtime->end_watchers, 1, relaxed);
    if (left == 0) {
        return 0;
    }
    return skua__is_now(deadline) ? -EAGAIN : -ETIMEDOUT;
}

struct naming {
    skua_runtime *runtime;
    uint32_t left;
};

static void name_stubborn(void *object, void *arg)
{
    struct skua_task *task = object;
    struct naming *naming = arg;
    if (naming->left > 0 && skua__task_try_retain(task)) {
        skua__runtime_report(naming->runtime, SKUA_REPORT_STUBBORN, "  still running: task '%s'",
                             skua_task_name(task));
        naming->left--;
        skua_task_release(task);
    }
}

void skua__runtime_await_tasks(skua_runtime *runtime)
{
    watch_ends(runtime);
    int64_t patience = skua__clock_real_ns() + runtime->cleanup_ns;
    uint64_t live = await_ends(runtime, skua__runtime_live_tasks, patience);
    if (live > 0) {
        skua__runtime_report(
            runtime, SKUA_REPORT_STUBBORN,
            "runtime '%s' is ending, but %llu cancelled tasks go on; waiting for them",
            runtime->name, (unsigned long long)live);
        struct naming naming = {runtime, NAMED_MAX};
        skua__runtime_visit_tasks(runtime, name_stubborn, &naming);
        await_ends(runtime, skua__runtime_live_tasks, SKUA__NEVER);
    }
}
