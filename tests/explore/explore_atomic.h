/* The atomic layer of base/atomic.h, replaced: every operation is a call of the explorer, which
   decides who runs next and which of the visible stores a load reads. Chosen by compiling with
   -DSKUA_ATOMIC_HEADER="explore_atomic.h". docs/explorer.md says what is modelled. */
#ifndef SKUA_TESTS_EXPLORE_ATOMIC_H
#define SKUA_TESTS_EXPLORE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

enum explore_order {
    explore_relaxed,
    explore_acquire,
    explore_release,
    explore_acq_rel,
    explore_seq_cst,
};

/* Where an operation stands in the source. */
struct explore_site {
    const char *file, *text;
    int line;
};

uint64_t explore__load(const volatile void *object, uint32_t bytes, enum explore_order order,
                       const struct explore_site *site);
void explore__store(volatile void *object, uint32_t bytes, uint64_t value, enum explore_order order,
                    const struct explore_site *site);
bool explore__cas(volatile void *object, uint32_t bytes, void *expected, uint64_t desired,
                  enum explore_order success, enum explore_order failure,
                  const struct explore_site *site);
void explore__fence(enum explore_order order, const struct explore_site *site);
void explore__pause(const struct explore_site *site);

/* Read-modify-writes: the new value is made of the old one by `change`. */
enum explore_change { explore_set, explore_add, explore_sub, explore_or, explore_and };
uint64_t explore__update(volatile void *object, uint32_t bytes, enum explore_change change,
                         uint64_t operand, enum explore_order order,
                         const struct explore_site *site);

#define EXPLORE_SITE(words)                                                                        \
    ({                                                                                             \
        static const struct explore_site explore_here = {__FILE__, words, __LINE__};               \
        &explore_here;                                                                             \
    })
/* What *object holds, without _Atomic and const: an rvalue has no qualifiers. */
#define EXPLORE_TYPE(object) __typeof__((void)0, *(object))
#define EXPLORE_BITS(object, value) ((uint64_t)(EXPLORE_TYPE(object))(value))
#define EXPLORE_UPDATE(object, change, value, order, words)                                        \
    ({                                                                                             \
        EXPLORE_TYPE(object)                                                                       \
        explore_old = (EXPLORE_TYPE(object))explore__update((object), sizeof(*(object)), (change), \
                                                            EXPLORE_BITS(object, value),           \
                                                            explore_##order, EXPLORE_SITE(words)); \
        explore_old;                                                                               \
    })

#define skua__load(object, order)                                                                  \
    ((EXPLORE_TYPE(object))explore__load((object), sizeof(*(object)), explore_##order,             \
                                         EXPLORE_SITE(#object)))
#define skua__store(object, value, order)                                                          \
    explore__store((object), sizeof(*(object)), EXPLORE_BITS(object, value), explore_##order,      \
                   EXPLORE_SITE(#object))
#define skua__cas(object, expected, desired, success, failure)                                     \
    explore__cas((object), sizeof(*(object)), (expected), EXPLORE_BITS(object, desired),           \
                 explore_##success, explore_##failure, EXPLORE_SITE(#object))
#define skua__exchange(object, value, order)                                                       \
    EXPLORE_UPDATE(object, explore_set, value, order, #object)
#define skua__fetch_add(object, value, order)                                                      \
    EXPLORE_UPDATE(object, explore_add, value, order, #object)
#define skua__fetch_sub(object, value, order)                                                      \
    EXPLORE_UPDATE(object, explore_sub, value, order, #object)
#define skua__fetch_or(object, value, order)                                                       \
    EXPLORE_UPDATE(object, explore_or, value, order, #object)
#define skua__fetch_and(object, value, order)                                                      \
    EXPLORE_UPDATE(object, explore_and, value, order, #object)
#define skua__fence(order) explore__fence(explore_##order, EXPLORE_SITE(#order))
#define skua__spin_pause() explore__pause(EXPLORE_SITE("pause"))

/* Nothing of the machine: what it orders is the order of the program, which the explorer keeps. */
#define skua__fence_compiler() __asm__ volatile("" ::: "memory")

#endif
