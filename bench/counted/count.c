/* The counters of counted/atomic.h: one a thread, so that counting adds none of what it counts. */
#include "counted/count.h"

#include <stdatomic.h>
#include <stdlib.h>

void bench_rmw_count(void);

enum { THREADS_MAX = 4096, LINE_BYTES = 64 };

/* Relaxed everywhere: written by its thread alone, and read when the work is over. */
static struct counter {
    _Alignas(LINE_BYTES) atomic_uint_fast64_t count;
} counters[THREADS_MAX];

static atomic_size_t threads;
static _Thread_local struct counter *mine;

/* Never inlined: a caller that was resumed on another thread must not use the old one's counter. */
__attribute__((noinline)) void bench_rmw_count(void)
{
    if (mine == NULL) {
        const size_t index = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed);
        if (index >= THREADS_MAX) {
            abort();
        }
        mine = &counters[index];
    }
    const uint_fast64_t count = atomic_load_explicit(&mine->count, memory_order_relaxed);
    atomic_store_explicit(&mine->count, count + 1, memory_order_relaxed);
}

uint64_t bench_rmws(void)
{
    const size_t count = atomic_load_explicit(&threads, memory_order_relaxed);
    uint64_t sum = 0;
    for (size_t i = 0; i < count && i < THREADS_MAX; i++) {
        sum += atomic_load_explicit(&counters[i].count, memory_order_relaxed);
    }
    return sum;
}
