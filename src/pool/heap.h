/* pool/heap.h: who has which part of a region: a buddy allocator over block numbers.

   A block is 4 KiB or a power of two times that, and is known by its number: its offset in the
   region in units of 4 KiB. The allocator never touches the region: its books lie in the private
   memory of the region's owner, so that nobody else can spoil them. The lowest block that is large
   enough is taken, so that a region is used from its start, whose pages stay.

   Concurrency: one caller at a time. */
#ifndef SKUA_POOL_HEAP_H
#define SKUA_POOL_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SKUA__BLOCK_SHIFT = 12,
    SKUA__BLOCK_BYTES = 1 << SKUA__BLOCK_SHIFT,
    SKUA__HEAP_ORDERS = 28, /* 4 KiB to 512 GiB */
};

/* No block has this number. */
#define SKUA__NO_BLOCK UINT32_MAX

struct skua__blocks {
    uint8_t *orders;      /* of each taken block, at its number, plus one; else 0 */
    uint64_t *words;      /* a map of the free blocks of each order, one behind the other */
    uint32_t order_count; /* the last order is the whole region */
    uint32_t free_orders; /* a bit for each order that may have free blocks */
    size_t map[SKUA__HEAP_ORDERS]; /* constant: where in `words` the map of the order begins */
    size_t first_word[SKUA__HEAP_ORDERS]; /* before it the map has no free block */
    size_t taken;                         /* blocks */
};

/* `region_bytes` is a power of two, at least SKUA__BLOCK_BYTES. Returns 0 or -ENOMEM. */
int skua__heap_init(struct skua__blocks *heap, size_t region_bytes);
void skua__heap_fini(struct skua__blocks *heap); /* a zeroed one as well */

/* Take a block of at least `bytes` > 0 bytes. Returns its number, or SKUA__NO_BLOCK. Cost: some
   20 ns; no allocation. */
uint32_t skua__heap_take(struct skua__blocks *heap, size_t bytes);

/* Give a block back. False: no such block is taken (the heap is as it was). */
bool skua__heap_give(struct skua__blocks *heap, uint32_t block);

/* The size of a taken block; 0: no such block is taken. */
size_t skua__heap_block_bytes(const struct skua__blocks *heap, uint32_t block);

#endif
