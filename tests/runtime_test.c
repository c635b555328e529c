/* Runtimes: starting, ending, several at once, forks, fairness, parallelism, idleness. */
#include "tasks.h"

#include "base/futex.h"
#include "sched/runtime.h"
#include "sched/waiter.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* --- start and end ---------------------------------------------------------------------------- */

static int return_arg(void *arg)
{
    return *(int *)arg;
}

static void run_returns_what_main_returns(void **state)
{
    for (int value = -3; value <= 3; value++) {
        CHECK_INT(skua_run(NULL, return_arg, &value), value);
    }
}

typedef struct left_over {
    gate started, cleaned;
} left_over;

static int clean_up_when_cancelled(void *arg)
{
    left_over *all = arg;
    atomic_fetch_add(&all->started, 1);
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, SKUA_FOREVER);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(5))), 0);
    atomic_fetch_add(&all->cleaned, 1);
    return -ECANCELED;
}

static int leave_over(void *arg)
{
    for (int i = 0; i < 500; i++) {
        CHECK_INT(skua_spawn(NULL, clean_up_when_cancelled, arg, NULL), 0);
    }
    return 11;
}

/* covers: D69 */
static void left_over_tasks_are_cancelled_and_awaited(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        left_over all = {0};
        const skua_config config = {.workers = workers};
        CHECK_INT(skua_run(&config, leave_over, &all), 11);
        CHECK_INT(atomic_load(&all.started), 500);
        CHECK_INT(atomic_load(&all.cleaned), 500);
    }
}

/* The very last tasks may spawn: refused, and nothing is lost. */
static int spawn_until_refused(void *arg)
{
    gate *count = arg;
    for (;;) {
        int status = skua_spawn(NULL, return_zero, NULL, NULL);
        if (status == -ESHUTDOWN) {
            atomic_fetch_add(count, 1);
            return 0;
        }
        CHECK_INT(status, 0);
        status = skua_yield();
        (void)status;
    }
}

static int start_spawners(void *arg)
{
    for (int i = 0; i < 20; i++) {
        CHECK_INT(skua_spawn(NULL, spawn_until_refused, arg, NULL), 0);
    }
    return skua_sleep(skua_after(SKUA_US(300)));
}

static void spawns_race_with_the_end(void **state)
{
    for (int round = 0; round < 100 / TEST_SCALE; round++) {
        gate count = 0;
        run_on_with(1 + (uint32_t)round % 4, start_spawners, &count);
        CHECK_INT(atomic_load(&count), 20);
    }
}

static struct said said;

static int ignore_until_named(void *arg)
{
    while (!said_has(&said, "mule")) {
        int status = skua_yield();
        (void)status;
    }
    return 0;
}

static int leave_stubborn(void *arg)
{
    const skua_spawn_opts opts = {.name = "mule"};
    return skua_spawn(NULL, ignore_until_named, NULL, &opts);
}

/* covers: A16 */
static void stubborn_tasks_are_named(void **state)
{
    const skua_config config = {.workers = 2, .cleanup_ns = SKUA_MS(20), .name = "stable"};
    said_begin(&said);
    CHECK_INT(skua_run(&config, leave_stubborn, NULL), 0);
    const char *text = said_end(&said);
    CHECK(strstr(text, "mule") != NULL);
    CHECK(strstr(text, "stable") != NULL);
}

static int use_a_little(void *arg)
{
    skua_task *tasks[10];
    for (int i = 0; i < 10; i++) {
        tasks[i] = spawn(return_zero, NULL);
    }
    for (int i = 0; i < 10; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    return skua_spawn(NULL, sleep_forever, NULL, NULL);
}

/* covers: A1 */
static void hundreds_of_runs_leave_nothing(void **state)
{
    const int rounds = 300 / TEST_SCALE / TEST_SCALE;
    run_on(4, use_a_little);
    const int threads = test_settle(test_threads, 1), fds = test_fds(), maps = test_maps();
    CHECK_INT(threads, TEST_SCALE > 1 ? threads : 1);
    for (int i = 0; i < rounds; i++) {
        run_on(1 + (uint32_t)i % 4, use_a_little);
    }
    CHECK_INT(test_settle(test_threads, threads), threads);
    CHECK_INT(test_fds(), fds);
    if (TEST_SCALE == 1) {
        CHECK(test_maps() <= maps + rounds / 10); /* malloc's own arenas, stacks that it keeps */
    }
}

static int run_nested(void *arg)
{
    skua_runtime *runtime = NULL;
    CHECK_INT(skua_run(NULL, return_zero, NULL), -EDEADLK);
    CHECK_INT(skua_runtime_create(&runtime, NULL), -EDEADLK);
    CHECK_PTR(runtime, NULL);
    return 0;
}

/* covers: A2 D70 */
static void a_run_inside_of_a_task_is_refused(void **state)
{
    run_on(2, run_nested);
}

static int sleep_a_bit(void *arg)
{
    return skua_sleep(SKUA_FOREVER);
}

static void destroy_with_ten_thousand_live_tasks(void **state)
{
    skua_runtime *runtime;
    const skua_config config = {.workers = 4};
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    for (int i = 0; i < 10000 / TEST_SCALE; i++) {
        CHECK_INT(skua_submit(runtime, NULL, sleep_a_bit, NULL, NULL), 0);
    }
    skua_runtime_destroy(runtime);
    skua_runtime_destroy(NULL);
}

static void *create_and_destroy(void *arg)
{
    for (int i = 0; i < 20; i++) {
        skua_runtime *runtime;
        const skua_config config = {.workers = 2};
        CHECK_INT(skua_runtime_create(&runtime, &config), 0);
        CHECK_INT(skua_call(runtime, return_zero, NULL, SKUA_FOREVER), 0);
        skua_runtime_destroy(runtime);
    }
    return NULL;
}

static void runtimes_start_and_end_in_several_threads_at_once(void **state)
{
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, create_and_destroy, NULL), 0);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
}

/* --- from outside ----------------------------------------------------------------------------- */

static int catch_cancel(void *arg)
{
    return skua_sleep(SKUA_FOREVER) == -ECANCELED ? 5 : -1;
}

/* covers: A70 */
static void call_waits_for_the_end(void **state)
{
    skua_runtime *runtime;
    const skua_config config = {.workers = 2};
    int value = 33;
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    CHECK_INT(skua_call(runtime, return_arg, &value, SKUA_FOREVER), 33);
    CHECK_INT(skua_call(runtime, sleep_forever, NULL, skua_after(SKUA_MS(5))), -ETIMEDOUT);
    CHECK_INT(skua_call(runtime, catch_cancel, NULL, skua_after(SKUA_MS(5))), 5);
    skua_runtime_destroy(runtime);
}

typedef struct submitter {
    skua_runtime *runtime;
    _Atomic unsigned char *runs;
    gate *total;
    int first, count;
} submitter;

typedef struct submission {
    const submitter *by;
    int index;
} submission;

static int count_run(void *arg)
{
    const submission *one = arg;
    atomic_fetch_add(&one->by->runs[one->index], 1);
    atomic_fetch_add(one->by->total, 1);
    return 0;
}

static void *submit_all(void *arg)
{
    const submitter *by = arg;
    for (int i = 0; i < by->count; i++) {
        submission one = {by, by->first + i};
        const skua_spawn_opts opts = {.arg_bytes = sizeof one};
        CHECK_INT(skua_submit(by->runtime, NULL, count_run, &one, &opts), 0);
    }
    return NULL;
}

/* covers: A70 */
static void each_submission_of_eight_threads_runs_once(void **state)
{
    enum { THREADS = 8, EACH = 25000 / TEST_SCALE / TEST_SCALE };
    skua_runtime *runtime;
    const skua_config config = {.workers = 4};
    pthread_t threads[THREADS];
    submitter submitters[THREADS];
    gate total = 0;
    _Atomic unsigned char *runs = calloc(THREADS, EACH);
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    for (int i = 0; i < THREADS; i++) {
        submitters[i] = (submitter){runtime, runs, &total, i * EACH, EACH};
        CHECK_INT(pthread_create(&threads[i], NULL, submit_all, &submitters[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    await(&total, THREADS * EACH);
    skua_runtime_destroy(runtime);
    for (int i = 0; i < THREADS * EACH; i++) {
        CHECK_INT(atomic_load(&runs[i]), 1);
    }
    free(runs);
}

static void one_submission_at_a_time_wakes_a_parked_worker(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        skua_runtime *runtime;
        const skua_config config = {.workers = workers};
        CHECK_INT(skua_runtime_create(&runtime, &config), 0);
        for (int i = 0; i < 500 / TEST_SCALE; i++) {
            CHECK_INT(skua_call(runtime, return_zero, NULL, SKUA_FOREVER), 0);
        }
        skua_runtime_destroy(runtime);
    }
}

/* Each waits for a task of the other runtime. */
typedef struct both {
    skua_runtime *other;
    int depth;
} both;

static int cross(void *arg)
{
    both *pair = arg;
    if (pair->depth == 0) {
        return 0;
    }
    both back = {skua_runtime_current(), pair->depth - 1};
    skua_task *task;
    CHECK_INT(skua_submit(pair->other, &task, cross, &back, NULL), 0);
    CHECK_INT(finish(task), pair->depth - 1);
    return pair->depth;
}

/* covers: A3 D75 */
static void tasks_of_two_runtimes_wake_each_other(void **state)
{
    skua_runtime *one, *two;
    const skua_config config = {.workers = 2};
    CHECK_INT(skua_runtime_create(&one, &config), 0);
    CHECK_INT(skua_runtime_create(&two, &config), 0);
    for (int i = 0; i < 30 / TEST_SCALE; i++) {
        both pair = {two, 30};
        CHECK_INT(skua_call(one, cross, &pair, SKUA_FOREVER), 30);
    }
    CHECK_INT(skua_worker_count(one), 2);
    skua_runtime_destroy(one);
    skua_runtime_destroy(two);
    CHECK(skua_worker_count(NULL) >= 1);
}

/* --- forks ------------------------------------------------------------------------------------ */

static void check_forked_child(skua_runtime *runtime, skua_task *task)
{
    skua_task *out = NULL;
    skua_runtime *other = NULL;
    CHECK_INT(skua_submit(runtime, &out, return_zero, NULL, NULL), -ESHUTDOWN);
    CHECK_INT(skua_call(runtime, return_zero, NULL, SKUA_FOREVER), -ESHUTDOWN);
    CHECK_INT(skua_spawn(&out, return_zero, NULL, NULL), -ESHUTDOWN);
    CHECK_INT(skua_join(task, NULL, SKUA_FOREVER), -ESHUTDOWN);
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ESHUTDOWN);
    CHECK_INT(skua_yield(), -ESHUTDOWN);
    CHECK_INT(skua_checkpoint(), -ESHUTDOWN);
    CHECK_INT(skua_run(NULL, return_zero, NULL), -ESHUTDOWN);
    CHECK_INT(skua_runtime_create(&other, NULL), -ESHUTDOWN);
    CHECK_PTR(out, NULL);
    skua_task_cancel(task);
    skua_task_release(task);
}

static void fork_and_check(skua_runtime *runtime, skua_task *task)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20);
        check_forked_child(runtime, task);
        _exit(0);
    }
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
}

static int fork_in_task(void *arg)
{
    skua_task *task = spawn(sleep_forever, NULL);
    for (int i = 0; i < 5; i++) {
        fork_and_check(skua_runtime_current(), task);
        CHECK_INT(skua_yield(), 0);
    }
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    return 0;
}

static int spawn_all_the_time(void *arg)
{
    int status = 0;
    while (status == 0) {
        skua_task *task = spawn(return_zero, NULL);
        status = skua_join(task, NULL, SKUA_FOREVER);
        skua_task_release(task);
    }
    CHECK_INT(status, -ECANCELED);
    return 0;
}

static void a_forked_child_is_refused_and_the_parent_goes_on(void **state)
{
    skua_runtime *runtime;
    skua_task *task, *busy[4];
    const skua_config config = {.workers = 2};
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    CHECK_INT(skua_submit(runtime, &task, sleep_forever, NULL, NULL), 0);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(skua_submit(runtime, &busy[i], spawn_all_the_time, NULL, NULL), 0);
    }
    for (int i = 0; i < 10; i++) {
        fork_and_check(runtime, task);
    }
    CHECK_INT(skua_call(runtime, fork_in_task, NULL, SKUA_FOREVER), 0);
    for (int i = 0; i < 4; i++) {
        skua_task_cancel(busy[i]);
        CHECK_INT(finish(busy[i]), 0);
    }
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    skua_runtime_destroy(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(run_returns_what_main_returns),
        TEST(left_over_tasks_are_cancelled_and_awaited),
        TEST(spawns_race_with_the_end),
        TEST(stubborn_tasks_are_named),
        TEST(hundreds_of_runs_leave_nothing),
        TEST(a_run_inside_of_a_task_is_refused),
        TEST(destroy_with_ten_thousand_live_tasks),
        TEST(runtimes_start_and_end_in_several_threads_at_once),
        TEST(call_waits_for_the_end),
        TEST(each_submission_of_eight_threads_runs_once),
        TEST(one_submission_at_a_time_wakes_a_parked_worker),
        TEST(tasks_of_two_runtimes_wake_each_other),
        TEST(a_forked_child_is_refused_and_the_parent_goes_on),
    };
    return TEST_RUN(tests);
}
