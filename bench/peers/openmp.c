/* OpenMP tasks of the compiler's own run-time library. They cannot block: only the spawn rows
   apply. */
#define _GNU_SOURCE
#include "bench.h"

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

static const bench_case cases[] = {
    {.name = "spawn-join", .count = 1000000, .run = run_spawn_join},
    {.name = "spawn-1m", .count = 1000000, .run = run_spawn_all},
};

int main(int argc, char **argv)
{
    omp_set_dynamic(0);
    return bench_main(argc, argv, "libgomp", cases, BENCH_COUNT(cases));
}
