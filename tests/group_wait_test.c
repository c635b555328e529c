/* Groups: members that say when they are ready, members as they end, and room for more. */
#include "group_help.h"

#include <skua/testing.h>

/* --- started ---------------------------------------------------------------------------------- */

typedef struct server {
    gate listens, *ended;
    int port;
} server;

static int serve(void *arg)
{
    server *self = arg;
    CHECK_INT(skua_sleep(skua_after(SKUA_US(200))), 0);
    self->port = 4711;
    atomic_store(&self->listens, 1);
    skua_started(&self->port);
    skua_started(NULL); /* nobody waits any more */
    int status = skua_sleep(SKUA_FOREVER);
    atomic_fetch_add(self->ended, 1);
    return status;
}

static int start_body(void *arg)
{
    gate ended = 0;
    server servers[3] = {0};
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (int i = 0; i < 3; i++) {
        void *port = NULL;
        servers[i].ended = &ended;
        CHECK_INT(skua_group_start(&group, serve, &servers[i], &port, SKUA_FOREVER), 0);
        CHECK_INT(servers[i].listens, 1);
        CHECK_PTR(port, &servers[i].port);
        CHECK_INT(*(int *)port, 4711);
    }
    CHECK_INT(skua_group_count(&group), 3);
    CHECK_INT(skua_group_start(&group, never_called, NULL, NULL, SKUA_NOW), -EAGAIN);
    skua_group_cancel(&group);
    CHECK_INT(skua_group_close(&group, 0), 0);
    CHECK_INT(ended, 3);
    return 0;
}

/* covers: B13 */
static void start_waits_until_the_member_is_ready(void **state)
{
    run_on_1_2_4(start_body);
}

static int fail_at_start(void *arg)
{
    CHECK_INT(skua_yield(), 0);
    return skua_fail(-EADDRINUSE, "taken");
}

static int start_at_once(void *arg)
{
    skua_started(arg);
    return -EIO;
}

static int start_fails_body(void *arg)
{
    void *value = &value;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    CHECK_INT(skua_group_start(&group, fail_at_start, NULL, &value, SKUA_FOREVER), -EADDRINUSE);
    CHECK_INT(skua_group_start(&group, return_zero, NULL, &value, SKUA_FOREVER), -EPROTO);
    CHECK_PTR(value, &value);
    add(&group, return_zero, NULL); /* the group has not failed */
    CHECK_INT(skua_group_start(&group, start_at_once, NULL, &value, SKUA_FOREVER), 0);
    CHECK_PTR(value, NULL);
    CHECK_INT(skua_group_close(&group, 0), -EIO); /* that failure was one of the group */
    CHECK_INT(skua_group_error_count(&group), 1);
    skua_started(NULL); /* not a member at all: nothing happens */
    return 0;
}

/* covers: B13 */
static void a_member_that_fails_to_start_fails_only_there(void **state)
{
    struct said caught;
    said_begin(&caught);
    skua_started(NULL);
    run_on_1_2_4(start_fails_body);
    CHECK_STR(said_end(&caught), "");
}

static int start_late(void *arg)
{
    gate *cancelled = arg;
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    skua_started(NULL); /* too late */
    atomic_fetch_add(cancelled, 1);
    return -ECANCELED;
}

static int start_times_out_body(void *arg)
{
    gate cancelled = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    CHECK_INT(skua_group_start(&group, start_late, &cancelled, NULL, skua_after(SKUA_MS(1))),
              -ETIMEDOUT);
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, skua_after(SKUA_MS(1)));
    CHECK_INT(skua_group_start(&group, start_late, &cancelled, NULL, SKUA_FOREVER), -ECANCELED);
    CHECK_INT(skua_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
    CHECK_INT(skua_group_room(&group, 1, SKUA_FOREVER), 0);
    CHECK_INT(cancelled, 2);
    CHECK_INT(skua_group_close(&group, 0), 0);
    return 0;
}

/* covers: B13 */
static void a_start_that_is_given_up_cancels_the_member(void **state)
{
    run_virtually_on_1_2_4(start_times_out_body);
}

/* --- next ------------------------------------------------------------------------------------- */

typedef struct late {
    int sleeps_ms, status;
} late;

static int return_late(void *arg)
{
    late *self = arg;
    int status = skua_sleep(skua_after(SKUA_MS(self->sleeps_ms)));
    return status < 0 ? status : self->status;
}

typedef struct turn {
    gate *now;
    int number, status;
} turn;

static int end_in_turn(void *arg)
{
    turn *self = arg;
    await(self->now, self->number);
    return self->status;
}

static int next_body(void *arg)
{
    gate now = 0;
    turn turns[] = {{&now, 3, 3}, {&now, 1, 1}, {&now, 2, -EIO}};
    const int order[] = {1, -EIO, 3};
    skua_task *task = NULL;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_JOIN_SET, SKUA_FOREVER);
    CHECK_INT(skua_group_next(&group, &task, SKUA_FOREVER), 0);
    for (int i = 0; i < 3; i++) {
        add(&group, end_in_turn, &turns[i]);
    }
    CHECK_INT(skua_group_next(&group, &task, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_group_next(&group, &task, skua_after(0)), -ETIMEDOUT);
    for (size_t left = 3; left > 0; left--) {
        atomic_fetch_add(&now, 1);
        CHECK_INT(skua_group_room(&group, left, SKUA_FOREVER), 0); /* it has ended */
    }
    for (int i = 0; i < 3; i++) {
        CHECK_INT(skua_group_next(&group, &task, SKUA_FOREVER), 1);
        CHECK_INT(finish(task), order[i]);
    }
    CHECK_INT(skua_group_next(&group, &task, SKUA_FOREVER), 0);
    CHECK_INT(skua_group_close(&group, 4), 4);
    skua_group_open(&group, SKUA_COLLECT, SKUA_FOREVER);
    CHECK_INT(skua_group_next(&group, &task, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_group_close(&group, 0), 0);
    return 0;
}

/* covers: B22 */
static void next_gives_members_in_the_order_of_their_ends(void **state)
{
    run_on_1_2_4(next_body);
}

static int abort_odd_body(void *arg)
{
    enum { TASKS = 16 };
    skua_task *handles[TASKS], *task;
    late eternal = {100000, 0}, brief = {1, 0};
    int cancelled = 0, done = 0, times[TASKS] = {0};
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_JOIN_SET, SKUA_FOREVER);
    const skua_spawn_opts opts = {.group = &group};
    for (int i = 0; i < TASKS; i++) {
        handles[i] = spawn_with(return_late, i % 2 ? &eternal : &brief, &opts);
    }
    for (int i = 1; i < TASKS; i += 2) {
        skua_task_cancel(handles[i]);
    }
    while (skua_group_next(&group, &task, SKUA_FOREVER) == 1) {
        for (int i = 0; i < TASKS; i++) {
            times[i] += task == handles[i];
        }
        cancelled += skua_task_state(task) == SKUA_CANCELLED;
        done += finish(task) == 0;
    }
    CHECK_INT(cancelled, TASKS / 2);
    CHECK_INT(done, TASKS / 2);
    for (int i = 0; i < TASKS; i++) {
        CHECK_INT(times[i], 1); /* each was reported once */
    }
    skua_task_release_all(handles, TASKS);
    CHECK_INT(skua_group_close(&group, 0), 0);
    return 0;
}

/* covers: D52 */
static void aborted_members_are_given_too(void **state)
{
    run_on_1_2_4(abort_odd_body);
}

/* Several takers; some are cancelled meanwhile: no end gets lost and none comes twice. */
typedef struct takers {
    skua_group group;
    gate taken, takers_left;
} takers;

static int take_all(void *arg)
{
    takers *self = arg;
    skua_task *task;
    int got;
    while ((got = skua_group_next(&self->group, &task, SKUA_FOREVER)) == 1) {
        skua_task_release(task);
        atomic_fetch_add(&self->taken, 1);
    }
    atomic_fetch_sub(&self->takers_left, 1);
    return got;
}

static int takers_body(void *arg)
{
    enum { TAKERS = 4, TASKS = 200 };
    takers self = {.takers_left = TAKERS};
    skua_task *tasks[TAKERS];
    skua_group_open(&self.group, SKUA_JOIN_SET, SKUA_FOREVER);
    late eternal = {100000, 0};
    const skua_spawn_opts opts = {.group = &self.group};
    skua_task *last = spawn_with(return_late, &eternal, &opts); /* keeps the takers waiting */
    for (int i = 0; i < TAKERS; i++) {
        tasks[i] = spawn(take_all, &self);
    }
    for (int i = 0; i < TASKS; i++) {
        add(&self.group, return_zero, NULL);
        if (i == TASKS / 2) {
            skua_task_cancel(tasks[0]);
        }
        CHECK_INT(skua_yield(), 0);
    }
    CHECK_INT(finish(tasks[0]), -ECANCELED);
    skua_task_cancel(last);
    for (int i = 1; i < TAKERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    skua_task_release(last);
    CHECK_INT(self.taken, TASKS + 1);
    CHECK_INT(skua_group_close(&self.group, 0), 0);
    skua_group_fini(&self.group);
    return 0;
}

/* covers: B22 */
static void several_may_take_and_nothing_is_lost(void **state)
{
    run_on_1_2_4(takers_body);
}

static int unfetched_body(void *arg)
{
    int failed = -EIO;
    skua_task *task;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_JOIN_SET, SKUA_FOREVER);
    add(&group, return_arg, &failed);
    add(&group, return_arg, &failed);
    add(&group, return_zero, NULL);
    CHECK_INT(skua_group_close(&group, 0), 0);
    CHECK_INT(skua_group_error_count(&group), 2);
    CHECK_INT(skua_group_next(&group, &task, SKUA_FOREVER), 1); /* also after the close */
    CHECK_INT(finish(task), -EIO);
    return 0;
}

static void a_failure_that_nobody_took_is_reported(void **state)
{
    struct said caught;
    said_begin(&caught);
    run_on(1, unfetched_body);
    CHECK_INT(count_of(said_end(&caught), "failed"), 1);
}

/* --- room ------------------------------------------------------------------------------------- */

typedef struct busy {
    gate now, most, ended;
} busy;

static int be_busy(void *arg)
{
    busy *self = arg;
    int now = atomic_fetch_add(&self->now, 1) + 1;
    int most = atomic_load(&self->most);
    while (now > most && !atomic_compare_exchange_weak(&self->most, &most, now)) {}
    CHECK_INT(skua_sleep(skua_after(SKUA_US(50))), 0);
    atomic_fetch_sub(&self->now, 1);
    atomic_fetch_add(&self->ended, 1);
    return 0;
}

static int room_body(void *arg)
{
    enum { LIMIT = 3, TASKS = 40 };
    busy self = {0};
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    CHECK_INT(skua_group_room(&group, 0, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_group_room(&group, 1, SKUA_NOW), 0);
    for (int i = 0; i < TASKS; i++) {
        CHECK_INT(skua_group_room(&group, LIMIT, SKUA_FOREVER), 0);
        add(&group, be_busy, &self);
    }
    CHECK_INT(skua_group_room(&group, 1, SKUA_FOREVER), 0); /* all have ended */
    CHECK_INT(self.ended, TASKS);
    CHECK(self.most <= LIMIT);
    late eternal = {100000, 0};
    add(&group, return_late, &eternal);
    CHECK_INT(skua_group_room(&group, 1, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_group_room(&group, 1, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    skua_group_cancel(&group);
    CHECK_INT(skua_group_room(&group, 1, SKUA_FOREVER), -ECANCELED);
    CHECK_INT(skua_group_close(&group, 0), 0);
    return 0;
}

static void room_keeps_the_number_of_members_down(void **state)
{
    run_on_1_2_4(room_body);
}

typedef struct spawner {
    skua_group *group;
    busy *busy;
    gate *done;
} spawner;

static int spawn_with_room(void *arg)
{
    spawner *self = arg;
    for (int i = 0; i < 20; i++) {
        CHECK_INT(skua_group_room(self->group, 6, SKUA_FOREVER), 0);
        add(self->group, be_busy, self->busy);
    }
    atomic_fetch_add(self->done, 1);
    return 0;
}

/* The spawners are members themselves. */
static int spawners_body(void *arg)
{
    enum { SPAWNERS = 4 };
    busy self = {0};
    gate done = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    spawner each = {&group, &self, &done};
    for (int i = 0; i < SPAWNERS; i++) {
        add(&group, spawn_with_room, &each);
    }
    CHECK_INT(skua_group_close(&group, 0), 0);
    CHECK_INT(done, SPAWNERS);
    CHECK_INT(self.ended, SPAWNERS * 20);
    return 0;
}

static void several_may_wait_for_room(void **state)
{
    run_on_1_2_4(spawners_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(start_waits_until_the_member_is_ready),
        TEST(a_member_that_fails_to_start_fails_only_there),
        TEST(a_start_that_is_given_up_cancels_the_member),
        TEST(next_gives_members_in_the_order_of_their_ends),
        TEST(aborted_members_are_given_too),
        TEST(several_may_take_and_nothing_is_lost),
        TEST(a_failure_that_nobody_took_is_reported),
        TEST(room_keeps_the_number_of_members_down),
        TEST(several_may_wait_for_room),
    };
    return TEST_RUN(tests);
}
