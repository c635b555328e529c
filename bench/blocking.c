/* A call that does nothing, on the pool of blocking threads: one after the other by one task, and
   by many tasks at once. */
#define _GNU_SOURCE
#include "on_skua.h"

enum { CALLERS = 1000 };

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int call_many(void *arg)
{
    int error = 0;
    for (size_t i = *(const size_t *)arg; i > 0 && error == 0; i--) {
        error = skua_blocking(do_nothing, NULL, SKUA_FOREVER);
    }
    return error;
}

static int run_one(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    size_t count = job->count;
    const double start = bench_now_ns();
    const int error = call_many(&count);
    values[0] = bench_ns_each(start, count) / 1e3;
    return error;
}

static int run_many(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    size_t each = job->count / CALLERS + 1;
    skua_task *tasks[CALLERS];
    const double start = bench_now_ns();
    int error = skua_spawn_many(tasks, call_many, &each, 0, CALLERS, NULL);
    if (error == 0) {
        error = bench_join_all(tasks, CALLERS);
    }
    values[0] = bench_ns_each(start, each * CALLERS) / 1e3;
    return error;
}

static const bench_case cases[] = {
    {.name = "offload-1",
     .units = {"us"},
     .count = 20000,
     .run = run_one,
     .enter = bench_enter_skua},
    {.name = "offload-1k",
     .units = {"us"},
     .count = 200000,
     .run = run_many,
     .enter = bench_enter_skua},
};

int main(int argc, char **argv)
{
    return bench_main_skua(argc, argv, cases, BENCH_COUNT(cases));
}
