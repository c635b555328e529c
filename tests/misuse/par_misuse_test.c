/* Sets of children in the wrong hands: each must die, saying why. */
#include "tasks.h"

#include "mem/forked.h"

#include <skua/par.h>

static int add_to(void *arg)
{
    skua_fork_set_add(arg, return_zero, NULL);
    return 0;
}

static int added_by_another(void *arg)
{
    SKUA_FORK_SET(set);
    skua_fork_set_add(&set, return_zero, NULL);
    return call(add_to, &set);
}

static int synced_by_another_sync(void *arg)
{
    return skua_fork_set_sync(arg);
}

static int synced_by_another(void *arg)
{
    SKUA_FORK_SET(set);
    skua_fork_set_add(&set, return_zero, NULL);
    return call(synced_by_another_sync, &set);
}

static int fails_fast_late(void *arg)
{
    SKUA_FORK_SET(set);
    skua_fork_set_add(&set, return_zero, NULL);
    skua_fork_set_fail_fast(&set);
    return skua_fork_set_sync(&set);
}

static int never_synced(void *arg)
{
    static skua_fork_set set;
    skua_fork_set_add(&set, return_zero, NULL);
    return 0;
}

static void run_alone(void *fn)
{
    const skua_config config = {.workers = 1};
    skua__process_is_origin(); /* the test forks */
    int status = skua_run(&config, *(skua_fn *)fn, NULL);
    (void)status;
}

static void dies(skua_fn fn, const char *text)
{
    test_dies(run_alone, &fn, text);
}

/* covers: A45 */
static void misuse_panics(void **state)
{
    dies(added_by_another, "by another fiber than its owner");
    dies(synced_by_another, "by another fiber than its owner");
    dies(fails_fast_late, "comes before the first add");
    dies(never_synced, "before it synced its forked children");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(misuse_panics),
    };
    return TEST_RUN(tests);
}
