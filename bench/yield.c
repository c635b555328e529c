/* What a yield costs when eight tasks take turns. */
#define _GNU_SOURCE
#include "on_skua.h"

enum { TASKS = 8 };

static int take_turns(void *arg)
{
    const size_t turns = *(size_t *)arg;
    int error = 0;
    for (size_t turn = 0; turn < turns && error == 0; turn++) {
        error = skua_yield();
    }
    return error;
}

static int run_yield(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    skua_task *tasks[TASKS];
    size_t each = job->count / TASKS;
    size_t spawned = 0;
    int error = 0;
    const double start = bench_now_ns();
    while (spawned < TASKS && error == 0) {
        error = skua_spawn(&tasks[spawned], take_turns, &each, NULL);
        spawned += error == 0;
    }
    const int join_error = bench_join_all(tasks, spawned);
    values[0] = bench_ns_each(start, each * TASKS);
    return error != 0 ? error : join_error;
}

static const bench_case cases[] = {
    {.name = "yield", .count = 2000000, .run = run_yield, .enter = bench_enter_skua},
};

int main(int argc, char **argv)
{
    return bench_main_skua(argc, argv, cases, BENCH_COUNT(cases));
}
