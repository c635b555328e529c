/* Locks, signals, meetings and limits, disturbed wherever they wait: what a victim did not get goes
   to the rival behind it, and at the end everything is free. */
#include "sweep.h"

#include <skua/limit.h>
#include <skua/meet.h>

static gate left;  /* steps that can be made */
static gate given; /* what was let through by the steps, and what came through */
static gate taken;
static gate waiting;

/* --- mutex, rwlock, guard --------------------------------------------------------------------- */

static skua_mutex mutex;

static void hold_mutex(void)
{
    mutex = (skua_mutex){{0}};
    SAME(skua_mutex_lock(&mutex, SKUA_NOW), 0);
    left = 1;
}

static int lock_mutex(skua_time deadline)
{
    const int status = skua_mutex_lock(&mutex, deadline);
    if (status == 0) {
        skua_mutex_unlock(&mutex);
    }
    return status;
}

static int guard_mutex(skua_time deadline)
{
    SKUA_GUARD(guard);
    return skua_guard_lock(&guard, &mutex, deadline);
}

static void free_mutex(void)
{
    if (left > 0) {
        left--;
        skua_mutex_unlock(&mutex);
    }
}

static void mutex_is_free(int status)
{
    if (left > 0) {
        free_mutex(); /* nobody had to wait for it */
    }
    SAME(skua_mutex_lock(&mutex, SKUA_NOW), 0);
    skua_mutex_unlock(&mutex);
}

static skua_rwlock rwlock;

static void hold_for_writing(void)
{
    rwlock = (skua_rwlock){{0}};
    SAME(skua_rwlock_write(&rwlock, SKUA_NOW), 0);
    left = 1;
}

static void free_from_writing(void)
{
    if (left > 0) {
        left--;
        skua_rwlock_write_unlock(&rwlock);
    }
}

static void hold_for_reading_twice(void)
{
    rwlock = (skua_rwlock){{0}};
    SAME(skua_rwlock_read(&rwlock, SKUA_NOW), 0);
    SAME(skua_rwlock_read(&rwlock, SKUA_NOW), 0);
    left = 2;
}

static void free_from_reading(void)
{
    if (left > 0) {
        left--;
        skua_rwlock_read_unlock(&rwlock);
    }
}

static int read_rwlock(skua_time deadline)
{
    const int status = skua_rwlock_read(&rwlock, deadline);
    if (status == 0) {
        skua_rwlock_read_unlock(&rwlock);
    }
    return status;
}

static int write_rwlock(skua_time deadline)
{
    const int status = skua_rwlock_write(&rwlock, deadline);
    if (status == 0) {
        skua_rwlock_write_unlock(&rwlock);
    }
    return status;
}

static int guard_reading(skua_time deadline)
{
    SKUA_GUARD(guard);
    return skua_guard_read(&guard, &rwlock, deadline);
}

static int guard_writing(skua_time deadline)
{
    SKUA_GUARD(guard);
    return skua_guard_write(&guard, &rwlock, deadline);
}

static void rwlock_is_free(int status)
{
    for (; left > 0 && sweep.entry->step == free_from_reading; left--) {
        skua_rwlock_read_unlock(&rwlock);
    }
    free_from_writing();
    SAME(skua_rwlock_write(&rwlock, SKUA_NOW), 0);
    skua_rwlock_write_unlock(&rwlock);
}

/* --- semaphore, limiter ----------------------------------------------------------------------- */

static skua_sem sem;

static void use_up_sem(void)
{
    skua_sem_init_bounded(&sem, 2);
    SAME(skua_sem_acquire(&sem, 2, SKUA_NOW), 0);
    left = 2;
}

static int acquire_two(skua_time deadline)
{
    const int status = skua_sem_acquire(&sem, 2, deadline);
    if (status == 0) {
        skua_sem_release(&sem, 2);
    }
    return status;
}

static void release_one(void)
{
    if (left > 0) {
        left--;
        skua_sem_release(&sem, 1);
    }
}

static void permits_are_back(int status)
{
    skua_sem_release(&sem, (size_t)left);
    SAME(skua_sem_available(&sem), 2);
}

static skua_limiter limiter;
static skua_borrower borrower;

static void use_up_limiter(void)
{
    skua_limiter_init(&limiter, 1);
    borrower = (skua_borrower){{0}};
    SAME(skua_limiter_borrow(&limiter, &borrower, SKUA_NOW), 0);
}

static int borrow(skua_time deadline)
{
    SKUA_BORROWER(mine);
    return skua_limiter_borrow(&limiter, &mine, deadline);
}

static void return_place(void)
{
    skua_borrower_fini(&borrower);
}

static void places_are_back(int status)
{
    skua_limiter_stats stats;
    return_place();
    skua_limiter_get_stats(&limiter, &stats);
    SAME(stats.borrowed, 0);
    SAME(stats.waiting, 0);
}

/* --- event, condition ------------------------------------------------------------------------- */

static skua_event event;

static void clear_event(void)
{
    event = (skua_event){{0}};
}

static int wait_for_event(skua_time deadline)
{
    return skua_event_wait(&event, deadline);
}

static void set_event(void)
{
    skua_event_set(&event);
}

static void nothing_is_left(int status) {}

static skua_cond cond;

static void clear_cond(void)
{
    cond = (skua_cond){{0}};
    mutex = (skua_mutex){{0}};
    given = taken = waiting = left = 0;
}

static int wait_for_signal(skua_time deadline)
{
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, SKUA_FOREVER); /* the lock is not what is swept here */
    SAME(skua_mutex_lock(&mutex, SKUA_FOREVER), 0);
    SAME(skua_scope_close(&shield, 0), 0);
    waiting++;
    const int status = skua_cond_wait(&cond, &mutex, deadline);
    waiting--;
    taken += status == 0;
    skua_mutex_unlock(&mutex);
    return status;
}

static void signal_one(void)
{
    given += waiting > 0; /* else it means nothing to anybody */
    skua_cond_signal(&cond);
}

static void each_signal_was_taken(int status)
{
    SAME(taken, given);
    mutex_is_free(status);
}

/* --- barrier, latch, wait group, once --------------------------------------------------------- */

static skua_barrier barrier;
static skua_task *parties[4];

static int take_part(void *arg)
{
    return skua_barrier_wait(&barrier, SKUA_FOREVER);
}

static void set_barrier(void)
{
    skua_barrier_init(&barrier, 3);
    left = 0;
}

static int meet(skua_time deadline)
{
    const int place = skua_barrier_wait(&barrier, deadline);
    return place > 0 ? 0 : place;
}

static void one_more_party(void)
{
    if (left < 4) {
        parties[left++] = spawn(take_part, NULL);
    }
}

/* Who came after the end of the others is let through as well. */
static void nobody_stands_at_the_barrier(int status)
{
    skua_barrier_abort(&barrier);
    for (int i = 0; i < left; i++) {
        (void)finish(parties[i]);
    }
    SAME(skua_barrier_waiting(&barrier), 0);
}

static skua_latch latch;

static void close_latch(void)
{
    skua_latch_init(&latch, 2);
}

static int wait_for_latch(skua_time deadline)
{
    return skua_latch_wait(&latch, deadline);
}

static void count_down(void)
{
    if (skua_latch_missing(&latch) > 0) {
        skua_latch_count_down(&latch, 1);
    }
}

static skua_wait_group wait_group;

static void begin_two(void)
{
    wait_group = (skua_wait_group){{0}};
    skua_wait_group_add(&wait_group, 2);
}

static int wait_for_group(skua_time deadline)
{
    return skua_wait_group_wait(&wait_group, deadline);
}

static void one_is_done(void)
{
    if (skua_wait_group_count(&wait_group) > 0) {
        skua_wait_group_done(&wait_group);
    }
}

static skua_once once;
static skua_task *runner;

static int do_it(void *arg)
{
    const int status = skua_event_wait(&event, SKUA_FOREVER);
    return status < 0 ? status : 7;
}

static int do_it_once(skua_time deadline)
{
    return skua_once_run(&once, do_it, NULL, deadline);
}

static int do_it_first(void *arg)
{
    return do_it_once(SKUA_FOREVER);
}

static void begin_once(void)
{
    clear_event();
    once = (skua_once){{0}};
    runner = spawn(do_it_first, NULL);
}

static void it_was_done(int status)
{
    set_event();
    SAME(finish(runner), 7);
    SAME(skua_once_is_done(&once), true);
}

/* One that runs the function itself, and the next in line, which has to if it fails. */
static void begin_once_anew(void)
{
    clear_event();
    once = (skua_once){{0}};
}

static void it_is_done(int status)
{
    set_event();
    SAME(do_it_once(SKUA_FOREVER), 7);
}

/* --- rate, ticker ----------------------------------------------------------------------------- */

static skua_rate rate;
static skua_ticker ticker;
static int64_t begun_ns;

static void a_second_passes(void)
{
    SAME(skua_test_advance(SKUA_SEC(1)), 0);
}

static void use_up_rate(void)
{
    skua_rate_init(&rate, 1, 3);
    SAME(skua_rate_take(&rate, 3, SKUA_NOW), 0);
    begun_ns = skua_clock().ns;
    taken = 0;
}

static int take_two(skua_time deadline)
{
    const int status = skua_rate_take(&rate, 2, deadline);
    taken += status == 0 ? 2 : 0;
    return status;
}

/* As many are there as have come and were not taken. */
static void tokens_add_up(int status)
{
    while (skua_rate_take(&rate, 1, SKUA_NOW) == 0) {
        taken++;
    }
    SAME(taken, (skua_clock().ns - begun_ns) / SKUA_SEC(1));
}

static void start_ticker(void)
{
    skua_ticker_init(&ticker, SKUA_SEC(1), SKUA_TICK_SKIP);
    begun_ns = skua_clock().ns;
    taken = 0;
}

static int wait_for_tick(skua_time deadline)
{
    const int status = skua_ticker_wait(&ticker, deadline);
    taken += status > 0 ? status : 0;
    return status;
}

static void ticks_add_up(int status)
{
    (void)!wait_for_tick(SKUA_NOW);
    SAME(taken, (skua_clock().ns - begun_ns) / SKUA_SEC(1));
}

/* --- the table -------------------------------------------------------------------------------- */

static const swept entries[] = {
    {"skua_mutex_lock", hold_mutex, lock_mutex, free_mutex, mutex_is_free, .done = 0},
    {"skua_guard_lock", hold_mutex, guard_mutex, free_mutex, mutex_is_free, .done = 0},
    {"skua_rwlock_read", hold_for_writing, read_rwlock, free_from_writing, rwlock_is_free,
     .done = 0},
    {"skua_rwlock_write: behind readers", hold_for_reading_twice, write_rwlock, free_from_reading,
     rwlock_is_free, .done = 0},
    {"skua_rwlock_write: behind a writer", hold_for_writing, write_rwlock, free_from_writing,
     rwlock_is_free, .done = 0},
    {"skua_guard_read", hold_for_writing, guard_reading, free_from_writing, rwlock_is_free,
     .done = 0},
    {"skua_guard_write", hold_for_reading_twice, guard_writing, free_from_reading, rwlock_is_free,
     .done = 0},
    {"skua_sem_acquire", use_up_sem, acquire_two, release_one, permits_are_back, .done = 0},
    {"skua_limiter_borrow", use_up_limiter, borrow, return_place, places_are_back, .done = 0},
    {"skua_event_wait", clear_event, wait_for_event, set_event, nothing_is_left, .done = 0},
    {"skua_cond_wait", clear_cond, wait_for_signal, signal_one, each_signal_was_taken, .done = 0},
    {"skua_barrier_wait", set_barrier, meet, one_more_party, nobody_stands_at_the_barrier,
     .done = 0},
    {"skua_latch_wait", close_latch, wait_for_latch, count_down, nothing_is_left, .done = 0},
    {"skua_wait_group_wait", begin_two, wait_for_group, one_is_done, nothing_is_left, .done = 0},
    {"skua_once_run: another one does it", begin_once, do_it_once, set_event, it_was_done,
     .done = 7},
    {"skua_once_run: it does it itself", begin_once_anew, do_it_once, set_event, it_is_done,
     .done = 7, .flags = SWEEP_NO_DEADLINE},
    {"skua_rate_take", use_up_rate, take_two, a_second_passes, tokens_add_up, .done = 0},
    {"skua_ticker_wait", start_ticker, wait_for_tick, a_second_passes, ticks_add_up, .done = 1},
};

/* covers: B12 D24 D28 D29 */
static void sync_is_swept(void **state)
{
    sweep_table(entries, sizeof entries / sizeof entries[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(sync_is_swept)};
    return TEST_RUN(tests);
}
