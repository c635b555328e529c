/* sched/limit.h: waiting for fewer tasks than max_tasks. */
#ifndef SKUA_SCHED_LIMIT_H
#define SKUA_SCHED_LIMIT_H

#include "base/list.h"
#include "base/lock.h"

/* Who waits for room. Zeroed is "nobody", except for the list. */
struct skua__room {
    struct skua__lock lock;
    _Atomic uint32_t waiting; /* written under the lock */
    struct skua__list waiters;
};

static inline void skua__room_init(struct skua__room *room)
{
    skua__list_init(&room->waiters);
}

/* Wake all who wait. Call from anywhere. */
void skua__room_wake(struct skua__room *room);

/* A task has ended, and that has been counted. */
static inline void skua__room_offer(struct skua__room *room)
{
    /* seq_cst: orders the count before the look; pairs with the fence in wait_for_room(). */
    skua__fence(seq_cst);
    if (skua__load(&room->waiting, relaxed) != 0) {
        skua__room_wake(room);
    }
}

#endif
