/* The reactor: a task of each pool that takes the answers and hands out the waiting calls.

   Invariants
   (B1) No answer is slept through: before the reactor sleeps it turns the bell on for every process
        with a running job, and looks once more (R4 in ring.c). Requests that are sent while it
        sleeps turn the bell on for themselves, under the lock.
   (B2) The bell is a hint. All workers share it, so a hostile one can take the others' rings away;
        and one may be stopped between its answer and the bell. While there are calls the reactor
        therefore looks every LOOK_NS whatever the bell says. It sleeps for good only when nobody
        calls, and the first caller after that rings (enter() in call.c).
   (B3) It runs in a shield, until the supervisor says that all processes are gone.

   Rejected: a bell and a task for each worker (no batches: a wake-up for every answer). */
#include "base/panic.h"
#include "pool/state.h"

#include <skua/io.h>
#include <skua/scope.h>
#include <unistd.h>

enum { LOOK_NS = 100 * 1000 * 1000, LINGER_NS = 20 * 1000 };

/* Take answers until there are none or `after` is full. Returns how many. (L) */
static size_t drain_all(skua_pool *pool, struct skua__after *after)
{
    size_t count = 0;
    for (struct skua__link *link = pool->processes.head.next;
         link != &pool->processes.head && !skua__after_is_full(after); link = link->next) {
        count += skua__process_drain(SKUA_CONTAINER(link, struct skua__process, link), after);
    }
    return count;
}

/* Have every running job announced on the bell. (L) */
static void turn_bell_on(skua_pool *pool)
{
    pool->reactor_sleeps = true;
    for (struct skua__link *link = pool->processes.head.next; link != &pool->processes.head;
         link = link->next) {
        struct skua__process *process = SKUA_CONTAINER(link, struct skua__process, link);
        if (process->state == SKUA__PROCESS_BUSY) {
            skua__jobring_set_sleeps(&process->ring, true);
        }
    }
    skua__jobring_fence();
}

/* Take all answers. `sleeps`: get ready to sleep if there are none. Returns how many there were. */
static size_t look_once(skua_pool *pool, bool sleeps)
{
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    pool->reactor_sleeps = false;
    size_t count = drain_all(pool, &after);
    if (count == 0 && sleeps) {
        turn_bell_on(pool);
        count = drain_all(pool, &after);
    }
    skua__pool_unlock(pool);
    skua__after_flush(&after);
    return count;
}

/* After an answer the next one is awaited for a moment while others run: under load that saves the
   bell, its system call in the worker and ours. */
static void linger(skua_pool *pool)
{
    int64_t until_ns = skua__clock_real_ns() + LINGER_NS;
    do {
        int cancelled = skua_yield();
        (void)cancelled; /* never, in a shield */
        if (look_once(pool, false) > 0) {
            until_ns = skua__clock_real_ns() + LINGER_NS;
        }
    } while (skua__clock_real_ns() < until_ns);
}

/* Take answers until none has come for a moment, and get ready to sleep. True: there were any. */
static bool look(skua_pool *pool)
{
    bool found = false;
    while (look_once(pool, true) > 0) {
        found = true;
        linger(pool);
    }
    return found;
}

/* How long to sleep: for good only after a time in which nothing happened. */
static skua_time next_look(skua_pool *pool, bool was_idle)
{
    skua__pool_lock(pool);
    pool->reactor_deep = was_idle && pool->callers == 0;
    const bool is_deep = pool->reactor_deep;
    skua__pool_unlock(pool);
    return is_deep ? SKUA_FOREVER : skua_after(LOOK_NS);
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
        const bool found = look(pool);
        uint64_t rings;
        ssize_t bytes = skua_read(pool->bell, &rings, sizeof rings, next_look(pool, was_idle));
        if (bytes < 0 && bytes != -ETIMEDOUT) {
            /* No memory to wait for the bell, say. */
            int error = skua_sleep(skua_after(SKUA_MS(1)));
            (void)error;
        }
        was_idle = !found && bytes == -ETIMEDOUT;
    }
    return skua_scope_close(&shield, 0);
}

void skua__pool_end_reactor(skua_pool *pool)
{
    const uint64_t one = 1;
    skua__pool_lock(pool);
    pool->ended = true;
    if (write(pool->bell, &one, sizeof one) < 0) {
        skua_assert(errno == EAGAIN); /* it is full, so it rings already */
    }
    skua__pool_unlock(pool);
    int error = skua_join(pool->reactor, NULL, SKUA_FOREVER);
    skua_require(error == 0);
    skua_task_release(pool->reactor);
}
