/* Why something is cancelled, and asking before it is: reasons and stops. */
#include "tasks.h"

#include <pthread.h>

static int sleep_100_s(void *arg)
{
    return skua_sleep(skua_after(SKUA_SEC(100)));
}

static int sleep_a_little(void *arg)
{
    const int status = skua_sleep(skua_after(SKUA_MS(1)));
    atomic_store((gate *)arg, 1);
    return status;
}

/* --- reasons ---------------------------------------------------------------------------------- */

/* The reason that a task finds, once it was cancelled. */
static int tell_reason(void *arg)
{
    gate *waits = arg;
    CHECK_INT(skua_cancel_reason(), 0);
    atomic_fetch_add(waits, 1);
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    return skua_cancel_reason();
}

static int task_reasons_body(void *arg)
{
    gate waits = 0;
    skua_task *plain = spawn(tell_reason, &waits);
    skua_task *because = spawn(tell_reason, &waits);
    await(&waits, 2);
    skua_task_cancel(plain);
    skua_task_cancel_because(because, SKUA_ERR(3, 7));
    skua_task_cancel_because(because, -EPIPE); /* the first one stays */
    CHECK_INT(finish(plain), -ECANCELED);
    CHECK_INT(finish(because), SKUA_ERR(3, 7));
    CHECK_INT(skua_cancel_reason(), 0);
    return 0;
}

/* covers: A31 B25 */
static void a_task_learns_why_it_was_cancelled(void **state)
{
    run_on_1_2_4(task_reasons_body);
}

static int cancel_for_pipe(void *arg)
{
    skua_scope_cancel_because(arg, -EPIPE);
    return 0;
}

static int scope_reasons_body(void *arg)
{
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_task *canceller = spawn(cancel_for_pipe, &scope);
    const int status = skua_sleep(SKUA_FOREVER);
    CHECK_INT(status, -ECANCELED);
    CHECK_INT(skua_cancel_reason(), -EPIPE);
    CHECK(!skua_scope_expired(&scope));
    CHECK_INT(skua_scope_close(&scope, status), -EPIPE);
    CHECK_INT(finish(canceller), 0);
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_scope_cancel_because(&scope, -EPIPE);
    CHECK_INT(skua_scope_close(&scope, 3), 3); /* what succeeded has succeeded */
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_scope_cancel_because(&scope, -ETIMEDOUT);
    CHECK(!skua_scope_expired(&scope));
    CHECK_INT(skua_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
    return 0;
}

/* covers: B25 */
static void a_scope_closes_with_the_reason_that_was_given(void **state)
{
    run_on_1_2_4(scope_reasons_body);
}

static int reason_in_three(void *arg)
{
    SKUA_SCOPE(outer);
    SKUA_SCOPE(middle);
    SKUA_SCOPE(inner);
    skua_scope_open(&outer, SKUA_FOREVER);
    skua_scope_open(&middle, SKUA_FOREVER);
    skua_scope_open(&inner, skua_after(0));
    CHECK_INT(skua_cancel_reason(), -ETIMEDOUT); /* nobody had to wait to notice */
    skua_scope_cancel_because(&middle, -EPIPE);
    CHECK_INT(skua_cancel_reason(), -EPIPE);
    skua_scope_cancel_because(&outer, -EIO);
    CHECK_INT(skua_cancel_reason(), -EIO);
    CHECK_INT(skua_scope_close(&inner, -ECANCELED), -ECANCELED);
    CHECK_INT(skua_cancel_reason(), -EIO);
    CHECK_INT(skua_scope_close(&middle, -ECANCELED), -ECANCELED);
    CHECK_INT(skua_scope_close(&outer, -ECANCELED), -EIO);
    CHECK_INT(skua_cancel_reason(), 0);
    return 0;
}

/* covers: D61 D68 */
static void the_outermost_reason_counts(void **state)
{
    run_on(2, reason_in_three);
}

static int reason_in_shield(void *arg)
{
    SKUA_SCOPE(outer);
    SKUA_SCOPE(shield);
    skua_scope_open(&outer, SKUA_FOREVER);
    skua_scope_cancel_because(&outer, -EIO);
    const skua_time end = skua_after(SKUA_MS(2));
    skua_shield_open(&shield, end);
    CHECK(skua_cancel_reason() == 0 || skua_clock().ns >= end.ns);
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED); /* the grace is over */
    CHECK_INT(skua_cancel_reason(), -EIO);
    CHECK_INT(skua_scope_close(&shield, 0), 0);
    CHECK_INT(skua_scope_close(&outer, 0), 0);
    return 0;
}

/* covers: B25 */
static void a_shield_hides_the_reason_with_the_cancel(void **state)
{
    run_on(2, reason_in_shield);
}

static gate shutdown_reason;
static gate shutdown_stopping;

static int note_shutdown(void *arg)
{
    const int status = skua_sleep(SKUA_FOREVER);
    atomic_store(&shutdown_reason, skua_cancel_reason());
    atomic_store(&shutdown_stopping, skua_stopping());
    return status;
}

static int leave_one_behind(void *arg)
{
    CHECK_INT(skua_spawn(NULL, note_shutdown, NULL, NULL), 0);
    return skua_yield();
}

/* covers: D69 */
static void at_the_end_of_the_runtime_the_reason_is_shutdown(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        atomic_store(&shutdown_reason, 0);
        run_on(workers, leave_one_behind);
        CHECK_INT(atomic_load(&shutdown_reason), -ESHUTDOWN);
        CHECK_INT(atomic_load(&shutdown_stopping), 1);
    }
}

static void outside_of_tasks_there_is_no_reason(void **state)
{
    CHECK_INT(skua_cancel_reason(), 0);
    CHECK(!skua_stopping());
}

/* --- stops ------------------------------------------------------------------------------------ */

struct line {
    skua_scope scope;
    gate done; /* items */
    gate running;
};

/* An item takes two steps, which a cancel could tear apart. */
static int work_until_stopped(void *arg)
{
    struct line *line = arg;
    atomic_store(&line->running, 1);
    while (!skua_stopping()) {
        for (int step = 0; step < 2; step++) {
            const int status = skua_sleep(skua_after(SKUA_US(200)));
            if (status < 0) {
                return status;
            }
        }
        atomic_fetch_add(&line->done, 1);
    }
    return 0;
}

static int stop_line(void *arg)
{
    struct line *line = arg;
    await(&line->done, 3);
    skua_scope_stop(&line->scope, skua_after(SKUA_SEC(100)));
    return 0;
}

static int stop_body(void *arg)
{
    struct line line = {.done = 0};
    skua_scope_open(&line.scope, SKUA_FOREVER);
    CHECK(!skua_stopping());
    skua_task *stopper = spawn(stop_line, &line);
    const int status = work_until_stopped(&line);
    CHECK_INT(status, 0);
    CHECK(atomic_load(&line.done) >= 3);
    CHECK(skua_stopping());
    CHECK(!skua_cancelled());
    CHECK_INT(skua_sleep(skua_after(SKUA_US(10))), 0); /* asked, not cancelled */
    CHECK_INT(skua_scope_close(&line.scope, status), 0);
    CHECK(!skua_stopping());
    return finish(stopper);
}

/* covers: B21 */
static void a_stop_lets_work_come_to_its_end(void **state)
{
    run_on_1_2_4(stop_body);
}

static int stop_soon(void *arg)
{
    skua_scope_stop(arg, skua_after(SKUA_MS(2)));
    return 0;
}

static int until_body(void *arg)
{
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, skua_after(SKUA_SEC(100)));
    skua_task *stopper = spawn(stop_soon, &scope);
    const int status = skua_sleep(SKUA_FOREVER);
    CHECK_INT(status, -ECANCELED);
    CHECK_INT(skua_cancel_reason(), -ECANCELED); /* somebody has asked: no deadline was missed */
    CHECK(!skua_scope_expired(&scope));
    CHECK_INT(skua_scope_close(&scope, status), 0);
    return finish(stopper);
}

/* covers: B21 */
static void what_does_not_stop_is_cancelled(void **state)
{
    run_on_1_2_4(until_body);
}

static int stop_rules_body(void *arg)
{
    const skua_time soon = skua_after(SKUA_SEC(40)), later = skua_after(SKUA_SEC(60));
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_scope_stop(&scope, later);
    CHECK_INT(skua_scope_when(&scope).ns, later.ns);
    skua_scope_stop(&scope, soon);
    CHECK_INT(skua_scope_when(&scope).ns, soon.ns);
    skua_scope_stop(&scope, SKUA_FOREVER);
    skua_scope_deadline(&scope, later);
    CHECK_INT(skua_scope_when(&scope).ns, soon.ns); /* a stop is not put off */
    skua_scope_deadline(&scope, skua_after(0));     /* but the deadline may come before it */
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    CHECK_INT(skua_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
    skua_scope_open(&scope, soon);
    skua_scope_stop(&scope, later);
    CHECK_INT(skua_scope_when(&scope).ns, soon.ns); /* its own deadline comes first */
    CHECK(skua_stopping());
    CHECK_INT(skua_scope_close(&scope, 0), 0);
    return 0;
}

static void a_stop_is_brought_forward_but_not_put_off(void **state)
{
    run_on(2, stop_rules_body);
}

static int seen_body(void *arg)
{
    SKUA_SCOPE(outer);
    SKUA_SCOPE(shield);
    SKUA_SCOPE(inner);
    skua_scope_open(&outer, SKUA_FOREVER);
    skua_shield_open(&shield, SKUA_FOREVER);
    skua_scope_open(&inner, SKUA_FOREVER);
    skua_scope_stop(&outer, SKUA_FOREVER);
    CHECK(skua_stopping());
    CHECK(!skua_cancelled());
    CHECK_INT(skua_scope_close(&inner, 0), 0);
    CHECK_INT(skua_scope_close(&shield, 0), 0);
    CHECK_INT(skua_scope_close(&outer, 0), 0);
    CHECK(!skua_stopping());
    skua_scope_open(&outer, skua_after(0));
    CHECK(skua_stopping()); /* cancelled is stopping, too */
    CHECK_INT(skua_scope_close(&outer, 0), 0);
    return 0;
}

static void a_stop_is_seen_in_all_inner_scopes(void **state)
{
    run_on(2, seen_body);
}

static int stop_task_body(void *arg)
{
    struct line line = {.done = 0};
    skua_task *willing = spawn(work_until_stopped, &line);
    skua_task *stubborn = spawn(sleep_100_s, NULL);
    await(&line.done, 1);
    skua_task_stop(willing, SKUA_FOREVER);
    skua_task_stop(stubborn, skua_after(SKUA_MS(2)));
    CHECK_INT(status_of(willing), 0);
    CHECK_INT(status_of(stubborn), -ECANCELED);
    CHECK_INT(skua_task_state(willing), SKUA_DONE);
    CHECK_INT(skua_task_state(stubborn), SKUA_CANCELLED);
    skua_task_stop(willing, SKUA_NOW); /* nothing happens to an ended one */
    skua_task_release(willing);
    skua_task_release(stubborn);
    return 0;
}

/* covers: B21 */
static void tasks_are_stopped_like_scopes(void **state)
{
    run_on_1_2_4(stop_task_body);
}

static void *stop_from_outside(void *arg)
{
    struct line *line = arg;
    while (atomic_load(&line->done) < 1) {
        sched_yield();
    }
    skua_scope_stop(&line->scope, SKUA_FOREVER);
    return NULL;
}

static int foreign_body(void *arg)
{
    struct line line = {.done = 0};
    pthread_t thread;
    skua_scope_open(&line.scope, SKUA_FOREVER);
    CHECK_INT(pthread_create(&thread, NULL, stop_from_outside, &line), 0);
    CHECK_INT(work_until_stopped(&line), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(skua_scope_close(&line.scope, 0), 0);
    return 0;
}

static void a_foreign_thread_may_stop_it(void **state)
{
    run_on(2, foreign_body);
}

/* --- a task that takes too long --------------------------------------------------------------- */

static int clean_up_first(void *arg)
{
    const int status = skua_sleep(SKUA_FOREVER);
    CHECK_INT(skua_shielded(SKUA_FOREVER, sleep_a_little, arg), 0);
    return status;
}

static int too_long_body(void *arg)
{
    gate cleaned = 0;
    skua_task *task = spawn(clean_up_first, &cleaned);
    CHECK_INT(skua_join(task, NULL, skua_after(SKUA_MS(2))), -ETIMEDOUT);
    CHECK_INT(skua_task_state(task), SKUA_RUNNING);
    skua_task_cancel_because(task, -ETIMEDOUT);
    CHECK_INT(status_of(task), -ECANCELED);
    CHECK_INT(atomic_load(&cleaned), 1); /* it has ended, and not only been told */
    CHECK_INT(skua_task_state(task), SKUA_CANCELLED);
    skua_task_release(task);
    return 0;
}

/* covers: A33 A41 */
static void a_task_that_took_too_long_has_ended_after_the_join(void **state)
{
    run_on_1_2_4(too_long_body);
}

/* --- many tasks ------------------------------------------------------------------------------- */

enum { MANY = 10 };

static int a_third_each(void *arg)
{
    gate *ready = arg;
    const int number = atomic_fetch_add(ready, 1);
    if (number % 3 == 0) {
        return number;
    }
    if (number % 3 == 1) {
        return skua_fail(-EIO, "number %d", number);
    }
    return skua_sleep(SKUA_FOREVER);
}

static int cancel_all_body(void *arg)
{
    gate ready = 0;
    skua_task *tasks[MANY + 1] = {NULL}; /* the last one stays NULL */
    int done = 0, failed = 0, cancelled = 0;
    for (int i = 0; i < MANY; i++) {
        tasks[i] = spawn(a_third_each, &ready);
    }
    await(&ready, MANY);
    skua_task_cancel_all(tasks, MANY + 1);
    for (int i = 0; i < MANY; i++) {
        CHECK_INT(skua_join(tasks[i], NULL, SKUA_FOREVER), 0);
        const skua_task_status state = skua_task_state(tasks[i]);
        done += state == SKUA_DONE;
        failed += state == SKUA_FAILED;
        cancelled += state == SKUA_CANCELLED;
    }
    CHECK_INT(done, 4);
    CHECK_INT(failed, 3);
    CHECK_INT(cancelled, 3);
    skua_task_cancel_all(tasks, MANY + 1); /* of ended ones: nothing */
    skua_task_cancel_all(NULL, 0);
    skua_task_release_all(tasks, MANY + 1);
    return 0;
}

/* covers: A25 A35 */
static void many_are_cancelled_and_told_apart(void **state)
{
    run_on_1_2_4(cancel_all_body);
}

static int count_cancelled(void *arg)
{
    const int status = skua_sleep(SKUA_FOREVER);
    atomic_fetch_add((gate *)arg, status == -ECANCELED);
    return status;
}

/* Some have not begun yet. */
static int precancelled_body(void *arg)
{
    gate cancelled = 0;
    skua_task *tasks[MANY];
    for (int i = 0; i < MANY; i++) {
        tasks[i] = spawn(count_cancelled, &cancelled);
    }
    skua_task_cancel_all(tasks, MANY);
    for (int i = 0; i < MANY; i++) {
        CHECK_INT(status_of(tasks[i]), -ECANCELED);
    }
    CHECK_INT(atomic_load(&cancelled), MANY);
    skua_task_release_all(tasks, MANY);
    return 0;
}

/* covers: A25 D64 */
static void a_task_cancelled_before_its_start_runs_to_its_first_wait(void **state)
{
    run_on_1_2_4(precancelled_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_task_learns_why_it_was_cancelled),
        TEST(a_scope_closes_with_the_reason_that_was_given),
        TEST(the_outermost_reason_counts),
        TEST(a_shield_hides_the_reason_with_the_cancel),
        TEST(at_the_end_of_the_runtime_the_reason_is_shutdown),
        TEST(outside_of_tasks_there_is_no_reason),
        TEST(a_stop_lets_work_come_to_its_end),
        TEST(what_does_not_stop_is_cancelled),
        TEST(a_stop_is_brought_forward_but_not_put_off),
        TEST(a_stop_is_seen_in_all_inner_scopes),
        TEST(tasks_are_stopped_like_scopes),
        TEST(a_foreign_thread_may_stop_it),
        TEST(a_task_that_took_too_long_has_ended_after_the_join),
        TEST(many_are_cancelled_and_told_apart),
        TEST(a_task_cancelled_before_its_start_runs_to_its_first_wait),
    };
    return TEST_RUN(tests);
}
