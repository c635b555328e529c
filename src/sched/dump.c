/* What all tasks do, and the report that none of them can go on.

   A dump is taken while the tasks go on, from memory that stays what it is until the runtime ends:
   slots of tasks, and the heads of fibers. So each line is true of some moment, and no lock is held
   but the task's own, for as long as it takes to count a reference.

   The report of a deadlock must not be wrong: who reads it looks for an error in the program. So it
   comes only when nothing can wake any task. That is the case when, at one moment,
     (Z1) all workers are parked, nothing is queued, and no timer is armed;
     (Z2) there is no poller and no pool of blocking threads: nothing is awaited from outside;
     (Z3) the process has no thread but the runtime's own and the one that sleeps in skua_run(), so
          that nobody can call anything;
     (Z4) no task sleeps: who sleeps for good waits to be cancelled, by a signal for instance.
   In a debug run (Z3) is left out, and the report says so. Rejected: a graph of who waits for whom
   (events and channels have no owners). */
#include "base/futex.h"
#include "sched/report.h"

#include "sched/drain.h"
#include "sched/fiber.h"
#include "sched/runtime.h"
#include "sched/task.h"

#include <dirent.h>
#include <skua/control.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 512, NAME_BYTES = 80 };

/* --- one task --------------------------------------------------------------------------------- */

/* The worker that runs the fiber, or NULL. */
static const struct skua__worker *worker_of(skua_runtime *runtime, const struct skua__fiber *fiber)
{
    for (uint32_t i = 0; i < skua__load(&runtime->workers_started, relaxed); i++) {
        if (skua__worker_current(&runtime->workers[i]) == fiber) {
            return &runtime->workers[i];
        }
    }
    return NULL;
}

static void describe_join(const struct skua__fiber *fiber, char *text, size_t bytes)
{
    /* acquire: pairs with the release in skua__wait_is_for_task(): the slot is there. */
    struct skua_task *other = skua__load(&fiber->waits_for_task, acquire);
    if (other != NULL && skua__task_try_retain(other)) {
        snprintf(text, bytes, "waits for the end of '%.*s'", NAME_BYTES, skua_task_name(other));
        skua_task_release(other);
    } else {
        snprintf(text, bytes, "waits for %s", skua__wait_join);
    }
}

static void describe_wait(const struct skua__fiber *fiber, char *text, size_t bytes)
{
    const char *what = skua__load(&fiber->waits_for, relaxed);
    if (what == skua__wait_join) {
        describe_join(fiber, text, bytes);
    } else if (what == skua__wait_sleep) {
        snprintf(text, bytes, "sleeps");
    } else if (what != NULL && strchr(what, ' ') != NULL) {
        snprintf(text, bytes, "waits for %s", what);
    } else {
        snprintf(text, bytes, "waits in %s()", what != NULL ? what : "?");
    }
    int64_t since_ns = skua__load(&fiber->waits_since_ns, relaxed);
    if (fiber->runnable.runtime->is_debugging && since_ns != 0) {
        size_t length = strlen(text);
        snprintf(text + length, bytes - length, " since %lld ms",
                 (long long)((skua__clock_ns() - since_ns) / 1000000));
    }
}

static bool is_waiting(const struct skua__fiber *fiber)
{
    uint64_t state = skua__load(&fiber->parker.word, relaxed) & SKUA__STATE_MASK;
    return state == SKUA__STATE_WAITING || state == SKUA__STATE_HARD;
}

static void describe(skua_runtime *runtime, const struct skua_task *task, char *text, size_t bytes)
{
    /* acquire: pairs with the release in skua__task_run(): the fiber is whole. */
    const struct skua__fiber *fiber = skua__load(&task->scope.fiber, acquire);
    if (fiber == NULL) {
        const bool is_held = (skua__load(&task->scope.flags, relaxed) & SKUA__TASK_HELD) != 0;
        snprintf(text, bytes, is_held ? "waits for its job" : "is ready, and has not started");
        return;
    }
    const struct skua__worker *worker = worker_of(runtime, fiber);
    if (worker != NULL) {
        snprintf(text, bytes, "%s worker %u",
                 skua__worker_is_blocked(worker) ? "blocks" : "runs on", worker->index);
    } else if (is_waiting(fiber)) {
        describe_wait(fiber, text, bytes);
    } else {
        snprintf(text, bytes, "is ready");
    }
}

struct dump {
    skua_runtime *runtime;
    void (*write_line)(const char *line, void *arg);
    void *arg;
};

static void dump_task(void *object, void *arg)
{
    struct skua_task *task = object;
    const struct dump *dump = arg;
    if (!skua__task_try_retain(task)) {
        return;
    }
    char line[LINE_BYTES], state[LINE_BYTES / 2];
    describe(dump->runtime, task, state, sizeof state);
    bool is_cancelled = skua__scope_is_cancelled(&task->scope);
    const char *site = skua_task_site(task); /* a constant of the program */
    snprintf(line, sizeof line, "  '%.*s' %s%s%s%s", NAME_BYTES, skua_task_name(task), state,
             is_cancelled ? ", cancelled" : "", site != NULL ? ", from " : "",
             site != NULL ? site : "");
    skua_task_release(task);
    dump->write_line(line, dump->arg);
}

void skua__dump_tasks(skua_runtime *runtime, void (*write_line)(const char *line, void *arg),
                      void *arg)
{
    struct dump dump = {runtime, write_line, arg};
    skua__runtime_visit_tasks(runtime, dump_task, &dump);
}

/* --- for the program -------------------------------------------------------------------------- */

static void write_to_fd(const char *line, void *arg)
{
    char text[LINE_BYTES + 1];
    size_t length = (size_t)snprintf(text, sizeof text, "%s\n", line);
    for (size_t done = 0; done < length;) {
        ssize_t count = write(*(int *)arg, text + done, length - done);
        if (count < 0 && errno != EINTR) {
            return;
        }
        done += count > 0 ? (size_t)count : 0;
    }
}

/* "" before any I/O. */
static const char *poller_text(skua_runtime *runtime)
{
    /* acquire: pairs with the release in skua__runtime_set_poller(). */
    struct skua__poller *poller = skua__load(&runtime->poller, acquire);
    return poller != NULL && poller->describe != NULL ? poller->describe(poller) : "";
}

void skua_dump(skua_runtime *runtime, int fd)
{
    runtime = runtime != NULL ? runtime : skua_runtime_current();
    if (runtime == NULL || skua__forked()) {
        return;
    }
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "skua: runtime '%s': %llu tasks on %u workers%s%s", runtime->name,
             (unsigned long long)skua__runtime_live_tasks(runtime), runtime->worker_count,
             poller_text(runtime), skua__runtime_is_draining(runtime) ? ", draining" : "");
    write_to_fd(line, &fd);
    skua__dump_tasks(runtime, write_to_fd, &fd);
}

/* --- deadlocks -------------------------------------------------------------------------------- */

static bool has_pinned_work_or_timers(const skua_runtime *runtime)
{
    for (uint32_t i = 0; i < runtime->worker_capacity; i++) {
        const struct skua__worker *worker = &runtime->workers[i];
        if (skua__wheel_next(&worker->wheel) != SKUA__NEVER ||
            skua__inject_count(&worker->inbox) > 0 || skua__load(&worker->lifo, relaxed) != NULL) {
            return true;
        }
    }
    return false;
}

static bool has_services(const skua_runtime *runtime)
{
    for (int i = 0; i < SKUA__SERVICE_COUNT; i++) {
        if (skua__load(&runtime->services[i], relaxed) != NULL) {
            return true;
        }
    }
    return skua__load(&runtime->poller, relaxed) != NULL;
}

/* (Z1) and (Z2). */
static bool is_quiet(skua_runtime *runtime)
{
    return skua__idle_parked(&runtime->idle) == runtime->worker_count &&
           skua__idle_parked(&runtime->reserve) == skua__runtime_stand_ins(runtime) &&
           !skua__runtime_has_work(runtime) && !has_pinned_work_or_timers(runtime) &&
           !has_services(runtime) && skua__load(&runtime->outsiders, relaxed) == 0 &&
           skua__load(&runtime->cancel_at_ns, relaxed) == SKUA__NEVER;
}

/* (Z3): workers, this one (the monitor), and the one in skua_run(). */
static bool has_other_threads(const skua_runtime *runtime)
{
    uint32_t count = 0;
    DIR *folder = opendir("/proc/self/task");
    if (folder == NULL) {
        return true;
    }
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    return count != skua__load(&runtime->workers_started, relaxed) + 2;
}

/* (Z4). */
static void look_for_sleepers(void *object, void *arg)
{
    struct skua_task *task = object;
    bool *has_sleepers = arg;
    if (skua__task_try_retain(task)) {
        /* acquire: pairs with the release in skua__task_run(): the fiber is whole. */
        const struct skua__fiber *fiber = skua__load(&task->scope.fiber, acquire);
        if (fiber == NULL || !is_waiting(fiber) ||
            skua__load(&fiber->waits_for, relaxed) == skua__wait_sleep) {
            *has_sleepers = true;
        }
        skua_task_release(task);
    }
}

static void report_line(const char *line, void *arg)
{
    skua__runtime_report(arg, SKUA_REPORT_DEADLOCK, "%s", line);
}

void skua__report_deadlock(skua_runtime *runtime)
{
    if (runtime->was_deadlock_reported || !skua__load(&runtime->is_alone, relaxed)) {
        return;
    }
    skua__runtime_heavy_fence(runtime);
    uint64_t live = skua__runtime_live_tasks(runtime);
    if (live == 0 || !is_quiet(runtime)) {
        return;
    }
    bool has_sleepers = false, has_threads = has_other_threads(runtime);
    skua__runtime_visit_tasks(runtime, look_for_sleepers, &has_sleepers);
    if (has_sleepers || (has_threads && !runtime->is_debugging) || !is_quiet(runtime)) {
        return;
    }
    runtime->was_deadlock_reported = true;
    skua__runtime_report(runtime, SKUA_REPORT_DEADLOCK,
                         "all %llu tasks of runtime '%s' wait for each other%s:",
                         (unsigned long long)live, runtime->name,
                         has_threads ? ", unless another thread of the program wakes one"
                                     : ", and nothing can wake them");
    skua__dump_tasks(runtime, report_line, runtime);
}
