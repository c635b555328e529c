/* The semaphore: how many are inside, the order of those who wait, and what becomes of permits when
   waiters are cancelled or late. */
#include "sync_help.h"

#include <skua/sync.h>

static int acquire(void *sem, size_t permits, skua_time deadline)
{
    return skua_sem_acquire(sem, permits, deadline);
}

static int now(skua_sem *sem, size_t permits)
{
    return skua_sem_acquire(sem, permits, SKUA_NOW);
}

/* --- the calls --- */

static int plain_body(void *arg)
{
    skua_sem sem;
    skua_sem_init(&sem, 3);
    CHECK_INT(skua_sem_acquire(&sem, 2, SKUA_FOREVER), 0);
    CHECK_INT(skua_sem_available(&sem), 1);
    CHECK_INT(now(&sem, 2), -EAGAIN);
    CHECK_INT(skua_sem_acquire(&sem, 2, skua_after(0)), -ETIMEDOUT);
    CHECK_INT(now(&sem, 1), 0);
    CHECK_INT(now(&sem, 0), 0);
    skua_sem_release(&sem, 5); /* not bounded */
    CHECK_INT(skua_sem_available(&sem), 5);
    CHECK_INT(skua_sem_acquire(&sem, 5, skua_after(0)), 0);

    skua_sem zeroed = {{0}};
    CHECK_INT(now(&zeroed, 1), -EAGAIN);
    skua_sem_release(&zeroed, 1);
    CHECK_INT(now(&zeroed, 1), 0);

    skua_sem bounded;
    skua_sem_init_bounded(&bounded, 2);
    CHECK_INT(skua_sem_acquire(&bounded, 3, SKUA_FOREVER), -EINVAL);
    CHECK_INT(now(&bounded, 2), 0);
    skua_sem_release(&bounded, 2);
    return 0;
}

static void permits_come_and_go(void **state)
{
    run_on_1_2_4(plain_body);
}

/* --- so many at a time --- */

enum { JOBS = 10, LIMIT = 3 };
static struct {
    skua_sem sem;
    gate inside, most, done;
} crew;

static int do_job(void *arg)
{
    CHECK_INT(skua_sem_acquire(&crew.sem, 1, SKUA_FOREVER), 0);
    int inside = atomic_fetch_add(&crew.inside, 1) + 1;
    int most = atomic_load(&crew.most);
    while (inside > most && !atomic_compare_exchange_weak(&crew.most, &most, inside)) {}
    CHECK(inside <= LIMIT);
    await(&crew.most, LIMIT); /* the first ones, for each other */
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(2))), 0);
    atomic_fetch_sub(&crew.inside, 1);
    skua_sem_release(&crew.sem, 1);
    atomic_fetch_add(&crew.done, 1);
    return 0;
}

static int limit_body(void *arg)
{
    skua_task *tasks[JOBS];
    const skua_time begin = skua_clock();
    memset(&crew, 0, sizeof crew);
    skua_sem_init_bounded(&crew.sem, LIMIT);
    for (int i = 0; i < JOBS; i++) {
        tasks[i] = spawn(do_job, NULL);
    }
    for (int i = 0; i < JOBS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(atomic_load(&crew.done), JOBS);
    CHECK_INT(atomic_load(&crew.most), LIMIT);
    CHECK(skua_elapsed_ns(begin) >= SKUA_MS(8)); /* four rounds of three */
    CHECK_INT(skua_sem_available(&crew.sem), LIMIT);
    return 0;
}

/* covers: A60 */
static void ten_jobs_three_at_a_time(void **state)
{
    run_on_1_2_4(limit_body);
}

/* --- order --- */

static int fifo_body(void *arg)
{
    skua_sem sem;
    caller callers[4];
    skua_sem_init(&sem, 0);
    atomic_store(&ends_count, 0);
    for (size_t i = 0; i < 4; i++) {
        callers[i] = (caller){.wait = acquire, .object = &sem, .amount = i + 1};
        start_waiting(&callers[i]);
    }
    CHECK_INT(now(&sem, 1), -EAGAIN);
    skua_sem_release(&sem, 9); /* 1 + 2 + 3, and not enough for the last one */
    for (int i = 0; i < 3; i++) {
        CHECK_INT(finish_caller(&callers[i]), 0);
    }
    CHECK_INT(waiting_at(&sem), 1);
    CHECK_INT(now(&sem, 1), -EAGAIN); /* three are there, for whom has waited */
    skua_sem_release(&sem, 1);
    CHECK_INT(finish_caller(&callers[3]), 0);
    CHECK_INT(skua_sem_available(&sem), 0);
    return 0;
}

/* covers: B38 */
static void many_are_not_overtaken_by_few(void **state)
{
    run_on_1_2_4(fifo_body);
}

/* Three tasks that take the one permit again and again: each gets it in its turn. Who has it keeps
   it until all who are to come again stand in line. */
static int turns[6];
static gate turns_count;

static int take_twice(void *arg)
{
    const caller *self = arg;
    for (int i = 0; i < 2; i++) {
        CHECK_INT(skua_sem_acquire(self->object, 1, SKUA_FOREVER), 0);
        const int turn = atomic_fetch_add(&turns_count, 1);
        turns[turn] = (int)self->amount;
        await_waiting(self->object, turn < 3 ? 2 : (size_t)(5 - turn));
        skua_sem_release(self->object, 1);
    }
    return 0;
}

static int turns_body(void *arg)
{
    skua_sem sem;
    caller callers[3];
    skua_sem_init(&sem, 0);
    atomic_store(&turns_count, 0);
    for (size_t i = 0; i < 3; i++) {
        callers[i] = (caller){.object = &sem, .amount = i};
        callers[i].task = spawn(take_twice, &callers[i]);
        await_waiting(&sem, i + 1);
    }
    skua_sem_release(&sem, 1);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(finish(callers[i].task), 0);
    }
    for (int i = 0; i < 6; i++) {
        CHECK_INT(turns[i], i % 3);
    }
    return 0;
}

/* covers: D25 */
static void who_takes_it_twice_stands_in_line_twice(void **state)
{
    run_on(1, turns_body);
    run_on(4, turns_body);
}

/* --- cancels and deadlines --- */

/* The one at the head wants five; when it goes, the two behind it have what they want. */
static int head_leaves_body(void *arg)
{
    for (int is_cancelled = 0; is_cancelled <= 1; is_cancelled++) {
        skua_sem sem;
        caller big = {.wait = acquire, .object = &sem, .amount = 5};
        caller small[2] = {{.wait = acquire, .object = &sem, .amount = 1},
                           {.wait = acquire, .object = &sem, .amount = 1}};
        skua_sem_init(&sem, 2);
        big.deadline = is_cancelled ? SKUA_FOREVER : skua_after(SKUA_MS(5));
        start(&big);
        if (is_cancelled) {
            await_waiting(&sem, 1);
        }
        start(&small[0]);
        start(&small[1]);
        if (is_cancelled) {
            await_waiting(&sem, 3);
            skua_task_cancel(big.task);
        }
        CHECK_INT(finish_caller(&big), is_cancelled ? -ECANCELED : -ETIMEDOUT);
        CHECK_INT(finish_caller(&small[0]), 0);
        CHECK_INT(finish_caller(&small[1]), 0);
        CHECK_INT(waiting_at(&sem), 0);
        CHECK_INT(skua_sem_available(&sem), 0);
    }
    return 0;
}

/* covers: D24 */
static void who_leaves_lets_in_those_behind(void **state)
{
    run_on_1_2_4(head_leaves_body);
}

/* On one worker the cancelled one has not run yet when the release comes. */
static int cancelled_then_released_body(void *arg)
{
    skua_sem sem;
    caller first = {.wait = acquire, .object = &sem, .amount = 1};
    caller second = first;
    skua_sem_init(&sem, 0);
    start_waiting(&first);
    start_waiting(&second);
    skua_task_cancel(first.task);
    skua_sem_release(&sem, 1);
    CHECK_INT(finish_caller(&first), -ECANCELED);
    CHECK_INT(finish_caller(&second), 0);
    CHECK_INT(skua_sem_available(&sem), 0);
    return 0;
}

/* The other way round it has the permit when the cancel comes, and says so. */
static int released_then_cancelled_body(void *arg)
{
    skua_sem sem;
    caller first = {.wait = acquire, .object = &sem, .amount = 1};
    skua_sem_init(&sem, 0);
    start_waiting(&first);
    skua_sem_release(&sem, 1);
    CHECK_INT(cancel_and_finish(&first), 0);
    CHECK_INT(skua_sem_available(&sem), 0);
    return 0;
}

static void the_wake_is_passed_on(void **state)
{
    run_on(1, cancelled_then_released_body);
    run_on(1, released_then_cancelled_body);
}

static int within_a_limit(void *arg)
{
    CHECK_INT(skua_sem_acquire(arg, 1, SKUA_FOREVER), -ECANCELED);
    return -ECANCELED;
}

static int scopes_body(void *arg)
{
    skua_sem sem;
    skua_sem_init(&sem, 0);
    CHECK_INT(skua_within(skua_after(SKUA_MS(2)), within_a_limit, &sem), -ETIMEDOUT);
    CHECK_INT(waiting_at(&sem), 0);
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_scope_cancel(&scope);
    skua_sem_release(&sem, 1);
    CHECK_INT(now(&sem, 1), -ECANCELED); /* the cancel is looked at first */
    CHECK_INT(skua_sem_available(&sem), 1);
    return skua_scope_close(&scope, 0);
}

static void scopes_end_the_wait(void **state)
{
    run_on_1_2_4(scopes_body);
}

/* --- threads --- */

static int threads_body(void *arg)
{
    skua_sem sem;
    pthread_t thread;
    caller outside = {.wait = acquire, .object = &sem, .amount = 2};
    skua_sem_init(&sem, 1);
    CHECK_INT(pthread_create(&thread, NULL, thread_of_caller, &outside), 0);
    await_waiting(&sem, 1);
    skua_sem_release(&sem, 1);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(outside.status, 0);
    outside.deadline = skua_after(SKUA_MS(2));
    CHECK_INT(pthread_create(&thread, NULL, thread_of_caller, &outside), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(outside.status, -ETIMEDOUT);
    return 0;
}

static void threads_take_part(void **state)
{
    run_on_1_2_4(threads_body);
}

/* --- where it lives --- */

static int release_on_the_stack(void *arg)
{
    skua_sem_release(arg, 1);
    return 0;
}

/* It stands on the stack of the one that waits, and is overwritten at once. */
static int stack_body(void *arg)
{
    for (int i = 0; i < 2000 / TEST_SCALE; i++) {
        skua_sem *sem = malloc(sizeof *sem);
        CHECK(sem != NULL);
        skua_sem_init(sem, 0);
        skua_task *task = spawn(release_on_the_stack, sem);
        CHECK_INT(skua_sem_acquire(sem, 1, SKUA_FOREVER), 0);
        memset(sem, 0xff, sizeof *sem);
        free(sem);
        CHECK_INT(finish(task), 0);
    }
    return 0;
}

static void the_waiter_frees(void **state)
{
    run_on_1_2_4(stack_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(permits_come_and_go),
        TEST(ten_jobs_three_at_a_time),
        TEST(many_are_not_overtaken_by_few),
        TEST(who_takes_it_twice_stands_in_line_twice),
        TEST(who_leaves_lets_in_those_behind),
        TEST(the_wake_is_passed_on),
        TEST(scopes_end_the_wait),
        TEST(threads_take_part),
        TEST(the_waiter_frees),
    };
    return TEST_RUN(tests);
}
