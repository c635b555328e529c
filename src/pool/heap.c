/* A buddy allocator whose books are bit maps.

       order 0   . . # # . . . . # . . . . . . .      # a free block of that order; each order has
       order 1    .   .   #   .   .   #   .   .       a map of its own. A block is free in one map
       order 2      .       .       .       #         at most: it is whole there, and neither split
       order 3          .               .             nor part of a larger free one.

   Invariants
   (H1) Each byte of the region belongs to exactly one free block (a bit) or one taken block
        (orders[its number] != 0).
   (H2) Two buddies are never both free: they would have been merged.
   (H3) No map has a bit before its first_word, and none at all if free_orders lacks it.

   Rejected: lists of free blocks (nine bytes for each 4 KiB instead of one and a quarter, and the
   latest block instead of the lowest, so that a region is used all over); size classes (an arena
   must serve 512 bytes as well as 64 GiB, and where nobody writes memory costs nothing: what a
   power of two wastes is addresses). */
#include "pool/heap.h"

#include "base/mem.h"
#include "base/panic.h"

#include <errno.h>

enum { WORD_BITS = 64 };

static size_t blocks_of(const struct skua__blocks *heap, uint32_t order)
{
    return (size_t)1 << (heap->order_count - 1 - order);
}

static void set_free(struct skua__blocks *heap, uint32_t order, size_t index)
{
    const size_t word = index / WORD_BITS;
    heap->words[heap->map[order] + word] |= UINT64_C(1) << index % WORD_BITS;
    heap->free_orders |= 1u << order;
    if (word < heap->first_word[order]) {
        heap->first_word[order] = word;
    }
}

/* Take the bit away. False: it was not set. */
static bool unset_free(struct skua__blocks *heap, uint32_t order, size_t index)
{
    uint64_t *word = &heap->words[heap->map[order] + index / WORD_BITS];
    const uint64_t bit = UINT64_C(1) << index % WORD_BITS;
    const bool was_set = (*word & bit) != 0;
    *word &= ~bit;
    return was_set;
}

int skua__heap_init(struct skua__blocks *heap, size_t region_bytes)
{
    const size_t blocks = region_bytes >> SKUA__BLOCK_SHIFT;
    skua_require(blocks > 0 && (region_bytes & (region_bytes - 1)) == 0);
    *heap = (struct skua__blocks){.order_count = (uint32_t)__builtin_ctzll(blocks) + 1};
    skua_require(heap->order_count <= SKUA__HEAP_ORDERS);
    size_t words = 0;
    for (uint32_t order = 0; order < heap->order_count; order++) {
        heap->map[order] = words;
        words += (blocks_of(heap, order) + WORD_BITS - 1) / WORD_BITS;
        heap->first_word[order] = SIZE_MAX;
    }
    heap->words = skua__alloc(words * sizeof *heap->words);
    heap->orders = skua__alloc(blocks);
    if (heap->words == NULL || heap->orders == NULL) {
        skua__heap_fini(heap);
        return -ENOMEM;
    }
    set_free(heap, heap->order_count - 1, 0);
    return 0;
}

void skua__heap_fini(struct skua__blocks *heap)
{
    skua__free(heap->words);
    skua__free(heap->orders);
    *heap = (struct skua__blocks){.words = NULL};
}

/* The lowest free block of the order is taken out of its map. False: there is none. */
static bool pop_free(struct skua__blocks *heap, uint32_t order, size_t *index)
{
    const size_t words = (blocks_of(heap, order) + WORD_BITS - 1) / WORD_BITS;
    uint64_t *map = &heap->words[heap->map[order]];
    size_t word = heap->first_word[order];
    while (word < words && map[word] == 0) {
        word++;
    }
    heap->first_word[order] = word;
    if (word >= words) {
        heap->free_orders &= ~(1u << order);
        return false;
    }
    *index = word * WORD_BITS + (size_t)__builtin_ctzll(map[word]);
    map[word] &= map[word] - 1;
    return true;
}

/* The smallest order whose blocks have so many bytes. */
static uint32_t order_for(size_t bytes)
{
    const size_t blocks = (bytes - 1) >> SKUA__BLOCK_SHIFT;
    return blocks == 0 ? 0 : (uint32_t)(WORD_BITS - __builtin_clzll(blocks));
}

uint32_t skua__heap_take(struct skua__blocks *heap, size_t bytes)
{
    skua_require(bytes > 0);
    const uint32_t wanted = order_for(bytes);
    if (wanted >= heap->order_count) {
        return SKUA__NO_BLOCK;
    }
    uint32_t orders;
    while ((orders = heap->free_orders >> wanted << wanted) != 0) {
        uint32_t order = (uint32_t)__builtin_ctz(orders);
        size_t index;
        if (!pop_free(heap, order, &index)) {
            continue; /* its bit in free_orders is gone now */
        }
        while (order > wanted) {
            order--;
            index *= 2;
            set_free(heap, order, index + 1);
        }
        const size_t block = index << wanted;
        heap->orders[block] = (uint8_t)(wanted + 1);
        heap->taken++;
        return (uint32_t)block;
    }
    return SKUA__NO_BLOCK;
}

bool skua__heap_give(struct skua__blocks *heap, uint32_t block)
{
    if (skua__heap_block_bytes(heap, block) == 0) {
        return false;
    }
    uint32_t order = heap->orders[block] - 1u;
    size_t index = (size_t)block >> order;
    heap->orders[block] = 0;
    heap->taken--;
    while (order + 1 < heap->order_count && unset_free(heap, order, index ^ 1)) {
        index /= 2;
        order++;
    }
    set_free(heap, order, index);
    return true;
}

size_t skua__heap_block_bytes(const struct skua__blocks *heap, uint32_t block)
{
    if (heap->order_count == 0 || block >= blocks_of(heap, 0) || heap->orders[block] == 0) {
        return 0;
    }
    return (size_t)SKUA__BLOCK_BYTES << (heap->orders[block] - 1);
}
