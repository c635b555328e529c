/* Ending in good order: draining, cancelling, waiting; many runtimes and many runs. */
#include "tasks.h"

#include "sched/drain.h"

#include <pthread.h>
#include <skua/chan.h>
#include <skua/control.h>
#include <sys/wait.h>

static skua_runtime *create(uint32_t workers)
{
    skua_runtime *runtime = NULL;
    const skua_config config = {.workers = workers};
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    return runtime;
}

static skua_task *submit(skua_runtime *runtime, skua_fn fn, void *arg)
{
    skua_task *task = NULL;
    CHECK_INT(skua_submit(runtime, &task, fn, arg, NULL), 0);
    return task;
}

/* --- draining --------------------------------------------------------------------------------- */

/* A server's requests: under way when draining begins, each spawns a helper on its way. */
typedef struct server {
    gate started, served, helped;
    gate may_go_on;
} server;

static int help(void *arg)
{
    server *own = arg;
    atomic_fetch_add(&own->helped, 1);
    return 0;
}

static int serve(void *arg)
{
    server *own = arg;
    atomic_fetch_add(&own->started, 1);
    await(&own->may_go_on, 1);
    CHECK(skua_stopping());
    const int status = call(help, own);
    CHECK_INT(status, 0);
    CHECK_INT(skua_sleep(skua_after(SKUA_US(100))), 0);
    atomic_fetch_add(&own->served, 1);
    return 0;
}

/* covers: A44 */
static void draining_lets_the_old_finish_and_refuses_the_new(void **state)
{
    enum { REQUESTS = 50 };
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        server own = {0};
        skua_task *untouched = (skua_task *)(uintptr_t)8, *task = untouched;
        skua_runtime *runtime = create(workers);
        CHECK(!skua__runtime_is_draining(runtime));
        for (int i = 0; i < REQUESTS; i++) {
            skua_task_release(submit(runtime, serve, &own));
        }
        await(&own.started, REQUESTS);
        skua_drain(runtime, skua_after(SKUA_SEC(30)));
        CHECK_INT(skua_submit(runtime, &task, return_zero, NULL, NULL), -ESHUTDOWN);
        CHECK_INT(skua_call(runtime, return_zero, NULL, SKUA_FOREVER), -ESHUTDOWN);
        CHECK_PTR(task, untouched);
        CHECK_INT(skua_runtime_wait(runtime, SKUA_NOW), -EAGAIN);
        atomic_store(&own.may_go_on, 1);
        CHECK_INT(skua_runtime_wait(runtime, skua_after(SKUA_SEC(20))), 0);
        CHECK_INT(atomic_load(&own.served), REQUESTS);
        CHECK_INT(atomic_load(&own.helped), REQUESTS);
        skua_runtime_destroy(runtime);
    }
}

static int wait_for_cancel(void *arg)
{
    atomic_fetch_add((gate *)arg, 1);
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    CHECK_INT(skua_cancel_reason(), -ESHUTDOWN);
    CHECK_INT(skua_spawn(NULL, return_zero, NULL, NULL), -ESHUTDOWN);
    return -ECANCELED;
}

/* covers: A44 */
static void at_the_moment_all_are_cancelled(void **state)
{
    enum { TASKS = 100 };
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        gate started = 0;
        skua_runtime *runtime = create(workers);
        for (int i = 0; i < TASKS; i++) {
            skua_task_release(submit(runtime, wait_for_cancel, &started));
        }
        await(&started, TASKS);
        const skua_time begin = skua_clock();
        skua_drain(runtime, skua_after(SKUA_MS(20)));
        CHECK_INT(skua_runtime_wait(runtime, SKUA_FOREVER), 0);
        CHECK(skua_elapsed_ns(begin) >= SKUA_MS(20));
        skua_runtime_destroy(runtime);
    }
}

/* The monitor of a runtime that has been idle for long sleeps without a limit. */
static void an_idle_runtime_notices_the_moment(void **state)
{
    gate started = 0;
    skua_runtime *runtime = create(2);
    skua_task_release(submit(runtime, wait_for_cancel, &started));
    await(&started, 1);
    CHECK_INT(skua_runtime_wait(runtime, skua_after(SKUA_MS(150))), -ETIMEDOUT);
    skua_drain(runtime, skua_after(SKUA_MS(1)));
    CHECK_INT(skua_runtime_wait(runtime, SKUA_FOREVER), 0);
    skua_runtime_destroy(runtime);
}

static void of_several_moments_the_earliest_holds(void **state)
{
    gate started = 0;
    skua_runtime *runtime = create(2);
    skua_task_release(submit(runtime, wait_for_cancel, &started));
    await(&started, 1);
    skua_drain(runtime, SKUA_FOREVER);
    skua_drain(runtime, skua_after(SKUA_SEC(100)));
    skua_drain(runtime, skua_after(SKUA_MS(1)));
    skua_drain(runtime, skua_after(SKUA_SEC(100)));
    skua_drain(runtime, SKUA_FOREVER);
    CHECK_INT(skua_runtime_wait(runtime, SKUA_FOREVER), 0);
    skua_runtime_destroy(runtime);
}

/* By a task, which is cancelled with the others. */
static int drain_own(void *arg)
{
    gate started = 0;
    skua_task *other = spawn(wait_for_cancel, &started);
    await(&started, 1);
    skua_drain(NULL, SKUA_NOW);
    CHECK_INT(skua_yield(), -ECANCELED);
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, SKUA_FOREVER);
    CHECK_INT(finish(other), -ECANCELED);
    return 7;
}

static void a_task_ends_its_runtime(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_config config = {.workers = workers};
        CHECK_INT(skua_run(&config, drain_own, NULL), 7);
    }
}

static int wait_inside(void *arg)
{
    CHECK_INT(skua_runtime_wait(skua_runtime_current(), SKUA_FOREVER), -EDEADLK);
    return 0;
}

static void a_task_cannot_wait_for_its_runtime(void **state)
{
    run_on_1_2_4(wait_inside);
}

static void nothing(void *arg) {}

/* Timers, and the task behind them, are no work that is waited for. */
static void armed_timers_keep_no_runtime_alive(void **state)
{
    skua_runtime *runtime = create(2);
    CHECK_INT(skua_call_later(NULL, runtime, SKUA_SEC(100), nothing, NULL), 0);
    CHECK_INT(skua_call(runtime, return_zero, NULL, SKUA_FOREVER), 0);
    CHECK_INT(skua_runtime_wait(runtime, SKUA_FOREVER), 0);
    skua_runtime_destroy(runtime);
}

/* Submissions race with the cancel of everything: each runs, or is refused. */
typedef struct racer {
    skua_runtime *runtime;
    gate *ran;
    int accepted;
} racer;

static int count_run(void *arg)
{
    atomic_fetch_add((gate *)arg, 1);
    return 0;
}

static void *submit_until_refused(void *arg)
{
    racer *own = arg;
    int status;
    while ((status = skua_submit(own->runtime, NULL, count_run, own->ran, NULL)) == 0) {
        own->accepted++;
        while (own->accepted > atomic_load(own->ran) + 1000) {
            sched_yield(); /* the workers may be late, and memory has an end */
        }
    }
    CHECK_INT(status, -ESHUTDOWN);
    return NULL;
}

static void submissions_race_with_draining(void **state)
{
    enum { RACERS = 4 };
    for (int round = 0; round < 12 / TEST_SCALE; round++) {
        gate ran = 0;
        racer racers[RACERS];
        pthread_t threads[RACERS];
        int accepted = 0;
        skua_runtime *runtime = create(1 + (uint32_t)round % 4);
        for (int i = 0; i < RACERS; i++) {
            racers[i] = (racer){runtime, &ran, 0};
            CHECK_INT(pthread_create(&threads[i], NULL, submit_until_refused, &racers[i]), 0);
        }
        await(&ran, 10);
        skua_drain(runtime, round % 2 == 0 ? SKUA_NOW : SKUA_FOREVER);
        for (int i = 0; i < RACERS; i++) {
            CHECK_INT(pthread_join(threads[i], NULL), 0);
            accepted += racers[i].accepted;
        }
        CHECK_INT(skua_runtime_wait(runtime, SKUA_FOREVER), 0);
        CHECK_INT(atomic_load(&ran), accepted);
        skua_runtime_destroy(runtime);
    }
}

/* --- runs and runtimes ------------------------------------------------------------------------ */

static int clean_up_after_sleep(void *arg)
{
    const int status = skua_sleep(skua_after(SKUA_SEC(1000)));
    CHECK_INT(status, -ECANCELED);
    atomic_fetch_add((gate *)arg, 1);
    return status;
}

static int leave_a_sleeper(void *arg)
{
    CHECK_INT(skua_spawn(NULL, clean_up_after_sleep, arg, NULL), 0);
    return 123;
}

/* covers: A1 D69 */
static void a_run_takes_everything_down(void **state)
{
    run_on(2, return_zero); /* the thread sanitizer has a thread of its own from then on */
    const int threads = test_settle(test_threads, 1), fds = test_fds();
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        gate cleaned = 0;
        const skua_time start = skua_clock();
        const skua_config config = {.workers = workers};
        CHECK_INT(skua_run(&config, leave_a_sleeper, &cleaned), 123);
        CHECK_INT(atomic_load(&cleaned), 1);
        CHECK(skua_elapsed_ns(start) < SKUA_SEC(20)); /* it did not sleep on */
        CHECK_INT(test_settle(test_threads, threads), threads);
        CHECK_INT(test_fds(), fds);
        CHECK_INT(waitpid(-1, NULL, WNOHANG), -1); /* no child process */
        CHECK_INT(errno, ECHILD);
    }
}

static int return_arg(void *arg)
{
    return *(int *)arg;
}

/* covers: A3 A70 B6 */
static void one_runtime_serves_many_runs(void **state)
{
    skua_runtime *runtime = create(2);
    for (int value = -50; value < 50; value++) {
        CHECK_INT(skua_call(runtime, return_arg, &value, SKUA_FOREVER), value);
    }
    /* One that is cancelled by its deadline does not hurt the next either. */
    CHECK_INT(skua_call(runtime, sleep_forever, NULL, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    int value = 5;
    CHECK_INT(skua_call(runtime, return_arg, &value, SKUA_FOREVER), 5);
    skua_runtime_destroy(runtime);
}

typedef struct nest {
    skua_runtime *other;
    skua_runtime *seen[2];
} nest;

static int look_inside(void *arg)
{
    ((nest *)arg)->seen[1] = skua_runtime_current();
    return 0;
}

static int look_and_call(void *arg)
{
    nest *nest_now = arg;
    nest_now->seen[0] = skua_runtime_current();
    CHECK_INT(skua_call(nest_now->other, look_inside, nest_now, SKUA_FOREVER), 0);
    CHECK_PTR(skua_runtime_current(), nest_now->seen[0]); /* perhaps on another worker by now */
    return 0;
}

/* covers: A3 A6 */
static void two_runtimes_live_at_once(void **state)
{
    CHECK_PTR(skua_runtime_current(), NULL);
    skua_runtime *one = create(2), *two = create(2);
    for (int i = 0; i < 50; i++) {
        nest nest_now = {.other = two};
        CHECK_INT(skua_call(one, look_and_call, &nest_now, SKUA_FOREVER), 0);
        CHECK_PTR(nest_now.seen[0], one);
        CHECK_PTR(nest_now.seen[1], two);
    }
    /* Draining refuses what comes from the other one's tasks as well. */
    skua_drain(two, SKUA_FOREVER);
    nest nest_now = {.other = two};
    CHECK_INT(skua_call(two, look_inside, &nest_now, SKUA_FOREVER), -ESHUTDOWN);
    skua_runtime_destroy(two);
    skua_runtime_destroy(one);
}

/* What the wait of a task that never becomes ready leaves behind. */
typedef struct never {
    skua_chan *chan;
    gate started, cleaned;
} never;

static int never_ready(void *arg)
{
    never *own = arg;
    int item;
    atomic_fetch_add(&own->started, 1);
    const int status = skua_chan_recv(own->chan, &item, sizeof item, SKUA_FOREVER);
    CHECK_INT(status, -ECANCELED);
    atomic_fetch_add(&own->cleaned, 1);
    return status;
}

static int make_chan(void *arg)
{
    return skua_chan_create(&((never *)arg)->chan, sizeof(int), 0);
}

/* covers: D74 */
static void hundreds_of_runtimes_with_a_task_that_never_is_ready(void **state)
{
    enum { ROUNDS = 200 / TEST_SCALE / TEST_SCALE };
    const int threads = test_threads(); /* some of which may just be going */
    for (int round = 0; round < ROUNDS; round++) {
        never own = {0};
        skua_runtime *runtime = create(2);
        CHECK_INT(skua_call(runtime, make_chan, &own, SKUA_FOREVER), 0);
        skua_task_release(submit(runtime, never_ready, &own));
        if (round % 2 == 0) { /* else it is cancelled before it has started, perhaps */
            await(&own.started, 1);
        }
        skua_runtime_destroy(runtime);
        CHECK_INT(atomic_load(&own.cleaned), 1);
        skua_chan_release(own.chan, SKUA_SENDER | SKUA_RECEIVER);
    }
    while (test_threads() > threads) {
        CHECK_INT(skua_sleep(skua_after(SKUA_MS(1))), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(draining_lets_the_old_finish_and_refuses_the_new),
        TEST(at_the_moment_all_are_cancelled),
        TEST(an_idle_runtime_notices_the_moment),
        TEST(of_several_moments_the_earliest_holds),
        TEST(a_task_ends_its_runtime),
        TEST(a_task_cannot_wait_for_its_runtime),
        TEST(armed_timers_keep_no_runtime_alive),
        TEST(submissions_race_with_draining),
        TEST(a_run_takes_everything_down),
        TEST(one_runtime_serves_many_runs),
        TEST(two_runtimes_live_at_once),
        TEST(hundreds_of_runtimes_with_a_task_that_never_is_ready),
    };
    return TEST_RUN(tests);
}
