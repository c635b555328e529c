/* tests/group_help.h: members and words that the suites of groups share. */
#ifndef SKUA_TESTS_GROUP_HELP_H
#define SKUA_TESTS_GROUP_HELP_H

#include "tasks.h"

#include <skua/group.h>

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
