/* counted/count.h: how often the library has executed what counted/atomic.h counts. */
#ifndef SKUA_BENCH_COUNTED_COUNT_H
#define SKUA_BENCH_COUNTED_COUNT_H

#include <stdint.h>

/* By all threads together, since the program began. */
uint64_t bench_rmws(void);

#endif
