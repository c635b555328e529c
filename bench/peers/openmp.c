/* OpenMP tasks of the compiler's own run-time library. They cannot block: the spawn rows and the
   trees apply. */
#define _GNU_SOURCE
#include "trees.h"

#include <omp.h>

static void spawn_join(size_t count)
{
    for (size_t i = 0; i < count; i++) {
#pragma omp task
        __asm__ volatile("");
#pragma omp taskwait
    }
}

static void spawn_all(size_t count)
{
    for (size_t i = 0; i < count; i++) {
#pragma omp task
        __asm__ volatile("");
    }
#pragma omp taskwait
}

static double ns_each_in_team(const bench_job *job, void (*work)(size_t count))
{
    double ns = 0;
#pragma omp parallel num_threads(job->workers)
#pragma omp single
    {
        const double start = bench_now_ns();
        work(job->count);
        ns = bench_ns_each(start, job->count);
    }
    return ns;
}

static int run_spawn_join(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    values[0] = ns_each_in_team(job, spawn_join);
    return 0;
}

static int run_spawn_all(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    values[0] = ns_each_in_team(job, spawn_all);
    return 0;
}

/* Trees. `work` runs in the one task that the team starts with. */

struct tree {
    size_t size;
    long result;
    double ns;
};

static void grow_in_team(const bench_job *job, struct tree *tree, long (*work)(size_t size))
{
#pragma omp parallel num_threads(job->workers)
#pragma omp single
    {
        const double start = bench_now_ns();
        tree->result = work(tree->size);
        tree->ns = bench_now_ns() - start;
    }
}

static long fib(int n)
{
    if (n < 2) {
        return n;
    }
    long forked;
#pragma omp task shared(forked)
    forked = fib(n - 1);
    const long called = fib(n - 2);
#pragma omp taskwait
    return forked + called;
}

static long fib_all(size_t n)
{
    return fib((int)n);
}

static int run_fib(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const int n = bench_fib_n(job->count);
    struct tree tree = {.size = (size_t)n};
    grow_in_team(job, &tree, fib_all);
    values[0] = tree.ns / (double)bench_fib_forks(n);
    return tree.result == bench_fib_result(n) ? 0 : -1;
}

static long skynet(long number, long size)
{
    if (size == 1) {
        return number;
    }
    const long part = size / BENCH_SKYNET_FORKS;
    long sums[BENCH_SKYNET_FORKS];
    for (int i = 0; i < BENCH_SKYNET_FORKS; i++) {
#pragma omp task shared(sums)
        sums[i] = skynet(number + i * part, part);
    }
#pragma omp taskwait
    long sum = 0;
    for (int i = 0; i < BENCH_SKYNET_FORKS; i++) {
        sum += sums[i];
    }
    return sum;
}

static long skynet_all(size_t size)
{
    return skynet(0, (long)size);
}

static int run_skynet(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const long size = bench_skynet_size(job->count);
    struct tree tree = {.size = (size_t)size};
    grow_in_team(job, &tree, skynet_all);
    values[0] = tree.ns / 1e6;
    return tree.result == bench_skynet_result(size) ? 0 : -1;
}

struct board {
    signed char columns[BENCH_QUEENS_MAX];
};

static long queens(const struct board *now, int row, int n)
{
    if (row == n) {
        return 1;
    }
    long solutions[BENCH_QUEENS_MAX] = {0};
    for (int column = 0; column < n; column++) {
        if (bench_queen_is_safe(now->columns, row, column)) {
            struct board next = *now;
            next.columns[row] = (signed char)column;
#pragma omp task shared(solutions) firstprivate(next)
            solutions[column] = queens(&next, row + 1, n);
        }
    }
#pragma omp taskwait
    long sum = 0;
    for (int column = 0; column < n; column++) {
        sum += solutions[column];
    }
    return sum;
}

static long queens_all(size_t n)
{
    const struct board empty = {{0}};
    return queens(&empty, 0, (int)n);
}

static int run_queens(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const int n = bench_queens_n(job->count);
    struct tree tree = {.size = (size_t)n};
    grow_in_team(job, &tree, queens_all);
    values[0] = tree.ns / 1e6;
    return tree.result == bench_queens_result(n) ? 0 : -1;
}

static long uts(uint64_t node);

static long uts_children(uint64_t node, size_t count, long *nodes)
{
    for (size_t i = 0; i < count; i++) {
#pragma omp task
        nodes[i] = uts(bench_uts_child(node, i));
    }
#pragma omp taskwait
    long sum = 1;
    for (size_t i = 0; i < count; i++) {
        sum += nodes[i];
    }
    return sum;
}

static long uts(uint64_t node)
{
    long nodes[BENCH_UTS_FORKS];
    return bench_uts_is_leaf(node) ? 1 : uts_children(node, BENCH_UTS_FORKS, nodes);
}

static long uts_all(size_t roots)
{
    long *nodes = calloc(roots, sizeof(*nodes));
    const long sum = nodes != NULL ? uts_children(BENCH_UTS_SEED, roots, nodes) : 0;
    free(nodes);
    return sum;
}

static int run_uts(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    struct tree tree = {.size = bench_uts_roots(job->count)};
    grow_in_team(job, &tree, uts_all);
    values[0] = tree.ns / (double)tree.result;
    return tree.size != BENCH_UTS_ROOTS || tree.result == BENCH_UTS_NODES ? 0 : -1;
}

static const bench_case cases[] = {
    {.name = "spawn-join", .count = 1000000, .run = run_spawn_join},
    {.name = "spawn-1m", .count = 1000000, .run = run_spawn_all},
    {.name = "fib", .count = 2178308, .run = run_fib},
    {.name = "skynet", .units = {"ms"}, .count = 1000000, .run = run_skynet},
    {.name = "nqueens", .units = {"ms"}, .count = 856189, .run = run_queens},
    {.name = "uts", .count = BENCH_UTS_NODES, .run = run_uts},
};

int main(int argc, char **argv)
{
    omp_set_dynamic(0);
    return bench_main(argc, argv, "libgomp", cases, BENCH_COUNT(cases));
}
