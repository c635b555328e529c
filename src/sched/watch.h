/* sched/watch.h: learning of the ends of many tasks, one at a time or many at once.

   A watch links a *notice* into the joiners of each of its tasks, once. When the task ends, the
   notice moves to the watch's list of ends, in the order of ending, and whoever waits there is
   woken if that was what it waited for. So a wait for one more end costs nothing for each task that
   is still running, and links stay from one wait to the next; a waiter could not, because its
   ticket is good for one wait only.

       task->scope.joiners   waiter, notice, notice, waiter ...    under the task's lock
                                       |
                                       v   the task ends: skua__watch_deliver()
       watch->ended          notice, notice ...                    under the watch's lock (WATCH)
                                       |
                                       v   skua__watch_take()
                                     the watcher                                                */
#ifndef SKUA_SCHED_WATCH_H
#define SKUA_SCHED_WATCH_H

#include "base/list.h"
#include "base/lock.h"
#include "sched/waiter.h"

#include <skua/task.h>

/* Which ends count as failures. */
enum skua__failure {
    SKUA__ANY_FAILURE,  /* a status < 0 */
    SKUA__TRUE_FAILURE, /* the same, but not of tasks that ended because they were cancelled */
};

struct skua__watch {
    struct skua__lock lock;
    enum skua__failure failure; /* constant */
    /* What notices have for a parker: it never waits, so they are never claimed. */
    struct skua__parker nobody;
    struct skua__list ended;     /* notices that were delivered and not taken, oldest first */
    size_t ended_count;          /* delivered in all */
    size_t failed_count;         /* so many of them failures */
    size_t wanted_count;         /* the wait is over when so many have ended, ... */
    bool wants_failure;          /* ... or when one has failed */
    struct skua__waiter *waiter; /* who waits, or NULL */
};

/* One task of a watch. It stays where it is until it was delivered or removed. */
struct skua__notice {
    struct skua__waiter waiter; /* linked in the joiners, then in the watch */
    struct skua_task *task;
    bool is_delivered; /* written once, under both locks */
};

static inline bool skua__waiter_is_notice(const struct skua__waiter *waiter)
{
    return (waiter->ticket & SKUA__STATE_MASK) == SKUA__STATE_NOTICE;
}

void skua__watch_init(struct skua__watch *watch, enum skua__failure failure);

/* Watch the task, with a notice of the caller's. One that has ended is delivered at once. */
void skua__watch_add(struct skua__watch *watch, struct skua__notice *notice,
                     struct skua_task *task);

/* Wait until `count` in all have ended, or, if `or_failure`, one has failed. Returns 0, -ETIMEDOUT,
   -EAGAIN, -ECANCELED, -ESHUTDOWN. One at a time. May switch. */
int skua__watch_wait(struct skua__watch *watch, size_t count, bool or_failure, skua_time deadline);

/* The oldest end that was not taken, or NULL. */
struct skua__notice *skua__watch_take(struct skua__watch *watch);

/* Stop watching the tasks of notices[0..count), which need not have been added: those with a NULL
   task are skipped. Delivered ones are not looked at, so their tasks may be gone. Afterwards nobody
   else touches the notices or the watch. */
void skua__watch_remove(struct skua__watch *watch, struct skua__notice notices[], size_t count);

/* A task has ended and has taken the notice out of its joiners, whose lock it holds. Returns the
   watcher, claimed and not woken, or NULL. */
struct skua__parker *skua__watch_deliver(struct skua__waiter *waiter);

#endif
