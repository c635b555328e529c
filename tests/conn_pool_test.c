/* Pools of things that are dear to make. The things are numbers that the test counts: what was
   opened is closed, once, whoever was cancelled in between. */
#define _GNU_SOURCE 1
#include "base/mem.h"
#include "tasks.h"

#include <skua/skua.h>

/* --- things ----------------------------------------------------------------------------------- */

enum { THINGS = 4096 };

enum thing_state { UNMADE, OPEN, LENT, SHUT };

static struct thing {
    atomic_int state;
    bool is_ill;
} things[THINGS];

static atomic_int made, open_now, open_peak;
static atomic_int failures_to_come;
static gate opening, may_open, closing, may_close;

static void begin(void)
{
    memset(things, 0, sizeof things);
    atomic_store(&made, 0);
    atomic_store(&open_now, 0);
    atomic_store(&open_peak, 0);
    atomic_store(&failures_to_come, 0);
    opening = closing = 0;
    may_open = may_close = 1000000;
}

/* Waits for its gate, as for another machine. */
static int open_thing(void **out, void *arg)
{
    CHECK_PTR(arg, &made);
    const int turn = atomic_fetch_add(&opening, 1);
    while (atomic_load(&may_open) <= turn) {
        const int status = skua_yield();
        if (status < 0) {
            return status;
        }
    }
    if (atomic_fetch_sub(&failures_to_come, 1) > 0) {
        return -ECONNREFUSED;
    }
    const int number = atomic_fetch_add(&made, 1);
    CHECK(number < THINGS);
    const int now = atomic_fetch_add(&open_now, 1) + 1;
    int most = atomic_load(&open_peak);
    while (most < now && !atomic_compare_exchange_weak(&open_peak, &most, now)) {}
    atomic_store(&things[number].state, OPEN);
    *out = &things[number];
    return 0;
}

static void close_thing(void *thing, void *arg)
{
    CHECK_PTR(arg, &made);
    const int turn = atomic_fetch_add(&closing, 1);
    while (atomic_load(&may_close) <= turn) {
        (void)!skua_yield();
    }
    CHECK_INT(atomic_exchange(&((struct thing *)thing)->state, SHUT), OPEN);
    atomic_fetch_sub(&open_now, 1);
}

static bool is_healthy(void *thing, void *arg)
{
    CHECK_PTR(arg, &made);
    (void)!skua_yield();
    return !((struct thing *)thing)->is_ill;
}

static const skua_conn_pool_opts plain = {
    .open = open_thing, .close = close_thing, .arg = &made, .open_max = 3, .name = "things"};

static skua_conn_pool *make(const skua_conn_pool_opts *opts)
{
    skua_conn_pool *pool = NULL;
    begin();
    CHECK_INT(skua_conn_pool_create(&pool, opts), 0);
    return pool;
}

static skua_conn_pool_counts counts(skua_conn_pool *pool)
{
    skua_conn_pool_counts now;
    skua_conn_pool_count(pool, &now);
    return now;
}

/* What was opened is closed, and the pool is gone. */
static void end(skua_conn_pool *pool)
{
    CHECK_INT(skua_conn_pool_close(pool, SKUA_FOREVER), 0);
    const skua_conn_pool_counts last = counts(pool);
    CHECK_INT(last.lent + last.idle + last.opening + last.waiting, 0);
    CHECK_INT(last.opened, last.closed);
    CHECK_INT(last.opened, atomic_load(&made));
    skua_conn_pool_destroy(pool);
    CHECK_INT(atomic_load(&open_now), 0);
}

static struct thing *acquire(skua_conn_pool *pool)
{
    void *thing = NULL;
    CHECK_INT(skua_conn_pool_acquire(pool, &thing, SKUA_FOREVER), 0);
    CHECK_INT(atomic_exchange(&((struct thing *)thing)->state, LENT), OPEN);
    return thing;
}

static void release(skua_conn_pool *pool, struct thing *thing)
{
    CHECK_INT(atomic_exchange(&thing->state, OPEN), LENT);
    skua_conn_pool_release(pool, thing);
}

static void discard(skua_conn_pool *pool, struct thing *thing)
{
    CHECK_INT(atomic_exchange(&thing->state, OPEN), LENT);
    skua_conn_pool_discard(pool, thing);
}

/* A task that acquires, tells what it got, and holds it until it is told to give it back. */
struct borrower {
    skua_conn_pool *pool;
    skua_time deadline;
    struct thing *thing;
    gate has, gives_back;
    bool is_bad;
};

static int borrow(void *arg)
{
    struct borrower *self = arg;
    void *thing = NULL;
    const int status = skua_conn_pool_acquire(self->pool, &thing, self->deadline);
    if (status < 0) {
        CHECK_PTR(thing, NULL);
        return status;
    }
    self->thing = thing;
    CHECK_INT(atomic_exchange(&self->thing->state, LENT), OPEN);
    atomic_store(&self->has, 1);
    await(&self->gives_back, 1);
    (self->is_bad ? discard : release)(self->pool, self->thing);
    return 0;
}

static void await_waiters(skua_conn_pool *pool, size_t count)
{
    while (counts(pool).waiting != count) {
        skua_yield();
    }
}

/* --- lending ---------------------------------------------------------------------------------- */

static int lend_and_reuse(void *arg)
{
    skua_conn_pool *pool = make(&plain);
    void *none = NULL;
    struct thing *first = acquire(pool);
    struct thing *second = acquire(pool);
    struct thing *third = acquire(pool);
    CHECK(first != second && second != third && first != third);
    CHECK_INT(skua_conn_pool_acquire(pool, &none, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_conn_pool_acquire(pool, &none, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    release(pool, second);
    release(pool, first);
    CHECK_PTR(acquire(pool), first); /* the one that came back last */
    CHECK_INT(counts(pool).lent, 2);
    CHECK_INT(counts(pool).idle, 1);
    discard(pool, third);
    release(pool, first);
    CHECK_INT(counts(pool).idle, 2);
    CHECK_INT(atomic_load(&made), 3);
    CHECK_INT(counts(pool).acquired, 4);
    CHECK_INT(counts(pool).waits, 1);
    end(pool);
    return 0;
}

/* covers: A81 */
static void what_comes_back_is_lent_again(void **state)
{
    run_on_1_2_4(lend_and_reuse);
}

enum { BORROWERS = 12 };

static int lend_in_order(void *arg)
{
    skua_conn_pool *pool = make(&plain);
    static struct borrower borrowers[BORROWERS];
    skua_task *tasks[BORROWERS];
    struct thing *mine[3] = {acquire(pool), acquire(pool), acquire(pool)};
    for (int i = 0; i < BORROWERS; i++) {
        borrowers[i] = (struct borrower){.pool = pool};
        tasks[i] = spawn(borrow, &borrowers[i]);
        await_waiters(pool, (size_t)i + 1);
    }
    release(pool, mine[0]);
    for (int i = 0; i < BORROWERS; i++) {
        await(&borrowers[i].has, 1);
        CHECK_PTR(borrowers[i].thing, mine[0]); /* from hand to hand */
        if (i + 1 < BORROWERS) {
            CHECK_INT(atomic_load(&borrowers[i + 1].has), 0);
        }
        atomic_store(&borrowers[i].gives_back, 1);
        CHECK_INT(finish(tasks[i]), 0);
    }
    release(pool, mine[1]);
    release(pool, mine[2]);
    CHECK_INT(atomic_load(&made), 3);
    end(pool);
    return 0;
}

/* covers: A81 */
static void who_waits_is_served_in_order(void **state)
{
    run_on_1_2_4(lend_in_order);
}

/* --- places that become free -------------------------------------------------------------------
   */

static int pass_places_on(void *arg)
{
    skua_conn_pool *pool = make(&plain);
    static struct borrower borrowers[4];
    skua_task *tasks[4];
    struct thing *mine[3] = {acquire(pool), acquire(pool), acquire(pool)};
    for (int i = 0; i < 4; i++) {
        borrowers[i] = (struct borrower){.pool = pool, .gives_back = 1};
        tasks[i] = spawn(borrow, &borrowers[i]);
        await_waiters(pool, (size_t)i + 1);
    }
    /* The first is to open another, and is cancelled while he does; the second's opening fails. */
    atomic_store(&may_open, 3);
    discard(pool, mine[0]);
    await(&opening, 4);
    atomic_store(&failures_to_come, 1);
    skua_task_cancel(tasks[0]);
    CHECK_INT(finish(tasks[0]), -ECANCELED);
    await(&opening, 5);
    atomic_store(&may_open, 1000000);
    CHECK_INT(finish(tasks[1]), -ECONNREFUSED);
    CHECK_INT(finish(tasks[2]), 0);
    CHECK_INT(finish(tasks[3]), 0);
    CHECK_INT(counts(pool).failures, 2);
    CHECK_INT(atomic_load(&open_peak), 3);
    release(pool, mine[1]);
    release(pool, mine[2]);
    end(pool);
    return 0;
}

static void a_failed_opening_is_the_next_ones_chance(void **state)
{
    run_on_1_2_4(pass_places_on);
}

static int open_within_deadline(void *arg)
{
    skua_conn_pool *pool = make(&plain);
    void *thing = NULL;
    atomic_store(&may_open, 0);
    /* On a busy machine the deadline may be over before anything is opened. */
    for (int64_t wait_ns = SKUA_MS(2); atomic_load(&opening) == 0; wait_ns *= 2) {
        CHECK_INT(skua_conn_pool_acquire(pool, &thing, skua_after(wait_ns)), -ETIMEDOUT);
    }
    CHECK_INT(skua_conn_pool_acquire(pool, &thing, SKUA_NOW), -EAGAIN); /* opens nothing */
    CHECK_INT(counts(pool).opening, 0);
    CHECK_INT(atomic_load(&opening), 1);
    end(pool);
    return 0;
}

static void opening_is_bound_by_the_deadline(void **state)
{
    run_on_1_2_4(open_within_deadline);
}

/* --- what is not good any more ------------------------------------------------------------------
   */

static int look_after_health(void *arg)
{
    skua_conn_pool_opts opts = plain;
    opts.is_healthy = is_healthy;
    opts.check_ns = SKUA_SEC(1);
    skua_conn_pool *pool = make(&opts);
    void *none = NULL;
    struct thing *first = acquire(pool), *second = acquire(pool);
    first->is_ill = second->is_ill = true;
    release(pool, first);
    CHECK_PTR(acquire(pool), first); /* it was idle for a moment only */
    release(pool, first);
    release(pool, second);
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(2))), 0);
    CHECK_INT(skua_conn_pool_acquire(pool, &none, SKUA_NOW), -EAGAIN);
    CHECK_INT(counts(pool).idle, 2);
    struct thing *third = acquire(pool);
    CHECK(third != first && third != second);
    CHECK_INT(counts(pool).unhealthy, 2);
    CHECK_INT(atomic_load(&open_now), 1);
    release(pool, third);
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(2))), 0);
    CHECK_PTR(acquire(pool), third);
    release(pool, third);
    end(pool);
    return 0;
}

static int grow_old(void *arg)
{
    skua_conn_pool_opts opts = plain;
    opts.idle_ns = SKUA_SEC(10);
    opts.age_ns = SKUA_SEC(60);
    skua_conn_pool *pool = make(&opts);
    struct thing *first = acquire(pool), *second = acquire(pool);
    release(pool, first);
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(5))), 0);
    release(pool, second);
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(6))), 0);
    CHECK_INT(atomic_load(&first->state), SHUT); /* though nobody has asked for anything */
    CHECK_INT(atomic_load(&second->state), OPEN);
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(5))), 0);
    CHECK_INT(atomic_load(&second->state), SHUT);

    struct thing *third = acquire(pool);
    for (int i = 0; i < 11; i++) {
        CHECK_INT(skua_sleep(skua_after(SKUA_SEC(5))), 0);
        release(pool, third);
        CHECK_PTR(acquire(pool), third);
    }
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(6))), 0);
    release(pool, third); /* too old by now */
    CHECK_INT(atomic_load(&third->state), SHUT);
    end(pool);
    return 0;
}

/* Its age ends before the idleness of what was idle first. */
static int grow_old_out_of_turn(void *arg)
{
    skua_conn_pool_opts opts = plain;
    opts.idle_ns = SKUA_SEC(10);
    opts.age_ns = SKUA_SEC(60);
    skua_conn_pool *pool = make(&opts);
    struct thing *old = acquire(pool);
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(50))), 0);
    struct thing *young = acquire(pool);
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(4))), 0);
    release(pool, young);
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(1))), 0); /* the keeper rests until 64 */
    release(pool, old);
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(6))), 0); /* 61 */
    CHECK_INT(atomic_load(&old->state), SHUT);
    CHECK_INT(atomic_load(&young->state), OPEN);
    end(pool);
    return 0;
}

/* covers: A81 */
static void what_is_ill_or_old_is_closed(void **state)
{
    const skua_test_opts opts = {.virtual_clock = true};
    CHECK_INT(skua_test_run(&opts, look_after_health, NULL), 0);
    CHECK_INT(skua_test_run(&opts, grow_old, NULL), 0);
    CHECK_INT(skua_test_run(&opts, grow_old_out_of_turn, NULL), 0);
}

static int keep_few(void *arg)
{
    skua_conn_pool_opts opts = plain;
    opts.idle_max = 1;
    skua_conn_pool *pool = make(&opts);
    struct thing *first = acquire(pool), *second = acquire(pool);
    release(pool, first);
    release(pool, second);
    CHECK_INT(atomic_load(&first->state), SHUT); /* the one that was idle for longer */
    CHECK_PTR(acquire(pool), second);
    release(pool, second);
    skua_conn_pool_renew(pool);
    CHECK_INT(atomic_load(&second->state), SHUT);
    struct thing *third = acquire(pool);
    skua_conn_pool_renew(pool);
    CHECK_INT(atomic_load(&third->state), LENT);
    release(pool, third);
    CHECK_INT(atomic_load(&third->state), SHUT);
    end(pool);
    return 0;
}

static void too_many_idle_ones_are_closed(void **state)
{
    run_on_1_2_4(keep_few);
}

static int resize(void *arg)
{
    skua_conn_pool *pool = make(&plain);
    static struct borrower borrowers[6];
    skua_task *tasks[6];
    struct thing *mine[3] = {acquire(pool), acquire(pool), acquire(pool)};
    for (int i = 0; i < 6; i++) {
        borrowers[i] = (struct borrower){.pool = pool};
        tasks[i] = spawn(borrow, &borrowers[i]);
        await_waiters(pool, (size_t)i + 1);
    }
    CHECK_INT(skua_conn_pool_resize(pool, 9), 0); /* all at once */
    for (int i = 0; i < 6; i++) {
        await(&borrowers[i].has, 1);
    }
    CHECK_INT(skua_conn_pool_resize(pool, 2), 0);
    for (int i = 0; i < 6; i++) {
        atomic_store(&borrowers[i].gives_back, 1);
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(atomic_load(&open_now), 3);
    release(pool, mine[0]);
    CHECK_INT(atomic_load(&open_now), 2);
    release(pool, mine[1]);
    release(pool, mine[2]);
    CHECK_INT(counts(pool).idle, 2);
    CHECK_INT(skua_conn_pool_resize(pool, 1), 0);
    CHECK_INT(atomic_load(&open_now), 1);
    end(pool);
    return 0;
}

static void its_size_can_be_changed(void **state)
{
    run_on_1_2_4(resize);
}

/* --- the end ---------------------------------------------------------------------------------- */

static int close_pool(void *arg)
{
    return skua_conn_pool_close(arg, SKUA_FOREVER);
}

static int close_under_use(void *arg)
{
    skua_conn_pool *pool = make(&plain);
    struct borrower waits = {.pool = pool};
    void *none = NULL;
    struct thing *first = acquire(pool), *second = acquire(pool), *third = acquire(pool);
    skua_task *waiter = spawn(borrow, &waits);
    await_waiters(pool, 1);
    release(pool, first);
    await(&waits.has, 1); /* else it would be refused below */
    CHECK_INT(skua_conn_pool_close(pool, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_conn_pool_close(pool, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    CHECK_INT(skua_conn_pool_acquire(pool, &none, SKUA_FOREVER), -EPIPE);
    skua_task *closer = spawn(close_pool, pool), *cancelled = spawn(close_pool, pool);
    skua_task_cancel(cancelled);
    CHECK_INT(finish(cancelled), -ECANCELED);
    release(pool, second);
    discard(pool, third);
    CHECK_INT(skua_join(closer, NULL, SKUA_NOW), -EAGAIN);
    atomic_store(&waits.gives_back, 1);
    CHECK_INT(finish(waiter), 0);
    CHECK_INT(finish(closer), 0);
    CHECK_INT(atomic_load(&open_now), 0);
    end(pool);

    pool = make(&plain); /* those who wait get nothing any more */
    first = acquire(pool);
    second = acquire(pool);
    third = acquire(pool);
    waits = (struct borrower){.pool = pool};
    waiter = spawn(borrow, &waits);
    await_waiters(pool, 1);
    closer = spawn(close_pool, pool);
    CHECK_INT(finish(waiter), -EPIPE);
    release(pool, first);
    release(pool, second);
    release(pool, third);
    CHECK_INT(finish(closer), 0);
    end(pool);
    return 0;
}

/* covers: A81 */
static void closing_awaits_what_is_lent(void **state)
{
    run_on_1_2_4(close_under_use);
}

static int close_and_destroy(void *arg)
{
    const int status = skua_conn_pool_close(arg, SKUA_FOREVER);
    skua_conn_pool_destroy(arg);
    return status;
}

/* All are told at once, so the first of them may go ahead: the others touch the pool no more. As
   many as are woken at a time, and fewer. */
static int destroy_before_others(void *arg)
{
    enum { MANY = 32 };
    skua_task *closers[MANY];
    for (int count = 2; count <= MANY; count *= 4) {
        skua_conn_pool *pool = make(&plain);
        struct thing *thing = acquire(pool);
        for (int i = 0; i < count; i++) {
            closers[i] = spawn(i == 0 ? close_and_destroy : close_pool, pool);
        }
        CHECK_INT(skua_test_settle(), 0); /* all wait when the last thing comes back */
        release(pool, thing);
        for (int i = 0; i < count; i++) {
            CHECK_INT(finish(closers[i]), 0);
        }
    }
    return 0;
}

static void the_first_closer_may_destroy(void **state)
{
    const skua_test_opts opts = {.timeout_ns = TEST_PATIENCE_NS};
    CHECK_INT(skua_test_run(&opts, destroy_before_others, NULL), 0);
}

static int close_while_opening(void *arg)
{
    skua_conn_pool *pool = make(&plain);
    struct borrower opens = {.pool = pool};
    atomic_store(&may_open, 0);
    skua_task *task = spawn(borrow, &opens);
    await(&opening, 1);
    skua_task *closer = spawn(close_pool, pool);
    while (skua_conn_pool_close(pool, SKUA_NOW) != -EAGAIN) {}
    atomic_store(&may_open, 1);
    CHECK_INT(finish(task), -EPIPE);
    CHECK_INT(finish(closer), 0);
    end(pool);
    skua_conn_pool_destroy(NULL);
    pool = make(&plain);
    release(pool, acquire(pool));
    skua_conn_pool_destroy(pool); /* closes what is idle */
    CHECK_INT(atomic_load(&open_now), 0);
    return 0;
}

static void what_is_opened_too_late_is_closed(void **state)
{
    run_on_1_2_4(close_while_opening);
}

/* --- at random -------------------------------------------------------------------------------- */

enum { STORM_TASKS = 16, STORM_ROUNDS = 150 };

static int borrow_at_random(void *arg)
{
    uint64_t random = test_seed() + (uintptr_t)&random;
    skua_conn_pool *pool = arg;
    for (int i = 0; i < STORM_ROUNDS; i++) {
        void *thing = NULL;
        const skua_time deadline =
            test_random(&random) % 2 == 0 ? SKUA_FOREVER : skua_after(SKUA_US(30));
        const int status = skua_conn_pool_acquire(pool, &thing, deadline);
        if (status == -ECANCELED) {
            return status;
        }
        if (status < 0) {
            CHECK(status == -ETIMEDOUT || status == -ECONNREFUSED);
            continue;
        }
        CHECK_INT(atomic_exchange(&((struct thing *)thing)->state, LENT), OPEN);
        ((struct thing *)thing)->is_ill = test_random(&random) % 16 == 0;
        if (test_random(&random) % 4 == 0) {
            (void)!skua_yield();
        }
        (test_random(&random) % 16 == 0 ? discard : release)(pool, thing);
        if (test_random(&random) % 32 == 0) {
            atomic_fetch_add(&failures_to_come, 1);
        }
    }
    return 0;
}

static int storm(void *arg)
{
    skua_conn_pool_opts opts = plain;
    opts.is_healthy = is_healthy;
    opts.idle_ns = SKUA_US(200);
    skua_conn_pool *pool = make(&opts);
    skua_task *tasks[STORM_TASKS];
    for (int i = 0; i < STORM_TASKS; i++) {
        tasks[i] = spawn(borrow_at_random, pool);
    }
    for (int i = 0; i < STORM_TASKS; i += 3) {
        (void)!skua_sleep(skua_after(SKUA_US(300)));
        skua_task_cancel(tasks[i]);
    }
    for (int i = 0; i < STORM_TASKS; i++) {
        const int status = finish(tasks[i]);
        CHECK(status == 0 || (status == -ECANCELED && i % 3 == 0));
    }
    CHECK(atomic_load(&open_peak) <= 3);
    end(pool);
    return 0;
}

/* covers: A81 */
static void nothing_is_lost_whoever_is_cancelled(void **state)
{
    for (int i = 0; i < 3; i++) {
        run_on_1_2_4(storm);
    }
}

/* --- what is refused -------------------------------------------------------------------------- */

static int refuse(void *arg)
{
    skua_conn_pool *pool = NULL;
    skua_conn_pool_opts opts = plain;
    int failures = 0;
    opts.open = NULL;
    CHECK_INT(skua_conn_pool_create(&pool, &opts), -EINVAL);
    opts = plain;
    opts.close = NULL;
    CHECK_INT(skua_conn_pool_create(&pool, &opts), -EINVAL);
    opts = plain;
    opts.idle_ns = -1;
    CHECK_INT(skua_conn_pool_create(&pool, &opts), -EINVAL);
    CHECK_PTR(pool, NULL);
    opts.idle_ns = SKUA_SEC(1000);
    begin();
    for (int64_t budget = 0, status = -ENOMEM; status < 0; budget++) {
        atomic_store(&skua__alloc_budget, budget);
        status = skua_conn_pool_create(&pool, &opts);
        if (status == 0) {
            void *thing = NULL;
            status = skua_conn_pool_acquire(pool, &thing, SKUA_FOREVER);
            if (status == 0) {
                skua_conn_pool_release(pool, thing); /* with or without a keeper */
                status = skua_conn_pool_resize(pool, 20);
            }
            skua_conn_pool_destroy(pool);
        }
        atomic_store(&skua__alloc_budget, -1);
        CHECK(status == 0 || status == -ENOMEM);
        failures += status < 0;
        CHECK_INT(atomic_load(&open_now), 0);
    }
    CHECK(failures >= 3);
    return 0;
}

static void bad_input_and_no_memory(void **state)
{
    skua_conn_pool *pool = NULL;
    run_on(1, refuse);
    CHECK_INT(skua_conn_pool_create(&pool, &plain), -EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_comes_back_is_lent_again),
        TEST(who_waits_is_served_in_order),
        TEST(a_failed_opening_is_the_next_ones_chance),
        TEST(opening_is_bound_by_the_deadline),
        TEST(what_is_ill_or_old_is_closed),
        TEST(too_many_idle_ones_are_closed),
        TEST(its_size_can_be_changed),
        TEST(closing_awaits_what_is_lent),
        TEST(the_first_closer_may_destroy),
        TEST(what_is_opened_too_late_is_closed),
        TEST(nothing_is_lost_whoever_is_cancelled),
        TEST(bad_input_and_no_memory),
    };
    return TEST_RUN(tests);
}
