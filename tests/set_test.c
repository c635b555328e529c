/* Several functions at once, and sets of children: results, blocking, cancels. */
#include "tasks.h"

#include <skua/chan.h>
#include <skua/par.h>

enum { MANY_WORKERS = TEST_SCALE > 1 ? 16 : 32 };

static void run_on_all(skua_fn fn)
{
    run_on_1_2_4(fn);
    run_on(MANY_WORKERS, fn);
}

/* Also on this thread, which is not of a runtime, and with every child on a stack of its own. */
static void run_everywhere(skua_fn fn)
{
    run_on_all(fn);
    CHECK_INT(fn(NULL), 0);
    setenv("SKUA_FORKS", "always", 1);
    run_on_1_2_4(fn);
    unsetenv("SKUA_FORKS");
}

/* --- several functions ------------------------------------------------------------------------ */

static int status_is(void *arg)
{
    return *(int *)arg;
}

static int send_one(void *arg)
{
    int item = 1;
    return skua_chan_send(arg, SKUA_ITEM(item), SKUA_FOREVER);
}

static int receive_one(void *arg)
{
    int item;
    return skua_chan_recv(arg, SKUA_ITEM(item), SKUA_FOREVER);
}

static int invoke_body(void *arg)
{
    int statuses[5] = {0, 7, -EIO, 3, -EPIPE};
    skua_part parts[5];
    for (size_t count = 0; count <= 5; count++) {
        for (size_t i = 0; i < count; i++) {
            parts[i] = (skua_part){status_is, &statuses[i], 99};
        }
        CHECK_INT(skua_invoke(parts, count), count < 3 ? 0 : -EIO);
        for (size_t i = 0; i < count; i++) {
            CHECK_INT(parts[i].status, statuses[i]);
        }
    }
    return 0;
}

static void all_functions_run_whichever_fails(void **state)
{
    run_everywhere(invoke_body);
}

static int waiting_parts_body(void *arg)
{
    skua_part parts[20];
    for (int round = 0; round < 50; round++) {
        skua_chan *chan;
        CHECK_INT(skua_chan_create(&chan, sizeof(int), 0), 0);
        for (int i = 0; i < 20; i++) {
            const bool sends = round % 2 == 0 ? i < 10 : i % 2 == 0;
            parts[i] = (skua_part){sends ? send_one : receive_one, chan, 0};
        }
        CHECK_INT(skua_invoke(parts, 20), 0);
        skua_chan_release(chan, SKUA_SENDER | SKUA_RECEIVER);
    }
    return 0;
}

static void functions_may_wait_for_each_other(void **state)
{
    run_on_all(waiting_parts_body);
}

/* --- sets of children ------------------------------------------------------------------------- */

static int add_one(void *arg)
{
    atomic_fetch_add((gate *)arg, 1);
    return 1;
}

static int set_body(void *arg)
{
    SKUA_FORK_SET(set);
    for (int count = 0; count < 4000; count = 3 * count + 1) {
        gate sum = 0;
        for (int i = 0; i < count; i++) {
            skua_fork_set_add(&set, add_one, &sum);
        }
        CHECK_INT(skua_fork_set_sync(&set), 0);
        CHECK_INT(atomic_load(&sum), count);
    }
    return 0;
}

static void a_set_takes_any_number_of_children(void **state)
{
    run_everywhere(set_body);
}

static int set_failures_body(void *arg)
{
    int fine = 5, first = -EIO, second = -EPIPE;
    for (int at = 0; at < 100; at += 9) {
        SKUA_FORK_SET(set);
        for (int i = 0; i < 100; i++) {
            skua_fork_set_add(&set, status_is, i < at ? &fine : i == at ? &first : &second);
        }
        CHECK_INT(skua_fork_set_sync(&set), -EIO);
        CHECK_INT(skua_fork_set_sync(&set), 0);
    }
    return 0;
}

static void a_set_returns_its_first_failure(void **state)
{
    run_everywhere(set_failures_body);
}

static int leave_early(gate *sum, int count)
{
    SKUA_FORK_SET(set);
    for (int i = 0; i < count; i++) {
        skua_fork_set_add(&set, add_one, sum);
        if (i == 50) {
            skua_child other;
            skua_fork(&other, add_one, sum);
            CHECK_INT(skua_sync(&other), 1);
        }
    }
    return -EIO;
}

static int leave_body(void *arg)
{
    gate sum = 0;
    CHECK_INT(leave_early(&sum, 0), -EIO);
    CHECK_INT(leave_early(&sum, 100), -EIO);
    CHECK_INT(atomic_load(&sum), 101);
    return 0;
}

static void a_declared_set_is_synced_when_the_block_is_left(void **state)
{
    run_everywhere(leave_body);
}

static int sleep_on(void *arg)
{
    return skua_sleep(skua_after(SKUA_SEC(1000)));
}

static int fail_soon(void *arg)
{
    const int status = skua_sleep(skua_after(SKUA_MS(1)));
    return status < 0 ? status : -EIO;
}

static int fail_fast_body(void *arg)
{
    SKUA_FORK_SET(set);
    for (int at = 0; at < 60; at += 7) {
        skua_fork_set_fail_fast(&set);
        for (int i = 0; i < 60; i++) {
            skua_fork_set_add(&set, i == at ? fail_soon : sleep_on, NULL);
        }
        CHECK_INT(skua_fork_set_sync(&set), -EIO);
        CHECK(!skua_cancelled());
    }
    skua_fork_set_fail_fast(&set); /* closed by the end of the block */
    return 0;
}

static void a_set_that_fails_fast_cancels_the_others(void **state)
{
    run_on_all(fail_fast_body);
}

static int cancelled_set(void *arg)
{
    SKUA_FORK_SET(set);
    skua_fork_set_fail_fast(&set);
    for (int i = 0; i < 20; i++) {
        skua_fork_set_add(&set, sleep_on, NULL);
    }
    return skua_fork_set_sync(&set);
}

static int cancelled_set_body(void *arg)
{
    CHECK_INT(skua_within(skua_after(SKUA_MS(2)), cancelled_set, NULL), -ETIMEDOUT);
    return 0;
}

static void a_deadline_reaches_the_children_of_a_set(void **state)
{
    run_on_all(cancelled_set_body);
}

static void a_foreign_thread_has_sets_too(void **state)
{
    int bad = -EIO;
    gate sum = 0;
    SKUA_FORK_SET(set);
    skua_fork_set_fail_fast(&set);
    skua_fork_set_add(&set, status_is, &bad);
    skua_fork_set_add(&set, add_one, &sum);
    CHECK_INT(skua_fork_set_sync(&set), -EIO);
    CHECK_INT(atomic_load(&sum), 1);
}

/* A set per node of a tree, whose children block now and then. */
static int grow(void *arg)
{
    uint64_t random = *(uint64_t *)arg;
    uint64_t seeds[12];
    const size_t depth = random >> 60;
    if (test_random(&random) % 20 == 0) {
        CHECK_INT(skua_sleep(skua_after(SKUA_US(100))), 0);
    }
    if (depth == 0) {
        return 0;
    }
    SKUA_FORK_SET(set);
    for (size_t i = 0; i < random % 12; i++) {
        seeds[i] = (test_random(&random) >> 4) | (uint64_t)(depth - 1) << 60;
        skua_fork_set_add(&set, grow, &seeds[i]);
    }
    return skua_fork_set_sync(&set);
}

static int grow_body(void *arg)
{
    uint64_t random = test_seed();
    for (int i = 0; i < 5; i++) {
        uint64_t root = (test_random(&random) >> 4) | (uint64_t)4 << 60;
        CHECK_INT(grow(&root), 0);
    }
    return 0;
}

static void a_tree_of_sets(void **state)
{
    run_on_all(grow_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_functions_run_whichever_fails),
        TEST(functions_may_wait_for_each_other),
        TEST(a_set_takes_any_number_of_children),
        TEST(a_set_returns_its_first_failure),
        TEST(a_declared_set_is_synced_when_the_block_is_left),
        TEST(a_set_that_fails_fast_cancels_the_others),
        TEST(a_deadline_reaches_the_children_of_a_set),
        TEST(a_foreign_thread_has_sets_too),
        TEST(a_tree_of_sets),
    };
    return TEST_RUN(tests);
}
