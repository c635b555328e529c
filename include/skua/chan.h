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

/* --- sending in two steps --- */

/* Room for one item in a channel's buffer. Zeroed: none. Copies are the same permit. */
typedef struct skua_permit {
    uint64_t opaque[2];
} skua_permit;

/* Wait for room as a send does, and keep it for the item to come: so that an item which is costly
   to make, or which must not be lost, is made or taken only when it is certain to go in. The permit
   holds a sender end of its own; it must be committed or aborted. While there are permits, all uses
   of the channel go through its lock. Returns 0 with *permit filled in, or what a send returns;
   -ENOTSUP: the channel has no buffer.
   Call from: a task or a foreign thread. May switch. Cancel: *permit is filled in only with 0. */
int skua_chan_reserve(skua_chan *chan, skua_permit *permit, skua_time deadline) SKUA_MUST_CHECK;

/* Send the item into the room that was kept, also if the channel was closed meanwhile (receivers
   are not told of the end before that). Returns 0, or -EPIPE if no receiver is left, so that nobody
   could ever take it; -ESHUTDOWN in a forked child. The permit is used up in any case; to use it
   again panics. Items are received in the order of their commits.
   Call from: whoever holds the permit, a task or a foreign thread. Never waits, never switches. */
int skua_chan_commit(skua_permit *permit, const void *item, size_t item_bytes) SKUA_MUST_CHECK;

/* Give the room back. A zeroed or used permit is left as it is. Call from anywhere. Never switches.
   */
void skua_chan_abort(skua_permit *permit);

/* --- looking --- */

/* Items in the buffer now, for display: it may have changed when you look. Call from anywhere. */
size_t skua_chan_count(const skua_chan *chan);

/* What is going on in a channel; it may have changed when you look. */
typedef struct skua_chan_statistics {
    size_t count;              /* items in the buffer now */
    size_t peak;               /* the most there were since skua_chan_track_peak(); 0 without it */
    size_t capacity;           /* of the buffer */
    size_t reserved;           /* permits that are held */
    size_t senders, receivers; /* ends that are open, without those of permits */
    size_t waiting_senders, waiting_receivers; /* calls that wait just now */
    bool is_closed;
} skua_chan_statistics;

/* Fill in the statistics. Call from anywhere. Cost: O(who waits), under the channel's lock. */
void skua_chan_stats(const skua_chan *chan, skua_chan_statistics *out);

/* From now on note how full the buffer gets, at the price of the lock for every item (which they
   otherwise pass by). The first peak is what is in the buffer now. Call from anywhere. */
void skua_chan_track_peak(skua_chan *chan);

SKUA_END_DECLS
#endif
