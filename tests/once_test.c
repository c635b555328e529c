/* Once: one does it, the others wait for it; a failure, or a cancel, lets the next one try. */
#include "sync_help.h"

#include <skua/meet.h>

static skua_once once;
static gate runs, may_end;
static int result;

static void begin(void)
{
    once = (skua_once){{0}};
    atomic_store(&runs, 0);
    atomic_store(&may_end, 0);
    result = 7;
}

/* Counts itself, and waits until it may end, or is cancelled. */
static int do_it(void *arg)
{
    atomic_fetch_add(&runs, 1);
    while (!atomic_load(&may_end)) {
        int status = skua_yield();
        if (status < 0) {
            return status;
        }
    }
    return arg != NULL ? *(int *)arg : result;
}

static int run_once(void *arg, size_t number, skua_time deadline)
{
    (void)number;
    return skua_once_run(arg, do_it, NULL, deadline);
}

enum { CROWD = 20 };

static int crowd_body(void *arg)
{
    caller callers[CROWD];
    begin();
    CHECK(!skua_once_is_done(&once));
    for (int i = 0; i < CROWD; i++) {
        callers[i] = (caller){.wait = run_once, .object = &once};
        start(&callers[i]);
    }
    await_waiting(&once, CROWD - 1);
    CHECK_INT(skua_once_run(&once, do_it, NULL, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_once_run(&once, do_it, NULL, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    atomic_store(&may_end, 1);
    for (int i = 0; i < CROWD; i++) {
        CHECK_INT(finish_caller(&callers[i]), 7);
    }
    CHECK_INT(atomic_load(&runs), 1);
    CHECK(skua_once_is_done(&once));
    CHECK_INT(skua_once_run(&once, do_it, NULL, SKUA_NOW), 7);
    CHECK_INT(atomic_load(&runs), 1);
    return 0;
}

/* covers: B28 */
static void one_runs_and_all_have_it(void **state)
{
    run_on_1_2_4(crowd_body);
}

static int fail_body(void *arg)
{
    caller first = {.wait = run_once, .object = &once}, second = first, third = first;
    begin();
    result = -EIO;
    start(&first);
    await(&runs, 1);
    start_waiting(&second);
    start_waiting(&third);
    atomic_store(&may_end, 1);
    CHECK_INT(finish_caller(&first), -EIO);
    CHECK_INT(finish_caller(&second), -EIO); /* each has tried itself */
    CHECK_INT(finish_caller(&third), -EIO);
    CHECK_INT(atomic_load(&runs), 3);
    CHECK(!skua_once_is_done(&once));
    result = 0;
    CHECK_INT(skua_once_run(&once, do_it, NULL, SKUA_FOREVER), 0);
    CHECK(skua_once_is_done(&once));
    return 0;
}

/* covers: B28 */
static void a_failure_lets_the_next_one_try(void **state)
{
    run_on_1_2_4(fail_body);
}

static int cancel_body(void *arg)
{
    caller runner = {.wait = run_once, .object = &once}, gone = runner, next = runner;
    begin();
    start(&runner);
    await(&runs, 1);
    start_waiting(&gone);
    start_waiting(&next);
    CHECK_INT(cancel_and_finish(&gone), -ECANCELED);
    CHECK_INT(cancel_and_finish(&runner), -ECANCELED);
    await(&runs, 2); /* the one that is left */
    atomic_store(&may_end, 1);
    CHECK_INT(finish_caller(&next), 7);
    CHECK_INT(atomic_load(&runs), 2);
    return 0;
}

/* covers: B28 */
static void a_cancelled_runner_hands_over(void **state)
{
    run_on_1_2_4(cancel_body);
}

/* The runner ends while the one whose turn comes is cancelled. */
static int race_body(void *arg)
{
    for (int i = 0; i < 100 / TEST_SCALE; i++) {
        caller runner = {.wait = run_once, .object = &once}, gone = runner, next = runner;
        begin();
        start(&runner);
        await(&runs, 1);
        start_waiting(&gone);
        start_waiting(&next);
        skua_task_cancel(runner.task);
        skua_task_cancel(gone.task);
        CHECK_INT(finish_caller(&gone), -ECANCELED);
        CHECK_INT(finish_caller(&runner), -ECANCELED);
        atomic_store(&may_end, 1);
        CHECK_INT(finish_caller(&next), 7);
    }
    return 0;
}

static void a_turn_is_not_lost_to_a_cancelled_waiter(void **state)
{
    run_on_1_2_4(race_body);
}

static int cancelled_scope_body(void *arg)
{
    begin();
    atomic_store(&may_end, 1);
    CHECK_INT(skua_once_run(&once, do_it, NULL, SKUA_FOREVER), 7);
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_scope_cancel(&scope);
    CHECK_INT(skua_once_run(&once, do_it, NULL, SKUA_FOREVER), -ECANCELED);
    return skua_scope_close(&scope, 0);
}

static void a_cancel_is_looked_at_first(void **state)
{
    run_on_1_2_4(cancelled_scope_body);
}

static int threads_body(void *arg)
{
    pthread_t thread;
    caller outside = {.wait = run_once, .object = &once}, inside = outside;
    begin();
    CHECK_INT(pthread_create(&thread, NULL, thread_of_caller, &outside), 0);
    await(&runs, 1);
    start_waiting(&inside);
    atomic_store(&may_end, 1);
    CHECK_INT(finish_caller(&inside), 7);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(outside.status, 7);
    CHECK_INT(atomic_load(&runs), 1);
    return 0;
}

static void threads_take_part(void **state)
{
    run_on_1_2_4(threads_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_runs_and_all_have_it),      TEST(a_failure_lets_the_next_one_try),
        TEST(a_cancelled_runner_hands_over), TEST(a_turn_is_not_lost_to_a_cancelled_waiter),
        TEST(a_cancel_is_looked_at_first),   TEST(threads_take_part),
    };
    return TEST_RUN(tests);
}
