/* skua/gather.h: waiting for the ends of many tasks at once.

   Three questions, three calls. "Are they all well?" is skua_gather(), "who is through by now?" is
   skua_wait(), "who is next?" is skua_as_completed_next(). None of them owns the tasks: nothing is
   cancelled, released or forwarded, and the caller has to hold the references meanwhile. Each links
   itself to a task once, so that waiting for n tasks costs O(n), however often it wakes. */
#ifndef SKUA_GATHER_H
#define SKUA_GATHER_H

#include <skua/task.h>

SKUA_BEGIN_DECLS

/* Wait for tasks[0..count), in whatever order they end.

   With `statuses` NULL: returns 0 when all have ended with a status >= 0, and otherwise the first
   failure in the order of ending, as soon as it is there, while the others run on. (Of those that
   have ended before the call the first in the array counts.) That code is the task's, also where it
   is -ECANCELED or -ETIMEDOUT; who has to tell them from the caller's own asks for statuses.
   With statuses[0..count): waits for all, whatever comes out, and returns 0 with the status of each
   in its slot. When the wait itself fails, the slots are written all the same: -EINPROGRESS stands
   for a task that has not ended.

   Of the caller speak -ETIMEDOUT, -EAGAIN (SKUA_NOW), -ECANCELED; -EINVAL (a NULL among the tasks),
   -EDEADLK (the calling task is among them), -ENOMEM (more than 16 tasks) and -ESHUTDOWN come
   before anything is waited for and write nothing. A task may stand in the array twice; count 0
   gives 0. A failure that was given to the caller counts as seen.
   Call from: a task or a foreign thread. May switch. Cancel: the tasks go on; gather again. Cost:
   O(count), one lock a task; one allocation for more than 16. */
int skua_gather(skua_task *const tasks[], size_t count, int statuses[], skua_time deadline)
    SKUA_MUST_CHECK;

/* Until when skua_wait() waits. "Failed" is as in skua_task_state(): a task that ended because it
   was cancelled has not failed. */
typedef enum skua_until {
    SKUA_ALL,
    SKUA_FIRST_DONE,
    SKUA_FIRST_FAILED, /* or all have ended; one that had failed before the call counts */
} skua_until;

/* Wait for some of tasks[0..count), and say which have ended: done[i] is written for each, and the
   return value is how many of them are true. So it is at the deadline, which is no error here, and
   with SKUA_NOW, which only looks. Nothing is cancelled; the pending ones run on.
   Returns that number, or -ECANCELED (done[] is written then as well); or, with nothing written,
   -EINVAL (count 0, a bad `until`, `done` or a task NULL), -EDEADLK (the calling task is among
   them), -ENOMEM (more than 16 tasks), -ESHUTDOWN.
   Call from: a task or a foreign thread. May switch. Cancel: loses nothing. Cost: as
   skua_gather(). */
ssize_t skua_wait(skua_task *const tasks[], size_t count, skua_until until, bool done[],
                  skua_time deadline) SKUA_MUST_CHECK;

/* Tasks in the order in which they end. */
typedef struct skua_as_completed skua_as_completed;

/* Begin to watch tasks[0..count); a task that stands there twice counts once. The references stay
   the caller's: one has to be held until skua_as_completed_next() has given the task, or until the
   destroy. *out is written only on success.
   Returns 0 (also for count 0), -EINVAL (a NULL among the tasks), -EDEADLK (the calling task is
   among them), -ENOMEM, -ESHUTDOWN.
   Call from: a task or a foreign thread. Never switches. Cost: O(count), one lock a task. */
int skua_as_completed_create(skua_as_completed **out, skua_task *const tasks[], size_t count)
    SKUA_MUST_CHECK;

/* Wait for the next end. Returns 1 with the very handle in *task, and in *index (which may be NULL)
   its place in the array, the first one if it stood there twice; 0 when all have been given;
   -ETIMEDOUT, -EAGAIN (SKUA_NOW), -ECANCELED, -ESHUTDOWN. Each task is given exactly once, in the
   order of ending; of those that had ended before the create, in the array's. Its status is read by
   skua_join(task, &status, SKUA_NOW), which finds it there.
   Call from: a task or a foreign thread; one at a time, a second one panics. May switch. Cancel:
   loses nothing; the next call goes on where this one was. Cost: O(1), no allocation. */
int skua_as_completed_next(skua_as_completed *completed, skua_task **task, size_t *index,
                           skua_time deadline) SKUA_MUST_CHECK;

/* Stop watching; NULL is allowed. The tasks that were not given run on.
   Call from anywhere, while nobody is in skua_as_completed_next(). Never switches. */
void skua_as_completed_destroy(skua_as_completed *completed);

SKUA_END_DECLS
#endif
