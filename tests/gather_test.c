/* Gather: what comes out of many tasks, in which order, and what it leaves alone. */
#include "actors.h"

#include <pthread.h>
#include <skua/gather.h>
#include <sys/wait.h>

enum { MANY = 100, CROWD = 10000 };

/* A gather in a task of its own, so that it can be seen to wait, and be cancelled. */
typedef struct gatherer {
    skua_task **tasks;
    size_t count;
    int *statuses;
    skua_time deadline;
    int result;
    gate has_begun, has_ended;
} gatherer;

static int gather_all(void *arg)
{
    gatherer *self = arg;
    atomic_store(&self->has_begun, 1);
    self->result = skua_gather(self->tasks, self->count, self->statuses, self->deadline);
    atomic_store(&self->has_ended, 1);
    return self->result;
}

static skua_task *start_gathering(gatherer *self)
{
    skua_task *task = spawn(gather_all, self);
    await(&self->has_begun, 1);
    let_run();
    return task;
}

/* --- statuses --------------------------------------------------------------------------------- */

static int order_body(void *arg)
{
    actor actors[3] = {{.status = 2}, {.status = 4}, {.status = 6}};
    skua_task *tasks[3];
    int statuses[3] = {-1, -1, -1};
    gatherer self = {.tasks = tasks, .count = 3, .statuses = statuses};
    start_actors(tasks, actors, 3);
    skua_task *gathering = start_gathering(&self);
    end_now(tasks[2], &actors[2]);
    end_now(tasks[0], &actors[0]);
    let_run();
    CHECK(!atomic_load(&self.has_ended));
    end_now(tasks[1], &actors[1]);
    CHECK_INT(finish(gathering), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(statuses[i], 2 * (i + 1));
    }
    skua_task_release_all(tasks, 3);
    return 0;
}

/* covers: A19 D36 */
static void statuses_stand_in_the_order_of_the_arguments(void **state)
{
    run_on_1_2_4(order_body);
}

static int collect_body(void *arg)
{
    static const int wanted[5] = {1, -EIO, 0, -ECANCELED, SKUA_ERR(7, 3)};
    skua_task *tasks[5];
    int statuses[5];
    for (int i = 0; i < 5; i++) {
        tasks[i] = spawn(return_arg, (void *)(intptr_t)wanted[i]);
    }
    CHECK_INT(skua_gather(tasks, 5, statuses, SKUA_FOREVER), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(statuses[i], wanted[i]);
    }
    skua_task_release_all(tasks, 5);
    return 0;
}

/* covers: A22 D37 */
static void errors_stand_in_their_own_slots(void **state)
{
    struct said caught;
    said_begin(&caught);
    run_on_1_2_4(collect_body);
    CHECK_STR(said_end(&caught), ""); /* the caller has seen them all */
}

static int crowd_body(void *arg)
{
    static skua_task *tasks[CROWD];
    static int statuses[CROWD];
    for (int i = 0; i < CROWD; i++) {
        tasks[i] = spawn(return_arg, (void *)(intptr_t)i);
    }
    CHECK_INT(skua_gather(tasks, CROWD, statuses, SKUA_FOREVER), 0);
    for (int i = 0; i < CROWD; i++) {
        CHECK_INT(statuses[i], i);
    }
    CHECK_INT(skua_gather(tasks, CROWD, NULL, SKUA_NOW), 0);
    skua_task_release_all(tasks, CROWD);
    return 0;
}

static void ten_thousand(void **state)
{
    run_on_1_2_4(crowd_body);
}

static int classify_body(void *arg)
{
    enum { WORKERS = 10 };
    actor actors[WORKERS] = {0};
    skua_task *tasks[WORKERS];
    int statuses[WORKERS], counts[4] = {0};
    for (int i = 0; i < WORKERS; i++) {
        actors[i].status = i % 3 == 1 ? -EIO : i;
        tasks[i] = i % 3 == 2 ? spawn(sleep_forever, NULL) : spawn(act, &actors[i]);
        atomic_store(&actors[i].may_end, 1);
    }
    for (int i = 0; i < WORKERS; i++) {
        if (i % 3 == 2) {
            skua_task_cancel(tasks[i]);
        }
    }
    CHECK_INT(skua_gather(tasks, WORKERS, statuses, SKUA_FOREVER), 0);
    for (int i = 0; i < WORKERS; i++) {
        counts[skua_task_state(tasks[i])]++;
        CHECK_INT(statuses[i], i % 3 == 0 ? i : i % 3 == 1 ? -EIO : -ECANCELED);
    }
    CHECK_INT(counts[SKUA_DONE], 4);
    CHECK_INT(counts[SKUA_FAILED], 3);
    CHECK_INT(counts[SKUA_CANCELLED], 3);
    skua_task_release_all(tasks, WORKERS);
    return 0;
}

/* covers: A25 A35 */
static void cancelled_failed_and_finished_are_told_apart(void **state)
{
    run_on_1_2_4(classify_body);
}

/* --- the first failure ------------------------------------------------------------------------ */

static int failure_body(void *arg)
{
    actor actors[3] = {{.status = 1}, {.status = -EIO}, {.status = -EPIPE}};
    skua_task *tasks[3];
    gatherer self = {.tasks = tasks, .count = 3};
    start_actors(tasks, actors, 3);
    skua_task *gathering = start_gathering(&self);
    end_now(tasks[2], &actors[2]);
    CHECK_INT(finish(gathering), -EPIPE);
    CHECK(!atomic_load(&actors[0].has_ended) && !atomic_load(&actors[1].has_ended));
    CHECK_INT(skua_task_state(tasks[0]), SKUA_RUNNING);
    end_now(tasks[0], &actors[0]);
    end_now(tasks[1], &actors[1]);
    CHECK_INT(self.result, -EPIPE);
    CHECK_INT(status_of(tasks[0]), 1);
    CHECK_INT(status_of(tasks[1]), -EIO);
    /* All have ended by now: the first in the array counts. */
    CHECK_INT(skua_gather(tasks, 3, NULL, SKUA_FOREVER), -EIO);
    skua_task_release_all(tasks, 3);
    return 0;
}

/* covers: A21 D38 */
static void the_first_failure_to_end_is_returned_and_siblings_run_on(void **state)
{
    run_on_1_2_4(failure_body);
}

static int cancelled_sibling_body(void *arg)
{
    actor actors[2] = {{.status = 1}, {.status = -EIO}};
    skua_task *tasks[3];
    gatherer self = {.tasks = tasks, .count = 3};
    start_actors(tasks, actors, 2);
    tasks[2] = spawn(sleep_forever, NULL);
    skua_task *gathering = start_gathering(&self);
    end_now(tasks[1], &actors[1]);
    CHECK_INT(finish(gathering), -EIO);
    skua_task_cancel(tasks[2]);
    CHECK_INT(status_of(tasks[2]), -ECANCELED);
    CHECK_INT(self.result, -EIO);
    end_now(tasks[0], &actors[0]);
    skua_task_release_all(tasks, 3);
    return 0;
}

/* covers: D38 */
static void what_siblings_do_later_changes_nothing(void **state)
{
    run_on_1_2_4(cancelled_sibling_body);
}

static int unseen_body(void *arg)
{
    skua_task *tasks[2];
    const skua_spawn_opts first = {.name = "first"}, second = {.name = "second"};
    tasks[0] = spawn_with(return_arg, (void *)(intptr_t)-EIO, &first);
    tasks[1] = spawn_with(return_arg, (void *)(intptr_t)-EIO, &second);
    while (skua_task_state(tasks[0]) == SKUA_RUNNING || skua_task_state(tasks[1]) == SKUA_RUNNING) {
        CHECK_INT(skua_yield(), 0);
    }
    CHECK_INT(skua_gather(tasks, 2, NULL, SKUA_FOREVER), -EIO);
    skua_task_release_all(tasks, 2);
    return 0;
}

static void failures_that_were_not_returned_are_reported(void **state)
{
    struct said caught;
    said_begin(&caught);
    run_on(2, unseen_body);
    const char *text = said_end(&caught);
    CHECK_INT(count_of(text, "'first'"), 0);
    CHECK_INT(count_of(text, "'second'"), 1);
}

/* Each has a deadline of its own; the late ones are told apart, and have ended when gather says so.
   */
static int fetch_in_time(void *arg)
{
    return skua_within(skua_after(SKUA_MS(5)), act, arg);
}

static int fetch_too_late(void *arg)
{
    actor *self = arg;
    const int status = skua_within(skua_after(SKUA_MS(1)), sleep_forever, NULL);
    atomic_store(&self->has_ended, 1);
    return status;
}

static int individual_body(void *arg)
{
    enum { URLS = 5 };
    actor actors[URLS] = {0};
    skua_task *tasks[URLS];
    int statuses[URLS];
    for (int i = 0; i < URLS; i++) {
        actors[i] = (actor){.may_end = 1, .status = 10 + i};
        tasks[i] = spawn(i % 2 == 1 ? fetch_too_late : fetch_in_time, &actors[i]);
    }
    CHECK_INT(skua_gather(tasks, URLS, statuses, SKUA_FOREVER), 0);
    for (int i = 0; i < URLS; i++) {
        CHECK_INT(statuses[i], i % 2 == 1 ? -ETIMEDOUT : 10 + i);
        CHECK(atomic_load(&actors[i].has_ended));
    }
    skua_task_release_all(tasks, URLS);
    return 0;
}

/* covers: A42 */
static void late_ones_are_told_apart(void **state)
{
    run_on_1_2_4(individual_body);
}

/* --- deadlines and cancels -------------------------------------------------------------------- */

static int deadline_body(void *arg)
{
    actor actors[3] = {{.status = 1}, {.status = 2}, {.status = -EIO}};
    skua_task *tasks[3];
    int statuses[3];
    start_actors(tasks, actors, 3);
    end_now(tasks[1], &actors[1]);
    CHECK_INT(skua_gather(tasks, 3, statuses, SKUA_NOW), -EAGAIN);
    CHECK_INT(statuses[0], -EINPROGRESS);
    CHECK_INT(statuses[1], 2);
    CHECK_INT(skua_gather(tasks, 3, NULL, SKUA_NOW), -EAGAIN);
    statuses[1] = 0;
    CHECK_INT(skua_gather(tasks, 3, statuses, skua_after(SKUA_MS(2))), -ETIMEDOUT);
    CHECK_INT(statuses[0], -EINPROGRESS);
    CHECK_INT(statuses[1], 2);
    CHECK_INT(statuses[2], -EINPROGRESS);
    CHECK_INT(skua_gather(tasks, 3, NULL, skua_after(0)), -ETIMEDOUT);
    CHECK_INT(skua_task_state(tasks[0]), SKUA_RUNNING);
    end_now(tasks[0], &actors[0]);
    end_now(tasks[2], &actors[2]);
    CHECK_INT(skua_gather(tasks, 3, statuses, skua_after(0)), 0); /* what is there is there */
    CHECK_INT(statuses[2], -EIO);
    skua_task_release_all(tasks, 3);
    return 0;
}

static void the_deadline_is_the_callers_alone(void **state)
{
    run_on_1_2_4(deadline_body);
}

static int cancel_body(void *arg)
{
    actor actors[2] = {{.status = 1}, {.status = 2}};
    skua_task *tasks[2];
    int statuses[2];
    gatherer self = {.tasks = tasks, .count = 2, .statuses = statuses};
    start_actors(tasks, actors, 2);
    skua_task *gathering = start_gathering(&self);
    end_now(tasks[0], &actors[0]);
    skua_task_cancel(gathering);
    CHECK_INT(finish(gathering), -ECANCELED);
    CHECK_INT(statuses[0], 1);
    CHECK_INT(statuses[1], -EINPROGRESS);
    CHECK_INT(skua_task_state(tasks[1]), SKUA_RUNNING);
    end_now(tasks[1], &actors[1]);
    CHECK_INT(skua_gather(tasks, 2, statuses, SKUA_FOREVER), 0);
    CHECK_INT(statuses[1], 2);
    skua_task_release_all(tasks, 2);
    return 0;
}

static void a_cancel_is_not_forwarded(void **state)
{
    run_on_1_2_4(cancel_body);
}

/* --- input ------------------------------------------------------------------------------------ */

static int input_body(void *arg)
{
    skua_task *task = spawn(return_arg, (void *)(intptr_t)5);
    int statuses[3] = {7, 7, 7};
    skua_task *with_null[2] = {task, NULL}, *with_self[2] = {task, skua_self()};
    skua_task *twice[3] = {task, task, task};
    CHECK_INT(skua_gather(NULL, 0, NULL, SKUA_FOREVER), 0);
    CHECK_INT(skua_gather(NULL, 0, statuses, SKUA_NOW), 0);
    CHECK_INT(skua_gather(NULL, 1, statuses, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_gather(with_null, 2, statuses, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_gather(with_self, 2, statuses, SKUA_FOREVER), -EDEADLK);
    CHECK_INT(skua_gather(with_self, 2, NULL, SKUA_NOW), -EDEADLK);
    CHECK_INT(statuses[0], 7);
    CHECK_INT(skua_gather(twice, 3, statuses, SKUA_FOREVER), 0);
    CHECK_INT(statuses[0] + statuses[1] + statuses[2], 15);
    skua_task_release(task);
    return 0;
}

/* covers: A19 */
static void odd_arguments(void **state)
{
    run_on_1_2_4(input_body);
}

/* --- foreign threads -------------------------------------------------------------------------- */

static void *gather_in_thread(void *arg)
{
    (void)gather_all(arg);
    return NULL;
}

static int foreign_body(void *arg)
{
    static actor actors[MANY];
    skua_task *tasks[MANY];
    int statuses[MANY];
    gatherer self = {.tasks = tasks, .count = MANY, .statuses = statuses};
    pthread_t thread;
    memset(actors, 0, sizeof actors);
    for (int i = 0; i < MANY; i++) {
        actors[i].status = i;
    }
    start_actors(tasks, actors, MANY);
    CHECK_INT(pthread_create(&thread, NULL, gather_in_thread, &self), 0);
    await(&self.has_begun, 1);
    for (int i = 0; i < MANY; i++) {
        end_now(tasks[i], &actors[i]);
    }
    await(&self.has_ended, 1);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(self.result, 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_INT(statuses[i], i);
    }
    skua_task_release_all(tasks, MANY);
    return 0;
}

static void from_a_foreign_thread(void **state)
{
    run_on_1_2_4(foreign_body);
}

/* Several gather the same tasks while others join them. */
static int shared_body(void *arg)
{
    enum { GATHERERS = 20, TASKS = 20 };
    static actor actors[TASKS];
    skua_task *tasks[TASKS], *gathering[GATHERERS];
    gatherer selves[GATHERERS];
    memset(actors, 0, sizeof actors);
    memset(selves, 0, sizeof selves);
    start_actors(tasks, actors, TASKS);
    for (int i = 0; i < GATHERERS; i++) {
        selves[i].tasks = tasks;
        selves[i].count = TASKS;
        gathering[i] = spawn(gather_all, &selves[i]);
    }
    for (int i = 0; i < TASKS; i++) {
        end_now(tasks[i], &actors[i]);
    }
    for (int i = 0; i < GATHERERS; i++) {
        CHECK_INT(finish(gathering[i]), 0);
    }
    skua_task_release_all(tasks, TASKS);
    return 0;
}

static void many_gather_the_same(void **state)
{
    run_on_1_2_4(shared_body);
}

static gate may_end;

static int wait_for_gate(void *arg)
{
    await(&may_end, 1);
    return 0;
}

/* With a task that will never end there: nothing is waited for. */
static int refusals(skua_task *task, skua_as_completed *completed)
{
    int statuses[1];
    bool done[1];
    skua_as_completed *another;
    int refused = skua_gather(&task, 1, statuses, SKUA_FOREVER) == -ESHUTDOWN;
    refused += skua_gather(NULL, 0, NULL, SKUA_FOREVER) == -ESHUTDOWN;
    refused += skua_wait(&task, 1, SKUA_ALL, done, SKUA_FOREVER) == -ESHUTDOWN;
    refused += skua_as_completed_create(&another, &task, 1) == -ESHUTDOWN;
    refused += skua_as_completed_next(completed, &task, NULL, SKUA_FOREVER) == -ESHUTDOWN;
    skua_as_completed_destroy(completed);
    return refused;
}

static void in_a_forked_child(void **state)
{
    skua_runtime *runtime;
    skua_task *task;
    skua_as_completed *completed;
    int status;
    CHECK_INT(skua_runtime_create(&runtime, NULL), 0);
    CHECK_INT(skua_submit(runtime, &task, wait_for_gate, NULL, NULL), 0);
    CHECK_INT(skua_as_completed_create(&completed, &task, 1), 0);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20 * TEST_SCALE);
        _exit(refusals(task, completed));
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 5);
    atomic_store(&may_end, 1);
    skua_task *ended;
    CHECK_INT(skua_as_completed_next(completed, &ended, NULL, SKUA_FOREVER), 1);
    skua_as_completed_destroy(completed);
    skua_task_release(task);
    skua_runtime_destroy(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(statuses_stand_in_the_order_of_the_arguments),
        TEST(errors_stand_in_their_own_slots),
        TEST(ten_thousand),
        TEST(cancelled_failed_and_finished_are_told_apart),
        TEST(the_first_failure_to_end_is_returned_and_siblings_run_on),
        TEST(what_siblings_do_later_changes_nothing),
        TEST(failures_that_were_not_returned_are_reported),
        TEST(late_ones_are_told_apart),
        TEST(the_deadline_is_the_callers_alone),
        TEST(a_cancel_is_not_forwarded),
        TEST(odd_arguments),
        TEST(from_a_foreign_thread),
        TEST(many_gather_the_same),
        TEST(in_a_forked_child),
    };
    return TEST_RUN(tests);
}
