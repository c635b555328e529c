/* chan/waiters.h: lists of waiters under one lock: what the objects of this room share that nobody
   uses past their lock (queues, broadcasts, watches).

   Waiters are claimed under the lock and woken after it. Between the two a claimed waiter's frame
   is the claimer's, links included, so that any number of them can be kept in a list of their own:
   nobody has to come back to the object, which may be gone by then. */
#ifndef SKUA_CHAN_WAITERS_H
#define SKUA_CHAN_WAITERS_H

#include "base/lock.h"
#include "sched/waitable.h"

/* The oldest waiter that can be served; it is claimed and out of the list. Or NULL. */
static inline struct skua__waiter *skua__waiters_claim_first(struct skua__list *list)
{
    struct skua__link *link;
    while ((link = skua__list_pop_front(list)) != NULL) {
        struct skua__waiter *waiter = SKUA_CONTAINER(link, struct skua__waiter, link);
        if (skua__waiter_claim(waiter)) {
            return waiter;
        }
    }
    return NULL;
}

/* Claim all of them, who all get `result`, into the list `claimed`. */
void skua__waiters_claim_all(struct skua__list *list, int result, struct skua__list *claimed);

/* After the unlock. */
void skua__waiters_wake_all(struct skua__list *claimed);

/* How many there are, also those that are on their way out. */
size_t skua__waiters_count(const struct skua__list *list);

/* Wait at the end of the list. Called with the lock held, which it gives back. Returns what the
   claimer has left as the result; or, out of the list again, -ETIMEDOUT, -ECANCELED or
   SKUA__RECHECK. May switch. */
int skua__waiters_wait(struct skua__lock *lock, struct skua__list *list, void *item,
                       skua_time deadline);

/* The `unlink` of waitables whose waiters are that simple. */
void skua__waiters_unlink(const struct skua_case *entry, struct skua__candidate *candidate,
                          struct skua__wake_list *wakes);

#endif
