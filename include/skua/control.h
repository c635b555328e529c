/* skua/control.h: what a program does with a runtime besides running tasks: callbacks and timers,
   draining, back-pressure, counts, and a look at all tasks.

   Where a function takes a runtime, NULL means the one of the calling task. */
#ifndef SKUA_CONTROL_H
#define SKUA_CONTROL_H

#include <skua/runtime.h>

SKUA_BEGIN_DECLS

/* --- callbacks -------------------------------------------------------------------------------- */

/* Run fn(arg) on the runtime, soon (loop.call_soon, loop.call_soon_threadsafe). Callbacks run one
   after the other, in the order of the calls, as part of a task of the library's own that comes
   and goes as needed and does not count for max_tasks: so they need no locks among themselves. A
   callback may call whatever a task may, but those behind it wait meanwhile; what takes longer is a
   task of its own (skua_spawn()). Callbacks have no task-locals.
   Each runs exactly once, unless the runtime ends or is cancelled first: like a stopped loop, it
   drops those that have not started.
   Returns 0, -ENOMEM, -EINVAL (fn NULL), -EPERM (runtime NULL outside of a task), -ESHUTDOWN (it is
   ending; while it merely drains callbacks go on).
   Call from anywhere. Never blocks, never switches. Cost: one allocation, one lock. */
int skua_call_soon(skua_runtime *runtime, void (*fn)(void *arg), void *arg) SKUA_MUST_CHECK;

/* A callback that is due later. */
typedef struct skua_timer skua_timer;

/* Run fn(arg) as a callback once `delay_ns` have passed (loop.call_later). Never early; those that
   are due run in the order of their due times, equal ones in the order of the calls, behind the
   callbacks that wait already. A delay of 0 or less is due at once, less before more. *out is the
   handle, to be given back by either of the two calls below, even after the runtime has ended;
   `out` NULL: nobody will ask. An armed timer keeps no runtime alive: it is dropped at the end.
   Returns what skua_call_soon() returns.
   Call from anywhere. Never blocks, never switches. Cost: one allocation, O(log timers). */
int skua_call_later(skua_timer **out, skua_runtime *runtime, int64_t delay_ns,
                    void (*fn)(void *arg), void *arg) SKUA_MUST_CHECK;

/* Take the timer back. Returns true if its callback has not run and never will; false if it has
   started, and may still run on another thread. The handle is gone. NULL is allowed: false.
   Call from anywhere. Never blocks, never switches. Cost: O(log timers). */
bool skua_timer_cancel(skua_timer *timer);

/* Let go of the handle; the callback runs all the same. NULL is allowed. Call from anywhere. */
void skua_timer_release(skua_timer *timer);

/* --- ending in good order --------------------------------------------------------------------- */

/* Begin to drain. From now on new work is refused: skua_submit() and skua_call() by foreign threads
   and by tasks of other runtimes give -ESHUTDOWN, as does skua_accept(), also to who waits in it,
   and skua_stopping() is true in all tasks. What is under way goes on, may wait, and may spawn. At
   the moment `until` (SKUA_FOREVER: never) all tasks are cancelled, and nothing can be spawned any
   more. SKUA_NOW does that at once. Of several calls the earliest moment holds. It cannot be taken
   back.
   Call from anywhere. Returns at once, never switches. */
void skua_drain(skua_runtime *runtime, skua_time until);

/* Wait until no task of the runtime is left, armed timers and waiting callbacks aside; with
   skua_drain() before it, that is for good. Returns 0, -ETIMEDOUT, -EAGAIN (SKUA_NOW, and there are
   tasks), -EDEADLK (called inside a task), -ESHUTDOWN (in a forked child).
   Call from: a foreign thread. Blocks it. */
int skua_runtime_wait(skua_runtime *runtime, skua_time deadline) SKUA_MUST_CHECK;

/* --- limits ----------------------------------------------------------------------------------- */

/* Wait until fewer than config.max_tasks are alive: what to do when a spawn has given -EAGAIN.
       while ((status = skua_spawn(&task, fn, arg, NULL)) == -EAGAIN &&
              (status = skua_task_room(NULL, deadline)) == 0) {}
   It reserves nothing: somebody else may be faster, hence the loop. A program whose tasks all wait
   for room is stuck; give a deadline where that could be.
   Returns 0 (at once if there is no limit), -ETIMEDOUT, -ECANCELED, -EAGAIN (SKUA_NOW and none),
   -ESHUTDOWN, -EPERM.
   Call from: a task or a foreign thread. May switch. Cancel: nothing is lost. */
int skua_task_room(skua_runtime *runtime, skua_time deadline) SKUA_MUST_CHECK;

/* --- looking ---------------------------------------------------------------------------------- */

/* Since the runtime was made. Each is right for itself; together they are of about one moment. */
typedef struct skua_counts {
    uint64_t tasks_started;
    uint64_t tasks_ended;
    uint64_t tasks_alive;     /* with the library's own one, while there are callbacks or timers */
    uint64_t failures_unseen; /* tasks that failed without anybody asking for the status */
    uint64_t cancels_swallowed; /* tasks that were cancelled and ended as if they had not been */
} skua_counts;

/* Call from anywhere. Never blocks. Cost: O(workers). */
void skua_runtime_counts(skua_runtime *runtime, skua_counts *counts);

/* Write a line about each task that is alive to `fd`: name, where it was spawned if that is known,
   and whether it is ready, runs and on which worker, or waits and for what; with SKUA_DEBUG=1 in
   the environment also for how long. Tasks go on meanwhile: each line is right for some moment.
   Call from anywhere, but not from a signal handler. Blocks the thread if writing does. */
void skua_dump(skua_runtime *runtime, int fd);

SKUA_END_DECLS
#endif
