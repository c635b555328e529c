/* Waiting for one and for many, at exact moments of the virtual clock. */
#include "virtual_runs.h"

/* --- one and several -------------------------------------------------------------------------- */

static int one_after_the_other(void *arg)
{
    nap naps[3] = {{.ms = 1000}, {.ms = 1000}, {.ms = 1000}};
    skua_task *tasks[3];
    skua_time start = skua_clock();
    for (int i = 0; i < 3; i++) {
        CHECK_INT(take_nap(&naps[i]), 0);
    }
    CHECK_INT(ms_since(start), 3000);

    start = skua_clock();
    start_naps(tasks, naps, 3);
    CHECK_INT(skua_gather(tasks, 3, NULL, SKUA_FOREVER), 0);
    CHECK_INT(ms_since(start), 1000);
    skua_task_release_all(tasks, 3);
    return 0;
}

/* covers: A8 A9 */
static void three_seconds_in_sequence_are_one_at_once(void **state)
{
    run_virtually_on_1_2_4(one_after_the_other);
}

static int background_body(void *arg)
{
    enum { A, B, C, COUNT };
    nap naps[COUNT] = {{2000, 'A', {0}}, {1000, 'B', {0}}, {1500, 'C', {0}}};
    skua_task *tasks[COUNT];
    const skua_time start = skua_clock();
    start_naps(tasks, naps, COUNT);
    CHECK_INT(status_of(tasks[A]), 'A');
    CHECK_INT(ms_since(start), 2000);
    CHECK_INT(status_of(tasks[B]), 'B');
    CHECK_INT(status_of(tasks[C]), 'C');
    CHECK_INT(ms_since(start), 2000); /* they had ended meanwhile */
    CHECK(naps[B].ended_at.ns < naps[C].ended_at.ns && naps[C].ended_at.ns < naps[A].ended_at.ns);
    skua_task_release_all(tasks, COUNT);
    return 0;
}

/* covers: A10 A11 */
static void tasks_go_on_while_another_is_joined(void **state)
{
    run_virtually_on_1_2_4(background_body);
}

/* --- gather ----------------------------------------------------------------------------------- */

static int order_body(void *arg)
{
    nap naps[3] = {{30, 2, {0}}, {10, 4, {0}}, {20, 6, {0}}};
    skua_task *tasks[3];
    int statuses[3];
    const skua_time start = skua_clock();
    start_naps(tasks, naps, 3);
    CHECK_INT(skua_gather(tasks, 3, statuses, skua_after(SKUA_MS(29))), -ETIMEDOUT);
    CHECK_INT(statuses[0], -EINPROGRESS);
    CHECK_INT(skua_gather(tasks, 3, statuses, SKUA_FOREVER), 0);
    CHECK_INT(ms_since(start), 30);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(statuses[i], 2 * (i + 1));
    }
    skua_task_release_all(tasks, 3);
    return 0;
}

/* covers: A19 D36 */
static void results_are_in_order_and_not_complete_before_the_last(void **state)
{
    run_virtually_on_1_2_4(order_body);
}

static int failures_body(void *arg)
{
    nap naps[4] = {{30, 1, {0}}, {10, -EIO, {0}}, {20, -EPROTO, {0}}, {40, 4, {0}}};
    skua_task *tasks[4];
    int statuses[4];
    const skua_time start = skua_clock();
    start_naps(tasks, naps, 4);
    CHECK_INT(skua_gather(tasks, 4, NULL, SKUA_FOREVER), -EIO);
    CHECK_INT(ms_since(start), 10); /* with the first failure; the siblings go on */
    skua_task_cancel(tasks[0]);
    CHECK_INT(skua_gather(tasks, 4, statuses, SKUA_FOREVER), 0);
    CHECK_INT(ms_since(start), 40);
    CHECK_INT(statuses[0], -ECANCELED);
    CHECK_INT(statuses[1], -EIO);
    CHECK_INT(statuses[2], -EPROTO);
    CHECK_INT(statuses[3], 4);
    skua_task_release_all(tasks, 4);
    return 0;
}

/* covers: A21 A22 A35 D37 D38 */
static void the_first_failure_comes_at_once_and_all_in_the_end(void **state)
{
    run_virtually_on_1_2_4(failures_body);
}

/* --- wait ------------------------------------------------------------------------------------- */

static int first_done_body(void *arg)
{
    nap naps[2] = {{10000, 1, {0}}, {100, 2, {0}}};
    skua_task *tasks[2];
    bool done[2];
    const skua_time start = skua_clock();
    start_naps(tasks, naps, 2);
    CHECK_INT(skua_wait(tasks, 2, SKUA_FIRST_DONE, done, SKUA_FOREVER), 1);
    CHECK_INT(ms_since(start), 100);
    CHECK(!done[0] && done[1]);
    CHECK_INT(skua_task_state(tasks[0]), SKUA_RUNNING);
    CHECK_INT(skua_wait(tasks, 2, SKUA_ALL, done, skua_after(SKUA_MS(10))), 1);
    CHECK_INT(ms_since(start), 110);
    CHECK(!done[0] && done[1]);
    CHECK_INT(status_of(tasks[0]), 1); /* it was left alone */
    CHECK_INT(ms_since(start), 10000);
    skua_task_release_all(tasks, 2);
    return 0;
}

/* covers: A23 D40 D41 */
static void the_fast_one_is_done_and_the_slow_one_goes_on(void **state)
{
    run_virtually_on_1_2_4(first_done_body);
}

static int first_failed_body(void *arg)
{
    nap naps[3] = {{10, 1, {0}}, {20, -EIO, {0}}, {10000, 3, {0}}};
    skua_task *tasks[3];
    bool done[3];
    const skua_time start = skua_clock();
    start_naps(tasks, naps, 3);
    CHECK_INT(skua_wait(tasks, 3, SKUA_FIRST_FAILED, done, SKUA_FOREVER), 2);
    CHECK_INT(ms_since(start), 20);
    CHECK(done[0] && done[1] && !done[2]);
    CHECK_INT(skua_wait(tasks, 3, SKUA_FIRST_FAILED, done, SKUA_FOREVER), 2); /* it had before */
    CHECK_INT(ms_since(start), 20);
    skua_task_cancel(tasks[2]);
    CHECK_INT(status_of(tasks[1]), -EIO);
    CHECK_INT(status_of(tasks[2]), -ECANCELED);
    skua_task_release_all(tasks, 3);
    return 0;
}

/* covers: D42 */
static void a_failure_ends_the_wait_whether_before_or_during_it(void **state)
{
    run_virtually_on_1_2_4(first_failed_body);
}

static int one_two_three_body(void *arg)
{
    nap naps[3] = {{1000, 1, {0}}, {2000, 2, {0}}, {3000, 3, {0}}};
    skua_task *tasks[3];
    bool done[3];
    const skua_time start = skua_clock();
    start_naps(tasks, naps, 3);
    CHECK_INT(skua_wait(tasks, 3, SKUA_FIRST_DONE, done, SKUA_FOREVER), 1);
    CHECK(done[0] && !done[1] && !done[2]);
    skua_task_cancel_all(&tasks[1], 2);
    for (int i = 1; i < 3; i++) {
        CHECK_INT(status_of(tasks[i]), -ECANCELED);
    }
    CHECK_INT(ms_since(start), 1000);
    skua_task_release_all(tasks, 3);
    return 0;
}

/* covers: A23 A25 */
static void the_pending_ones_are_cancelled_in_one_call(void **state)
{
    run_virtually_on_1_2_4(one_two_three_body);
}

/* --- as completed ----------------------------------------------------------------------------- */

static int as_completed_body(void *arg)
{
    nap naps[3] = {{1000, 1, {0}}, {100, 2, {0}}, {500, 3, {0}}};
    skua_task *tasks[3], *which;
    skua_as_completed *completed;
    size_t index;
    const skua_time start = skua_clock(), deadline = skua_after(SKUA_MS(120));
    start_naps(tasks, naps, 3);
    CHECK_INT(skua_as_completed_create(&completed, tasks, 3), 0);
    CHECK_INT(skua_as_completed_next(completed, &which, &index, deadline), 1);
    CHECK_INT(ms_since(start), 100);
    CHECK_PTR(which, tasks[1]);
    CHECK_INT(index, 1);
    CHECK_INT(skua_as_completed_next(completed, &which, &index, deadline), -ETIMEDOUT);
    CHECK_INT(ms_since(start), 120);
    CHECK_INT(skua_as_completed_next(completed, &which, &index, SKUA_FOREVER), 1);
    CHECK_INT(index, 2);
    CHECK_INT(skua_as_completed_next(completed, &which, &index, SKUA_FOREVER), 1);
    CHECK_INT(index, 0);
    CHECK_INT(skua_as_completed_next(completed, &which, &index, SKUA_FOREVER), 0);
    CHECK_INT(ms_since(start), 1000);
    skua_as_completed_destroy(completed);
    skua_task_release_all(tasks, 3);
    return 0;
}

/* covers: A26 B8 D44 */
static void the_rest_comes_after_the_timeout(void **state)
{
    run_virtually_on_1_2_4(as_completed_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(three_seconds_in_sequence_are_one_at_once),
        TEST(tasks_go_on_while_another_is_joined),
        TEST(results_are_in_order_and_not_complete_before_the_last),
        TEST(the_first_failure_comes_at_once_and_all_in_the_end),
        TEST(the_fast_one_is_done_and_the_slow_one_goes_on),
        TEST(a_failure_ends_the_wait_whether_before_or_during_it),
        TEST(the_pending_ones_are_cancelled_in_one_call),
        TEST(the_rest_comes_after_the_timeout),
    };
    return TEST_RUN(tests);
}
