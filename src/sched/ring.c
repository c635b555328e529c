/* The ready ring, after the run queue of Go's scheduler.

   Positions grow for ever and are taken modulo the size; head <= tail <= head + size.

     (I1) Slots in [head, tail) hold runnables; only the owner writes slots, and only outside of
          that range.
     (I2) Whoever moves head from h to h + n owns the runnables that stood in [h, h + n) when it
          read them.

   A consumer reads slots before it owns them. That is sound by (I1): while head is still h, the
   owner does not overwrite slot h; when head is not h any more, the compare-and-swap fails and what
   was read is thrown away. Head is 32 bits wide: a consumer would have to sleep through exactly
   2^32 moves between its read and its swap to be fooled. */
#include "sched/ring.h"

#include <stddef.h>

enum { MASK = SKUA__RING_SLOTS - 1 };

uint32_t skua__ring_take_half(struct skua__ring *ring, struct skua__runnable **out)
{
    for (;;) {
        /* acquire: orders the load of tail after it, so that tail >= head unless the owner has
           moved on; pairs with the releases of head. */
        uint32_t head = skua__load(&ring->head, acquire);
        /* acquire: pairs with the release in push: the slots below tail are there to be read. */
        uint32_t tail = skua__load(&ring->tail, acquire);
        uint32_t count = tail - head;
        count -= count / 2;
        if (count == 0) {
            return 0;
        }
        if (count > SKUA__RING_SLOTS / 2) {
            continue; /* head is older than tail: it has moved meanwhile */
        }
        for (uint32_t i = 0; i < count; i++) {
            out[i] = skua__load(&ring->slots[(head + i) & MASK], relaxed);
        }
        /* release: orders our reads of the slots before the move; pairs with the acquire of head in
           push. Without it the owner could overwrite a slot that we are still reading. */
        if (skua__cas(&ring->head, &head, head + count, release, relaxed)) {
            return count;
        }
    }
}

uint32_t skua__ring_count(const struct skua__ring *ring)
{
    uint32_t head = skua__load(&ring->head, relaxed);
    uint32_t count = skua__load(&ring->tail, relaxed) - head;
    return count <= SKUA__RING_SLOTS ? count : 0;
}
