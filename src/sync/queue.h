/* sync/queue.h: the line in front of everything in this room but the mutex.

   A primitive is some state, a line of waiters, and three rules: whether a wish can be had now,
   what giving it does to the state, and what taking it back does. Each call that changes the state
   serves the line afterwards; so does each waiter that leaves. queue.c has the argument.

   How a primitive waits:    return skua__queue_take(&sem->queue, &rules, &wish, deadline);
   How a primitive changes:  skua__queue_lock(&sem->queue);
                             sem->permits += permits;
                             skua__queue_serve_and_unlock(&sem->queue, &rules); */
#ifndef SKUA_SYNC_QUEUE_H
#define SKUA_SYNC_QUEUE_H

#include "base/lock.h"
#include "sched/waiter.h"

/* Zeroed: nobody waits. First in its object, so that rules find the object by it. */
struct skua__queue {
    struct skua__lock lock;
    uint32_t count;            /* of waiters */
    struct skua__list waiters; /* skua__waiter, oldest first; `item` is the wish; valid while
                                  there are any */
};

struct skua__queue_rules {
    bool (*may)(const struct skua__queue *queue, const void *wish);
    /* Returns what the call returns. */
    int (*give)(struct skua__queue *queue, void *wish);
    /* The waiter is not going to use what it was given. NULL: what was given is given, and the call
       says so, cancelled or not. */
    void (*take_back)(struct skua__queue *queue, void *wish);
};

/* `give` and `take_back` where who waits is let go on and gets nothing. */
int skua__queue_give_nothing(struct skua__queue *queue, void *wish);
void skua__queue_take_nothing_back(struct skua__queue *queue, void *wish);

/* One wait in the line, in the frame of the call. */
struct skua__queue_entry {
    struct skua__wait wait;
    struct skua__waiter waiter;
};

static inline void skua__queue_lock(struct skua__queue *queue)
{
    skua__lock(&queue->lock, SKUA__RANK_CHAN);
}

static inline void skua__queue_unlock(struct skua__queue *queue)
{
    skua__unlock(&queue->lock, SKUA__RANK_CHAN);
}

/* Put a waiter at the end of the line, or take one out that stands in it. With the lock. */
static inline void skua__queue_add(struct skua__queue *queue, struct skua__waiter *waiter)
{
    if (queue->count++ == 0) {
        skua__list_init(&queue->waiters);
    }
    skua__list_push_back(&queue->waiters, &waiter->link);
}

static inline void skua__queue_remove(struct skua__queue *queue, struct skua__waiter *waiter)
{
    skua__list_remove(&waiter->link);
    queue->count--;
}

/* Have the wish, at once or in turn. Returns what `give` returned, or a common result. */
int skua__queue_take(struct skua__queue *queue, const struct skua__queue_rules *rules, void *wish,
                     skua_time deadline);

/* Stand at the end of the line until served. Called with the lock held, which it gives back. */
int skua__queue_wait(struct skua__queue *queue, const struct skua__queue_rules *rules, void *wish,
                     skua_time deadline);

/* The same in two steps, for a fiber that has something to do in between, such as waking others:
   stand in line, with the lock held, which is given back; then wait, unless served meanwhile. */
void skua__queue_enter(struct skua__queue *queue, struct skua__queue_entry *entry, void *wish);
int skua__queue_stay(struct skua__queue *queue, const struct skua__queue_rules *rules,
                     struct skua__queue_entry *entry, skua_time deadline);

/* The state has changed: give to those in front what they wish for, as long as it can be had; give
   the lock back, which is the last access to the object; and wake them. */
void skua__queue_serve_and_unlock(struct skua__queue *queue, const struct skua__queue_rules *rules);

/* Who holds what belongs to a fiber or to a foreign thread: an identity, never 0. */
uintptr_t skua__queue_self(void);

#endif
