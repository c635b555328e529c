/* Misuse of tasks, scopes and runtimes dies with a message. The run starts in the forked child,
   which is a process that Skua has not been used in. */
#include "tasks.h"

#include "mem/forked.h"

static int run_fn(skua_fn fn)
{
    skua__process_is_origin(); /* the fork of test_dies() is not the one that a user would make */
    const skua_config config = {.workers = 2};
    return skua_run(&config, fn, NULL);
}

static void run_and_die(void *arg)
{
    int status = run_fn(*(skua_fn *)arg);
    fprintf(stderr, "it lived, with %d\n", status);
}

static void dies(skua_fn fn, const char *text)
{
    test_dies(run_and_die, &fn, text);
}

static int release_too_often(void *arg)
{
    skua_task *task = spawn(return_zero, NULL);
    CHECK_INT(status_of(task), 0);
    CHECK_INT(skua_yield(), 0);
    skua_task_release(task);
    skua_task_release(task);
    skua_task_release(task);
    return 0;
}

/* covers: A45 */
static void a_release_too_many(void **state)
{
    dies(release_too_often, "released more often");
}

static int retain_freed(void *arg)
{
    skua_task *task = spawn(return_zero, NULL);
    CHECK_INT(status_of(task), 0);
    while (skua_yield() == 0 && skua_task_state(task) == SKUA_RUNNING) {}
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(5))), 0); /* its own reference is gone as well */
    skua_task_release(task);
    skua_task_retain(task);
    return 0;
}

/* covers: A45 */
static void a_retain_of_a_freed_task(void **state)
{
    dies(retain_freed, "nobody holds");
}

static int close_out_of_order(void *arg)
{
    skua_scope outer = {{0}}, inner = {{0}};
    skua_scope_open(&outer, SKUA_FOREVER);
    skua_scope_open(&inner, SKUA_FOREVER);
    return skua_scope_close(&outer, 0);
}

/* covers: A45 */
static void a_scope_closed_out_of_order(void **state)
{
    dies(close_out_of_order, "not the innermost");
}

static int close_twice(void *arg)
{
    skua_scope scope = {{0}};
    skua_scope_open(&scope, SKUA_FOREVER);
    int status = skua_scope_close(&scope, 0);
    return skua_scope_close(&scope, status);
}

/* covers: A45 */
static void a_scope_closed_twice(void **state)
{
    dies(close_twice, "not the innermost");
}

static int end_with_open_scope(void *arg)
{
    skua_scope *scope = calloc(1, sizeof *scope);
    skua_scope_open(scope, SKUA_FOREVER);
    return 0;
}

/* covers: A45 */
static void a_task_that_ends_with_an_open_scope(void **state)
{
    dies(end_with_open_scope, "'main'");
    dies(end_with_open_scope, "open scope");
}

static int open_twice(void *arg)
{
    skua_scope scope = {{0}};
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_scope_open(&scope, SKUA_FOREVER);
    return 0;
}

/* covers: A45 */
static void a_scope_opened_twice(void **state)
{
    dies(open_twice, "open already");
}

static int cancel_closed(void *arg)
{
    skua_scope scope = {{0}};
    skua_scope_cancel(&scope);
    return 0;
}

/* covers: A45 */
static void a_cancel_of_a_scope_that_is_not_open(void **state)
{
    dies(cancel_closed, "not open");
}

static void open_outside(void *arg)
{
    skua_scope scope = {{0}};
    skua__process_is_origin();
    skua_scope_open(&scope, SKUA_FOREVER);
}

/* covers: A45 */
static void a_scope_outside_of_a_task(void **state)
{
    test_dies(open_outside, NULL, "outside of a task");
}

static int destroy_own(void *arg)
{
    skua_runtime_destroy(skua_runtime_current());
    return 0;
}

/* covers: A45 */
static void a_runtime_destroyed_by_its_own_task(void **state)
{
    dies(destroy_own, "its own tasks");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_release_too_many),
        TEST(a_retain_of_a_freed_task),
        TEST(a_scope_closed_out_of_order),
        TEST(a_scope_closed_twice),
        TEST(a_task_that_ends_with_an_open_scope),
        TEST(a_scope_opened_twice),
        TEST(a_cancel_of_a_scope_that_is_not_open),
        TEST(a_scope_outside_of_a_task),
        TEST(a_runtime_destroyed_by_its_own_task),
    };
    return TEST_RUN(tests);
}
