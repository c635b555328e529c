/* Tasks: spawning, running, ending, joining, and what is left of them afterwards.

     (T1) refs counts the handles plus one until the task has ended; a slot with refs 0 is free.
          Who sees refs 1 and holds a handle is alone with the task: it has ended, and nobody else
          can come by a reference.
     (T2) status, error and DONE are written once, by the task's fiber, before the joiners are
          claimed.
     (T3) Joiners are linked only under the root scope's lock and only while DONE is not set.
     (T4) A notice is delivered when DONE is set, under the same lock: who takes it sees the end.
     (T5) The end is counted (worker->ended) after the last access to the runtime's task memory that
          the task itself makes, except for what the worker does with its own caches. */
#include "sched/task.h"

#include "base/futex.h"
#include "base/mem.h"
#include "base/panic.h"
#include "sched/defer.h"
#include "sched/dispatch.h"
#include "sched/fiber.h"
#include "sched/local.h"
#include "sched/member.h"
#include "sched/report.h"
#include "sched/watch.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool has_flag(const struct skua_task *task, uint32_t flag)
{
    return (skua__load(&task->scope.flags, relaxed) & flag) != 0;
}

/* --- freeing --------------------------------------------------------------------------------- */

static void free_names(struct skua_task *task)
{
    struct skua__task_name *name = skua__load(&skua__roomy(task)->name, relaxed);
    while (name != NULL) {
        struct skua__task_name *older = name->older;
        skua__free(name);
        name = older;
    }
}

/* Takes the causes of a failure of which we hold the last reference, to be followed by `rest`. */
static struct skua_task *take_causes(struct skua_task *task, struct skua_task *rest)
{
    /* acquire: orders what the other holders did before what we do; pairs with the releases in
       release_shared() and leave(). */
    bool is_alone = skua__load(&task->refs, acquire) == 1;
    struct skua_task *first = is_alone && task->error != NULL ? task->error->causes : NULL;
    struct skua_task **end = &first;
    if (first == NULL) {
        return rest;
    }
    task->error->causes = NULL;
    while (*end != NULL) {
        end = &skua__roomy(*end)->next_kept;
    }
    *end = rest;
    return first;
}

/* Causes have causes, in groups inside of groups: not by recursion, as for trees of scopes. */
static void record_free(struct skua__error_record *record)
{
    if (record == NULL) {
        return;
    }
    struct skua__kept causes = {.first = record->causes};
    struct skua_task *task;
    skua__free(record);
    while ((task = skua__kept_take(&causes)) != NULL) {
        causes.first = take_causes(task, causes.first);
        skua_task_release(task);
    }
}

void skua__task_free_parts(struct skua_task *task)
{
    if (has_flag(task, SKUA__TASK_ROOMY)) {
        free_names(task);
        if (has_flag(task, SKUA__TASK_ARG_ALLOCATED)) {
            skua__free(task->arg);
        }
    }
    skua__free(task->error);
}

void skua__task_free(struct skua_task *task)
{
    struct skua__worker *worker = skua__worker_self();
    skua_runtime *runtime = task->runnable.runtime;
    bool is_ours = worker != NULL && worker->runtime == runtime;
    if (SKUA_UNLIKELY(has_flag(task, SKUA__TASK_ROOMY) || task->error != NULL)) {
        record_free(task->error);
        task->error = NULL;
        skua__task_free_parts(task);
        if (has_flag(task, SKUA__TASK_ROOMY)) {
            skua__slab_return(&runtime->roomy_tasks, is_ours ? &worker->roomy_tasks : NULL, task);
            return;
        }
    }
    skua__slab_return(&runtime->tasks, is_ours ? &worker->tasks : NULL, task);
}

static void drop(struct skua_task *task);

/* --- running ---------------------------------------------------------------------------------- */

/* A failure gets a record, unless skua_fail() has made one for this very code. */
static void settle_error(struct skua_task *task, int status)
{
    if (task->error != NULL && task->error->error.code != status) {
        record_free(task->error);
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
        task->error->error.task_site = skua_task_site(task);
    }
}

/* Marks the task done and takes it out of reach of cancels. Under the lock. Once: from then on
   joiners may mark it seen, without the lock. */
static void mark_done(struct skua_task *task)
{
    uint32_t flags = skua__load(&task->scope.flags, relaxed);
    if (SKUA_UNLIKELY((flags & SKUA__TASK_DONE) != 0)) {
        return;
    }
    skua__store(&task->scope.fiber, NULL, relaxed);
    flags &= ~(uint32_t)SKUA__SCOPE_OPEN;
    /* release: publishes status, error and all that the task did; pairs with the acquire in
       skua__task_is_done(). */
    skua__store(&task->scope.flags, flags | SKUA__TASK_DONE, release);
}

void skua__task_abort(struct skua_task *task, uint32_t refs)
{
    if (task->locals != NULL) {
        skua__locals_release(task->locals);
        task->locals = NULL;
    }
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
    mark_done(task);
    skua__store(&task->refs, skua__load(&task->refs, relaxed) - (refs - 1), relaxed);
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
    skua_task_release(task);
}

/* A joiner that cannot be claimed: its wait has ended otherwise, or it is a notice, whose watcher
   may be waiting. That one, claimed, or NULL. Under the lock. */
static SKUA_NOINLINE struct skua__parker *deliver(struct skua_task *task,
                                                  struct skua__waiter *joiner)
{
    if (!skua__waiter_is_notice(joiner)) {
        return NULL;
    }
    mark_done(task); /* T4 */
    return skua__watch_deliver(joiner);
}

/* Claims the oldest joiner that still waits, or gives NULL. Under the lock. */
static inline struct skua__parker *claim_joiner(struct skua_task *task, struct skua__list *joiners)
{
    struct skua__link *link;
    while ((link = skua__list_pop_front(joiners)) != NULL) {
        struct skua__waiter *joiner = SKUA_CONTAINER(link, struct skua__waiter, link);
        if (SKUA_LIKELY(skua__waiter_claim(joiner))) {
            return joiner->parker;
        }
        struct skua__parker *watcher = deliver(task, joiner);
        if (watcher != NULL) {
            return watcher;
        }
    }
    return NULL;
}

/* Further joiners, a chunk at a time. Under the lock, which it gives up and takes again. */
static SKUA_NOINLINE void wake_joiners(struct skua_task *task, struct skua__parker *first)
{
    struct skua__wake_list list;
    skua__wake_list_init(&list);
    skua__wake_list_add(&list, first);
    mark_done(task);
    while ((first = claim_joiner(task, &task->scope.joiners)) != NULL) {
        if (skua__wake_list_add(&list, first)) {
            skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
            skua__wake_list_flush(&list);
            skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
        }
    }
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
    skua__wake_list_flush(&list);
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
}

void skua__task_finish(struct skua_task *task, struct skua__wake_list *wakes)
{
    struct skua__parker *joiner;
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
    mark_done(task);
    while ((joiner = claim_joiner(task, &skua__roomy(task)->joiners)) != NULL) {
        if (skua__wake_list_add(wakes, joiner)) {
            skua__wake_list_flush(wakes); /* under the locks, like a canceller */
        }
    }
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
}

/* The task is over, and gives its own reference back. A single fiber that joins it is claimed and
   returned, and all joiners are woken if there are others. */
static struct skua__runnable *leave(struct skua_task *task)
{
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
    struct skua__parker *joiner = claim_joiner(task, &task->scope.joiners);
    if (SKUA_UNLIKELY(!skua__list_is_empty(&task->scope.joiners))) {
        wake_joiners(task, joiner);
        joiner = NULL;
    }
    mark_done(task);
    uint32_t refs = skua__load(&task->refs, relaxed) - 1;
    /* release: orders the task's end before the free by the last holder, who may not take the lock;
       pairs with the acquire in skua_task_release(). From here on the slot may be another task's,
       for which only the lock is still ours. */
    skua__store(&task->refs, refs, release);
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
    if (SKUA_UNLIKELY(refs == 0)) {
        drop(task);
    }
    if (SKUA_LIKELY(joiner != NULL && !joiner->is_thread)) {
        return &SKUA_CONTAINER(joiner, struct skua__fiber, parker)->runnable;
    }
    if (joiner != NULL) {
        skua__wake(joiner);
    }
    return NULL;
}

/* Counts the end. The runtime, if it waits for its last task, is told. */
static void count_end(skua_runtime *runtime)
{
    struct skua__worker *worker = skua__worker_self();
    /* release: orders the counts of tasks that this one has started before its own end; pairs with
       the acquire in skua__runtime_live_tasks(). */
    skua__store(&worker->ended, skua__load(&worker->ended, relaxed) + 1, release);
    skua__runtime_light_fence(runtime);
    if (SKUA_UNLIKELY(skua__load(&runtime->end_watchers, relaxed) != 0)) {
        /* release: orders the count before the bell; pairs with the acquire in await_ends(). */
        skua__fetch_add(&runtime->ended_bell, 1, release);
        skua__futex_wake(&runtime->ended_bell, INT_MAX, false); /* all who wait */
    }
}

/* The task was told of its cancel, and has succeeded all the same: perhaps a mistake. Not so at the
   end of the runtime, when nobody waits for the result. */
static void note_swallowed(struct skua_task *task, int status)
{
    skua_runtime *runtime = task->runnable.runtime;
    skua__fetch_add(&runtime->cancels_swallowed, 1, relaxed);
    if (runtime->is_debugging) {
        const char *site = skua_task_site(task);
        skua__runtime_report(runtime, SKUA_REPORT_SWALLOWED,
                             "task '%s'%s%s was cancelled and has ended with %d all the same",
                             skua_task_name(task), site != NULL ? " of " : "",
                             site != NULL ? site : "", status);
    }
}

/* What was deferred in no scope, and whether a cancel was lost. */
static SKUA_NOINLINE void end_slowly(struct skua__fiber *fiber, struct skua_task *task, int status)
{
    skua__defers_run(fiber, &task->scope);
    bool is_shutdown = skua__load(&task->scope.deadline_ns, relaxed) == -ESHUTDOWN;
    if (fiber->was_refused && status >= 0 && !is_shutdown) {
        note_swallowed(task, status);
    }
    fiber->ends_slowly = fiber->was_refused = false;
}

static struct skua__runnable *task_end(struct skua__fiber *fiber, struct skua_task *task,
                                       int status)
{
    if (SKUA_UNLIKELY(fiber->scope != &task->scope)) {
        skua__panic("the task ended with an open scope");
    }
    if (SKUA_UNLIKELY(fiber->ends_slowly)) {
        end_slowly(fiber, task, status);
    }
    skua__fiber_check_locks(fiber); /* a deferred call may have given them back */
    skua_runtime *runtime = task->runnable.runtime;
    if (SKUA_UNLIKELY(fiber->stack.is_canary)) {
        skua__stack_check(&fiber->stack);
    }
    if (SKUA_UNLIKELY(fiber->keep_fpenv)) {
        fiber->keep_fpenv = false;
        skua__fpenv_restore(skua__worker_self()->root.fpenv);
    }
    struct skua__locals *locals = skua__load(&task->locals, relaxed);
    if (SKUA_UNLIKELY(locals != NULL)) {
        skua__locals_release(locals);
        skua__store(&task->locals, NULL, relaxed);
    }
    task->status = status;
    if (SKUA_UNLIKELY(status < 0 || task->error != NULL)) {
        settle_error(task, status);
    }
    /* Before anybody learns of the end: who joins may spawn the next one. */
    skua__runtime_uncount_tasks(runtime, 1);
    bool is_member = has_flag(task, SKUA__TASK_MEMBER);
    struct skua__runnable *joiner = SKUA_UNLIKELY(is_member) ? skua__member_end(task) : leave(task);
    skua__store(&fiber->task, NULL, relaxed);
    fiber->scope = NULL;
    count_end(runtime);
    return joiner;
}

SKUA_OPAQUE struct skua__runnable *skua__task_run(struct skua__fiber *fiber)
{
    struct skua_task *task = skua__fiber_task(fiber);
    fiber->runnable.pin = task->runnable.pin;
    fiber->cancels_ignored = 0;
    fiber->keep_fpenv = has_flag(task, SKUA__TASK_KEEP_FPENV);
    fiber->scope = &task->scope;
    /* release: publishes the fiber to cancellers; pairs with the acquire in claim_wait(). */
    skua__store(&task->scope.fiber, fiber, release);
    int status = task->fn(task->arg);
    skua__fork_check_synced(skua__worker_self(), fiber);
    return task_end(fiber, task, status);
}

/* --- handles ---------------------------------------------------------------------------------- */

skua_task *skua_task_retain(skua_task *task)
{
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
    uint32_t refs = skua__load(&task->refs, relaxed);
    if (refs == 0) {
        skua__panic("a task is retained that nobody holds");
    }
    skua__store(&task->refs, refs + 1, relaxed);
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
    return task;
}

bool skua__task_try_retain(struct skua_task *task)
{
    if ((skua__load(&task->scope.flags, relaxed) & SKUA__SCOPE_OPEN) == 0) {
        return false; /* the usual slot that a visitor meets */
    }
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
    /* acquire: pairs with the release in task_launch(): the fields are there. */
    bool is_open = (skua__load(&task->scope.flags, acquire) & SKUA__SCOPE_OPEN) != 0;
    if (is_open) {
        skua__store(&task->refs, skua__load(&task->refs, relaxed) + 1, relaxed);
    }
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
    return is_open;
}

void skua__task_report_unseen(const struct skua_task *task)
{
    if (skua_task_state(task) != SKUA_FAILED || has_flag(task, SKUA__TASK_SEEN)) {
        return;
    }
    skua__runtime_report_failure(task);
}

/* The last reference is gone. */
static void drop(struct skua_task *task)
{
    if (SKUA_UNLIKELY(task->status < 0)) {
        skua__task_report_unseen(task);
    }
    skua__task_free(task);
}

static SKUA_NOINLINE void release_shared(struct skua_task *task)
{
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
    uint32_t refs = skua__load(&task->refs, relaxed);
    if (refs == 0) {
        skua__panic("a task was released more often than it was held");
    }
    /* release: orders our uses of the task before the free by the last holder, who may not take the
       lock; pairs with the acquire in skua_task_release(). */
    skua__store(&task->refs, refs - 1, release);
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
    if (refs == 1) {
        drop(task);
    }
}

void skua_task_release(skua_task *task)
{
    if (task == NULL || skua__forked()) {
        return;
    }
    /* acquire: orders all uses by other holders, and the task's end, before the free; pairs with
       the releases in release_shared() and leave(). */
    if (SKUA_UNLIKELY(skua__load(&task->refs, acquire) != 1)) {
        release_shared(task);
        return;
    }
    skua__store(&task->refs, 0, relaxed); /* alone (T1) */
    struct skua__worker *worker = skua__worker_self();
    if (SKUA_LIKELY(worker != NULL && worker->runtime == task->runnable.runtime &&
                    task->error == NULL && task->status >= 0 &&
                    !has_flag(task, SKUA__TASK_ROOMY))) {
        skua__slab_return(&worker->runtime->tasks, &worker->tasks, task);
    } else {
        drop(task);
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

void skua_task_cancel_because(skua_task *task, int code)
{
    if (!skua__forked() && !skua__task_is_done(task)) {
        skua__scope_cancel_because(&task->scope, code, task->runnable.runtime);
    }
}

void skua_task_stop(skua_task *task, skua_time until)
{
    if (!skua__forked() && !skua__task_is_done(task)) {
        skua__scope_move_deadline(&task->scope, skua__scope_moment(until), true,
                                  task->runnable.runtime);
    }
}

/* One heavy fence for all. */
void skua_task_cancel_all(skua_task *const tasks[], size_t count)
{
    const skua_runtime *runtime = NULL;
    for (size_t i = 0; i < count && !skua__forked(); i++) {
        if (tasks[i] != NULL) {
            skua__scope_mark_cancelled(&tasks[i]->scope, -ECANCELED);
            runtime = tasks[i]->runnable.runtime;
        }
    }
    if (runtime == NULL) {
        return;
    }
    skua__runtime_heavy_fence(runtime);
    for (size_t i = 0; i < count; i++) {
        if (tasks[i] != NULL) {
            skua__scope_claim_cancelled(&tasks[i]->scope);
        }
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

/* Only failures are reported, so only they are marked. Nobody else writes the flags of a task that
   has ended. */
void skua__task_mark_seen(struct skua_task *task)
{
    if (SKUA_UNLIKELY(task->status < 0) && !has_flag(task, SKUA__TASK_SEEN)) {
        skua__fetch_or(&task->scope.flags, SKUA__TASK_SEEN, relaxed);
    }
}

int skua__task_look(struct skua_task *task)
{
    skua__task_mark_seen(task);
    return task->status;
}

const skua_error *skua_task_error(skua_task *task)
{
    if (!skua__task_is_done(task) || task->status >= 0 || task->error == NULL) {
        return NULL;
    }
    skua__task_mark_seen(task);
    return &task->error->error;
}

static const struct skua__roomy_task *roomy_of(const skua_task *task)
{
    return (const struct skua__roomy_task *)(const void *)task;
}

const char *skua_task_name(const skua_task *task)
{
    if (!has_flag(task, SKUA__TASK_ROOMY)) {
        return "task";
    }
    /* acquire: pairs with the release in skua__task_set_name(). */
    const struct skua__task_name *name = skua__load(&roomy_of(task)->name, acquire);
    return name != NULL ? name->text : "task";
}

const char *skua_task_site(const skua_task *task)
{
    return has_flag(task, SKUA__TASK_ROOMY) ? roomy_of(task)->site : NULL;
}

int skua__task_set_name(struct skua_task *task, const char *text)
{
    size_t bytes = strlen(text) + 1;
    struct skua__task_name *name = skua__alloc(sizeof *name + bytes);
    if (name == NULL) {
        return -ENOMEM;
    }
    memcpy(name->text, text, bytes);
    _Atomic(struct skua__task_name *) *present = &skua__roomy(task)->name;
    name->older = skua__load(present, relaxed);
    /* release: publishes the text; pairs with the acquire in skua_task_name(). Forked children may
       rename their task at once. */
    while (!skua__cas(present, &name->older, name, release, relaxed)) {}
    return 0;
}

int skua_rename_self(const char *name)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    struct skua_task *task = skua_self();
    if (task == NULL) {
        return -EPERM;
    }
    return has_flag(task, SKUA__TASK_ROOMY) ? skua__task_set_name(task, name) : -ENOTSUP;
}

skua_task *skua_self(void)
{
    struct skua__fiber *fiber = skua__fiber_self();
    return fiber != NULL ? skua__fiber_task(fiber) : NULL;
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
    if (record != NULL && last != NULL && last->error.code == code) {
        record->causes = last->causes;
        last->causes = NULL;
    }
    task->error = record;
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
    record_free(last);
    return code;
}

/* A record that says what another one says; or NULL. */
static struct skua__error_record *record_like(int code, const skua_error *error)
{
    size_t text_bytes = strlen(error->text) + 1;
    struct skua__error_record *record = skua__alloc(sizeof *record + text_bytes);
    if (record != NULL) {
        memcpy(record->text, error->text, text_bytes);
        record->error = *error;
        record->error.code = code;
        record->error.text = record->text;
    }
    return record;
}

/* What skua_fail() has said stays, if it was said of this very code. */
bool skua__task_set_causes(struct skua_task *task, int code, struct skua_task *causes)
{
    struct skua__kept last = {NULL, NULL, 0};
    struct skua__error_record *fresh = record_like(code, skua__kept_error(causes)), *unused = fresh;
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
    if (task->error == NULL || task->error->error.code != code) {
        unused = task->error;
        task->error = fresh;
    }
    struct skua__error_record *record = task->error;
    if (record != NULL) {
        last.first = record->causes;
        record->causes = causes;
    }
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
    record_free(unused);
    skua__kept_release(&last);
    return record != NULL;
}

/* --- joining ---------------------------------------------------------------------------------- */

static SKUA_ALWAYS_INLINE bool link_joiner(struct skua_task *task, struct skua__waiter *waiter)
{
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
    bool is_running = !has_flag(task, SKUA__TASK_DONE);
    if (is_running) {
        skua__list_push_back(skua__task_joiners(task), &waiter->link);
    }
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
    return is_running;
}

bool skua__task_link_joiner(struct skua_task *task, struct skua__waiter *waiter)
{
    return link_joiner(task, waiter);
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
    skua__wait_begin_for(&wait, SKUA__SOFT, skua__wait_join);
    skua__wait_is_for_task(&wait, task);
    skua__waiter_init(&joiner, &wait, 0, NULL);
    if (!link_joiner(task, &joiner)) {
        skua__wait_abandon(&wait);
        return 0;
    }
    int cause = skua__wait_park(&wait, deadline_ns);
    if (cause != 0) {
        skua__task_unlink_joiner(task, &joiner);
    }
    return cause;
}

static int wait_until_done(struct skua_task *task, skua_time deadline)
{
    struct skua__fiber *fiber = skua__fiber_self();
    if (fiber != NULL && task == skua__fiber_task(fiber)) {
        return -EDEADLK;
    }
    do {
        if (skua__is_now(deadline)) {
            return -EAGAIN;
        }
        int cause = wait_for_end(task, skua__deadline_ns(deadline));
        if (cause < 0 && cause != SKUA__RECHECK) {
            return cause;
        }
    } while (!skua__task_is_done(task));
    return 0;
}

int skua_join(skua_task *task, int *status, skua_time deadline)
{
    int result = skua__cancel_point();
    if (result < 0) {
        return result;
    }
    if (!skua__task_is_done(task)) {
        result = wait_until_done(task, deadline);
        if (result < 0) {
            return result;
        }
    }
    skua__task_mark_seen(task);
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
        skua__wait_begin_for(&wait, SKUA__SOFT, skua__wait_sleep);
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
    return skua__scope_is_cancelled(fiber->scope) ? skua__refused(fiber) : 0;
}

int skua_checkpoint(void)
{
    struct skua__worker *worker = skua__worker_self();
    struct skua__fiber *fiber = worker != NULL ? skua__worker_current(worker) : NULL;
    if (fiber != NULL && !skua__forked()) {
        skua__fork_checkpoint(worker, fiber);
        if (SKUA_UNLIKELY(skua__load(&worker->should_yield, relaxed))) {
            skua__store(&worker->should_yield, false, relaxed);
            skua__fiber_yield(fiber);
        }
    }
    return skua__cancel_point();
}
