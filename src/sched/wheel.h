/* sched/wheel.h: the timers of one worker: a hierarchical wheel of levels of 64 slots, each step of
   the lowest level 65.5 us. Arm and cancel are O(1); nothing fires early. Under a test's virtual
   clock a step is 1 ns, which takes more levels and makes every moment exact.

   Each fiber has one timer, and it is lazy: when a wait ends otherwise its timer stays where it is.
   A timer that is found in the way when a later deadline is armed stays too, fires early, sees the
   later deadline and moves on. So a million short waits with timeouts cost a million comparisons,
   and the wheel never holds more timers than there are fibers.

   A wheel has a lock, so that any thread may run it when its worker is stuck in a long task. */
#ifndef SKUA_SCHED_WHEEL_H
#define SKUA_SCHED_WHEEL_H

#include "base/list.h"
#include "base/lock.h"
#include "sched/waiter.h"

enum { SKUA__WHEEL_LEVELS = 11, SKUA__WHEEL_SLOTS = 64, SKUA__WHEEL_TICK_SHIFT = 16 };

struct skua__wheel;

/* One fiber's timer, a cache line of its own. Zeroed is unarmed. */
struct skua__timer {
    /* Under the lock of `wheel`, while linked: */
    struct skua__link link;
    uint64_t expiry_tick; /* where it stands in the wheel */
    int64_t deadline_ns;  /* when it is really due */
    uint64_t ticket;      /* for which wait of the parker */
    uint8_t level, slot;
    /* Changed by the fiber itself only, under the lock of the new wheel: */
    struct skua__wheel *wheel;
    struct skua__parker *parker; /* constant */
};

_Static_assert(sizeof(struct skua__timer) == SKUA_CACHE_LINE, "see its comment");

struct skua__wheel {
    struct skua__lock lock SKUA_CACHE_ALIGNED;
    uint32_t tick_shift; /* constant: log2 of the nanoseconds of a tick */
    uint64_t elapsed;    /* ticks up to here have been dealt with */
    size_t count;
    uint64_t occupied[SKUA__WHEEL_LEVELS]; /* a bit for each slot that is not empty */
    struct skua__list slots[SKUA__WHEEL_LEVELS][SKUA__WHEEL_SLOTS];
    /* When the wheel wants to be run, or SKUA__NEVER; read by anybody, as a hint. */
    _Atomic int64_t next_ns;
};

/* Ticks of 65.5 us. */
void skua__wheel_init(struct skua__wheel *wheel, int64_t now_ns);

/* Ticks of 1 ns. */
void skua__wheel_init_exact(struct skua__wheel *wheel, int64_t now_ns);

/* Let `timer` end the wait `ticket` of its parker at `deadline_ns`. `wheel` is the calling
   worker's. Call from: the fiber that owns the timer, after skua__wait_begin(). */
void skua__wheel_arm(struct skua__wheel *wheel, struct skua__timer *timer, uint64_t ticket,
                     int64_t deadline_ns);

/* Take the timer out of whatever wheel it is in. Call from: who owns the fiber. */
void skua__timer_disarm(struct skua__timer *timer);

/* Claim and wake all whose deadline has come. Returns how many. Call from anywhere but a fiber. */
size_t skua__wheel_run(struct skua__wheel *wheel, int64_t now_ns);

/* skua__wheel_next(), after dropping the timers of waits that are over and moving those that have
   become later, as far as they stand in the way: so that somebody waits for what it returns. */
int64_t skua__wheel_next_live(struct skua__wheel *wheel);

/* When skua__wheel_run() should be called next, or SKUA__NEVER. A hint: never too late for timers
   that were armed before the call. */
static inline int64_t skua__wheel_next(const struct skua__wheel *wheel)
{
    return skua__load(&wheel->next_ns, relaxed);
}

#endif
