/* Tasks: pins, cancels and time. */
#include "tasks.h"

#include <pthread.h>

/* --- pins ------------------------------------------------------------------------------------- */

static int return_cancelled_status(void *arg)
{
    return -ECANCELED;
}

static _Thread_local int mark_of_thread;

static __attribute__((noinline)) int *thread_local_place(void)
{
    __asm__ volatile("" ::: "memory");
    return &mark_of_thread;
}

static int stay_on_thread(void *arg)
{
    const int pin = *(int *)arg;
    const pthread_t thread = pthread_self();
    *thread_local_place() = pin;
    for (int i = 0; i < 200; i++) {
        switch (i % 4) {
        case 0:
            CHECK_INT(skua_sleep(skua_after(SKUA_US(100))), 0);
            break;
        case 1:
            CHECK_INT(call(return_zero, NULL), 0);
            break;
        default:
            CHECK_INT(skua_yield(), 0);
        }
        CHECK(pthread_equal(pthread_self(), thread));
        CHECK_INT(*thread_local_place(), pin);
    }
    return 0;
}

static int churn(void *arg)
{
    while (atomic_load((gate *)arg) == 0) {
        CHECK_INT(call(return_zero, NULL), 0);
        CHECK_INT(skua_yield(), 0);
    }
    return 0;
}

static int pins_body(void *arg)
{
    enum { PINNED = 8, CHURNS = 4 };
    skua_task *pinned[PINNED], *churns[CHURNS];
    gate open = 0;
    const uint32_t workers = skua_worker_count(skua_runtime_current());
    for (int i = 0; i < CHURNS; i++) {
        churns[i] = spawn(churn, &open);
    }
    for (uint32_t i = 0; i < PINNED; i++) {
        int pin = (int)(1 + i % workers); /* what all tasks of one thread agree on */
        const skua_spawn_opts opts = {.pin = i + 1, .arg_bytes = sizeof pin};
        pinned[i] = spawn_with(stay_on_thread, &pin, &opts);
    }
    for (int i = 0; i < PINNED; i++) {
        CHECK_INT(finish(pinned[i]), 0);
    }
    atomic_store(&open, 1);
    for (int i = 0; i < CHURNS; i++) {
        CHECK_INT(finish(churns[i]), 0);
    }
    return 0;
}

/* covers: B30 */
static void a_pinned_task_stays_on_its_thread(void **state)
{
    run_on_1_2_4(pins_body);
}

static int thread_of(void *arg)
{
    *(pthread_t *)arg = pthread_self();
    return 0;
}

static int same_pin_body(void *arg)
{
    pthread_t first, again, other;
    const skua_spawn_opts opts = {.pin = 1}, wrapped = {.pin = 3}, second = {.pin = 2};
    CHECK_INT(finish(spawn_with(thread_of, &first, &opts)), 0);
    CHECK_INT(finish(spawn_with(thread_of, &again, &wrapped)), 0);
    CHECK_INT(finish(spawn_with(thread_of, &other, &second)), 0);
    CHECK(pthread_equal(first, again));
    CHECK(!pthread_equal(first, other));
    return 0;
}

/* covers: B30 */
static void equal_pins_mean_equal_threads(void **state)
{
    run_on(2, same_pin_body);
}

static int open_gate(void *arg)
{
    atomic_fetch_add((gate *)arg, 1);
    return 0;
}

/* On one worker the turns can be counted. */
static int spawn_and_yield(void *arg)
{
    gate open = 0;
    int turns = 0;
    CHECK_INT(skua_spawn(NULL, open_gate, &open, NULL), 0);
    for (; atomic_load(&open) == 0; turns++) {
        CHECK_INT(skua_yield(), 0);
    }
    return turns;
}

/* A stand-in may have taken the other one, if the machine was busy elsewhere just then, and may be
   late itself: one quiet run of many shows it. */
static int pinned_yielder_body(void *arg)
{
    const skua_spawn_opts opts = {.pin = 1};
    int turns = 1000;
    for (int run = 0; run < 50 && turns >= 1000; run++) {
        turns = finish(spawn_with(spawn_and_yield, NULL, &opts));
    }
    CHECK(turns < 1000);
    return 0;
}

static void a_pinned_task_that_yields_lets_others_run(void **state)
{
    run_on(1, pinned_yielder_body);
}

/* --- cancel ----------------------------------------------------------------------------------- */

static int first_blocking_call(void *arg)
{
    atomic_fetch_add((gate *)arg, 1);
    CHECK(skua_cancelled());
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(100))), -ECANCELED);
    return 5;
}

static int cancel_before_start_body(void *arg)
{
    gate started = 0;
    const skua_spawn_opts pin = {.pin = 1};
    skua_task *task = spawn_with(first_blocking_call, &started, &pin);
    CHECK_INT(atomic_load(&started), 0);
    skua_task_cancel(task);
    int status = status_of(task);
    CHECK_INT(atomic_load(&started), 1);
    CHECK_INT(status, 5);
    CHECK_INT(skua_task_state(task), SKUA_DONE); /* what it has achieved counts */
    skua_task_release(task);
    return 0;
}

/* Both are pinned to the only worker, so the second cannot begin before the first waits for it; a
   stand-in would run one of them beside the other. */
static int cancel_before_start_pinned(void *arg)
{
    const skua_spawn_opts pin = {.pin = 1};
    return finish(spawn_with(cancel_before_start_body, NULL, &pin));
}

/* covers: D64 */
static void a_task_cancelled_before_its_start_starts(void **state)
{
    run_on(1, cancel_before_start_pinned);
}

static int sleep_and_count(void *arg)
{
    int status = skua_sleep(skua_after(SKUA_SEC(5000)));
    for (int i = 0; i < 10; i++) {
        CHECK_INT(skua_sleep(skua_after(SKUA_SEC(5000))), -ECANCELED);
        CHECK_INT(skua_yield(), -ECANCELED);
        CHECK_INT(skua_checkpoint(), -ECANCELED);
        CHECK_INT(skua_join(arg, NULL, SKUA_FOREVER), -ECANCELED);
        CHECK(skua_cancelled());
    }
    return status;
}

static int cancel_body(void *arg)
{
    skua_task *sleepers[100];
    skua_task *self = skua_self();
    for (int i = 0; i < 100; i++) {
        sleepers[i] = spawn(sleep_and_count, self);
    }
    for (int i = 0; i < 200; i++) {
        CHECK_INT(skua_yield(), 0);
    }
    for (int i = 0; i < 100; i++) {
        skua_task_cancel(sleepers[i]);
        skua_task_cancel(sleepers[i]);
    }
    for (int i = 0; i < 100; i++) {
        CHECK_INT(status_of(sleepers[i]), -ECANCELED);
        CHECK_INT(skua_task_state(sleepers[i]), SKUA_CANCELLED);
        skua_task_cancel(sleepers[i]);
    }
    skua_task_release_all(sleepers, 100);
    return 0;
}

/* covers: A31 B12 */
static void cancel_ends_every_wait_and_goes_on_doing_so(void **state)
{
    run_on_1_2_4(cancel_body);
}

static int join_sleeper(void *arg)
{
    int status;
    return skua_join(arg, &status, SKUA_FOREVER);
}

static int cancel_joiner_body(void *arg)
{
    skua_task *target = spawn(sleep_forever, NULL);
    skua_task *joiner = spawn(join_sleeper, target);
    for (int i = 0; i < 50; i++) {
        CHECK_INT(skua_yield(), 0);
    }
    skua_task_cancel(joiner);
    CHECK_INT(finish(joiner), -ECANCELED);
    CHECK_INT(skua_task_state(target), SKUA_RUNNING);
    skua_task_cancel(target);
    CHECK_INT(finish(target), -ECANCELED);
    return 0;
}

/* covers: D45 A36 */
static void cancel_of_a_joiner_leaves_the_joined_task(void **state)
{
    run_on_1_2_4(cancel_joiner_body);
}

static int catch_and_return(void *arg)
{
    return skua_sleep(SKUA_FOREVER) == -ECANCELED ? 42 : -1;
}

static int catch_body(void *arg)
{
    skua_task *task = spawn(catch_and_return, NULL);
    skua_task_cancel(task);
    CHECK_INT(status_of(task), 42);
    CHECK_INT(skua_task_state(task), SKUA_DONE);
    skua_task_release(task);
    return 0;
}

/* covers: D47 */
static void a_task_that_catches_its_cancel_has_its_own_result(void **state)
{
    run_on_1_2_4(catch_body);
}

static int cancel_ended_body(void *arg)
{
    skua_task *task = spawn(return_cancelled_status, NULL);
    CHECK_INT(status_of(task), -ECANCELED);
    CHECK_INT(skua_task_state(task), SKUA_FAILED); /* nobody had cancelled it */
    skua_task_cancel(task);
    CHECK_INT(skua_task_state(task), SKUA_FAILED);
    CHECK_INT(finish(task), -ECANCELED);
    return 0;
}

/* covers: D46 */
static void cancel_of_an_ended_task_does_nothing(void **state)
{
    run_on(2, cancel_ended_body);
}

static int ignore_cancel(void *arg)
{
    int count = 0;
    while (count < 5000) {
        count += skua_sleep(SKUA_FOREVER) == -ECANCELED;
    }
    return 0;
}

static int ignore_body(void *arg)
{
    gate done = 0;
    const skua_spawn_opts opts = {.name = "stubborn"};
    skua_task *task = spawn_with(ignore_cancel, NULL, &opts);
    skua_task_cancel(task);
    CHECK_INT(call(open_gate, &done), 0); /* one worker: it got its turn */
    return finish(task);
}

static void ignoring_a_cancel_is_reported_once_and_keeps_no_core(void **state)
{
    struct said said;
    said_begin(&said);
    run_on(1, ignore_body);
    CHECK_INT(count_of(said_end(&said), "stubborn"), 1);
}

/* Ends, cancels and deadlines of sleeps at the same time. */
static int sleep_short(void *arg)
{
    int status = skua_sleep(skua_after(*(int64_t *)arg));
    CHECK(status == 0 || status == -ECANCELED);
    return 0;
}

static int cancel_race_body(void *arg)
{
    uint64_t random = test_seed();
    for (int i = 0; i < 1000; i++) {
        int64_t ns = (int64_t)(test_random(&random) % 200000);
        const skua_spawn_opts opts = {.arg_bytes = sizeof ns};
        skua_task *task = spawn_with(sleep_short, &ns, &opts);
        if (i % 2) {
            CHECK_INT(skua_sleep(skua_after((int64_t)(test_random(&random) % 100000))), 0);
        }
        skua_task_cancel(task);
        CHECK_INT(finish(task), 0);
    }
    return 0;
}

static void cancels_race_with_ends_of_sleeps(void **state)
{
    run_on_1_2_4(cancel_race_body);
}

/* --- time ------------------------------------------------------------------------------------- */

static int check_sleep(void *arg)
{
    const int64_t ns = *(int64_t *)arg;
    const skua_time until = skua_after(ns);
    CHECK_INT(skua_sleep(until), 0);
    CHECK(skua_elapsed_ns(until) >= 0);
    return 0;
}

static int sleeps_body(void *arg)
{
    enum { SLEEPERS = 300 };
    skua_task *tasks[SLEEPERS];
    uint64_t random = test_seed();
    for (int i = 0; i < SLEEPERS; i++) {
        int64_t ns = (int64_t)(test_random(&random) % 20000000);
        const skua_spawn_opts opts = {.arg_bytes = sizeof ns};
        tasks[i] = spawn_with(check_sleep, &ns, &opts);
    }
    for (int i = 0; i < SLEEPERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(skua_sleep(skua_after(0)), 0);
    CHECK_INT(skua_sleep(skua_after(-5)), 0);
    return 0;
}

/* covers: A8 */
static void sleep_is_never_early(void **state)
{
    run_on_1_2_4(sleeps_body);
}

static int many_sleepers_body(void *arg)
{
    enum { SLEEPERS = 10000 / TEST_SCALE };
    skua_task **tasks = calloc(SLEEPERS, sizeof *tasks);
    uint64_t random = test_seed();
    const skua_time start = skua_clock();
    for (int i = 0; i < SLEEPERS; i++) {
        int64_t ns = SKUA_MS(45) + (int64_t)(test_random(&random) % 10000000);
        const skua_spawn_opts opts = {.arg_bytes = sizeof ns};
        tasks[i] = spawn_with(check_sleep, &ns, &opts);
    }
    for (int i = 0; i < SLEEPERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK(skua_elapsed_ns(start) < SLEEPERS * SKUA_MS(45) / 2); /* not one after the other */
    free(tasks);
    return 0;
}

/* covers: A8 */
static void ten_thousand_sleep_at_the_same_time(void **state)
{
    run_on(4, many_sleepers_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pinned_task_stays_on_its_thread),
        TEST(equal_pins_mean_equal_threads),
        TEST(a_task_cancelled_before_its_start_starts),
        TEST(cancel_ends_every_wait_and_goes_on_doing_so),
        TEST(cancel_of_a_joiner_leaves_the_joined_task),
        TEST(a_task_that_catches_its_cancel_has_its_own_result),
        TEST(cancel_of_an_ended_task_does_nothing),
        TEST(ignoring_a_cancel_is_reported_once_and_keeps_no_core),
        TEST(cancels_race_with_ends_of_sleeps),
        TEST(sleep_is_never_early),
        TEST(ten_thousand_sleep_at_the_same_time),
        TEST(a_pinned_task_that_yields_lets_others_run),
    };
    return TEST_RUN(tests);
}
