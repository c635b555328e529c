/* Wait: all, the first that ends, the first that fails, and what is said at the deadline. */
#include "actors.h"

#include <skua/gather.h>

enum { TASKS = 3 };

typedef struct waiting {
    skua_task **tasks;
    size_t count;
    skua_until until;
    bool done[TASKS];
    skua_time deadline;
    ssize_t result;
    gate has_begun, has_ended;
} waiting;

static int wait_for_some(void *arg)
{
    waiting *self = arg;
    atomic_store(&self->has_begun, 1);
    self->result = skua_wait(self->tasks, self->count, self->until, self->done, self->deadline);
    atomic_store(&self->has_ended, 1);
    return 0;
}

static skua_task *start_waiting(waiting *self)
{
    skua_task *task = spawn(wait_for_some, self);
    await(&self->has_begun, 1);
    let_run();
    return task;
}

static void end_all(skua_task *tasks[], actor actors[])
{
    for (int i = 0; i < TASKS; i++) {
        end_now(tasks[i], &actors[i]);
    }
    skua_task_release_all(tasks, TASKS);
}

/* --- until when ------------------------------------------------------------------------------- */

static int all_body(void *arg)
{
    actor actors[TASKS] = {{.status = 1}, {.status = -EIO}, {.status = 3}};
    skua_task *tasks[TASKS];
    waiting self = {.tasks = tasks, .count = TASKS, .until = SKUA_ALL};
    start_actors(tasks, actors, TASKS);
    skua_task *task = start_waiting(&self);
    end_now(tasks[1], &actors[1]);
    end_now(tasks[2], &actors[2]);
    let_run();
    CHECK(!atomic_load(&self.has_ended));
    end_now(tasks[0], &actors[0]);
    CHECK_INT(finish(task), 0);
    CHECK_INT(self.result, 3);
    CHECK(self.done[0] && self.done[1] && self.done[2]);
    end_all(tasks, actors);
    return 0;
}

/* covers: A23 */
static void until_all_have_ended(void **state)
{
    run_on_1_2_4(all_body);
}

static int first_done_body(void *arg)
{
    actor actors[TASKS] = {{.status = 1}, {.status = 2}, {.status = 3}};
    skua_task *tasks[TASKS];
    waiting self = {.tasks = tasks, .count = TASKS, .until = SKUA_FIRST_DONE};
    memset(self.done, 1, sizeof self.done);
    start_actors(tasks, actors, TASKS);
    skua_task *task = start_waiting(&self);
    end_now(tasks[1], &actors[1]);
    CHECK_INT(finish(task), 0);
    CHECK_INT(self.result, 1);
    CHECK(!self.done[0] && self.done[1] && !self.done[2]);
    CHECK_INT(skua_task_state(tasks[0]), SKUA_RUNNING);
    CHECK_INT(skua_task_state(tasks[2]), SKUA_RUNNING);
    /* The pending ones may be waited for again, or cancelled. */
    end_now(tasks[2], &actors[2]);
    CHECK_INT(skua_wait(tasks, TASKS, SKUA_FIRST_DONE, self.done, SKUA_FOREVER), 2);
    CHECK(!self.done[0] && self.done[1] && self.done[2]);
    end_all(tasks, actors);
    return 0;
}

/* covers: A23 D40 */
static void until_the_first_has_ended(void **state)
{
    run_on_1_2_4(first_done_body);
}

static int cancel_pending_body(void *arg)
{
    actor quick = {.status = 1};
    skua_task *tasks[TASKS] = {spawn(sleep_forever, NULL), spawn(act, &quick),
                               spawn(sleep_forever, NULL)};
    bool done[TASKS];
    atomic_store(&quick.may_end, 1);
    CHECK_INT(skua_wait(tasks, TASKS, SKUA_FIRST_DONE, done, SKUA_FOREVER), 1);
    for (int i = 0; i < TASKS; i++) {
        CHECK_INT(done[i], i == 1);
        if (!done[i]) {
            skua_task_cancel(tasks[i]);
        }
    }
    CHECK_INT(skua_wait(tasks, TASKS, SKUA_ALL, done, SKUA_FOREVER), TASKS);
    CHECK_INT(status_of(tasks[0]), -ECANCELED);
    CHECK_INT(status_of(tasks[2]), -ECANCELED);
    skua_task_release_all(tasks, TASKS);
    return 0;
}

/* covers: A25 */
static void the_pending_are_cancelled_afterwards(void **state)
{
    run_on_1_2_4(cancel_pending_body);
}

static int first_failed_body(void *arg)
{
    actor actors[TASKS] = {{.status = 1}, {.status = -EIO}, {.status = 3}};
    skua_task *tasks[TASKS];
    waiting self = {.tasks = tasks, .count = TASKS, .until = SKUA_FIRST_FAILED};
    start_actors(tasks, actors, TASKS);
    skua_task *task = start_waiting(&self);
    end_now(tasks[0], &actors[0]);
    let_run();
    CHECK(!atomic_load(&self.has_ended));
    end_now(tasks[1], &actors[1]);
    CHECK_INT(finish(task), 0);
    CHECK_INT(self.result, 2);
    CHECK(self.done[0] && self.done[1] && !self.done[2]);
    /* One had failed before the call. */
    CHECK_INT(skua_wait(tasks, TASKS, SKUA_FIRST_FAILED, self.done, SKUA_FOREVER), 2);
    end_all(tasks, actors);
    return 0;
}

/* covers: A23 D42 */
static void until_the_first_has_failed(void **state)
{
    run_on_1_2_4(first_failed_body);
}

static int nobody_fails_body(void *arg)
{
    actor actors[TASKS] = {{.status = 1}, {.status = 2}, {.status = 3}};
    skua_task *tasks[TASKS];
    start_actors(tasks, actors, 2);
    tasks[2] = spawn(sleep_forever, NULL);
    waiting self = {.tasks = tasks, .count = TASKS, .until = SKUA_FIRST_FAILED};
    skua_task *task = start_waiting(&self);
    skua_task_cancel(tasks[2]);
    CHECK_INT(status_of(tasks[2]), -ECANCELED);
    let_run();
    CHECK(!atomic_load(&self.has_ended)); /* a cancel on purpose is no failure */
    end_now(tasks[0], &actors[0]);
    end_now(tasks[1], &actors[1]);
    CHECK_INT(finish(task), 0);
    CHECK_INT(self.result, 3);
    skua_task_release_all(tasks, TASKS);
    return 0;
}

/* covers: D42 */
static void without_a_failure_until_all_have_ended(void **state)
{
    run_on_1_2_4(nobody_fails_body);
}

/* --- deadlines and cancels -------------------------------------------------------------------- */

static int deadline_body(void *arg)
{
    actor actors[TASKS] = {{.status = 1}, {.status = 2}, {.status = 3}};
    skua_task *tasks[TASKS];
    bool done[TASKS] = {true, false, true};
    start_actors(tasks, actors, TASKS);
    end_now(tasks[1], &actors[1]);
    CHECK_INT(skua_wait(tasks, TASKS, SKUA_ALL, done, skua_after(SKUA_MS(2))), 1);
    CHECK(!done[0] && done[1] && !done[2]);
    memset(done, 1, sizeof done);
    CHECK_INT(skua_wait(tasks, TASKS, SKUA_ALL, done, SKUA_NOW), 1);
    CHECK(!done[0] && done[1] && !done[2]);
    CHECK_INT(skua_wait(&tasks[0], 1, SKUA_FIRST_DONE, done, SKUA_NOW), 0);
    CHECK(!done[0]);
    CHECK_INT(skua_task_state(tasks[0]), SKUA_RUNNING);
    CHECK_INT(skua_task_state(tasks[2]), SKUA_RUNNING);
    end_now(tasks[0], &actors[0]);
    end_now(tasks[2], &actors[2]);
    CHECK_INT(status_of(tasks[0]), 1); /* nothing was cancelled */
    CHECK_INT(status_of(tasks[2]), 3);
    end_all(tasks, actors);
    return 0;
}

/* covers: A23 D41 */
static void the_deadline_is_no_error_and_cancels_nothing(void **state)
{
    run_on_1_2_4(deadline_body);
}

static int cancel_body(void *arg)
{
    actor actors[TASKS] = {{.status = 1}, {.status = 2}, {.status = 3}};
    skua_task *tasks[TASKS];
    waiting self = {.tasks = tasks, .count = TASKS, .done = {true, true, true}};
    start_actors(tasks, actors, TASKS);
    skua_task *task = start_waiting(&self);
    end_now(tasks[2], &actors[2]);
    skua_task_cancel(task);
    CHECK_INT(finish(task), 0);
    CHECK_INT(self.result, -ECANCELED);
    CHECK(!self.done[0] && !self.done[1] && self.done[2]);
    CHECK_INT(skua_task_state(tasks[0]), SKUA_RUNNING);
    end_all(tasks, actors);
    return 0;
}

static void a_cancel_of_the_caller_leaves_the_tasks_alone(void **state)
{
    run_on_1_2_4(cancel_body);
}

/* --- input ------------------------------------------------------------------------------------ */

static int input_body(void *arg)
{
    skua_task *task = spawn(return_zero, NULL);
    skua_task *with_null[2] = {task, NULL}, *with_self[2] = {task, skua_self()};
    skua_task *twice[2] = {task, task};
    bool done[2];
    CHECK_INT(skua_wait(&task, 0, SKUA_ALL, done, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_wait(NULL, 1, SKUA_ALL, done, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_wait(&task, 1, (skua_until)3, done, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_wait(&task, 1, (skua_until)-1, done, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_wait(&task, 1, SKUA_ALL, NULL, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_wait(with_null, 2, SKUA_ALL, done, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_wait(with_self, 2, SKUA_FIRST_DONE, done, SKUA_FOREVER), -EDEADLK);
    CHECK_INT(skua_wait(twice, 2, SKUA_ALL, done, SKUA_FOREVER), 2);
    CHECK(done[0] && done[1]);
    skua_task_release(task);
    return 0;
}

/* covers: A24 D43 */
static void bad_input_is_refused(void **state)
{
    run_on_1_2_4(input_body);
}

/* Which one ends is up to the workers; that it was said is not. */
static int race_body(void *arg)
{
    enum { ROUNDS = 200, CROWD = 20 };
    for (int round = 0; round < ROUNDS; round++) {
        skua_task *tasks[CROWD];
        bool done[CROWD];
        for (int i = 0; i < CROWD; i++) {
            tasks[i] = spawn(return_zero, NULL);
        }
        ssize_t ended_count = 0;
        while (ended_count < CROWD) {
            ssize_t before = ended_count;
            ended_count = skua_wait(tasks, CROWD, SKUA_FIRST_DONE, done, SKUA_FOREVER);
            CHECK(ended_count > 0 && ended_count >= before);
            for (int i = 0; i < CROWD; i++) {
                CHECK(!done[i] || skua_task_state(tasks[i]) == SKUA_DONE);
            }
            (void)skua_yield();
        }
        skua_task_release_all(tasks, CROWD);
    }
    return 0;
}

static void what_is_said_to_have_ended_has(void **state)
{
    run_on_1_2_4(race_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(until_all_have_ended),
        TEST(until_the_first_has_ended),
        TEST(the_pending_are_cancelled_afterwards),
        TEST(until_the_first_has_failed),
        TEST(without_a_failure_until_all_have_ended),
        TEST(the_deadline_is_no_error_and_cancels_nothing),
        TEST(a_cancel_of_the_caller_leaves_the_tasks_alone),
        TEST(bad_input_is_refused),
        TEST(what_is_said_to_have_ended_has),
    };
    return TEST_RUN(tests);
}
