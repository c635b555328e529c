/* pool/arena.h: the memory that the parent shares with one worker process. */
#ifndef SKUA_POOL_ARENA_H
#define SKUA_POOL_ARENA_H

#include <stddef.h>
#include <stdint.h>

enum {
    SKUA__ANSWERS = 4,                        /* answer areas of a worker */
    SKUA__ARENA_KEEP_BYTES = 4 * 1024 * 1024, /* of each area, what is not given back after use */
};

struct skua__shared;

/* One side's view. The parent's begins zeroed. */
struct skua__arena {
    struct skua__shared *shared; /* the rings, at the start of the memory; NULL: not mapped */
    char *areas;                 /* input, then SKUA__ANSWERS answers, area_bytes each */
    size_t area_bytes;           /* payload_max, rounded up to pages */
    size_t bytes;                /* of the whole mapping */
};

/* Parent: make the memory, seal its size and map it. *memfd is the caller's, to be sent to the
   worker and closed. Returns 0, -EINVAL (payload_max too large), -ENOMEM, -EMFILE, -ENFILE. */
int skua__arena_create(struct skua__arena *arena, size_t payload_max, int *memfd);

/* Worker: map the memory of `memfd`. Returns 0 or a negative errno. */
int skua__arena_open(struct skua__arena *arena, size_t payload_max, int memfd);

void skua__arena_unmap(struct skua__arena *arena);

static inline char *skua__arena_input(const struct skua__arena *arena)
{
    return arena->areas;
}

static inline char *skua__arena_answer(const struct skua__arena *arena, uint32_t answer)
{
    return arena->areas + (answer + 1) * arena->area_bytes;
}

/* After use: if more than SKUA__ARENA_KEEP_BYTES of an area may have been written, give what lies
   beyond back to the system. The area's other user must not touch it meanwhile. Leaves errno as it
   is. */
void skua__arena_trim(char *area, size_t keep_bytes, size_t used_bytes);

#endif
