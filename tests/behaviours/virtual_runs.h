/* tests/behaviours/virtual_runs.h: runs on the virtual clock, for suites whose times are exact.
   They hold in every order of the tasks, hence under seeded schedules, too. */
#ifndef SKUA_TESTS_VIRTUAL_RUNS_H
#define SKUA_TESTS_VIRTUAL_RUNS_H

#include "../tasks.h"

#include <skua/skua.h>
#include <skua/testing.h>

static inline void run_virtually_on(uint32_t workers, skua_fn fn)
{
    const skua_test_opts opts = {
        .workers = workers, .virtual_clock = true, .timeout_ns = TEST_PATIENCE_NS};
    CHECK_INT(skua_test_run(&opts, fn, NULL), 0);
}

enum { SEEDS = 10 };

static inline void run_virtually_on_1_2_4(skua_fn fn)
{
    uint64_t random = test_seed();
    run_virtually_on(1, fn);
    run_virtually_on(2, fn);
    run_virtually_on(4, fn);
    for (int i = 0; i < SEEDS; i++) {
        const skua_test_opts opts = {
            .seeded = true, .seed = test_random(&random) | 1, .timeout_ns = TEST_PATIENCE_NS};
        CHECK_INT(skua_test_run(&opts, fn, NULL), 0);
    }
}

/* Sleeps for some milliseconds, then ends with a status; says when that was. */
typedef struct nap {
    int64_t ms;
    int status;
    skua_time ended_at;
} nap;

static inline int take_nap(void *arg)
{
    nap *self = arg;
    int status = skua_sleep(skua_after(SKUA_MS(self->ms)));
    self->ended_at = skua_clock();
    return status < 0 ? status : self->status;
}

static inline void start_naps(skua_task *tasks[], nap naps[], int count)
{
    for (int i = 0; i < count; i++) {
        tasks[i] = spawn(take_nap, &naps[i]);
    }
}

/* Milliseconds since then, of which nothing may be left over. */
static inline int64_t ms_since(skua_time start)
{
    const int64_t ns = skua_elapsed_ns(start);
    CHECK_INT(ns % SKUA_MS(1), 0);
    return ns / SKUA_MS(1);
}

#endif
