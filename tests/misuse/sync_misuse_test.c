/* Misuse of what sync.h, meet.h and limit.h offer must die and say what was wrong; and in a forked
   child every call says that there is nobody. */
#include "../tasks.h"
#include "mem/forked.h"

#include <skua/limit.h>
#include <skua/meet.h>
#include <skua/sync.h>
#include <sys/wait.h>

static void run_main(void *fn_at)
{
    skua_fn fn = *(skua_fn *)fn_at;
    const skua_config config = {.workers = 1};
    skua__process_is_origin();
    (void)!skua_run(&config, fn, NULL);
}

static void dies(skua_fn fn, const char *text)
{
    test_dies(run_main, &fn, text);
}

/* --- locks --- */

static skua_mutex mutex;
static skua_rwlock lock;

static int mutex_free(void *arg)
{
    skua_mutex_unlock(&mutex);
    return 0;
}

static int mutex_twice(void *arg)
{
    CHECK_INT(skua_mutex_lock(&mutex, SKUA_NOW), 0);
    skua_mutex_unlock(&mutex);
    skua_mutex_unlock(&mutex);
    return 0;
}

static int read_free(void *arg)
{
    skua_rwlock_read_unlock(&lock);
    return 0;
}

static int read_twice(void *arg)
{
    CHECK_INT(skua_rwlock_read(&lock, SKUA_NOW), 0);
    skua_rwlock_read_unlock(&lock);
    skua_rwlock_read_unlock(&lock);
    return 0;
}

static int read_while_written(void *arg)
{
    CHECK_INT(skua_rwlock_write(&lock, SKUA_NOW), 0);
    skua_rwlock_read_unlock(&lock);
    return 0;
}

static int write_free(void *arg)
{
    skua_rwlock_write_unlock(&lock);
    return 0;
}

static int write_twice(void *arg)
{
    CHECK_INT(skua_rwlock_write(&lock, SKUA_NOW), 0);
    skua_rwlock_write_unlock(&lock);
    skua_rwlock_write_unlock(&lock);
    return 0;
}

static int write_while_read(void *arg)
{
    CHECK_INT(skua_rwlock_read(&lock, SKUA_NOW), 0);
    skua_rwlock_write_unlock(&lock);
    return 0;
}

/* covers: D23 D32 */
static void eight_forms_of_unlocking(void **state)
{
    dies(mutex_free, "a mutex is unlocked that nobody holds");
    dies(mutex_twice, "a mutex is unlocked that nobody holds");
    dies(read_free, "a rwlock is unlocked that nobody reads");
    dies(read_twice, "a rwlock is unlocked that nobody reads");
    dies(read_while_written, "a rwlock is unlocked that nobody reads");
    dies(write_free, "a rwlock is unlocked that nobody writes");
    dies(write_twice, "a rwlock is unlocked that nobody writes");
    dies(write_while_read, "a rwlock is unlocked that nobody writes");
}

static int write_of_another(void *arg)
{
    CHECK_INT(skua_rwlock_write(&lock, SKUA_NOW), 0);
    return call(write_free, NULL);
}

static int downgrade_free(void *arg)
{
    skua_rwlock_downgrade(&lock);
    return 0;
}

static int read_of_another(void *arg)
{
    CHECK_INT(skua_rwlock_read(&lock, SKUA_NOW), 0);
    return call(read_free, NULL);
}

static int relock(void *arg)
{
    CHECK_INT(skua_rwlock_write(&lock, SKUA_NOW), 0);
    return skua_rwlock_read(&lock, SKUA_NOW);
}

static int two_in_a_guard(void *arg)
{
    SKUA_GUARD(guard);
    CHECK_INT(skua_guard_lock(&guard, &mutex, SKUA_NOW), 0);
    return skua_guard_read(&guard, &lock, SKUA_NOW);
}

static void rwlocks_and_guards(void **state)
{
    dies(write_of_another, "a rwlock is unlocked that another one writes");
    dies(downgrade_free, "a rwlock is unlocked that nobody writes");
    dies(read_of_another, "a rwlock is unlocked by a task that holds no lock");
    dies(relock, "a rwlock is locked again by its writer");
    dies(two_in_a_guard, "a guard is to hold a second lock");
}

/* --- the owner ends --- */

static int end_with_mutex(void *arg)
{
    return skua_mutex_lock(&mutex, SKUA_FOREVER);
}

static int end_with_handed_mutex(void *arg)
{
    const skua_spawn_opts opts = {.name = "heir"};
    CHECK_INT(skua_mutex_lock(&mutex, SKUA_FOREVER), 0);
    skua_task *task = spawn_with(end_with_mutex, NULL, &opts);
    CHECK_INT(skua_yield(), 0);
    skua_mutex_unlock(&mutex);
    return finish(task);
}

static int end_with_read_lock(void *arg)
{
    return skua_rwlock_read(&lock, SKUA_FOREVER);
}

static int end_with_two(void *arg)
{
    CHECK_INT(skua_rwlock_write(&lock, SKUA_FOREVER), 0);
    return skua_mutex_lock(&mutex, SKUA_FOREVER);
}

/* covers: B16 */
static void a_task_that_ends_with_a_lock(void **state)
{
    dies(end_with_mutex, "panic in task 'main': a task has ended while it holds 1 lock");
    dies(end_with_handed_mutex, "panic in task 'heir': a task has ended while it holds 1 lock");
    dies(end_with_read_lock, "a task has ended while it holds 1 lock");
    dies(end_with_two, "a task has ended while it holds 2 locks");
}

/* --- counts --- */

static int over_release(void *arg)
{
    skua_sem sem;
    skua_sem_init_bounded(&sem, 2);
    CHECK_INT(skua_sem_acquire(&sem, 1, SKUA_NOW), 0);
    skua_sem_release(&sem, 2);
    return 0;
}

static int bounded_by_none(void *arg)
{
    skua_sem sem;
    skua_sem_init_bounded(&sem, 0);
    return 0;
}

/* covers: D26 */
static void semaphores(void **state)
{
    dies(over_release, "a semaphore of at most 2 permits has 1, and 2 more are released");
    dies(bounded_by_none, "a bounded semaphore of no permits");
}

static int wait_without(void *arg)
{
    skua_cond cond = {{0}};
    return skua_cond_wait(&cond, &mutex, SKUA_NOW);
}

static skua_cond shared_cond;

static int wait_with_mutex(void *arg)
{
    CHECK_INT(skua_mutex_lock(arg, SKUA_FOREVER), 0);
    int status = skua_cond_wait(&shared_cond, arg, SKUA_FOREVER);
    skua_mutex_unlock(arg);
    return status;
}

static int wait_with_two(void *arg)
{
    skua_mutex another = {{0}};
    skua_task *task = spawn(wait_with_mutex, &mutex);
    CHECK_INT(skua_yield(), 0);
    (void)!wait_with_mutex(&another);
    return finish(task);
}

/* covers: D27 */
static void conditions(void **state)
{
    dies(wait_without, "a condition is waited for by one who does not hold the mutex");
    dies(wait_with_two, "a condition is waited for with two mutexes");
}

static int below_zero(void *arg)
{
    skua_wait_group group = {{0}};
    skua_wait_group_add(&group, 1);
    skua_wait_group_done(&group);
    skua_wait_group_done(&group);
    return 0;
}

static int too_many_steps(void *arg)
{
    skua_latch latch;
    skua_latch_init(&latch, 2);
    skua_latch_count_down(&latch, 3);
    return 0;
}

static int barrier_for_none(void *arg)
{
    skua_barrier barrier;
    skua_barrier_init(&barrier, 0);
    return 0;
}

static int barrier_not_made(void *arg)
{
    skua_barrier barrier = {{0}};
    return skua_barrier_wait(&barrier, SKUA_NOW);
}

static skua_once once;

static int run_again(void *arg)
{
    return skua_once_run(&once, return_zero, NULL, SKUA_FOREVER);
}

static int once_inside(void *arg)
{
    return skua_once_run(&once, run_again, NULL, SKUA_FOREVER);
}

/* covers: D33 */
static void meetings(void **state)
{
    dies(below_zero, "a wait group is done with more than was added");
    dies(too_many_steps, "a latch is counted down by 3, and only 2 are missing");
    dies(barrier_for_none, "a barrier for 0 parties");
    dies(barrier_not_made, "a barrier is waited at before its init");
    dies(once_inside, "a once is run inside of its own function");
}

/* --- limits --- */

static int borrow_twice(void *arg)
{
    skua_limiter limiter;
    skua_borrower borrower = {{0}};
    skua_limiter_init(&limiter, 2);
    CHECK_INT(skua_limiter_borrow(&limiter, &borrower, SKUA_NOW), 0);
    return skua_limiter_borrow(&limiter, &borrower, SKUA_NOW);
}

static int return_nothing(void *arg)
{
    skua_limiter limiter;
    skua_borrower borrower = {{0}};
    skua_limiter_init(&limiter, 2);
    skua_limiter_return(&limiter, &borrower);
    return 0;
}

static int return_elsewhere(void *arg)
{
    skua_limiter limiter, other;
    skua_borrower borrower = {{0}};
    skua_limiter_init(&limiter, 2);
    skua_limiter_init(&other, 2);
    CHECK_INT(skua_limiter_borrow(&limiter, &borrower, SKUA_NOW), 0);
    skua_limiter_return(&other, &borrower);
    return 0;
}

static int no_rate(void *arg)
{
    skua_rate rate;
    skua_rate_init(&rate, 0, 1);
    return 0;
}

static int no_period(void *arg)
{
    skua_ticker ticker;
    skua_ticker_init(&ticker, 0, SKUA_TICK_SKIP);
    return 0;
}

/* covers: B15 */
static void limits(void **state)
{
    dies(borrow_twice, "a borrower borrows again what it has");
    dies(return_nothing, "a borrower returns what it has not borrowed");
    dies(return_elsewhere, "a borrower returns what it has of another limiter");
    dies(no_rate, "a rate of 0 per second");
    dies(no_period, "a ticker with a period of 0 ns");
}

/* --- in a forked child --- */

static struct {
    skua_sem sem;
    skua_event event;
    skua_cond cond;
    skua_barrier barrier;
    skua_latch latch;
    skua_wait_group group;
    skua_limiter limiter;
    skua_rate rate;
    skua_ticker ticker;
} all;

static bool waits_are_refused(void)
{
    skua_borrower borrower = {{0}};
    const int statuses[] = {
        skua_mutex_lock(&mutex, SKUA_FOREVER),
        skua_rwlock_read(&lock, SKUA_FOREVER),
        skua_rwlock_write(&lock, SKUA_FOREVER),
        skua_sem_acquire(&all.sem, 1, SKUA_FOREVER),
        skua_event_wait(&all.event, SKUA_FOREVER),
        skua_cond_wait(&all.cond, &mutex, SKUA_FOREVER),
        skua_barrier_wait(&all.barrier, SKUA_FOREVER),
        skua_latch_wait(&all.latch, SKUA_FOREVER),
        skua_wait_group_wait(&all.group, SKUA_FOREVER),
        skua_once_run(&once, return_zero, NULL, SKUA_FOREVER),
        skua_limiter_borrow(&all.limiter, &borrower, SKUA_FOREVER),
        skua_rate_take(&all.rate, 1, SKUA_FOREVER),
        skua_ticker_wait(&all.ticker, SKUA_FOREVER),
    };
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        if (statuses[i] != -ESHUTDOWN) {
            fprintf(stderr, "call %zu gives %d in a forked child\n", i, statuses[i]);
            return false;
        }
    }
    return true;
}

/* The locks of the library may have been held when it was forked: none is touched. */
static bool changes_are_ignored(void)
{
    skua_limiter_stats stats;
    skua_sem_release(&all.sem, 1);
    skua_event_set(&all.event);
    skua_event_clear(&all.event);
    skua_cond_signal(&all.cond);
    skua_cond_broadcast(&all.cond);
    skua_barrier_abort(&all.barrier);
    skua_barrier_reset(&all.barrier);
    skua_latch_count_down(&all.latch, 1);
    skua_wait_group_add(&all.group, 1);
    skua_wait_group_done(&all.group);
    skua_limiter_set_total(&all.limiter, 3);
    skua_limiter_get_stats(&all.limiter, &stats);
    return stats.total == 0 && !skua_event_is_set(&all.event) && skua_sem_available(&all.sem) == 0;
}

static int fork_body(void *arg)
{
    memset(&all, 0, sizeof all);
    skua_barrier_init(&all.barrier, 2);
    skua_limiter_init(&all.limiter, 1);
    skua_rate_init(&all.rate, 1, 1);
    skua_ticker_init(&all.ticker, SKUA_SEC(1), SKUA_TICK_SKIP);
    memset(&all.sem, 1, sizeof(uint32_t)); /* as if another thread held their locks */
    memset(&all.event, 1, sizeof(uint32_t));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20);
        _exit(waits_are_refused() && changes_are_ignored() ? 0 : 1);
    }
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    return 0;
}

static void in_a_forked_child(void **state)
{
    run_on(2, fork_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(eight_forms_of_unlocking),
        TEST(rwlocks_and_guards),
        TEST(a_task_that_ends_with_a_lock),
        TEST(semaphores),
        TEST(conditions),
        TEST(meetings),
        TEST(limits),
        TEST(in_a_forked_child),
    };
    return TEST_RUN(tests);
}
