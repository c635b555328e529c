/* Tasks whose work is done elsewhere: they are open before they start. */
#include "sched/held.h"
#include "tasks.h"

#include <pthread.h>
#include <skua/gather.h>
#include <skua/group.h>
#include <skua/select.h>

struct work {
    struct skua__held held;
    gate notices;
    int status;
};

static void notice(struct skua__held *held)
{
    atomic_fetch_add(&SKUA_CONTAINER(held, struct work, held)->notices, 1);
}

static int say_status(void *arg)
{
    struct work *work = arg;
    return work->status < 0 ? skua_fail(work->status, "the work failed") : work->status;
}

static skua_task *hold(struct work *work, const skua_spawn_opts *opts)
{
    skua_task *task = NULL;
    *work = (struct work){.held = {.notice = notice}, .status = 7};
    CHECK_INT(skua__task_hold(&work->held, &task, say_status, work, opts, NULL), 0);
    return task;
}

static void *let_go(void *arg)
{
    struct work *work = arg;
    skua__task_go(&work->held);
    return NULL;
}

static int wait_in_every_way(void *arg)
{
    struct work works[3];
    skua_task *tasks[3];
    int statuses[3];
    for (int i = 0; i < 3; i++) {
        tasks[i] = hold(&works[i], NULL);
    }
    CHECK_INT(skua_join(tasks[0], NULL, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    CHECK_INT(skua_task_state(tasks[0]), SKUA_RUNNING);
    works[1].status = -EDOM;
    skua__task_go(&works[2].held);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) { /* from threads that are not the runtime's */
        CHECK_INT(pthread_create(&threads[i], NULL, let_go, &works[i]), 0);
    }
    CHECK_INT(skua_gather(tasks, 3, statuses, SKUA_FOREVER), 0);
    CHECK_INT(statuses[0], 7);
    CHECK_INT(statuses[1], -EDOM);
    CHECK_STR(skua_task_error(tasks[1])->text, "the work failed");
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    skua_task_release_all(tasks, 3);
    return 0;
}

static void held_tasks_are_joined_like_others(void **state)
{
    run_on_1_2_4(wait_in_every_way);
}

static int cancel_it(void *arg)
{
    struct work work;
    skua_task *task = hold(&work, NULL);
    CHECK(!skua__held_is_cancelled(&work.held));
    skua_task_cancel(task);
    CHECK_INT(atomic_load(&work.notices), 1);
    CHECK(skua__held_is_cancelled(&work.held));
    work.status = -ECANCELED;
    skua__task_go(&work.held);
    CHECK_INT(status_of(task), -ECANCELED);
    CHECK_INT(skua_task_state(task), SKUA_CANCELLED);
    skua_task_cancel(task); /* no notice any more */
    CHECK_INT(atomic_load(&work.notices), 1);
    skua_task_release(task);

    task = hold(&work, NULL);
    skua_task_stop(task, skua_after(SKUA_SEC(1)));
    CHECK(atomic_load(&work.notices) > 0);
    CHECK(skua__held_deadline_ns(&work.held, skua__clock_ns()) != SKUA__NEVER);
    skua__task_go(&work.held);
    CHECK_INT(finish(task), 7);
    return 0;
}

static void a_cancel_is_told_to_the_holder(void **state)
{
    run_on_1_2_4(cancel_it);
}

static int be_members(void *arg)
{
    struct work works[2];
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    const skua_spawn_opts opts = {.group = &group, .name = "held"};
    skua_task *tasks[2] = {hold(&works[0], &opts), hold(&works[1], &opts)};
    works[0].status = -EDOM;
    works[1].status = -ECANCELED;
    skua__task_go(&works[0].held); /* it fails, and the group cancels the other one */
    await(&works[1].notices, 1);
    CHECK(skua__held_is_cancelled(&works[1].held));
    skua__task_go(&works[1].held);
    CHECK_INT(skua_group_close(&group, 0), -EDOM);
    skua_task_release_all(tasks, 2);
    return 0;
}

static void members_are_cancelled_with_their_group(void **state)
{
    run_on_1_2_4(be_members);
}

static struct work left;

static void go_when_told(struct skua__held *held)
{
    atomic_store(&SKUA_CONTAINER(held, struct work, held)->notices, 1);
}

/* Stands for the holder's own task. */
static int be_the_holder(void *arg)
{
    struct work *work = arg;
    while (atomic_load(&work->notices) == 0) {
        int status = skua_yield();
        (void)status;
    }
    work->status = -ECANCELED;
    skua__task_go(&work->held);
    return 0;
}

static int leave_it(void *arg)
{
    skua_task *task = hold(&left, NULL);
    left.held.notice = go_when_told;
    skua_task_release(task);
    return skua_spawn(NULL, be_the_holder, &left, NULL);
}

static void the_end_of_the_runtime_cancels_and_awaits_them(void **state)
{
    run_on_1_2_4(leave_it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(held_tasks_are_joined_like_others),
        TEST(a_cancel_is_told_to_the_holder),
        TEST(members_are_cancelled_with_their_group),
        TEST(the_end_of_the_runtime_cancels_and_awaits_them),
    };
    return TEST_RUN(tests);
}
