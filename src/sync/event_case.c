/* The event as a case of a select (sched/waitable.h). Its waiters stand in the event's line among
   the others: setting serves them like those, and the claim carries the index of the case. */
#include "sched/waitable.h"
#include "sync/event.h"

#include <skua/select.h>
#include <skua/sync.h>

static struct skua__event *event_of(const skua_case *entry)
{
    return entry->object;
}

static struct skua__lock *lock_of(const skua_case *entry)
{
    return &event_of(entry)->queue.lock;
}

static int attempt(const skua_case *entry, struct skua__candidate *candidate,
                   struct skua__wake_list *wakes)
{
    (void)candidate;
    (void)wakes;
    return event_of(entry)->is_set ? 0 : SKUA__WOULD_WAIT;
}

static int link_waiter(const skua_case *entry, struct skua__candidate *candidate)
{
    skua__queue_add(&event_of(entry)->queue, &candidate->waiter);
    return 1;
}

static void unlink_waiter(const skua_case *entry, struct skua__candidate *candidate,
                          struct skua__wake_list *wakes)
{
    (void)wakes;
    if (skua__link_is_linked(&candidate->waiter.link)) {
        skua__queue_remove(&event_of(entry)->queue, &candidate->waiter);
    }
}

const struct skua__waitable skua_event_sets = {
    .lock = lock_of, .attempt = attempt, .link = link_waiter, .unlink = unlink_waiter};
