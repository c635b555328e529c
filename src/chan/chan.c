/* Channels: a ring of cells that is used without a lock while nobody waits, and two queues of
   waiters under a lock.

     (C1) Receivers wait only while the buffer is empty and no sender with an item waits; senders
          wait only while the buffer is full, items and kept room together. So at most one of the
          two queues holds waiters that can be served.
     (C2) A waiter is linked only after the way past the lock has been closed: head is SLOW while
          anybody waits, tail too while senders wait (B3 in cells.h). It is opened again, under the
          lock, when both queues are empty and sends are not refused, and nothing of C7 is the case.
     (C3) An item goes into the ring or comes out of it by B2; or, under the lock, straight between
          the variables of a sender and a receiver, one of which waits with its frame alive until it
          is woken; the latter only while the buffer is empty, so that no item is overtaken.
     (C4) A waiter is served by a claim. One whose claim fails is on its way out (cancelled, late,
          or won by another case of its select) and is dropped from the queue.
     (C5) A waiter that comes back without having been served takes itself out of the queue under
          the lock before its frame ends.
     (C6) While sends are refused (closed, or no receiver is left) head is SLOW.
     (C7) While room is kept for permits, or the peak is tracked, head and tail are SLOW: everybody
          takes the lock, under which items and permits can be counted together. So what cells.h
          does knows nothing of permits, and costs nothing for them.
     (C8) `reserved` permits are held, each with a sender end; items + reserved <= capacity. Who
          waits for room with a permit stands among the senders, with ROOM_WANTED as its item. The
          end is reported only when no permit is left.

   *Lost wake.* A receiver waits after a compare-and-swap has set SLOW in the very head that it
   found equal to tail. A send that came before would have moved head, and the swap fails; one that
   comes later finds SLOW, waits for the lock, and then finds the receiver linked. A sender waits
   after the same with tail, a whole lap behind head; and while it waits, every receive is under the
   lock, and moves the oldest waiting sender's item up (C1). So there is never an item beside a
   waiting receiver, nor room beside a waiting sender, and each hand-over serves all that it has
   made possible: one.

   *Delivered twice, or to nobody.* Each position of the ring has one owner for each half of its
   life (B2). A direct hand-over follows a claim, of which there is one per wait, and copies under
   the lock, before the wake.

   *Close.* Under the lock; it sets SLOW in head. A send is either before that in the order of head,
   and its item is then between tail and head, or it takes the lock, finds the channel closed and
   gets -EPIPE. A receiver reports the end only under the lock, closed, with tail at a head that no
   one moves any more, as there is no permit either: so nothing that was sent stays behind.

   *Select* holds the locks of all its channels. It closes the way past each before it links its
   waiters, or tries again if it cannot. What it closed for nothing is opened by the next call that
   the closed way leads to the lock.

   *Cancel.* A wait that is claimed by anybody else has not been served, and its waiter leaves (C5);
   one that was served reports that, cancelled or not.

   *The end.* A call's last access to the channel is its unlock, or its storing of a stamp. Freeing
   takes the lock first; who frees a channel knows that those who use it without holding an end are
   through, and the only way to know is to have their item, whose stamp was the last.

   Wakes are done after the unlock. */
#include "chan/chan.h"

#include "base/mem.h"
#include "base/panic.h"
#include "chan/waiters.h"
#include "sched/fastpath.h"
#include "sched/service.h"

enum { ITEM_BYTES_MAX = 64 * 1024 };

/* --- the buffer, under the lock --------------------------------------------------------------- */

static bool has_cells(const skua_chan *chan)
{
    return chan->cells.first != NULL;
}

/* (C7) */
static bool is_counted(const skua_chan *chan)
{
    return chan->reserved > 0 || chan->tracks_peak;
}

static size_t buffered(const skua_chan *chan)
{
    return has_cells(chan) ? skua__cells_count(&chan->cells) : chan->signals;
}

static bool put_now(skua_chan *chan, const void *item)
{
    if (has_cells(chan)) {
        return skua__cells_force_put(&chan->cells, item);
    }
    bool has_room = chan->signals < chan->capacity;
    chan->signals += has_room;
    return has_room;
}

static bool buffer_put(skua_chan *chan, const void *item)
{
    if (SKUA_LIKELY(!is_counted(chan))) {
        return put_now(chan, item);
    }
    size_t count = buffered(chan); /* exact (C7) */
    if (count + chan->reserved >= chan->capacity || !put_now(chan, item)) {
        return false;
    }
    if (chan->tracks_peak && count + 1 > chan->peak) {
        chan->peak = count + 1;
    }
    return true;
}

static bool buffer_take(skua_chan *chan, void *item)
{
    if (has_cells(chan)) {
        return skua__cells_force_take(&chan->cells, item);
    }
    bool has_any = chan->signals > 0;
    chan->signals -= has_any;
    return has_any;
}

/* Opens the way past the lock again, unless somebody waits or sends are refused (C2). */
static void settle(skua_chan *chan)
{
    if (has_cells(chan) && !chan->refuses_sends && !is_counted(chan) &&
        skua__list_is_empty(&chan->waiting_receivers) &&
        skua__list_is_empty(&chan->waiting_senders)) {
        skua__cells_let_go(&chan->cells);
    }
}

/* From now on everybody takes the lock, until it is settled (C7). */
static void hold_both_ends(skua_chan *chan)
{
    if (has_cells(chan)) {
        skua__cells_hold_both(&chan->cells);
    }
}

static void refuse_sends(skua_chan *chan)
{
    chan->refuses_sends = true;
    skua__cells_hold_head(&chan->cells);
}

/* --- trying, under the lock ------------------------------------------------------------------- */

/* The oldest waiter that can be served; it is claimed and out of the queue. Or NULL. */
static inline struct skua__waiter *claim_first(struct skua__list *queue)
{
    struct skua__link *link;
    while ((link = skua__list_pop_front(queue)) != NULL) {
        struct skua__waiter *waiter = SKUA_CONTAINER(link, struct skua__waiter, link);
        if (SKUA_LIKELY(skua__waiter_claim(waiter))) {
            return waiter;
        }
    }
    return NULL;
}

/* A claimed receiver gets the item; it is woken after the unlock. */
static inline struct skua__parker *serve_receiver(const skua_chan *chan,
                                                  struct skua__waiter *receiver, const void *item)
{
    skua__copy_item(receiver->item, item, chan->item_bytes);
    receiver->result = 1;
    return receiver->parker;
}

/* A claimed sender's item goes to `item`. */
static inline struct skua__parker *serve_sender(const skua_chan *chan, struct skua__waiter *sender,
                                                void *item)
{
    skua__copy_item(item, sender->item, chan->item_bytes);
    sender->result = 0;
    return sender->parker;
}

int skua__chan_try_send(skua_chan *chan, const void *item, struct skua__parker **wake)
{
    if (SKUA_UNLIKELY(chan->refuses_sends)) {
        return -EPIPE;
    }
    int status = SKUA__WOULD_WAIT;
    struct skua__waiter *receiver = claim_first(&chan->waiting_receivers);
    if (receiver != NULL) {
        *wake = serve_receiver(chan, receiver, item);
        status = 0;
    } else if (chan->capacity > 0 && buffer_put(chan, item)) {
        status = 0;
    }
    settle(chan);
    return status;
}

/* The sender that comes next, unless the channel is closed: then all of them get -EPIPE. */
static struct skua__waiter *claim_sender(skua_chan *chan)
{
    return chan->is_closed ? NULL : claim_first(&chan->waiting_senders);
}

/* What stands in the place of its item when a waiter wants room for one. */
static char room_wanted;
#define ROOM_WANTED ((void *)&room_wanted)

static void keep_room(skua_chan *chan)
{
    hold_both_ends(chan);
    chan->reserved++;
    chan->senders++;
}

/* There is room for one: the oldest waiting sender's item moves up, or gets its room. */
static void refill(skua_chan *chan, struct skua__parker **wake)
{
    struct skua__waiter *sender = claim_sender(chan);
    if (sender == NULL) {
        return;
    }
    if (sender->item == ROOM_WANTED) {
        keep_room(chan);
    } else {
        bool is_put = buffer_put(chan, sender->item);
        skua_require(is_put); /* nobody else could: we hold the head (C2) */
    }
    sender->result = 0;
    *wake = sender->parker;
}

/* The buffer is empty, but all of it is kept: the oldest sender that has an item. */
static struct skua__waiter *claim_sender_with_item(skua_chan *chan)
{
    struct skua__link *link = chan->waiting_senders.head.next;
    while (!chan->is_closed && link != &chan->waiting_senders.head) {
        struct skua__waiter *sender = SKUA_CONTAINER(link, struct skua__waiter, link);
        link = link->next;
        if (sender->item != ROOM_WANTED) {
            skua__list_remove(&sender->link);
            if (skua__waiter_claim(sender)) {
                return sender;
            }
        }
    }
    return NULL;
}

/* Whether a receiver who finds nothing will never find anything (C8). */
static bool has_ended(const skua_chan *chan)
{
    return chan->is_closed && chan->reserved == 0;
}

int skua__chan_try_recv(skua_chan *chan, void *item, struct skua__parker **wake)
{
    int status = SKUA__WOULD_WAIT;
    struct skua__waiter *sender = NULL;
    if (chan->capacity == 0) {
        sender = claim_sender(chan);
    } else if (buffer_take(chan, item)) {
        refill(chan, wake);
        status = 1;
    } else if (chan->reserved > 0) {
        sender = claim_sender_with_item(chan);
    }
    if (sender != NULL) {
        *wake = serve_sender(chan, sender, item);
        status = 1;
    }
    settle(chan);
    return status == SKUA__WOULD_WAIT && has_ended(chan) ? 0 : status;
}

bool skua__chan_may_wait_to_send(skua_chan *chan)
{
    /* With room that is kept (C7) they are held, full or not. */
    return !has_cells(chan) || chan->reserved > 0 || skua__cells_hold_full(&chan->cells);
}

bool skua__chan_may_wait_to_recv(skua_chan *chan)
{
    return !has_cells(chan) || skua__cells_hold_empty(&chan->cells);
}

void skua__chan_check_size(const skua_chan *chan, size_t item_bytes)
{
    if (SKUA_UNLIKELY(item_bytes != chan->item_bytes)) {
        skua__panic("an item of %zu bytes at a channel of items of %zu bytes", item_bytes,
                    chan->item_bytes);
    }
}

/* --- sending and receiving -------------------------------------------------------------------- */

static SKUA_NOINLINE int wake_and_return(struct skua__parker *parker, int status)
{
    skua__wake(parker);
    return status;
}

static void wake_if(struct skua__parker *parker)
{
    if (parker != NULL) {
        skua__wake_inline(parker);
    }
}

/* Takes the waiter out of its queue if it is still there (C5). */
static void leave_queue(skua_chan *chan, struct skua__waiter *waiter)
{
    skua__lock(&chan->lock, SKUA__RANK_CHAN);
    if (skua__link_is_linked(&waiter->link)) {
        skua__list_remove(&waiter->link);
    }
    settle(chan);
    skua__unlock(&chan->lock, SKUA__RANK_CHAN);
}

static inline const char *what_for(const skua_chan *chan, const struct skua__list *queue)
{
    return queue == &chan->waiting_senders ? "a channel, to send" : "a channel, to receive";
}

/* Waits in the queue for a partner, as a task or as a thread. Called with the lock held, which it
   gives back. Returns what the call returns, or SKUA__RECHECK. */
static SKUA_NOINLINE int wait_once(skua_chan *chan, struct skua__list *queue, void *item,
                                   skua_time deadline)
{
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__wait_begin_for(&wait, SKUA__SOFT, what_for(chan, queue));
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

/* Tries under the lock. Returns what the call returns; or SKUA__WOULD_WAIT, with the lock held
   and a wait allowed. */
static inline int attempt_send(skua_chan *chan, const void *item, skua_time deadline)
{
    int status;
    struct skua__parker *wake = NULL;
    skua__lock(&chan->lock, SKUA__RANK_CHAN);
    do {
        status = skua__chan_try_send(chan, item, &wake);
        if (SKUA_LIKELY(status != SKUA__WOULD_WAIT) || skua__is_now(deadline)) {
            skua__unlock(&chan->lock, SKUA__RANK_CHAN);
            wake_if(wake);
            return status != SKUA__WOULD_WAIT ? status : -EAGAIN;
        }
    } while (!skua__chan_may_wait_to_send(chan));
    return status;
}

static inline int attempt_recv(skua_chan *chan, void *item, skua_time deadline)
{
    int status;
    struct skua__parker *wake = NULL;
    skua__lock(&chan->lock, SKUA__RANK_CHAN);
    do {
        status = skua__chan_try_recv(chan, item, &wake);
        if (SKUA_LIKELY(status != SKUA__WOULD_WAIT) || skua__is_now(deadline)) {
            skua__unlock(&chan->lock, SKUA__RANK_CHAN);
            wake_if(wake);
            return status != SKUA__WOULD_WAIT ? status : -EAGAIN;
        }
    } while (!skua__chan_may_wait_to_recv(chan));
    return status;
}

/* The whole call again, as often as it takes: its wait was ended for another look at the scopes. */
static SKUA_NOINLINE int start_again(skua_chan *chan, struct skua__list *queue, void *item,
                                     skua_time deadline)
{
    int status;
    do {
        status = skua__cancel_point();
        if (status < 0) {
            return status;
        }
        status = queue == &chan->waiting_senders ? attempt_send(chan, item, deadline)
                                                 : attempt_recv(chan, item, deadline);
        if (status == SKUA__WOULD_WAIT) {
            status = wait_once(chan, queue, item, deadline);
        }
    } while (status == SKUA__RECHECK);
    return status;
}

/* Like wait_once(), for good. There is one such function, called last, for all tasks that wait:
   every return to another place than the one that the processor has in mind is mispredicted after
   a switch. */
static SKUA_NOINLINE int wait_in_queue(skua_chan *chan, struct skua__list *queue, void *item,
                                       skua_time deadline)
{
    struct skua__fiber *fiber = skua__fiber_self();
    if (SKUA_UNLIKELY(fiber == NULL)) {
        return wait_once(chan, queue, item, deadline); /* a thread has no scopes */
    }
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__wait_begin_inline_for(&wait, fiber, what_for(chan, queue));
    skua__waiter_init(&waiter, &wait, 0, item);
    skua__list_push_back(queue, &waiter.link);
    skua__unlock(&chan->lock, SKUA__RANK_CHAN);
    int cause = skua__wait_park_inline(&wait, fiber, skua__deadline_ns(deadline));
    if (SKUA_LIKELY(cause >= 0)) {
        return waiter.result;
    }
    leave_queue(chan, &waiter);
    return cause != SKUA__RECHECK ? cause : start_again(chan, queue, item, deadline);
}

/* What could not be done past the lock. */
static SKUA_NOINLINE int send_locked(skua_chan *chan, const void *item, skua_time deadline)
{
    int status = attempt_send(chan, item, deadline);
    if (SKUA_LIKELY(status != SKUA__WOULD_WAIT)) {
        return status;
    }
    return wait_in_queue(chan, &chan->waiting_senders, (void *)(uintptr_t)item, deadline);
}

static SKUA_NOINLINE int recv_locked(skua_chan *chan, void *item, skua_time deadline)
{
    int status = attempt_recv(chan, item, deadline);
    if (SKUA_LIKELY(status != SKUA__WOULD_WAIT)) {
        return status;
    }
    return wait_in_queue(chan, &chan->waiting_receivers, item, deadline);
}

/* The commonest ways of a channel without a buffer: items of 8 bytes, the lock free, and a partner
   that goes into the LIFO slot, or none. */
static SKUA_NOINLINE int meet_receiver(skua_chan *chan, const void *item, skua_time deadline)
{
    if (SKUA_UNLIKELY(!skua__try_lock(&chan->lock, SKUA__RANK_CHAN))) {
        return send_locked(chan, item, deadline);
    }
    if (SKUA_UNLIKELY(chan->refuses_sends)) {
        skua__unlock(&chan->lock, SKUA__RANK_CHAN);
        return send_locked(chan, item, deadline);
    }
    struct skua__waiter *receiver = claim_first(&chan->waiting_receivers);
    if (receiver != NULL) {
        struct skua__parker *parker = receiver->parker;
        memcpy(receiver->item, item, sizeof(uint64_t));
        receiver->result = 1;
        skua__unlock(&chan->lock, SKUA__RANK_CHAN);
        return skua__wake_passes(parker) ? 0 : wake_and_return(parker, 0);
    }
    if (SKUA_UNLIKELY(skua__is_now(deadline))) {
        skua__unlock(&chan->lock, SKUA__RANK_CHAN);
        return -EAGAIN;
    }
    return wait_in_queue(chan, &chan->waiting_senders, (void *)(uintptr_t)item, deadline);
}

static SKUA_NOINLINE int meet_sender(skua_chan *chan, void *item, skua_time deadline)
{
    if (SKUA_UNLIKELY(!skua__try_lock(&chan->lock, SKUA__RANK_CHAN))) {
        return recv_locked(chan, item, deadline);
    }
    if (SKUA_UNLIKELY(chan->is_closed)) {
        skua__unlock(&chan->lock, SKUA__RANK_CHAN);
        return recv_locked(chan, item, deadline);
    }
    struct skua__waiter *sender = claim_first(&chan->waiting_senders);
    if (sender != NULL) {
        struct skua__parker *parker = sender->parker;
        memcpy(item, sender->item, sizeof(uint64_t));
        sender->result = 0;
        skua__unlock(&chan->lock, SKUA__RANK_CHAN);
        return skua__wake_passes(parker) ? 1 : wake_and_return(parker, 1);
    }
    if (SKUA_UNLIKELY(skua__is_now(deadline))) {
        skua__unlock(&chan->lock, SKUA__RANK_CHAN);
        return -EAGAIN;
    }
    return wait_in_queue(chan, &chan->waiting_receivers, item, deadline);
}

/* The calls in full. The public functions below are their commonest ways, without a call that comes
   back: such a function keeps everything in registers that nobody has to save. */
static SKUA_NOINLINE int send_in_full(skua_chan *chan, const void *item, size_t item_bytes,
                                      skua_time deadline)
{
    skua__chan_check_size(chan, item_bytes);
    int status = skua__cancel_point_passes() ? 0 : skua__cancel_point();
    if (status < 0) {
        return status;
    }
    return skua__cells_put(&chan->cells, item, item_bytes) ? 0 : send_locked(chan, item, deadline);
}

static SKUA_NOINLINE int recv_in_full(skua_chan *chan, void *item, size_t item_bytes,
                                      skua_time deadline)
{
    skua__chan_check_size(chan, item_bytes);
    int status = skua__cancel_point_passes() ? 0 : skua__cancel_point();
    if (status < 0) {
        return status;
    }
    return skua__cells_take(&chan->cells, item, item_bytes) ? 1 : recv_locked(chan, item, deadline);
}

int skua_chan_send(skua_chan *chan, const void *item, size_t item_bytes, skua_time deadline)
{
    if (SKUA_UNLIKELY(item_bytes != sizeof(uint64_t) || item_bytes != chan->item_bytes ||
                      !skua__cancel_point_passes())) {
        return send_in_full(chan, item, item_bytes, deadline);
    }
    if (chan->capacity == 0) {
        return meet_receiver(chan, item, deadline);
    }
    if (SKUA_LIKELY(skua__cells_put(&chan->cells, item, sizeof(uint64_t)))) {
        return 0;
    }
    return send_locked(chan, item, deadline);
}

int skua_chan_recv(skua_chan *chan, void *item, size_t item_bytes, skua_time deadline)
{
    if (SKUA_UNLIKELY(item_bytes != sizeof(uint64_t) || item_bytes != chan->item_bytes ||
                      !skua__cancel_point_passes())) {
        return recv_in_full(chan, item, item_bytes, deadline);
    }
    if (chan->capacity == 0) {
        return meet_sender(chan, item, deadline);
    }
    if (SKUA_LIKELY(skua__cells_take(&chan->cells, item, sizeof(uint64_t)))) {
        return 1;
    }
    return recv_locked(chan, item, deadline);
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
    refuse_sends(chan);
    dismiss_all(chan, &chan->waiting_senders, -EPIPE);
    if (has_ended(chan)) {
        dismiss_all(chan, &chan->waiting_receivers, 0);
    }
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
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    bool needs_cells = item_bytes > 0 && capacity > 0;
    size_t bytes = 0;
    if (item_bytes > ITEM_BYTES_MAX ||
        (needs_cells &&
         __builtin_mul_overflow(skua__cells_cell_bytes(item_bytes), capacity, &bytes)) ||
        __builtin_add_overflow(bytes, sizeof(skua_chan), &bytes) || bytes > PTRDIFF_MAX) {
        return -EINVAL;
    }
    skua_chan *chan = skua__alloc_aligned(_Alignof(skua_chan), bytes);
    if (chan == NULL) {
        return -ENOMEM;
    }
    chan->item_bytes = item_bytes;
    chan->capacity = capacity;
    chan->senders = chan->receivers = 1;
    skua__list_init(&chan->waiting_senders);
    skua__list_init(&chan->waiting_receivers);
    skua__cells_init(&chan->cells, needs_cells ? chan + 1 : NULL, item_bytes, capacity);
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
    chan->refuses_sends = chan->is_closed || chan->receivers == 0;
    settle(chan);
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
        refuse_sends(chan);
        dismiss_all(chan, &chan->waiting_senders, -EPIPE);
    }
    bool is_last = chan->senders == 0 && chan->receivers == 0 && chan->holds == 0;
    skua__unlock(&chan->lock, SKUA__RANK_CHAN);
    if (is_last) {
        skua__free(chan);
    }
}

/* --- for permit.c and oneshot.c ------------------------------------------------------------- */

int skua__chan_give(skua_chan *chan, const void *item, size_t item_bytes)
{
    skua__chan_check_size(chan, item_bytes);
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    struct skua__parker *wake = NULL;
    skua__lock(&chan->lock, SKUA__RANK_CHAN);
    int status = skua__chan_try_send(chan, item, &wake);
    skua__unlock(&chan->lock, SKUA__RANK_CHAN);
    wake_if(wake);
    return status == SKUA__WOULD_WAIT ? -EAGAIN : status;
}

int skua__chan_try_reserve(skua_chan *chan)
{
    if (chan->refuses_sends) {
        return -EPIPE;
    }
    hold_both_ends(chan);
    int status = SKUA__WOULD_WAIT;
    if (buffered(chan) + chan->reserved < chan->capacity) {
        keep_room(chan);
        status = 0;
    }
    settle(chan);
    return status;
}

int skua__chan_wait_for_room(skua_chan *chan, skua_time deadline)
{
    int status = skua__waiters_wait(&chan->lock, &chan->waiting_senders, ROOM_WANTED, deadline);
    if (status < 0) {
        skua__lock(&chan->lock, SKUA__RANK_CHAN);
        settle(chan);
        skua__unlock(&chan->lock, SKUA__RANK_CHAN);
    }
    return status;
}

/* An item for which room was kept until now: to a waiting receiver, or into the buffer. */
static int commit(skua_chan *chan, const void *item, struct skua__parker **wake,
                  struct skua__list *claimed)
{
    if (chan->receivers == 0) {
        return -EPIPE;
    }
    struct skua__waiter *receiver = claim_first(&chan->waiting_receivers);
    if (receiver == NULL) {
        bool is_put = buffer_put(chan, item);
        skua_require(is_put); /* (C8) */
        return 0;
    }
    (void)serve_receiver(chan, receiver, item);
    skua__list_push_back(claimed, &receiver->link);
    refill(chan, wake); /* the room is left over */
    return 0;
}

int skua__chan_end_permit(skua_chan *chan, const void *item, bool has_item)
{
    int status = 0;
    struct skua__parker *wake = NULL;
    struct skua__list claimed;
    skua__list_init(&claimed);
    skua__lock(&chan->lock, SKUA__RANK_CHAN);
    if (chan->reserved == 0) {
        skua__panic("a permit of a channel was used twice");
    }
    chan->reserved--;
    if (has_item) {
        status = commit(chan, item, &wake, &claimed);
    } else {
        refill(chan, &wake);
    }
    if (has_ended(chan)) {
        skua__waiters_claim_all(&chan->waiting_receivers, 0, &claimed); /* the buffer is empty */
    }
    settle(chan);
    skua__unlock(&chan->lock, SKUA__RANK_CHAN);
    wake_if(wake);
    skua__waiters_wake_all(&claimed);
    skua_chan_release(chan, SKUA_SENDER); /* the permit's own */
    return status;
}

void skua__chan_track_peak(skua_chan *chan)
{
    skua__lock(&chan->lock, SKUA__RANK_CHAN);
    hold_both_ends(chan);
    chan->tracks_peak = true;
    chan->peak = buffered(chan);
    skua__unlock(&chan->lock, SKUA__RANK_CHAN);
}

size_t skua__chan_buffered(const skua_chan *chan)
{
    return buffered(chan);
}
