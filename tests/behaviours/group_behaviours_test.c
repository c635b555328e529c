/* Groups, at exact moments of the virtual clock. */
#include "virtual_runs.h"

/* --- failures --------------------------------------------------------------------------------- */

/* A sibling that fails in its own way when it is cancelled. */
static int fail_when_cancelled(void *arg)
{
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    return *(int *)arg;
}

static int failing_child_body(void *arg)
{
    nap failing = {.ms = 100, .status = -EIO};
    int late = -EPROTO;
    const skua_time start = skua_clock();
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    CHECK_INT(skua_group_spawn(&group, take_nap, &failing), 0);
    CHECK_INT(skua_group_spawn(&group, sleep_forever, NULL), 0);
    CHECK_INT(skua_group_spawn(&group, fail_when_cancelled, &late), 0);
    const int body = skua_sleep(SKUA_FOREVER);
    CHECK_INT(body, -ECANCELED);
    CHECK_INT(ms_since(start), 100);
    /* It has failed: nothing can be spawned any more, and nothing of it is called. */
    gate called = 0;
    CHECK_INT(skua_group_spawn(&group, fail_when_cancelled, &called), -ECANCELED);
    CHECK_INT(skua_group_close(&group, body), -EIO);
    CHECK_INT(ms_since(start), 100);
    CHECK_INT(skua_group_error_count(&group), 2); /* who was merely cancelled has not failed */
    CHECK_INT(skua_group_error(&group, 0)->code, -EIO);
    CHECK_INT(skua_group_error(&group, 1)->code, -EPROTO);
    return 0;
}

/* covers: A27 D53 D55 */
static void a_failing_child_ends_the_group_and_all_failures_are_kept(void **state)
{
    run_virtually_on_1_2_4(failing_child_body);
}

static int spawn_children(skua_group *group, skua_policy policy, nap naps[], int count)
{
    skua_group_open(group, policy, SKUA_FOREVER);
    for (int i = 0; i < count; i++) {
        CHECK_INT(skua_group_spawn(group, take_nap, &naps[i]), 0);
    }
    return skua_group_close(group, 0);
}

static int policies_body(void *arg)
{
    nap naps[3] = {{300, 3, {0}}, {100, -EIO, {0}}, {200, 2, {0}}};
    skua_group group = {{0}};
    skua_time start = skua_clock();
    CHECK_INT(spawn_children(&group, SKUA_FAIL_FAST, naps, 3), -EIO);
    CHECK_INT(ms_since(start), 100);

    start = skua_clock();
    CHECK_INT(spawn_children(&group, SKUA_COLLECT, naps, 3), -EIO);
    CHECK_INT(ms_since(start), 300);
    CHECK_INT(skua_group_error_count(&group), 1);

    start = skua_clock();
    CHECK_INT(spawn_children(&group, SKUA_ANY_SUCCESS, naps, 3), 2);
    CHECK_INT(ms_since(start), 200);
    skua_group_fini(&group);
    return 0;
}

/* covers: B46 */
static void the_policy_says_when_a_group_ends(void **state)
{
    run_virtually_on_1_2_4(policies_body);
}

/* --- what happens while it closes ------------------------------------------------------------- */

typedef struct family {
    skua_group group;
    gate ended;
} family;

typedef struct descendant {
    family *of;
    int generation;
} descendant;

static int have_a_child(void *arg)
{
    descendant self = *(descendant *)arg;
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(100))), 0); /* the owner is in the close by now */
    if (self.generation < 5) {
        descendant child = {self.of, self.generation + 1};
        const skua_spawn_opts opts = {.group = &self.of->group, .arg_bytes = sizeof child};
        CHECK_INT(skua_spawn(NULL, have_a_child, &child, &opts), 0);
    }
    atomic_fetch_add(&self.of->ended, 1);
    return 0;
}

static int closing_body(void *arg)
{
    family all = {.ended = 0};
    descendant first[2] = {{&all, 1}, {&all, 1}};
    const skua_time start = skua_clock();
    skua_group_open(&all.group, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(skua_group_spawn(&all.group, have_a_child, &first[i]), 0);
    }
    CHECK_INT(skua_group_close(&all.group, 0), 0);
    CHECK_INT(ms_since(start), 500);
    CHECK_INT(all.ended, 10);
    CHECK_INT(skua_group_count(&all.group), 0);
    return 0;
}

/* covers: D56 D66 */
static void children_have_siblings_while_the_owner_closes(void **state)
{
    run_virtually_on_1_2_4(closing_body);
}

/* --- cancels ---------------------------------------------------------------------------------- */

static int note_and_wait(void *arg)
{
    atomic_fetch_add((gate *)arg, 1);
    return skua_sleep(SKUA_FOREVER);
}

static int cancelled_scope_body(void *arg)
{
    gate started = 0;
    const skua_time start = skua_clock();
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_scope_cancel(&scope);
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(skua_group_spawn(&group, note_and_wait, &started), 0);
    }
    CHECK_INT(skua_group_close(&group, 0), -ECANCELED);
    CHECK_INT(started, 5);
    CHECK_INT(skua_scope_close(&scope, -ECANCELED), 0);
    CHECK_INT(ms_since(start), 0);
    return 0;
}

/* covers: D64 */
static void children_of_a_cancelled_scope_run_up_to_their_first_wait(void **state)
{
    run_virtually_on_1_2_4(cancelled_scope_body);
}

static int cancel_group(void *arg)
{
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(200))), 0);
    skua_group_cancel(arg);
    return 0;
}

static int on_purpose_body(void *arg)
{
    gate started = 0;
    const skua_time start = skua_clock();
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(skua_group_spawn(&group, note_and_wait, &started), 0);
    }
    CHECK_INT(skua_group_spawn(&group, cancel_group, &group), 0);
    CHECK_INT(skua_group_close(&group, skua_sleep(SKUA_FOREVER)), 0);
    CHECK_INT(started, 3);
    CHECK_INT(ms_since(start), 200);
    CHECK_INT(skua_group_error_count(&group), 0);
    return 0;
}

/* covers: B2 */
static void a_group_that_was_cancelled_on_purpose_has_not_failed(void **state)
{
    run_virtually_on_1_2_4(on_purpose_body);
}

/* --- members one by one ----------------------------------------------------------------------- */

static int next_body(void *arg)
{
    enum { COUNT = 16 };
    nap naps[COUNT];
    skua_task *handles[COUNT], *task = NULL;
    int cancelled = 0;
    const skua_time start = skua_clock();
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_JOIN_SET, SKUA_FOREVER);
    const skua_spawn_opts opts = {.group = &group};
    for (int i = 0; i < COUNT; i++) {
        naps[i] = (nap){.ms = 1000 - 10 * i, .status = i};
        handles[i] = spawn_with(take_nap, &naps[i], &opts);
    }
    CHECK_INT(skua_group_next(&group, &task, skua_after(SKUA_MS(100))), -ETIMEDOUT);
    for (int i = 1; i < COUNT; i += 2) {
        skua_task_cancel(handles[i]);
    }
    for (; cancelled < COUNT / 2; cancelled++) {
        CHECK_INT(skua_group_next(&group, &task, SKUA_FOREVER), 1);
        CHECK_INT(finish(task), -ECANCELED);
    }
    CHECK_INT(ms_since(start), 100);
    for (int i = COUNT - 2; i >= 0; i -= 2) { /* the shortest first */
        CHECK_INT(skua_group_next(&group, &task, SKUA_FOREVER), 1);
        CHECK_INT(finish(task), i);
        CHECK_INT(ms_since(start), naps[i].ms);
    }
    CHECK_INT(skua_group_next(&group, &task, SKUA_FOREVER), 0);
    CHECK_INT(skua_group_close(&group, 0), 0);
    skua_task_release_all(handles, COUNT);
    return 0;
}

/* covers: B22 D52 */
static void of_sixteen_the_odd_ones_are_cancelled_and_each_is_given_once(void **state)
{
    run_virtually_on_1_2_4(next_body);
}

static int get_ready(void *arg)
{
    const int status = skua_sleep(skua_after(SKUA_MS(50)));
    if (status < 0) {
        return status;
    }
    skua_started(arg);
    return skua_sleep(skua_after(SKUA_MS(100)));
}

static int start_body(void *arg)
{
    int port = 8080;
    void *value = NULL;
    const skua_time start = skua_clock();
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    CHECK_INT(skua_group_start(&group, get_ready, &port, &value, SKUA_FOREVER), 0);
    CHECK_INT(ms_since(start), 50);
    CHECK_PTR(value, &port);
    CHECK_INT(skua_group_start(&group, get_ready, &port, &value, skua_after(SKUA_MS(20))),
              -ETIMEDOUT);
    CHECK_INT(ms_since(start), 70);
    CHECK_INT(skua_group_close(&group, 0), 0);
    CHECK_INT(ms_since(start), 150);
    return 0;
}

/* covers: B13 */
static void a_start_returns_when_the_member_is_ready(void **state)
{
    run_virtually_on_1_2_4(start_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_failing_child_ends_the_group_and_all_failures_are_kept),
        TEST(the_policy_says_when_a_group_ends),
        TEST(children_have_siblings_while_the_owner_closes),
        TEST(children_of_a_cancelled_scope_run_up_to_their_first_wait),
        TEST(a_group_that_was_cancelled_on_purpose_has_not_failed),
        TEST(of_sixteen_the_odd_ones_are_cancelled_and_each_is_given_once),
        TEST(a_start_returns_when_the_member_is_ready),
    };
    return TEST_RUN(tests);
}
