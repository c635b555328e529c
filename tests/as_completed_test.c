/* As-completed: each task once, in the order of ending, from call to call. */
#include "actors.h"

#include <pthread.h>
#include <skua/gather.h>

enum { TASKS = 5, CROWD = 10000 };

static skua_as_completed *watch(skua_task *const tasks[], size_t count)
{
    skua_as_completed *completed = NULL;
    CHECK_INT(skua_as_completed_create(&completed, tasks, count), 0);
    CHECK(completed != NULL);
    return completed;
}

/* The next end, which is there or will come. */
static size_t next_of(skua_as_completed *completed, skua_task *const tasks[])
{
    skua_task *task = NULL;
    size_t index = SIZE_MAX;
    CHECK_INT(skua_as_completed_next(completed, &task, &index, SKUA_FOREVER), 1);
    CHECK_PTR(task, tasks[index]);
    CHECK_INT(skua_join(task, NULL, SKUA_NOW), 0);
    return index;
}

static void check_through(skua_as_completed *completed)
{
    skua_task *task = NULL;
    CHECK_INT(skua_as_completed_next(completed, &task, NULL, SKUA_FOREVER), 0);
    CHECK_INT(skua_as_completed_next(completed, &task, NULL, SKUA_NOW), 0);
    CHECK_PTR(task, NULL);
}

/* --- order ------------------------------------------------------------------------------------ */

static int order_body(void *arg)
{
    static const size_t order[TASKS] = {3, 0, 4, 2, 1};
    actor actors[TASKS] = {0};
    skua_task *tasks[TASKS];
    start_actors(tasks, actors, TASKS);
    skua_as_completed *completed = watch(tasks, TASKS);
    for (int i = 0; i < TASKS; i++) { /* each is waited for, or the first ones pile up */
        end_now(tasks[order[i]], &actors[order[i]]);
        if (i >= 2) {
            CHECK_INT(next_of(completed, tasks), order[i - 2]);
        }
    }
    CHECK_INT(next_of(completed, tasks), order[3]);
    CHECK_INT(next_of(completed, tasks), order[4]);
    check_through(completed);
    skua_as_completed_destroy(completed);
    skua_task_release_all(tasks, TASKS);
    return 0;
}

/* covers: A26 B8 */
static void the_very_tasks_in_the_order_of_ending(void **state)
{
    run_on_1_2_4(order_body);
}

static int end_in_turn(void *arg)
{
    actor *actors = arg;
    for (int i = TASKS - 1; i >= 0; i--) {
        let_run();
        atomic_store(&actors[i].may_end, 1);
        await(&actors[i].has_ended, 1);
    }
    return 0;
}

static int waiting_body(void *arg)
{
    actor actors[TASKS] = {0};
    skua_task *tasks[TASKS];
    start_actors(tasks, actors, TASKS);
    skua_as_completed *completed = watch(tasks, TASKS);
    skua_task *ender = spawn(end_in_turn, actors);
    bool seen[TASKS] = {false};
    for (int i = 0; i < TASKS; i++) {
        size_t index = next_of(completed, tasks);
        CHECK(!seen[index]);
        seen[index] = true;
    }
    check_through(completed);
    skua_as_completed_destroy(completed);
    CHECK_INT(finish(ender), 0);
    skua_task_release_all(tasks, TASKS);
    return 0;
}

static void each_end_is_waited_for(void **state)
{
    run_on_1_2_4(waiting_body);
}

static int ended_before_body(void *arg)
{
    actor actors[TASKS] = {0};
    skua_task *tasks[TASKS];
    start_actors(tasks, actors, TASKS);
    for (int i = TASKS - 1; i > 0; i--) {
        end_now(tasks[i], &actors[i]);
    }
    skua_as_completed *completed = watch(tasks, TASKS);
    for (size_t i = 1; i < TASKS; i++) {
        CHECK_INT(next_of(completed, tasks), i); /* the array's order */
    }
    end_now(tasks[0], &actors[0]);
    CHECK_INT(next_of(completed, tasks), 0);
    check_through(completed);
    skua_as_completed_destroy(completed);
    skua_task_release_all(tasks, TASKS);
    return 0;
}

static void those_that_have_ended_come_first(void **state)
{
    run_on_1_2_4(ended_before_body);
}

/* --- once ------------------------------------------------------------------------------------- */

static int twice_body(void *arg)
{
    actor actors[2] = {0};
    skua_task *tasks[2];
    start_actors(tasks, actors, 2);
    skua_task *array[5] = {tasks[1], tasks[0], tasks[1], tasks[1], tasks[0]};
    skua_as_completed *completed = watch(array, 5);
    end_now(tasks[0], &actors[0]);
    CHECK_INT(next_of(completed, array), 1);
    end_now(tasks[1], &actors[1]);
    CHECK_INT(next_of(completed, array), 0);
    check_through(completed);
    skua_as_completed_destroy(completed);
    skua_task_release_all(tasks, 2);
    return 0;
}

/* covers: A26 */
static void a_task_that_stands_there_twice_comes_once(void **state)
{
    run_on_1_2_4(twice_body);
}

static int deadline_body(void *arg)
{
    actor actors[3] = {0};
    skua_task *tasks[3], *task = NULL;
    start_actors(tasks, actors, 3);
    skua_as_completed *completed = watch(tasks, 3);
    CHECK_INT(skua_as_completed_next(completed, &task, NULL, SKUA_NOW), -EAGAIN);
    end_now(tasks[2], &actors[2]);
    CHECK_INT(next_of(completed, tasks), 2);
    CHECK_INT(skua_as_completed_next(completed, &task, NULL, skua_after(SKUA_MS(2))), -ETIMEDOUT);
    CHECK_INT(skua_as_completed_next(completed, &task, NULL, skua_after(0)), -ETIMEDOUT);
    CHECK_PTR(task, NULL);
    end_now(tasks[0], &actors[0]); /* resumes where it was */
    CHECK_INT(skua_as_completed_next(completed, &task, NULL, skua_after(0)), 1);
    CHECK_PTR(task, tasks[0]);
    end_now(tasks[1], &actors[1]);
    CHECK_INT(next_of(completed, tasks), 1);
    check_through(completed);
    skua_as_completed_destroy(completed);
    skua_task_release_all(tasks, 3);
    return 0;
}

/* covers: A26 D44 */
static void it_goes_on_after_a_deadline(void **state)
{
    run_on_1_2_4(deadline_body);
}

typedef struct reader {
    skua_as_completed *completed;
    skua_task *task;
    int result;
    gate has_begun, has_ended;
} reader;

static int read_next(void *arg)
{
    reader *self = arg;
    atomic_store(&self->has_begun, 1);
    self->result = skua_as_completed_next(self->completed, &self->task, NULL, SKUA_FOREVER);
    atomic_store(&self->has_ended, 1);
    return 0;
}

static int cancel_body(void *arg)
{
    actor actors[2] = {0};
    skua_task *tasks[2];
    start_actors(tasks, actors, 2);
    skua_as_completed *completed = watch(tasks, 2);
    reader self = {.completed = completed};
    skua_task *reading = spawn(read_next, &self);
    await(&self.has_begun, 1);
    let_run();
    skua_task_cancel(reading);
    CHECK_INT(finish(reading), 0);
    CHECK_INT(self.result, -ECANCELED);
    CHECK_INT(skua_task_state(tasks[0]), SKUA_RUNNING);
    end_now(tasks[1], &actors[1]);
    CHECK_INT(next_of(completed, tasks), 1);
    skua_as_completed_destroy(completed); /* one was not given, and runs on */
    CHECK_INT(skua_task_state(tasks[0]), SKUA_RUNNING);
    end_now(tasks[0], &actors[0]);
    skua_task_release_all(tasks, 2);
    return 0;
}

static void a_cancel_loses_nothing(void **state)
{
    run_on_1_2_4(cancel_body);
}

/* --- handles ---------------------------------------------------------------------------------- */

static int release_body(void *arg)
{
    skua_task *tasks[TASKS], *task;
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = spawn(return_zero, NULL);
    }
    skua_as_completed *completed = watch(tasks, TASKS);
    while (skua_as_completed_next(completed, &task, NULL, SKUA_FOREVER) == 1) {
        CHECK_INT(finish(task), 0); /* and gives its reference back */
    }
    skua_as_completed_destroy(completed);
    return 0;
}

static void a_task_may_be_released_when_it_was_given(void **state)
{
    run_on_1_2_4(release_body);
}

static int crowd_body(void *arg)
{
    static skua_task *tasks[CROWD];
    static bool seen[CROWD];
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < CROWD; i++) {
        tasks[i] = spawn(return_zero, NULL);
    }
    skua_as_completed *completed = watch(tasks, CROWD);
    for (int i = 0; i < CROWD; i++) {
        size_t index = next_of(completed, tasks);
        CHECK(!seen[index]);
        seen[index] = true;
    }
    check_through(completed);
    skua_as_completed_destroy(completed);
    skua_task_release_all(tasks, CROWD);
    return 0;
}

static void ten_thousand(void **state)
{
    run_on_1_2_4(crowd_body);
}

/* --- input ------------------------------------------------------------------------------------ */

static int input_body(void *arg)
{
    skua_as_completed *untouched = (skua_as_completed *)(uintptr_t)8, *completed = untouched;
    skua_task *task = spawn(return_zero, NULL);
    skua_task *with_null[2] = {task, NULL}, *with_self[2] = {skua_self(), task};
    CHECK_INT(skua_as_completed_create(&completed, with_null, 2), -EINVAL);
    CHECK_INT(skua_as_completed_create(&completed, with_self, 2), -EDEADLK);
    CHECK_INT(skua_as_completed_create(&completed, NULL, 1), -EINVAL);
    CHECK_PTR(completed, untouched);
    completed = watch(NULL, 0);
    check_through(completed);
    skua_as_completed_destroy(completed);
    skua_as_completed_destroy(NULL);
    CHECK_INT(finish(task), 0);
    return 0;
}

static void odd_arguments(void **state)
{
    run_on_1_2_4(input_body);
}

static void *read_in_thread(void *arg)
{
    (void)read_next(arg);
    return NULL;
}

static int foreign_body(void *arg)
{
    actor one = {.status = 3};
    skua_task *task = spawn(act, &one);
    reader self = {.completed = watch(&task, 1)};
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, read_in_thread, &self), 0);
    await(&self.has_begun, 1);
    let_run();
    end_now(task, &one);
    await(&self.has_ended, 1);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(self.result, 1);
    CHECK_PTR(self.task, task);
    skua_as_completed_destroy(self.completed);
    skua_task_release(task);
    return 0;
}

static void from_a_foreign_thread(void **state)
{
    run_on_1_2_4(foreign_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_very_tasks_in_the_order_of_ending),
        TEST(each_end_is_waited_for),
        TEST(those_that_have_ended_come_first),
        TEST(a_task_that_stands_there_twice_comes_once),
        TEST(it_goes_on_after_a_deadline),
        TEST(a_cancel_loses_nothing),
        TEST(a_task_may_be_released_when_it_was_given),
        TEST(ten_thousand),
        TEST(odd_arguments),
        TEST(from_a_foreign_thread),
    };
    return TEST_RUN(tests);
}
