/* Lists of waiters under one lock. waiters.h has the rules. */
#include "chan/waiters.h"

void skua__waiters_claim_all(struct skua__list *list, int result, struct skua__list *claimed)
{
    struct skua__waiter *waiter;
    while ((waiter = skua__waiters_claim_first(list)) != NULL) {
        waiter->result = result;
        skua__list_push_back(claimed, &waiter->link);
    }
}

void skua__waiters_wake_all(struct skua__list *claimed)
{
    /* Out of the list first: who is woken may be gone with his frame at once. The oldest one last:
       see skua__wake_list_flush(). */
    struct skua__link *first = skua__list_pop_front(claimed), *link;
    while ((link = skua__list_pop_front(claimed)) != NULL) {
        skua__wake(SKUA_CONTAINER(link, struct skua__waiter, link)->parker);
    }
    if (first != NULL) {
        skua__wake(SKUA_CONTAINER(first, struct skua__waiter, link)->parker);
    }
}

size_t skua__waiters_count(const struct skua__list *list)
{
    size_t count = 0;
    for (const struct skua__link *link = list->head.next; link != &list->head; link = link->next) {
        count++;
    }
    return count;
}

int skua__waiters_wait(struct skua__lock *lock, struct skua__list *list, void *item,
                       skua_time deadline)
{
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__wait_begin(&wait, SKUA__SOFT);
    skua__waiter_init(&waiter, &wait, 0, item);
    skua__list_push_back(list, &waiter.link);
    skua__unlock(lock, SKUA__RANK_CHAN);
    int cause = skua__wait_park(&wait, skua__deadline_ns(deadline));
    if (cause >= 0) {
        return waiter.result;
    }
    skua__lock(lock, SKUA__RANK_CHAN);
    if (skua__link_is_linked(&waiter.link)) {
        skua__list_remove(&waiter.link);
    }
    skua__unlock(lock, SKUA__RANK_CHAN);
    return cause;
}

void skua__waiters_unlink(const struct skua_case *entry, struct skua__candidate *candidate,
                          struct skua__wake_list *wakes)
{
    (void)entry;
    (void)wakes;
    if (skua__link_is_linked(&candidate->waiter.link)) {
        skua__list_remove(&candidate->waiter.link);
    }
}
