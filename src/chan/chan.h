/* chan/chan.h: the inside of skua_chan, for select. */
#ifndef SKUA_CHAN_CHAN_H
#define SKUA_CHAN_CHAN_H

#include "base/lock.h"
#include "sched/waiter.h"

#include <skua/chan.h>

struct skua_chan {
    /* Constant. */
    size_t item_bytes, capacity;

    /* Under the lock. */
    struct skua__lock lock;
    bool is_closed;
    size_t first, count;         /* the ring of buffered items */
    uint32_t senders, receivers; /* ends that are held */
    uint32_t holds;              /* calls that unlock in the middle and come back */
    struct skua__list waiting_senders, waiting_receivers; /* skua__waiter, oldest first */
    _Alignas(16) char items[];
};

/* What an attempt under the lock came to. */
enum { SKUA__CHAN_WOULD_WAIT = -2000000 };

/* Try to send or receive, once, under the lock. Returns what the public call returns, or
   SKUA__CHAN_WOULD_WAIT. *wake is a claimed parker to be woken after the unlock, or NULL. */
int skua__chan_try_send(skua_chan *chan, const void *item, struct skua__parker **wake);
int skua__chan_try_recv(skua_chan *chan, void *item, struct skua__parker **wake);

/* Panics unless the item has the channel's size. */
void skua__chan_check_size(const skua_chan *chan, size_t item_bytes);

#endif
