/* tests/group_help.h: members and words that the suites of groups share. */
#ifndef SKUA_TESTS_GROUP_HELP_H
#define SKUA_TESTS_GROUP_HELP_H

#include "tasks.h"

#include <skua/group.h>
#include <skua/testing.h>

/* Under the virtual clock no moment comes while anybody has something to do. */
static inline void run_virtually_on_1_2_4(skua_fn fn)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_test_opts opts = {
            .workers = workers, .virtual_clock = true, .timeout_ns = TEST_PATIENCE_NS};
        CHECK_INT(skua_test_run(&opts, fn, NULL), 0);
    }
}

enum { MEMBERS = 5 };

static inline void add(skua_group *group, skua_fn fn, void *arg)
{
    CHECK_INT(skua_group_spawn(group, fn, arg), 0);
}

/* Members. */

static inline int return_arg(void *arg)
{
    return *(int *)arg;
}

static inline int count_and_sleep(void *arg)
{
    gate *cancelled = arg;
    int status = skua_sleep(SKUA_FOREVER);
    CHECK_INT(status, -ECANCELED);
    CHECK(skua_cancelled());
    atomic_fetch_add(cancelled, 1);
    return status;
}

static inline int never_called(void *arg)
{
    test_fail(__FILE__, __LINE__, "refused, but called");
}

typedef struct slow {
    gate *ended;
    int sleeps_us;
} slow;

static inline int end_slowly(void *arg)
{
    slow *self = arg;
    CHECK_INT(skua_sleep(skua_after(SKUA_US(self->sleeps_us))), 0);
    atomic_fetch_add(self->ended, 1);
    return 0;
}

#endif
