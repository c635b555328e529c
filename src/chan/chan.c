/* Channels: a ring of items and two queues of waiters under one lock.

     (C1) Receivers wait only while the buffer is empty and no sender waits; senders wait only while
          the buffer is full. So at most one of the two queues holds waiters that are still to be
          served.
     (C2) An item moves under the lock: into the buffer, out of it, or straight between the
          variables of a sender and a receiver, one of which waits with its frame alive until it is
          woken.
     (C3) A waiter is served by a claim. One whose claim fails is on its way out (cancelled, late,
          or won by another case of its select) and is dropped from the queue.
     (C4) A waiter that comes back without having been served takes itself out of the queue under
          the lock before its frame ends.

   One lock and no lock-free path: an uncontended operation is one compare-and-swap and one store,
   which is what a lock-free ring costs too, and hand-over, close and select stay simple enough to
   be right. Wakes are done after the unlock. */
#include "chan/chan.h"

#include "base/mem.h"
#include "base/panic.h"
#include "sched/service.h"

#include <string.h>

enum { ITEM_BYTES_MAX = 64 * 1024 };

/* --- the buffer ------------------------------------------------------------------------------- */

static char *item_at(skua_chan *chan, size_t index)
{
    size_t position = chan->first + index;
    position -= position >= chan->capacity ? chan->capacity : 0;
    return chan->items + position * chan->item_bytes;
}

/* memcpy, with the sizes that matter spelled out for the compiler. */
static inline void copy_item(void *to, const void *from, size_t bytes)
{
    if (bytes == sizeof(uint64_t)) {
        memcpy(to, from, sizeof(uint64_t));
    } else if (bytes == sizeof(uint32_t)) {
        memcpy(to, from, sizeof(uint32_t));
    } else if (bytes > 0) {
        memcpy(to, from, bytes);
    }
}

static void buffer_put(skua_chan *chan, const void *item)
{
    copy_item(item_at(chan, chan->count), item, chan->item_bytes);
    chan->count++;
}

static void buffer_take(skua_chan *chan, void *item)
{
    copy_item(item, item_at(chan, 0), chan->item_bytes);
    chan->first = chan->first + 1 == chan->capacity ? 0 : chan->first + 1;
    chan->count--;
}

/* --- trying ----------------------------------------------------------------------------------- */

/* The oldest waiter that can be served; it is claimed and out of the queue. Or NULL. */
static struct skua__waiter *claim_first(struct skua__list *queue)
{
    struct skua__link *link;
    while ((link = skua__list_pop_front(queue)) != NULL) {
        struct skua__waiter *waiter = SKUA_CONTAINER(link, struct skua__waiter, link);
        if (skua__waiter_claim(waiter)) {
            return waiter;
        }
    }
    return NULL;
}

int skua__chan_try_send(skua_chan *chan, const void *item, struct skua__parker **wake)
{
    *wake = NULL;
    if (chan->is_closed || chan->receivers == 0) {
        return -EPIPE;
    }
    struct skua__waiter *receiver = claim_first(&chan->waiting_receivers);
    if (receiver != NULL) {
        copy_item(receiver->item, item, chan->item_bytes);
        receiver->result = 1;
        *wake = receiver->parker;
        return 0;
    }
    if (chan->count < chan->capacity) {
        buffer_put(chan, item);
        return 0;
    }
    return SKUA__CHAN_WOULD_WAIT;
}

/* The sender that comes next, unless the channel is closed: then all of them get -EPIPE. */
static struct skua__waiter *claim_sender(skua_chan *chan)
{
    return chan->is_closed ? NULL : claim_first(&chan->waiting_senders);
}

int skua__chan_try_recv(skua_chan *chan, void *item, struct skua__parker **wake)
{
    *wake = NULL;
    bool has_item = chan->count > 0;
    if (has_item) {
        buffer_take(chan, item);
    } else if (chan->capacity > 0) {
        return chan->is_closed ? 0 : SKUA__CHAN_WOULD_WAIT;
    }
    /* A waiting sender moves up into the buffer, or, where there is none, straight to us. */
    struct skua__waiter *sender = claim_sender(chan);
    if (sender != NULL && has_item) {
        buffer_put(chan, sender->item);
    } else if (sender != NULL) {
        copy_item(item, sender->item, chan->item_bytes);
    }
    if (sender != NULL) {
        sender->result = 0;
        *wake = sender->parker;
    }
    if (has_item || sender != NULL) {
        return 1;
    }
    return chan->is_closed ? 0 : SKUA__CHAN_WOULD_WAIT;
}

void skua__chan_check_size(const skua_chan *chan, size_t item_bytes)
{
    if (SKUA_UNLIKELY(item_bytes != chan->item_bytes)) {
        skua__panic("an item of %zu bytes at a channel of items of %zu bytes", item_bytes,
                    chan->item_bytes);
    }
}

/* --- sending and receiving -------------------------------------------------------------------- */

static void wake_if(struct skua__parker *parker)
{
    if (parker != NULL) {
        skua__wake(parker);
    }
}

/* Takes the waiter out of its queue if it is still there (C4). */
static void leave_queue(skua_chan *chan, struct skua__waiter *waiter)
{
    skua__lock(&chan->lock, SKUA__RANK_CHAN);
    if (skua__link_is_linked(&waiter->link)) {
        skua__list_remove(&waiter->link);
    }
    skua__unlock(&chan->lock, SKUA__RANK_CHAN);
}

/* Waits in the queue for a partner. Called with the lock held, which it gives back. */
static int wait_in_queue(skua_chan *chan, struct skua__list *queue, void *item, skua_time deadline)
{
    if (skua__is_now(deadline)) {
        skua__unlock(&chan->lock, SKUA__RANK_CHAN);
        return -EAGAIN;
    }
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__wait_begin(&wait, SKUA__SOFT);
    skua__waiter_init(&waiter, &wait, 0, item);
    skua__list_push_back(queue, &waiter.link);
    skua__unlock(&chan->lock, SKUA__RANK_CHAN);
    int cause = skua__wait_park(&wait, skua__deadline_ns(deadline));
    if (cause >= 0) {
        return waiter.result;
    }
    leave_queue(chan, &waiter);
    return cause;
}

int skua_chan_send(skua_chan *chan, const void *item, size_t item_bytes, skua_time deadline)
{
    skua__chan_check_size(chan, item_bytes);
    int status;
    do {
        status = skua__cancel_point();
        if (SKUA_UNLIKELY(status < 0)) {
            return status;
        }
        struct skua__parker *wake;
        skua__lock(&chan->lock, SKUA__RANK_CHAN);
        status = skua__chan_try_send(chan, item, &wake);
        if (SKUA_LIKELY(status != SKUA__CHAN_WOULD_WAIT)) {
            skua__unlock(&chan->lock, SKUA__RANK_CHAN);
            wake_if(wake);
            return status;
        }
        status = wait_in_queue(chan, &chan->waiting_senders, (void *)(uintptr_t)item, deadline);
    } while (status == SKUA__RECHECK);
    return status;
}

int skua_chan_recv(skua_chan *chan, void *item, size_t item_bytes, skua_time deadline)
{
    skua__chan_check_size(chan, item_bytes);
    int status;
    do {
        status = skua__cancel_point();
        if (SKUA_UNLIKELY(status < 0)) {
            return status;
        }
        struct skua__parker *wake;
        skua__lock(&chan->lock, SKUA__RANK_CHAN);
        status = skua__chan_try_recv(chan, item, &wake);
        if (SKUA_LIKELY(status != SKUA__CHAN_WOULD_WAIT)) {
            skua__unlock(&chan->lock, SKUA__RANK_CHAN);
            wake_if(wake);
            return status;
        }
        status = wait_in_queue(chan, &chan->waiting_receivers, item, deadline);
    } while (status == SKUA__RECHECK);
    return status;
}

/* --- closing ---------------------------------------------------------------------------------- */

/* Claims up to a chunk of the waiters, all of whom get `result`. True: there may be more. */
static bool dismiss(struct skua__list *queue, int result, struct skua__wake_list *list)
{
    struct skua__waiter *waiter;
    while (list->count < SKUA__WAKE_CHUNK && (waiter = claim_first(queue)) != NULL) {
        waiter->result = result;
        skua__wake_list_add(list, waiter->parker);
    }
    return list->count == SKUA__WAKE_CHUNK;
}

/* Dismisses all waiters of a queue, a chunk at a time; entered and left with the lock held. Nobody
   new waits there: it is closed, or has no partner left. */
static void dismiss_all(skua_chan *chan, struct skua__list *queue, int result)
{
    struct skua__wake_list list;
    skua__wake_list_init(&list);
    bool is_full;
    chan->holds++;
    do {
        is_full = dismiss(queue, result, &list);
        skua__unlock(&chan->lock, SKUA__RANK_CHAN);
        skua__wake_list_flush(&list);
        skua__lock(&chan->lock, SKUA__RANK_CHAN);
    } while (is_full);
    chan->holds--;
}

static void close_locked(skua_chan *chan)
{
    chan->is_closed = true;
    dismiss_all(chan, &chan->waiting_senders, -EPIPE);
    dismiss_all(chan, &chan->waiting_receivers, 0);
}

void skua_chan_close(skua_chan *chan)
{
    if (skua__forked()) {
        return;
    }
    skua__lock(&chan->lock, SKUA__RANK_CHAN);
    close_locked(chan);
    skua__unlock(&chan->lock, SKUA__RANK_CHAN);
}

/* --- making and sharing ----------------------------------------------------------------------- */

int skua_chan_create(skua_chan **out, size_t item_bytes, size_t capacity)
{
    size_t buffer_bytes, bytes;
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (item_bytes > ITEM_BYTES_MAX ||
        __builtin_mul_overflow(item_bytes, capacity, &buffer_bytes) ||
        __builtin_add_overflow(buffer_bytes, sizeof(skua_chan), &bytes) || bytes > PTRDIFF_MAX) {
        return -EINVAL;
    }
    skua_chan *chan = skua__alloc(bytes);
    if (chan == NULL) {
        return -ENOMEM;
    }
    chan->item_bytes = item_bytes;
    chan->capacity = capacity;
    chan->senders = chan->receivers = 1;
    skua__list_init(&chan->waiting_senders);
    skua__list_init(&chan->waiting_receivers);
    *out = chan;
    return 0;
}

void skua_chan_retain(skua_chan *chan, int ends)
{
    if (skua__forked()) {
        return;
    }
    skua__lock(&chan->lock, SKUA__RANK_CHAN);
    chan->senders += (ends & SKUA_SENDER) != 0;
    chan->receivers += (ends & SKUA_RECEIVER) != 0;
    skua__unlock(&chan->lock, SKUA__RANK_CHAN);
}

static void drop(uint32_t *count, const char *end)
{
    if (*count == 0) {
        skua__panic("a %s end of a channel was released more often than it was held", end);
    }
    (*count)--;
}

void skua_chan_release(skua_chan *chan, int ends)
{
    if (chan == NULL || skua__forked()) {
        return;
    }
    skua__lock(&chan->lock, SKUA__RANK_CHAN);
    if ((ends & SKUA_SENDER) != 0) {
        drop(&chan->senders, "sender");
    }
    if ((ends & SKUA_RECEIVER) != 0) {
        drop(&chan->receivers, "receiver");
    }
    if ((ends & SKUA_SENDER) != 0 && chan->senders == 0 && !chan->is_closed) {
        close_locked(chan);
    }
    if ((ends & SKUA_RECEIVER) != 0 && chan->receivers == 0) {
        dismiss_all(chan, &chan->waiting_senders, -EPIPE);
    }
    bool is_last = chan->senders == 0 && chan->receivers == 0 && chan->holds == 0;
    skua__unlock(&chan->lock, SKUA__RANK_CHAN);
    if (is_last) {
        skua__free(chan);
    }
}

size_t skua_chan_count(const skua_chan *chan)
{
    skua_chan *lockable = (skua_chan *)(uintptr_t)chan;
    if (skua__forked()) {
        return 0;
    }
    skua__lock(&lockable->lock, SKUA__RANK_CHAN);
    size_t count = chan->count;
    skua__unlock(&lockable->lock, SKUA__RANK_CHAN);
    return count;
}
