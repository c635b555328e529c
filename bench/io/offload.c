/* Calls that block, made on another thread: one after the other, and by many tasks at once. The
   call itself does nothing. Its twin is peers/libuv_offload.c. */
#define _GNU_SOURCE
#include "on_skua.h"

enum { TASKS = 1000 };

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int run_round_trip(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const double start_ns = bench_now_ns();
    int status = 0;
    for (size_t i = 0; i < job->count && status == 0; i++) {
        status = skua_blocking(nothing, NULL, SKUA_FOREVER);
    }
    values[0] = bench_ns_each(start_ns, job->count) / 1e3;
    return status;
}

static int call_often(void *count)
{
    int status = 0;
    for (size_t i = 0; i < *(const size_t *)count && status == 0; i++) {
        status = skua_blocking(nothing, NULL, SKUA_FOREVER);
    }
    return status;
}

static int run_throughput(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    static skua_task *tasks[TASKS];
    size_t each = job->count / TASKS + 1;
    const double start_ns = bench_now_ns();
    int status = skua_spawn_many(tasks, call_often, &each, 0, TASKS, NULL);
    if (status == 0) {
        status = bench_join_all(tasks, TASKS);
    }
    values[0] = bench_ns_each(start_ns, each * TASKS);
    return status;
}

static const bench_case cases[] = {
    {.name = "offload-round-trip",
     .units = {"us"},
     .count = 20000,
     .run = run_round_trip,
     .enter = bench_enter_skua},
    {.name = "offload-1k", .count = 500000, .run = run_throughput, .enter = bench_enter_skua},
};

int main(int argc, char **argv)
{
    return bench_main_skua(argc, argv, cases, BENCH_COUNT(cases));
}
