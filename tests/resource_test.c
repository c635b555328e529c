/* Resources: enter, body, exit, whatever happens in between. */
#include "tasks.h"

#include <skua/testing.h>

struct thing {
    int enter_status;
    int exit_status; /* 0: what the body returned */
    int seen;        /* by exit */
    int enters, bodies, exits;
    bool suppresses;
    gate waits;
};

static int thing_enter(void *self)
{
    struct thing *one = self;
    one->enters++;
    CHECK_INT(skua_yield(), 0);
    return one->enter_status;
}

static int thing_exit(void *self, int status)
{
    struct thing *one = self;
    one->exits++;
    one->seen = status;
    CHECK_INT(skua_sleep(skua_after(SKUA_US(100))), 0); /* it may wait, cancelled or not */
    if (one->suppresses && status < 0) {
        return 0;
    }
    return one->exit_status != 0 ? one->exit_status : status;
}

static const skua_resource things = {thing_enter, thing_exit};

/* What a body does with its thing. */
struct use {
    struct thing *thing;
    int status;
};

static int use_it(void *arg)
{
    const struct use *use = arg;
    CHECK_INT(use->thing->enters, use->thing->exits + 1);
    use->thing->bodies++;
    return use->status;
}

static int wait_with_it(void *arg)
{
    const struct use *use = arg;
    use->thing->bodies++;
    atomic_store(&use->thing->waits, 1);
    return skua_sleep(SKUA_FOREVER);
}

/* --- statuses --------------------------------------------------------------------------------- */

static int statuses_body(void *arg)
{
    const int statuses[] = {0, 42, -EIO, -ECANCELED};
    for (size_t i = 0; i < 4; i++) {
        struct thing one = {.seen = 1};
        struct use use = {&one, statuses[i]};
        CHECK_INT(skua_with(&things, &one, use_it, &use), statuses[i]);
        CHECK_INT(one.seen, statuses[i]);
        CHECK_INT(one.enters + one.bodies + one.exits, 3);
    }
    return 0;
}

/* covers: A46 */
static void exit_is_called_once_and_gets_the_status(void **state)
{
    run_on_1_2_4(statuses_body);
}

static int suppress_body(void *arg)
{
    struct thing one = {.suppresses = true};
    struct use use = {&one, -EIO};
    CHECK_INT(skua_with(&things, &one, use_it, &use), 0);
    CHECK_INT(one.seen, -EIO);
    one.suppresses = false;
    CHECK_INT(skua_with(&things, &one, use_it, &use), -EIO);
    one.exit_status = -EBADF; /* closing has failed as well, and has the last word */
    CHECK_INT(skua_with(&things, &one, use_it, &use), -EBADF);
    return 0;
}

/* covers: A48 */
static void what_exit_returns_is_the_result(void **state)
{
    run_on_1_2_4(suppress_body);
}

static int refused_body(void *arg)
{
    struct thing one = {.enter_status = -EAGAIN};
    struct use use = {&one, 0};
    CHECK_INT(skua_with(&things, &one, use_it, &use), -EAGAIN);
    CHECK_INT(one.enters, 1);
    CHECK_INT(one.bodies + one.exits, 0);
    return 0;
}

/* covers: A46 */
static void what_was_not_entered_is_not_left(void **state)
{
    run_on_1_2_4(refused_body);
}

static int half_body(void *arg)
{
    static const skua_resource no_enter = {NULL, thing_exit}, no_exit = {thing_enter, NULL};
    struct thing one = {.enters = 1};
    struct use use = {&one, 5};
    CHECK_INT(skua_with(&no_enter, &one, use_it, &use), 5);
    CHECK_INT(one.exits, 1);
    CHECK_INT(skua_with(&no_exit, &one, use_it, &use), 5);
    CHECK_INT(one.enters, 2);
    return 0;
}

static void either_half_may_be_missing(void **state)
{
    run_on(2, half_body);
}

/* --- cancels ---------------------------------------------------------------------------------- */

static int hold_it(void *arg)
{
    return skua_with(&things, arg, wait_with_it, &(struct use){arg, 0});
}

static int cancel_body(void *arg)
{
    struct thing one = {.seen = 0};
    skua_task *task = spawn(hold_it, &one);
    await(&one.waits, 1);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    CHECK_INT(one.seen, -ECANCELED);
    CHECK_INT(one.exits, 1);
    return 0;
}

/* Under the virtual clock, where the deadline does not come before the body waits. */
static int late_body(void *arg)
{
    struct thing late = {.seen = 0};
    CHECK_INT(skua_within(skua_after(SKUA_MS(2)), hold_it, &late), -ETIMEDOUT);
    CHECK_INT(late.exits, 1);
    struct thing ignored = {.suppresses = true};
    CHECK_INT(skua_within(skua_after(SKUA_MS(2)), hold_it, &ignored), 0);
    return 0;
}

/* covers: A46 A33 */
static void exit_may_wait_in_what_was_cancelled(void **state)
{
    run_on_1_2_4(cancel_body);
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_test_opts opts = {
            .workers = workers, .virtual_clock = true, .timeout_ns = TEST_PATIENCE_NS};
        CHECK_INT(skua_test_run(&opts, late_body, NULL), 0);
    }
}

static int exit_stubbornly(void *self, int status)
{
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    return status;
}

static int cancel_self(void *arg)
{
    skua_task_cancel(skua_self());
    return skua_sleep(SKUA_FOREVER);
}

static int stubborn_task(void *arg)
{
    static const skua_resource stubborn = {NULL, exit_stubbornly};
    return skua_with(&stubborn, NULL, cancel_self, NULL);
}

static int stubborn_body(void *arg)
{
    CHECK_INT(call(stubborn_task, NULL), -ECANCELED);
    return 0;
}

static void the_protection_of_exit_ends_with_the_grace(void **state)
{
    const skua_config config = {.workers = 2, .cleanup_ns = SKUA_MS(5)};
    CHECK_INT(skua_run(&config, stubborn_body, NULL), 0);
}

/* --- nesting, and the function that replaces a generator ------------------------------------- */

static int inner_of_two(void *arg)
{
    struct use *uses = arg;
    CHECK_INT(uses[0].thing->exits, 0);
    return skua_with(&things, uses[1].thing, use_it, &uses[1]);
}

static int nested_body(void *arg)
{
    struct thing outer = {.suppresses = true}, inner = {.seen = 1};
    struct use uses[] = {{&outer, 0}, {&inner, -EPIPE}};
    CHECK_INT(skua_with(&things, &outer, inner_of_two, uses), 0);
    CHECK_INT(inner.seen, -EPIPE);
    CHECK_INT(outer.seen, -EPIPE);
    CHECK_INT(inner.exits + outer.exits, 2);
    return 0;
}

/* covers: A46 */
static void inner_resources_are_left_first(void **state)
{
    run_on_1_2_4(nested_body);
}

/* @asynccontextmanager as a function: what comes before the body, the body, what comes after. */
typedef struct connection {
    char log[8];
} connection;

static void note(connection *one, char what)
{
    one->log[strlen(one->log)] = what;
}

static int say_goodbye(void *arg)
{
    const int status = skua_sleep(skua_after(SKUA_US(100)));
    note(arg, status == 0 ? 'd' : '!');
    return status;
}

static int with_connection(int (*body)(connection *, void *), connection *one, void *arg)
{
    note(one, 's');
    const int status = body(one, arg);
    note(one, status < 0 ? 'e' : 'k');
    const int closed = skua_shielded(skua_after(SKUA_SEC(50)), say_goodbye, one);
    return status < 0 ? status : closed;
}

static int talk(connection *one, void *arg)
{
    note(one, 'b');
    return *(int *)arg;
}

static int talk_cancelled(connection *one, void *arg)
{
    skua_task_cancel(skua_self());
    return skua_sleep(SKUA_FOREVER);
}

static int cancelled_manager(void *arg)
{
    return with_connection(talk_cancelled, arg, NULL);
}

static int manager_body(void *arg)
{
    int status = 3;
    connection one = {""}, two = {""}, three = {""};
    CHECK_INT(with_connection(talk, &one, &status), 0);
    CHECK_STR(one.log, "sbkd");
    status = -EIO;
    CHECK_INT(with_connection(talk, &two, &status), -EIO); /* seen by the manager: 'e' */
    CHECK_STR(two.log, "sbed");
    CHECK_INT(call(cancelled_manager, &three), -ECANCELED);
    CHECK_STR(three.log, "sed");
    return 0;
}

/* covers: A47 */
static void a_manager_is_a_function_around_a_body(void **state)
{
    run_on_1_2_4(manager_body);
}

/* A timeout of one's own making: it logs, and passes on what came out. */
struct timed {
    int late, failed;
};

static int timed_call(struct timed *log, int64_t limit_ns, skua_fn body, void *arg)
{
    const int status = skua_within(skua_after(limit_ns), body, arg);
    log->late += status == -ETIMEDOUT;
    log->failed += status < 0 && status != -ETIMEDOUT;
    return status;
}

static int return_status(void *arg)
{
    return *(int *)arg;
}

static int timed_body(void *arg)
{
    struct timed log = {0, 0};
    int status = 4;
    CHECK_INT(timed_call(&log, SKUA_SEC(50), return_status, &status), 4);
    status = -EIO;
    CHECK_INT(timed_call(&log, SKUA_SEC(50), return_status, &status), -EIO);
    CHECK_INT(timed_call(&log, SKUA_MS(1), sleep_forever, NULL), -ETIMEDOUT);
    CHECK_INT(log.late, 1);
    CHECK_INT(log.failed, 1);
    return 0;
}

/* covers: A40 */
static void a_timeout_of_ones_own_passes_errors_on(void **state)
{
    run_on_1_2_4(timed_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(exit_is_called_once_and_gets_the_status),
        TEST(what_exit_returns_is_the_result),
        TEST(what_was_not_entered_is_not_left),
        TEST(either_half_may_be_missing),
        TEST(exit_may_wait_in_what_was_cancelled),
        TEST(the_protection_of_exit_ends_with_the_grace),
        TEST(inner_resources_are_left_first),
        TEST(a_manager_is_a_function_around_a_body),
        TEST(a_timeout_of_ones_own_passes_errors_on),
    };
    return TEST_RUN(tests);
}
