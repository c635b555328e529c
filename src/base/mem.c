/* The malloc door. */
#include "base/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

_Atomic int64_t skua__alloc_budget = -1;

static bool refused(void)
{
    int64_t left = skua__load(&skua__alloc_budget, relaxed);
    while (left > 0 && !skua__cas(&skua__alloc_budget, &left, left - 1, relaxed, relaxed)) {}
    return left == 0;
}

void *skua__alloc(size_t bytes)
{
    return refused() ? NULL : calloc(1, bytes);
}

void *skua__alloc_aligned(size_t alignment, size_t bytes)
{
    size_t rounded = (bytes + alignment - 1) & ~(alignment - 1);
    void *memory = refused() ? NULL : aligned_alloc(alignment, rounded);
    if (memory != NULL) {
        memset(memory, 0, rounded);
    }
    return memory;
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
    free(memory);
}
