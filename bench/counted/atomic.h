/* counted/atomic.h: stands in for base/atomic.h in a library that counts what is expensive: atomic
   read-modify-writes and full fences.

   It is the usual layer with a call before each of these. A sequentially consistent store is one
   too: on x86-64 it is an exchange. Those on a line that no other thread uses count as well, so the
   figures are an upper bound of what is done to shared lines. */
#ifndef SKUA_BENCH_COUNTED_ATOMIC_H
#define SKUA_BENCH_COUNTED_ATOMIC_H

/* The layer itself, which would otherwise ask for this header again. */
#undef SKUA_ATOMIC_HEADER
#undef SKUA_BASE_ATOMIC_H
#include "base/atomic.h"

void bench_rmw_count(void);

#define BENCH_STORE_relaxed ((void)0)
#define BENCH_STORE_release ((void)0)
#define BENCH_STORE_seq_cst bench_rmw_count()

#undef skua__store
#define skua__store(object, value, order)                                                          \
    (BENCH_STORE_##order, atomic_store_explicit((object), (value), memory_order_##order))

#undef skua__exchange
#define skua__exchange(object, value, order)                                                       \
    (bench_rmw_count(), atomic_exchange_explicit((object), (value), memory_order_##order))

#undef skua__cas
#define skua__cas(object, expected, desired, success, failure)                                     \
    (bench_rmw_count(),                                                                            \
     atomic_compare_exchange_strong_explicit((object), (expected), (desired),                      \
                                             memory_order_##success, memory_order_##failure))

#undef skua__fetch_add
#define skua__fetch_add(object, value, order)                                                      \
    (bench_rmw_count(), atomic_fetch_add_explicit((object), (value), memory_order_##order))

#undef skua__fetch_sub
#define skua__fetch_sub(object, value, order)                                                      \
    (bench_rmw_count(), atomic_fetch_sub_explicit((object), (value), memory_order_##order))

#undef skua__fetch_or
#define skua__fetch_or(object, value, order)                                                       \
    (bench_rmw_count(), atomic_fetch_or_explicit((object), (value), memory_order_##order))

#undef skua__fetch_and
#define skua__fetch_and(object, value, order)                                                      \
    (bench_rmw_count(), atomic_fetch_and_explicit((object), (value), memory_order_##order))

#undef skua__fence
#define skua__fence(order) (bench_rmw_count(), atomic_thread_fence(memory_order_##order))

#endif
