/* Memory runs out: the n-th allocation and all after it fail, for every n until nothing fails any
   more. Each time there is an error or success, never half of one; what was begun is given back
   (the address sanitizer looks), and afterwards everything works. */
#include "../tasks.h"

#include "base/mem.h"

#include <pthread.h>
#include <skua/chan.h>

enum { BUDGET_MAX = 1000 };

static void allow(int64_t allocations)
{
    atomic_store(&skua__alloc_budget, allocations);
}

/* A task that was started waits for memory for its stack as long as that takes: some comes back
   after a while, unless the run is over before. */
static void *allow_later(void *arg)
{
    const skua_time end = skua_after(SKUA_MS(5) * TEST_SCALE * TEST_SCALE);
    while (atomic_load((gate *)arg) == 0 && skua_clock().ns < end.ns) {
        CHECK_INT(skua_sleep(skua_after(SKUA_US(500))), 0);
    }
    allow(-1);
    return NULL;
}

static int run_with(int64_t budget, skua_fn fn)
{
    const skua_config config = {.workers = 2};
    pthread_t thread;
    gate is_over = 0;
    allow(budget);
    if (budget == 0) { /* no runtime is made, so nothing waits for memory, and none comes back */
        const int refused = skua_run(&config, fn, NULL);
        allow(-1);
        return refused;
    }
    CHECK_INT(pthread_create(&thread, NULL, allow_later, &is_over), 0);
    const int status = skua_run(&config, fn, NULL);
    atomic_store(&is_over, 1);
    CHECK_INT(pthread_join(thread, NULL), 0);
    return status;
}

/* Run `attempt` with 0, 1, 2... allocations until it succeeds. Returns how many that took. */
static int until_it_succeeds(int (*attempt)(int64_t budget))
{
    for (int budget = 0; budget < BUDGET_MAX; budget++) {
        const int status = attempt(budget);
        if (status == 0) {
            return budget;
        }
        CHECK_INT(status, -ENOMEM);
    }
    test_fail(__FILE__, __LINE__, "still fails after %d allocations", BUDGET_MAX);
}

/* --- runtimes --------------------------------------------------------------------------------- */

static int create_one(int64_t budget)
{
    skua_runtime *untouched = (skua_runtime *)(uintptr_t)8, *runtime = untouched;
    const skua_config config = {.workers = 2, .name = "fault"};
    allow(budget);
    const int status = skua_runtime_create(&runtime, &config);
    allow(-1);
    if (status < 0) {
        CHECK_PTR(runtime, untouched);
        return status;
    }
    CHECK_INT(skua_call(runtime, return_zero, NULL, SKUA_FOREVER), 0);
    skua_runtime_destroy(runtime);
    return 0;
}

static void a_runtime_is_made_or_not(void **state)
{
    CHECK_INT(create_one(-1), 0); /* the thread sanitizer has a thread of its own from then on */
    const int threads = test_settle(test_threads, 1), fds = test_fds();
    CHECK(until_it_succeeds(create_one) > 0);
    CHECK_INT(test_settle(test_threads, threads), threads);
    CHECK_INT(test_fds(), fds);
}

static int run_one(int64_t budget)
{
    return run_with(budget, return_zero);
}

static void a_run_happens_or_not(void **state)
{
    CHECK(until_it_succeeds(run_one) > 0);
}

/* --- tasks ------------------------------------------------------------------------------------ */

/* With the memory that a first use of a runtime needs. */
static int in_fresh_runtime(int (*attempt)(skua_runtime *runtime), int64_t budget)
{
    skua_runtime *runtime;
    const skua_config config = {.workers = 2};
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    allow(budget);
    const int status = attempt(runtime);
    allow(-1);
    skua_runtime_destroy(runtime);
    return status;
}

typedef struct large {
    char bytes[500];
} large;

static int check_large(void *arg)
{
    const large *copy = arg;
    for (size_t i = 0; i < sizeof copy->bytes; i++) {
        CHECK_INT(copy->bytes[i], 7);
    }
    CHECK_STR(skua_task_name(skua_self()), "a name");
    return 0;
}

static int submit_large(skua_runtime *runtime)
{
    skua_task *untouched = (skua_task *)(uintptr_t)8, *task = untouched;
    large original;
    memset(original.bytes, 7, sizeof original.bytes);
    const skua_spawn_opts opts = {.name = "a name", .arg_bytes = sizeof original};
    const int status = skua_submit(runtime, &task, check_large, &original, &opts);
    allow(-1);
    if (status < 0) {
        CHECK_PTR(task, untouched);
        return status;
    }
    return finish(task);
}

static int submit_once(int64_t budget)
{
    return in_fresh_runtime(submit_large, budget);
}

static void a_submission_is_made_or_not(void **state)
{
    CHECK(until_it_succeeds(submit_once) > 1);
}

static int spawn_large_body(void *arg)
{
    int failures = 0;
    for (int64_t budget = 0; budget < BUDGET_MAX; budget++) {
        allow(budget);
        if (submit_large(skua_runtime_current()) == 0) {
            return failures;
        }
        failures++;
    }
    return -1;
}

/* The runtime is warm: only the name and the argument are allocated. */
static void a_warm_spawn_allocates_name_and_argument_only(void **state)
{
    const skua_config config = {.workers = 1};
    CHECK_INT(skua_run(&config, spawn_large_body, NULL), 2);
}

/* Refused tasks do not count as alive. */
static int spawn_within_limit(void *arg)
{
    const skua_spawn_opts named = {.name = "a name"};
    for (int i = 0; i < 10; i++) {
        skua_task *task = NULL;
        allow(0);
        CHECK_INT(skua_spawn(&task, return_zero, NULL, &named), -ENOMEM);
        allow(-1);
    }
    CHECK_INT(call(return_zero, NULL), 0);
    return 0;
}

static void a_refused_task_does_not_count(void **state)
{
    const skua_config config = {.workers = 1, .max_tasks = 2};
    CHECK_INT(skua_run(&config, spawn_within_limit, NULL), 0);
}

static int fail_with_text(void *arg)
{
    return skua_fail(-EIO, "number %d", *(int *)arg);
}

static int fail_without_memory(void *arg)
{
    int number = 5;
    skua_task *task = spawn(fail_with_text, &number);
    allow(0);
    CHECK_INT(status_of(task), -EIO);
    const skua_error *error = skua_task_error(task);
    allow(-1);
    CHECK(error == NULL || error->code == -EIO);
    skua_task_release(task);

    task = spawn(fail_with_text, &number);
    CHECK_INT(status_of(task), -EIO);
    CHECK_STR(skua_task_error(task)->text, "number 5");
    skua_task_release(task);
    return 0;
}

static void a_failure_without_memory_keeps_its_code(void **state)
{
    run_on(1, fail_without_memory);
}

/* --- everything at once ----------------------------------------------------------------------- */

static const skua_local key = {"key"};

static void use_chan(skua_chan *chan)
{
    const int item = 3;
    int got = 0;
    CHECK_INT(skua_chan_send(chan, SKUA_ITEM(item), SKUA_NOW), 0);
    CHECK_INT(skua_chan_recv(chan, SKUA_ITEM(got), SKUA_NOW), 1);
    CHECK_INT(got, 3);
    skua_chan_release(chan, SKUA_SENDER | SKUA_RECEIVER);
}

static int use_everything(void *arg)
{
    static int value;
    const skua_spawn_opts opts = {.name = "child", .pin = 2, .stack_bytes = 64 * 1024};
    skua_chan *chan = NULL;
    skua_task *task = NULL;
    int status = skua_local_set(&key, &value);
    CHECK_PTR(skua_local_get(&key), status == 0 ? &value : NULL);
    if (status == 0) {
        status = skua_chan_create(&chan, sizeof(int), 4);
        CHECK((chan != NULL) == (status == 0));
    }
    if (status == 0) {
        status = skua_spawn(&task, return_zero, NULL, &opts);
        CHECK((task != NULL) == (status == 0));
    }
    if (task != NULL) {
        CHECK_INT(finish(task), 0);
    }
    if (chan != NULL) {
        use_chan(chan);
    }
    return status;
}

static int run_everything(int64_t budget)
{
    return run_with(budget, use_everything);
}

static void a_program_gets_clean_errors_until_there_is_enough(void **state)
{
    const int needed = until_it_succeeds(run_everything);
    CHECK(needed > 0);
    CHECK_INT(run_everything(-1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_runtime_is_made_or_not),
        TEST(a_run_happens_or_not),
        TEST(a_submission_is_made_or_not),
        TEST(a_warm_spawn_allocates_name_and_argument_only),
        TEST(a_refused_task_does_not_count),
        TEST(a_failure_without_memory_keeps_its_code),
        TEST(a_program_gets_clean_errors_until_there_is_enough),
    };
    return TEST_RUN(tests);
}
