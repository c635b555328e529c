/* The end of a process as a case of a select (sched/waitable.h): its waiters stand in the handle's
   list among the others. */
#include "process/process.h"
#include "sched/waitable.h"

static struct skua_process *process_of(const skua_case *entry)
{
    return entry->object;
}

static struct skua__lock *lock_of(const skua_case *entry)
{
    return &process_of(entry)->lock;
}

static int attempt(const skua_case *entry, struct skua__candidate *candidate,
                   struct skua__wake_list *wakes)
{
    const struct skua_process *process = process_of(entry);
    (void)candidate;
    (void)wakes;
    return process->state >= SKUA__PROCESS_ENDED ? process->error : SKUA__WOULD_WAIT;
}

static int link_waiter(const skua_case *entry, struct skua__candidate *candidate)
{
    skua__list_push_back(&process_of(entry)->waiters, &candidate->waiter.link);
    return 1;
}

static void unlink_waiter(const skua_case *entry, struct skua__candidate *candidate,
                          struct skua__wake_list *wakes)
{
    (void)entry;
    (void)wakes;
    if (skua__link_is_linked(&candidate->waiter.link)) {
        skua__list_remove(&candidate->waiter.link);
    }
}

const struct skua__waitable skua_process_ends = {
    .lock = lock_of,
    .attempt = attempt,
    .link = link_waiter,
    .unlink = unlink_waiter,
    .is_real = true,
};
