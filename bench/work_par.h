/* work_par.h: the work of the rows for loops, reductions, scans and sorts: the same arithmetic and
   the same numbers in every program in C and C++. The peers in Rust repeat it. */
#ifndef SKUA_BENCH_WORK_PAR_H
#define SKUA_BENCH_WORK_PAR_H

#include "bench.h"

typedef struct bench_record {
    uint64_t key;
    char rest[56];
} bench_record;

/* Numbers that look random: one step of Vigna's splitmix64. */
static inline uint64_t bench_number(uint64_t index)
{
    uint64_t z = (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Loop rows: one item, where memory is what takes the time, and where arithmetic is. */
static inline double bench_item_light(double item)
{
    return item * 0.5 + 1;
}

static inline double bench_item_heavy(double item)
{
    for (int i = 0; i < 32; i++) {
        item = item * 0.999 + 1.0 / (1 + item * item);
    }
    return item;
}

static inline int bench_compare_ints(const void *left, const void *right)
{
    const int a = *(const int *)left;
    const int b = *(const int *)right;
    return (a > b) - (a < b);
}

static inline int bench_compare_records(const void *left, const void *right)
{
    const uint64_t a = ((const bench_record *)left)->key;
    const uint64_t b = ((const bench_record *)right)->key;
    return (a > b) - (a < b);
}

static inline void bench_fill_doubles(double *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        items[i] = (double)(i % 1000);
    }
}

static inline void bench_fill_ints(int *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        items[i] = (int)bench_number(i);
    }
}

static inline void bench_fill_records(bench_record *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        items[i].key = bench_number(i);
    }
}

/* Memory for `count` items, all touched. NULL: there is none. */
static inline void *bench_items(size_t count, size_t item_bytes)
{
    void *items = malloc(count * item_bytes);
    if (items != NULL) {
        memset(items, 0, count * item_bytes);
    }
    return items;
}

static inline bool bench_is_sorted(const void *items, size_t count, size_t item_bytes,
                                   int (*compare)(const void *, const void *))
{
    for (size_t i = 1; i < count; i++) {
        const char *item = (const char *)items + i * item_bytes;
        if (compare(item - item_bytes, item) > 0) {
            return false;
        }
    }
    return true;
}

#endif
