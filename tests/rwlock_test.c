/* The reader-writer lock and the guard: who is inside together, whose turn comes when, and that a
   lock is given back on every way out. */
#include "sync_help.h"

#include <skua/sync.h>

/* In the order in which they had the lock. */
static int order_of_turns[64];
static gate turns_count;

static void note_turn(size_t number)
{
    order_of_turns[atomic_fetch_add(&turns_count, 1) % 64] = (int)number;
}

static int read_lock(void *lock, size_t number, skua_time deadline)
{
    int status = skua_rwlock_read(lock, deadline);
    if (status == 0) {
        note_turn(number);
        skua_rwlock_read_unlock(lock);
    }
    return status;
}

static int write_lock(void *lock, size_t number, skua_time deadline)
{
    int status = skua_rwlock_write(lock, deadline);
    if (status == 0) {
        note_turn(number);
        skua_rwlock_write_unlock(lock);
    }
    return status;
}

static void start_one(caller *self, skua_rwlock *lock, bool is_writer, size_t number)
{
    *self = (caller){.wait = is_writer ? write_lock : read_lock, .object = lock, .amount = number};
    start_waiting(self);
}

static int plain_body(void *arg)
{
    skua_rwlock lock = {{0}};
    CHECK_INT(skua_rwlock_read(&lock, SKUA_FOREVER), 0);
    CHECK_INT(skua_rwlock_read(&lock, SKUA_NOW), 0);
    CHECK_INT(skua_rwlock_write(&lock, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_rwlock_write(&lock, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    skua_rwlock_read_unlock(&lock);
    skua_rwlock_read_unlock(&lock);
    CHECK_INT(skua_rwlock_write(&lock, SKUA_NOW), 0);
    caller other = {.wait = read_lock, .object = &lock, .deadline = SKUA_NOW};
    start(&other);
    CHECK_INT(finish_caller(&other), -EAGAIN);
    skua_rwlock_write_unlock(&lock);
    CHECK_INT(skua_rwlock_read(&lock, SKUA_NOW), 0);
    skua_rwlock_read_unlock(&lock);
    return 0;
}

/* covers: B28 */
static void many_readers_or_one_writer(void **state)
{
    run_on_1_2_4(plain_body);
}

static int last_reader_body(void *arg)
{
    skua_rwlock lock = {{0}};
    caller writer;
    CHECK_INT(skua_rwlock_read(&lock, SKUA_NOW), 0);
    CHECK_INT(skua_rwlock_read(&lock, SKUA_NOW), 0);
    start_one(&writer, &lock, true, 0);
    skua_rwlock_read_unlock(&lock);
    CHECK_INT(waiting_at(&lock), 1);
    skua_rwlock_read_unlock(&lock);
    CHECK_INT(finish_caller(&writer), 0);
    return 0;
}

/* covers: D35 */
static void the_last_reader_lets_the_writer_in(void **state)
{
    run_on_1_2_4(last_reader_body);
}

/* The line is: writer 1, readers 2 and 3, writer 4, reader 5. */
static int fair_body(void *arg)
{
    skua_rwlock lock = {{0}};
    caller callers[5];
    static const bool is_writer[5] = {true, false, false, true, false};
    CHECK_INT(skua_rwlock_read(&lock, SKUA_NOW), 0);
    for (size_t i = 0; i < 5; i++) {
        start_one(&callers[i], &lock, is_writer[i], i + 1);
    }
    CHECK_INT(skua_rwlock_read(&lock, SKUA_NOW), -EAGAIN); /* no reader overtakes the writer */
    atomic_store(&turns_count, 0);
    skua_rwlock_read_unlock(&lock);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(finish_caller(&callers[i]), 0);
    }
    CHECK_INT(order_of_turns[0], 1);
    CHECK_INT(order_of_turns[1] + order_of_turns[2], 2 + 3); /* they come in together */
    CHECK_INT(order_of_turns[3], 4);
    CHECK_INT(order_of_turns[4], 5);
    return 0;
}

/* covers: B28 */
static void one_line_for_both(void **state)
{
    run_on_1_2_4(fair_body);
}

/* A writer that gives up lets in the readers that stood behind it. */
static int writer_leaves_body(void *arg)
{
    skua_rwlock lock = {{0}};
    caller writer, readers[2];
    CHECK_INT(skua_rwlock_read(&lock, SKUA_NOW), 0);
    start_one(&writer, &lock, true, 0);
    start_one(&readers[0], &lock, false, 1);
    start_one(&readers[1], &lock, false, 2);
    CHECK_INT(cancel_and_finish(&writer), -ECANCELED);
    CHECK_INT(finish_caller(&readers[0]), 0);
    CHECK_INT(finish_caller(&readers[1]), 0);
    skua_rwlock_read_unlock(&lock);
    CHECK_INT(skua_rwlock_write(&lock, SKUA_NOW), 0);
    skua_rwlock_write_unlock(&lock);
    return 0;
}

/* covers: D24 */
static void a_cancelled_writer_holds_up_nobody(void **state)
{
    run_on_1_2_4(writer_leaves_body);
}

static int downgrade_body(void *arg)
{
    skua_rwlock lock = {{0}};
    caller reader, writer;
    CHECK_INT(skua_rwlock_write(&lock, SKUA_NOW), 0);
    start_one(&reader, &lock, false, 0);
    start_one(&writer, &lock, true, 1);
    skua_rwlock_downgrade(&lock);
    CHECK_INT(finish_caller(&reader), 0);
    CHECK_INT(waiting_at(&lock), 1);
    skua_rwlock_read_unlock(&lock);
    CHECK_INT(finish_caller(&writer), 0);
    return 0;
}

/* covers: B28 */
static void a_writer_becomes_a_reader(void **state)
{
    run_on_1_2_4(downgrade_body);
}

/* --- many --- */

enum { PLAYERS = 24, ROUNDS = 200 / TEST_SCALE };
static struct {
    skua_rwlock lock;
    long sums[2]; /* equal when nobody writes */
    gate readers;
} book;

static void write_both(int pauses)
{
    CHECK_INT(skua_rwlock_write(&book.lock, SKUA_FOREVER), 0);
    CHECK_INT(atomic_load(&book.readers), 0);
    book.sums[0]++;
    for (; pauses > 0; pauses--) {
        (void)!skua_yield();
    }
    book.sums[1]++;
    skua_rwlock_write_unlock(&book.lock);
}

static void read_both(int pauses)
{
    CHECK_INT(skua_rwlock_read(&book.lock, SKUA_FOREVER), 0);
    atomic_fetch_add(&book.readers, 1);
    for (; pauses > 0; pauses--) {
        (void)!skua_yield();
    }
    CHECK_INT(book.sums[0], book.sums[1]);
    atomic_fetch_sub(&book.readers, 1);
    skua_rwlock_read_unlock(&book.lock);
}

static int play(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        int pauses = (int)(test_random(&random) % 3);
        if ((uintptr_t)arg % 4 == 0) {
            write_both(pauses);
        } else {
            read_both(pauses);
        }
    }
    return 0;
}

static int crowd_body(void *arg)
{
    skua_task *tasks[PLAYERS];
    memset(&book, 0, sizeof book);
    for (uintptr_t i = 0; i < PLAYERS; i++) {
        tasks[i] = spawn(play, (void *)i);
    }
    for (int i = 0; i < PLAYERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(book.sums[0], PLAYERS / 4 * ROUNDS);
    return 0;
}

/* covers: B28 A63 */
static void nobody_reads_what_is_written(void **state)
{
    run_on_1_2_4(crowd_body);
}

static int threads_body(void *arg)
{
    skua_rwlock lock = {{0}};
    pthread_t thread;
    caller outside = {.wait = write_lock, .object = &lock};
    CHECK_INT(skua_rwlock_read(&lock, SKUA_NOW), 0);
    CHECK_INT(pthread_create(&thread, NULL, thread_of_caller, &outside), 0);
    await_waiting(&lock, 1);
    skua_rwlock_read_unlock(&lock);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(outside.status, 0);
    return 0;
}

static void threads_take_part(void **state)
{
    run_on_1_2_4(threads_body);
}

/* --- guards --- */

enum { BY_RETURN, BY_BREAK, BY_GOTO, BY_HAND, BY_END, WAYS };

static int leave_by(int way, skua_mutex *mutex)
{
    for (;;) {
        SKUA_GUARD(guard);
        CHECK_INT(skua_guard_lock(&guard, mutex, SKUA_NOW), 0);
        switch (way) {
        case BY_RETURN:
            return way;
        case BY_GOTO:
            goto out;
        case BY_HAND:
            skua_guard_unlock(&guard);
            CHECK_INT(skua_guard_lock(&guard, mutex, SKUA_NOW), 0); /* it can be used again */
            skua_guard_unlock(&guard);
            break;
        default:
            break;
        }
        if (way == BY_BREAK) {
            break;
        }
        way = BY_RETURN; /* what the end of the block gave back is locked again */
    }
out:
    return way;
}

static int guard_of_rwlock(skua_rwlock *lock, bool writes)
{
    SKUA_GUARD(guard);
    return writes ? skua_guard_write(&guard, lock, SKUA_NOW)
                  : skua_guard_read(&guard, lock, SKUA_NOW);
}

static int guards_body(void *arg)
{
    skua_mutex mutex = {{0}};
    skua_rwlock lock = {{0}};
    for (int way = 0; way < WAYS; way++) {
        (void)leave_by(way, &mutex);
        CHECK_INT(skua_mutex_lock(&mutex, SKUA_NOW), 0); /* it was given back */
        skua_mutex_unlock(&mutex);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_INT(guard_of_rwlock(&lock, i % 2 == 0), 0);
    }
    CHECK_INT(skua_rwlock_read(&lock, SKUA_NOW), 0);
    CHECK_INT(guard_of_rwlock(&lock, true), -EAGAIN); /* it holds nothing, and gives nothing back */
    skua_rwlock_read_unlock(&lock);
    CHECK_INT(guard_of_rwlock(&lock, true), 0);
    return 0;
}

/* covers: A59 */
static void guards_give_back_on_every_way_out(void **state)
{
    run_on_1_2_4(guards_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(many_readers_or_one_writer), TEST(the_last_reader_lets_the_writer_in),
        TEST(one_line_for_both),          TEST(a_cancelled_writer_holds_up_nobody),
        TEST(a_writer_becomes_a_reader),  TEST(nobody_reads_what_is_written),
        TEST(threads_take_part),          TEST(guards_give_back_on_every_way_out),
    };
    return TEST_RUN(tests);
}
