/* Broadcasts: a ring of the last items, and a place in it for each subscriber, under one lock.

   Items are numbered from 0. `sent` is the number of the next one; the ring holds the last
   min(sent, capacity) of them, item n in slot n % capacity.

     (R1) A subscriber's `next` <= sent. What lies between is still to be received, as far as it is
          in the ring.
     (R2) Somebody waits at a subscriber only while its `next` == sent and the broadcast is open. It
          stands in `idle` then, so that a send finds those who wait without asking all.
     (R3) A send hands the item to the oldest waiter of each idle subscriber, whose `next` moves on
          with it; so one who waits is never lapped. Other waiters of the same subscriber go on
          waiting: they share its items.
     (R4) The memory stays until the owner and all subscribers have given it back.

   *Cancel.* A waiter that was claimed by a cancel or a deadline has not been served, and `next` has
   not moved for it.

   Rejected: waking all who wait and letting each copy its item. Each would take the lock, all at
   once; and who was woken could be lapped before it ran. */
#include "base/mem.h"
#include "base/panic.h"
#include "chan/waiters.h"
#include "sched/service.h"

#include <skua/select.h>
#include <skua/share.h>
#include <string.h>

enum { ITEM_BYTES_MAX = 64 * 1024 };

struct skua_broadcast {
    /* Constant. */
    size_t item_bytes, capacity;

    /* Under the lock. */
    struct skua__lock lock;
    bool is_closed;
    size_t subscribers, holders; /* holders: subscribers, and the owner */
    uint64_t sent;
    struct skua__list idle; /* skua_subscriber */

    _Alignas(16) char slots[];
};

struct skua_subscriber {
    skua_broadcast *broadcast; /* constant */

    /* Under the broadcast's lock. */
    struct skua__link link; /* in `idle` */
    struct skua__list waiters;
    uint64_t next, missed;
};

static void lock(skua_broadcast *broadcast)
{
    skua__lock(&broadcast->lock, SKUA__RANK_CHAN);
}

static void unlock(skua_broadcast *broadcast)
{
    skua__unlock(&broadcast->lock, SKUA__RANK_CHAN);
}

static void check_size(const skua_broadcast *broadcast, size_t item_bytes)
{
    if (SKUA_UNLIKELY(item_bytes != broadcast->item_bytes)) {
        skua__panic("an item of %zu bytes at a broadcast of items of %zu bytes", item_bytes,
                    broadcast->item_bytes);
    }
}

static void copy_item(const skua_broadcast *broadcast, void *to, const void *from)
{
    if (broadcast->item_bytes > 0) {
        memcpy(to, from, broadcast->item_bytes);
    }
}

static char *slot_of(skua_broadcast *broadcast, uint64_t number)
{
    return broadcast->slots + number % broadcast->capacity * broadcast->item_bytes;
}

/* --- sending ---------------------------------------------------------------------------------- */

/* It has waiters (R2), or has none any more. */
static void settle(skua_subscriber *subscriber)
{
    bool is_idle = !skua__list_is_empty(&subscriber->waiters);
    if (is_idle && !skua__link_is_linked(&subscriber->link)) {
        skua__list_push_back(&subscriber->broadcast->idle, &subscriber->link);
    } else if (!is_idle && skua__link_is_linked(&subscriber->link)) {
        skua__list_remove(&subscriber->link);
    }
}

/* To the oldest waiter of each idle subscriber (R3). The item has its number already. */
static void hand_out(skua_broadcast *broadcast, const void *item, struct skua__list *claimed)
{
    struct skua__link *link = broadcast->idle.head.next;
    while (link != &broadcast->idle.head) {
        skua_subscriber *subscriber = SKUA_CONTAINER(link, skua_subscriber, link);
        link = link->next;
        struct skua__waiter *waiter = skua__waiters_claim_first(&subscriber->waiters);
        if (waiter != NULL) {
            copy_item(broadcast, waiter->item, item);
            waiter->result = 1;
            subscriber->next = broadcast->sent;
            skua__list_push_back(claimed, &waiter->link);
        }
        settle(subscriber);
    }
}

int skua_broadcast_send(skua_broadcast *broadcast, const void *item, size_t item_bytes)
{
    check_size(broadcast, item_bytes);
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    struct skua__list claimed;
    skua__list_init(&claimed);
    lock(broadcast);
    if (broadcast->is_closed) {
        unlock(broadcast);
        return -EPIPE;
    }
    copy_item(broadcast, slot_of(broadcast, broadcast->sent), item);
    broadcast->sent++;
    hand_out(broadcast, item, &claimed);
    size_t subscribers = broadcast->subscribers;
    unlock(broadcast);
    skua__waiters_wake_all(&claimed);
    return subscribers > INT32_MAX ? INT32_MAX : (int)subscribers;
}

static void close_locked(skua_broadcast *broadcast, struct skua__list *claimed)
{
    broadcast->is_closed = true;
    struct skua__link *link;
    while ((link = skua__list_pop_front(&broadcast->idle)) != NULL) {
        skua_subscriber *subscriber = SKUA_CONTAINER(link, skua_subscriber, link);
        skua__waiters_claim_all(&subscriber->waiters, 0, claimed);
    }
}

void skua_broadcast_close(skua_broadcast *broadcast)
{
    if (skua__forked()) {
        return;
    }
    struct skua__list claimed;
    skua__list_init(&claimed);
    lock(broadcast);
    close_locked(broadcast, &claimed);
    unlock(broadcast);
    skua__waiters_wake_all(&claimed);
}

/* --- receiving -------------------------------------------------------------------------------- */

/* Under the lock. What skua_subscriber_next() returns, or SKUA__WOULD_WAIT. */
static int try_next(skua_subscriber *subscriber, void *item)
{
    skua_broadcast *broadcast = subscriber->broadcast;
    uint64_t behind = broadcast->sent - subscriber->next;
    if (behind == 0) {
        return broadcast->is_closed ? 0 : SKUA__WOULD_WAIT;
    }
    if (behind > broadcast->capacity) {
        uint64_t lost = behind - broadcast->capacity;
        subscriber->missed += lost;
        subscriber->next += lost;
        return -EOVERFLOW;
    }
    copy_item(broadcast, item, slot_of(broadcast, subscriber->next));
    subscriber->next++;
    return 1;
}

/* Called with the lock held, which it gives back. */
static int wait_for_next(skua_subscriber *subscriber, void *item, skua_time deadline)
{
    skua_broadcast *broadcast = subscriber->broadcast;
    if (!skua__link_is_linked(&subscriber->link)) {
        skua__list_push_back(&broadcast->idle, &subscriber->link);
    }
    int status = skua__waiters_wait(&broadcast->lock, &subscriber->waiters, item, deadline);
    if (status < 0) {
        lock(broadcast);
        settle(subscriber);
        unlock(broadcast);
    }
    return status;
}

int skua_subscriber_next(skua_subscriber *subscriber, void *item, size_t item_bytes,
                         skua_time deadline)
{
    check_size(subscriber->broadcast, item_bytes);
    int status;
    do {
        status = skua__cancel_point();
        if (status < 0) {
            return status;
        }
        lock(subscriber->broadcast);
        status = try_next(subscriber, item);
        if (status == SKUA__WOULD_WAIT && !skua__is_now(deadline)) {
            status = wait_for_next(subscriber, item, deadline);
        } else {
            unlock(subscriber->broadcast);
        }
    } while (status == SKUA__RECHECK);
    return status == SKUA__WOULD_WAIT ? -EAGAIN : status;
}

uint64_t skua_subscriber_missed(const skua_subscriber *subscriber)
{
    if (skua__forked()) {
        return 0;
    }
    lock(subscriber->broadcast);
    uint64_t missed = subscriber->missed;
    unlock(subscriber->broadcast);
    return missed;
}

/* --- making and ending ------------------------------------------------------------------------ */

int skua_broadcast_create(skua_broadcast **out, size_t item_bytes, size_t capacity)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    size_t bytes;
    if (item_bytes > ITEM_BYTES_MAX || capacity == 0 ||
        __builtin_mul_overflow(item_bytes, capacity, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(skua_broadcast), &bytes) || bytes > PTRDIFF_MAX) {
        return -EINVAL;
    }
    skua_broadcast *broadcast = skua__alloc_aligned(_Alignof(skua_broadcast), bytes);
    if (broadcast == NULL) {
        return -ENOMEM;
    }
    broadcast->item_bytes = item_bytes;
    broadcast->capacity = capacity;
    broadcast->holders = 1;
    skua__list_init(&broadcast->idle);
    *out = broadcast;
    return 0;
}

/* Called with the lock held, which it gives back. (R4) */
static void drop_holder(skua_broadcast *broadcast)
{
    bool is_last = --broadcast->holders == 0;
    unlock(broadcast);
    if (is_last) {
        skua__free(broadcast);
    }
}

void skua_broadcast_destroy(skua_broadcast *broadcast)
{
    if (broadcast == NULL || skua__forked()) {
        return;
    }
    struct skua__list claimed;
    skua__list_init(&claimed);
    lock(broadcast);
    close_locked(broadcast, &claimed);
    drop_holder(broadcast);
    skua__waiters_wake_all(&claimed);
}

int skua_broadcast_subscribe(skua_broadcast *broadcast, skua_subscriber **out)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    skua_subscriber *subscriber = skua__alloc(sizeof *subscriber);
    if (subscriber == NULL) {
        return -ENOMEM;
    }
    subscriber->broadcast = broadcast;
    skua__list_init(&subscriber->waiters);
    lock(broadcast);
    subscriber->next = broadcast->sent;
    broadcast->subscribers++;
    broadcast->holders++;
    unlock(broadcast);
    *out = subscriber;
    return 0;
}

void skua_subscriber_release(skua_subscriber *subscriber)
{
    if (subscriber == NULL || skua__forked()) {
        return;
    }
    skua_broadcast *broadcast = subscriber->broadcast;
    lock(broadcast);
    if (!skua__list_is_empty(&subscriber->waiters)) {
        skua__panic("a subscriber is released while somebody waits on it");
    }
    settle(subscriber);
    broadcast->subscribers--;
    drop_holder(broadcast);
    skua__free(subscriber);
}

/* --- select ----------------------------------------------------------------------------------- */

static int check_entry(const skua_case *entry)
{
    check_size(((skua_subscriber *)entry->object)->broadcast, entry->item_bytes);
    return 0;
}

static struct skua__lock *lock_of_entry(const skua_case *entry)
{
    return &((skua_subscriber *)entry->object)->broadcast->lock;
}

static int attempt_entry(const skua_case *entry, struct skua__candidate *candidate,
                         struct skua__wake_list *wakes)
{
    (void)candidate;
    (void)wakes;
    return try_next(entry->object, entry->item);
}

static int link_entry(const skua_case *entry, struct skua__candidate *candidate)
{
    skua_subscriber *subscriber = entry->object;
    skua__list_push_back(&subscriber->waiters, &candidate->waiter.link);
    settle(subscriber);
    return 1;
}

static void unlink_entry(const skua_case *entry, struct skua__candidate *candidate,
                         struct skua__wake_list *wakes)
{
    skua__waiters_unlink(entry, candidate, wakes);
    settle(entry->object);
}

const struct skua__waitable skua_subscriber_items = {
    .check = check_entry,
    .lock = lock_of_entry,
    .attempt = attempt_entry,
    .link = link_entry,
    .unlink = unlink_entry,
};
