/* pool/arena.h: the memory that the parent shares with one worker process.

   The rings, then the IN region, in which the parent allocates blocks for inputs, then the OUT
   region, in which the worker allocates blocks for answers, then the spare block, for an answer
   that finds no room in OUT. Blocks are numbered as pool/heap.h does it. */
#ifndef SKUA_POOL_ARENA_H
#define SKUA_POOL_ARENA_H

#include "pool/heap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So much of the start of a region keeps its pages when a block of it is given back. */
#define SKUA__ARENA_KEEP_BYTES ((size_t)16 * 1024 * 1024)

struct skua__shared;

/* One side's view. The parent's begins zeroed. */
struct skua__arena {
    struct skua__shared *shared; /* at the start of the memory; NULL: not mapped */
    char *in;
    char *out;
    char *spare;         /* payload_max bytes */
    size_t payload_max;  /* rounded up to whole blocks */
    size_t region_bytes; /* of IN, and of OUT: a power of two, room for four largest payloads */
    size_t bytes;        /* of the whole mapping */
};

/* Parent: make the memory, seal its size and map it. *memfd is the caller's, to be sent to the
   worker and closed. Returns 0, -EINVAL (payload_max too large), -ENOMEM, -EMFILE, -ENFILE,
   -EFBIG (RLIMIT_FSIZE). */
int skua__arena_create(struct skua__arena *arena, size_t payload_max, int *memfd);

/* Worker: map the memory of `memfd`. Returns 0 or a negative errno. */
int skua__arena_open(struct skua__arena *arena, size_t payload_max, int memfd);

void skua__arena_unmap(struct skua__arena *arena);

/* Where a block lies. A worker's number must have been checked, as skua__jobring_take() does. */
static inline char *skua__arena_in(const struct skua__arena *arena, uint32_t block)
{
    return arena->in + ((size_t)block << SKUA__BLOCK_SHIFT);
}

static inline char *skua__arena_out(const struct skua__arena *arena, uint32_t block)
{
    return arena->out + ((size_t)block << SKUA__BLOCK_SHIFT);
}

/* Giving this block back calls for a trim (a system call): do it without a lock. */
static inline bool skua__arena_is_far(uint32_t block, size_t used_bytes)
{
    return ((size_t)block << SKUA__BLOCK_SHIFT) + used_bytes > SKUA__ARENA_KEEP_BYTES;
}

/* Before a block of `region` (arena->in or arena->out) is given back: what was written of it from
   `keep_bytes` (0: all is over) up to `used_bytes` and lies beyond the first
   SKUA__ARENA_KEEP_BYTES of the region goes back to the system. Nobody may be using those bytes.
   Leaves errno as it is. Cost: nothing, or a system call. */
void skua__arena_trim(char *region, uint32_t block, size_t keep_bytes, size_t used_bytes);

/* Likewise the spare block, which keeps its first SKUA__ARENA_KEEP_BYTES. Worker. */
void skua__arena_trim_spare(const struct skua__arena *arena, size_t used_bytes);

#endif
