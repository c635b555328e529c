/* skua/runtime.h: starting and ending Skua.

   Most programs need one call: skua_run(). Programs that have threads of their own can create
   runtimes, submit from any thread, and destroy them; several may live in one process. */
#ifndef SKUA_RUNTIME_H
#define SKUA_RUNTIME_H

#include <skua/task.h>

SKUA_BEGIN_DECLS

typedef struct skua_runtime skua_runtime;

/* What a report is about. */
typedef enum skua_report_kind {
    SKUA_REPORT_OTHER,
    SKUA_REPORT_STUCK,     /* a task keeps its worker from others that are ready */
    SKUA_REPORT_STUBBORN,  /* a cancelled task goes on */
    SKUA_REPORT_SWALLOWED, /* a task was cancelled and ended as if it had not been */
    SKUA_REPORT_LEFT,      /* something was not given back when the runtime ended */
    SKUA_REPORT_MEMORY,    /* tasks wait for memory */
    SKUA_REPORT_DEADLOCK,  /* all tasks wait, and nothing can wake them */
} skua_report_kind;

/* How to start. Zero everywhere is the default. */
typedef struct skua_config {
    uint32_t workers;   /* threads that run tasks; 0: SKUA_WORKERS in the environment, else one per
                             core that this process may use (affinity mask and cgroup quota, rounded
                             down, at least 1) */
    size_t stack_bytes; /* usable stack of a task; 0: 192 KiB */
    size_t max_tasks;   /* tasks alive at once; 0: no limit */
    uint32_t blocking_threads_max; /* of skua_blocking(); 0: 64 */
    int64_t cleanup_ns; /* at the end, cancelled tasks that take longer are named; 0: 5 s */
    const char *name;   /* threads are called <name>-<n>; NULL: "skua" */

    /* For skua_run(): SIGINT and SIGTERM. */
    int64_t drain_ns; /* the first one drains for so long, then cancels; 0: 1 s; < 0: not at all */
    bool leave_signals; /* they are the program's own business */

    /* For programs that log in their own way; NULL: a line on standard error. They are called on
       whichever thread notices, one that runs tasks or not, several at once perhaps; they must not
       wait, nor call anything of Skua that may switch. The texts live until they return. */
    void (*on_failure)(const skua_error *error, void *hook_arg); /* nobody asked for the status */
    void (*on_report)(skua_report_kind kind, const char *text, void *hook_arg); /* all else */
    void *hook_arg;
} skua_config;

/* Run main_fn(arg) as the first task of a new runtime and wait for it; then cancel the tasks that
   are left, wait until they have ended, and take everything down: no thread, process, fd or byte is
   left. Returns what main_fn returned, or -EDEADLK (called inside a task), -ENOMEM, -EAGAIN (no
   threads to be had), -EMFILE, -EINVAL, -ESHUTDOWN (in a forked child). `config` may be NULL.
   Signals: while it runs, a first SIGINT or SIGTERM drains (see skua_drain() in skua/control.h) for
   drain_ns, a second one cancels all tasks at once, a third one ends the process as if there was
   no Skua. That holds for a signal only if its action was the default one, and the default is
   restored at the end. If main_fn returned -ECANCELED after such a signal, skua_run() returns
   -EINTR; skua_run_signal() tells which it was.
   With SKUA_CLOCK=virtual in the environment the clock jumps to the next deadline whenever no task
   can go on: a program of sleeps runs through at once, at exact times (skua/testing.h). Runtimes
   that are made by hand keep the real clock.
   Call from: a thread that is not a worker. Blocks it. */
int skua_run(const skua_config *config, skua_fn main_fn, void *arg) SKUA_MUST_CHECK;

/* The latest SIGINT or SIGTERM that a skua_run() of this process has met, or 0: a program that
   gave way to one exits with 128 plus its number. Call from anywhere. */
int skua_run_signal(void);

/* Start a runtime. *out is written only on success. Errors as for skua_run().
   Call from: a thread that is not a worker. */
int skua_runtime_create(skua_runtime **out, const skua_config *config) SKUA_MUST_CHECK;

/* Cancel what still runs, wait until all tasks have ended, take everything down; NULL is allowed.
   Task handles that were not released are reported, and end with the runtime.
   Call from: a foreign thread; nobody else may use the runtime any more, then or later: the pointer
   is as dead as after free(). Inside a task of the runtime it panics. */
void skua_runtime_destroy(skua_runtime *runtime);

/* Like skua_spawn(), but a task of `runtime` and from any thread. The task starts without
   task-locals, except when the caller is itself a task. While the runtime drains, -ESHUTDOWN for
   all but its own tasks. */
int skua_submit(skua_runtime *runtime, skua_task **out, skua_fn fn, void *arg,
                const skua_spawn_opts *opts) SKUA_MUST_CHECK;

/* As for skua_spawn(): the place is passed on. */
#define skua_submit(...) skua_submit_at(__VA_ARGS__, SKUA_SITE)
int skua_submit_at(skua_runtime *runtime, skua_task **out, skua_fn fn, void *arg,
                   const skua_spawn_opts *opts, const char *site) SKUA_MUST_CHECK;

/* Run fn(arg) as a task of `runtime` and wait until it has ended, since it uses `arg`: when the
   deadline passes the task is cancelled, and its end awaited. Returns fn's status, -ETIMEDOUT if
   that was -ECANCELED because of the deadline, or what skua_submit() gives. Any number of calls may
   follow each other, or run at once; a failure of one means nothing to the next.
   Call from anywhere. */
int skua_call(skua_runtime *runtime, skua_fn fn, void *arg, skua_time deadline) SKUA_MUST_CHECK;

/* The runtime of the calling task; NULL on a foreign thread. */
skua_runtime *skua_runtime_current(void);

/* How many workers it has; NULL: how many a runtime would have by default in this process. */
uint32_t skua_worker_count(const skua_runtime *runtime);

SKUA_END_DECLS
#endif
