/* Memory runs out: the n-th allocation and all after it fail. A spawn into a group happens or not,
   closing always works, failures stay readable, and a map runs what it can. */
#include "../group_help.h"

#include "base/mem.h"

enum { BUDGET_MAX = 1000 };

static void allow(int64_t allocations)
{
    atomic_store(&skua__alloc_budget, allocations);
}

static int count_one(void *arg)
{
    atomic_fetch_add((gate *)arg, 1);
    return 0;
}

/* A hundred members by one budget: as many run as were spawned. */
static int spawn_on_budget(int64_t budget, int *refused)
{
    enum { TASKS = 100 };
    gate ran = 0;
    int spawned = 0;
    *refused = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    const skua_spawn_opts opts = {.group = &group, .name = "a name that is copied"};
    allow(budget);
    for (int i = 0; i < TASKS; i++) {
        const int status = skua_spawn(NULL, count_one, &ran, &opts);
        CHECK(status == 0 || status == -ENOMEM);
        spawned += status == 0;
        *refused += status < 0;
    }
    allow(-1);
    CHECK_INT(skua_group_close(&group, 0), 0);
    CHECK_INT(ran, spawned);
    return spawned + *refused == TASKS ? 0 : -1;
}

static int spawns_body(void *arg)
{
    int refused = 1;
    for (int64_t budget = 0; refused > 0; budget += 7) {
        CHECK(budget < BUDGET_MAX);
        CHECK_INT(spawn_on_budget(budget, &refused), 0);
    }
    return 0;
}

static void a_member_is_spawned_or_not(void **state)
{
    run_on_1_2_4(spawns_body);
}

static int many_body(void *arg)
{
    enum { TASKS = 50 };
    skua_task *tasks[TASKS];
    int refused = 0, status = -ENOMEM;
    for (int64_t budget = 0; status < 0; budget++) {
        gate ran = 0;
        SKUA_GROUP(group);
        skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
        const skua_spawn_opts opts = {.group = &group, .name = "a name that is copied"};
        CHECK(budget < BUDGET_MAX);
        allow(budget);
        status = skua_spawn_many(tasks, count_one, &ran, 0, TASKS, &opts);
        allow(-1);
        CHECK(status == 0 || status == -ENOMEM);
        CHECK_INT(skua_group_count(&group) <= TASKS, 1);
        CHECK_INT(skua_group_close(&group, 0), 0);
        CHECK_INT(ran, status == 0 ? TASKS : 0); /* all or none */
        refused += status < 0;
    }
    CHECK(refused >= TASKS);
    skua_task_release_all(tasks, TASKS);
    return 0;
}

static void many_members_are_spawned_or_none(void **state)
{
    run_on_1_2_4(many_body);
}

static int fail_with_text(void *arg)
{
    const int code = *(int *)arg;
    return skua_fail(code, "a text");
}

/* No memory for records, nor for what the causes hang on. */
static int fail_without_memory(void *arg)
{
    int codes[] = {-EIO, -EPIPE, -EIO};
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_COLLECT, SKUA_FOREVER);
    for (int i = 0; i < 3; i++) {
        add(&group, fail_with_text, &codes[i]);
    }
    allow(*(int64_t *)arg);
    int status = skua_group_close(&group, 0);
    CHECK_INT(status, -EIO);
    CHECK_INT(skua_group_error_count(&group), 3);
    for (size_t i = 0; i < 3; i++) {
        const skua_error *error = skua_group_error(&group, i);
        CHECK_INT(error->code, codes[i]);
        CHECK(error->text[0] == '\0' || strcmp(error->text, "a text") == 0);
        CHECK_INT(skua_error_causes(error, NULL, 0), 0);
    }
    return status; /* the causes are handed on by the declarator */
}

static int failures_body(void *arg)
{
    for (int64_t budget = 0; budget < 12; budget++) {
        skua_task *task = spawn(fail_without_memory, &budget);
        const int status = status_of(task);
        allow(-1);
        CHECK_INT(status, -EIO);
        const skua_error *error = skua_task_error(task);
        const size_t causes = error != NULL ? skua_error_causes(error, NULL, 0) : 0;
        CHECK(causes == 0 || causes == 3);
        skua_task_release(task);
    }
    return 0;
}

static void failures_are_readable_without_memory(void **state)
{
    run_on(1, failures_body);
}

/* Another runner cannot be had: those that are there do the work. */
static int map_body(void *arg)
{
    int refused = 1;
    for (int64_t budget = 0; refused > 0; budget++) {
        gate ran[20] = {0};
        CHECK(budget < BUDGET_MAX);
        const skua_map_opts opts = {.name = "a name that is copied", .policy = SKUA_COLLECT};
        allow(budget);
        const int status = skua_map(count_one, ran, sizeof ran[0], 20, &opts);
        allow(-1);
        CHECK(status == 0 || status == -ENOMEM);
        for (int i = 0; i < 20; i++) {
            CHECK_INT(ran[i], status == 0);
        }
        refused = status < 0;
    }
    return 0;
}

static void a_map_runs_all_or_says_so(void **state)
{
    run_on(1, map_body);
    run_on(2, map_body);
}

static int limited_body(void *arg)
{
    gate ran[50] = {0};
    CHECK_INT(skua_map(count_one, ran, sizeof ran[0], 50, NULL), 0);
    for (int i = 0; i < 50; i++) {
        CHECK_INT(ran[i], 1);
    }
    int status = 0, spawned = 0;
    gate cancelled = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    while ((status = skua_group_spawn(&group, count_and_sleep, &cancelled)) == 0) {
        spawned++;
    }
    CHECK_INT(status, -EAGAIN);
    CHECK_INT(spawned, 3); /* and the main task */
    skua_group_cancel(&group);
    status = skua_group_spawn(&group, never_called, NULL);
    CHECK(status == -EAGAIN || status == -ECANCELED); /* some may have ended by now */
    CHECK_INT(skua_group_close(&group, 0), 0);
    CHECK_INT(cancelled, spawned);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    skua_group_cancel(&group);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(skua_group_spawn(&group, never_called, NULL), -ECANCELED); /* does not count */
    }
    CHECK_INT(skua_group_close(&group, 0), 0);
    return 0;
}

static void the_limit_of_tasks_counts_members(void **state)
{
    const skua_config config = {.workers = 2, .max_tasks = 4};
    CHECK_INT(skua_run(&config, limited_body, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_member_is_spawned_or_not),           TEST(many_members_are_spawned_or_none),
        TEST(failures_are_readable_without_memory), TEST(a_map_runs_all_or_says_so),
        TEST(the_limit_of_tasks_counts_members),
    };
    return TEST_RUN(tests);
}
