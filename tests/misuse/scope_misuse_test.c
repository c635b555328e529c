/* Misuse of scopes that are moved, stopped or cancelled for a reason, and of deferred calls, dies
   with a message. */
#include "tasks.h"

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

static int move_closed(void *arg)
{
    skua_scope scope = {{0}};
    skua_scope_open(&scope, SKUA_FOREVER);
    int status = skua_scope_close(&scope, 0);
    skua_scope_deadline(&scope, SKUA_FOREVER);
    return status;
}

static int stop_closed(void *arg)
{
    skua_scope scope = {{0}};
    skua_scope_stop(&scope, SKUA_FOREVER);
    return 0;
}

/* covers: A45 */
static void a_closed_scope_that_is_moved_or_stopped(void **state)
{
    dies(move_closed, "deadline is moved of a scope that is not open");
    dies(stop_closed, "stopped that is not open");
}

static int stop_shield(void *arg)
{
    skua_scope scope = {{0}};
    skua_shield_open(&scope, SKUA_FOREVER);
    skua_scope_stop(&scope, skua_after(SKUA_SEC(1)));
    return 0;
}

static void a_shield_stopped_with_a_moment(void **state)
{
    dies(stop_shield, "a shield is stopped");
}

static int cancel_for_nothing(void *arg)
{
    skua_task_cancel_because(skua_self(), 0);
    return 0;
}

static int cancel_for_success(void *arg)
{
    skua_scope scope = {{0}};
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_scope_cancel_because(&scope, 7);
    return 0;
}

/* covers: A45 */
static void a_reason_that_is_none(void **state)
{
    dies(cancel_for_nothing, "a code < 0, and not 0");
    dies(cancel_for_success, "a code < 0, and not 7");
}

static void open_and_leave(void *arg)
{
    skua_scope *scope = calloc(1, sizeof *scope);
    skua_scope_open(scope, SKUA_FOREVER);
}

static int defer_open(void *arg)
{
    int status = skua_defer(open_and_leave, NULL);
    return status;
}

/* covers: A45 */
static void a_deferred_call_that_leaves_a_scope_open(void **state)
{
    dies(defer_open, "not the innermost");
}

static int return_open(void *arg)
{
    open_and_leave(arg);
    return 0;
}

static int shield_open(void *arg)
{
    return skua_shielded(SKUA_FOREVER, return_open, NULL);
}

static int move_on_open(void *arg)
{
    return skua_move_on(SKUA_FOREVER, return_open, NULL);
}

/* covers: A45 */
static void a_function_that_leaves_a_scope_open(void **state)
{
    dies(shield_open, "not the innermost");
    dies(move_on_open, "not the innermost");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_closed_scope_that_is_moved_or_stopped),
        TEST(a_shield_stopped_with_a_moment),
        TEST(a_reason_that_is_none),
        TEST(a_deferred_call_that_leaves_a_scope_open),
        TEST(a_function_that_leaves_a_scope_open),
    };
    return TEST_RUN(tests);
}
