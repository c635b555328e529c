// oneTBB task groups. Their tasks cannot block: the spawn rows, the trees and the wake-up apply.
#include "trees.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <vector>

namespace tbb = oneapi::tbb;

static int enter_arena(bench_job *job)
{
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, job->workers);
    tbb::task_arena arena(static_cast<int>(job->workers));
    return arena.execute([job] { return bench_job_measure(job); });
}

static void nothing()
{
    __asm__ volatile("");
}

static int run_spawn_join(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    tbb::task_group group;
    const double start = bench_now_ns();
    for (size_t i = 0; i < job->count; i++) {
        group.run(nothing);
        group.wait();
    }
    values[0] = bench_ns_each(start, job->count);
    return 0;
}

static int run_spawn_all(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    tbb::task_group group;
    const double start = bench_now_ns();
    for (size_t i = 0; i < job->count; i++) {
        group.run(nothing);
    }
    group.wait();
    values[0] = bench_ns_each(start, job->count);
    values[1] = bench_peak_bytes_each(job->count);
    return 0;
}

// Trees: a task group in each call.

static long fib(int n)
{
    if (n < 2) {
        return n;
    }
    long forked = 0;
    tbb::task_group group;
    group.run([&forked, n] { forked = fib(n - 1); });
    const long called = fib(n - 2);
    group.wait();
    return forked + called;
}

static int run_fib(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const int n = bench_fib_n(job->count);
    const double start = bench_now_ns();
    const long result = fib(n);
    values[0] = bench_ns_each(start, bench_fib_forks(n));
    return result == bench_fib_result(n) ? 0 : -1;
}

static long skynet(long number, long size)
{
    if (size == 1) {
        return number;
    }
    const long part = size / BENCH_SKYNET_FORKS;
    long sums[BENCH_SKYNET_FORKS];
    tbb::task_group group;
    for (int i = 0; i < BENCH_SKYNET_FORKS; i++) {
        group.run([&sums, i, number, part] { sums[i] = skynet(number + i * part, part); });
    }
    group.wait();
    long sum = 0;
    for (const long one : sums) {
        sum += one;
    }
    return sum;
}

static int run_skynet(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const long size = bench_skynet_size(job->count);
    const double start = bench_now_ns();
    const long sum = skynet(0, size);
    values[0] = (bench_now_ns() - start) / 1e6;
    return sum == bench_skynet_result(size) ? 0 : -1;
}

struct board {
    signed char columns[BENCH_QUEENS_MAX];
};

static long queens(const board &now, int row, int n)
{
    if (row == n) {
        return 1;
    }
    long solutions[BENCH_QUEENS_MAX] = {};
    tbb::task_group group;
    for (int column = 0; column < n; column++) {
        if (bench_queen_is_safe(now.columns, row, column)) {
            board next = now;
            next.columns[row] = static_cast<signed char>(column);
            group.run([&solutions, column, next, row, n] {
                solutions[column] = queens(next, row + 1, n);
            });
        }
    }
    group.wait();
    long sum = 0;
    for (const long one : solutions) {
        sum += one;
    }
    return sum;
}

static int run_queens(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const int n = bench_queens_n(job->count);
    const board empty = {};
    const double start = bench_now_ns();
    const long solutions = queens(empty, 0, n);
    values[0] = (bench_now_ns() - start) / 1e6;
    return solutions == bench_queens_result(n) ? 0 : -1;
}

static long uts(uint64_t node);

static long uts_children(uint64_t node, size_t count, long *nodes)
{
    tbb::task_group group;
    for (size_t i = 0; i < count; i++) {
        group.run([nodes, i, node] { nodes[i] = uts(bench_uts_child(node, i)); });
    }
    group.wait();
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

static int run_uts(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    std::vector<long> nodes(bench_uts_roots(job->count));
    const double start = bench_now_ns();
    const long sum = uts_children(BENCH_UTS_SEED, nodes.size(), nodes.data());
    values[0] = bench_ns_each(start, static_cast<size_t>(sum));
    return nodes.size() != BENCH_UTS_ROOTS || sum == BENCH_UTS_NODES ? 0 : -1;
}

static int submit(void *context, bench_shot *shot)
{
    static_cast<tbb::task_arena *>(context)->enqueue([shot] { bench_shot_arrive(shot); });
    return 0;
}

// No slot of the arena is reserved for the thread that submits, and one more thread is allowed for it.
static int run_foreign_wake(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, job->workers + 1);
    tbb::task_arena arena(static_cast<int>(job->workers), 0);
    return bench_shoot_all(job->count, submit, &arena, values);
}

static const bench_case cases[] = {
    {.name = "spawn-join", .count = 1000000, .run = run_spawn_join, .enter = enter_arena},
    {.name = "spawn-1m",
     .rows = {"spawn-1m", "spawn-1m-bytes"},
     .units = {"ns", "bytes"},
     .count = 1000000,
     .run = run_spawn_all,
     .enter = enter_arena},
    {.name = "fib", .count = 2178308, .run = run_fib, .enter = enter_arena},
    {.name = "skynet", .units = {"ms"}, .count = 1000000, .run = run_skynet, .enter = enter_arena},
    {.name = "nqueens", .units = {"ms"}, .count = 856189, .run = run_queens, .enter = enter_arena},
    {.name = "uts", .count = BENCH_UTS_NODES, .run = run_uts, .enter = enter_arena},
    {.name = "foreign-wake",
     .rows = {"foreign-wake-p50", "foreign-wake-p99"},
     .units = {"us", "us"},
     .count = 500,
     .cold = true,
     .run = run_foreign_wake},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, "oneTBB", cases, BENCH_COUNT(cases));
}
