/* The malloc door. */
#include "base/mem.h"

#include "base/compiler.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

_Atomic int64_t skua__alloc_budget = -1;

static bool refused(void)
{
    int64_t left = skua__load(&skua__alloc_budget, relaxed);
    while (left > 0 && !skua__cas(&skua__alloc_budget, &left, left - 1, relaxed, relaxed)) {}
    return left == 0;
}

_Atomic bool skua__alloc_is_counted;
_Atomic int64_t skua__alloc_blocks, skua__alloc_bytes;

/* `memory` comes (1) or goes (-1); NULL is allowed. */
static void *count(void *memory, int64_t sign)
{
    if (SKUA_UNLIKELY(skua__load(&skua__alloc_is_counted, relaxed)) && memory != NULL) {
        skua__fetch_add(&skua__alloc_blocks, sign, relaxed);
        skua__fetch_add(&skua__alloc_bytes, sign * (int64_t)malloc_usable_size(memory), relaxed);
    }
    return memory;
}

void *skua__alloc(size_t bytes)
{
    return refused() ? NULL : count(calloc(1, bytes), 1);
}

void *skua__alloc_dirty(size_t bytes)
{
    return refused() ? NULL : count(malloc(bytes), 1);
}

void *skua__alloc_aligned(size_t alignment, size_t bytes)
{
    size_t rounded = (bytes + alignment - 1) & ~(alignment - 1);
    void *memory = refused() ? NULL : aligned_alloc(alignment, rounded);
    if (memory != NULL) {
        memset(memory, 0, rounded);
    }
    return count(memory, 1);
}

char *skua__alloc_string(const char *string)
{
    size_t bytes = strlen(string) + 1;
    char *copy = skua__alloc(bytes);
    if (copy != NULL) {
        memcpy(copy, string, bytes);
    }
    return copy;
}

void skua__free(void *memory)
{
    count(memory, -1);
    free(memory);
}
