/* Stacks in slabs. The only door to mmap for private memory.

   Invariants:
     (I1) A slab is filled from its low end; stacks below `used` exist, those above were never
          touched.
     (I2) The guard of a stack is made when the stack is first taken, and stays.
     (I3) Free stacks stand in their slab's array of free indices: nothing is kept inside a returned
          stack, since its memory has gone back to the kernel.
     (I4) Slabs are added at the head of their class's list and never removed before fini, so that
          the fault handler may walk the list without the lock.

   Rejected: one mmap a stack (65,530 mappings end at 32,000 stacks); guards for the whole slab at
   once (a program with ten tasks would pay for a thousand). */
#include "mem/stack.h"

#include "base/mem.h"
#include "base/panic.h"
#include "base/sanitize.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum { SLAB_BYTES = 64 << 20, PAGE_BYTES = 4096 };

/* In an index of a free stack: its guard is only a canary. */
#define CANARY_BIT UINT32_C(0x80000000)

static const size_t class_bytes[SKUA__STACK_CLASSES] = {
    64 * 1024,
    256 * 1024 - SKUA__STACK_GUARD_BYTES,
    1024 * 1024 - SKUA__STACK_GUARD_BYTES,
    8192 * 1024 - SKUA__STACK_GUARD_BYTES,
};

struct skua__stack_slab {
    _Atomic(struct skua__stack_slab *) next;
    char *memory;
    size_t stride, count, used;
    size_t free_count;
    uint32_t free_indices[];
};

int skua__stack_class(size_t bytes)
{
    for (int i = 0; i < SKUA__STACK_CLASSES; i++) {
        if (bytes <= class_bytes[i]) {
            return i;
        }
    }
    return -EINVAL;
}

size_t skua__stack_class_bytes(uint32_t stack_class)
{
    return class_bytes[stack_class];
}

static size_t read_max_map_count(void)
{
    size_t count = 65530;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    if (file != NULL) {
        if (fscanf(file, "%zu", &count) != 1) {
            count = 65530;
        }
        fclose(file);
    }
    return count;
}

static bool kernel_installs_guards(void)
{
    void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return false;
    }
    bool works = madvise(page, PAGE_BYTES, MADV_GUARD_INSTALL) == 0;
    munmap(page, PAGE_BYTES);
    return works;
}

void skua__stacks_init(struct skua__stacks *stacks)
{
    stacks->guard = kernel_installs_guards() ? SKUA__GUARD_MADVISE : SKUA__GUARD_MPROTECT;
    /* Each guard splits its slab's mapping once more; three quarters are left to the program. */
    stacks->mprotect_left = read_max_map_count() / 8;
}

void skua__stacks_fini(struct skua__stacks *stacks)
{
    for (int i = 0; i < SKUA__STACK_CLASSES; i++) {
        struct skua__stack_slab *slab = stacks->slabs[i];
        while (slab != NULL) {
            struct skua__stack_slab *next = skua__load(&slab->next, relaxed);
            munmap(slab->memory, SLAB_BYTES);
            skua__free(slab);
            slab = next;
        }
        stacks->slabs[i] = NULL;
    }
}

static struct skua__stack_slab *add_slab(struct skua__stacks *stacks, uint32_t stack_class)
{
    size_t stride = class_bytes[stack_class] + SKUA__STACK_GUARD_BYTES;
    size_t count = SLAB_BYTES / stride;
    struct skua__stack_slab *slab =
        skua__alloc(sizeof *slab + count * sizeof slab->free_indices[0]);
    if (slab == NULL) {
        return NULL;
    }
    slab->memory = mmap(NULL, SLAB_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (slab->memory == MAP_FAILED) {
        skua__free(slab);
        return NULL;
    }
    /* A huge page would commit the memory of 16 stacks at the first touch of one. */
    madvise(slab->memory, SLAB_BYTES, MADV_NOHUGEPAGE);
    slab->stride = stride;
    slab->count = count;
    skua__store(&slab->next, stacks->slabs[stack_class], relaxed);
    stacks->slabs[stack_class] = slab;
    return slab;
}

/* Makes the guard of a fresh stack; returns whether it is only a canary. */
static bool make_guard(struct skua__stacks *stacks, char *guard)
{
    if (stacks->guard == SKUA__GUARD_MADVISE) {
        if (madvise(guard, SKUA__STACK_GUARD_BYTES, MADV_GUARD_INSTALL) == 0) {
            return false;
        }
        stacks->guard = SKUA__GUARD_MPROTECT; /* locked memory, for one: mlockall(MCL_FUTURE) */
    }
    if (stacks->guard == SKUA__GUARD_MPROTECT && stacks->mprotect_left > 0) {
        stacks->mprotect_left--;
        if (mprotect(guard, SKUA__STACK_GUARD_BYTES, PROT_NONE) == 0) {
            return false;
        }
        stacks->mprotect_left = 0;
    }
    if (stacks->guard != SKUA__GUARD_CANARY) {
        stacks->guard = SKUA__GUARD_CANARY;
        skua__report(
            "the kernel's limit of mappings is near (vm.max_map_count): further stacks are "
            "checked for overflow only when their task ends");
    }
    return true;
}

/* A slab of the class with room, or NULL. */
static struct skua__stack_slab *find_slab(struct skua__stacks *stacks, uint32_t stack_class)
{
    struct skua__stack_slab *slab = stacks->slabs[stack_class];
    if (slab != NULL && (slab->free_count > 0 || slab->used < slab->count)) {
        return slab;
    }
    for (; slab != NULL; slab = skua__load(&slab->next, relaxed)) {
        if (slab->free_count > 0) {
            return slab;
        }
    }
    return add_slab(stacks, stack_class);
}

int skua__stacks_take(struct skua__stacks *stacks, uint32_t stack_class, struct skua__stack *out)
{
    skua__lock(&stacks->lock, SKUA__RANK_MEM);
    struct skua__stack_slab *slab = find_slab(stacks, stack_class);
    if (slab == NULL) {
        skua__unlock(&stacks->lock, SKUA__RANK_MEM);
        return -ENOMEM;
    }
    bool is_fresh = slab->free_count == 0;
    uint32_t entry = is_fresh ? (uint32_t)slab->used++ : slab->free_indices[--slab->free_count];
    char *guard = slab->memory + (entry & ~CANARY_BIT) * slab->stride;
    bool is_canary = is_fresh ? make_guard(stacks, guard) : (entry & CANARY_BIT) != 0;
    skua__unlock(&stacks->lock, SKUA__RANK_MEM);
    *out = (struct skua__stack){.bottom = guard + SKUA__STACK_GUARD_BYTES,
                                .bytes = class_bytes[stack_class],
                                .stack_class = stack_class,
                                .is_canary = is_canary,
                                .slab = slab};
    return 0;
}

void skua__stacks_return(struct skua__stacks *stacks, const struct skua__stack *stack)
{
    struct skua__stack copy = *stack; /* it may lie in the memory that goes away */
    skua__sanitize_unpoison(copy.bottom, copy.bytes);
    madvise(copy.bottom, copy.bytes, MADV_DONTNEED);
    skua__lock(&stacks->lock, SKUA__RANK_MEM);
    struct skua__stack_slab *slab = copy.slab;
    uint32_t index = (uint32_t)((size_t)(copy.bottom - slab->memory) / slab->stride);
    slab->free_indices[slab->free_count++] = index | (copy.is_canary ? CANARY_BIT : 0);
    skua__unlock(&stacks->lock, SKUA__RANK_MEM);
}

void skua__stack_check(const struct skua__stack *stack)
{
    if (!stack->is_canary) {
        return;
    }
    static const char zeros[PAGE_BYTES];
    if (memcmp(stack->bottom - PAGE_BYTES, zeros, PAGE_BYTES) != 0) {
        skua__panic(
            "the stack of %zu bytes was not enough: it has overflowed; give the task a larger "
            "stack_bytes",
            stack->bytes);
    }
}

bool skua__stacks_find_guard(struct skua__stacks *stacks, const void *address, char **top)
{
    const char *fault = address;
    for (int i = 0; i < SKUA__STACK_CLASSES; i++) {
        for (struct skua__stack_slab *slab = stacks->slabs[i]; slab != NULL;
             slab = skua__load(&slab->next, relaxed)) {
            if (fault < slab->memory || fault >= slab->memory + slab->count * slab->stride) {
                continue;
            }
            size_t offset = (size_t)(fault - slab->memory);
            *top = slab->memory + (offset / slab->stride + 1) * slab->stride;
            return offset % slab->stride < SKUA__STACK_GUARD_BYTES;
        }
    }
    return false;
}
