/* base/atomic.h: the atomic operations that lock-free files use, and nothing else.

   One small layer, so that the same source compiles in three ways:
     default             C11 atomics, with the one instruction where compilers choose badly
     SKUA_ATOMIC_PLAIN   nothing but <stdatomic.h>, for outside C11 checkers
     SKUA_ATOMIC_HEADER  a header of a checker that replaces the layer (schedules, visible stores)

   Orders are written as bare words: skua__load(&deque->top, acquire). Fields are _Atomic. */
#ifndef SKUA_BASE_ATOMIC_H
#define SKUA_BASE_ATOMIC_H

#ifdef SKUA_ATOMIC_HEADER
#include SKUA_ATOMIC_HEADER
#else

#include <stdatomic.h>

#define skua__load(object, order) atomic_load_explicit((object), memory_order_##order)
#define skua__store(object, value, order)                                                          \
    atomic_store_explicit((object), (value), memory_order_##order)
#define skua__exchange(object, value, order)                                                       \
    atomic_exchange_explicit((object), (value), memory_order_##order)
#define skua__cas(object, expected, desired, success, failure)                                     \
    atomic_compare_exchange_strong_explicit((object), (expected), (desired),                       \
                                            memory_order_##success, memory_order_##failure)
#define skua__fetch_add(object, value, order)                                                      \
    atomic_fetch_add_explicit((object), (value), memory_order_##order)
#define skua__fetch_sub(object, value, order)                                                      \
    atomic_fetch_sub_explicit((object), (value), memory_order_##order)
#define skua__fetch_or(object, value, order)                                                       \
    atomic_fetch_or_explicit((object), (value), memory_order_##order)
#define skua__fetch_and(object, value, order)                                                      \
    atomic_fetch_and_explicit((object), (value), memory_order_##order)

#if defined(__SANITIZE_THREAD__)
#define SKUA_ATOMIC_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SKUA_ATOMIC_TSAN 1
#endif
#endif

#if defined(SKUA_ATOMIC_PLAIN)
#define skua__fence(order) atomic_thread_fence(memory_order_##order)
#elif defined(SKUA_ATOMIC_TSAN)
/* ThreadSanitizer does not know fences; a read-modify-write of one shared word orders at least as
   much, as far as it can see. */
extern _Atomic int skua__fence_word;
#define skua__fence(order) ((void)atomic_fetch_add(&skua__fence_word, 0))
#elif defined(__x86_64__)
/* A locked operation on the stack: 5 ns, where mfence, which clang emits, takes 20. On x86 only a
   sequentially consistent fence needs an instruction at all, and no other kind is used in Skua. */
#define skua__fence(order)                                                                         \
    do {                                                                                           \
        (void)memory_order_##order;                                                                \
        __asm__ volatile("lock; orl $0, (%%rsp)" ::: "memory", "cc");                              \
    } while (0)
#else
#define skua__fence(order) atomic_thread_fence(memory_order_##order)
#endif

/* Orders the compiler only; its partner makes every running thread execute a full fence. */
#define skua__fence_compiler() atomic_signal_fence(memory_order_seq_cst)

/* One turn of a loop that waits for another thread's store. */
#if defined(__x86_64__)
#define skua__spin_pause() __asm__ volatile("pause" ::: "memory")
#elif defined(__aarch64__)
#define skua__spin_pause() __asm__ volatile("isb" ::: "memory")
#else
#error "Skua knows x86-64 and aarch64"
#endif

#endif
#endif
