/* Sending in two steps, and looking at channels. What happens under the lock is in chan.c (C7, C8).

   A permit is room that is counted, not a cell of the ring: a cell that was entered and not yet
   filled would hold up all items behind it for as long as its owner likes, and receivers would
   spin on it. So items stand in the order of their commits. */
#include "base/panic.h"
#include "chan/chan.h"
#include "chan/waiters.h"
#include "sched/service.h"

#include <errno.h>

/* What a skua_permit holds. */
struct permit {
    skua_chan *chan; /* NULL: none, or used up */
};

_Static_assert(sizeof(struct permit) <= sizeof(skua_permit), "skua_permit is too small");
_Static_assert(_Alignof(struct permit) <= _Alignof(skua_permit), "skua_permit is misaligned");

static struct permit *inside(skua_permit *permit)
{
    return (struct permit *)(void *)permit;
}

/* 0, SKUA__RECHECK, or what the call returns. */
static int reserve_once(skua_chan *chan, skua_time deadline)
{
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
    skua__lock(&chan->lock, SKUA__RANK_CHAN);
    do {
        status = skua__chan_try_reserve(chan);
        if (status != SKUA__WOULD_WAIT || skua__is_now(deadline)) {
            skua__unlock(&chan->lock, SKUA__RANK_CHAN);
            return status == SKUA__WOULD_WAIT ? -EAGAIN : status;
        }
    } while (!skua__chan_may_wait_to_send(chan));
    return skua__chan_wait_for_room(chan, deadline);
}

int skua_chan_reserve(skua_chan *chan, skua_permit *permit, skua_time deadline)
{
    int status = chan->capacity > 0 ? SKUA__RECHECK : -ENOTSUP;
    while (status == SKUA__RECHECK) {
        status = reserve_once(chan, deadline);
    }
    if (status == 0) {
        *permit = (skua_permit){{0}};
        inside(permit)->chan = chan;
    }
    return status;
}

/* The permit is used up now. */
static skua_chan *use_up(skua_permit *permit)
{
    skua_chan *chan = inside(permit)->chan;
    inside(permit)->chan = NULL;
    return chan;
}

int skua_chan_commit(skua_permit *permit, const void *item, size_t item_bytes)
{
    skua_chan *chan = use_up(permit);
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (chan == NULL) {
        skua__panic("a permit of a channel was used twice, or there is none");
    }
    skua__chan_check_size(chan, item_bytes);
    return skua__chan_end_permit(chan, item, true);
}

void skua_chan_abort(skua_permit *permit)
{
    skua_chan *chan = use_up(permit);
    if (chan != NULL && !skua__forked()) {
        skua__chan_end_permit(chan, NULL, false);
    }
}

/* --- looking ---------------------------------------------------------------------------------- */

static skua_chan *lock_to_look(const skua_chan *chan)
{
    skua_chan *lockable = (skua_chan *)(uintptr_t)chan;
    skua__lock(&lockable->lock, SKUA__RANK_CHAN);
    return lockable;
}

size_t skua_chan_count(const skua_chan *chan)
{
    if (skua__forked()) {
        return 0;
    }
    skua_chan *locked = lock_to_look(chan);
    size_t count = skua__chan_buffered(chan);
    skua__unlock(&locked->lock, SKUA__RANK_CHAN);
    return count;
}

void skua_chan_stats(const skua_chan *chan, skua_chan_statistics *out)
{
    *out = (skua_chan_statistics){0};
    if (skua__forked()) {
        return;
    }
    skua_chan *locked = lock_to_look(chan);
    *out = (skua_chan_statistics){
        .count = skua__chan_buffered(chan),
        .peak = chan->peak,
        .capacity = chan->capacity,
        .reserved = chan->reserved,
        .senders = chan->senders - chan->reserved,
        .receivers = chan->receivers,
        .waiting_senders = skua__waiters_count(&chan->waiting_senders),
        .waiting_receivers = skua__waiters_count(&chan->waiting_receivers),
        .is_closed = chan->is_closed,
    };
    skua__unlock(&locked->lock, SKUA__RANK_CHAN);
}

void skua_chan_track_peak(skua_chan *chan)
{
    if (!skua__forked()) {
        skua__chan_track_peak(chan);
    }
}
