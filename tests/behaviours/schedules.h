/* tests/behaviours/schedules.h: one body under many schedules: on one, two and four workers, and on
   one worker in orders that seeds decide. Time is virtual, so that hours pass at once and every
   moment can be checked to the nanosecond; what was left behind fails the run. */
#ifndef SKUA_TESTS_SCHEDULES_H
#define SKUA_TESTS_SCHEDULES_H

#include "tasks.h"

#include <skua/testing.h>

enum { SCHEDULE_SEEDS = TEST_SCALE > 1 ? 6 : 16 };

static inline void in_all_schedules(skua_fn fn)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_test_opts opts = {
            .workers = workers, .virtual_clock = true, .timeout_ns = TEST_PATIENCE_NS};
        CHECK_INT(skua_test_run(&opts, fn, NULL), 0);
    }
    uint64_t random = test_seed();
    for (int i = 0; i < SCHEDULE_SEEDS; i++) {
        const skua_test_opts opts = {
            .seeded = true, .seed = test_random(&random) | 1, .timeout_ns = TEST_PATIENCE_NS};
        CHECK_INT(skua_test_run(&opts, fn, NULL), 0);
    }
}

/* When everybody else waits. */
static inline void settle(void)
{
    CHECK_INT(skua_test_settle(), 0);
}

static inline void sleep_ms(int ms)
{
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(ms))), 0);
}

/* It is so many milliseconds after `begin`, exactly. */
static inline void check_ms_since(skua_time begin, int64_t ms)
{
    CHECK_INT(skua_elapsed_ns(begin), SKUA_MS(ms));
}

#endif
