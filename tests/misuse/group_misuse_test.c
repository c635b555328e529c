/* Misuse of groups dies with a message. The run starts in the forked child, which is a process that
   Skua has not been used in. */
#include "../group_help.h"

#include "mem/forked.h"

static void run_and_die(void *arg)
{
    skua__process_is_origin(); /* the fork of test_dies() is not the one that a user would make */
    const skua_config config = {.workers = 2};
    int status = skua_run(&config, *(skua_fn *)arg, NULL);
    fprintf(stderr, "it lived, with %d\n", status);
}

static void dies(skua_fn fn, const char *text)
{
    test_dies(run_and_die, &fn, text);
}

static int close_twice(void *arg)
{
    skua_group group = {{0}};
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    int status = skua_group_close(&group, 0);
    return skua_group_close(&group, status);
}

/* covers: D57 */
static void a_group_closed_twice(void **state)
{
    dies(close_twice, "not the innermost open scope");
}

static int close_unopened(void *arg)
{
    skua_group group = {{0}};
    return skua_group_close(&group, 0);
}

/* covers: D57 */
static void a_group_closed_that_was_never_opened(void **state)
{
    dies(close_unopened, "not the innermost open scope");
}

static int open_twice(void *arg)
{
    skua_group group = {{0}};
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    return 0;
}

/* covers: D57 */
static void a_group_opened_twice(void **state)
{
    dies(open_twice, "open already");
}

static int spawn_after_close(void *arg)
{
    skua_group group = {{0}};
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    int status = skua_group_close(&group, 0);
    return status < 0 ? status : skua_group_spawn(&group, return_zero, NULL);
}

static int spawn_before_open(void *arg)
{
    skua_group group = {{0}};
    return skua_group_spawn(&group, return_zero, NULL);
}

/* covers: D57 D66 */
static void a_spawn_into_a_group_that_is_not_open(void **state)
{
    dies(spawn_after_close, "not open");
    dies(spawn_before_open, "not open");
}

static int close_it(void *arg)
{
    return skua_group_close(arg, 0);
}

static int closed_by_stranger(void *arg)
{
    skua_group group = {{0}};
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    return call(close_it, &group);
}

static int closed_by_member(void *arg)
{
    skua_group group = {{0}};
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    add(&group, close_it, &group);
    return skua_group_close(&group, 0);
}

/* covers: A45 D57 */
static void a_group_closed_by_somebody_else(void **state)
{
    dies(closed_by_stranger, "not the innermost open scope");
    dies(closed_by_member, "not the innermost open scope");
}

static int give_up(void *arg)
{
    skua_group_fini(arg);
    return 0;
}

static int given_up_by_stranger(void *arg)
{
    skua_group group = {{0}};
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    return call(give_up, &group);
}

static void a_group_given_up_by_somebody_else(void **state)
{
    dies(given_up_by_stranger, "not the innermost open scope");
}

static int close_out_of_order(void *arg)
{
    skua_group group = {{0}};
    skua_scope scope = {{0}};
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    skua_scope_open(&scope, SKUA_FOREVER);
    return skua_group_close(&group, 0);
}

/* covers: A45 */
static void a_group_closed_with_a_scope_inside(void **state)
{
    dies(close_out_of_order, "not the innermost open scope");
}

static int end_with_open_group(void *arg)
{
    skua_group *group = calloc(1, sizeof *group);
    skua_group_open(group, SKUA_FAIL_FAST, SKUA_FOREVER);
    add(group, return_zero, NULL);
    return 0;
}

/* covers: A45 D57 */
static void a_task_that_ends_with_an_open_group(void **state)
{
    dies(end_with_open_group, "open scope");
}

static int cancel_closed(void *arg)
{
    skua_group group = {{0}};
    skua_group_cancel(&group);
    return 0;
}

/* covers: A45 D57 */
static void a_cancel_of_a_group_that_is_not_open(void **state)
{
    dies(cancel_closed, "not open");
}

static void open_outside(void *arg)
{
    skua_group group = {{0}};
    skua__process_is_origin();
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
}

/* covers: A45 */
static void a_group_outside_of_a_task(void **state)
{
    test_dies(open_outside, NULL, "outside of a task");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_group_closed_twice),
        TEST(a_group_closed_that_was_never_opened),
        TEST(a_group_opened_twice),
        TEST(a_spawn_into_a_group_that_is_not_open),
        TEST(a_group_closed_by_somebody_else),
        TEST(a_group_given_up_by_somebody_else),
        TEST(a_group_closed_with_a_scope_inside),
        TEST(a_task_that_ends_with_an_open_group),
        TEST(a_cancel_of_a_group_that_is_not_open),
        TEST(a_group_outside_of_a_task),
    };
    return TEST_RUN(tests);
}
