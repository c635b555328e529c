/* Barrier, latch, wait group and once: that all are there before one goes on. */
#include "sync_help.h"

#include <skua/meet.h>

/* --- barrier --- */

static int meet(void *barrier, size_t number, skua_time deadline)
{
    (void)number;
    return skua_barrier_wait(barrier, deadline);
}

enum { PARTIES = 5, ROUNDS = 200 / TEST_SCALE };
static struct {
    skua_barrier barrier;
    gate arrived, places;
} yard;

static int meet_often(void *arg)
{
    for (int round = 0; round < ROUNDS; round++) {
        atomic_fetch_add(&yard.arrived, 1);
        int place = skua_barrier_wait(&yard.barrier, SKUA_FOREVER);
        CHECK(place >= 0 && place < PARTIES);
        CHECK(atomic_load(&yard.arrived) >= (round + 1) * PARTIES);
        CHECK(atomic_load(&yard.arrived) <= (round + 2) * PARTIES);
        atomic_fetch_add(&yard.places, place);
    }
    return 0;
}

static int rounds_body(void *arg)
{
    skua_task *tasks[PARTIES];
    memset(&yard, 0, sizeof yard);
    skua_barrier_init(&yard.barrier, PARTIES);
    for (int i = 0; i < PARTIES; i++) {
        tasks[i] = spawn(meet_often, NULL);
    }
    for (int i = 0; i < PARTIES; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(atomic_load(&yard.places), ROUNDS * (0 + 1 + 2 + 3 + 4));
    return 0;
}

/* covers: B7 */
static void nobody_goes_on_before_all_are_here(void **state)
{
    run_on_1_2_4(rounds_body);
}

static void start_party(caller *self, skua_barrier *barrier)
{
    *self = (caller){.wait = meet, .object = barrier};
    start_waiting(self);
}

static int replaced_body(void *arg)
{
    skua_barrier barrier;
    caller parties[3];
    skua_barrier_init(&barrier, 3);
    start_party(&parties[0], &barrier);
    start_party(&parties[1], &barrier);
    CHECK_INT(skua_barrier_waiting(&barrier), 2);
    CHECK_INT(cancel_and_finish(&parties[0]), -ECANCELED);
    CHECK_INT(skua_barrier_waiting(&barrier), 1);
    CHECK_INT(skua_barrier_wait(&barrier, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_barrier_wait(&barrier, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    start_party(&parties[2], &barrier);
    CHECK_INT(skua_barrier_wait(&barrier, SKUA_NOW), 2); /* the last one does not wait */
    CHECK_INT(finish_caller(&parties[1]), 0);
    CHECK_INT(finish_caller(&parties[2]), 1);
    CHECK_INT(skua_barrier_waiting(&barrier), 0);
    return 0;
}

/* covers: D29 */
static void a_cancelled_party_is_replaced(void **state)
{
    run_on_1_2_4(replaced_body);
}

static int aborted_body(void *arg)
{
    skua_barrier barrier;
    caller parties[2];
    skua_barrier_init(&barrier, 3);
    start_party(&parties[0], &barrier);
    start_party(&parties[1], &barrier);
    skua_barrier_abort(&barrier);
    CHECK(skua_barrier_is_aborted(&barrier));
    CHECK_INT(finish_caller(&parties[0]), -ECONNABORTED);
    CHECK_INT(finish_caller(&parties[1]), -ECONNABORTED);
    CHECK_INT(skua_barrier_wait(&barrier, SKUA_FOREVER), -ECONNABORTED);
    skua_barrier_reset(&barrier);
    CHECK(!skua_barrier_is_aborted(&barrier));
    start_party(&parties[0], &barrier);
    skua_barrier_reset(&barrier); /* who waits is sent away */
    CHECK_INT(finish_caller(&parties[0]), -ECONNABORTED);
    start_party(&parties[0], &barrier);
    start_party(&parties[1], &barrier);
    CHECK_INT(skua_barrier_wait(&barrier, SKUA_FOREVER), 2);
    CHECK_INT(finish_caller(&parties[0]), 0);
    CHECK_INT(finish_caller(&parties[1]), 1);
    return 0;
}

/* covers: B7 */
static void aborted_and_reset(void **state)
{
    run_on_1_2_4(aborted_body);
}

static int alone_body(void *arg)
{
    skua_barrier barrier;
    skua_barrier_init(&barrier, 1);
    CHECK_INT(skua_barrier_wait(&barrier, SKUA_NOW), 0);
    CHECK_INT(skua_barrier_wait(&barrier, SKUA_NOW), 0);
    return 0;
}

static void a_barrier_for_one(void **state)
{
    run_on_1_2_4(alone_body);
}

/* A cancel in the moment of the opening: the place was given, or somebody else has it. */
static int race_body(void *arg)
{
    for (int i = 0; i < 200 / TEST_SCALE; i++) {
        skua_barrier barrier;
        caller first, second = {.wait = meet, .object = &barrier};
        skua_barrier_init(&barrier, 2);
        start_party(&first, &barrier);
        start(&second);
        skua_task_cancel(first.task);
        int status = finish_caller(&first);
        if (status == -ECANCELED) {
            int place = skua_barrier_wait(&barrier, SKUA_FOREVER);
            CHECK_INT(place + finish_caller(&second), 0 + 1);
        } else {
            CHECK_INT(status, 0);
            CHECK_INT(finish_caller(&second), 1);
        }
    }
    return 0;
}

/* covers: B7 */
static void cancelled_while_it_opens(void **state)
{
    run_on_1_2_4(race_body);
}

/* --- latch --- */

static int wait_for_latch(void *latch, size_t number, skua_time deadline)
{
    (void)number;
    return skua_latch_wait(latch, deadline);
}

static int latch_body(void *arg)
{
    skua_latch latch = {{0}};
    caller callers[3];
    CHECK_INT(skua_latch_wait(&latch, SKUA_NOW), 0);
    skua_latch_init(&latch, 3);
    for (int i = 0; i < 3; i++) {
        callers[i] = (caller){.wait = wait_for_latch, .object = &latch};
        start_waiting(&callers[i]);
    }
    CHECK_INT(skua_latch_wait(&latch, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_latch_wait(&latch, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    skua_latch_count_down(&latch, 2);
    CHECK_INT(skua_latch_missing(&latch), 1);
    CHECK_INT(cancel_and_finish(&callers[1]), -ECANCELED);
    CHECK_INT(waiting_at(&latch), 2);
    skua_latch_count_down(&latch, 1);
    CHECK_INT(finish_caller(&callers[0]), 0);
    CHECK_INT(finish_caller(&callers[2]), 0);
    CHECK_INT(skua_latch_wait(&latch, SKUA_NOW), 0);
    return 0;
}

static void a_latch_opens_for_good(void **state)
{
    run_on_1_2_4(latch_body);
}

/* --- wait group --- */

static struct {
    skua_wait_group group;
    gate done;
} work;

static int do_work(void *arg)
{
    (void)!skua_yield();
    atomic_fetch_add(&work.done, 1);
    skua_wait_group_done(&work.group);
    return 0;
}

enum { WORKERS = 16, REUSES = 8 };

static int group_body(void *arg)
{
    memset(&work, 0, sizeof work);
    CHECK_INT(skua_wait_group_wait(&work.group, SKUA_NOW), 0);
    for (int reuse = 1; reuse <= REUSES; reuse++) {
        skua_task *tasks[WORKERS];
        skua_wait_group_add(&work.group, WORKERS);
        CHECK_INT(skua_wait_group_wait(&work.group, SKUA_NOW), -EAGAIN);
        for (int i = 0; i < WORKERS; i++) {
            tasks[i] = spawn(do_work, NULL);
        }
        CHECK_INT(skua_wait_group_wait(&work.group, SKUA_FOREVER), 0);
        CHECK_INT(atomic_load(&work.done), reuse * WORKERS); /* not before all are done */
        CHECK_INT(skua_wait_group_count(&work.group), 0);
        for (int i = 0; i < WORKERS; i++) {
            CHECK_INT(finish(tasks[i]), 0);
        }
    }
    return 0;
}

/* covers: D33 B38 */
static void a_wait_group_is_used_again(void **state)
{
    run_on_1_2_4(group_body);
}

static int wait_for_group(void *group, size_t number, skua_time deadline)
{
    (void)number;
    return skua_wait_group_wait(group, deadline);
}

/* It was 0 for a moment: who waited then goes on, who comes later waits. */
static int grows_again_body(void *arg)
{
    skua_wait_group group = {{0}};
    caller first = {.wait = wait_for_group, .object = &group}, second = first;
    skua_wait_group_add(&group, 1);
    start_waiting(&first);
    skua_wait_group_done(&group);
    skua_wait_group_add(&group, 1);
    CHECK_INT(finish_caller(&first), 0);
    start_waiting(&second);
    skua_wait_group_done(&group);
    CHECK_INT(finish_caller(&second), 0);
    return 0;
}

static void a_moment_of_zero_is_enough(void **state)
{
    run_on_1_2_4(grows_again_body);
}

static int done_with(void *group)
{
    skua_wait_group_done(group);
    return 0;
}

static int freed_body(void *arg)
{
    for (int i = 0; i < 2000 / TEST_SCALE; i++) {
        skua_wait_group *group = calloc(1, sizeof *group);
        CHECK(group != NULL);
        skua_wait_group_add(group, 1);
        skua_task *task = spawn(done_with, group);
        CHECK_INT(skua_wait_group_wait(group, SKUA_FOREVER), 0);
        free(group);
        CHECK_INT(finish(task), 0);
    }
    return 0;
}

static void the_waiter_frees(void **state)
{
    run_on_1_2_4(freed_body);
}

static void *done_outside(void *group)
{
    skua_wait_group_done(group);
    return NULL;
}

static int threads_body(void *arg)
{
    skua_wait_group group = {{0}};
    pthread_t threads[2];
    caller outside = {.wait = wait_for_group, .object = &group};
    skua_wait_group_add(&group, 1);
    CHECK_INT(pthread_create(&threads[0], NULL, thread_of_caller, &outside), 0);
    CHECK_INT(pthread_create(&threads[1], NULL, done_outside, &group), 0);
    CHECK_INT(skua_wait_group_wait(&group, SKUA_FOREVER), 0);
    CHECK_INT(pthread_join(threads[0], NULL), 0);
    CHECK_INT(pthread_join(threads[1], NULL), 0);
    CHECK_INT(outside.status, 0);
    return 0;
}

static void threads_take_part(void **state)
{
    run_on_1_2_4(threads_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_goes_on_before_all_are_here),
        TEST(a_cancelled_party_is_replaced),
        TEST(aborted_and_reset),
        TEST(a_barrier_for_one),
        TEST(cancelled_while_it_opens),
        TEST(a_latch_opens_for_good),
        TEST(a_wait_group_is_used_again),
        TEST(a_moment_of_zero_is_enough),
        TEST(the_waiter_frees),
        TEST(threads_take_part),
    };
    return TEST_RUN(tests);
}
