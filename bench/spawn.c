/* What it costs to spawn a task and to join it: one by one, and a million at once. */
#define _GNU_SOURCE
#include "on_skua.h"

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int spawn_and_join(void)
{
    skua_task *task;
    int error = skua_spawn(&task, nothing, NULL, NULL);
    if (error == 0) {
        error = skua_join(task, NULL, SKUA_FOREVER);
        skua_task_release(task);
    }
    return error;
}

static int run_spawn_join(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    int error = 0;
    const double start = bench_now_ns();
    for (size_t i = 0; i < job->count && error == 0; i++) {
        error = spawn_and_join();
    }
    values[0] = bench_ns_each(start, job->count);
    return error;
}

static int spawn_then_join(skua_task **tasks, size_t count)
{
    size_t spawned = 0;
    int error = 0;
    while (spawned < count && error == 0) {
        error = skua_spawn(&tasks[spawned], nothing, NULL, NULL);
        spawned += error == 0;
    }
    const int join_error = bench_join_all(tasks, spawned);
    return error != 0 ? error : join_error;
}

static int spawn_many_then_join(skua_task **tasks, size_t count)
{
    const int error = skua_spawn_many(tasks, nothing, NULL, 0, count, NULL);
    return error != 0 ? error : bench_join_all(tasks, count);
}

static int run_million(const bench_job *job, double values[BENCH_ROWS_MAX],
                       int (*work)(skua_task **tasks, size_t count))
{
    skua_task **tasks = calloc(job->count, sizeof(*tasks));
    if (tasks == NULL) {
        return -ENOMEM;
    }
    const double start = bench_now_ns();
    const int error = work(tasks, job->count);
    values[0] = bench_ns_each(start, job->count);
    values[1] = bench_peak_bytes_each(job->count);
    free(tasks);
    return error;
}

static int run_spawn_all(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_million(job, values, spawn_then_join);
}

static int run_spawn_many(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_million(job, values, spawn_many_then_join);
}

static const bench_case cases[] = {
    {.name = "spawn-join", .count = 1000000, .run = run_spawn_join, .enter = bench_enter_skua},
    {.name = "spawn-1m",
     .rows = {"spawn-1m", "spawn-1m-bytes"},
     .units = {"ns", "bytes"},
     .count = 1000000,
     .run = run_spawn_all,
     .enter = bench_enter_skua},
    {.name = "spawn-many-1m", .count = 1000000, .run = run_spawn_many, .enter = bench_enter_skua},
};

int main(int argc, char **argv)
{
    return bench_main_skua(argc, argv, cases, BENCH_COUNT(cases));
}
