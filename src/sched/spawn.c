/* Spawning: making tasks and giving them to the workers, one by one or many at once.

     (P1) A task is counted as started before its scope is open, and open before it stands in a
          queue: the end of the runtime finds each task that it has to wait for.
     (P2) Until a task is open nobody but its spawner knows it.

   Rejected for many at once: a first pass that makes and a second that opens (a million tasks are
   128 MB: at the second look none is in a cache any more), and a record that makes its tasks only
   when they start (a handle has to point to something). */
#include "base/mem.h"
#include "base/panic.h"
#include "sched/dispatch.h"
#include "sched/fiber.h"
#include "sched/held.h"
#include "sched/local.h"
#include "sched/member.h"
#include "sched/task.h"

#include <string.h>

/* For those who take their addresses, and for other languages; see SKUA_SITE. */
#undef skua_spawn
#undef skua_spawn_many
#undef skua_submit

/* The options have one writer, the spawner, before the task is launched. */
static void set_option(struct skua_task *task, uint32_t flag)
{
    skua__store(&task->scope.flags, skua__load(&task->scope.flags, relaxed) | flag, relaxed);
}

/* --- making ---------------------------------------------------------------------------------- */

static int set_argument(struct skua_task *task, const void *arg, size_t arg_bytes)
{
    if (arg_bytes <= sizeof skua__roomy(task)->inline_arg) {
        task->arg = skua__roomy(task)->inline_arg;
    } else {
        task->arg = skua__alloc(arg_bytes);
        if (task->arg == NULL) {
            return -ENOMEM;
        }
        set_option(task, SKUA__TASK_ARG_ALLOCATED);
    }
    memcpy(task->arg, arg, arg_bytes);
    return 0;
}

static int set_options(struct skua_task *task, void *arg, const skua_spawn_opts *opts)
{
    skua_runtime *runtime = task->runnable.runtime;
    if (opts->stack_bytes > 0) {
        int stack_class = skua__stack_class(opts->stack_bytes);
        if (stack_class < 0) {
            return stack_class;
        }
        task->runnable.stack_class = (uint16_t)stack_class;
    }
    if (opts->pin > 0) {
        task->runnable.pin = 1 + (opts->pin - 1) % runtime->worker_count;
    }
    if (opts->keep_fpenv) {
        set_option(task, SKUA__TASK_KEEP_FPENV);
    }
    if (opts->name != NULL && skua__task_set_name(task, opts->name) < 0) {
        return -ENOMEM;
    }
    return opts->arg_bytes > 0 ? set_argument(task, arg, opts->arg_bytes) : 0;
}

static inline struct skua_task *take_plain(skua_runtime *runtime, struct skua__worker *worker)
{
    return skua__slab_take(&runtime->tasks, worker != NULL ? &worker->tasks : NULL);
}

static struct skua_task *take_roomy(skua_runtime *runtime, struct skua__worker *worker)
{
    struct skua__roomy_task *task =
        skua__slab_take(&runtime->roomy_tasks, worker != NULL ? &worker->roomy_tasks : NULL);
    if (task == NULL) {
        return NULL;
    }
    skua__store(&task->name, NULL, relaxed);
    return &task->task;
}

static SKUA_ALWAYS_INLINE void task_init(struct skua_task *task, skua_runtime *runtime, void *arg,
                                         uint32_t options)
{
    task->runnable.runtime = runtime;
    task->runnable.pin = 0;
    task->runnable.kind = SKUA__RUNNABLE_TASK;
    task->runnable.stack_class = (uint16_t)runtime->stack_class;
    task->status = 0;
    task->arg = arg;
    skua__store(&task->locals, NULL, relaxed);
    task->error = NULL;
    skua__scope_init_root(&task->scope);
    skua__store(&task->scope.flags, options, relaxed);
}

static SKUA_NOINLINE int make_with_options(struct skua_task **out, skua_runtime *runtime,
                                           struct skua__worker *worker, void *arg,
                                           const skua_spawn_opts *opts, const char *site)
{
    static const skua_spawn_opts defaults;
    opts = opts != NULL ? opts : &defaults;
    bool is_roomy =
        opts->name != NULL || opts->arg_bytes > 0 || opts->group != NULL || runtime->is_debugging;
    struct skua_task *task = is_roomy ? take_roomy(runtime, worker) : take_plain(runtime, worker);
    if (task == NULL) {
        return -ENOMEM;
    }
    task_init(task, runtime, arg, is_roomy ? SKUA__TASK_ROOMY : 0);
    if (is_roomy) {
        skua__roomy(task)->site = site;
    }
    int status = set_options(task, arg, opts);
    if (status < 0) {
        skua__task_free(task);
        return status;
    }
    *out = task;
    return 0;
}

/* A task that nobody knows yet; 0 or an error. */
static SKUA_ALWAYS_INLINE int task_make(struct skua_task **out, skua_runtime *runtime,
                                        struct skua__worker *worker, void *arg,
                                        const skua_spawn_opts *opts, const char *site)
{
    if (SKUA_UNLIKELY(opts != NULL || runtime->is_debugging)) {
        return make_with_options(out, runtime, worker, arg, opts, site);
    }
    struct skua_task *task = take_plain(runtime, worker);
    if (SKUA_UNLIKELY(task == NULL)) {
        return -ENOMEM;
    }
    task_init(task, runtime, arg, 0);
    *out = task;
    return 0;
}

static int count_live(skua_runtime *runtime, size_t count)
{
    size_t limit = runtime->max_tasks;
    if (SKUA_LIKELY(limit == 0)) {
        return 0;
    }
    if (count <= limit && skua__fetch_add(&runtime->live_tasks, count, relaxed) <= limit - count) {
        return 0;
    }
    if (count <= limit) {
        /* Who looked for room meanwhile has seen us in it. */
        skua__runtime_uncount_tasks(runtime, count);
    }
    return -EAGAIN;
}

/* --- spawning -------------------------------------------------------------------------------- */

/* Makes the task known to the runtime's end. From here on it has to run, whatever happens. */
static inline void task_open(struct skua_task *task, skua_runtime *runtime, uint32_t refs)
{
    skua__store(&task->refs, refs, relaxed);
    uint32_t options = skua__load(&task->scope.flags, relaxed);
    /* release: publishes the fields to whoever visits the slab; pairs with the acquire in
       is_open() of scope.c and in skua__task_try_retain(). */
    skua__store(&task->scope.flags, options | SKUA__SCOPE_OPEN, release);
    /* The scope is open; now look at the flag. Pairs with the heavy fence in cancel_all(), which
       sets the flag and then visits the slab. */
    skua__runtime_light_fence(runtime);
    if (SKUA_UNLIKELY(skua__load(&runtime->is_stopping, relaxed))) {
        skua__store(&task->scope.deadline_ns, -ESHUTDOWN, relaxed); /* why */
        skua__fetch_or(&task->scope.flags, SKUA__SCOPE_CANCELLED | SKUA__SCOPE_REQUESTED, relaxed);
    }
}

static inline void inherit_locals(struct skua_task *task)
{
    struct skua__fiber *fiber = skua__fiber_self();
    if (fiber == NULL) {
        return;
    }
    struct skua_task *spawner = skua__fiber_task(fiber);
    if (SKUA_UNLIKELY(skua__load(&spawner->locals, relaxed) != NULL)) {
        skua__store(&task->locals, skua__locals_of(spawner), relaxed);
    }
}

/* Checks, counts and makes; 0 or an error. `worker` is the calling one, if it is of the runtime,
   else NULL. */
static SKUA_ALWAYS_INLINE int prepare(struct skua_task **task, skua_runtime *runtime,
                                      struct skua__worker *worker, void *arg,
                                      const skua_spawn_opts *opts, const char *site)
{
    if (SKUA_UNLIKELY(opts != NULL && opts->arg_bytes > 0 && arg == NULL)) {
        return -EINVAL;
    }
    if (SKUA_UNLIKELY(skua__load(&runtime->is_stopping, relaxed))) {
        return -ESHUTDOWN;
    }
    int status = count_live(runtime, 1);
    if (SKUA_UNLIKELY(status < 0)) {
        return status;
    }
    status = task_make(task, runtime, worker, arg, opts, site);
    if (SKUA_UNLIKELY(status < 0)) {
        skua__runtime_uncount_tasks(runtime, 1);
        return status;
    }
    inherit_locals(*task);
    return 0;
}

/* Counts it, opens it, and gives it to the workers. */
static SKUA_ALWAYS_INLINE void launch(struct skua_task *task, struct skua__worker *worker,
                                      skua_task **out, skua_fn fn)
{
    task->fn = fn;
    if (out != NULL) {
        *out = task;
    }
    skua__store(&worker->started, skua__load(&worker->started, relaxed) + 1, relaxed);
    task_open(task, worker->runtime, out != NULL ? 2 : 1);
    skua__dispatch_later(worker, &task->runnable);
}

/* --- members ---------------------------------------------------------------------------------- */

/* Nobody knows it yet, and nobody will. */
static void discard(struct skua_task *task)
{
    skua_runtime *runtime = task->runnable.runtime;
    struct skua__locals *locals = skua__load(&task->locals, relaxed);
    if (locals != NULL) {
        skua__locals_release(locals);
    }
    skua__task_free(task);
    skua__runtime_uncount_tasks(runtime, 1);
}

static struct skua__members *members_of(const skua_spawn_opts *opts)
{
    return (struct skua__members *)(void *)opts->group;
}

/* Under the lock of the set. */
static void open_member(struct skua__members *members, struct skua_task *task, uint32_t refs,
                        struct skua__start *start)
{
    struct skua__worker *worker = skua__worker_self();
    skua__members_add(members, task, start);
    skua__store(&worker->started, skua__load(&worker->started, relaxed) + 1, relaxed);
    task_open(task, worker->runtime, refs);
}

static int launch_member(struct skua__members *members, struct skua_task *task, skua_task **out,
                         struct skua__start *start)
{
    struct skua__worker *worker = skua__worker_self();
    int status = skua__members_lock(members, worker->runtime);
    if (status < 0) {
        discard(task);
        return status;
    }
    if (out != NULL) {
        *out = task;
    }
    open_member(members, task, out != NULL ? 2 : 1, start);
    skua__members_unlock(members);
    skua__dispatch_later(worker, &task->runnable);
    return 0;
}

/* --- spawning --------------------------------------------------------------------------------- */

static SKUA_NOINLINE int spawn_unusual(skua_task **out, skua_fn fn, void *arg,
                                       const skua_spawn_opts *opts, const char *site)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    struct skua__worker *worker = skua__worker_self();
    if (worker == NULL || skua__worker_current(worker) == NULL) {
        return -EPERM;
    }
    if (fn == NULL) {
        return -EINVAL;
    }
    struct skua_task *task;
    int status = prepare(&task, worker->runtime, worker, arg, opts, site);
    if (status < 0) {
        return status;
    }
    if (opts != NULL && opts->group != NULL) {
        task->fn = fn;
        return launch_member(members_of(opts), task, out, NULL);
    }
    launch(task, worker, out, fn);
    return 0;
}

int skua__member_spawn(struct skua__members *members, struct skua_task **out, skua_fn fn, void *arg,
                       const struct skua__birth *birth)
{
    if (SKUA_UNLIKELY(skua__forked())) {
        return -ESHUTDOWN;
    }
    struct skua__worker *worker = skua__worker_self();
    if (SKUA_UNLIKELY(worker == NULL || skua__worker_current(worker) == NULL)) {
        return -EPERM;
    }
    if (SKUA_UNLIKELY(fn == NULL)) {
        return -EINVAL;
    }
    struct skua_task *task;
    const skua_spawn_opts opts = {.group = (struct skua_group *)(void *)members};
    int status = prepare(&task, worker->runtime, worker, arg, &opts, birth->site);
    if (SKUA_UNLIKELY(status < 0)) {
        return status;
    }
    task->fn = fn;
    return launch_member(members, task, out, birth->start);
}

int skua_spawn_at(skua_task **out, skua_fn fn, void *arg, const skua_spawn_opts *opts,
                  const char *site)
{
    /* The usual case calls nothing, so that no registers have to be saved for it. */
    struct skua__worker *worker = skua__worker_self();
    if (SKUA_UNLIKELY(worker == NULL || skua__worker_current(worker) == NULL || opts != NULL ||
                      fn == NULL || worker->tasks.free == NULL || skua__forked())) {
        return spawn_unusual(out, fn, arg, opts, site);
    }
    skua_runtime *runtime = worker->runtime;
    const struct skua_task *spawner = skua__fiber_task(skua__worker_current(worker));
    if (SKUA_UNLIKELY(runtime->spawns_slowly || skua__load(&spawner->locals, relaxed) != NULL ||
                      skua__load(&runtime->is_stopping, relaxed))) {
        return spawn_unusual(out, fn, arg, opts, site);
    }
    struct skua_task *task = take_plain(runtime, worker);
    task_init(task, runtime, arg, 0);
    launch(task, worker, out, fn);
    return 0;
}

int skua_spawn(skua_task **out, skua_fn fn, void *arg, const skua_spawn_opts *opts)
{
    return skua_spawn_at(out, fn, arg, opts, NULL);
}

int skua_submit_at(skua_runtime *runtime, skua_task **out, skua_fn fn, void *arg,
                   const skua_spawn_opts *opts, const char *site)
{
    if (SKUA_UNLIKELY(skua__forked())) {
        return -ESHUTDOWN;
    }
    if (skua_runtime_current() == runtime) {
        return skua_spawn_at(out, fn, arg, opts, site);
    }
    if (opts != NULL && opts->group != NULL) {
        return -EPERM; /* its scope is of another runtime, or its owner cannot wait for us */
    }
    if (fn == NULL) {
        return -EINVAL;
    }
    if (SKUA_UNLIKELY(skua__load(&runtime->is_draining, relaxed))) {
        return -ESHUTDOWN;
    }
    struct skua_task *task;
    int status = prepare(&task, runtime, NULL, arg, opts, site);
    if (status < 0) {
        return status;
    }
    task->fn = fn;
    if (out != NULL) {
        *out = task;
    }
    skua__fetch_add(&runtime->submitted, 1, relaxed);
    task_open(task, runtime, out != NULL ? 2 : 1);
    skua__ready(&task->runnable, SKUA__READY_SPAWNED);
    return 0;
}

int skua_submit(skua_runtime *runtime, skua_task **out, skua_fn fn, void *arg,
                const skua_spawn_opts *opts)
{
    return skua_submit_at(runtime, out, fn, arg, opts, NULL);
}

int skua__submit_own(skua_runtime *runtime, skua_fn fn, void *arg, const skua_spawn_opts *opts)
{
    struct skua_task *task;
    if (skua__load(&runtime->is_stopping, relaxed)) {
        return -ESHUTDOWN;
    }
    int status = task_make(&task, runtime, NULL, arg, opts, NULL);
    if (status < 0) {
        return status;
    }
    skua__runtime_count_task(runtime);
    task->fn = fn;
    skua__fetch_add(&runtime->submitted, 1, relaxed);
    task_open(task, runtime, 1);
    skua__ready(&task->runnable, SKUA__READY_SPAWNED);
    return 0;
}

/* --- held ------------------------------------------------------------------------------------- */

/* Opens it, and gives it to nobody. */
static int open_held(struct skua_task *task, struct skua__worker *worker, struct skua_task **out,
                     const skua_spawn_opts *opts)
{
    const uint32_t refs = out != NULL ? 2 : 1;
    if (opts != NULL && opts->group != NULL) {
        int status = skua__members_lock(members_of(opts), worker->runtime);
        if (status < 0) {
            discard(task);
            return status;
        }
        if (out != NULL) {
            *out = task;
        }
        open_member(members_of(opts), task, refs, NULL);
        skua__members_unlock(members_of(opts));
        return 0;
    }
    if (out != NULL) {
        *out = task;
    }
    skua__store(&worker->started, skua__load(&worker->started, relaxed) + 1, relaxed);
    task_open(task, worker->runtime, refs);
    return 0;
}

int skua__task_hold(struct skua__held *held, struct skua_task **out, skua_fn fn, void *arg,
                    const skua_spawn_opts *opts, const char *site)
{
    if (SKUA_UNLIKELY(skua__forked())) {
        return -ESHUTDOWN;
    }
    struct skua__worker *worker = skua__worker_self();
    if (SKUA_UNLIKELY(worker == NULL || skua__worker_current(worker) == NULL)) {
        return -EPERM;
    }
    struct skua_task *task;
    int status = prepare(&task, worker->runtime, worker, held, opts, site);
    if (SKUA_UNLIKELY(status < 0)) {
        return status;
    }
    task->fn = fn;
    set_option(task, SKUA__TASK_HELD);
    held->task = task;
    held->arg = arg;
    return open_held(task, worker, out, opts);
}

void skua__task_go(struct skua__held *held)
{
    struct skua_task *task = held->task;
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
    uint32_t flags = skua__load(&task->scope.flags, relaxed);
    skua__store(&task->scope.flags, flags & ~(uint32_t)SKUA__TASK_HELD, relaxed);
    task->arg = held->arg;
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
    skua__ready(&task->runnable, SKUA__READY_SPAWNED);
}

/* --- many at once ----------------------------------------------------------------------------- */

/* What skua_spawn_many() is told. */
struct start {
    skua_task **out;
    skua_fn fn;
    void *args;
    size_t stride, count;
    const skua_spawn_opts *opts;
    const char *site;
};

/* Tasks that are open and in no queue yet, linked by runnable.next. */
struct batch {
    struct skua__runnable *first, *last;
    uint32_t count;
};

static void batch_add(struct batch *batch, struct skua__runnable *runnable)
{
    runnable->next = NULL;
    if (batch->first == NULL) {
        batch->first = runnable;
    } else {
        batch->last->next = runnable;
    }
    batch->last = runnable;
    batch->count++;
}

/* They will not run after all: they end at once, and nobody has a handle. Only the end of the
   runtime may have found them. */
static void batch_undo(struct batch *batch, struct skua__worker *worker, uint32_t refs)
{
    struct skua__runnable *next;
    skua__store(&worker->started, skua__load(&worker->started, relaxed) - batch->count, relaxed);
    for (struct skua__runnable *runnable = batch->first; runnable != NULL; runnable = next) {
        struct skua_task *task = SKUA_CONTAINER(runnable, struct skua_task, runnable);
        next = runnable->next;
        skua__task_abort(task, refs);
    }
}

/* Makes and opens them one by one: a second look at each would find it in no cache any more. */
static int batch_make(struct batch *batch, struct skua__worker *worker, uint32_t refs,
                      const struct start *start)
{
    char *arg = start->args;
    while (batch->count < start->count) {
        struct skua_task *task;
        int status = task_make(&task, worker->runtime, worker, arg, start->opts, start->site);
        if (SKUA_UNLIKELY(status < 0)) {
            return status;
        }
        task->fn = start->fn;
        inherit_locals(task);
        skua__store(&worker->started, skua__load(&worker->started, relaxed) + 1, relaxed);
        task_open(task, worker->runtime, refs);
        if (start->out != NULL) {
            start->out[batch->count] = task;
        }
        batch_add(batch, &task->runnable);
        arg = start->stride > 0 ? arg + start->stride : arg; /* it may be NULL */
    }
    return 0;
}

/* To all workers in one piece, or to the one they are pinned to. */
static void batch_launch(struct batch *batch, skua_runtime *runtime)
{
    struct skua__runnable *next;
    if (batch->first->pin == 0) {
        skua__ready_many(runtime, batch->first, batch->last, batch->count);
        return;
    }
    for (struct skua__runnable *runnable = batch->first; runnable != NULL; runnable = next) {
        next = runnable->next;
        skua__ready(runnable, SKUA__READY_SPAWNED);
    }
}

/* Members are all made before any is opened: then they come to the set at once, or none does. */
static int make_members(struct batch *batch, struct skua__worker *worker, const struct start *start)
{
    char *arg = start->args;
    while (batch->count < start->count) {
        struct skua_task *task;
        int status = task_make(&task, worker->runtime, worker, arg, start->opts, start->site);
        if (status < 0) {
            return status;
        }
        task->fn = start->fn;
        inherit_locals(task);
        if (start->out != NULL) {
            start->out[batch->count] = task;
        }
        batch_add(batch, &task->runnable);
        arg += start->stride;
    }
    return skua__members_lock(members_of(start->opts), worker->runtime);
}

static int spawn_members(struct skua__worker *worker, const struct start *start)
{
    struct batch batch = {NULL, NULL, 0};
    struct skua__runnable *next;
    int status = make_members(&batch, worker, start);
    for (struct skua__runnable *runnable = batch.first; runnable != NULL; runnable = next) {
        struct skua_task *task = SKUA_CONTAINER(runnable, struct skua_task, runnable);
        next = runnable->next;
        if (status < 0) {
            discard(task);
        } else {
            open_member(members_of(start->opts), task, start->out != NULL ? 2 : 1, NULL);
        }
    }
    if (status < 0) {
        skua__runtime_uncount_tasks(worker->runtime, start->count - batch.count);
        return status;
    }
    skua__members_unlock(members_of(start->opts));
    batch_launch(&batch, worker->runtime);
    return 0;
}

static int spawn_batch(struct skua__worker *worker, const struct start *start)
{
    skua_runtime *runtime = worker->runtime;
    if (skua__load(&runtime->is_stopping, relaxed)) {
        return -ESHUTDOWN;
    }
    if (start->count == 0 || start->count > INT32_MAX) {
        return start->count == 0 ? 0 : -ENOMEM;
    }
    int status = count_live(runtime, start->count);
    if (status < 0) {
        return status;
    }
    if (start->opts != NULL && start->opts->group != NULL) {
        return spawn_members(worker, start);
    }
    struct batch batch = {NULL, NULL, 0};
    uint32_t refs = start->out != NULL ? 2 : 1;
    status = batch_make(&batch, worker, refs, start);
    if (status < 0) {
        batch_undo(&batch, worker, refs);
        skua__runtime_uncount_tasks(runtime, start->count);
        return status;
    }
    batch_launch(&batch, runtime);
    return 0;
}

int skua_spawn_many_at(skua_task **out, skua_fn fn, void *args, size_t stride, size_t count,
                       const skua_spawn_opts *opts, const char *site)
{
    if (SKUA_UNLIKELY(skua__forked())) {
        return -ESHUTDOWN;
    }
    struct skua__worker *worker = skua__worker_self();
    if (worker == NULL || skua__worker_current(worker) == NULL) {
        return -EPERM;
    }
    if (fn == NULL || (opts != NULL && opts->arg_bytes > 0 && args == NULL)) {
        return -EINVAL;
    }
    const struct start start = {out, fn, args, stride, count, opts, site};
    return spawn_batch(worker, &start);
}

int skua_spawn_many(skua_task **out, skua_fn fn, void *args, size_t stride, size_t count,
                    const skua_spawn_opts *opts)
{
    return skua_spawn_many_at(out, fn, args, stride, count, opts, NULL);
}
