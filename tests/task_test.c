/* Tasks: spawn, join, results, references, errors, arguments, pins, sleep, cancel. */
#include "tasks.h"

#include <pthread.h>

/* --- results and joins ------------------------------------------------------------------------ */

static int double_it(void *arg)
{
    return 2 * *(int *)arg;
}

static int fail_with(void *arg)
{
    return *(int *)arg;
}

static int results_body(void *arg)
{
    skua_task *tasks[100];
    int values[100];
    for (int i = 0; i < 100; i++) {
        values[i] = i;
        tasks[i] = spawn(double_it, &values[i]);
    }
    for (int i = 0; i < 100; i++) {
        CHECK_INT(status_of(tasks[i]), 2 * i);
        CHECK_INT(skua_task_state(tasks[i]), SKUA_DONE);
        CHECK_PTR(skua_task_error(tasks[i]), NULL);
    }
    skua_task_release_all(tasks, 100);
    CHECK_PTR(tasks[0], NULL);
    skua_task_release(NULL);
    return 0;
}

/* covers: A11 */
static void join_gives_each_result(void **state)
{
    run_on_1_2_4(results_body);
}

static int wait_at_gate(void *arg)
{
    await(arg, 1);
    return 42;
}

static int join_it(void *arg)
{
    return status_of(arg);
}

static void *join_in_thread(void *arg)
{
    CHECK_INT(status_of(arg), 42);
    CHECK_INT(status_of(arg), 42);
    return NULL;
}

static int many_joiners_body(void *arg)
{
    enum { TASKS = 200, THREADS = 4 };
    gate open = 0;
    skua_task *joiners[TASKS];
    pthread_t threads[THREADS];
    skua_task *target = spawn(wait_at_gate, &open);
    for (int i = 0; i < TASKS; i++) {
        joiners[i] = spawn(join_it, target);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, join_in_thread, target), 0);
    }
    for (int i = 0; i < 500; i++) {
        CHECK_INT(skua_yield(), 0);
    }
    CHECK_INT(skua_task_state(target), SKUA_RUNNING);
    atomic_store(&open, 1);
    for (int i = 0; i < TASKS; i++) {
        CHECK_INT(finish(joiners[i]), 42);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    CHECK_INT(status_of(target), 42);
    CHECK_INT(finish(target), 42);
    return 0;
}

/* covers: A11 */
static void any_number_of_tasks_and_threads_join_repeatedly(void **state)
{
    run_on_1_2_4(many_joiners_body);
}

static int timeout_body(void *arg)
{
    gate open = 0;
    int status = 7;
    skua_task *task = spawn(wait_at_gate, &open);
    CHECK_INT(skua_join(task, &status, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_join(task, &status, skua_after(0)), -ETIMEDOUT);
    const skua_time start = skua_clock();
    CHECK_INT(skua_join(task, &status, skua_after(SKUA_MS(10))), -ETIMEDOUT);
    CHECK(skua_elapsed_ns(start) >= SKUA_MS(10));
    CHECK_INT(status, 7);
    CHECK_INT(skua_task_state(task), SKUA_RUNNING);
    atomic_store(&open, 1);
    CHECK_INT(skua_join(task, NULL, SKUA_FOREVER), 0);
    CHECK_INT(skua_join(task, &status, SKUA_NOW), 0);
    CHECK_INT(status, 42);
    CHECK_INT(skua_join(task, NULL, skua_after(0)), 0);
    skua_task_release(task);
    return 0;
}

/* covers: A11 */
static void join_timeout_leaves_the_task_alone(void **state)
{
    run_on_1_2_4(timeout_body);
}

/* covers: A70 */
static void join_timeout_in_a_foreign_thread(void **state)
{
    skua_runtime *runtime;
    const skua_config config = {.workers = 2};
    gate open = 0;
    skua_task *task;
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    CHECK_INT(skua_submit(runtime, &task, wait_at_gate, &open, NULL), 0);
    CHECK_INT(skua_join(task, NULL, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_join(task, NULL, skua_after(0)), -ETIMEDOUT);
    const skua_time start = skua_clock();
    CHECK_INT(skua_join(task, NULL, skua_after(SKUA_MS(10))), -ETIMEDOUT);
    CHECK(skua_elapsed_ns(start) >= SKUA_MS(10));
    atomic_store(&open, 1);
    CHECK_INT(finish(task), 42);
    skua_runtime_destroy(runtime);
}

static int join_self(void *arg)
{
    CHECK_INT(skua_join(skua_self(), NULL, SKUA_FOREVER), -EDEADLK);
    CHECK_INT(skua_join(skua_self(), NULL, SKUA_NOW), -EDEADLK);
    return 0;
}

static void join_of_itself_is_a_deadlock(void **state)
{
    run_on(1, join_self);
}

static int end_body(void *arg)
{
    int *cell = arg;
    *cell += 1; /* no atomics: the join orders it */
    return 0;
}

static int order_body(void *arg)
{
    int cell = 0;
    for (int i = 0; i < 2000; i++) {
        cell++;
        CHECK_INT(call(end_body, &cell), 0);
        CHECK_INT(cell, 2 * (i + 1));
    }
    return 0;
}

static void spawn_and_join_order_memory(void **state)
{
    run_on_1_2_4(order_body);
}

/* A race of ends, timeouts and cancels of joins: the joiner always knows which. */
static int join_with_short_deadlines(void *arg)
{
    uint64_t random = test_seed();
    for (int i = 0; i < 1000; i++) {
        gate open = 0;
        int status = 0, joined = -ETIMEDOUT;
        skua_task *task = spawn(wait_at_gate, &open);
        for (int turn = 0; joined < 0; turn++) {
            if (turn == 2) {
                atomic_store(&open, 1);
            }
            joined = skua_join(task, &status, skua_after((int64_t)(test_random(&random) % 100000)));
            CHECK(joined == 0 || joined == -ETIMEDOUT);
        }
        CHECK_INT(status, 42);
        skua_task_release(task);
    }
    return 0;
}

static void join_races_with_its_deadline(void **state)
{
    run_on_1_2_4(join_with_short_deadlines);
}

/* --- references and failures ------------------------------------------------------------------ */

static int count_later(void *arg)
{
    for (int i = 0; i < 3; i++) {
        CHECK_INT(skua_yield(), 0);
    }
    atomic_fetch_add((gate *)arg, 1);
    return 0;
}

static int detach_body(void *arg)
{
    gate count = 0;
    for (int i = 0; i < 100; i++) {
        CHECK_INT(skua_spawn(NULL, count_later, &count, NULL), 0);
        skua_task_release(spawn(count_later, &count));
    }
    await(&count, 200);
    return 0;
}

/* covers: A16 */
static void detached_tasks_run_to_their_end(void **state)
{
    run_on_1_2_4(detach_body);
}

static int retain_body(void *arg)
{
    gate open = 0;
    skua_task *task = spawn(wait_at_gate, &open);
    CHECK_PTR(skua_task_retain(task), task);
    skua_task_release(task);
    atomic_store(&open, 1);
    CHECK_INT(finish(task), 42);
    return 0;
}

static void a_retained_task_stays(void **state)
{
    run_on(2, retain_body);
}

static int fail_with_text(void *arg)
{
    return skua_fail(-EIO, "reading %s", "sector 7");
}

static int report_body(void *arg)
{
    int code = -EBADF;
    const skua_spawn_opts loser = {.name = "loser", .arg_bytes = sizeof code};
    const skua_spawn_opts winner = {.name = "winner", .arg_bytes = sizeof code};
    gate open = 0;
    skua_task *task = spawn_with(fail_with, &code, &loser);
    skua_task *barrier = spawn(wait_at_gate, &open);
    while (skua_task_state(task) == SKUA_RUNNING) {
        CHECK_INT(skua_yield(), 0);
    }
    skua_task_retain(task);
    skua_task_release(task);
    skua_task_release(task); /* the last one: nobody has asked */
    CHECK_INT(finish(spawn_with(fail_with, &code, &winner)), -EBADF);
    task = spawn_with(fail_with, &code, &winner);
    while (skua_task_state(task) == SKUA_RUNNING) {
        CHECK_INT(skua_yield(), 0);
    }
    CHECK(skua_task_error(task) != NULL);
    skua_task_release(task); /* looked at */
    task = spawn(sleep_forever, NULL);
    skua_task_cancel(task);
    while (skua_task_state(task) == SKUA_RUNNING) {
        CHECK_INT(skua_yield(), 0);
    }
    CHECK_INT(skua_task_state(task), SKUA_CANCELLED);
    skua_task_release(task);
    atomic_store(&open, 1);
    return finish(barrier) == 42 ? 0 : -1;
}

/* covers: A15 */
static void a_failure_that_nobody_saw_is_reported_once(void **state)
{
    struct said said;
    said_begin(&said);
    run_on(2, report_body);
    const char *text = said_end(&said);
    CHECK_INT(count_of(text, "loser"), 1);
    CHECK_INT(count_of(text, "winner"), 0);
    CHECK_INT(count_of(text, "\n"), 1);
}

static int report_detached_body(void *arg)
{
    const skua_spawn_opts opts = {.name = "orphan"};
    CHECK_INT(skua_spawn(NULL, fail_with_text, NULL, &opts), 0);
    return 0; /* it runs before the runtime ends, as a detached task */
}

/* covers: A15 */
static void a_detached_failure_is_reported_when_it_ends(void **state)
{
    struct said said;
    said_begin(&said);
    run_on(1, report_detached_body);
    const char *text = said_end(&said);
    CHECK_INT(count_of(text, "orphan"), 1);
    CHECK_INT(count_of(text, "reading sector 7"), 1);
}

static int error_body(void *arg)
{
    const skua_spawn_opts opts = {.name = "reader"};
    skua_task *task = spawn_with(fail_with_text, NULL, &opts);
    CHECK_INT(status_of(task), -EIO);
    CHECK_INT(skua_task_state(task), SKUA_FAILED);
    const skua_error *error = skua_task_error(task);
    CHECK(error != NULL);
    CHECK_INT(error->code, -EIO);
    CHECK_STR(error->text, "reading sector 7");
    CHECK_STR(error->task_name, "reader");
    CHECK(strstr(error->file, "task_test.c") != NULL);
    CHECK(error->line > 0);
    skua_task_release(task);
    return 0;
}

static void fail_attaches_text_and_origin(void **state)
{
    run_on_1_2_4(error_body);
    CHECK_INT(skua_fail(-EIO, "outside of a task"), -EIO);
}

static int fail_twice(void *arg)
{
    int first = skua_fail(-EIO, "the first");
    CHECK_INT(first, -EIO);
    return skua_fail(-EIO, "the last");
}

static int fail_then_other_code(void *arg)
{
    int code = skua_fail(-EIO, "of another code");
    CHECK_INT(code, -EIO);
    return -ENOENT;
}

static int fail_then_succeed(void *arg)
{
    int code = skua_fail(-EIO, "but it went well");
    CHECK_INT(code, -EIO);
    return 3;
}

static int error_code_body(void *arg)
{
    skua_task *task = spawn(fail_twice, NULL);
    CHECK_INT(status_of(task), -EIO);
    CHECK_STR(skua_task_error(task)->text, "the last");
    skua_task_release(task);
    task = spawn(fail_then_other_code, NULL);
    CHECK_INT(status_of(task), -ENOENT);
    const skua_error *error = skua_task_error(task);
    CHECK(error != NULL);
    CHECK_INT(error->code, -ENOENT);
    CHECK(error->text == NULL || error->text[0] == '\0');
    skua_task_release(task);
    task = spawn(fail_then_succeed, NULL);
    CHECK_INT(status_of(task), 3);
    CHECK_PTR(skua_task_error(task), NULL);
    skua_task_release(task);
    return 0;
}

static void fail_counts_only_for_the_code_that_ends_the_task(void **state)
{
    run_on(2, error_code_body);
}

static int names_body(void *arg)
{
    char name[] = "copied";
    const skua_spawn_opts opts = {.name = name};
    CHECK_STR(skua_task_name(skua_self()), "main");
    skua_task *named = spawn_with(return_zero, NULL, &opts);
    skua_task *plain = spawn(return_zero, NULL);
    memset(name, 'x', sizeof name - 1);
    CHECK_STR(skua_task_name(named), "copied");
    CHECK_STR(skua_task_name(plain), "task");
    CHECK_INT(status_of(named), 0);
    CHECK_STR(skua_task_name(named), "copied");
    skua_task_release(named);
    return finish(plain);
}

/* covers: A12 */
static void tasks_have_names(void **state)
{
    run_on(2, names_body);
}

/* --- how to spawn ----------------------------------------------------------------------------- */

typedef struct copied {
    size_t bytes;
    unsigned char data[];
} copied;

static int check_copy(void *arg)
{
    const copied *copy = arg;
    for (size_t i = 0; i + sizeof *copy < copy->bytes; i++) {
        CHECK_INT(copy->data[i], (unsigned char)(i * 7));
    }
    CHECK_INT((uintptr_t)arg % 16, 0);
    return 1;
}

static int copy_byte(void *arg)
{
    return *(char *)arg;
}

static int copies_body(void *arg)
{
    const size_t sizes[] = {sizeof(copied), 16, 47, 48, 49, 64, 4096, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        copied *original = malloc(sizes[i]);
        original->bytes = sizes[i];
        for (size_t at = 0; at + sizeof *original < sizes[i]; at++) {
            original->data[at] = (unsigned char)(at * 7);
        }
        const skua_spawn_opts opts = {.arg_bytes = sizes[i]};
        skua_task *task = spawn_with(check_copy, original, &opts);
        memset(original, 0xff, sizes[i]);
        free(original);
        CHECK_INT(finish(task), 1);
    }
    char byte = 'b';
    const skua_spawn_opts one = {.arg_bytes = 1};
    skua_task *task = spawn_with(copy_byte, &byte, &one);
    byte = 'c';
    CHECK_INT(finish(task), 'b');
    return 0;
}

static void arguments_are_copied(void **state)
{
    run_on_1_2_4(copies_body);
}

/* Touches so much stack, from the top down, as a deep program does. */
static __attribute__((noinline)) int use_stack(size_t bytes)
{
    volatile char page[2048];
    page[0] = (char)bytes;
    page[sizeof page - 1] = 1;
    int below = bytes > 4096 ? use_stack(bytes - 4096) : 0;
    return below + page[0] - (char)bytes;
}

static int use_most_of_stack(void *arg)
{
    return use_stack(*(size_t *)arg / TEST_SCALE / 2);
}

static int stacks_body(void *arg)
{
    const size_t sizes[] = {1, 65536, 65537, 192 * 1024, 1 << 20, 7 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t bytes = sizes[i] > 16384 ? sizes[i] : 16384;
        const skua_spawn_opts opts = {.stack_bytes = sizes[i], .arg_bytes = sizeof bytes};
        CHECK_INT(finish(spawn_with(use_most_of_stack, &bytes, &opts)), 0);
    }
    skua_task *untouched = NULL;
    const skua_spawn_opts huge = {.stack_bytes = (size_t)1 << 30};
    CHECK_INT(skua_spawn(&untouched, return_zero, NULL, &huge), -EINVAL);
    CHECK_INT(skua_spawn(&untouched, NULL, NULL, NULL), -EINVAL);
    CHECK_PTR(untouched, NULL);
    return 0;
}

static void stack_sizes_are_honoured(void **state)
{
    run_on_1_2_4(stacks_body);
}

static void config_with_impossible_stack_is_refused(void **state)
{
    const skua_config config = {.stack_bytes = (size_t)1 << 40};
    CHECK_INT(skua_run(&config, return_zero, NULL), -EINVAL);
    CHECK_INT(skua_run(NULL, NULL, NULL), -EINVAL);
}

static void spawn_is_for_tasks_only(void **state)
{
    skua_task *task = NULL;
    CHECK_INT(skua_spawn(&task, return_zero, NULL, NULL), -EPERM);
    CHECK_PTR(task, NULL);
    CHECK_PTR(skua_self(), NULL);
    CHECK_PTR(skua_runtime_current(), NULL);
    CHECK_INT(skua_yield(), 0);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(1))), 0);
}

static int limit_body(void *arg)
{
    skua_task *tasks[9], *extra = NULL;
    gate open = 0;
    for (int i = 0; i < 9; i++) {
        tasks[i] = spawn(wait_at_gate, &open);
    }
    CHECK_INT(skua_spawn(&extra, wait_at_gate, &open, NULL), -EAGAIN);
    CHECK_PTR(extra, NULL);
    atomic_store(&open, 1);
    for (int i = 0; i < 9; i++) {
        CHECK_INT(finish(tasks[i]), 42);
    }
    return 0;
}

static void max_tasks_is_a_limit(void **state)
{
    const skua_config config = {.workers = 2, .max_tasks = 10};
    CHECK_INT(skua_run(&config, limit_body, NULL), 0);
}

static int one_at_a_time_body(void *arg)
{
    for (int i = 0; i < 50000 / TEST_SCALE; i++) {
        skua_task *task = NULL;
        CHECK_INT(skua_spawn(&task, return_zero, NULL, NULL), 0);
        while (skua_task_state(task) == SKUA_RUNNING) {
            CHECK_INT(skua_yield(), 0);
        }
        CHECK_INT(finish(task), 0);
    }
    return 0;
}

/* Who has seen the end of a task knows that it is not alive any more. */
static void a_joined_task_does_not_count_as_alive(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_config config = {.workers = workers, .max_tasks = 2};
        CHECK_INT(skua_run(&config, one_at_a_time_body, NULL), 0);
    }
}

/* --- many at once ----------------------------------------------------------------------------- */

enum { MANY = 3000 };

static int add_to_sum(void *arg)
{
    atomic_fetch_add((gate *)arg, 1);
    return 0;
}

static int many_body(void *arg)
{
    static int values[MANY];
    static skua_task *tasks[MANY];
    gate ran = 0;
    for (int i = 0; i < MANY; i++) {
        values[i] = i;
    }
    CHECK_INT(skua_spawn_many(tasks, double_it, values, sizeof values[0], MANY, NULL), 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_INT(finish(tasks[i]), 2 * i);
    }
    const skua_spawn_opts copies = {.arg_bytes = sizeof values[0], .name = "one of many"};
    CHECK_INT(skua_spawn_many(tasks, double_it, values, sizeof values[0], MANY, &copies), 0);
    memset(values, 0, sizeof values);
    for (int i = 0; i < MANY; i++) {
        CHECK_STR(skua_task_name(tasks[i]), "one of many");
        CHECK_INT(finish(tasks[i]), 2 * i);
    }
    const skua_spawn_opts pinned = {.pin = 1};
    CHECK_INT(skua_spawn_many(NULL, add_to_sum, &ran, 0, MANY, NULL), 0);
    CHECK_INT(skua_spawn_many(NULL, add_to_sum, &ran, 0, MANY, &pinned), 0);
    await(&ran, 2 * MANY);
    CHECK_INT(skua_spawn_many(tasks, add_to_sum, &ran, 0, 0, NULL), 0);
    CHECK_INT(skua_spawn_many(tasks, NULL, &ran, 0, 1, NULL), -EINVAL);
    CHECK_INT(skua_spawn_many(tasks, add_to_sum, NULL, 0, 1, &copies), -EINVAL);
    return 0;
}

static void many_tasks_start_at_once(void **state)
{
    run_on_1_2_4(many_body);
    CHECK_INT(skua_spawn_many(NULL, return_zero, NULL, 0, 1, NULL), -EPERM);
}

static int many_or_none_body(void *arg)
{
    skua_task *tasks[10];
    gate ran = 0;
    const skua_spawn_opts huge = {.stack_bytes = SIZE_MAX};
    CHECK_INT(skua_spawn_many(tasks, add_to_sum, &ran, 0, 10, NULL), -EAGAIN);
    CHECK_INT(skua_spawn_many(tasks, add_to_sum, &ran, 0, 9, &huge), -EINVAL);
    CHECK_INT(skua_spawn_many(tasks, add_to_sum, &ran, 0, 9, NULL), 0);
    for (int i = 0; i < 9; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(atomic_load(&ran), 9);
    return 0;
}

static void many_tasks_start_or_none(void **state)
{
    const skua_config config = {.workers = 2, .max_tasks = 10};
    CHECK_INT(skua_run(&config, many_or_none_body, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(join_gives_each_result),
        TEST(any_number_of_tasks_and_threads_join_repeatedly),
        TEST(join_timeout_leaves_the_task_alone),
        TEST(join_timeout_in_a_foreign_thread),
        TEST(join_of_itself_is_a_deadlock),
        TEST(spawn_and_join_order_memory),
        TEST(join_races_with_its_deadline),
        TEST(detached_tasks_run_to_their_end),
        TEST(a_retained_task_stays),
        TEST(a_failure_that_nobody_saw_is_reported_once),
        TEST(a_detached_failure_is_reported_when_it_ends),
        TEST(fail_attaches_text_and_origin),
        TEST(fail_counts_only_for_the_code_that_ends_the_task),
        TEST(tasks_have_names),
        TEST(arguments_are_copied),
        TEST(stack_sizes_are_honoured),
        TEST(config_with_impossible_stack_is_refused),
        TEST(spawn_is_for_tasks_only),
        TEST(max_tasks_is_a_limit),
        TEST(a_joined_task_does_not_count_as_alive),
        TEST(many_tasks_start_at_once),
        TEST(many_tasks_start_or_none),
    };
    return TEST_RUN(tests);
}
