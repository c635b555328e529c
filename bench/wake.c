/* How long an idle runtime takes to start a task that a foreign thread gives it. */
#define _GNU_SOURCE
#include "on_skua.h"

static int arrive(void *shot)
{
    bench_shot_arrive(shot);
    return 0;
}

static int submit(void *runtime, bench_shot *shot)
{
    return skua_submit(runtime, NULL, arrive, shot, NULL);
}

static int run_foreign_wake(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    skua_runtime *runtime;
    int error = skua_runtime_create(&runtime, &(skua_config){.workers = job->workers});
    if (error == 0) {
        error = bench_shoot_all(job->count, submit, runtime, values);
        skua_runtime_destroy(runtime);
    }
    return error;
}

static const bench_case cases[] = {
    {.name = "foreign-wake",
     .rows = {"foreign-wake-p50", "foreign-wake-p99"},
     .units = {"us", "us"},
     .count = 500,
     .cold = true,
     .run = run_foreign_wake},
};

int main(int argc, char **argv)
{
    return bench_main_skua(argc, argv, cases, BENCH_COUNT(cases));
}
