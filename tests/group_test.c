/* Groups: members, policies, what closing gives, and what is left behind. */
#include "group_help.h"

/* --- closing ---------------------------------------------------------------------------------- */

static int close_waits_body(void *arg)
{
    enum { TASKS = 50 };
    gate ended = 0;
    slow slows[TASKS];
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (int i = 0; i < TASKS; i++) {
        slows[i] = (slow){&ended, i * 37 % 1000};
        add(&group, end_slowly, &slows[i]);
    }
    CHECK_INT(skua_group_close(&group, 0), 0);
    CHECK_INT(ended, TASKS);
    CHECK_INT(skua_group_count(&group), 0);
    CHECK_INT(skua_group_error_count(&group), 0);
    return 0;
}

/* covers: A27 */
static void close_returns_when_all_have_ended(void **state)
{
    run_on_1_2_4(close_waits_body);
}

typedef struct square {
    int number, result;
} square;

static int compute_square(void *arg)
{
    square *self = arg;
    CHECK_INT(skua_yield(), 0);
    self->result = self->number * self->number;
    return 0;
}

static int results_body(void *arg)
{
    square squares[MEMBERS];
    skua_task *handles[MEMBERS];
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    const skua_spawn_opts opts = {.group = &group, .name = "square"};
    for (int i = 0; i < MEMBERS; i++) {
        squares[i] = (square){i, -1};
        handles[i] = spawn_with(compute_square, &squares[i], &opts);
    }
    CHECK_INT(skua_group_close(&group, 0), 0);
    for (int i = 0; i < MEMBERS; i++) {
        CHECK_INT(squares[i].result, i * i);
        CHECK_INT(skua_task_state(handles[i]), SKUA_DONE);
        CHECK_STR(skua_task_name(handles[i]), "square");
        CHECK_INT(finish(handles[i]), 0);
    }
    return 0;
}

/* covers: A28 */
static void results_are_there_after_the_close(void **state)
{
    run_on_1_2_4(results_body);
}

static int empty_body(void *arg)
{
    skua_group group = {{0}};
    skua_group_fini(&group); /* never opened */
    for (int i = 0; i < 3; i++) {
        skua_group_open(&group, SKUA_COLLECT, SKUA_FOREVER);
        CHECK_INT(skua_group_close(&group, i), i);
    }
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    CHECK_INT(skua_group_close(&group, -EIO), -EIO);
    skua_group_fini(&group);
    skua_group_fini(&group);
    CHECK(!skua_cancelled());
    return 0;
}

static void a_group_may_be_empty_and_opened_again(void **state)
{
    run_on_1_2_4(empty_body);
}

/* --- fail fast -------------------------------------------------------------------------------- */

static int wait_then_fail(void *arg)
{
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(2))), 0);
    return skua_fail(-EPROTO, "member %d", 7);
}

static int fail_fast_body(void *arg)
{
    gate cancelled = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (int i = 0; i < MEMBERS; i++) {
        add(&group, count_and_sleep, &cancelled);
    }
    add(&group, wait_then_fail, NULL);
    int status = skua_sleep(SKUA_FOREVER); /* the body is cancelled too */
    CHECK_INT(status, -ECANCELED);
    CHECK_INT(skua_group_spawn(&group, return_zero, NULL), -ECANCELED);
    status = skua_group_close(&group, status);
    CHECK_INT(status, -EPROTO);
    CHECK_INT(cancelled, MEMBERS);
    CHECK_INT(skua_group_error_count(&group), 1);
    CHECK_INT(skua_group_error(&group, 0)->code, -EPROTO);
    CHECK_STR(skua_group_error(&group, 0)->text, "member 7");
    CHECK_PTR(skua_group_error(&group, 1), NULL);
    CHECK(!skua_cancelled());
    return 0;
}

/* covers: A27 D53 */
static void a_failure_cancels_siblings_and_body(void **state)
{
    run_on_1_2_4(fail_fast_body);
}

static int fail_on_cancel(void *arg)
{
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    return *(int *)arg;
}

static int all_collected_body(void *arg)
{
    int codes[] = {-EIO, -EPIPE, -EAGAIN};
    int sum = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (int i = 0; i < 3; i++) {
        add(&group, fail_on_cancel, &codes[i]);
    }
    CHECK_INT(skua_yield(), 0);
    CHECK_INT(skua_group_close(&group, -ENOENT), -ENOENT); /* the body failed first */
    CHECK_INT(skua_group_error_count(&group), 3);
    for (size_t i = 0; i < 3; i++) {
        sum += skua_group_error(&group, i)->code;
    }
    CHECK_INT(sum, codes[0] + codes[1] + codes[2]);
    return 0;
}

/* covers: D53 */
static void failures_of_the_cancelled_are_kept_too(void **state)
{
    struct said caught;
    said_begin(&caught);
    run_on_1_2_4(all_collected_body);
    CHECK_STR(said_end(&caught), ""); /* the close has told of them */
}

static int refused_body(void *arg)
{
    char copied[500] = "x";
    skua_task *task, *tasks[3];
    int failed = -EIO;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    add(&group, return_arg, &failed);
    while (!skua_cancelled()) {
        (void)skua_yield();
    }
    const skua_spawn_opts opts = {.group = &group, .name = "refused", .arg_bytes = sizeof copied};
    CHECK_INT(skua_group_spawn(&group, never_called, NULL), -ECANCELED);
    CHECK_INT(skua_spawn(&task, never_called, copied, &opts), -ECANCELED);
    CHECK_INT(skua_spawn_many(tasks, never_called, copied, 0, 3, &opts), -ECANCELED);
    CHECK_INT(skua_group_start(&group, never_called, NULL, NULL, SKUA_FOREVER), -ECANCELED);
    CHECK_INT(skua_group_close(&group, -ECANCELED), -EIO);
    return 0;
}

/* covers: D55 D57 */
static void a_failed_group_refuses_and_leaks_nothing(void **state)
{
    run_on_1_2_4(refused_body);
}

/* --- the other policies ----------------------------------------------------------------------- */

static int collect_body(void *arg)
{
    int codes[MEMBERS] = {3, -EIO, 0, -EPIPE, -EIO};
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_COLLECT, SKUA_FOREVER);
    for (int i = 0; i < MEMBERS; i++) {
        add(&group, return_arg, &codes[i]);
        CHECK_INT(skua_group_room(&group, 1, SKUA_FOREVER), 0);
    }
    CHECK(!skua_cancelled()); /* nobody is cancelled */
    CHECK_INT(skua_group_close(&group, 0), -EIO);
    CHECK_INT(skua_group_error_count(&group), 3);
    CHECK_INT(skua_group_error(&group, 0)->code, -EIO);
    CHECK_INT(skua_group_error(&group, 1)->code, -EPIPE);
    CHECK_INT(skua_group_error(&group, 2)->code, -EIO);
    return 0;
}

/* covers: B46 */
static void collect_keeps_all_failures_in_order(void **state)
{
    run_on_1_2_4(collect_body);
}

static int any_body(void *arg)
{
    gate cancelled = 0;
    int failed = -EIO, won = 42;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_ANY_SUCCESS, SKUA_FOREVER);
    add(&group, return_arg, &failed);
    for (int i = 0; i < MEMBERS; i++) {
        add(&group, count_and_sleep, &cancelled);
    }
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(1))), 0);
    add(&group, return_arg, &won);
    CHECK_INT(skua_group_close(&group, 0), 42);
    CHECK_INT(cancelled, MEMBERS);
    skua_group_open(&group, SKUA_ANY_SUCCESS, SKUA_FOREVER);
    add(&group, return_arg, &failed);
    add(&group, return_arg, &failed);
    CHECK_INT(skua_group_close(&group, 0), -EIO);
    CHECK_INT(skua_group_error_count(&group), 2);
    return 0;
}

/* covers: B46 */
static void any_success_is_enough(void **state)
{
    run_on_1_2_4(any_body);
}

/* A member that lives until it is let go, and is cancelled by nobody. */
static int outlive(void *arg)
{
    gate *may_end = arg;
    while (atomic_load(may_end) == 0) {
        CHECK_INT(skua_yield(), 0);
    }
    atomic_store(may_end, 2);
    return 0;
}

static int supervise_body(void *arg)
{
    enum { FAILURES = SKUA_SUPERVISED_ERRORS_MAX + 4 };
    int codes[FAILURES];
    gate alive = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_SUPERVISE, SKUA_FOREVER);
    add(&group, outlive, &alive);
    for (int i = 0; i < FAILURES; i++) {
        codes[i] = SKUA_ERR(1, i);
        add(&group, return_arg, &codes[i]);
        CHECK_INT(skua_group_room(&group, 2, SKUA_FOREVER), 0); /* it has ended, the other lives */
    }
    atomic_store(&alive, 1);
    CHECK_INT(skua_group_close(&group, 5), 5);
    CHECK_INT(alive, 2);
    CHECK_INT(skua_group_error_count(&group), SKUA_SUPERVISED_ERRORS_MAX);
    CHECK_INT(skua_error_detail(skua_group_error(&group, 0)->code),
              FAILURES - SKUA_SUPERVISED_ERRORS_MAX); /* the latest */
    return 0;
}

/* covers: B48 B50 */
static void supervised_failures_are_isolated_and_reported(void **state)
{
    struct said caught;
    said_begin(&caught);
    run_on(2, supervise_body);
    const char *said = said_end(&caught);
    CHECK_INT(count_of(said, "failed"), SKUA_SUPERVISED_ERRORS_MAX + 4); /* each once */
    run_on_1_2_4(empty_body);
}

static int supervised_handle_body(void *arg)
{
    int failed = -EIO;
    gate cancelled = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_SUPERVISE, SKUA_FOREVER);
    const skua_spawn_opts opts = {.group = &group};
    skua_task *task = spawn_with(return_arg, &failed, &opts);
    CHECK_INT(finish(task), -EIO); /* seen by a join: nothing is said */
    add(&group, count_and_sleep, &cancelled);
    CHECK_INT(skua_group_close(&group, -EPIPE), -EPIPE); /* the body's failure ends all */
    CHECK_INT(cancelled, 1);
    return 0;
}

/* covers: B48 */
static void a_supervised_failure_that_was_joined_is_not_reported(void **state)
{
    struct said caught;
    said_begin(&caught);
    run_on_1_2_4(supervised_handle_body);
    CHECK_STR(said_end(&caught), "");
}

/* --- memory, and the end of everything -------------------------------------------------------- */

/* Ended members leave nothing behind: the slots of a few tasks serve all of them. */
static int bounded_body(void *arg)
{
    enum { TASKS = 20000 / TEST_SCALE, SLOTS = 2000 };
    static skua_task *slots[SLOTS];
    size_t seen = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_SUPERVISE, SKUA_FOREVER);
    const skua_spawn_opts opts = {.group = &group};
    for (int i = 0; i < TASKS; i++) {
        skua_task *task = spawn_with(return_zero, NULL, &opts);
        size_t at = 0;
        while (at < seen && slots[at] != task) {
            at++;
        }
        if (at == seen) {
            CHECK(seen < SLOTS);
            slots[seen++] = task;
        }
        CHECK_INT(finish(task), 0);
    }
    CHECK_INT(skua_group_count(&group), 0);
    CHECK_INT(skua_group_close(&group, 0), 0);
    return 0;
}

/* covers: D58 */
static void a_long_lived_group_does_not_grow(void **state)
{
    run_on_1_2_4(bounded_body);
}

static int end_inside_group(void *arg)
{
    gate *cancelled = ((void **)arg)[0], *ready = ((void **)arg)[1];
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (int i = 0; i < MEMBERS; i++) {
        add(&group, count_and_sleep, cancelled);
    }
    atomic_store(ready, 1);
    return skua_group_close(&group, 0);
}

static int leave_group_behind(void *arg)
{
    CHECK_INT(skua_spawn(NULL, end_inside_group, arg, NULL), 0);
    await(((void **)arg)[1], 1);
    return 0;
}

static void the_end_of_the_runtime_ends_groups(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        gate cancelled = 0, ready = 0;
        void *gates[] = {&cancelled, &ready};
        run_on_with(workers, leave_group_behind, gates);
        CHECK_INT(cancelled, MEMBERS);
    }
}

static int leave_early(void *arg)
{
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    add(&group, count_and_sleep, arg);
    CHECK_INT(skua_yield(), 0);
    return -EIO; /* the declarator closes */
}

static int leave_early_body(void *arg)
{
    gate cancelled = 0;
    CHECK_INT(leave_early(&cancelled), -EIO);
    CHECK_INT(cancelled, 1);
    CHECK(!skua_cancelled());
    return 0;
}

static void a_group_that_is_left_closes_itself(void **state)
{
    run_on_1_2_4(leave_early_body);
}

static int many_at_once_body(void *arg)
{
    enum { TASKS = 300, UNNAMED = 3 };
    static square squares[TASKS], others[UNNAMED];
    skua_task *handles[TASKS];
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    const skua_spawn_opts opts = {.group = &group};
    for (int i = 0; i < TASKS; i++) {
        squares[i] = (square){i, -1};
    }
    CHECK_INT(skua_spawn_many(handles, compute_square, squares, sizeof squares[0], TASKS, &opts),
              0);
    for (int i = 0; i < UNNAMED; i++) {
        others[i] = (square){TASKS + i, -1}; /* their own: two tasks must not write one result */
    }
    CHECK_INT(skua_spawn_many(NULL, compute_square, others, sizeof others[0], UNNAMED, &opts), 0);
    CHECK_INT(skua_group_close(&group, 0), 0);
    for (int i = 0; i < TASKS; i++) {
        CHECK_INT(squares[i].result, i * i);
    }
    for (int i = 0; i < UNNAMED; i++) {
        CHECK_INT(others[i].result, (TASKS + i) * (TASKS + i));
    }
    skua_task_release_all(handles, TASKS);
    return 0;
}

static void many_members_at_once(void **state)
{
    run_on_1_2_4(many_at_once_body);
}

static int foreign_body(void *arg)
{
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    const skua_spawn_opts opts = {.group = &group};
    CHECK_INT(skua_submit(arg, NULL, never_called, NULL, &opts), -EPERM);
    CHECK_INT(skua_submit(skua_runtime_current(), NULL, return_zero, NULL, &opts), 0);
    CHECK_INT(skua_group_spawn(&group, NULL, NULL), -EINVAL);
    CHECK_INT(skua_group_close(&group, 0), 0);
    return 0;
}

static void members_are_of_the_owners_runtime(void **state)
{
    skua_group group = {{0}};
    skua_runtime *other;
    const skua_config config = {.workers = 1};
    CHECK_INT(skua_group_spawn(&group, never_called, NULL), -EPERM);
    CHECK_INT(skua_runtime_create(&other, &config), 0);
    run_on_with(2, foreign_body, other);
    skua_runtime_destroy(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(close_returns_when_all_have_ended),
        TEST(results_are_there_after_the_close),
        TEST(a_group_may_be_empty_and_opened_again),
        TEST(a_failure_cancels_siblings_and_body),
        TEST(failures_of_the_cancelled_are_kept_too),
        TEST(a_failed_group_refuses_and_leaks_nothing),
        TEST(collect_keeps_all_failures_in_order),
        TEST(any_success_is_enough),
        TEST(supervised_failures_are_isolated_and_reported),
        TEST(a_supervised_failure_that_was_joined_is_not_reported),
        TEST(a_long_lived_group_does_not_grow),
        TEST(the_end_of_the_runtime_ends_groups),
        TEST(a_group_that_is_left_closes_itself),
        TEST(many_members_at_once),
        TEST(members_are_of_the_owners_runtime),
    };
    return TEST_RUN(tests);
}
