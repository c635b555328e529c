/* What sleeping costs when a million tasks do it, and how late 20,000 of them are woken. */
#define _GNU_SOURCE
#include "on_skua.h"

typedef struct sleeper {
    unsigned ms;
    double late_us;
} sleeper;

static int sleep_once(void *arg)
{
    sleeper *self = arg;
    const skua_time deadline = skua_after(SKUA_MS(self->ms));
    const int error = skua_sleep(deadline);
    self->late_us = (double)skua_elapsed_ns(deadline) / 1e3;
    return error;
}

static int spawn_sleepers(sleeper *sleepers, skua_task **tasks, size_t count)
{
    const skua_spawn_opts opts = {.stack_bytes = BENCH_STACK_BYTES};
    size_t spawned = 0;
    int error = 0;
    while (spawned < count && error == 0) {
        sleepers[spawned].ms = bench_sleep_ms(spawned);
        error = skua_spawn(&tasks[spawned], sleep_once, &sleepers[spawned], &opts);
        spawned += error == 0;
    }
    const int join_error = bench_join_all(tasks, spawned);
    return error != 0 ? error : join_error;
}

static int sleep_all(sleeper *sleepers, size_t count)
{
    skua_task **tasks = calloc(count, sizeof(*tasks));
    const int error = tasks == NULL ? -ENOMEM : spawn_sleepers(sleepers, tasks, count);
    free(tasks);
    return error;
}

static int run_sleep_cost(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    sleeper *sleepers = calloc(job->count, sizeof(*sleepers));
    if (sleepers == NULL) {
        return -ENOMEM;
    }
    const double start = bench_now_ns();
    const double cpu_start = bench_cpu_ns();
    const int error = sleep_all(sleepers, job->count);
    values[0] = (bench_now_ns() - start) / 1e6;
    values[1] = (bench_cpu_ns() - cpu_start) / 1e6;
    free(sleepers);
    return error;
}

static double late_us_p99(const sleeper *sleepers, double *late_us, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        late_us[i] = sleepers[i].late_us;
    }
    return bench_percentile_of(late_us, count, 99);
}

static int run_sleep_late(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    sleeper *sleepers = calloc(job->count, sizeof(*sleepers));
    double *late_us = calloc(job->count, sizeof(*late_us));
    int error = -ENOMEM;
    if (sleepers != NULL && late_us != NULL) {
        error = sleep_all(sleepers, job->count);
        values[0] = late_us_p99(sleepers, late_us, job->count);
    }
    free(late_us);
    free(sleepers);
    return error;
}

static const bench_case cases[] = {
    {.name = "sleep-1m",
     .rows = {"sleep-1m-wall", "sleep-1m-cpu"},
     .units = {"ms", "ms"},
     .count = 1000000,
     .cold = true,
     .run = run_sleep_cost,
     .enter = bench_enter_skua},
    {.name = "sleep-20k-p99",
     .units = {"us"},
     .count = 20000,
     .cold = true,
     .run = run_sleep_late,
     .enter = bench_enter_skua},
};

int main(int argc, char **argv)
{
    return bench_main_skua(argc, argv, cases, BENCH_COUNT(cases));
}
