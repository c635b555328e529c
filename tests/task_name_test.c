/* What a task says of itself: names, where it was spawned, what went unseen. */
#include "tasks.h"

#include "base/mem.h"
#include "sched/runtime.h"

#include <pthread.h>

static int fail_quietly(void *arg)
{
    return -EIO;
}

static int fail_loudly(void *arg)
{
    return skua_fail(-EIO, "the disk of %s", "fred");
}

static uint64_t swallowed(void)
{
    return atomic_load(&skua_runtime_current()->cancels_swallowed);
}

/* --- where it was spawned --------------------------------------------------------------------- */

/* "file:line" of the line below. */
#define HERE_PLUS(lines) (__LINE__ + (lines))

static void check_site(const skua_task *task, int line)
{
    char want[300];
    snprintf(want, sizeof want, "%s:%d", __FILE__, line);
    CHECK_STR(skua_task_site(task), want);
}

static int sites_body(void *arg)
{
    skua_task *plain, *named, *copied, *many[2], *submitted, *function;
    int number = 3, line = HERE_PLUS(2);
    const skua_spawn_opts name = {.name = "named"}, copy = {.arg_bytes = sizeof number};
    CHECK_INT(skua_spawn(&named, return_zero, NULL, &name), 0);
    check_site(named, line);
    line = HERE_PLUS(1);
    CHECK_INT(skua_spawn(&copied, return_zero, &number, &copy), 0);
    check_site(copied, line);
    line = HERE_PLUS(1);
    CHECK_INT(skua_spawn_many(many, return_zero, NULL, 0, 2, &name), 0);
    check_site(many[0], line);
    check_site(many[1], line);
    line = HERE_PLUS(1);
    CHECK_INT(skua_submit(skua_runtime_current(), &submitted, return_zero, NULL, &name), 0);
    check_site(submitted, line);
    CHECK_INT((skua_spawn)(&function, return_zero, NULL, &name), 0);
    CHECK_PTR(skua_task_site(function), NULL);
    line = HERE_PLUS(1);
    CHECK_INT(skua_spawn(&plain, return_zero, NULL, NULL), 0);
    if (arg != NULL) {
        check_site(plain, line); /* kept for all */
    } else {
        CHECK_PTR(skua_task_site(plain), NULL);
    }
    skua_task *all[] = {plain, named, copied, many[0], many[1], submitted, function};
    for (size_t i = 0; i < SKUA_COUNT_OF(all); i++) {
        CHECK_INT(finish(all[i]), 0);
    }
    return 0;
}

/* covers: A15 B9 */
static void a_task_knows_where_it_was_spawned(void **state)
{
    run_on_1_2_4(sites_body);
}

/* covers: A91 B9 */
static void when_debugging_every_task_knows(void **state)
{
    CHECK_INT(setenv("SKUA_DEBUG", "1", 1), 0);
    run_on_with(2, sites_body, (void *)(uintptr_t)1);
    CHECK_INT(unsetenv("SKUA_DEBUG"), 0);
}

/* A wrapper passes its caller's place on. */
static int start_at(skua_task **out, const char *site)
{
    return skua_spawn_at(out, return_zero, NULL, &(skua_spawn_opts){.name = "wrapped", .pin = 1},
                         site);
}

static int wrapper_body(void *arg)
{
    skua_task *task;
    CHECK_INT(start_at(&task, "elsewhere.c:12"), 0);
    CHECK_STR(skua_task_site(task), "elsewhere.c:12");
    return finish(task);
}

static void a_wrapper_can_name_its_caller(void **state)
{
    run_on(2, wrapper_body);
}

/* --- names ------------------------------------------------------------------------------------ */

static int rename_twice(void *arg)
{
    const char *first = skua_task_name(skua_self());
    CHECK_STR(first, "first");
    CHECK_INT(skua_rename_self("second"), 0);
    CHECK_STR(skua_task_name(skua_self()), "second");
    CHECK_INT(skua_yield(), 0);
    CHECK_INT(skua_rename_self("third"), 0);
    CHECK_STR(skua_task_name(skua_self()), "third");
    CHECK_STR(first, "first"); /* who holds it may go on reading it */
    return 0;
}

static int no_room(void *arg)
{
    CHECK_STR(skua_task_name(skua_self()), "task");
    return skua_rename_self("named");
}

static int rename_body(void *arg)
{
    skua_task *task = spawn_with(rename_twice, NULL, &(skua_spawn_opts){.name = "first"});
    CHECK_INT(status_of(task), 0);
    CHECK_STR(skua_task_name(task), "third");
    skua_task_release(task);
    CHECK_INT(call(no_room, NULL), -ENOTSUP);
    const int number = 1;
    task = spawn_with(no_room, (void *)&number, &(skua_spawn_opts){.arg_bytes = sizeof number});
    CHECK_INT(status_of(task), 0);
    CHECK_STR(skua_task_name(task), "named");
    skua_task_release(task);
    return 0;
}

/* covers: A12 */
static void a_task_may_take_another_name(void **state)
{
    run_on_1_2_4(rename_body);
    CHECK_INT(skua_rename_self("foreign"), -EPERM);
}

static int rename_without_memory(void *arg)
{
    atomic_store(&skua__alloc_budget, 0);
    const int status = skua_rename_self("other");
    atomic_store(&skua__alloc_budget, -1);
    CHECK_INT(status, -ENOMEM);
    CHECK_STR(skua_task_name(skua_self()), "same");
    return 0;
}

static int rename_fails_body(void *arg)
{
    return finish(spawn_with(rename_without_memory, NULL, &(skua_spawn_opts){.name = "same"}));
}

static void without_memory_the_name_stays(void **state)
{
    run_on(1, rename_fails_body);
}

/* --- how it stands ---------------------------------------------------------------------------- */

struct stand {
    skua_task *task;
    gate go;
    int status;
};

static int end_when_told(void *arg)
{
    struct stand *stand = arg;
    await(&stand->go, 1);
    return stand->status == -ECANCELED ? skua_sleep(SKUA_FOREVER) : stand->status;
}

/* The same from tasks and from foreign threads. */
static void check_before(const struct stand *stand)
{
    CHECK_INT(skua_task_state(stand->task), SKUA_RUNNING);
    CHECK_INT(skua_join(stand->task, NULL, SKUA_NOW), -EAGAIN);
    CHECK_PTR(skua_task_error(stand->task), NULL);
}

static void check_after(const struct stand *stand)
{
    int status = 12345;
    CHECK_INT(skua_join(stand->task, &status, SKUA_FOREVER), 0);
    CHECK_INT(status, stand->status);
    const skua_task_status want = status >= 0            ? SKUA_DONE
                                  : status == -ECANCELED ? SKUA_CANCELLED
                                                         : SKUA_FAILED;
    CHECK_INT(skua_task_state(stand->task), want);
    const skua_error *error = skua_task_error(stand->task);
    CHECK((error != NULL) == (status < 0));
    CHECK_INT(error != NULL ? error->code : status, status);
}

static void *look_before(void *arg)
{
    check_before(arg);
    return NULL;
}

static void *look_after(void *arg)
{
    check_after(arg);
    return NULL;
}

static void look_from_outside(void *(*look)(void *), struct stand *stand)
{
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, look, stand), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
}

static int stand_body(void *arg)
{
    const int statuses[] = {7, -EIO, -ECANCELED};
    for (size_t i = 0; i < SKUA_COUNT_OF(statuses); i++) {
        struct stand stand = {.status = statuses[i]};
        stand.task = spawn(end_when_told, &stand);
        check_before(&stand);
        look_from_outside(look_before, &stand);
        if (statuses[i] == -ECANCELED) {
            skua_task_cancel(stand.task);
        }
        atomic_store(&stand.go, 1);
        check_after(&stand);
        look_from_outside(look_after, &stand);
        skua_task_release(stand.task);
    }
    return 0;
}

/* covers: A14 */
static void everybody_can_see_how_a_task_stands(void **state)
{
    run_on_1_2_4(stand_body);
}

/* --- failures that nobody looked at ----------------------------------------------------------- */

static int unseen_body(void *arg)
{
    CHECK_INT(skua_spawn(NULL, fail_loudly, NULL, &(skua_spawn_opts){.name = "writer"}), 0);
    skua_task *silent;
    CHECK_INT(skua_spawn(&silent, fail_quietly, NULL, &(skua_spawn_opts){.name = "reader"}), 0);
    skua_task *seen = spawn_with(fail_loudly, NULL, &(skua_spawn_opts){.name = "seen"});
    CHECK_INT(finish(seen), -EIO);
    while (skua_task_state(silent) == SKUA_RUNNING) {
        CHECK_INT(skua_yield(), 0);
    }
    skua_task_release(silent);
    return 0;
}

/* covers: A12 A15 */
static void a_failure_that_nobody_saw_is_told_with_both_places(void **state)
{
    static struct said caught;
    said_begin(&caught);
    run_on(2, unseen_body);
    const char *text = said_end(&caught);
    CHECK_INT(count_of(text, "'writer'"), 1);
    CHECK_INT(count_of(text, "'reader'"), 1);
    CHECK_INT(count_of(text, "'seen'"), 0);
    CHECK_INT(count_of(text, ": the disk of fred"), 1);
    CHECK_INT(count_of(text, "task_name_test.c:"),
              3); /* two spawned, one failed with skua_fail() */
}

/* --- cancels that came to nothing ------------------------------------------------------------- */

static int catch_cancel(void *arg)
{
    atomic_store((gate *)arg, 1);
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    return 42;
}

static int pass_cancel_on(void *arg)
{
    atomic_store((gate *)arg, 1);
    return skua_sleep(SKUA_FOREVER);
}

static int own_timeout(void *arg)
{
    CHECK_INT(skua_within(skua_after(0), sleep_forever, NULL), -ETIMEDOUT);
    return 0;
}

static int cancel_of(skua_fn fn)
{
    gate begun = 0;
    skua_task *task = spawn_with(fn, &begun, &(skua_spawn_opts){.name = "catcher"});
    await(&begun, 1);
    skua_task_cancel(task);
    const int status = status_of(task);
    CHECK_INT(skua_task_state(task), status < 0 ? SKUA_CANCELLED : SKUA_DONE);
    skua_task_release(task);
    return status;
}

/* Joined: it was told, and has made nothing of it. */
static int swallow_body(void *arg)
{
    const uint64_t before = swallowed();
    CHECK_INT(cancel_of(pass_cancel_on), -ECANCELED);
    CHECK_INT(call(own_timeout, NULL), 0); /* a scope of its own is nobody's cancel */
    CHECK_INT((int64_t)(swallowed() - before), 0);
    CHECK_INT(cancel_of(catch_cancel), 42);
    CHECK_INT((int64_t)(swallowed() - before), 1);
    return 0;
}

/* covers: A34 D47 */
static void a_cancel_that_was_swallowed_is_counted(void **state)
{
    run_on_1_2_4(swallow_body);
}

static int busy_body(void *arg)
{
    compute_for(SKUA_US(10));
    return 7;
}

/* It succeeded before it could be told. */
static int unnoticed_body(void *arg)
{
    const uint64_t before = swallowed();
    for (int i = 0; i < 50; i++) {
        skua_task *task = spawn(busy_body, NULL);
        skua_task_cancel(task);
        CHECK_INT(finish(task), 7);
    }
    CHECK_INT((int64_t)(swallowed() - before), 0);
    return 0;
}

static void a_cancel_that_came_too_late_is_not(void **state)
{
    run_on_1_2_4(unnoticed_body);
}

static void when_debugging_the_swallower_is_named(void **state)
{
    static struct said caught;
    said_begin(&caught);
    run_on(2, swallow_body);
    CHECK_INT(setenv("SKUA_DEBUG", "1", 1), 0);
    run_on(2, swallow_body);
    CHECK_INT(unsetenv("SKUA_DEBUG"), 0);
    const char *text = said_end(&caught);
    CHECK_INT(count_of(text, "'catcher'"), 1);
    CHECK_INT(count_of(text, "has ended with 42 all the same"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_task_knows_where_it_was_spawned),
        TEST(when_debugging_every_task_knows),
        TEST(a_wrapper_can_name_its_caller),
        TEST(a_task_may_take_another_name),
        TEST(without_memory_the_name_stays),
        TEST(everybody_can_see_how_a_task_stands),
        TEST(a_failure_that_nobody_saw_is_told_with_both_places),
        TEST(a_cancel_that_was_swallowed_is_counted),
        TEST(a_cancel_that_came_too_late_is_not),
        TEST(when_debugging_the_swallower_is_named),
    };
    return TEST_RUN(tests);
}
