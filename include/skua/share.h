/* skua/share.h: three narrow ways to hand values on.

     broadcast   every subscriber sees every item; who is too slow is told how many it has missed
     watch       the latest value, and waiting for it to change
     one-shot    one value, from one sender to one receiver

   Values are copied in and out, at most 64 KiB each; another size than the object's panics. Foreign
   threads may do everything that tasks may. What happened before a value was sent happens before
   what follows its receipt. */
#ifndef SKUA_SHARE_H
#define SKUA_SHARE_H

#include <skua/base.h>
#include <skua/chan.h> /* SKUA_ITEM, SKUA_SENDER, SKUA_RECEIVER */

SKUA_BEGIN_DECLS

struct skua__waitable;

/* --- broadcast: every item to every subscriber --- */

typedef struct skua_broadcast skua_broadcast;
typedef struct skua_subscriber skua_subscriber;

/* Create a broadcast that keeps the last `capacity` (> 0) items for those who lag behind. Returns
   0, -ENOMEM, -EINVAL (too large, or no capacity), -ESHUTDOWN (in a forked child). Call from
   anywhere. */
int skua_broadcast_create(skua_broadcast **out, size_t item_bytes, size_t capacity) SKUA_MUST_CHECK;

/* Send a copy of *item to all who have subscribed; the oldest item is forgotten for it. Never
   waits. Returns the number of subscribers (0: nobody will see it), -EPIPE (closed), -ESHUTDOWN.
   Call from anywhere. Never switches. Cost: O(who waits), no allocation. */
int skua_broadcast_send(skua_broadcast *broadcast, const void *item, size_t item_bytes)
    SKUA_MUST_CHECK;

/* No more items: later sends get -EPIPE; subscribers get what they have not seen yet, and then 0.
   Call from anywhere. Never switches. */
void skua_broadcast_close(skua_broadcast *broadcast);

/* Close it and give it back; NULL is allowed. Its memory goes with the last subscriber. Call from
   anywhere, when no other send or subscribe can be under way. */
void skua_broadcast_destroy(skua_broadcast *broadcast);

/* Subscribe to all items that are sent from now on. Returns 0, -ENOMEM, -ESHUTDOWN. Call from
   anywhere. */
int skua_broadcast_subscribe(skua_broadcast *broadcast, skua_subscriber **out) SKUA_MUST_CHECK;

/* Receive the next item, waiting until there is one. Returns 1 (got it), 0 (closed, and all seen),
   -EOVERFLOW (the next items were forgotten before they were received; skua_subscriber_missed()
   says how many, and the next call goes on with the oldest that is left), -ETIMEDOUT, -EAGAIN
   (SKUA_NOW and nothing new), -ECANCELED, -ESHUTDOWN. Tasks that share a subscriber share its
   items: each goes to one of them.
   Call from: a task or a foreign thread. May switch. Cancel: loses nothing. */
int skua_subscriber_next(skua_subscriber *subscriber, void *item, size_t item_bytes,
                         skua_time deadline) SKUA_MUST_CHECK;

/* How many items this subscriber has missed so far, all in all. Call from anywhere. */
uint64_t skua_subscriber_missed(const skua_subscriber *subscriber);

/* Unsubscribe; NULL is allowed. Panics if anybody waits on it. Call from anywhere. */
void skua_subscriber_release(skua_subscriber *subscriber);

/* A case for skua_select(): the next item; its result is that of skua_subscriber_next(). */
extern const struct skua__waitable skua_subscriber_items;
#define SKUA_NEWS(subscriber_, x)                                                                  \
    {                                                                                              \
        .kind = SKUA_CASE_WAITABLE, .object = (subscriber_), .item = &(x),                         \
        .item_bytes = sizeof(x), .waitable = &skua_subscriber_items                                \
    }

/* --- watch: the latest value --- */

typedef struct skua_watch skua_watch;

/* Create a watch with a first value, whose version is 1. Returns 0, -ENOMEM, -EINVAL, -ESHUTDOWN.
   Call from anywhere. */
int skua_watch_create(skua_watch **out, const void *item, size_t item_bytes) SKUA_MUST_CHECK;

/* Replace the value, and wake all who wait for a change. Returns 0, -EPIPE (closed), -ESHUTDOWN.
   Call from anywhere. Never switches. Cost: O(who waits). */
int skua_watch_set(skua_watch *watch, const void *item, size_t item_bytes) SKUA_MUST_CHECK;

/* Read the value. Returns its version (> 0); 0 in a forked child, where *item is untouched. Call
   from anywhere. Never switches. */
uint64_t skua_watch_get(const skua_watch *watch, void *item, size_t item_bytes);

/* Wait until the value is another one than that of *version, then read the latest one and its
   version; those between may go unseen. *version 0 has seen none, so that the first call returns at
   once. Returns 1, 0 (closed, and the last value was seen; nothing is written), -ETIMEDOUT, -EAGAIN
   (SKUA_NOW and no change), -ECANCELED, -ESHUTDOWN.
   Call from: a task or a foreign thread, any number at once. May switch. Cancel: loses nothing. */
int skua_watch_wait(skua_watch *watch, uint64_t *version, void *item, size_t item_bytes,
                    skua_time deadline) SKUA_MUST_CHECK;

/* The value stays as it is from now on. Call from anywhere. Never switches. */
void skua_watch_close(skua_watch *watch);

/* Free it; NULL is allowed. Panics if anybody waits. Call from anywhere, when nobody else uses it.
   */
void skua_watch_destroy(skua_watch *watch);

/* A case for skua_select(): there is another version than `version_` (a uint64_t variable), or the
   watch is closed; result 1 or 0. It reads nothing: skua_watch_wait() then returns at once. */
extern const struct skua__waitable skua_watch_changes;
#define SKUA_CHANGED(watch_, version_)                                                             \
    {                                                                                              \
        .kind = SKUA_CASE_WAITABLE, .object = (watch_), .item = &(version_),                       \
        .item_bytes = sizeof(version_), .waitable = &skua_watch_changes                            \
    }

/* --- one-shot: one value, once --- */

typedef struct skua_oneshot skua_oneshot;

/* Create a one-shot; the caller owns both ends, SKUA_SENDER and SKUA_RECEIVER. Returns 0, -ENOMEM,
   -EINVAL, -ESHUTDOWN. Call from anywhere. */
int skua_oneshot_create(skua_oneshot **out, size_t item_bytes) SKUA_MUST_CHECK;

/* Send the value, and give the sender's end back, also when it fails. Returns 0, -EPIPE (the
   receiver is gone, or has closed it), -ESHUTDOWN. Call from: whoever owns the sender's end. Never
   waits, never switches. */
int skua_oneshot_send(skua_oneshot *oneshot, const void *item, size_t item_bytes) SKUA_MUST_CHECK;

/* Receive the value. Returns 1 (got it), 0 (it will not come: the sender is gone without having
   sent, or it was closed, or received before), -ETIMEDOUT, -EAGAIN (SKUA_NOW), -ECANCELED,
   -ESHUTDOWN. Call from: whoever owns the receiver's end, a task or a foreign thread. May switch.
   Cancel: loses nothing. As a case of skua_select(): SKUA_RECV(oneshot, x). */
int skua_oneshot_recv(skua_oneshot *oneshot, void *item, size_t item_bytes, skua_time deadline)
    SKUA_MUST_CHECK;

/* The value is not wanted, or will not come, any more: a later send gets -EPIPE; one that was sent
   can still be received. Call from: whoever owns an end. Never switches. */
void skua_oneshot_close(skua_oneshot *oneshot);

/* Give ends back (SKUA_SENDER | SKUA_RECEIVER), unless a send has done it; NULL is allowed. After
   both it is freed, with a value that nobody took. Call from anywhere. */
void skua_oneshot_release(skua_oneshot *oneshot, int ends);

SKUA_END_DECLS
#endif
