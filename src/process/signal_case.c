/* A signal as a case of a select (sched/waitable.h): the readiness of the listener's bell, with a
   look at the counts behind it, which alone say whether there is something to tell. */
#include "io/call.h"
#include "process/signal.h"
#include "sched/waitable.h"

#include <skua/io.h>

static skua_signal *listener_of(const skua_case *entry)
{
    return entry->object;
}

static skua_case bell_of(const skua_case *entry)
{
    const skua_case bell = SKUA_READY(listener_of(entry)->bell, SKUA_READABLE);
    return bell;
}

static int check(const skua_case *entry)
{
    const skua_case bell = bell_of(entry);
    return skua_fd_readiness.check(&bell);
}

static struct skua__lock *no_lock(const skua_case *entry)
{
    (void)entry;
    return NULL;
}

/* The counts are read after the bell was looked at: a signal that comes later rings it again, and
   the wait does not begin. */
static int attempt(const skua_case *entry, struct skua__candidate *candidate,
                   struct skua__wake_list *wakes)
{
    uint64_t rings;
    const skua_case bell = bell_of(entry);
    ssize_t got = skua__call_read(bell.fd, false, &rings, sizeof rings);
    int status = skua_fd_readiness.attempt(&bell, candidate, wakes);
    (void)got;
    if (skua__signal_is_pending(listener_of(entry))) {
        return 1;
    }
    return status < 0 ? status : SKUA__WOULD_WAIT;
}

static int link_waiter(const skua_case *entry, struct skua__candidate *candidate)
{
    const skua_case bell = bell_of(entry);
    skua__fetch_add(&listener_of(entry)->waits, 1, relaxed);
    return skua_fd_readiness.link(&bell, candidate);
}

static void unlink_waiter(const skua_case *entry, struct skua__candidate *candidate,
                          struct skua__wake_list *wakes)
{
    const skua_case bell = bell_of(entry);
    skua_fd_readiness.unlink(&bell, candidate, wakes);
    skua__fetch_sub(&listener_of(entry)->waits, 1, relaxed);
}

static int finish(const skua_case *entry, struct skua__candidate *candidate)
{
    int result = candidate->waiter.result;
    return result < 0 ? result : attempt(entry, candidate, NULL);
}

const struct skua__waitable skua_signal_arrives = {
    .check = check,
    .lock = no_lock,
    .attempt = attempt,
    .link = link_waiter,
    .unlink = unlink_waiter,
    .finish = finish,
    .is_real = true,
};
