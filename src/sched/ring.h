/* sched/ring.h: a worker's queue of ready runnables: FIFO, 256 slots, one producer, many consumers.

   The owner pushes and pops, thieves take half at once. ring.c has the invariants. */
#ifndef SKUA_SCHED_RING_H
#define SKUA_SCHED_RING_H

#include "base/atomic.h"
#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
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
static inline bool skua__ring_push(struct skua__ring *ring, struct skua__runnable *runnable)
{
    uint32_t tail = skua__load(&ring->tail, relaxed);
    /* acquire: pairs with the release of head in pop and take_half: their reads of a slot come
       before our overwriting it. */
    uint32_t head = skua__load(&ring->head, acquire);
    if (tail - head >= SKUA__RING_SLOTS) {
        return false;
    }
    skua__store(&ring->slots[tail & (SKUA__RING_SLOTS - 1)], runnable, relaxed);
    /* release: publishes the slot, and what the runnable points to; pairs with the acquire of tail
       in take_half. Without it a thief could run a task that it sees half-made. */
    skua__store(&ring->tail, tail + 1, release);
    return true;
}

/* Owner only: the oldest, or NULL. */
static inline struct skua__runnable *skua__ring_pop(struct skua__ring *ring)
{
    uint32_t tail = skua__load(&ring->tail, relaxed);
    uint32_t head = skua__load(&ring->head, relaxed);
    while (head != tail) {
        struct skua__runnable *oldest =
            skua__load(&ring->slots[head & (SKUA__RING_SLOTS - 1)], relaxed);
        /* release: orders our read of the slot before the owner's (our own) later overwriting of
           it, for the sake of thieves' reasoning about head; pairs with the acquire of head in
           push. */
        if (skua__cas(&ring->head, &head, head + 1, release, relaxed)) {
            return oldest;
        }
    }
    return NULL;
}

/* Anybody: take the oldest half (rounded up) into out[0..SKUA__RING_SLOTS / 2), oldest first.
   Returns how many. Lock-free: it fails to make progress only if somebody else has. */
uint32_t skua__ring_take_half(struct skua__ring *ring, struct skua__runnable **out);

/* Anybody, a hint: exact for the owner. */
uint32_t skua__ring_count(const struct skua__ring *ring);

#endif
