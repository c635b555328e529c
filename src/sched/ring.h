/* sched/ring.h: a worker's queue of ready runnables: FIFO, 256 slots, one producer, many consumers.

   The owner pushes and pops, thieves take half at once. */
#ifndef SKUA_SCHED_RING_H
#define SKUA_SCHED_RING_H

#include "base/atomic.h"
#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

struct skua__runnable;

#ifndef SKUA__RING_SLOTS
#define SKUA__RING_SLOTS 256 /* a power of two; checkers compile with less, to reach the edges */
#endif

struct skua__ring {
    _Atomic uint32_t head;                    /* moved by consumers, by compare-and-swap */
    _Atomic uint32_t tail SKUA_CACHE_ALIGNED; /* moved by the owner */
    _Atomic(struct skua__runnable *) slots[SKUA__RING_SLOTS];
};

/* Owner only. False: full. May run in parallel with take_half() by others. */
bool skua__ring_push(struct skua__ring *ring, struct skua__runnable *runnable);

/* Owner only: the oldest, or NULL. */
struct skua__runnable *skua__ring_pop(struct skua__ring *ring);

/* Anybody: take the oldest half (rounded up) into out[0..SKUA__RING_SLOTS / 2), oldest first. Returns how
   many. Lock-free: it fails to make progress only if somebody else has. */
uint32_t skua__ring_take_half(struct skua__ring *ring, struct skua__runnable **out);

/* Anybody, a hint: exact for the owner. */
uint32_t skua__ring_count(const struct skua__ring *ring);

#endif
