/* Back-pressure: who may not spawn, since max_tasks are alive, can wait for one of them to end.

     (L1) A waiter is linked before it looks at the count for the last time, and who counts down
          looks for waiters after that: one of the two sees the other.
     (L2) An end wakes all waiters, and each looks for itself. To be woken gives no right to
          anything, so a waiter that is cancelled, or changes its mind, owes nothing to the others.

   Rejected: waking one for each end (one that then does not spawn leaves the others asleep in spite
   of the room); room that is reserved for whom it wakes (it would have to be given back on each
   path that does not spawn). */
#include "sched/limit.h"

#include "sched/runtime.h"
#include "sched/waiter.h"

#include <skua/control.h>

static void room_lock(struct skua__room *room)
{
    skua__lock(&room->lock, SKUA__RANK_MEM);
}

static void room_unlock(struct skua__room *room)
{
    skua__unlock(&room->lock, SKUA__RANK_MEM);
}

/* With the lock held. */
static void leave(struct skua__room *room, struct skua__waiter *waiter)
{
    if (skua__link_is_linked(&waiter->link)) {
        skua__list_remove(&waiter->link);
        skua__store(&room->waiting, skua__load(&room->waiting, relaxed) - 1, relaxed);
    }
}

void skua__room_wake(struct skua__room *room)
{
    struct skua__wake_list list;
    struct skua__link *link;
    skua__wake_list_init(&list);
    room_lock(room);
    while ((link = skua__list_first(&room->waiters)) != NULL) {
        struct skua__waiter *waiter = SKUA_CONTAINER(link, struct skua__waiter, link);
        leave(room, waiter);
        if (skua__waiter_claim(waiter) && skua__wake_list_add(&list, waiter->parker)) {
            room_unlock(room);
            skua__wake_list_flush(&list);
            room_lock(room);
        }
    }
    room_unlock(room);
    skua__wake_list_flush(&list);
}

static bool has_room(skua_runtime *runtime)
{
    return runtime->max_tasks == 0 ||
           skua__load(&runtime->live_tasks, relaxed) < runtime->max_tasks;
}

/* Nothing can be spawned any more, by this caller at least. */
static bool is_over(skua_runtime *runtime)
{
    return skua__load(&runtime->is_stopping, relaxed) ||
           (skua__load(&runtime->is_draining, relaxed) && skua_runtime_current() != runtime);
}

static int wait_for_room(skua_runtime *runtime, skua_time deadline)
{
    struct skua__room *room = &runtime->room;
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__wait_begin_for(&wait, SKUA__SOFT, "room for a task");
    skua__waiter_init(&waiter, &wait, 0, NULL);
    room_lock(room);
    skua__list_push_back(&room->waiters, &waiter.link);
    skua__store(&room->waiting, skua__load(&room->waiting, relaxed) + 1, relaxed);
    /* seq_cst: orders the link before the look at the count (L1); pairs with the fence in
       skua__room_offer(), and with that of the heavy fence in skua__runtime_cancel_all(). */
    skua__fence(seq_cst);
    bool must_wait = !has_room(runtime) && !is_over(runtime);
    if (!must_wait) {
        leave(room, &waiter);
    }
    room_unlock(room);
    if (!must_wait) {
        skua__wait_abandon(&wait);
        return 0;
    }
    int cause = skua__wait_park(&wait, skua__deadline_ns(deadline));
    if (cause < 0) {
        room_lock(room);
        leave(room, &waiter);
        room_unlock(room);
    }
    return cause;
}

int skua_task_room(skua_runtime *runtime, skua_time deadline)
{
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
    runtime = runtime != NULL ? runtime : skua_runtime_current();
    if (runtime == NULL) {
        return -EPERM;
    }
    while (!has_room(runtime)) {
        if (is_over(runtime)) {
            return -ESHUTDOWN;
        }
        if (skua__is_now(deadline)) {
            return -EAGAIN;
        }
        status = wait_for_room(runtime, deadline);
        if (status < 0 && status != SKUA__RECHECK) {
            return status;
        }
    }
    return is_over(runtime) ? -ESHUTDOWN : 0;
}
