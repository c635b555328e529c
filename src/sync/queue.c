/* The line of waiters: one loop that serves it, and one wait that leaves it.

     (Q1) State and line change under the lock only.
     (Q2) Whenever the lock is given back, the first in line wishes for what cannot be had. So every
          change that could make a wish possible serves the line before it unlocks, and so does
          everybody who leaves the line, since the next one may wish for less.
     (Q3) A wish is given in the order of the line, under the lock; the claim decides only who wakes
          the waiter. Who comes while somebody waits does not overtake.
     (Q4) Who was given something in the very moment in which its wait ended otherwise finds that
          under the lock. If it only has to look at its scopes' deadlines again, it keeps it. If it
          was cancelled or is late, it gives it back, and the next one in line is served: the wake
          is passed on. Where a thing cannot be given back (a barrier has opened), it keeps it, and
          reports that.
     (Q5) Who only has to look again keeps its place.
     (Q6) The last access to the object of who is not its owner is the unlock. Woken are those who
          were claimed, from a list of their own, whose links lie in the frames of their waits: such
          a frame stays until its wake.

   *Lost wake.* A waiter enters the line under the lock, after it has found that its wish cannot be
   had, or that others stand before it (Q1, Q3). Whoever changes that comes later to the lock, and
   serves (Q2). Nothing is kept for a waiter that does not come back for it: every wait that was
   begun ends, and every end is by a claim after which the waiter goes on with its wish, or returns
   to the lock (Q4).

   *A line without a wait.* From the beginning of its wait to its switch a thread puts no fiber into
   its own queues (W4 in sched/README.md). Who has to wake others first, after it has entered the
   line, enters it without a wait; if it is served meanwhile it does not begin one.

   *Given twice.* An entry is given to when it is taken out of the line, and only its own waiter can
   put another one in.

   Rejected: giving only to those who could be claimed, and dropping the others (those who have only
   to look at their deadlines again would miss an event that is set and cleared, or the last signal
   of a condition, and lose their place); waking in chunks with the lock in between (the object may
   be gone after the first unlock). */
#include "sync/queue.h"

#include "sched/fastpath.h"

#include <limits.h>
#include <pthread.h>

/* In the `result` of a waiter that stands in the line. */
enum { UNSERVED = INT_MIN };

/* The ticket of one who stands in line without waiting: no word is ever equal to it, so nobody can
   claim it. */
#define NO_WAIT_YET ((uint64_t)SKUA__STATE_MASK)

/* --- serving ---------------------------------------------------------------------------------- */

static void serve(struct skua__queue *queue, const struct skua__queue_rules *rules,
                  struct skua__list *woken)
{
    while (queue->count > 0) {
        struct skua__link *link = skua__list_first(&queue->waiters);
        struct skua__waiter *waiter = SKUA_CONTAINER(link, struct skua__waiter, link);
        if (!rules->may(queue, waiter->item)) {
            return;
        }
        skua__queue_remove(queue, waiter);
        waiter->result = rules->give(queue, waiter->item);
        if (skua__waiter_claim(waiter)) {
            skua__list_push_back(woken, &waiter->link);
        }
        /* Else its wait has ended otherwise: it is about to find what it was given, and keeps it or
           passes it on (Q4). From the unlock on it is not ours any more. */
    }
}

static void wake_first(struct skua__list *woken)
{
    struct skua__link *link = skua__list_pop_front(woken);
    if (link != NULL) {
        skua__wake_inline(SKUA_CONTAINER(link, struct skua__waiter, link)->parker);
    }
}

/* The oldest one is woken last: a worker runs first what was woken last, and then the others in
   their order. */
static void wake_all(struct skua__list *woken)
{
    struct skua__link *oldest = skua__list_pop_front(woken);
    while (!skua__list_is_empty(woken)) {
        wake_first(woken);
    }
    if (oldest != NULL) {
        skua__list_push_back(woken, oldest);
        wake_first(woken);
    }
}

void skua__queue_serve_and_unlock(struct skua__queue *queue, const struct skua__queue_rules *rules)
{
    struct skua__list woken;
    skua__list_init(&woken);
    serve(queue, rules, &woken);
    skua__queue_unlock(queue);
    wake_all(&woken);
}

/* --- waiting ---------------------------------------------------------------------------------- */

static void begin_wait(struct skua__queue_entry *entry)
{
    skua__wait_begin(&entry->wait, SKUA__SOFT);
    entry->waiter.parker = entry->wait.parker;
    entry->waiter.ticket = entry->wait.ticket;
}

static void link_last(struct skua__queue *queue, struct skua__queue_entry *entry, void *wish)
{
    entry->waiter = (struct skua__waiter){.item = wish, .result = UNSERVED};
    skua__queue_add(queue, &entry->waiter);
}

void skua__queue_enter(struct skua__queue *queue, struct skua__queue_entry *entry, void *wish)
{
    link_last(queue, entry, wish);
    entry->waiter.parker = &skua__fiber_self()->parker;
    entry->waiter.ticket = NO_WAIT_YET;
    skua__queue_unlock(queue);
}

/* The wait has ended, and not because somebody has served it: `cause` says why. Returns what the
   call returns; or SKUA__RECHECK, with another wait begun in the same place. */
static SKUA_NOINLINE int leave(struct skua__queue *queue, const struct skua__queue_rules *rules,
                               struct skua__queue_entry *entry, int cause)
{
    struct skua__waiter *waiter = &entry->waiter;
    skua__queue_lock(queue);
    if (waiter->result == UNSERVED && cause == SKUA__RECHECK) {
        begin_wait(entry); /* Q5 */
        skua__queue_unlock(queue);
        return SKUA__RECHECK;
    }
    if (waiter->result == UNSERVED) {
        skua__queue_remove(queue, waiter);
    } else if (cause != SKUA__RECHECK && rules->take_back != NULL) {
        rules->take_back(queue, waiter->item);
    } else {
        skua__queue_unlock(queue);
        return waiter->result;
    }
    skua__queue_serve_and_unlock(queue, rules); /* Q2, Q4 */
    return cause;
}

static int park(struct skua__queue *queue, const struct skua__queue_rules *rules,
                struct skua__queue_entry *entry, skua_time deadline)
{
    int status;
    do {
        status = skua__wait_park(&entry->wait, skua__deadline_ns(deadline));
        if (SKUA_LIKELY(status >= 0)) {
            return entry->waiter.result;
        }
        status = leave(queue, rules, entry, status);
    } while (status == SKUA__RECHECK);
    return status;
}

int skua__queue_stay(struct skua__queue *queue, const struct skua__queue_rules *rules,
                     struct skua__queue_entry *entry, skua_time deadline)
{
    int status = leave(queue, rules, entry, SKUA__RECHECK);
    return status == SKUA__RECHECK ? park(queue, rules, entry, deadline) : status;
}

int skua__queue_wait(struct skua__queue *queue, const struct skua__queue_rules *rules, void *wish,
                     skua_time deadline)
{
    struct skua__queue_entry entry;
    link_last(queue, &entry, wish);
    begin_wait(&entry);
    skua__queue_unlock(queue);
    return park(queue, rules, &entry, deadline);
}

int skua__queue_take(struct skua__queue *queue, const struct skua__queue_rules *rules, void *wish,
                     skua_time deadline)
{
    int status = skua__cancel_point_passes() ? 0 : skua__cancel_point();
    if (SKUA_UNLIKELY(status < 0)) {
        return status;
    }
    skua__queue_lock(queue);
    if (queue->count == 0 && rules->may(queue, wish)) {
        status = rules->give(queue, wish);
        skua__queue_unlock(queue);
        return status;
    }
    if (skua__is_now(deadline)) {
        skua__queue_unlock(queue);
        return -EAGAIN;
    }
    return skua__queue_wait(queue, rules, wish, deadline);
}

/* The flag tells a thread from a fiber: both are aligned. */
uintptr_t skua__queue_self(void)
{
    uintptr_t fiber = (uintptr_t)skua__fiber_self();
    return fiber != 0 ? fiber : (uintptr_t)pthread_self() | 1;
}

int skua__queue_give_nothing(struct skua__queue *queue, void *wish)
{
    (void)queue, (void)wish;
    return 0;
}

void skua__queue_take_nothing_back(struct skua__queue *queue, void *wish)
{
    (void)queue, (void)wish;
}
