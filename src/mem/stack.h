/* mem/stack.h: stacks with guards, cut from slabs of 64 MiB.

   A stack has a class (its usable size) and below it a guard of 64 KiB: larger than the frame that
   a careless function jumps over it with. The best guard that the kernel offers is taken:
     MADV_GUARD_INSTALL (Linux 6.13)   costs no mapping of its own: a million guarded stacks
     mprotect                          two mappings a stack, so only up to a quarter of
     vm.max_map_count canary                            the guard stays accessible, but it must be
     zero when the stack is
                                       given back: an overflow is found late instead of at once
   Memory is touched only when used, and stays mapped until the set is destroyed: what lies in a
   stack (the fiber at its top) can be read by a latecomer at any time. */
#ifndef SKUA_MEM_STACK_H
#define SKUA_MEM_STACK_H

#include "base/lock.h"

#include <stdbool.h>
#include <stddef.h>

enum { SKUA__STACK_CLASSES = 4, SKUA__STACK_GUARD_BYTES = 64 * 1024 };

enum skua__stack_guard { SKUA__GUARD_MADVISE, SKUA__GUARD_MPROTECT, SKUA__GUARD_CANARY };

struct skua__stack_slab;

struct skua__stack {
    char *bottom; /* lowest usable address; the guard ends here */
    size_t bytes; /* usable */
    uint32_t stack_class;
    bool is_canary;
    struct skua__stack_slab *slab;
};

/* All stacks of one runtime. Zeroed and then initialised. */
struct skua__stacks {
    struct skua__lock lock;
    enum skua__stack_guard guard;
    size_t mprotect_left; /* guards that may still be made by mprotect */
    struct skua__stack_slab *slabs[SKUA__STACK_CLASSES];
};

void skua__stacks_init(struct skua__stacks *stacks);

/* Unmaps everything. */
void skua__stacks_fini(struct skua__stacks *stacks);

/* The smallest class with at least `bytes` usable bytes, or -EINVAL. */
int skua__stack_class(size_t bytes);

/* The usable size of a class. */
size_t skua__stack_class_bytes(uint32_t stack_class);

/* Take a stack of the class: never used, or returned. 0 or -ENOMEM. Call from anywhere. */
int skua__stacks_take(struct skua__stacks *stacks, uint32_t stack_class, struct skua__stack *out);

/* Give a stack back, with its memory; its contents read as zeros from now on. */
void skua__stacks_return(struct skua__stacks *stacks, const struct skua__stack *stack);

/* Canary mode: panics if the guard was written to. Else nothing. Cheap enough for each task's end.
   */
void skua__stack_check(const struct skua__stack *stack);

/* Where a fault at `address` belongs: true if it is in a guard; *top is the top of that stack. For
   the signal handler: takes no lock. */
bool skua__stacks_find_guard(struct skua__stacks *stacks, const void *address, char **top);

#endif
