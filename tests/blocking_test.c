/* The blocking pool. Calls are held back by gates, which the tests open; nothing depends on time.
   */
#define _GNU_SOURCE 1
#include "base/mem.h"
#include "blocking/blocking.h"
#include "test.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <skua/skua.h>
#include <stdatomic.h>
#include <sys/syscall.h>

/* --- gates and runtimes --- */

/* A call that waits: it says that it has started, and returns `result` once the gate is open. */
struct gate {
    atomic_bool has_started;
    atomic_bool is_open;
    int result;
};

static int pass_gate(void *arg)
{
    struct gate *gate = arg;
    atomic_store(&gate->has_started, true);
    while (!atomic_load(&gate->is_open)) {
        sched_yield();
    }
    return gate->result;
}

static int block_in_gate(void *arg)
{
    return skua_blocking(pass_gate, arg, SKUA_FOREVER);
}

/* Spawns a task that is in the gate when this returns. */
static skua_task *enter_gate(struct gate *gate)
{
    skua_task *task = NULL;
    CHECK_INT(skua_spawn(&task, block_in_gate, gate, NULL), 0);
    while (!atomic_load(&gate->has_started)) {
        skua_yield();
    }
    return task;
}

/* Opens it, and checks the task's end. */
static void leave_gate(struct gate *gate, skua_task *task)
{
    int status = -1;
    atomic_store(&gate->is_open, true);
    CHECK_INT(skua_join(task, &status, SKUA_FOREVER), 0);
    CHECK_INT(status, gate->result);
    skua_task_release(task);
}

static void run(skua_fn fn, void *arg, uint32_t threads_max)
{
    const skua_config config = {.workers = 4, .blocking_threads_max = threads_max};
    CHECK_INT(skua_run(&config, fn, arg), 0);
}

static int thread_id(void *arg)
{
    *(long *)arg = syscall(SYS_gettid);
    return 17;
}

/* --- tests --- */

static int call_one(void *arg)
{
    long id = 0;
    CHECK_INT(skua_blocking(thread_id, &id, SKUA_FOREVER), 17);
    CHECK(id != 0 && id != syscall(SYS_gettid));
    return 0;
}

/* covers: A65 */
static void a_call_runs_on_another_thread(void **state)
{
    run(call_one, NULL, 0);
}

static int call_in_sequence(void *arg)
{
    long first = 0;
    CHECK_INT(skua_blocking(thread_id, &first, SKUA_FOREVER), 17);
    for (int i = 0; i < 2000 / TEST_SCALE; i++) {
        long id = 0;
        CHECK_INT(skua_blocking(thread_id, &id, SKUA_FOREVER), 17);
        CHECK_INT(id, first);
    }
    return 0;
}

/* covers: D78 */
static void calls_in_sequence_share_one_thread(void **state)
{
    run(call_in_sequence, NULL, 0);
}

enum { CROWD_THREADS = 6, CROWD_CALLS = 15 * CROWD_THREADS };

struct crowd {
    atomic_int running, peak, calls;
};

/* The first ones wait until there are as many as there may be. */
static int join_crowd(void *arg)
{
    struct crowd *crowd = arg;
    const int running = atomic_fetch_add(&crowd->running, 1) + 1;
    int most = atomic_load(&crowd->peak);
    CHECK(running <= CROWD_THREADS);
    while (most < running && !atomic_compare_exchange_weak(&crowd->peak, &most, running)) {}
    while (atomic_load(&crowd->peak) < CROWD_THREADS) {
        sched_yield();
    }
    atomic_fetch_sub(&crowd->running, 1);
    return atomic_fetch_add(&crowd->calls, 1);
}

static int call_into_crowd(void *arg)
{
    return skua_blocking(join_crowd, arg, SKUA_FOREVER);
}

static int make_crowd(void *arg)
{
    struct crowd *crowd = arg;
    skua_task *tasks[CROWD_CALLS];
    for (int i = 0; i < CROWD_CALLS; i++) {
        CHECK_INT(skua_spawn(&tasks[i], call_into_crowd, crowd, NULL), 0);
    }
    for (int i = 0; i < CROWD_CALLS; i++) {
        int status = -1;
        CHECK_INT(skua_join(tasks[i], &status, SKUA_FOREVER), 0);
        CHECK(status >= 0);
    }
    skua_task_release_all(tasks, CROWD_CALLS);
    CHECK_INT(crowd->calls, CROWD_CALLS);
    CHECK_INT(crowd->peak, CROWD_THREADS);
    return 0;
}

/* covers: A66 D78 */
static void there_are_never_more_threads_than_allowed(void **state)
{
    struct crowd crowd = {0};
    run(make_crowd, &crowd, CROWD_THREADS);
}

static int mark(void *arg)
{
    atomic_store((atomic_bool *)arg, true);
    return 0;
}

struct queued {
    atomic_bool is_about_to_call;
    atomic_bool was_called;
};

static int call_mark(void *arg)
{
    struct queued *queued = arg;
    atomic_store(&queued->is_about_to_call, true);
    return skua_blocking(mark, &queued->was_called, SKUA_FOREVER);
}

static int cancel_queued(void *arg)
{
    struct gate gate = {.result = 3};
    struct queued queued = {0};
    skua_task *task = NULL;
    int status = 0;
    skua_task *holder = enter_gate(&gate);
    CHECK_INT(skua_spawn(&task, call_mark, &queued, NULL), 0);
    while (!atomic_load(&queued.is_about_to_call)) {
        skua_yield();
    }
    skua_task_cancel(task);
    CHECK_INT(skua_join(task, &status, SKUA_FOREVER), 0);
    CHECK_INT(status, -ECANCELED);
    skua_task_release(task);
    leave_gate(&gate, holder);
    CHECK(!queued.was_called);
    return 0;
}

/* covers: D80 */
static void a_queued_call_can_be_cancelled(void **state)
{
    run(cancel_queued, NULL, 1);
}

static int cancel_started(void *arg)
{
    struct gate gate = {.result = 42};
    skua_task *task = enter_gate(&gate);
    skua_task_cancel(task);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(skua_join(task, NULL, SKUA_NOW), -EAGAIN);
        skua_yield();
    }
    leave_gate(&gate, task); /* with fn's own result: what has succeeded reports success */
    return 0;
}

static void a_started_call_is_awaited_in_spite_of_a_cancel(void **state)
{
    run(cancel_started, NULL, 0);
}

static int time_out_queued(void *arg)
{
    struct gate gate = {.result = 3};
    atomic_bool was_called = false;
    skua_task *holder = enter_gate(&gate);
    CHECK_INT(skua_blocking(mark, &was_called, skua_after(SKUA_MS(2))), -ETIMEDOUT);
    CHECK_INT(skua_blocking(mark, &was_called, skua_after(0)), -ETIMEDOUT);
    CHECK_INT(skua_blocking(mark, &was_called, SKUA_NOW), -EAGAIN);
    leave_gate(&gate, holder);
    CHECK(!was_called);
    CHECK_INT(skua_blocking(mark, &was_called, skua_after(0)), 0);
    CHECK(was_called);
    return 0;
}

static void a_queued_call_ends_at_its_deadline(void **state)
{
    run(time_out_queued, NULL, 1);
}

static int open_later(void *arg)
{
    struct gate *gate = arg;
    while (!atomic_load(&gate->has_started)) {
        skua_yield();
    }
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(5))), 0);
    atomic_store(&gate->is_open, true);
    return 0;
}

static int time_out_started(void *arg)
{
    struct gate gate = {.result = 5};
    skua_task *opener = NULL;
    CHECK_INT(skua_spawn(&opener, open_later, &gate, NULL), 0);
    CHECK_INT(skua_blocking(pass_gate, &gate, skua_after(SKUA_MS(1))), 5);
    CHECK_INT(skua_join(opener, NULL, SKUA_FOREVER), 0);
    skua_task_release(opener);
    return 0;
}

static void a_started_call_outlasts_its_deadline(void **state)
{
    run(time_out_started, NULL, 0);
}

static int call_now(void *arg)
{
    atomic_bool was_called = false;
    CHECK_INT(skua_blocking(mark, &was_called, SKUA_NOW), 0);
    CHECK(was_called);
    return 0;
}

static void now_takes_a_free_thread(void **state)
{
    run(call_now, NULL, 1);
}

static int call_nested(void *arg)
{
    long outer = syscall(SYS_gettid), inner = 0;
    CHECK_INT(skua_blocking(thread_id, &inner, SKUA_NOW), 17);
    CHECK_INT(inner, outer);
    return 0;
}

static int call_from_pool(void *arg)
{
    return skua_blocking(call_nested, NULL, SKUA_FOREVER);
}

static void a_foreign_thread_calls_directly(void **state)
{
    CHECK_INT(call_nested(NULL), 0);
    run(call_from_pool, NULL, 1);
}

static int look_at_thread(void *arg)
{
    char name[16] = "";
    sigset_t blocked;
    CHECK_INT(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    CHECK_STR(name, "a-long-n-b0");
    CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
    CHECK(sigismember(&blocked, SIGINT) && sigismember(&blocked, SIGUSR1));
    return 0;
}

static int call_look(void *arg)
{
    sigset_t before, after;
    CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    CHECK_INT(skua_blocking(look_at_thread, NULL, SKUA_FOREVER), 0);
    CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    CHECK_INT(sigismember(&after, SIGUSR1), sigismember(&before, SIGUSR1));
    return 0;
}

static void threads_have_names_and_no_signals(void **state)
{
    const skua_config config = {.workers = 1, .name = "a-long-name"};
    CHECK_INT(skua_run(&config, call_look, NULL), 0);
}

static int call_many(void *arg)
{
    struct crowd crowd = {0};
    atomic_store(&crowd.peak, CROWD_THREADS); /* nobody waits */
    for (int i = 0; i < CROWD_CALLS; i++) {
        CHECK_INT(skua_blocking(join_crowd, &crowd, SKUA_FOREVER), i);
    }
    return 0;
}

static void no_thread_outlives_the_runtime(void **state)
{
    const int threads = test_threads(), fds = test_fds();
    for (int i = 0; i < 20 / TEST_SCALE; i++) {
        struct crowd crowd = {0};
        run(i % 2 == 0 ? make_crowd : call_many, &crowd, CROWD_THREADS);
    }
    CHECK_INT(test_settle(test_threads, threads), threads);
    CHECK_INT(test_fds(), fds);
}

/* Threads of this process that are called "...-b<number>". */
static int pool_threads(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/task");
    CHECK(folder != NULL);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file != NULL) { /* else it has just ended */
            count += fgets(name, sizeof name, file) != NULL && strstr(name, "-b") != NULL;
            fclose(file);
        }
    }
    closedir(folder);
    return count;
}

static int grow_old(void *arg)
{
    struct crowd crowd = {0};
    CHECK_INT(make_crowd(&crowd), 0);
    CHECK_INT(test_settle(pool_threads, 0), 0);
    return call_many(NULL);
}

static void idle_threads_end(void **state)
{
    const int64_t before = atomic_exchange(&skua__blocking_idle_ns, SKUA_MS(1));
    const skua_config config = {.workers = 1, .blocking_threads_max = CROWD_THREADS};
    CHECK_INT(skua_run(&config, grow_old, NULL), 0);
    atomic_store(&skua__blocking_idle_ns, before);
}

enum { STORM_TASKS = 8, STORM_CALLS = 400 / TEST_SCALE };

static int count(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static int call_at_random(void *arg)
{
    uint64_t random = test_seed() + (uintptr_t)&random;
    atomic_int *calls = arg;
    int done = 0;
    for (int i = 0; i < STORM_CALLS; i++) {
        const int64_t patience_ns = (int64_t)(test_random(&random) % 100000);
        const bool has_patience = test_random(&random) % 2 == 0;
        const skua_time start_by = has_patience ? SKUA_FOREVER : skua_after(patience_ns);
        int status = skua_blocking(count, calls, start_by);
        CHECK(status == 0 || (!has_patience && status == -ETIMEDOUT));
        done += status == 0;
    }
    return done;
}

static int make_storm(void *arg)
{
    skua_task *tasks[STORM_TASKS];
    atomic_int calls = 0;
    int total = 0;
    for (int i = 0; i < STORM_TASKS; i++) {
        CHECK_INT(skua_spawn(&tasks[i], call_at_random, &calls, NULL), 0);
    }
    for (int i = 0; i < STORM_TASKS; i++) {
        int done = -1;
        CHECK_INT(skua_join(tasks[i], &done, SKUA_FOREVER), 0);
        CHECK(done >= 0);
        total += done;
    }
    skua_task_release_all(tasks, STORM_TASKS);
    CHECK_INT(total, calls);
    return 0;
}

/* Threads that grow old all the time, while calls are handed to them. */
/* covers: A64 */
static void every_call_runs_exactly_once_or_not_at_all(void **state)
{
    const int64_t before = atomic_exchange(&skua__blocking_idle_ns, SKUA_US(20));
    run(make_storm, NULL, 3);
    atomic_store(&skua__blocking_idle_ns, before);
}

static int call_without_memory(void *arg)
{
    struct gate gate = {.result = 9};
    atomic_bool was_called = false;
    atomic_store(&skua__alloc_budget, 0);
    CHECK_INT(skua_blocking(mark, &was_called, SKUA_FOREVER), -ENOMEM); /* no pool */
    atomic_store(&skua__alloc_budget, 1);
    CHECK_INT(skua_blocking(mark, &was_called, SKUA_FOREVER), -ENOMEM); /* no thread */
    atomic_store(&skua__alloc_budget, -1);
    CHECK(!was_called);

    skua_task *holder = enter_gate(&gate); /* now there is one, but busy */
    atomic_store(&skua__alloc_budget, 0);
    CHECK_INT(skua_blocking(mark, &was_called, SKUA_NOW), -ENOMEM);
    CHECK_INT(skua_blocking(mark, &was_called, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    atomic_store(&skua__alloc_budget, -1);
    leave_gate(&gate, holder);
    CHECK_INT(skua_blocking(mark, &was_called, SKUA_NOW), 0);
    return 0;
}

static void without_memory_calls_fail_or_queue(void **state)
{
    run(call_without_memory, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_runs_on_another_thread),
        TEST(calls_in_sequence_share_one_thread),
        TEST(there_are_never_more_threads_than_allowed),
        TEST(a_queued_call_can_be_cancelled),
        TEST(a_started_call_is_awaited_in_spite_of_a_cancel),
        TEST(a_queued_call_ends_at_its_deadline),
        TEST(a_started_call_outlasts_its_deadline),
        TEST(now_takes_a_free_thread),
        TEST(a_foreign_thread_calls_directly),
        TEST(threads_have_names_and_no_signals),
        TEST(no_thread_outlives_the_runtime),
        TEST(idle_threads_end),
        TEST(every_call_runs_exactly_once_or_not_at_all),
        TEST(without_memory_calls_fail_or_queue),
    };
    return TEST_RUN(tests);
}
