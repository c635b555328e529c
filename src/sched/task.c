/* Tasks: spawning, running, ending, joining, and what is left of them afterwards.

     (T1) refs counts the handles plus one until the task has ended; a slot with refs 0 is free.
     (T2) status, error and DONE are written once, by the task's fiber, before the joiners are
          claimed.
     (T3) Joiners are linked only under the root scope's lock and only while DONE is not set.
     (T4) The end is counted (worker->ended) after the last access to the runtime's task memory that
          the task itself makes, except for what the worker does with its own caches. */
#include "sched/task.h"

#include "base/futex.h"
#include "base/mem.h"
#include "base/panic.h"
#include "sched/fiber.h"
#include "sched/local.h"
#include "sched/runtime.h"
#include "sched/worker.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool has_flag(const struct skua_task *task, uint32_t flag)
{
    return (skua__load(&task->flags, relaxed) & flag) != 0;
}

/* Flags have one writer at a time: the spawner, and then the task's fiber. */
static void set_flag(struct skua_task *task, uint16_t flag)
{
    skua__store(&task->flags, skua__load(&task->flags, relaxed) | flag, relaxed);
}

/* --- making and freeing ----------------------------------------------------------------------- */

static int set_argument(struct skua_task *task, void *arg, size_t arg_bytes)
{
    task->arg = arg;
    if (arg_bytes == 0) {
        return 0;
    }
    if (arg_bytes <= sizeof task->inline_arg) {
        task->arg = task->inline_arg;
    } else {
        task->arg = skua__alloc(arg_bytes);
        if (task->arg == NULL) {
            return -ENOMEM;
        }
        set_flag(task, SKUA__TASK_ARG_ALLOCATED);
    }
    memcpy(task->arg, arg, arg_bytes);
    return 0;
}

static int set_options(struct skua_task *task, skua_runtime *runtime, void *arg,
                       const skua_spawn_opts *opts)
{
    task->stack_class = runtime->stack_class;
    if (opts == NULL) {
        task->arg = arg;
        return 0;
    }
    if (opts->stack_bytes > 0) {
        int stack_class = skua__stack_class(opts->stack_bytes);
        if (stack_class < 0) {
            return stack_class;
        }
        task->stack_class = (uint32_t)stack_class;
    }
    if (opts->pin > 0) {
        task->runnable.pin = 1 + (opts->pin - 1) % runtime->worker_count;
    }
    if (opts->name != NULL && (task->name = skua__alloc_string(opts->name)) == NULL) {
        return -ENOMEM;
    }
    int status = set_argument(task, arg, opts->arg_bytes);
    if (opts->keep_fpenv) {
        set_flag(task, SKUA__TASK_KEEP_FPENV);
    }
    return status;
}

void skua__task_free_parts(struct skua_task *task)
{
    if (has_flag(task, SKUA__TASK_ARG_ALLOCATED)) {
        skua__free(task->arg);
    }
    skua__free(task->name);
    skua__free(task->error);
}

/* Frees a task that nobody refers to any more. */
static void task_free(struct skua_task *task)
{
    struct skua__worker *worker = skua__worker_self();
    skua_runtime *runtime = task->runnable.runtime;
    skua__task_free_parts(task);
    bool is_ours = worker != NULL && worker->runtime == runtime;
    skua__slab_return(&runtime->tasks, is_ours ? &worker->tasks : NULL, task);
}

static int task_make(struct skua_task **out, skua_runtime *runtime, struct skua__worker *worker,
                     skua_fn fn, void *arg, const skua_spawn_opts *opts)
{
    struct skua_task *task =
        skua__slab_take(&runtime->tasks, worker != NULL ? &worker->tasks : NULL);
    if (task == NULL) {
        return -ENOMEM;
    }
    task->runnable = (struct skua__runnable){.runtime = runtime, .kind = SKUA__RUNNABLE_TASK};
    skua__store(&task->flags, 0, relaxed);
    skua__store(&task->is_seen, false, relaxed);
    task->status = 0;
    task->fn = fn;
    task->name = NULL;
    task->error = NULL;
    skua__store(&task->locals, NULL, relaxed);
    skua__list_init(&task->joiners);
    skua__scope_init_root(&task->scope);
    int status = set_options(task, runtime, arg, opts);
    if (status < 0) {
        task_free(task);
        return status;
    }
    *out = task;
    return 0;
}

static int count_live(skua_runtime *runtime)
{
    if (runtime->max_tasks == 0) {
        return 0;
    }
    if (skua__fetch_add(&runtime->live_tasks, 1, relaxed) < runtime->max_tasks) {
        return 0;
    }
    skua__fetch_sub(&runtime->live_tasks, 1, relaxed);
    return -EAGAIN;
}

static void uncount_live(skua_runtime *runtime)
{
    if (runtime->max_tasks != 0) {
        skua__fetch_sub(&runtime->live_tasks, 1, relaxed);
    }
}

/* Makes the task known to the runtime's end, and ready. From here on it runs, whatever happens. */
static void task_launch(struct skua_task *task, skua_runtime *runtime, struct skua__worker *worker,
                        uint32_t refs)
{
    if (worker != NULL) {
        skua__store(&worker->started, skua__load(&worker->started, relaxed) + 1, relaxed);
    } else {
        skua__fetch_add(&runtime->submitted, 1, relaxed);
    }
    /* release: publishes the fields to whoever retains it while visiting the slab; pairs with the
       acquire in skua__task_try_retain(). */
    skua__store(&task->refs, refs, release);
    /* Our refs are set; now look at the flag. Pairs with the heavy fence in cancel_all(), which
       sets the flag and then visits the slab. */
    skua__runtime_light_fence(runtime);
    if (SKUA_UNLIKELY(skua__load(&runtime->is_stopping, relaxed))) {
        skua__fetch_or(&task->scope.flags, SKUA__SCOPE_CANCELLED | SKUA__SCOPE_REQUESTED, relaxed);
    }
    skua__ready(&task->runnable, SKUA__READY_SPAWNED);
}

static int spawn_into(skua_runtime *runtime, struct skua_task **out, skua_fn fn, void *arg,
                      const skua_spawn_opts *opts)
{
    if (fn == NULL || (opts != NULL && opts->arg_bytes > 0 && arg == NULL)) {
        return -EINVAL;
    }
    if (skua__load(&runtime->is_stopping, relaxed)) {
        return -ESHUTDOWN;
    }
    struct skua__worker *worker = skua__worker_self();
    struct skua__fiber *fiber = worker != NULL ? worker->current : NULL;
    if (worker != NULL && worker->runtime != runtime) {
        worker = NULL;
    }
    int status = count_live(runtime);
    if (status < 0) {
        return status;
    }
    struct skua_task *task;
    status = task_make(&task, runtime, worker, fn, arg, opts);
    if (status < 0) {
        uncount_live(runtime);
        return status;
    }
    if (fiber != NULL) {
        skua__store(&task->locals, skua__locals_of(fiber->task), relaxed);
    }
    if (out != NULL) {
        *out = task;
    }
    task_launch(task, runtime, worker, out != NULL ? 2 : 1);
    return 0;
}

int skua_spawn(skua_task **out, skua_fn fn, void *arg, const skua_spawn_opts *opts)
{
    if (SKUA_UNLIKELY(skua__forked())) {
        return -ESHUTDOWN;
    }
    skua_runtime *runtime = skua_runtime_current();
    return runtime == NULL ? -EPERM : spawn_into(runtime, out, fn, arg, opts);
}

int skua_submit(skua_runtime *runtime, skua_task **out, skua_fn fn, void *arg,
                const skua_spawn_opts *opts)
{
    if (SKUA_UNLIKELY(skua__forked())) {
        return -ESHUTDOWN;
    }
    return spawn_into(runtime, out, fn, arg, opts);
}

/* --- running ---------------------------------------------------------------------------------- */

/* A failure gets a record, unless skua_fail() has made one for this very code. */
static void settle_error(struct skua_task *task, int status)
{
    if (task->error != NULL && task->error->error.code != status) {
        skua__free(task->error);
        task->error = NULL;
    }
    if (status < 0 && task->error == NULL) {
        task->error = skua__alloc(sizeof *task->error);
        if (task->error != NULL) {
            task->error->error = (skua_error){.code = status, .text = ""};
        }
    }
    if (task->error != NULL) {
        task->error->error.task_name = skua_task_name(task);
    }
}

/* Marks the task done, takes it out of reach of cancels, and claims up to a chunk of its joiners.
   True: there may be more. */
static bool finish(struct skua_task *task, struct skua__wake_list *list)
{
    struct skua__link *link;
    bool is_full = false;
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
    skua__store(&task->scope.fiber, NULL, relaxed);
    uint32_t scope_flags = skua__load(&task->scope.flags, relaxed);
    skua__store(&task->scope.flags, scope_flags & ~(uint32_t)SKUA__SCOPE_OPEN, relaxed);
    /* release: publishes status, error and all that the task did; pairs with the acquire in
       skua__task_is_done(). */
    skua__store(&task->flags, skua__load(&task->flags, relaxed) | SKUA__TASK_DONE, release);
    while (!is_full && (link = skua__list_pop_front(&task->joiners)) != NULL) {
        struct skua__waiter *joiner = SKUA_CONTAINER(link, struct skua__waiter, link);
        if (skua__waiter_claim(joiner)) {
            is_full = skua__wake_list_add(list, joiner->parker);
        }
    }
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
    return is_full;
}

/* Counts the end. The runtime, if it waits for its last task, is told. */
static void count_end(skua_runtime *runtime)
{
    struct skua__worker *worker = skua__worker_self();
    /* release: orders the counts of tasks that this one has started before its own end; pairs with
       the acquire in live_tasks(). */
    skua__store(&worker->ended, skua__load(&worker->ended, relaxed) + 1, release);
    skua__runtime_light_fence(runtime);
    if (SKUA_UNLIKELY(skua__load(&runtime->is_stopping, relaxed))) {
        /* release: orders the count before the bell; pairs with the acquire in wait_for_tasks(). */
        skua__fetch_add(&runtime->ended_bell, 1, release);
        skua__futex_wake(&runtime->ended_bell, 1, false);
    }
}

static void task_end(struct skua__fiber *fiber, struct skua_task *task, int status)
{
    if (fiber->scope != &task->scope) {
        skua__panic("the task ended with an open scope");
    }
    skua_runtime *runtime = task->runnable.runtime;
    skua__stack_check(&fiber->stack);
    if (fiber->keep_fpenv) {
        fiber->keep_fpenv = false;
        skua__fpenv_restore(skua__worker_self()->root.fpenv);
    }
    skua__locals_release(skua__load(&task->locals, relaxed));
    skua__store(&task->locals, NULL, relaxed);
    task->status = status;
    if (SKUA_UNLIKELY(status < 0 || task->error != NULL)) {
        settle_error(task, status);
    }
    uncount_live(runtime); /* before anybody learns of the end: who joins may spawn the next one */
    struct skua__wake_list list;
    skua__wake_list_init(&list);
    while (finish(task, &list)) {
        skua__wake_list_flush(&list);
    }
    skua__wake_list_flush(&list);
    fiber->task = NULL;
    fiber->scope = NULL;
    skua_task_release(task);
    count_end(runtime);
}

SKUA_OPAQUE void skua__task_run(struct skua__fiber *fiber)
{
    struct skua_task *task = fiber->task;
    fiber->runnable.pin = task->runnable.pin;
    fiber->cancels_ignored = 0;
    fiber->keep_fpenv = has_flag(task, SKUA__TASK_KEEP_FPENV);
    fiber->scope = &task->scope;
    /* release: publishes the fiber to cancellers; pairs with the acquire in claim_wait(). */
    skua__store(&task->scope.fiber, fiber, release);
    int status = task->fn(task->arg);
    skua__fork_check_synced(skua__worker_self());
    task_end(fiber, task, status);
}

/* --- handles ---------------------------------------------------------------------------------- */

skua_task *skua_task_retain(skua_task *task)
{
    uint32_t before = skua__fetch_add(&task->refs, 1, relaxed);
    if (before == 0) {
        skua__panic("a task is retained that nobody holds");
    }
    return task;
}

bool skua__task_try_retain(struct skua_task *task)
{
    uint32_t refs = skua__load(&task->refs, relaxed);
    while (refs != 0) {
        /* acquire: pairs with the release in task_launch(): the fields are there. */
        if (skua__cas(&task->refs, &refs, refs + 1, acquire, relaxed)) {
            return true;
        }
    }
    return false;
}

void skua__task_report_unseen(const struct skua_task *task)
{
    if (skua_task_state(task) != SKUA_FAILED || skua__load(&task->is_seen, relaxed)) {
        return;
    }
    const struct skua__error_record *record = task->error;
    bool has_text = record != NULL && record->error.text[0] != '\0';
    skua__report("task '%s' failed and nobody has asked for its status: %d (%s)%s%s",
                 skua_task_name(task), task->status, skua_error_text(task->status),
                 has_text ? ": " : "", has_text ? record->error.text : "");
}

void skua_task_release(skua_task *task)
{
    if (task == NULL || skua__forked()) {
        return;
    }
    /* acq_rel: orders all uses by other holders before the free; pairs with itself. */
    uint32_t before = skua__fetch_sub(&task->refs, 1, acq_rel);
    if (before == 0) {
        skua__panic("a task was released more often than it was held");
    }
    if (before == 1) {
        if (SKUA_UNLIKELY(task->status < 0)) {
            skua__task_report_unseen(task);
        }
        task_free(task);
    }
}

void skua_task_release_all(skua_task **tasks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        skua_task_release(tasks[i]);
        tasks[i] = NULL;
    }
}

void skua_task_cancel(skua_task *task)
{
    if (!skua__forked() && !skua__task_is_done(task)) {
        skua__scope_cancel(&task->scope, SKUA__SCOPE_REQUESTED, task->runnable.runtime);
    }
}

skua_task_status skua_task_state(const skua_task *task)
{
    if (!skua__task_is_done(task)) {
        return SKUA_RUNNING;
    }
    if (task->status >= 0) {
        return SKUA_DONE;
    }
    bool was_cancelled = task->status == -ECANCELED && skua__scope_is_cancelled(&task->scope);
    return was_cancelled ? SKUA_CANCELLED : SKUA_FAILED;
}

static void mark_seen(struct skua_task *task)
{
    skua__store(&task->is_seen, true, relaxed);
}

const skua_error *skua_task_error(skua_task *task)
{
    if (!skua__task_is_done(task) || task->status >= 0 || task->error == NULL) {
        return NULL;
    }
    mark_seen(task);
    return &task->error->error;
}

const char *skua_task_name(const skua_task *task)
{
    return task->name != NULL ? task->name : "task";
}

skua_task *skua_self(void)
{
    struct skua__fiber *fiber = skua__fiber_self();
    return fiber != NULL ? fiber->task : NULL;
}

int skua_fail_at(const char *file, int line, int code, const char *format, ...)
{
    struct skua_task *task = skua_self();
    if (task == NULL) {
        return code;
    }
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    struct skua__error_record *record = skua__alloc(sizeof *record + (size_t)length + 1);
    if (record != NULL) {
        va_start(arguments, format);
        vsnprintf(record->text, (size_t)length + 1, format, arguments);
        va_end(arguments);
        record->error =
            (skua_error){.code = code, .line = line, .file = file, .text = record->text};
    }
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE); /* forked children may fail at once */
    struct skua__error_record *last = task->error;
    task->error = record;
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
    skua__free(last);
    return code;
}

/* --- joining ---------------------------------------------------------------------------------- */

bool skua__task_link_joiner(struct skua_task *task, struct skua__waiter *waiter)
{
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
    bool is_running = !has_flag(task, SKUA__TASK_DONE);
    if (is_running) {
        skua__list_push_back(&task->joiners, &waiter->link);
    }
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
    return is_running;
}

void skua__task_unlink_joiner(struct skua_task *task, struct skua__waiter *waiter)
{
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
    if (skua__link_is_linked(&waiter->link)) {
        skua__list_remove(&waiter->link);
    }
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
}

static int wait_for_end(struct skua_task *task, int64_t deadline_ns)
{
    struct skua__wait wait;
    struct skua__waiter joiner;
    skua__wait_begin(&wait, SKUA__SOFT);
    skua__waiter_init(&joiner, &wait, 0, NULL);
    if (!skua__task_link_joiner(task, &joiner)) {
        skua__wait_abandon(&wait);
        return 0;
    }
    int cause = skua__wait_park(&wait, deadline_ns);
    if (cause != 0) {
        skua__task_unlink_joiner(task, &joiner);
    }
    return cause;
}

int skua_join(skua_task *task, int *status, skua_time deadline)
{
    int result = skua__cancel_point();
    if (result < 0) {
        return result;
    }
    if (task == skua_self()) {
        return -EDEADLK;
    }
    while (!skua__task_is_done(task)) {
        if (skua__is_now(deadline)) {
            return -EAGAIN;
        }
        int cause = wait_for_end(task, skua__deadline_ns(deadline));
        if (cause < 0 && cause != SKUA__RECHECK) {
            return cause;
        }
    }
    mark_seen(task);
    if (status != NULL) {
        *status = task->status;
    }
    return 0;
}

/* --- time ------------------------------------------------------------------------------------- */

int skua_sleep(skua_time until)
{
    int result = skua__cancel_point();
    if (result < 0 || skua__is_now(until)) {
        return result;
    }
    for (;;) {
        struct skua__wait wait;
        skua__wait_begin(&wait, SKUA__SOFT);
        int cause = skua__wait_park(&wait, skua__deadline_ns(until));
        if (cause == -ETIMEDOUT) {
            return 0;
        }
        if (cause != SKUA__RECHECK) {
            return cause;
        }
    }
}

int skua_yield(void)
{
    if (SKUA_UNLIKELY(skua__forked())) {
        return -ESHUTDOWN;
    }
    struct skua__fiber *fiber = skua__fiber_self();
    if (fiber == NULL) {
        skua__thread_yield();
        return 0;
    }
    skua__fiber_yield(fiber);
    if (SKUA_UNLIKELY(skua__scope_has_deadline(fiber->scope))) {
        skua__scope_expire(fiber->scope, skua__clock_ns(), fiber->runnable.runtime);
    }
    return skua__scope_is_cancelled(fiber->scope) ? -ECANCELED : 0;
}

int skua_checkpoint(void)
{
    struct skua__worker *worker = skua__worker_self();
    if (worker != NULL) {
        skua__fork_checkpoint(worker, worker->current);
    }
    return skua__cancel_point();
}
