/* base/mem.h: the only door to malloc. It is also where tests make memory run out. */
#ifndef SKUA_BASE_MEM_H
#define SKUA_BASE_MEM_H

#include "base/atomic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory, or NULL. */
void *skua__alloc(size_t bytes);

/* Memory with anything in it, for who fills it at once; or NULL. */
void *skua__alloc_dirty(size_t bytes);

/* Zeroed memory on a multiple of `alignment`, a power of two, or NULL. */
void *skua__alloc_aligned(size_t alignment, size_t bytes);

/* A copy of the string, or NULL. */
char *skua__alloc_string(const char *string);

/* Gives memory back; NULL is allowed. */
void skua__free(void *memory);

/* While this is set, what is allocated and freed is counted; what was allocated before and is freed
   meanwhile counts less than nothing. */
extern _Atomic bool skua__alloc_is_counted;
extern _Atomic int64_t skua__alloc_blocks, skua__alloc_bytes;

/* Tests: > 0: that many allocations succeed and every later one fails; < 0: off (the start). */
extern _Atomic int64_t skua__alloc_budget;

#endif
