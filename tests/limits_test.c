/* No more tasks than max_tasks: refusals, and waiting for room. */
#include "tasks.h"

#include <pthread.h>
#include <skua/control.h>

enum { LIMIT = 1000, SPAWNS = 1000000 / TEST_SCALE / TEST_SCALE, WORKERS_MAX = 4 };

typedef struct crowd {
    gate now, peak, ran;
} crowd;

static int stay_for_a_moment(void *arg)
{
    crowd *own = arg;
    const int now = atomic_fetch_add(&own->now, 1) + 1;
    int peak = atomic_load(&own->peak);
    while (now > peak && !atomic_compare_exchange_weak(&own->peak, &peak, now)) {}
    const int status = atomic_fetch_add(&own->ran, 1) % 100 == 0 ? skua_yield() : 0;
    atomic_fetch_sub(&own->now, 1);
    return status;
}

/* What skua_task_room() is for. */
static int spawn_when_there_is_room(skua_fn fn, void *arg)
{
    int status;
    while ((status = skua_spawn(NULL, fn, arg, NULL)) == -EAGAIN &&
           (status = skua_task_room(NULL, SKUA_FOREVER)) == 0) {}
    return status;
}

static int spawn_many_times(void *arg)
{
    crowd own = {0};
    for (int i = 0; i < SPAWNS; i++) {
        CHECK_INT(spawn_when_there_is_room(stay_for_a_moment, &own), 0);
        if (i % 1000 == 0) {
            skua_counts counts;
            skua_runtime_counts(NULL, &counts);
            /* Ends are counted a little after there is room for another, by each thread one. */
            CHECK(counts.tasks_alive <= LIMIT + 2 * WORKERS_MAX + 16);
        }
    }
    while (atomic_load(&own.ran) < SPAWNS || atomic_load(&own.now) > 0) { /* its last access */
        CHECK_INT(skua_yield(), 0);
    }
    CHECK(atomic_load(&own.peak) < LIMIT); /* this task is one of them */
    return 0;
}

/* covers: A18 */
static void a_million_spawns_are_never_more_than_the_limit(void **state)
{
    for (uint32_t workers = 1; workers <= WORKERS_MAX; workers *= 4) {
        const skua_config config = {.workers = workers, .max_tasks = LIMIT};
        CHECK_INT(skua_run(&config, spawn_many_times, NULL), 0);
    }
}

/* --- waiting ---------------------------------------------------------------------------------- */

typedef struct waiters {
    gate filled, waiting, spawned;
} waiters;

static int wait_and_spawn(void *arg)
{
    waiters *own = arg;
    await(&own->filled, 1);
    atomic_fetch_add(&own->waiting, 1);
    const int status = spawn_when_there_is_room(return_zero, NULL);
    atomic_fetch_add(&own->spawned, 1);
    return status;
}

static int stay_until_cancelled(void *arg)
{
    return skua_sleep(SKUA_FOREVER);
}

/* Main, 3 waiters and 2 more fill the limit of 6. One of them ends, and all three spawn one after
   the other. */
static int fill_and_free(void *arg)
{
    waiters own = {0};
    skua_task *stay = spawn(stay_until_cancelled, NULL), *other = spawn(stay_until_cancelled, NULL);
    skua_task *tasks[3];
    for (int i = 0; i < 3; i++) {
        tasks[i] = spawn(wait_and_spawn, &own);
    }
    atomic_store(&own.filled, 1);
    CHECK_INT(skua_spawn(NULL, return_zero, NULL, NULL), -EAGAIN);
    CHECK_INT(skua_task_room(NULL, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_task_room(NULL, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    while (atomic_load(&own.waiting) < 3) {
        CHECK_INT(skua_yield(), 0);
    }
    CHECK_INT(atomic_load(&own.spawned), 0);
    skua_task_cancel(stay);
    CHECK_INT(finish(stay), -ECANCELED);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(atomic_load(&own.spawned), 3);
    CHECK_INT(skua_task_room(NULL, SKUA_NOW), 0);
    skua_task_cancel(other);
    CHECK_INT(finish(other), -ECANCELED);
    return 0;
}

/* covers: A18 */
static void an_end_lets_a_waiter_spawn(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_config config = {.workers = workers, .max_tasks = 6};
        CHECK_INT(skua_run(&config, fill_and_free, NULL), 0);
    }
}

static int wait_for_room(void *arg)
{
    atomic_fetch_add((gate *)arg, 1);
    return skua_task_room(NULL, SKUA_FOREVER);
}

/* A waiter that is cancelled is gone from the list, and the next end serves the other. */
static int cancel_a_waiter(void *arg)
{
    gate waiting = 0;
    skua_task *stay = spawn(stay_until_cancelled, NULL);
    skua_task *one = spawn(wait_for_room, &waiting), *two = spawn(wait_for_room, &waiting);
    await(&waiting, 2);
    CHECK_INT(skua_yield(), 0);
    skua_task_cancel(one);
    const int status = status_of(one); /* its end makes room for the other */
    CHECK(status == -ECANCELED || status == 0);
    CHECK_INT(finish(two), 0);
    skua_task_release(one);
    skua_task_cancel(stay);
    CHECK_INT(finish(stay), -ECANCELED);
    return 0;
}

static void a_cancelled_waiter_loses_nothing(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_config config = {.workers = workers, .max_tasks = 4};
        CHECK_INT(skua_run(&config, cancel_a_waiter, NULL), 0);
    }
}

/* --- from outside ----------------------------------------------------------------------------- */

typedef struct outside {
    skua_runtime *runtime;
    crowd crowd;
} outside;

static void *submit_many(void *arg)
{
    outside *own = arg;
    for (int i = 0; i < 20000 / TEST_SCALE; i++) {
        int status;
        while ((status = skua_submit(own->runtime, NULL, stay_for_a_moment, &own->crowd, NULL)) ==
                   -EAGAIN &&
               (status = skua_task_room(own->runtime, SKUA_FOREVER)) == 0) {}
        CHECK_INT(status, 0);
    }
    return NULL;
}

static void foreign_threads_wait_for_room(void **state)
{
    const skua_config config = {.workers = 2, .max_tasks = 10};
    outside own = {0};
    pthread_t threads[3];
    CHECK_INT(skua_task_room(NULL, SKUA_NOW), -EPERM);
    CHECK_INT(skua_runtime_create(&own.runtime, &config), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, submit_many, &own), 0);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    CHECK_INT(skua_runtime_wait(own.runtime, SKUA_FOREVER), 0);
    CHECK_INT(atomic_load(&own.crowd.ran), 3 * (20000 / TEST_SCALE));
    CHECK(atomic_load(&own.crowd.peak) <= 10);
    skua_runtime_destroy(own.runtime);
}

static void *wait_outside(void *arg)
{
    CHECK_INT(skua_task_room(arg, SKUA_FOREVER), -ESHUTDOWN);
    return NULL;
}

static void draining_tells_those_who_wait_outside(void **state)
{
    const skua_config config = {.workers = 2, .max_tasks = 1};
    skua_runtime *runtime;
    pthread_t thread;
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    CHECK_INT(skua_submit(runtime, NULL, stay_until_cancelled, NULL, NULL), 0);
    CHECK_INT(pthread_create(&thread, NULL, wait_outside, runtime), 0);
    skua_drain(runtime, SKUA_FOREVER);
    CHECK_INT(pthread_join(thread, NULL), 0);
    skua_runtime_destroy(runtime);
}

static int find_room(void *arg)
{
    return skua_task_room(NULL, SKUA_NOW);
}

static void without_a_limit_there_is_room(void **state)
{
    run_on_1_2_4(find_room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_million_spawns_are_never_more_than_the_limit),
        TEST(an_end_lets_a_waiter_spawn),
        TEST(a_cancelled_waiter_loses_nothing),
        TEST(foreign_threads_wait_for_room),
        TEST(draining_tells_those_who_wait_outside),
        TEST(without_a_limit_there_is_room),
    };
    return TEST_RUN(tests);
}
