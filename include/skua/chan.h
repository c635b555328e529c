/* skua/chan.h: channels: typed queues between tasks and threads, with back-pressure.

   Items are copied in and out by value. Capacity 0 is a rendezvous: a send completes when a
   receiver has the item. Waiters are served first come, first served (a waiter inside a shield
   whose grace begins while it waits goes to the end of the line). Foreign threads may use either
   end. What happened before a send happens before what follows the receive of that item; what
   happened before the close happens before what follows the end. */
#ifndef SKUA_CHAN_H
#define SKUA_CHAN_H

#include <skua/base.h>

SKUA_BEGIN_DECLS

typedef struct skua_chan skua_chan;

/* The ends of a channel, for retain and release. */
enum { SKUA_SENDER = 1, SKUA_RECEIVER = 2 };

/* Pointer and size of a variable: skua_chan_send(chan, SKUA_ITEM(path), SKUA_FOREVER) */
#define SKUA_ITEM(x) (&(x)), sizeof(x)

/* Create a channel with one sender and one receiver end, both owned by the caller.
   Returns 0, -ENOMEM, -EINVAL (item_bytes over 64 KiB, or a size that overflows). item_bytes 0 is
   allowed (signals). Call from anywhere. */
int skua_chan_create(skua_chan **out, size_t item_bytes, size_t capacity) SKUA_MUST_CHECK;

/* Send a copy of *item, waiting while the channel is full. item_bytes must be the channel's:
   another size panics (the only type check that C gives us). Returns 0, -EPIPE (closed, or no
   receiver is left), -ETIMEDOUT, -EAGAIN (SKUA_NOW and full), -ECANCELED, -ESHUTDOWN (in a forked
   child).
   Call from: a task or a foreign thread. May switch. Cancel: an item is either sent (0) or
   not (< 0), never both. Cost: O(1), no allocation. */
int skua_chan_send(skua_chan *chan, const void *item, size_t item_bytes, skua_time deadline)
    SKUA_MUST_CHECK;

/* Receive one item into *item, waiting while the channel is empty. Returns 1 (got it), 0 (closed
   and drained; *item is untouched), -ETIMEDOUT, -EAGAIN (SKUA_NOW and empty), -ECANCELED,
   -ESHUTDOWN.
   Call from: a task or a foreign thread. May switch. Cancel: loses nothing. Cost: O(1),
   no allocation. */
int skua_chan_recv(skua_chan *chan, void *item, size_t item_bytes, skua_time deadline)
    SKUA_MUST_CHECK;

/* No more sends: waiting and later senders get -EPIPE, receivers drain what is buffered and then
   get
   0. Closing twice is harmless. Call from anywhere. Never switches. */
void skua_chan_close(skua_chan *chan);

/* Another reference to the given ends (SKUA_SENDER | SKUA_RECEIVER). Call from anywhere, while
   holding a reference to one of them. */
void skua_chan_retain(skua_chan *chan, int ends);

/* Give ends back; NULL is allowed. The last sender closes the channel; after the last receiver
   sends give -EPIPE; after both it is freed, with what was in it. One too many panics. Call from
   anywhere. */
void skua_chan_release(skua_chan *chan, int ends);

/* Items in the buffer now, for display: it may have changed when you look. Call from anywhere. */
size_t skua_chan_count(const skua_chan *chan);

SKUA_END_DECLS
#endif
