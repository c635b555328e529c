/* skua/queue.h: queues of work: channels that know which items are still being worked on, and that
   can be unbounded, last in first out, or ordered by priority (asyncio's Queue, LifoQueue and
   PriorityQueue).

   Items are copied in and out by value; a null pointer is an item like any other. Those who wait
   are served first come, first served. Foreign threads may do everything that tasks may. What
   happened before a put happens before what follows the get of that item; what happened before
   skua_queue_done() happens before what follows a join that it has ended. */
#ifndef SKUA_QUEUE_H
#define SKUA_QUEUE_H

#include <skua/base.h>
#include <skua/chan.h> /* SKUA_ITEM */

SKUA_BEGIN_DECLS

typedef struct skua_queue skua_queue;

/* What a put does when the queue is full. */
typedef enum skua_queue_full {
    SKUA_FULL_WAIT,        /* it waits for room: back-pressure */
    SKUA_FULL_DROP_OLDEST, /* the item that a get would take next is dropped for the new one */
    SKUA_FULL_DROP_NEWEST, /* the new one is dropped */
} skua_queue_full;

/* How to make a queue. Zero everywhere but item_bytes is an unbounded first in, first out. */
typedef struct skua_queue_opts {
    size_t item_bytes; /* at most 64 KiB */
    size_t capacity;   /* the most items in the queue; 0: unbounded, a put never waits */
    bool lifo;         /* a get takes the newest item */
    /* A get takes the item that comes first: order(a, b) < 0 if a comes before b. Among equals the
       older one comes first. Not together with lifo. */
    int (*order)(const void *a, const void *b);
    skua_queue_full full; /* for queues with a capacity */
    /* Called for each item that is dropped: by a full queue, by skua_queue_close(queue, false), or
       with the queue. NULL: items own nothing. */
    void (*drop)(void *item);
    const char *name; /* for reports; copied. NULL: "queue" */
} skua_queue_opts;
/* `order` and `drop` are called under a lock, on whatever stack: they are to be short, and to call
   nothing of Skua. */

/* Create a queue, owned by the caller until skua_queue_destroy(). Returns 0, -ENOMEM, -EINVAL (a
   size that is too large, or options that exclude each other), -ESHUTDOWN (in a forked child).
   Call from anywhere. A queue with a capacity takes all its memory now. */
int skua_queue_create(skua_queue **out, const skua_queue_opts *opts) SKUA_MUST_CHECK;

/* Put a copy of *item in, waiting while the queue is full. item_bytes must be the queue's: another
   size panics. Returns 0, -ESHUTDOWN (closed, or in a forked child), -ENOMEM (only unbounded ones;
   nothing has changed), -ETIMEDOUT, -EAGAIN (SKUA_NOW and full), -ECANCELED.
   Call from: a task or a foreign thread. May switch. Cancel: the item is either in (0) or not
   (< 0), never both. Cost: O(1); with `order` O(log count); an unbounded one doubles its memory now
   and then. */
int skua_queue_put(skua_queue *queue, const void *item, size_t item_bytes, skua_time deadline)
    SKUA_MUST_CHECK;

/* Take an item, waiting while there is none. Returns 1 (got it: say skua_queue_done() when it has
   been dealt with, if anybody joins), 0 (closed, and nothing left; *item is untouched), -ETIMEDOUT,
   -EAGAIN (SKUA_NOW and empty), -ECANCELED, -ESHUTDOWN (in a forked child).
   Call from: a task or a foreign thread. May switch. Cancel: loses nothing. Cost: as a put. */
int skua_queue_get(skua_queue *queue, void *item, size_t item_bytes, skua_time deadline)
    SKUA_MUST_CHECK;

/* One of the items that were taken has been dealt with. More often than items were put in: panics.
   Call from anywhere. Never switches. */
void skua_queue_done(skua_queue *queue);

/* Wait until every item that was put in has been marked done, or dropped. Returns 0, -ETIMEDOUT,
   -EAGAIN (SKUA_NOW), -ECANCELED, -ESHUTDOWN. Call from: a task or a foreign thread. May switch.
   Cancel: loses nothing. A join that is cut off by the end of the runtime is reported on standard
   error, with the number of items that were never marked done. */
int skua_queue_join(skua_queue *queue, skua_time deadline) SKUA_MUST_CHECK;

/* No more puts: waiting and later ones get -ESHUTDOWN. `drain`: gets take what is there, and then
   give 0. Otherwise what is there is dropped, counts as done, and gets give 0 at once; a join then
   waits only for what was taken before. Closing again is harmless, and may still drop what is left.
   Call from anywhere. Never switches. */
void skua_queue_close(skua_queue *queue, bool drain);

/* Free the queue; what is in it is dropped. NULL is allowed. Panics if anybody waits on it. Items
   that were taken and never marked done are reported on standard error, if the queue was used with
   skua_queue_done() or skua_queue_join() at all. Call from anywhere, when nobody else uses it. */
void skua_queue_destroy(skua_queue *queue);

/* What is going on in a queue; it may have changed when you look. */
typedef struct skua_queue_statistics {
    size_t count;                     /* items in it now */
    size_t peak;                      /* the most there ever were */
    size_t capacity;                  /* 0: unbounded */
    size_t unfinished;                /* items put in and neither marked done nor dropped */
    size_t dropped;                   /* items dropped so far */
    size_t getters, putters, joiners; /* who waits */
    bool is_closed;
} skua_queue_statistics;

/* Fill in the statistics. Call from anywhere. Cost: O(who waits), under the queue's lock. */
void skua_queue_stats(const skua_queue *queue, skua_queue_statistics *out);

/* Cases for skua_select(): the get (result 1, or 0 for ended) and the put (result 0, -ESHUTDOWN or
   -ENOMEM) of a queue. */
extern const struct skua__waitable skua_queue_gets, skua_queue_puts;
#define SKUA_GET(queue_, x)                                                                        \
    {                                                                                              \
        .kind = SKUA_CASE_WAITABLE, .object = (queue_), .item = &(x), .item_bytes = sizeof(x),     \
        .waitable = &skua_queue_gets                                                               \
    }
#define SKUA_PUT(queue_, x)                                                                        \
    {                                                                                              \
        .kind = SKUA_CASE_WAITABLE, .object = (queue_), .item = &(x), .item_bytes = sizeof(x),     \
        .waitable = &skua_queue_puts                                                               \
    }

SKUA_END_DECLS
#endif
