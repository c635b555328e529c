/* What a mutex costs when a hundred tasks lock it in turns, and when they hold it over a yield. */
#define _GNU_SOURCE
#include "on_skua.h"

enum { TASKS = 100 };

struct counter {
    skua_mutex mutex;
    size_t each; /* rounds of one task */
    size_t sum;
    bool yields_inside;
};

static int count_up(void *arg)
{
    struct counter *counter = arg;
    for (size_t i = 0; i < counter->each; i++) {
        int error = skua_mutex_lock(&counter->mutex, SKUA_FOREVER);
        if (error != 0) {
            return error;
        }
        counter->sum++;
        error = counter->yields_inside ? skua_yield() : 0;
        skua_mutex_unlock(&counter->mutex);
        error = error == 0 && !counter->yields_inside ? skua_yield() : error;
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static int run_mutex(const bench_job *job, bool yields_inside, double *value)
{
    skua_task *tasks[TASKS];
    struct counter counter = {.each = job->count / TASKS, .yields_inside = yields_inside};
    size_t spawned = 0;
    int error = 0;
    const double start = bench_now_ns();
    while (spawned < TASKS && error == 0) {
        error = skua_spawn(&tasks[spawned], count_up, &counter, NULL);
        spawned += error == 0;
    }
    const int join_error = bench_join_all(tasks, spawned);
    *value = bench_ns_each(start, counter.each * TASKS);
    if (error == 0 && join_error == 0 && counter.sum != counter.each * TASKS) {
        error = -EPROTO;
    }
    return error != 0 ? error : join_error;
}

static int run_turns(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_mutex(job, false, &values[0]);
}

static int run_held(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_mutex(job, true, &values[0]);
}

static const bench_case cases[] = {
    {.name = "mutex", .count = 2000000, .run = run_turns, .enter = bench_enter_skua},
    {.name = "mutex-held", .count = 1000000, .run = run_held, .enter = bench_enter_skua},
};

int main(int argc, char **argv)
{
    return bench_main_skua(argc, argv, cases, BENCH_COUNT(cases));
}
