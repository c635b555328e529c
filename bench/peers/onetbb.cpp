// oneTBB task groups. Their tasks cannot block: only the spawn rows and the wake-up apply.
#include "bench.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

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
    return 0;
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
    {.name = "spawn-1m", .count = 1000000, .run = run_spawn_all, .enter = enter_arena},
    {.name = "foreign-wake",
     .rows = {"foreign-wake-p50", "foreign-wake-p99"},
     .units = {"us", "us"},
     .count = 1000,
     .cold = true,
     .run = run_foreign_wake},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, "oneTBB", cases, BENCH_COUNT(cases));
}
