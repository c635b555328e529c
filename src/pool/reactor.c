/* The reactor: a task of each pool that takes the answers and hands out the waiting calls, and
   looks after the timers of calls that nobody waits for.

   Invariants
   (B1) No answer is slept through: before the reactor sleeps it turns the bell on for every process
        with requests, and looks once more (R4 in ring.c). Requests that are sent while it sleeps
        turn the bell on for themselves, under the lock. Each sleep has a number of its own
        (pool->sleep), for which a worker rings once.
   (B2) The bell is a hint. All workers share it, so a hostile one can take the others' rings away;
        and one may be stopped between its answer and the bell. While there are calls the reactor
        therefore looks every LOOK_NS whatever the bell says. It sleeps for good only when nobody
        calls, and the first caller after that rings (skua__pool_enter()).
   (B3) It sleeps no longer than to the first timer, and to the moment when a job has held up others
        for too long while somebody is idle; `reactor_due_ns` says how long, so that who brings an
        earlier reason rings.
   (B4) It runs in a shield, until the supervisor says that all processes are gone.

   Rejected: a bell and a task for each worker (no batches: a wake-up for every answer). */
#include "base/panic.h"
#include "pool/state.h"

#include <errno.h>
#include <sched.h>
#include <skua/io.h>
#include <skua/scope.h>
#include <unistd.h>

enum { LOOK_NS = 100 * 1000 * 1000, LINGER_NS = 20 * 1000, LINGER_LOOKS = 8 };

void skua__pool_ring(skua_pool *pool)
{
    const uint64_t one = 1;
    if (write(pool->bell, &one, sizeof one) < 0) {
        return; /* it is full, so it rings already */
    }
}

/* Have every answer announced on the bell. (L) */
static void turn_bell_on(skua_pool *pool)
{
    pool->sleep = ++pool->sleeps != 0 ? pool->sleeps : ++pool->sleeps;
    for (struct skua__link *link = pool->busy.head.next; link != &pool->busy.head;
         link = link->next) {
        struct skua__process *process = SKUA_CONTAINER(link, struct skua__process, busy);
        skua__jobring_set_sleeps(&process->ring, pool->sleep);
    }
    skua__jobring_fence();
}

/* When to look again at the latest; in balance_ns at the latest. (L) */
static int64_t next_look(const skua_pool *pool, int64_t balance_ns, bool was_idle)
{
    const int64_t now_ns = skua__clock_ns();
    int64_t due_ns = SKUA__NEVER;
    if (balance_ns != SKUA__NEVER && balance_ns < LOOK_NS) {
        due_ns = now_ns + balance_ns;
    } else if (!was_idle || pool->callers > 0) {
        due_ns = now_ns + LOOK_NS;
    }
    if (pool->timers.first != NULL) {
        const struct skua__call *call =
            SKUA_CONTAINER(pool->timers.first, struct skua__call, timer);
        due_ns = call->due_ns < due_ns ? call->due_ns : due_ns;
    }
    return due_ns;
}

/* What is done at each look. Returns how many answers there were. (L) */
static size_t look_at_all(skua_pool *pool, struct skua__after *after, int64_t *balance_ns)
{
    skua__pool_take_notices(pool, after);
    if (pool->timers.first != NULL) {
        skua__pool_run_timers(pool, after, skua__clock_ns());
    }
    const size_t count = skua__pool_drain(pool, after);
    skua__life_retire(pool, after);
    if (!skua__list_is_empty(&pool->busy)) {
        skua__pool_unstick(pool, after, skua__clock_real_ns());
    }
    *balance_ns = SKUA__NEVER;
    if (skua__pool_has_idle(pool)) {
        *balance_ns = skua__pool_balance(pool, after, skua__clock_real_ns());
    }
    return count;
}

/* Is there a worker whose answer can come while we wait on this processor? (L) */
static bool may_linger(skua_pool *pool)
{
    int looked = 0;
    pool->cpu = (uint32_t)sched_getcpu();
    for (struct skua__link *link = pool->busy.head.next;
         link != &pool->busy.head && looked++ < LINGER_LOOKS; link = link->next) {
        if (!skua__jobring_is_on(&SKUA_CONTAINER(link, struct skua__process, busy)->ring,
                                 pool->cpu)) {
            return true;
        }
    }
    return looked == 0;
}

/* One look. `sleeps`: get ready to sleep if there was nothing: *due_ns says until when. Returns
   whether there was something. */
static bool look_once(skua_pool *pool, bool sleeps, bool was_idle, int64_t *due_ns, bool *may_wait)
{
    struct skua__after after;
    int64_t balance_ns;
    skua__after_init(&after);
    skua__pool_lock(pool);
    pool->sleep = 0;
    bool found = look_at_all(pool, &after, &balance_ns) > 0 || skua__after_is_full(&after);
    if (!found && sleeps) {
        turn_bell_on(pool);
        found = skua__pool_drain(pool, &after) > 0;
        pool->reactor_due_ns = *due_ns = found ? 0 : next_look(pool, balance_ns, was_idle);
        pool->sleep = found ? 0 : pool->sleep;
    }
    *may_wait = may_linger(pool);
    skua__pool_unlock_after(pool, &after);
    return found;
}

/* After an answer the next one is awaited for a moment while others run: under load that saves the
   bell, its system call in the worker and ours. Not where that keeps the workers from running. */
static void linger(skua_pool *pool)
{
    int64_t due_ns;
    int64_t until_ns = skua__clock_real_ns() + LINGER_NS;
    bool found, may_wait;
    do {
        int cancelled = skua_yield();
        (void)cancelled; /* never, in a shield */
        found = look_once(pool, false, false, &due_ns, &may_wait);
        found = skua__talk_serve(pool) || found;
        if (found) {
            until_ns = skua__clock_real_ns() + LINGER_NS;
        }
    } while (found || (may_wait && skua__clock_real_ns() < until_ns));
}

/* Take answers until none has come for a moment, and get ready to sleep until *due_ns. True: there
   were any. */
static bool look(skua_pool *pool, bool was_idle, int64_t *due_ns)
{
    bool found_any = false;
    for (;;) {
        bool may_wait;
        const bool found = look_once(pool, true, was_idle, due_ns, &may_wait);
        if (!skua__talk_serve(pool) && !found) {
            return found_any;
        }
        found_any = true;
        linger(pool);
    }
}

static bool has_ended(skua_pool *pool)
{
    skua__pool_lock(pool);
    const bool ended = pool->ended;
    skua__pool_unlock(pool);
    return ended;
}

int skua__pool_react(void *arg)
{
    skua_pool *pool = arg;
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, SKUA_FOREVER);
    bool was_idle = false;
    while (!has_ended(pool)) {
        int64_t due_ns = SKUA__NEVER;
        const bool found = look(pool, was_idle, &due_ns);
        const skua_time until = due_ns == SKUA__NEVER ? SKUA_FOREVER : skua_time_at(due_ns);
        uint64_t rings;
        skua__pool_hold_clock(pool, false);
        ssize_t bytes = skua_read(pool->bell, &rings, sizeof rings, until);
        skua__pool_hold_clock(pool, true);
        if (bytes < 0 && bytes != -ETIMEDOUT) {
            /* No memory to wait for the bell, say. */
            int error = skua_sleep(skua_after(SKUA_MS(1)));
            (void)error;
        }
        was_idle = !found && bytes == -ETIMEDOUT;
    }
    skua__talk_serve(pool); /* the last lines */
    return skua_scope_close(&shield, 0);
}

void skua__pool_end_reactor(skua_pool *pool)
{
    skua__pool_lock(pool);
    pool->ended = true;
    skua__pool_ring(pool);
    skua__pool_unlock(pool);
    int error = skua_join(pool->reactor, NULL, SKUA_FOREVER);
    skua_require(error == 0);
    skua_task_release(pool->reactor);
}
