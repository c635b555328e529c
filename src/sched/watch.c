/* Watching many tasks: notices, and the one who waits for them. watch.h has the picture.

     (N1) A notice is in the joiners of its task until it is delivered or removed, both under the
          task's lock; then in the list of ends until it is taken, under the watch's lock.
     (N2) The watch's lock is taken inside of a task's, and nothing is taken inside of it.
     (N3) Whoever delivers touches notice and watch only under the task's lock, and the watch only
          under its own: so a watcher that has taken a notice, or has removed it under the task's
          lock, may free both.
     (N4) Somebody waits only while what it waits for has not come, and is claimed by the delivery
          with which it comes. What is delivered stays in the list, whatever becomes of the waiter:
          no end is lost by a cancel, and none is seen twice.

   N3 relies on skua__unlock() being the last access to a lock.

   Rejected: a waiter for each task and each wait, as select has them (n waits for n tasks relink
   n * n times); a list of ends without a lock (the goal of the wait would be a second word to look
   at, with a fence between the two); a counter instead of the list (it does not say who). */
#include "sched/watch.h"

#include "base/panic.h"
#include "sched/task.h"

enum { NOTICE_TICKET = SKUA__STATE_NOTICE };

void skua__watch_init(struct skua__watch *watch, enum skua__failure failure)
{
    *watch = (struct skua__watch){.failure = failure};
    skua__list_init(&watch->ended);
}

static struct skua__notice *notice_of(struct skua__waiter *waiter)
{
    return SKUA_CONTAINER(waiter, struct skua__notice, waiter);
}

/* --- delivering ------------------------------------------------------------------------------- */

static bool is_over(const struct skua__watch *watch)
{
    return watch->ended_count >= watch->wanted_count ||
           (watch->wants_failure && watch->failed_count > 0);
}

static bool has_failed(const struct skua__watch *watch, const struct skua_task *task)
{
    return watch->failure == SKUA__ANY_FAILURE ? task->status < 0
                                               : skua_task_state(task) == SKUA_FAILED;
}

struct skua__parker *skua__watch_deliver(struct skua__waiter *waiter)
{
    struct skua__notice *notice = notice_of(waiter);
    struct skua__watch *watch = SKUA_CONTAINER(waiter->parker, struct skua__watch, nobody);
    struct skua__parker *claimed = NULL;
    skua__lock(&watch->lock, SKUA__RANK_WATCH);
    notice->is_delivered = true;
    skua__list_push_back(&watch->ended, &waiter->link);
    watch->ended_count++;
    watch->failed_count += has_failed(watch, notice->task);
    struct skua__waiter *watcher = watch->waiter;
    if (watcher != NULL && is_over(watch)) {
        watch->waiter = NULL;
        claimed = skua__waiter_claim(watcher) ? watcher->parker : NULL;
    }
    skua__unlock(&watch->lock, SKUA__RANK_WATCH);
    return claimed;
}

void skua__watch_add(struct skua__watch *watch, struct skua__notice *notice, struct skua_task *task)
{
    notice->waiter = (struct skua__waiter){.parker = &watch->nobody, .ticket = NOTICE_TICKET};
    notice->is_delivered = false;
    notice->task = task;
    if (!skua__task_link_joiner(task, &notice->waiter)) {
        struct skua__parker *watcher = skua__watch_deliver(&notice->waiter);
        skua_require(watcher == NULL); /* the watcher is the caller */
    }
}

static bool is_delivered(struct skua__watch *watch, const struct skua__notice *notice)
{
    skua__lock(&watch->lock, SKUA__RANK_WATCH);
    bool is_delivered = notice->is_delivered;
    skua__unlock(&watch->lock, SKUA__RANK_WATCH);
    return is_delivered;
}

void skua__watch_remove(struct skua__watch *watch, struct skua__notice notices[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct skua__notice *notice = &notices[i];
        if (notice->task == NULL || is_delivered(watch, notice)) {
            continue;
        }
        skua__lock(&notice->task->scope.lock, SKUA__RANK_SCOPE);
        if (!notice->is_delivered) { /* still (N1) */
            skua__list_remove(&notice->waiter.link);
        }
        skua__unlock(&notice->task->scope.lock, SKUA__RANK_SCOPE);
    }
}

/* --- waiting ---------------------------------------------------------------------------------- */

/* What the next wait is for. Under the lock. True: it has come already. */
static bool set_goal(struct skua__watch *watch, size_t count, bool or_failure)
{
    if (watch->waiter != NULL) {
        skua__panic("two wait for the same ends of tasks at once");
    }
    watch->wanted_count = count;
    watch->wants_failure = or_failure;
    return is_over(watch);
}

/* The wait has ended otherwise. Returns whether what it was for has come meanwhile, all the same.
   */
static bool withdraw(struct skua__watch *watch)
{
    skua__lock(&watch->lock, SKUA__RANK_WATCH);
    watch->waiter = NULL;
    bool has_come = is_over(watch);
    skua__unlock(&watch->lock, SKUA__RANK_WATCH);
    return has_come;
}

/* One wait. Returns 0, what the caller gets (< 0), or SKUA__RECHECK. */
static int wait_once(struct skua__watch *watch, size_t count, bool or_failure, skua_time deadline)
{
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__lock(&watch->lock, SKUA__RANK_WATCH);
    bool has_come = set_goal(watch, count, or_failure);
    if (has_come || skua__is_now(deadline)) {
        skua__unlock(&watch->lock, SKUA__RANK_WATCH);
        return has_come ? 0 : -EAGAIN;
    }
    skua__wait_begin(&wait, SKUA__SOFT);
    skua__waiter_init(&waiter, &wait, 0, NULL);
    watch->waiter = &waiter;
    skua__unlock(&watch->lock, SKUA__RANK_WATCH);
    int cause = skua__wait_park(&wait, skua__deadline_ns(deadline));
    if (cause >= 0) {
        return 0;
    }
    has_come = withdraw(watch);
    return has_come && cause == -ETIMEDOUT ? 0 : cause;
}

int skua__watch_wait(struct skua__watch *watch, size_t count, bool or_failure, skua_time deadline)
{
    int status;
    do {
        status = skua__cancel_point();
        if (status == 0) {
            status = wait_once(watch, count, or_failure, deadline);
        }
    } while (status == SKUA__RECHECK);
    return status;
}

struct skua__notice *skua__watch_take(struct skua__watch *watch)
{
    skua__lock(&watch->lock, SKUA__RANK_WATCH);
    struct skua__link *link = skua__list_pop_front(&watch->ended);
    skua__unlock(&watch->lock, SKUA__RANK_WATCH);
    return link != NULL ? notice_of(SKUA_CONTAINER(link, struct skua__waiter, link)) : NULL;
}
