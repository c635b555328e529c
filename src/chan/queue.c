/* Queues of work: a store of items, and three lists of waiters, under one lock.

     (Q1) Getters wait only while the store is empty and the queue is open; putters only while the
          store is full and the queue is open. So a put serves at most one getter and a get at most
          one putter, and nothing is left that could be served.
     (Q2) `unfinished` counts the items that were put in and neither marked done nor dropped: those
          in the store and those that were taken. Joiners wait only while it is not 0.
     (Q3) An item that goes from a put to a waiting getter does not touch the store: the store is
          empty then, and the item would come next by any order.
     (Q4) A call's last access to the queue is its unlock; waiters are woken after it (waiters.h).
          So who has been woken by the last skua_queue_done() may destroy the queue.

   *Cancel.* A waiter is served by a claim, of which there is one per wait; one that was claimed by
   a cancel or a deadline leaves its list, and was not served. A putter's item is copied by whoever
   claims it, so it is in exactly if the put says so.

   *Memory.* A queue with a capacity has its memory from the start. One without grows under the
   lock, when a put finds it full; if there is no memory nothing has changed.

   Rejected: the lock-free ring of channels. Counting what is unfinished would add a second word
   that all producers and consumers fight for. And ending gets of a closed queue by -ESHUTDOWN, as
   asyncio has it: what delivers items says 0 at the end, everywhere in Skua. */
#include "base/mem.h"
#include "base/panic.h"
#include "chan/store.h"
#include "chan/waiters.h"
#include "sched/fastpath.h"
#include "sched/service.h"
#include "sched/waitable.h"

#include <skua/queue.h>
#include <skua/select.h>
#include <string.h>

enum { ITEM_BYTES_MAX = 64 * 1024 };

struct skua_queue {
    /* Constant. */
    size_t item_bytes, capacity;
    skua_queue_full full;
    void (*drop)(void *item);
    char *name;

    /* Under the lock. */
    struct skua__lock lock;
    bool is_closed;
    bool is_counted; /* somebody marks items done, or joins */
    struct skua__store store;
    size_t peak, unfinished, dropped;
    struct skua__list getters, putters, joiners;
};

static void lock(skua_queue *queue)
{
    skua__lock(&queue->lock, SKUA__RANK_CHAN);
}

static void unlock(skua_queue *queue)
{
    skua__unlock(&queue->lock, SKUA__RANK_CHAN);
}

static void check_size(const skua_queue *queue, size_t item_bytes)
{
    if (SKUA_UNLIKELY(item_bytes != queue->item_bytes)) {
        skua__panic("an item of %zu bytes at queue '%s' of items of %zu bytes", item_bytes,
                    queue->name, queue->item_bytes);
    }
}

/* --- items, under the lock -------------------------------------------------------------------- */

static void copy_item(const skua_queue *queue, void *to, const void *from)
{
    if (queue->item_bytes > 0) {
        memcpy(to, from, queue->item_bytes);
    }
}

static bool is_full(const skua_queue *queue)
{
    return queue->capacity > 0 && queue->store.count >= queue->capacity;
}

static void put_in(skua_queue *queue, const void *item)
{
    skua__store_put(&queue->store, item);
    queue->unfinished++;
    if (queue->store.count > queue->peak) {
        queue->peak = queue->store.count;
    }
}

static void drop_item(skua_queue *queue, void *item)
{
    queue->dropped++;
    if (queue->drop != NULL) {
        queue->drop(item);
    }
}

/* A full queue loses an item for `item`, or `item`. */
static void overflow(skua_queue *queue, const void *item)
{
    if (queue->full == SKUA_FULL_DROP_NEWEST) {
        drop_item(queue, (void *)(uintptr_t)item);
        return;
    }
    drop_item(queue, skua__store_next(&queue->store));
    skua__store_remove_next(&queue->store);
    queue->unfinished--; /* and one more at once, so no joiner is concerned */
    put_in(queue, item);
}

/* Puts it in, if it can be. Returns what the put returns, or SKUA__WOULD_WAIT. *wake is a claimed
   getter, to be woken after the unlock, or untouched. */
static int try_put(skua_queue *queue, const void *item, struct skua__parker **wake)
{
    if (queue->is_closed) {
        return -ESHUTDOWN;
    }
    struct skua__waiter *getter = skua__waiters_claim_first(&queue->getters);
    if (getter != NULL) {
        copy_item(queue, getter->item, item); /* (Q3) */
        queue->unfinished++;
        getter->result = 1;
        *wake = getter->parker;
        return 0;
    }
    if (is_full(queue)) {
        if (queue->full == SKUA_FULL_WAIT) {
            return SKUA__WOULD_WAIT;
        }
        overflow(queue, item);
        return 0;
    }
    int status = skua__store_make_room(&queue->store);
    if (status == 0) {
        put_in(queue, item);
    }
    return status;
}

/* The same for a get; *wake is a putter. */
static int try_get(skua_queue *queue, void *item, struct skua__parker **wake)
{
    if (queue->store.count == 0) {
        return queue->is_closed ? 0 : SKUA__WOULD_WAIT;
    }
    copy_item(queue, item, skua__store_next(&queue->store));
    skua__store_remove_next(&queue->store);
    struct skua__waiter *putter = skua__waiters_claim_first(&queue->putters);
    if (putter != NULL) {
        put_in(queue, putter->item); /* there is room for one */
        putter->result = 0;
        *wake = putter->parker;
    }
    return 1;
}

/* --- putting and getting ---------------------------------------------------------------------- */

static void wake_if(struct skua__parker *parker)
{
    if (parker != NULL) {
        skua__wake_inline(parker);
    }
}

static int cancel_point(void)
{
    return SKUA_LIKELY(skua__cancel_point_passes()) ? 0 : skua__cancel_point();
}

int skua_queue_put(skua_queue *queue, const void *item, size_t item_bytes, skua_time deadline)
{
    check_size(queue, item_bytes);
    int status;
    do {
        status = cancel_point();
        if (status < 0) {
            return status;
        }
        struct skua__parker *wake = NULL;
        lock(queue);
        status = try_put(queue, item, &wake);
        if (status == SKUA__WOULD_WAIT && !skua__is_now(deadline)) {
            status = skua__waiters_wait(&queue->lock, &queue->putters, (void *)(uintptr_t)item,
                                        deadline);
        } else {
            unlock(queue);
            wake_if(wake);
        }
    } while (status == SKUA__RECHECK);
    return status == SKUA__WOULD_WAIT ? -EAGAIN : status;
}

int skua_queue_get(skua_queue *queue, void *item, size_t item_bytes, skua_time deadline)
{
    check_size(queue, item_bytes);
    int status;
    do {
        status = cancel_point();
        if (status < 0) {
            return status;
        }
        struct skua__parker *wake = NULL;
        lock(queue);
        status = try_get(queue, item, &wake);
        if (status == SKUA__WOULD_WAIT && !skua__is_now(deadline)) {
            status = skua__waiters_wait(&queue->lock, &queue->getters, item, deadline);
        } else {
            unlock(queue);
            wake_if(wake);
        }
    } while (status == SKUA__RECHECK);
    return status == SKUA__WOULD_WAIT ? -EAGAIN : status;
}

/* --- what is unfinished ----------------------------------------------------------------------- */

/* So many items less are unfinished; joiners whose wait is over are claimed. */
static void finish(skua_queue *queue, size_t count, struct skua__list *claimed)
{
    queue->unfinished -= count;
    if (queue->unfinished == 0) {
        skua__waiters_claim_all(&queue->joiners, 0, claimed);
    }
}

void skua_queue_done(skua_queue *queue)
{
    if (skua__forked()) {
        return;
    }
    struct skua__list claimed;
    skua__list_init(&claimed);
    lock(queue);
    queue->is_counted = true;
    if (queue->unfinished == queue->store.count) {
        skua__panic("items of queue '%s' were marked done more often than items were taken",
                    queue->name);
    }
    finish(queue, 1, &claimed);
    unlock(queue);
    skua__waiters_wake_all(&claimed);
}

static bool is_runtime_ending(void)
{
    struct skua__fiber *fiber = skua__fiber_self();
    return fiber != NULL && skua__load(&fiber->runnable.runtime->is_stopping, relaxed);
}

/* A join that nobody will answer any more says why. */
static void report_stuck(skua_queue *queue)
{
    lock(queue);
    size_t unfinished = queue->unfinished, left = queue->store.count;
    unlock(queue);
    skua__report("a join of queue '%s' was cut off: %zu items never marked done, %zu of which were "
                 "never taken",
                 queue->name, unfinished, left);
}

int skua_queue_join(skua_queue *queue, skua_time deadline)
{
    int status;
    do {
        status = cancel_point();
        if (status < 0) {
            return status;
        }
        lock(queue);
        queue->is_counted = true;
        if (queue->unfinished > 0 && !skua__is_now(deadline)) {
            status = skua__waiters_wait(&queue->lock, &queue->joiners, NULL, deadline);
        } else {
            status = queue->unfinished > 0 ? -EAGAIN : 0;
            unlock(queue);
        }
    } while (status == SKUA__RECHECK);
    if (status == -ECANCELED && is_runtime_ending()) {
        report_stuck(queue);
    }
    return status;
}

/* --- closing ---------------------------------------------------------------------------------- */

void skua_queue_close(skua_queue *queue, bool drain)
{
    if (skua__forked()) {
        return;
    }
    struct skua__list claimed;
    struct skua__store rest = {0};
    skua__list_init(&claimed);
    void (*drop)(void *item) = queue->drop;
    lock(queue);
    queue->is_closed = true;
    skua__waiters_claim_all(&queue->putters, -ESHUTDOWN, &claimed);
    skua__waiters_claim_all(&queue->getters, 0, &claimed);
    if (!drain) {
        rest = skua__store_detach(&queue->store);
        queue->dropped += rest.count;
        finish(queue, rest.count, &claimed);
    }
    unlock(queue);
    skua__waiters_wake_all(&claimed);
    skua__store_fini(&rest, drop);
}

/* --- making and ending ------------------------------------------------------------------------ */

static int check_opts(const skua_queue_opts *opts)
{
    bool is_good = opts != NULL && opts->item_bytes <= ITEM_BYTES_MAX &&
                   (opts->order == NULL || !opts->lifo) &&
                   (unsigned)opts->full <= SKUA_FULL_DROP_NEWEST;
    return is_good ? 0 : -EINVAL;
}

int skua_queue_create(skua_queue **out, const skua_queue_opts *opts)
{
    int status = skua__forked() ? -ESHUTDOWN : check_opts(opts);
    if (status < 0) {
        return status;
    }
    skua_queue *queue = skua__alloc(sizeof *queue);
    if (queue == NULL) {
        return -ENOMEM;
    }
    queue->item_bytes = opts->item_bytes;
    queue->capacity = opts->capacity;
    queue->full = opts->full;
    queue->drop = opts->drop;
    skua__list_init(&queue->getters);
    skua__list_init(&queue->putters);
    skua__list_init(&queue->joiners);
    queue->name = skua__alloc_string(opts->name != NULL ? opts->name : "queue");
    if (queue->name == NULL) {
        status = -ENOMEM;
        goto fail_name;
    }
    status =
        skua__store_init(&queue->store, opts->item_bytes, opts->capacity, opts->lifo, opts->order);
    if (status < 0) {
        goto fail_store;
    }
    *out = queue;
    return 0;

fail_store:
    skua__free(queue->name);
fail_name:
    skua__free(queue);
    return status;
}

void skua_queue_destroy(skua_queue *queue)
{
    if (queue == NULL || skua__forked()) {
        return;
    }
    lock(queue); /* whoever was the last to unlock it is through */
    if (!skua__list_is_empty(&queue->getters) || !skua__list_is_empty(&queue->putters) ||
        !skua__list_is_empty(&queue->joiners)) {
        skua__panic("queue '%s' is destroyed while somebody waits on it", queue->name);
    }
    unlock(queue);
    size_t taken = queue->unfinished - queue->store.count;
    if (queue->is_counted && taken > 0) {
        skua__report("queue '%s' is destroyed with %zu items that were taken and never marked done",
                     queue->name, taken);
    }
    skua__store_fini(&queue->store, queue->drop);
    skua__free(queue->name);
    skua__free(queue);
}

void skua_queue_stats(const skua_queue *queue, skua_queue_statistics *out)
{
    *out = (skua_queue_statistics){0};
    if (skua__forked()) {
        return;
    }
    skua_queue *lockable = (skua_queue *)(uintptr_t)queue;
    lock(lockable);
    *out = (skua_queue_statistics){
        .count = queue->store.count,
        .peak = queue->peak,
        .capacity = queue->capacity,
        .unfinished = queue->unfinished,
        .dropped = queue->dropped,
        .getters = skua__waiters_count(&queue->getters),
        .putters = skua__waiters_count(&queue->putters),
        .joiners = skua__waiters_count(&queue->joiners),
        .is_closed = queue->is_closed,
    };
    unlock(lockable);
}

/* --- select ----------------------------------------------------------------------------------- */

static int check_entry(const skua_case *entry)
{
    check_size(entry->object, entry->item_bytes);
    return 0;
}

static struct skua__lock *lock_of_entry(const skua_case *entry)
{
    return &((skua_queue *)entry->object)->lock;
}

static int attempt_get(const skua_case *entry, struct skua__candidate *candidate,
                       struct skua__wake_list *wakes)
{
    (void)candidate;
    struct skua__parker *wake = NULL;
    int status = try_get(entry->object, entry->item, &wake);
    if (wake != NULL) {
        skua__wake_list_add(wakes, wake);
    }
    return status;
}

static int attempt_put(const skua_case *entry, struct skua__candidate *candidate,
                       struct skua__wake_list *wakes)
{
    (void)candidate;
    struct skua__parker *wake = NULL;
    int status = try_put(entry->object, entry->item, &wake);
    if (wake != NULL) {
        skua__wake_list_add(wakes, wake);
    }
    return status;
}

static int link_get(const skua_case *entry, struct skua__candidate *candidate)
{
    skua__list_push_back(&((skua_queue *)entry->object)->getters, &candidate->waiter.link);
    return 1;
}

static int link_put(const skua_case *entry, struct skua__candidate *candidate)
{
    skua__list_push_back(&((skua_queue *)entry->object)->putters, &candidate->waiter.link);
    return 1;
}

const struct skua__waitable skua_queue_gets = {
    .check = check_entry,
    .lock = lock_of_entry,
    .attempt = attempt_get,
    .link = link_get,
    .unlink = skua__waiters_unlink,
};

const struct skua__waitable skua_queue_puts = {
    .check = check_entry,
    .lock = lock_of_entry,
    .attempt = attempt_put,
    .link = link_put,
    .unlink = skua__waiters_unlink,
};
