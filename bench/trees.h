/* trees.h: the problems of the fork-join rows: how big they are, what comes out, and the serial
   twins, which tell what the work costs without any runtime. For C and C++; the programs in Go and
   Rust do the same.

   All are trees of calls, and none has a cut-off: every call that could be a task is one. */
#ifndef SKUA_BENCH_TREES_H
#define SKUA_BENCH_TREES_H

#include "bench.h"

/* Not inlined and not cloned: a call shall cost a call, as a task's does. */
#if defined(__clang__)
#define BENCH_CALL __attribute__((noinline, unused))
#else
#define BENCH_CALL __attribute__((noinline, noclone, unused))
#endif

/* fib: each call above 1 forks one call and makes the other. */

static inline size_t bench_fib_forks(int n)
{
    size_t forks = 0, before = 0;
    for (int i = 2; i <= n; i++) {
        const size_t sum = forks + before + 1;
        before = forks;
        forks = sum;
    }
    return forks;
}

/* The greatest n whose tree has at most `forks` forks, and at least 2. */
static inline int bench_fib_n(size_t forks)
{
    int n = 2;
    while (bench_fib_forks(n + 1) <= forks) {
        n++;
    }
    return n;
}

/* fib(n), since a tree of n has fib(n + 1) - 1 forks. */
static inline long bench_fib_result(int n)
{
    return (long)bench_fib_forks(n - 1) + 1;
}

/* Compilers turn one of the two calls into a loop. */
BENCH_CALL static long bench_fib_serial(int n)
{
    return n < 2 ? n : bench_fib_serial(n - 1) + bench_fib_serial(n - 2);
}

/* The same with two calls, as many as a fork and a call are. The second stays one because an
   instruction that is not there needs its result. */
BENCH_CALL static long bench_fib_call(int n)
{
    if (n < 2) {
        return n;
    }
    const long first = bench_fib_call(n - 1);
    long second = bench_fib_call(n - 2);
    __asm__("" : "+r"(second));
    return first + second;
}

/* skynet: every call forks ten, down to a number each, which are added up. */

enum { BENCH_SKYNET_FORKS = 10 };

/* The greatest power of ten that is not above `leaves`. */
static inline long bench_skynet_size(size_t leaves)
{
    long size = 1;
    while ((size_t)size * BENCH_SKYNET_FORKS <= leaves) {
        size *= BENCH_SKYNET_FORKS;
    }
    return size;
}

static inline long bench_skynet_result(long size)
{
    return size * (size - 1) / 2;
}

BENCH_CALL static long bench_skynet_serial(long number, long size)
{
    long sum = 0;
    if (size == 1) {
        return number;
    }
    for (long i = 0; i < BENCH_SKYNET_FORKS; i++) {
        const long part = size / BENCH_SKYNET_FORKS;
        sum += bench_skynet_serial(number + i * part, part);
    }
    return sum;
}

/* nqueens: a call for each queen that stands safely. */

enum { BENCH_QUEENS_MAX = 14 };

struct bench_queens_size {
    size_t calls; /* of the whole tree */
    long solutions;
};

static const struct bench_queens_size bench_queens_sizes[BENCH_QUEENS_MAX - 3] = {
    {17, 2},         {54, 10},         {153, 4},           {552, 40},
    {2057, 92},      {8394, 352},      {35539, 724},       {166926, 2680},
    {856189, 14200}, {4674890, 73712}, {27358553, 365596},
};

/* The greatest board whose tree has at most `calls` calls, and at least 4. */
static inline int bench_queens_n(size_t calls)
{
    int n = 4;
    while (n < BENCH_QUEENS_MAX && bench_queens_sizes[n - 3].calls <= calls) {
        n++;
    }
    return n;
}

static inline long bench_queens_result(int n)
{
    return bench_queens_sizes[n - 4].solutions;
}

/* Whether a queen in `row` and `column` is safe from those in the rows before it. */
static inline bool bench_queen_is_safe(const signed char *columns, int row, int column)
{
    for (int before = 0; before < row; before++) {
        const int apart = column - columns[before];
        if (apart == 0 || apart == row - before || apart == before - row) {
            return false;
        }
    }
    return true;
}

BENCH_CALL static long bench_queens_serial(signed char *columns, int row, int n)
{
    long solutions = 0;
    if (row == n) {
        return 1;
    }
    for (int column = 0; column < n; column++) {
        if (bench_queen_is_safe(columns, row, column)) {
            columns[row] = (signed char)column;
            solutions += bench_queens_serial(columns, row + 1, n);
        }
    }
    return solutions;
}

/* uts: an unbalanced tree whose shape is known to nobody beforehand. A node has eight children or
   none, as its number says; the root has many. */

enum { BENCH_UTS_FORKS = 8, BENCH_UTS_ROOTS = 2000, BENCH_UTS_NODES = 612225 };

/* This one has 612,225 nodes, and its longest branch 389. */
#define BENCH_UTS_SEED UINT64_C(2621)
/* 0.1246 of 2^64: the odds of having children. Just below 1 in 8, or the tree would never end. */
#define BENCH_UTS_ODDS UINT64_C(2298464311584210176)

static inline uint64_t bench_mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static inline uint64_t bench_uts_child(uint64_t node, size_t index)
{
    return bench_mix(node + (index + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

static inline bool bench_uts_is_leaf(uint64_t node)
{
    return node >= BENCH_UTS_ODDS;
}

/* How many children the root gets, so that the tree has about `nodes` nodes. */
static inline size_t bench_uts_roots(size_t nodes)
{
    const size_t roots = nodes * BENCH_UTS_ROOTS / BENCH_UTS_NODES;
    return roots < 1 ? 1 : roots;
}

/* Nodes of the tree below and with `node`. */
BENCH_CALL static long bench_uts_serial(uint64_t node)
{
    long nodes = 1;
    if (!bench_uts_is_leaf(node)) {
        for (size_t i = 0; i < BENCH_UTS_FORKS; i++) {
            nodes += bench_uts_serial(bench_uts_child(node, i));
        }
    }
    return nodes;
}

static inline long bench_uts_serial_all(size_t roots)
{
    long nodes = 1;
    for (size_t i = 0; i < roots; i++) {
        nodes += bench_uts_serial(bench_uts_child(BENCH_UTS_SEED, i));
    }
    return nodes;
}

/* The trees whose leaves wait now and then: which ones do. */

enum { BENCH_WAIT_ONE_IN = 1000 };

static inline bool bench_leaf_waits(size_t leaf)
{
    return bench_mix((uint64_t)leaf + 1) % BENCH_WAIT_ONE_IN == 0;
}

#endif
