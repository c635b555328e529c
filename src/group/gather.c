/* Gather and wait: one call for the ends of many tasks.

   Both watch their tasks (sched/watch.h), wait once for as many ends as they need, and stop
   watching.

     (G1) What was asked for is checked before the first task is watched, and memory is there: from
          then on a call fails only by its caller's deadline or scope.
     (G2) All watching has stopped when a call returns, whatever it returns.
     (G3) The result is read off what was delivered, not off the tasks: a task that ends while the
          call returns is either in all of the result or in nothing of it.

   Rejected: a join for each task in turn (a failure of the last would be seen when all others have
   ended); forwarding a cancel to the tasks, as asyncio's gather does: it owns nothing here. Groups
   and map do. */
#include "group/gather.h"

#include "base/mem.h"
#include "sched/service.h"
#include "sched/task.h"
#include "sched/watch.h"

#include <skua/gather.h>

/* So many tasks are watched without an allocation. */
enum { INLINE_NOTICES = 16 };

/* The tasks of one call. */
struct crowd {
    struct skua__watch watch;
    struct skua__notice *notices;
    size_t count;
    struct skua__notice inline_notices[INLINE_NOTICES];
};

int skua__check_tasks(skua_task *const tasks[], size_t count)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (count > 0 && tasks == NULL) {
        return -EINVAL;
    }
    const struct skua_task *self = skua_self();
    int status = 0;
    for (size_t i = 0; i < count; i++) {
        if (tasks[i] == NULL) {
            return -EINVAL;
        }
        status = tasks[i] == self ? -EDEADLK : status;
    }
    return status;
}

/* Watches the tasks (G1). */
static int crowd_open(struct crowd *crowd, skua_task *const tasks[], size_t count,
                      enum skua__failure failure)
{
    crowd->count = count;
    crowd->notices = crowd->inline_notices;
    if (count > INLINE_NOTICES) {
        if (count > SIZE_MAX / sizeof *crowd->notices) {
            return -ENOMEM;
        }
        crowd->notices = skua__alloc(count * sizeof *crowd->notices);
        if (crowd->notices == NULL) {
            return -ENOMEM;
        }
    }
    skua__watch_init(&crowd->watch, failure);
    for (size_t i = 0; i < count; i++) {
        skua__watch_add(&crowd->watch, &crowd->notices[i], tasks[i]);
    }
    return 0;
}

/* Stops watching (G2); what was delivered stays readable. */
static void crowd_leave(struct crowd *crowd)
{
    skua__watch_remove(&crowd->watch, crowd->notices, crowd->count);
}

static void crowd_free(struct crowd *crowd)
{
    if (crowd->notices != crowd->inline_notices) {
        skua__free(crowd->notices);
    }
}

/* --- gather ----------------------------------------------------------------------------------- */

/* The status of the first task that has failed, or 0. */
static int first_failure(struct crowd *crowd)
{
    const struct skua__notice *notice;
    while ((notice = skua__watch_take(&crowd->watch)) != NULL) {
        if (notice->task->status < 0) {
            return skua__task_look(notice->task);
        }
    }
    return 0;
}

static void write_statuses(const struct crowd *crowd, int statuses[])
{
    for (size_t i = 0; i < crowd->count; i++) {
        const struct skua__notice *notice = &crowd->notices[i];
        statuses[i] = notice->is_delivered ? skua__task_look(notice->task) : -EINPROGRESS;
    }
}

int skua_gather(skua_task *const tasks[], size_t count, int statuses[], skua_time deadline)
{
    struct crowd crowd;
    int status = skua__check_tasks(tasks, count);
    if (status < 0) {
        return status;
    }
    status = crowd_open(&crowd, tasks, count, SKUA__ANY_FAILURE);
    if (status < 0) {
        return status;
    }
    status = skua__watch_wait(&crowd.watch, count, statuses == NULL, deadline);
    crowd_leave(&crowd);
    if (statuses != NULL) {
        write_statuses(&crowd, statuses);
    } else if (status == 0) {
        status = first_failure(&crowd);
    }
    crowd_free(&crowd);
    return status;
}

/* --- wait ------------------------------------------------------------------------------------- */

static size_t write_done(const struct crowd *crowd, bool done[])
{
    size_t ended_count = 0;
    for (size_t i = 0; i < crowd->count; i++) {
        done[i] = crowd->notices[i].is_delivered;
        ended_count += done[i];
    }
    return ended_count;
}

ssize_t skua_wait(skua_task *const tasks[], size_t count, skua_until until, bool done[],
                  skua_time deadline)
{
    struct crowd crowd;
    if (count == 0 || (unsigned)until > SKUA_FIRST_FAILED || done == NULL) {
        return skua__forked() ? -ESHUTDOWN : -EINVAL;
    }
    int status = skua__check_tasks(tasks, count);
    if (status < 0) {
        return status;
    }
    status = crowd_open(&crowd, tasks, count, SKUA__TRUE_FAILURE);
    if (status < 0) {
        return status;
    }
    size_t wanted_count = until == SKUA_FIRST_DONE ? 1 : count;
    status = skua__watch_wait(&crowd.watch, wanted_count, until == SKUA_FIRST_FAILED, deadline);
    crowd_leave(&crowd);
    size_t ended_count = write_done(&crowd, done);
    crowd_free(&crowd);
    return status == -ECANCELED || status == -ESHUTDOWN ? status : (ssize_t)ended_count;
}
