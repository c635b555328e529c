/* Task-locals: bindings that follow a task, copied at spawn. */
#include "tasks.h"

#include "base/mem.h"

#include <pthread.h>

static const skua_local name_key = {"name"}, other_key = {"other"}, same_name_key = {"name"};

static void set(const skua_local *key, void *value)
{
    CHECK_INT(skua_local_set(key, value), 0);
}

static int values[4]; /* only their addresses matter */

/* --- one task --------------------------------------------------------------------------------- */

static int set_and_get(void *arg)
{
    CHECK_PTR(skua_local_get(&name_key), NULL);
    set(&name_key, &values[0]);
    CHECK_PTR(skua_local_get(&name_key), &values[0]);
    set(&name_key, &values[1]);
    CHECK_PTR(skua_local_get(&name_key), &values[1]);
    set(&name_key, NULL);
    CHECK_PTR(skua_local_get(&name_key), NULL);
    return 0;
}

static void a_value_can_be_set_changed_and_unset(void **state)
{
    run_on(1, set_and_get);
}

static int set_two_keys(void *arg)
{
    set(&name_key, &values[0]);
    CHECK_PTR(skua_local_get(&same_name_key), NULL);
    set(&same_name_key, &values[1]);
    CHECK_PTR(skua_local_get(&name_key), &values[0]);
    CHECK_PTR(skua_local_get(&same_name_key), &values[1]);
    return 0;
}

static void keys_are_addresses_not_names(void **state)
{
    run_on(1, set_two_keys);
}

enum { KEYS = 500 };

static int set_many(void *arg)
{
    static skua_local keys[KEYS];
    for (uintptr_t i = 0; i < KEYS; i++) {
        set(&keys[i], (void *)(i + 1));
    }
    for (uintptr_t i = 0; i < KEYS; i += 2) {
        set(&keys[i], (void *)(i + 1000));
    }
    CHECK_INT(skua_yield(), 0);
    for (uintptr_t i = 0; i < KEYS; i++) {
        CHECK_PTR(skua_local_get(&keys[i]), (void *)(i + (i % 2 ? 1 : 1000)));
    }
    return 0;
}

static int many_body(void *arg)
{
    CHECK_INT(call(set_many, NULL), 0);
    return set_many(NULL);
}

static void many_keys_are_kept_apart(void **state)
{
    run_on(2, many_body);
}

static int expect_nothing(void *arg)
{
    CHECK_PTR(skua_local_get(&name_key), NULL);
    CHECK_PTR(skua_local_get(&other_key), NULL);
    return 0;
}

static int set_and_leave(void *arg)
{
    set(&name_key, &values[0]);
    set(&other_key, &values[1]);
    return 0;
}

/* The next task runs on the same stack and in the same slot. */
static int leave_body(void *arg)
{
    for (int i = 0; i < 100; i++) {
        CHECK_INT(call(set_and_leave, NULL), 0);
        CHECK_INT(call(expect_nothing, NULL), 0);
    }
    return 0;
}

static void an_ended_task_leaves_nothing_behind(void **state)
{
    run_on_1_2_4(leave_body);
}

/* --- parents and children --------------------------------------------------------------------- */

typedef struct pair {
    gate ready, seen;
    void *name, *other; /* what the child must find */
} pair;

static int expect_then_change(void *arg)
{
    pair *both = arg;
    await(&both->ready, 1); /* the parent has changed its own by now */
    CHECK_PTR(skua_local_get(&name_key), both->name);
    CHECK_PTR(skua_local_get(&other_key), both->other);
    set(&name_key, &values[3]);
    set(&other_key, &values[3]);
    atomic_store(&both->seen, 1);
    CHECK_INT(skua_yield(), 0);
    CHECK_PTR(skua_local_get(&name_key), &values[3]);
    return 0;
}

static int snapshot_body(void *arg)
{
    pair both = {.name = &values[0], .other = NULL};
    set(&name_key, &values[0]);
    skua_task *child = spawn(expect_then_change, &both);
    set(&name_key, &values[1]); /* shadows; the child keeps the old one */
    set(&other_key, &values[2]);
    atomic_store(&both.ready, 1);
    await(&both.seen, 1);
    CHECK_PTR(skua_local_get(&name_key), &values[1]);
    CHECK_PTR(skua_local_get(&other_key), &values[2]);
    CHECK_INT(finish(child), 0);
    CHECK_PTR(skua_local_get(&name_key), &values[1]);
    CHECK_PTR(skua_local_get(&other_key), &values[2]);
    return 0;
}

/* covers: A13 D51 */
static void a_child_has_a_snapshot_and_changes_do_not_cross(void **state)
{
    run_on_1_2_4(snapshot_body);
}

/* The only holder changes in place: but not while a child that has not started yet holds it too. */
static int unstarted_body(void *arg)
{
    for (uintptr_t i = 1; i < 200; i++) {
        pair both = {.ready = 1, .name = (void *)i};
        set(&name_key, (void *)i);
        skua_task *child = spawn(expect_then_change, &both);
        set(&name_key, (void *)(i + 1));
        set(&name_key, (void *)(i + 2));
        CHECK_INT(finish(child), 0);
        CHECK_PTR(skua_local_get(&name_key), (void *)(i + 2));
    }
    return 0;
}

static void a_change_after_the_spawn_does_not_reach_a_child_that_waits(void **state)
{
    run_on_1_2_4(unstarted_body);
}

static int check_depth(void *arg)
{
    const uintptr_t depth = (uintptr_t)skua_local_get(&name_key);
    CHECK_PTR(skua_local_get(&other_key), &values[0]);
    if (depth == 20) {
        return 20;
    }
    set(&name_key, (void *)(depth + 1));
    const int deepest = call(check_depth, NULL);
    CHECK_PTR(skua_local_get(&name_key), (void *)(depth + 1));
    return deepest;
}

static int descend_body(void *arg)
{
    set(&other_key, &values[0]);
    CHECK_INT(check_depth(NULL), 20);
    return 0;
}

/* covers: B47 */
static void each_generation_has_its_own_value(void **state)
{
    run_on_1_2_4(descend_body);
}

static int inherit_detached(void *arg)
{
    CHECK_PTR(skua_local_get(&name_key), &values[0]);
    atomic_fetch_add((gate *)arg, 1);
    return 0;
}

static int spawn_and_end(void *arg)
{
    set(&name_key, &values[0]);
    CHECK_INT(skua_spawn(NULL, inherit_detached, arg, NULL), 0);
    return 0;
}

static int outlive_body(void *arg)
{
    gate inherited = 0;
    for (int i = 0; i < 100; i++) {
        CHECK_INT(call(spawn_and_end, &inherited), 0);
    }
    await(&inherited, 100);
    return 0;
}

static void values_outlive_the_parent(void **state)
{
    run_on_1_2_4(outlive_body);
}

/* --- wherever it runs ------------------------------------------------------------------------- */

static int carry(void *arg)
{
    set(&name_key, arg);
    for (uint32_t i = 0; i < 300 / TEST_SCALE; i++) {
        const skua_spawn_opts elsewhere = {.pin = 1 + i % 4}; /* its end takes us there */
        CHECK_INT(finish(spawn_with(return_zero, NULL, &elsewhere)), 0);
        CHECK_PTR(skua_local_get(&name_key), arg);
        set(&other_key, (char *)arg + i);
        CHECK_INT(skua_yield(), 0);
        CHECK_PTR(skua_local_get(&other_key), (char *)arg + i);
    }
    return 0;
}

static int carry_body(void *arg)
{
    skua_task *tasks[8];
    for (uintptr_t i = 0; i < 8; i++) {
        tasks[i] = spawn(carry, (void *)(1000 * (i + 1)));
    }
    for (int i = 0; i < 8; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    return 0;
}

/* covers: A13 */
static void values_move_with_the_task(void **state)
{
    run_on(4, carry_body);
}

static void *use_on_thread(void *arg)
{
    CHECK_INT(skua_local_set(&name_key, &values[0]), -EPERM);
    CHECK_PTR(skua_local_get(&name_key), NULL);
    return NULL;
}

static int start_thread(void *arg)
{
    pthread_t thread;
    set(&name_key, &values[0]);
    CHECK_INT(pthread_create(&thread, NULL, use_on_thread, NULL), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    return 0;
}

static void a_foreign_thread_has_none(void **state)
{
    use_on_thread(NULL);
    run_on(1, start_thread);
}

static int submit_to_other(void *arg)
{
    skua_task *task;
    pair both = {.ready = 1, .name = &values[2]};
    set(&name_key, &values[2]);
    CHECK_INT(skua_submit(arg, &task, expect_then_change, &both, NULL), 0);
    CHECK_INT(finish(task), 0);
    CHECK_PTR(skua_local_get(&name_key), &values[2]);
    return 0;
}

static void a_submission_has_those_of_the_task_that_submits(void **state)
{
    skua_runtime *runtime;
    const skua_config config = {.workers = 2};
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    CHECK_INT(skua_call(runtime, expect_nothing, NULL, SKUA_FOREVER), 0);
    run_on_with(2, submit_to_other, runtime);
    skua_runtime_destroy(runtime);
}

/* --- without memory --------------------------------------------------------------------------- */

/* Set while nothing can be allocated. One worker: nobody else allocates. */
static int set_without_memory(const skua_local *key, void *value)
{
    atomic_store(&skua__alloc_budget, 0);
    const int status = skua_local_set(key, value);
    atomic_store(&skua__alloc_budget, -1);
    return status;
}

static int keep_old(void *arg)
{
    CHECK_INT(set_without_memory(&name_key, &values[0]), -ENOMEM);
    CHECK_PTR(skua_local_get(&name_key), NULL);

    set(&name_key, &values[0]);
    CHECK_INT(set_without_memory(&other_key, &values[1]), -ENOMEM);
    CHECK_PTR(skua_local_get(&name_key), &values[0]);
    CHECK_PTR(skua_local_get(&other_key), NULL);

    /* Nobody shares the set: it is changed in place. */
    CHECK_INT(set_without_memory(&name_key, &values[1]), 0);
    CHECK_PTR(skua_local_get(&name_key), &values[1]);

    /* A child shares it, until it has ended. */
    pair both = {.name = &values[1]};
    skua_task *child = spawn(expect_then_change, &both);
    CHECK_INT(set_without_memory(&name_key, &values[2]), -ENOMEM);
    CHECK_PTR(skua_local_get(&name_key), &values[1]);
    atomic_store(&both.ready, 1);
    CHECK_INT(finish(child), 0);
    CHECK_INT(set_without_memory(&name_key, &values[2]), 0);
    CHECK_PTR(skua_local_get(&name_key), &values[2]);
    return 0;
}

static void without_memory_the_old_value_stays(void **state)
{
    run_on(1, keep_old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_value_can_be_set_changed_and_unset),
        TEST(keys_are_addresses_not_names),
        TEST(many_keys_are_kept_apart),
        TEST(an_ended_task_leaves_nothing_behind),
        TEST(a_child_has_a_snapshot_and_changes_do_not_cross),
        TEST(a_change_after_the_spawn_does_not_reach_a_child_that_waits),
        TEST(each_generation_has_its_own_value),
        TEST(values_outlive_the_parent),
        TEST(values_move_with_the_task),
        TEST(a_foreign_thread_has_none),
        TEST(a_submission_has_those_of_the_task_that_submits),
        TEST(without_memory_the_old_value_stays),
    };
    return TEST_RUN(tests);
}
