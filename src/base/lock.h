/* base/lock.h: the lock of the library: one word, taken by one compare-and-swap and given back by
   one plain store.

   Held for a handful of instructions and never across a switch of fibers, so it is contended only
   for moments, unless the kernel preempts the holder. Waiters therefore spin, then give the
   processor away, then nap for ever longer (50 us to 1 ms). The usual futex lock would be told of
   the unlock instead, but its unlock is a second read-modify-write: 5 ns more on every message of
   every channel, to serve a case that hardly happens.

   Ranks say in which order locks may be taken (docs/internals.md has the table): a thread that
   holds a lock of rank r takes only locks of a higher rank, or of the same rank where the room
   orders them itself (channels by address, scopes from outer to inner). Debug builds check it.

   A zeroed lock is unlocked. The unlock is the last access to the word: the object may then be
   freed by whoever takes the lock next. */
#ifndef SKUA_BASE_LOCK_H
#define SKUA_BASE_LOCK_H

#include "base/atomic.h"
#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

enum skua__lock_rank {
    SKUA__RANK_SERVICE = 1, /* sched: making of services */
    SKUA__RANK_POOL,        /* pool: jobs and workers */
    SKUA__RANK_CLUSTER,     /* pool: what is to be sent to other ranks */
    SKUA__RANK_IO,          /* io: one fd */
    SKUA__RANK_BLOCKING,    /* blocking: queue of calls */
    SKUA__RANK_CHAN,        /* chan: one channel; sync: one line; several in address order */
    SKUA__RANK_SCOPE,       /* sched: one scope or task; outer before inner */
    SKUA__RANK_WATCH,       /* sched: ends of watched tasks; group: one table of calls */
    SKUA__RANK_DIRECTOR,    /* testing: who waits for the clock or for quiet */
    SKUA__RANK_WHEEL,       /* sched: timers of one worker */
    SKUA__RANK_INJECT,      /* sched: one inject queue */
    SKUA__RANK_IDLE,        /* sched: list of parked workers */
    SKUA__RANK_MEM,         /* mem: slabs and stack lists */
};

struct skua__lock {
    _Atomic uint32_t word; /* 0 unlocked, 1 locked */
};

void skua__lock_slow(struct skua__lock *lock);

#if SKUA_DEBUG
void skua__lock_check_take(enum skua__lock_rank rank);
void skua__lock_check_give(enum skua__lock_rank rank);
#else
#define skua__lock_check_take(rank) ((void)(rank))
#define skua__lock_check_give(rank) ((void)(rank))
#endif

static inline void skua__lock(struct skua__lock *lock, enum skua__lock_rank rank)
{
    skua__lock_check_take(rank);
    uint32_t unlocked = 0;
    /* acquire: pairs with the release in skua__unlock(): what the last holder wrote is seen. */
    if (SKUA_UNLIKELY(!skua__cas(&lock->word, &unlocked, 1, acquire, relaxed))) {
        skua__lock_slow(lock);
    }
}

/* False: somebody holds it. */
static inline bool skua__try_lock(struct skua__lock *lock, enum skua__lock_rank rank)
{
    uint32_t unlocked = 0;
    /* acquire: pairs with the release in skua__unlock(). */
    if (SKUA_UNLIKELY(!skua__cas(&lock->word, &unlocked, 1, acquire, relaxed))) {
        return false;
    }
    skua__lock_check_take(rank);
    return true;
}

static inline void skua__unlock(struct skua__lock *lock, enum skua__lock_rank rank)
{
    skua__lock_check_give(rank);
    /* release: publishes what was done under the lock; pairs with the acquire of the next holder.
       */
    skua__store(&lock->word, 0, release);
}

#endif
