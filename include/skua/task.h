/* skua/task.h: tasks, the unit of work: plain C functions that may block.

   A task runs on one of the runtime's workers, has a stack of its own, and may go on on another
   worker after any call that "may switch", unless it is pinned. A program's thread-locals are
   therefore safe only in pinned tasks; task-locals (skua/local.h) are the tool for the others. */
#ifndef SKUA_TASK_H
#define SKUA_TASK_H

#include <skua/base.h>

SKUA_BEGIN_DECLS

typedef struct skua_task skua_task;
struct skua_group; /* skua/group.h */

/* How to spawn. Zero everywhere is the default. */
typedef struct skua_spawn_opts {
    const char *name; /* copied; NULL: "task" */
    size_t arg_bytes; /* > 0: *arg is copied into the task, so that it need not outlive the call */
    size_t stack_bytes; /* at least this much usable stack; 0: the runtime's default */
    uint32_t pin;       /* 0: may migrate; k: always runs on worker (k - 1) % workers */
    bool keep_fpenv;    /* rounding mode and exception masks are the task's own (+2 ns a switch) */
    struct skua_group *group; /* the task is to be a member of this group: see skua_group_spawn() */
} skua_spawn_opts;

/* Start fn(arg) as a task of the caller's runtime. *out is one owned reference, to be given back
   with skua_task_release(); `out` NULL means that nobody will ask: a failure is then reported on
   standard error when the task ends. *out is written only on success, before fn starts.
   The task inherits the caller's task-locals as they are now. `opts` may be NULL.
   Returns 0, -ENOMEM, -EAGAIN (the runtime's max_tasks are alive), -EINVAL (stack_bytes too large,
   fn NULL), -EPERM (called from a foreign thread: use skua_submit), -ESHUTDOWN (the runtime is
   ending, or this is a forked child). When it fails, fn is not called.
   Call from: a task. Never blocks, never switches. Cost: no lock, no system call when warm. */
int skua_spawn(skua_task **out, skua_fn fn, void *arg, const skua_spawn_opts *opts) SKUA_MUST_CHECK;

/* Start `count` tasks at once: the i-th runs fn((char *)args + i * stride). So `args` is an array
   of elements of `stride` bytes, which has to outlive the tasks, unless opts->arg_bytes says that
   each copies so many bytes of its element. Stride 0: all share one argument. out[0..count) become
   owned references in that order; `out` NULL: nobody will ask. All or nothing: when it fails, none
   has run, and what was written to `out` means nothing. They queue up behind what is ready; one
   that has not started holds two cache lines and no stack.
   Returns 0 (also for count 0), or what skua_spawn() returns; -EAGAIN also if max_tasks has not
   room for all.
   Call from: a task. Never blocks, never switches. Cost: O(count), one lock for all. */
int skua_spawn_many(skua_task **out, skua_fn fn, void *args, size_t stride, size_t count,
                    const skua_spawn_opts *opts) SKUA_MUST_CHECK;

/* Where a task was spawned: skua_spawn(), skua_spawn_many() and skua_submit() are macros, too, that
   pass the place on as a constant; in parentheses, (skua_spawn)(...), they are the functions.
   skua_task_site() and reports of failures tell it. */
#define SKUA_SITE __FILE__ ":" SKUA__LINE_TEXT(__LINE__)
#define SKUA__LINE_TEXT(line) SKUA__LINE_TEXT_OF(line)
#define SKUA__LINE_TEXT_OF(line) #line
#define skua_spawn(...) skua_spawn_at(__VA_ARGS__, SKUA_SITE)
#define skua_spawn_many(...) skua_spawn_many_at(__VA_ARGS__, SKUA_SITE)

/* What the macros call; `site` is a string that stays, or NULL. For wrappers that spawn for callers
   of their own. */
int skua_spawn_at(skua_task **out, skua_fn fn, void *arg, const skua_spawn_opts *opts,
                  const char *site) SKUA_MUST_CHECK;
int skua_spawn_many_at(skua_task **out, skua_fn fn, void *args, size_t stride, size_t count,
                       const skua_spawn_opts *opts, const char *site) SKUA_MUST_CHECK;

/* Wait until the task has ended. Consumes nothing: any number of tasks and foreign threads may
   join, any number of times. Returns 0 with fn's return value in *status (which may be NULL);
   -ETIMEDOUT, -EAGAIN and -ECANCELED speak of the caller only: the task goes on. -EDEADLK: a task
   joins itself.
   Call from: a task or a foreign thread. May switch. Cancel: nothing is lost; join
   again. */
int skua_join(skua_task *task, int *status, skua_time deadline) SKUA_MUST_CHECK;

/* Take another reference. Returns `task`. Call from anywhere, while holding a reference. */
skua_task *skua_task_retain(skua_task *task);

/* Give one reference back; NULL is allowed. Releasing the last reference of a task that still runs
   detaches it: it goes on. A task that failed and whose status nobody looked at is reported on
   standard error, once. Call from anywhere. Never switches. One release too many panics. */
void skua_task_release(skua_task *task);

/* Release tasks[0..count), skipping NULLs, and NULL the slots. */
void skua_task_release_all(skua_task **tasks, size_t count);

/* Ask the task to end: from now on every blocking call in it returns -ECANCELED (outside of
   shields), the one it is waiting in included. Level-triggered; returns at once; cancelling an
   ended task does nothing. The task decides what to do: it is never killed. Call from anywhere.
   Never switches. */
void skua_task_cancel(skua_task *task);

/* The same for a reason: `code` (< 0) is what skua_cancel_reason() says in the task. The first
   reason stays. */
void skua_task_cancel_because(skua_task *task, int code);

/* Cancel tasks[0..count), skipping NULLs; cheaper than one by one, and all are told before the
   first one goes on. Call from anywhere. */
void skua_task_cancel_all(skua_task *const tasks[], size_t count);

/* Ask the task to come to its end: from now on skua_stopping() is true in it; if it still runs at
   the moment `until` (SKUA_FOREVER: never), it is cancelled. Asking again can only bring `until`
   forward. Call from anywhere. Never switches. */
void skua_task_stop(skua_task *task, skua_time until);

/* SKUA_CANCELLED: it ended with -ECANCELED after having been cancelled. */
typedef enum skua_task_status {
    SKUA_RUNNING,
    SKUA_DONE,
    SKUA_FAILED,
    SKUA_CANCELLED,
} skua_task_status;

/* The state now. Call from anywhere. */
skua_task_status skua_task_state(const skua_task *task);

/* Why the task failed: NULL unless it has ended with a status < 0. Lives as long as the caller's
   reference. Looking counts as having seen the failure. Call from anywhere. */
const skua_error *skua_task_error(skua_task *task);

/* The task's name; lives as long as the reference. Call from anywhere. */
const char *skua_task_name(const skua_task *task);

/* Where it was spawned, as "file:line"; NULL if that was not kept. It is kept for tasks that are
   spawned with a name or a copied argument, and with SKUA_DEBUG=1 in the environment for all. Call
   from anywhere. */
const char *skua_task_site(const skua_task *task);

/* Give the calling task another name. Others may hold the old one, so that all names of a task are
   kept until it is freed: what changes with each request belongs into a task-local. Returns 0,
   -ENOMEM, -EPERM (on a foreign thread), or -ENOTSUP: a task that was spawned without a name and
   without a copied argument has no room for one.
   Call from: a task. Never switches. */
int skua_rename_self(const char *name) SKUA_MUST_CHECK;

/* The calling task, borrowed; NULL on a foreign thread. Valid until the task ends. */
skua_task *skua_self(void);

/* Suspend until the moment `until`. Returns 0, or -ECANCELED. SKUA_FOREVER sleeps until cancelled.
   Call from: a task or a foreign thread. May switch. Never early. */
int skua_sleep(skua_time until) SKUA_MUST_CHECK;

/* Let other ready tasks run first. Returns 0, or -ECANCELED (it yields all the same).
   Call from: a task; on a foreign thread it gives the processor away. May switch. */
int skua_yield(void);

/* For loops that compute for long: yields when the task has had its share (128 operations of the
   library, or some 10 ms while others are ready), and gives forked children to idle workers that
   ask. Returns 0, or -ECANCELED.
   Call from: a task. May switch. Cost: a few loads. */
int skua_checkpoint(void);

/* Declare that the calling task is about to block its thread in place, and that it is through with
   it: for short calls that block now and then, where the hand-over of skua_blocking() to another
   thread and back would cost more. Between the two, tasks that are ready, and forked children of
   this one, go on on other threads; a further thread is started for them only if the call is still
   blocked when the runtime's monitor looks, some milliseconds later, and need be. The program must
   not use calls that may switch between the two. Without the declaration the same happens later,
   and the task is named on standard error. skua_block_end() lets others run first if there are any,
   and returns 0, or -ECANCELED as skua_yield() does. Call from: a task; on a foreign thread they do
   nothing. skua_block_begin() never switches, skua_block_end() may. Cost: a few stores each; one
   system call if other work waits. */
void skua_block_begin(void);
int skua_block_end(void);

SKUA_END_DECLS
#endif
