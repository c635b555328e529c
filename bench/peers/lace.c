/* Lace: tasks that cannot block, in a deque of whose private part nobody else knows. No package has
   it: this is built if $LACE_SOURCE names a folder with its source. */
#define _GNU_SOURCE
#include "trees.h"

#include <lace.h>

enum { DEQUE_TASKS = 1000000 };

static int enter_lace(bench_job *job)
{
    lace_start(job->workers, DEQUE_TASKS);
    const int error = bench_job_measure(job);
    lace_stop();
    return error;
}

TASK_1(long, fib, int, n)
{
    if (n < 2) {
        return n;
    }
    SPAWN(fib, n - 1);
    const long called = CALL(fib, n - 2);
    return SYNC(fib) + called;
}

static int run_fib(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const int n = bench_fib_n(job->count);
    const double start = bench_now_ns();
    const long result = RUN(fib, n);
    values[0] = bench_ns_each(start, bench_fib_forks(n));
    return result == bench_fib_result(n) ? 0 : -1;
}

TASK_2(long, skynet, long, number, long, size)
{
    if (size == 1) {
        return number;
    }
    const long part = size / BENCH_SKYNET_FORKS;
    long sum = 0;
    for (int i = 0; i < BENCH_SKYNET_FORKS; i++) {
        SPAWN(skynet, number + i * part, part);
    }
    for (int i = 0; i < BENCH_SKYNET_FORKS; i++) {
        sum += SYNC(skynet);
    }
    return sum;
}

static int run_skynet(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const long size = bench_skynet_size(job->count);
    const double start = bench_now_ns();
    const long sum = RUN(skynet, 0, size);
    values[0] = (bench_now_ns() - start) / 1e6;
    return sum == bench_skynet_result(size) ? 0 : -1;
}

struct board {
    signed char columns[BENCH_QUEENS_MAX];
};

TASK_3(long, queens, const struct board *, now, int, row, int, n)
{
    struct board boards[BENCH_QUEENS_MAX];
    int spawned = 0;
    long solutions = 0;
    if (row == n) {
        return 1;
    }
    for (int column = 0; column < n; column++) {
        if (bench_queen_is_safe(now->columns, row, column)) {
            boards[spawned] = *now;
            boards[spawned].columns[row] = (signed char)column;
            SPAWN(queens, &boards[spawned], row + 1, n);
            spawned++;
        }
    }
    while (spawned-- > 0) {
        solutions += SYNC(queens);
    }
    return solutions;
}

static int run_queens(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const int n = bench_queens_n(job->count);
    const struct board empty = {{0}};
    const double start = bench_now_ns();
    const long solutions = RUN(queens, &empty, 0, n);
    values[0] = (bench_now_ns() - start) / 1e6;
    return solutions == bench_queens_result(n) ? 0 : -1;
}

TASK_1(long, uts, uint64_t, node)
{
    long nodes = 1;
    if (bench_uts_is_leaf(node)) {
        return 1;
    }
    for (size_t i = 0; i < BENCH_UTS_FORKS; i++) {
        SPAWN(uts, bench_uts_child(node, i));
    }
    for (size_t i = 0; i < BENCH_UTS_FORKS; i++) {
        nodes += SYNC(uts);
    }
    return nodes;
}

TASK_1(long, uts_root, size_t, roots)
{
    long nodes = 1;
    for (size_t i = 0; i < roots; i++) {
        SPAWN(uts, bench_uts_child(BENCH_UTS_SEED, i));
    }
    for (size_t i = 0; i < roots; i++) {
        nodes += SYNC(uts);
    }
    return nodes;
}

static int run_uts(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const size_t roots = bench_uts_roots(job->count);
    const double start = bench_now_ns();
    const long nodes = RUN(uts_root, roots);
    values[0] = bench_ns_each(start, (size_t)nodes);
    return roots != BENCH_UTS_ROOTS || nodes == BENCH_UTS_NODES ? 0 : -1;
}

static const bench_case cases[] = {
    {.name = "fib", .count = 63245985, .run = run_fib, .enter = enter_lace},
    {.name = "skynet", .units = {"ms"}, .count = 1000000, .run = run_skynet, .enter = enter_lace},
    {.name = "nqueens", .units = {"ms"}, .count = 856189, .run = run_queens, .enter = enter_lace},
    {.name = "uts", .count = BENCH_UTS_NODES, .run = run_uts, .enter = enter_lace},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, "Lace", cases, BENCH_COUNT(cases));
}
