/* Where tasks wait for each other: conditions, events, barriers, wait groups: who goes on, and at
   which moment, whatever the schedule. Times are exact, since they are virtual. */
#include "visits.h"

#include <skua/meet.h>
#include <skua/sync.h>

/* --- conditions --- */

static struct {
    skua_mutex mutex;
    skua_cond cond;
    int awake;
} room;

static int wait_for_signal(void *arg)
{
    visit *self = arg;
    CHECK_INT(skua_mutex_lock(&room.mutex, SKUA_FOREVER), 0);
    const int status = skua_cond_wait(&room.cond, &room.mutex, self->deadline);
    end_visit(self, status);
    room.awake++;
    skua_mutex_unlock(&room.mutex); /* panics unless it is held */
    return status;
}

static int cancel_under_lock(void *arg)
{
    for (int is_late = 0; is_late < 2; is_late++) {
        const skua_time begin = skua_clock();
        visit waiter = {.deadline = is_late ? skua_after(SKUA_MS(1)) : SKUA_FOREVER};
        memset(&room, 0, sizeof room);
        start_waiting(&waiter, wait_for_signal);
        CHECK_INT(skua_mutex_lock(&room.mutex, SKUA_NOW), 0); /* the wait has given it back */
        if (!is_late) {
            skua_task_cancel(waiter.task);
        }
        sleep_ms(5);
        CHECK_INT(room.awake, 0);
        skua_mutex_unlock(&room.mutex);
        check_ended_at(&waiter, is_late ? -ETIMEDOUT : -ECANCELED, begin, 5);
        CHECK_INT(room.awake, 1);
    }
    return 0;
}

/* covers: D28 */
static void a_wait_that_is_given_up_has_the_lock_again(void **state)
{
    in_all_schedules(cancel_under_lock);
}

/* Ten wait: a signal each millisecond for the first five, then one broadcast for the rest. */
static int signal_and_broadcast(void *arg)
{
    const skua_time begin = skua_clock();
    visit visits[10];
    memset(&room, 0, sizeof room);
    for (int i = 0; i < 10; i++) {
        visits[i] = (visit){0};
        start_waiting(&visits[i], wait_for_signal);
    }
    for (int i = 1; i <= 5; i++) {
        sleep_ms(1);
        skua_cond_signal(&room.cond);
        settle();
        CHECK_INT(room.awake, i);
    }
    sleep_ms(1);
    skua_cond_broadcast(&room.cond);
    for (int i = 0; i < 10; i++) {
        check_ended_at(&visits[i], 0, begin, i < 5 ? i + 1 : 6);
    }
    CHECK_INT(room.awake, 10);
    skua_cond_signal(&room.cond); /* for nobody, and not kept */
    visit late = {.deadline = skua_after(SKUA_MS(1))};
    late.task = spawn(wait_for_signal, &late);
    check_ended_at(&late, -ETIMEDOUT, begin, 7);
    return 0;
}

/* covers: A62 D34 */
static void a_signal_wakes_one_and_a_broadcast_all(void **state)
{
    in_all_schedules(signal_and_broadcast);
}
/* Six wait. Three of them are cancelled while three signals come, in any order: three are woken
   by signals, not fewer. */
static _Atomic int signalled;

static int count_signals(void *arg)
{
    const int status = wait_for_signal(arg);
    CHECK(status == 0 || status == -ECANCELED);
    if (status == 0) {
        atomic_fetch_add(&signalled, 1);
    }
    return 0;
}

static int cancel_three(void *arg)
{
    const visit *visits = arg;
    for (int i = 0; i < 6; i += 2) {
        skua_task_cancel(visits[i].task);
        (void)skua_yield();
    }
    return 0;
}

static int signal_while_cancelling(void *arg)
{
    visit visits[6];
    memset(&room, 0, sizeof room);
    atomic_store(&signalled, 0);
    for (int i = 0; i < 6; i++) {
        visits[i] = (visit){0};
        start_waiting(&visits[i], count_signals);
    }
    skua_task *canceller = spawn(cancel_three, visits);
    for (int i = 0; i < 3; i++) {
        (void)skua_yield();
        skua_cond_signal(&room.cond);
    }
    CHECK_INT(finish(canceller), 0);
    settle();
    CHECK_INT(signalled, 3);
    skua_cond_broadcast(&room.cond);
    for (int i = 0; i < 6; i++) {
        CHECK_INT(finish(visits[i].task), 0);
    }
    CHECK_INT(room.awake, 6);
    return 0;
}

/* covers: A62 D28 D34 */
static void signals_and_cancels_in_any_order_lose_nothing(void **state)
{
    in_all_schedules(signal_while_cancelling);
}

/* --- events --- */

static skua_event event;

static int wait_for_event(void *arg)
{
    visit *self = arg;
    const int status = skua_event_wait(&event, self->deadline);
    end_visit(self, status);
    return status;
}

static int set_and_clear(void *arg)
{
    const skua_time begin = skua_clock();
    visit visits[5];
    memset(&event, 0, sizeof event);
    for (int i = 0; i < 5; i++) {
        visits[i] = (visit){.deadline = i == 0 ? skua_after(SKUA_MS(3)) : SKUA_FOREVER};
        start_waiting(&visits[i], wait_for_event);
    }
    sleep_ms(4);
    skua_task_cancel(visits[1].task);
    settle();
    sleep_ms(1);
    skua_event_set(&event);
    skua_event_clear(&event); /* who waited goes on all the same */
    check_ended_at(&visits[0], -ETIMEDOUT, begin, 3);
    check_ended_at(&visits[1], -ECANCELED, begin, 4);
    for (int i = 2; i < 5; i++) {
        check_ended_at(&visits[i], 0, begin, 5);
    }
    CHECK_INT(skua_event_wait(&event, SKUA_NOW), -EAGAIN);
    skua_event_set(&event);
    CHECK_INT(skua_event_wait(&event, SKUA_FOREVER), 0);
    check_ms_since(begin, 5);
    return 0;
}

/* covers: A62 */
static void an_event_lets_all_go_on_who_wait_for_it(void **state)
{
    in_all_schedules(set_and_clear);
}
/* --- barriers and wait groups --- */

static skua_barrier barrier;

/* Comes `stay_ms` from now. */
static int come_to_barrier(void *arg)
{
    visit *self = arg;
    sleep_ms(self->stay_ms);
    const int status = skua_barrier_wait(&barrier, self->deadline);
    end_visit(self, status);
    return status;
}

/* Three parties come at 1, 2 and 3. The first one gives up at `leave_ms`, before the last one is
   there; another one comes in its place at 6. */
static int replace_a_party(void *arg)
{
    for (int is_cancelled = 0; is_cancelled < 2; is_cancelled++) {
        const skua_time begin = skua_clock();
        visit visits[4] = {{.stay_ms = 1}, {.stay_ms = 2}, {.stay_ms = 4}, {.stay_ms = 6}};
        visits[0].deadline = is_cancelled ? SKUA_FOREVER : skua_after(SKUA_MS(3));
        skua_barrier_init(&barrier, 3);
        for (int i = 0; i < 4; i++) {
            visits[i].task = spawn(come_to_barrier, &visits[i]);
        }
        sleep_ms(3);
        if (is_cancelled) {
            CHECK_INT(skua_barrier_waiting(&barrier), 2);
            skua_task_cancel(visits[0].task);
        }
        check_ended_at(&visits[0], is_cancelled ? -ECANCELED : -ETIMEDOUT, begin, 3);
        CHECK_INT(skua_barrier_waiting(&barrier), 1);
        check_ended_at(&visits[1], 0, begin, 6);
        check_ended_at(&visits[2], 1, begin, 6);
        check_ended_at(&visits[3], 2, begin, 6);
        CHECK_INT(skua_barrier_waiting(&barrier), 0);
    }
    return 0;
}

/* covers: B7 D29 */
static void a_barrier_opens_when_who_left_is_replaced(void **state)
{
    in_all_schedules(replace_a_party);
}

/* It opens with the fifth, twice; then one of them says that it will not come. */
static int open_twice_and_abort(void *arg)
{
    const skua_time begin = skua_clock();
    visit visits[5];
    skua_barrier_init(&barrier, 5);
    for (int round = 0; round < 3; round++) {
        const int parties = round < 2 ? 5 : 4;
        for (int i = 0; i < parties; i++) {
            visits[i] = (visit){.stay_ms = i + 1};
            visits[i].task = spawn(come_to_barrier, &visits[i]);
        }
        sleep_ms(5);
        if (round == 2) {
            skua_barrier_abort(&barrier);
        }
        for (int i = 0; i < parties; i++) {
            check_ended_at(&visits[i], round < 2 ? i : -ECONNABORTED, begin, 5 * (round + 1));
        }
    }
    CHECK_INT(skua_barrier_wait(&barrier, SKUA_FOREVER), -ECONNABORTED);
    skua_barrier_reset(&barrier);
    CHECK_INT(skua_barrier_wait(&barrier, SKUA_NOW), -EAGAIN);
    return 0;
}

/* covers: B7 */
static void a_barrier_opens_with_the_last_and_is_used_again(void **state)
{
    in_all_schedules(open_twice_and_abort);
}

static skua_wait_group wait_group;

static int work_then_done(void *arg)
{
    sleep_ms((int)((visit *)arg)->amount);
    skua_wait_group_done(&wait_group);
    return 0;
}

static int wait_for_group(void *arg)
{
    visit *self = arg;
    const int status = skua_wait_group_wait(&wait_group, self->deadline);
    end_visit(self, status);
    return status;
}

static int eight_times_over(void *arg)
{
    skua_time begin = skua_clock();
    memset(&wait_group, 0, sizeof wait_group);
    for (int round = 0; round < 8; round++) {
        visit workers[16], waiters[2] = {{.status = 0}, {.deadline = skua_after(SKUA_MS(15))}};
        skua_wait_group_add(&wait_group, 16);
        for (size_t i = 0; i < 16; i++) {
            workers[i] = (visit){.amount = i + 1};
            workers[i].task = spawn(work_then_done, &workers[i]);
        }
        for (int i = 0; i < 2; i++) {
            waiters[i].task = spawn(wait_for_group, &waiters[i]);
        }
        check_ended_at(&waiters[0], 0, begin, 16); /* not before the last one */
        check_ended_at(&waiters[1], -ETIMEDOUT, begin, 15);
        for (int i = 0; i < 16; i++) {
            CHECK_INT(finish(workers[i].task), 0);
        }
        begin = skua_clock();
    }
    return 0;
}

/* covers: B38 D33 */
static void a_wait_group_ends_with_its_last_eight_times_over(void **state)
{
    in_all_schedules(eight_times_over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_wait_that_is_given_up_has_the_lock_again),
        TEST(a_signal_wakes_one_and_a_broadcast_all),
        TEST(an_event_lets_all_go_on_who_wait_for_it),
        TEST(a_barrier_opens_when_who_left_is_replaced),
        TEST(a_barrier_opens_with_the_last_and_is_used_again),
        TEST(a_wait_group_ends_with_its_last_eight_times_over),
        TEST(signals_and_cancels_in_any_order_lose_nothing),
    };
    return TEST_RUN(tests);
}
