/* The condition: one signal for one waiter, all for all, and the mutex in one's hands on every
   return. */
#include "sync_help.h"

#include <skua/sync.h>

static skua_mutex mutex;
static skua_cond cond;
static int awake;

static void lock(void)
{
    CHECK_INT(skua_mutex_lock(&mutex, SKUA_FOREVER), 0);
}

/* Waits once, and counts itself while it has the mutex again, whatever the wait came to. */
static int wait_once(void *arg, size_t number, skua_time deadline)
{
    (void)number;
    lock();
    int status = skua_cond_wait(arg, &mutex, deadline);
    awake++;
    skua_mutex_unlock(&mutex);
    return status;
}

static void begin(void)
{
    mutex = (skua_mutex){{0}};
    cond = (skua_cond){{0}};
    awake = 0;
    atomic_store(&ends_count, 0);
}

static void start_one(caller *self, size_t number)
{
    *self = (caller){.wait = wait_once, .object = &cond, .amount = number};
    start_waiting(self);
}

enum { CROWD = 10 };

static void signal_one(void)
{
    lock();
    skua_cond_signal(&cond);
    skua_mutex_unlock(&mutex);
}

/* One after the other, and nobody for nothing. */
static int signal_body(void *arg)
{
    caller callers[CROWD];
    begin();
    for (size_t i = 0; i < CROWD; i++) {
        start_one(&callers[i], i);
    }
    for (int i = 0; i < CROWD; i++) {
        signal_one();
        await(&callers[i].has_ended, 1);
        CHECK_INT(awake, i + 1);
        CHECK_INT(waiting_at(&cond), CROWD - 1 - i);
        CHECK_INT(atomic_load(&ends_count), i + 1);
        CHECK_INT(finish_caller(&callers[i]), 0);
    }
    signal_one(); /* for nobody: it is not kept */
    caller late;
    start_one(&late, 0);
    CHECK_INT(cancel_and_finish(&late), -ECANCELED);
    return 0;
}

/* covers: D34 A62 */
static void one_signal_wakes_one(void **state)
{
    run_on_1_2_4(signal_body);
}

static int broadcast_body(void *arg)
{
    caller callers[CROWD];
    begin();
    for (int round = 1; round <= 3; round++) {
        for (size_t i = 0; i < CROWD; i++) {
            start_one(&callers[i], i);
        }
        lock();
        skua_cond_broadcast(&cond);
        CHECK_INT(waiting_at(&cond), 0);
        skua_mutex_unlock(&mutex);
        for (int i = 0; i < CROWD; i++) {
            CHECK_INT(finish_caller(&callers[i]), 0);
        }
        CHECK_INT(awake, round * CROWD);
    }
    return 0;
}

/* covers: D34 A62 */
static void a_broadcast_wakes_each_once(void **state)
{
    run_on_1_2_4(broadcast_body);
}

/* The cancelled one comes back only when it has the mutex, which another one holds. */
static int cancel_body(void *arg)
{
    caller waiter;
    begin();
    start_one(&waiter, 0);
    lock();
    skua_task_cancel(waiter.task);
    await_waiting(&cond, 0);
    for (int i = 0; i < 10; i++) {
        (void)!skua_yield();
    }
    CHECK_INT(atomic_load(&waiter.has_ended), 0);
    CHECK_INT(awake, 0);
    skua_mutex_unlock(&mutex);
    CHECK_INT(finish_caller(&waiter), -ECANCELED);
    CHECK_INT(awake, 1);
    return 0;
}

/* covers: D28 */
static void a_cancelled_wait_locks_again(void **state)
{
    run_on_1_2_4(cancel_body);
}

static int deadline_body(void *arg)
{
    begin();
    lock();
    CHECK_INT(skua_cond_wait(&cond, &mutex, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_cond_wait(&cond, &mutex, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    CHECK_INT(waiting_at(&cond), 0);
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_scope_cancel(&scope);
    CHECK_INT(skua_cond_wait(&cond, &mutex, SKUA_FOREVER), -ECANCELED);
    int status = skua_scope_close(&scope, 0);
    skua_mutex_unlock(&mutex); /* dies unless it is ours */
    return status;
}

/* covers: D28 */
static void late_ones_have_the_mutex_too(void **state)
{
    run_on_1_2_4(deadline_body);
}

/* A signal and a cancel of the first of two, in both orders: one goes on with the signal. */
static int passed_on_body(void *arg)
{
    for (int is_signal_first = 0; is_signal_first <= 1; is_signal_first++) {
        for (int round = 0; round < 100 / TEST_SCALE; round++) {
            caller first, second;
            begin();
            start_one(&first, 0);
            start_one(&second, 1);
            if (is_signal_first) {
                skua_cond_signal(&cond);
            }
            skua_task_cancel(first.task);
            if (!is_signal_first) {
                skua_cond_signal(&cond);
            }
            if (finish_caller(&first) == 0) {
                skua_task_cancel(second.task);
                CHECK_INT(finish_caller(&second), -ECANCELED);
            } else {
                CHECK_INT(first.status, -ECANCELED);
                CHECK_INT(finish_caller(&second), 0);
            }
        }
    }
    return 0;
}

static void a_signal_is_not_lost_to_a_cancelled_waiter(void **state)
{
    run_on_1_2_4(passed_on_body);
}

/* --- a bounded buffer, the book's example --- */

enum { ITEMS = 2000 / TEST_SCALE, ROOM = 3, SIDES = 4 };
static struct {
    skua_mutex mutex;
    skua_cond not_full, not_empty;
    int count, made, taken;
} buffer;

static int make_items(void *arg)
{
    for (int i = 0; i < ITEMS; i++) {
        SKUA_GUARD(guard);
        CHECK_INT(skua_guard_lock(&guard, &buffer.mutex, SKUA_FOREVER), 0);
        while (buffer.count == ROOM) {
            CHECK_INT(skua_cond_wait(&buffer.not_full, &buffer.mutex, SKUA_FOREVER), 0);
        }
        buffer.count++;
        buffer.made++;
        skua_cond_signal(&buffer.not_empty);
    }
    return 0;
}

static int take_items(void *arg)
{
    for (int i = 0; i < ITEMS; i++) {
        SKUA_GUARD(guard);
        CHECK_INT(skua_guard_lock(&guard, &buffer.mutex, SKUA_FOREVER), 0);
        while (buffer.count == 0) {
            CHECK_INT(skua_cond_wait(&buffer.not_empty, &buffer.mutex, SKUA_FOREVER), 0);
        }
        buffer.count--;
        buffer.taken++;
        skua_cond_signal(&buffer.not_full);
    }
    return 0;
}

static int buffer_body(void *arg)
{
    skua_task *tasks[2 * SIDES];
    memset(&buffer, 0, sizeof buffer);
    for (int i = 0; i < 2 * SIDES; i++) {
        tasks[i] = spawn(i % 2 == 0 ? make_items : take_items, NULL);
    }
    for (int i = 0; i < 2 * SIDES; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(buffer.made, SIDES * ITEMS);
    CHECK_INT(buffer.taken, SIDES * ITEMS);
    CHECK_INT(buffer.count, 0);
    return 0;
}

/* covers: A62 A88 */
static void a_bounded_buffer(void **state)
{
    run_on_1_2_4(buffer_body);
}

static void *signal_outside(void *arg)
{
    skua_cond_signal(arg);
    return NULL;
}

static int threads_body(void *arg)
{
    caller waiter;
    pthread_t thread;
    begin();
    start_one(&waiter, 0);
    CHECK_INT(pthread_create(&thread, NULL, signal_outside, &cond), 0);
    CHECK_INT(finish_caller(&waiter), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    return 0;
}

static void threads_signal(void **state)
{
    run_on_1_2_4(threads_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_signal_wakes_one),
        TEST(a_broadcast_wakes_each_once),
        TEST(a_cancelled_wait_locks_again),
        TEST(late_ones_have_the_mutex_too),
        TEST(a_signal_is_not_lost_to_a_cancelled_waiter),
        TEST(a_bounded_buffer),
        TEST(threads_signal),
    };
    return TEST_RUN(tests);
}
