/* chan/chan.h: the inside of skua_chan, for select. */
#ifndef SKUA_CHAN_CHAN_H
#define SKUA_CHAN_CHAN_H

#include "base/lock.h"
#include "chan/cells.h"
#include "sched/waitable.h"

#include <skua/chan.h>

struct skua_chan {
    struct skua__cells cells; /* the buffer, for those who hold the lock and those who do not */

    /* Constant. */
    size_t item_bytes, capacity;

    /* Under the lock. */
    struct skua__lock lock;
    bool is_closed;
    bool refuses_sends;          /* closed, or no receiver is left */
    uint32_t senders, receivers; /* ends that are held */
    uint32_t holds;              /* calls that unlock in the middle and come back */
    size_t signals;              /* buffered items of no bytes: those need no cells */
    size_t reserved;             /* room that is kept for permits */
    bool tracks_peak;
    size_t peak;
    struct skua__list waiting_senders, waiting_receivers; /* skua__waiter, oldest first */
};

/* Try to send or receive, once, under the lock. Returns what the public call returns, or
   SKUA__WOULD_WAIT. *wake is a claimed parker to be woken after the unlock, or untouched. */
int skua__chan_try_send(skua_chan *chan, const void *item, struct skua__parker **wake);
int skua__chan_try_recv(skua_chan *chan, void *item, struct skua__parker **wake);

/* Under the lock, after an attempt that would have to wait: from now on nobody passes the lock by,
   so that a waiter may be linked. False: things have changed, try again. If nobody is linked after
   all, the next one to take the lock puts it right. */
bool skua__chan_may_wait_to_send(skua_chan *chan);
bool skua__chan_may_wait_to_recv(skua_chan *chan);

/* Send without a look at cancels, never waiting: 0, -EPIPE, -EAGAIN (full), -ESHUTDOWN. */
int skua__chan_give(skua_chan *chan, const void *item, size_t item_bytes);

/* Under the lock, of a channel with a buffer: keep room for one item. 0, -EPIPE, or
   SKUA__WOULD_WAIT. */
int skua__chan_try_reserve(skua_chan *chan);

/* Wait for such room among the senders, after skua__chan_may_wait_to_send(). Called with the lock
   held, which it gives back. 0 (it is kept), -EPIPE, -ETIMEDOUT, -ECANCELED, SKUA__RECHECK. */
int skua__chan_wait_for_room(skua_chan *chan, skua_time deadline);

/* Give the room back, with or without an item. 0, or -EPIPE: the item was for nobody. */
int skua__chan_end_permit(skua_chan *chan, const void *item, bool has_item);

void skua__chan_track_peak(skua_chan *chan);

/* Under the lock: items in the buffer. Exact while the ends are held. */
size_t skua__chan_buffered(const skua_chan *chan);

/* Panics unless the item has the channel's size. */
void skua__chan_check_size(const skua_chan *chan, size_t item_bytes);

#endif
