/* Scopes: deadlines, cancels, shields, and how they meet. */
#include "tasks.h"

#include <pthread.h>

/* --- deadlines ---------------------------------------------------------------------------------
   */

static int sleep_100_s(void *arg)
{
    return skua_sleep(skua_after(SKUA_SEC(100)));
}

static int return_arg(void *arg)
{
    return *(int *)arg;
}

static int within_body(void *arg)
{
    int code = 17;
    CHECK_INT(skua_within(skua_after(SKUA_SEC(100)), return_arg, &code), 17);
    CHECK_INT(skua_within(SKUA_FOREVER, return_arg, &code), 17);
    code = -EIO; /* another error passes, before and after the deadline */
    CHECK_INT(skua_within(skua_after(SKUA_SEC(100)), return_arg, &code), -EIO);
    CHECK_INT(skua_within(skua_after(0), return_arg, &code), -EIO);
    code = -ECANCELED; /* its own idea: no deadline has fired */
    CHECK_INT(skua_within(skua_after(SKUA_SEC(100)), return_arg, &code), -ECANCELED);
    const skua_time start = skua_clock();
    CHECK_INT(skua_within(skua_after(SKUA_MS(10)), sleep_100_s, NULL), -ETIMEDOUT);
    CHECK(skua_elapsed_ns(start) >= SKUA_MS(10));
    CHECK(skua_elapsed_ns(start) < SKUA_SEC(100));
    CHECK_INT(skua_within(skua_after(0), sleep_100_s, NULL), -ETIMEDOUT);
    CHECK_INT(skua_within(SKUA_NOW, sleep_100_s, NULL), -ETIMEDOUT);
    CHECK(!skua_cancelled());
    CHECK_INT(skua_sleep(skua_after(SKUA_US(100))), 0); /* nothing is left of it */
    return 0;
}

/* covers: A38 D59 D60 */
static void within_maps_only_its_own_deadline(void **state)
{
    run_on_1_2_4(within_body);
}

/* The callee's clean-up comes first. */
static int clean_up_slowly(void *arg)
{
    int status = skua_sleep(SKUA_FOREVER);
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, SKUA_FOREVER);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(20))), 0);
    *(int *)arg = 1;
    return status;
}

static int cleanup_body(void *arg)
{
    int cleaned = 0;
    CHECK_INT(skua_within(skua_after(SKUA_MS(5)), clean_up_slowly, &cleaned), -ETIMEDOUT);
    CHECK_INT(cleaned, 1);
    return 0;
}

/* covers: A38 D62 */
static void within_waits_for_the_cleanup(void **state)
{
    run_on_1_2_4(cleanup_body);
}

static int inner_fires(void *arg)
{
    CHECK_INT(skua_within(skua_after(SKUA_MS(5)), sleep_100_s, NULL), -ETIMEDOUT);
    CHECK(!skua_cancelled());
    return skua_sleep(skua_after(SKUA_MS(1)));
}

static int outer_fires(void *arg)
{
    CHECK_INT(skua_within(skua_after(SKUA_SEC(50)), sleep_100_s, NULL), -ECANCELED);
    CHECK(skua_cancelled());
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    return -ECANCELED;
}

static int same_moment(void *arg)
{
    int inner = skua_within(*(skua_time *)arg, sleep_100_s, NULL);
    CHECK_INT(inner, -ECANCELED);
    return inner;
}

static int nested_body(void *arg)
{
    CHECK_INT(skua_within(skua_after(SKUA_SEC(50)), inner_fires, NULL), 0);
    CHECK_INT(skua_within(skua_after(SKUA_MS(5)), outer_fires, NULL), -ETIMEDOUT);
    skua_time moment = skua_after(SKUA_MS(3));
    CHECK_INT(skua_within(moment, same_moment, &moment), -ETIMEDOUT);
    moment = skua_after(0);
    CHECK_INT(skua_within(moment, same_moment, &moment), -ETIMEDOUT);
    return 0;
}

/* covers: A39 */
static void of_nested_deadlines_the_earliest_holds(void **state)
{
    run_on_1_2_4(nested_body);
}

static int expired_body(void *arg)
{
    SKUA_SCOPE(outer);
    skua_scope_open(&outer, skua_after(SKUA_MS(2)));
    SKUA_SCOPE(inner);
    skua_scope_open(&inner, skua_after(SKUA_SEC(50)));
    int status = skua_sleep(SKUA_FOREVER);
    CHECK_INT(status, -ECANCELED);
    CHECK(skua_scope_expired(&outer));
    CHECK(!skua_scope_expired(&inner));
    status = skua_scope_close(&inner, status);
    CHECK_INT(status, -ECANCELED);
    CHECK_INT(skua_scope_close(&outer, status), -ETIMEDOUT);
    return 0;
}

/* covers: A39 */
static void expired_speaks_of_the_own_deadline(void **state)
{
    run_on(2, expired_body);
}

static int yield_until_cancelled(void *arg)
{
    int status;
    do {
        status = skua_yield();
    } while (status == 0);
    return status;
}

static int checkpoint_until_cancelled(void *arg)
{
    int status;
    do {
        status = skua_checkpoint();
    } while (status == 0);
    return status;
}

static int join_done_until_cancelled(void *arg)
{
    int status;
    do {
        status = skua_join(arg, NULL, SKUA_FOREVER);
    } while (status == 0);
    return status;
}

static int busy_body(void *arg)
{
    skua_task *done = spawn(return_zero, NULL);
    CHECK_INT(status_of(done), 0);
    CHECK_INT(skua_within(skua_after(SKUA_MS(5)), checkpoint_until_cancelled, NULL), -ETIMEDOUT);
    CHECK_INT(skua_within(skua_after(SKUA_MS(5)), join_done_until_cancelled, done), -ETIMEDOUT);
    skua_task_release(done);
    return 0;
}

/* covers: A39 */
static void a_deadline_reaches_who_never_waits(void **state)
{
    run_on_1_2_4(busy_body);
}

static int yielder_body(void *arg)
{
    CHECK_INT(skua_within(skua_after(SKUA_MS(5)), yield_until_cancelled, NULL), -ETIMEDOUT);
    return 0;
}

static void a_deadline_reaches_who_only_yields(void **state)
{
    run_on_1_2_4(yielder_body);
}

/* --- cancels -----------------------------------------------------------------------------------
   */

static int within_for_long(void *arg)
{
    atomic_fetch_add((gate *)arg, 1);
    int status = skua_within(skua_after(SKUA_SEC(50)), sleep_100_s, NULL);
    CHECK_INT(status, -ECANCELED);
    return status;
}

static int task_cancel_body(void *arg)
{
    gate started = 0;
    skua_task *task = spawn(within_for_long, &started);
    await(&started, 1);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    return 0;
}

/* covers: A31 D61 */
static void a_task_cancel_inside_within_stays_a_cancel(void **state)
{
    run_on_1_2_4(task_cancel_body);
}

static int cancel_scope(void *arg)
{
    skua_scope_cancel(arg);
    return 0;
}

static int scope_cancel_body(void *arg)
{
    for (int i = 0; i < 200; i++) {
        SKUA_SCOPE(scope);
        skua_scope_open(&scope, i % 2 ? SKUA_FOREVER : skua_after(SKUA_SEC(50)));
        skua_task *canceller = spawn(cancel_scope, &scope);
        int status = skua_sleep(SKUA_FOREVER);
        CHECK_INT(status, -ECANCELED);
        CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
        SKUA_SCOPE(shield);
        skua_shield_open(&shield, SKUA_FOREVER);
        CHECK_INT(finish(canceller), 0);
        CHECK_INT(skua_scope_close(&shield, 0), 0);
        CHECK_INT(skua_scope_close(&scope, status), 0);
        CHECK(!skua_cancelled());
    }
    return 0;
}

/* covers: A37 */
static void cancel_of_a_scope_ends_at_that_scope(void **state)
{
    run_on_1_2_4(scope_cancel_body);
}

static int yield_in_scope(void *arg)
{
    _Atomic(skua_scope *) *place = arg;
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    atomic_store(place, &scope);
    int status = yield_until_cancelled(NULL);
    return skua_scope_close(&scope, status);
}

typedef struct scope_box {
    _Atomic(skua_scope *) place;
    gate stop;
} scope_box;

static void *cancel_published_scopes(void *arg)
{
    scope_box *box = arg;
    while (atomic_load(&box->stop) == 0) {
        skua_scope *scope = atomic_exchange(&box->place, NULL);
        if (scope != NULL) {
            skua_scope_cancel(scope);
        } else {
            sched_yield();
        }
    }
    return NULL;
}

/* The scope may be left as soon as the cancel can be seen: the canceller is then still in its call,
   and must neither touch the frame nor end a wait outside of the scope. */
static int leave_at_once_body(void *arg)
{
    scope_box box = {.stop = 0};
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, cancel_published_scopes, &box), 0);
    for (int i = 0; i < 300 / TEST_SCALE; i++) {
        CHECK_INT(yield_in_scope(&box.place), 0);
        CHECK(!skua_cancelled());
        CHECK_INT(skua_sleep(skua_after(SKUA_US(50))), 0);
    }
    atomic_store(&box.stop, 1);
    CHECK_INT(pthread_join(thread, NULL), 0);
    return 0;
}

static void a_scope_may_be_left_while_it_is_being_cancelled(void **state)
{
    run_on_1_2_4(leave_at_once_body);
}

static int cancelled_scope_and_task(void *arg)
{
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_scope_cancel(&scope);
    skua_task_cancel(skua_self());
    int status = skua_sleep(SKUA_FOREVER);
    CHECK_INT(skua_scope_close(&scope, status), -ECANCELED); /* an outer one is cancelled too */
    return status;
}

static int both_body(void *arg)
{
    CHECK_INT(call(cancelled_scope_and_task, NULL), -ECANCELED);
    return 0;
}

/* covers: A37 B24 */
static void an_outer_cancel_wins(void **state)
{
    run_on(2, both_body);
}

static int open_inside_cancelled(void *arg)
{
    skua_task_cancel(skua_self());
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    CHECK_INT(skua_scope_close(&scope, -ECANCELED), -ECANCELED);
    return 0;
}

static int inherit_body(void *arg)
{
    return call(open_inside_cancelled, NULL);
}

/* covers: B24 */
static void a_scope_inherits_the_cancel_around_it(void **state)
{
    run_on(2, inherit_body);
}

static int deep(int levels)
{
    if (levels == 0) {
        return skua_sleep(SKUA_FOREVER);
    }
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    return skua_scope_close(&scope, deep(levels - 1));
}

static int go_deep(void *arg)
{
    return deep(50);
}

static int deep_body(void *arg)
{
    skua_task *task = spawn(go_deep, NULL);
    CHECK_INT(skua_sleep(skua_after(SKUA_US(200))), 0);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    return 0;
}

/* covers: B10 B24 D68 */
static void a_cancel_reaches_the_innermost_of_many_scopes(void **state)
{
    run_on_1_2_4(deep_body);
}

/* --- shields -----------------------------------------------------------------------------------
   */

typedef struct shield_case {
    gate inside, go_on;
    int64_t grace_ns; /* 0: for ever */
    int64_t sleep_ns; /* how long the wait inside would be */
    int64_t ended_ns; /* when the wait inside ended, after the start */
    int inner;        /* its status */
    skua_time start;
} shield_case;

static int wait_in_shield(void *arg)
{
    shield_case *one = arg;
    SKUA_SCOPE(shield);
    one->start = skua_clock();
    skua_shield_open(&shield, one->grace_ns ? skua_after(one->grace_ns) : SKUA_FOREVER);
    atomic_store(&one->inside, 1);
    one->inner = skua_sleep(skua_after(one->sleep_ns));
    one->ended_ns = skua_elapsed_ns(one->start);
    int status = skua_scope_close(&shield, one->inner);
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    return status;
}

static int shield_body(void *arg)
{
    shield_case for_ever = {.sleep_ns = SKUA_MS(60)};
    shield_case short_one = {.grace_ns = SKUA_MS(20), .sleep_ns = SKUA_SEC(1000)};
    skua_task *task = spawn(wait_in_shield, &for_ever);
    await(&for_ever.inside, 1);
    skua_task_cancel(task);
    CHECK_INT(finish(task), 0);
    CHECK_INT(for_ever.inner, 0);
    CHECK(for_ever.ended_ns >= SKUA_MS(60));

    task = spawn(wait_in_shield, &short_one);
    await(&short_one.inside, 1);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    CHECK_INT(short_one.inner, -ECANCELED);
    CHECK(short_one.ended_ns >= SKUA_MS(20));
    return 0;
}

/* covers: A36 B10 */
static void a_shield_holds_until_its_grace_is_over(void **state)
{
    run_on_1_2_4(shield_body);
}

/* The cancel comes after the grace, into a wait that has begun inside. */
static int late_cancel_body(void *arg)
{
    shield_case one = {.grace_ns = SKUA_MS(5), .sleep_ns = SKUA_SEC(1000)};
    skua_task *task = spawn(wait_in_shield, &one);
    await(&one.inside, 1);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(10))), 0);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    CHECK_INT(one.inner, -ECANCELED);
    CHECK(one.ended_ns >= SKUA_MS(10));
    return 0;
}

static void a_cancel_after_the_grace_goes_through(void **state)
{
    run_on_1_2_4(late_cancel_body);
}

static int sleep_shielded(void *arg)
{
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, SKUA_FOREVER);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(20))), 0);
    CHECK(!skua_cancelled());
    CHECK_INT(skua_within(skua_after(SKUA_MS(2)), sleep_100_s, NULL), -ETIMEDOUT);
    int status = skua_scope_close(&shield, 0);
    CHECK_INT(status, 0);
    return skua_sleep(SKUA_FOREVER);
}

static int outer_deadline_body(void *arg)
{
    const skua_time start = skua_clock();
    CHECK_INT(skua_within(skua_after(SKUA_MS(5)), sleep_shielded, NULL), -ETIMEDOUT);
    CHECK(skua_elapsed_ns(start) >= SKUA_MS(20));
    return 0;
}

static void a_shield_stops_outer_deadlines_too(void **state)
{
    run_on_1_2_4(outer_deadline_body);
}

static int sleep_with_grace(void *arg)
{
    const skua_time start = skua_clock();
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, skua_after(SKUA_MS(15)));
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    CHECK(skua_elapsed_ns(start) >= SKUA_MS(15));
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    return skua_scope_close(&shield, -ECANCELED);
}

static int grace_and_deadline_body(void *arg)
{
    CHECK_INT(skua_within(skua_after(SKUA_MS(5)), sleep_with_grace, NULL), -ETIMEDOUT);
    return 0;
}

static void an_outer_deadline_comes_in_when_the_grace_is_over(void **state)
{
    run_on_1_2_4(grace_and_deadline_body);
}

static int yield_with_grace(void *arg)
{
    SKUA_SCOPE(shield);
    const skua_time end = skua_after(SKUA_MS(5));
    skua_task_cancel(skua_self());
    skua_shield_open(&shield, end);
    CHECK(!skua_cancelled() || skua_clock().ns >= end.ns);
    int status = checkpoint_until_cancelled(NULL);
    CHECK(skua_cancelled());
    return skua_scope_close(&shield, status);
}

static int busy_shield_body(void *arg)
{
    CHECK_INT(call(yield_with_grace, NULL), -ECANCELED);
    return 0;
}

static void a_grace_reaches_who_never_waits(void **state)
{
    run_on_1_2_4(busy_shield_body);
}

/* A timed-out wait for a task leaves the task running; its result is there later. */
static int wait_and_give_7(void *arg)
{
    await(arg, 1);
    return 7;
}

static int join_arg(void *arg)
{
    return skua_join(arg, NULL, SKUA_FOREVER);
}

static int join_within_body(void *arg)
{
    gate open = 0;
    skua_task *task = spawn(wait_and_give_7, &open);
    CHECK_INT(skua_within(skua_after(SKUA_MS(2)), join_arg, task), -ETIMEDOUT);
    CHECK_INT(skua_task_state(task), SKUA_RUNNING);
    atomic_store(&open, 1);
    CHECK_INT(finish(task), 7);
    return 0;
}

/* covers: A36 D63 */
static void a_timed_out_join_leaves_the_task_running(void **state)
{
    run_on_1_2_4(join_within_body);
}

/* --- storage -----------------------------------------------------------------------------------
   */

static int leave_early(int how)
{
    for (int i = 0; i < 2; i++) {
        SKUA_SCOPE(scope);
        skua_scope_open(&scope, skua_after(SKUA_SEC(50)));
        SKUA_SCOPE(inner);
        skua_scope_open(&inner, SKUA_FOREVER);
        if (how == 0) {
            return 1;
        }
        if (how == 1) {
            break;
        }
        if (how == 2) {
            goto out;
        }
    }
out:
    return 2;
}

static int early_body(void *arg)
{
    CHECK_INT(leave_early(0), 1);
    CHECK_INT(leave_early(1), 2);
    CHECK_INT(leave_early(2), 2);
    CHECK_INT(leave_early(3), 2);
    SKUA_SCOPE(unused);
    return skua_sleep(skua_after(SKUA_US(10)));
}

static void a_declared_scope_closes_itself(void **state)
{
    run_on(2, early_body);
}

static int reuse_body(void *arg)
{
    skua_scope scope = {{0}};
    for (int i = 0; i < 10000; i++) {
        skua_scope_open(&scope, i % 3 ? SKUA_FOREVER : skua_after(SKUA_SEC(1)));
        CHECK_INT(skua_scope_close(&scope, i), i);
    }
    return 0;
}

static void storage_can_be_used_again(void **state)
{
    run_on(1, reuse_body);
}

/* --- races -------------------------------------------------------------------------------------
   */

static int nest_at_random(void *arg)
{
    uint64_t random = test_seed() + (uintptr_t)arg;
    for (;;) {
        SKUA_SCOPE(outer);
        SKUA_SCOPE(middle);
        SKUA_SCOPE(inner);
        skua_scope_open(&outer, skua_after((int64_t)(test_random(&random) % 300000)));
        if (test_random(&random) % 2) {
            skua_shield_open(&middle, skua_after((int64_t)(test_random(&random) % 300000)));
        } else {
            skua_scope_open(&middle, SKUA_FOREVER);
        }
        skua_scope_open(&inner, skua_after((int64_t)(test_random(&random) % 300000)));
        int status = skua_sleep(skua_after((int64_t)(test_random(&random) % 300000)));
        CHECK(status == 0 || status == -ECANCELED);
        int closed = skua_scope_close(&inner, status);
        CHECK(closed == status || (status == -ECANCELED && closed == -ETIMEDOUT));
        closed = skua_scope_close(&middle, closed);
        closed = skua_scope_close(&outer, closed);
        CHECK(closed == 0 || closed == -ECANCELED || closed == -ETIMEDOUT);
        if (skua_sleep(skua_after(1000)) == -ECANCELED) {
            return 0;
        }
    }
}

static int race_body(void *arg)
{
    for (int round = 0; round < 300 / TEST_SCALE; round++) {
        skua_task *tasks[20];
        uint64_t random = test_seed() + (unsigned)round;
        for (int i = 0; i < 20; i++) {
            tasks[i] = spawn(nest_at_random, (void *)(uintptr_t)(round * 20 + i));
        }
        CHECK_INT(skua_sleep(skua_after((int64_t)(test_random(&random) % 1000000))), 0);
        for (int i = 0; i < 20; i++) {
            skua_task_cancel(tasks[i]);
        }
        for (int i = 0; i < 20; i++) {
            CHECK_INT(finish(tasks[i]), 0);
        }
    }
    return 0;
}

static void cancels_deadlines_and_shields_race(void **state)
{
    run_on_1_2_4(race_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(within_maps_only_its_own_deadline),
        TEST(within_waits_for_the_cleanup),
        TEST(of_nested_deadlines_the_earliest_holds),
        TEST(expired_speaks_of_the_own_deadline),
        TEST(a_deadline_reaches_who_never_waits),
        TEST(a_task_cancel_inside_within_stays_a_cancel),
        TEST(cancel_of_a_scope_ends_at_that_scope),
        TEST(an_outer_cancel_wins),
        TEST(a_scope_inherits_the_cancel_around_it),
        TEST(a_cancel_reaches_the_innermost_of_many_scopes),
        TEST(a_shield_holds_until_its_grace_is_over),
        TEST(a_cancel_after_the_grace_goes_through),
        TEST(a_shield_stops_outer_deadlines_too),
        TEST(an_outer_deadline_comes_in_when_the_grace_is_over),
        TEST(a_grace_reaches_who_never_waits),
        TEST(a_timed_out_join_leaves_the_task_running),
        TEST(a_declared_scope_closes_itself),
        TEST(storage_can_be_used_again),
        TEST(cancels_deadlines_and_shields_race),
        TEST(a_deadline_reaches_who_only_yields),
        TEST(a_scope_may_be_left_while_it_is_being_cancelled),
    };
    return TEST_RUN(tests);
}
