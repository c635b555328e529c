/* Rates and tickers: never early, never more than allowed, in order, and nothing lost to who
   leaves. Real times are bounded from one side, since a machine may be late; virtual ones are
   exact. */
#include "sync_help.h"

#include <skua/limit.h>
#include <skua/sync.h>
#include <skua/testing.h>

/* --- rates --- */

static int take(void *rate, size_t tokens, skua_time deadline)
{
    return skua_rate_take(rate, tokens, deadline);
}

static int plain_body(void *arg)
{
    skua_rate rate;
    skua_rate_init(&rate, 0.001, 3); /* the next one would come after the test */
    CHECK_INT(skua_rate_take(&rate, 4, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_rate_take(&rate, 2, SKUA_NOW), 0);
    CHECK_INT(skua_rate_take(&rate, 0, SKUA_NOW), 0);
    CHECK_INT(skua_rate_take(&rate, 2, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_rate_take(&rate, 1, SKUA_FOREVER), 0);
    CHECK_INT(skua_rate_take(&rate, 1, skua_after(0)), -ETIMEDOUT);
    CHECK_INT(skua_rate_take(&rate, 1, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    return 0;
}

static void a_bucket_of_tokens(void **state)
{
    run_on_1_2_4(plain_body);
}

enum { PER_SECOND = 1000, BURST = 5, TAKERS = 4, TAKES = 10 };
static struct {
    skua_rate rate;
    skua_time begin;
    gate taken;
} shop;

static int take_some(void *arg)
{
    for (int i = 0; i < TAKES; i++) {
        CHECK_INT(skua_rate_take(&shop.rate, 1, SKUA_FOREVER), 0);
        int taken = atomic_fetch_add(&shop.taken, 1) + 1;
        /* So many cannot have come in less than this, which the clock has passed. */
        CHECK(skua_elapsed_ns(shop.begin) >= (int64_t)(taken - BURST) * SKUA_SEC(1) / PER_SECOND);
    }
    return 0;
}

static int rate_body(void *arg)
{
    skua_task *tasks[TAKERS];
    memset(&shop, 0, sizeof shop);
    skua_rate_init(&shop.rate, PER_SECOND, BURST);
    shop.begin = skua_clock();
    for (int i = 0; i < TAKERS; i++) {
        tasks[i] = spawn(take_some, NULL);
    }
    for (int i = 0; i < TAKERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(atomic_load(&shop.taken), TAKERS * TAKES);
    return 0;
}

/* covers: A61 */
static void so_many_per_second(void **state)
{
    run_on_1_2_4(rate_body);
}

enum { FETCHES = 12, AT_A_TIME = 3 };
static struct {
    skua_limiter places;
    gate inside, fetched;
} site;

static int fetch(void *arg)
{
    SKUA_BORROWER(place);
    CHECK_INT(skua_limiter_borrow(&site.places, &place, SKUA_FOREVER), 0);
    CHECK_INT(skua_rate_take(&shop.rate, 1, SKUA_FOREVER), 0);
    CHECK(atomic_fetch_add(&site.inside, 1) < AT_A_TIME);
    (void)!skua_yield();
    atomic_fetch_add(&site.fetched, 1);
    atomic_fetch_sub(&site.inside, 1);
    return 0;
}

static int fetches_body(void *arg)
{
    skua_task *tasks[FETCHES];
    memset(&site, 0, sizeof site);
    skua_rate_init(&shop.rate, PER_SECOND, 1);
    skua_limiter_init(&site.places, AT_A_TIME);
    const skua_time begin = skua_clock();
    for (int i = 0; i < FETCHES; i++) {
        tasks[i] = spawn(fetch, NULL);
    }
    for (int i = 0; i < FETCHES; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(atomic_load(&site.fetched), FETCHES);
    CHECK(skua_elapsed_ns(begin) >= (FETCHES - 1) * SKUA_SEC(1) / PER_SECOND);
    return 0;
}

/* covers: A87 */
static void few_at_a_time_and_not_too_often(void **state)
{
    run_on_1_2_4(fetches_body);
}

/* Waiters of a slow rate: the one whose turn it is leaves, and the next in line has it. */
static int line_body(void *arg)
{
    skua_rate rate;
    caller first = {.wait = take, .object = &rate, .amount = 3}, others[3];
    skua_rate_init(&rate, 0.001, 3); /* nobody gets anything before the test is over */
    CHECK_INT(skua_rate_take(&rate, 3, SKUA_NOW), 0);
    start(&first);
    while (skua_rate_take(&rate, 0, SKUA_NOW) == 0) { /* until somebody has the turn */
        (void)!skua_yield();
    }
    for (size_t i = 0; i < 3; i++) {
        others[i] = (caller){.wait = take, .object = &rate, .amount = 1};
        start_waiting(&others[i]);
    }
    CHECK_INT(skua_rate_take(&rate, 0, SKUA_NOW), -EAGAIN); /* nobody overtakes */
    CHECK_INT(cancel_and_finish(&others[1]), -ECANCELED);
    CHECK_INT(cancel_and_finish(&first), -ECANCELED);
    await_waiting(&rate, 1); /* the next one is at the gate */
    CHECK_INT(cancel_and_finish(&others[0]), -ECANCELED);
    await_waiting(&rate, 0); /* and then the last one */
    CHECK_INT(skua_rate_take(&rate, 0, SKUA_NOW), -EAGAIN);
    CHECK_INT(cancel_and_finish(&others[2]), -ECANCELED);
    CHECK_INT(skua_rate_take(&rate, 0, SKUA_NOW), 0); /* the turn is free */
    return 0;
}

static void who_leaves_passes_its_turn_on(void **state)
{
    run_on_1_2_4(line_body);
}

/* The sum of many waits is that of their tokens: what the clock rounds does not add up. */
static int drift_body(void *arg)
{
    enum { TOKENS = 3000 / TEST_SCALE };
    skua_rate rate;
    skua_rate_init(&rate, 70000, 1); /* 14285.714... ns a token */
    CHECK_INT(skua_rate_take(&rate, 1, SKUA_NOW), 0);
    const skua_time begin = skua_clock();
    for (int i = 0; i < TOKENS; i++) {
        CHECK_INT(skua_rate_take(&rate, 1, SKUA_FOREVER), 0);
    }
    CHECK(skua_elapsed_ns(begin) >= (int64_t)(TOKENS - 1) * SKUA_SEC(1) / 70000);
    return 0;
}

static void fractions_of_a_nanosecond(void **state)
{
    run_on(2, drift_body);
}

static void *take_outside(void *rate)
{
    return (void *)(intptr_t)skua_rate_take(rate, 1, SKUA_FOREVER);
}

static int threads_body(void *arg)
{
    skua_rate rate;
    pthread_t thread;
    void *status = &rate;
    skua_rate_init(&rate, 500, 1);
    CHECK_INT(skua_rate_take(&rate, 1, SKUA_NOW), 0);
    CHECK_INT(pthread_create(&thread, NULL, take_outside, &rate), 0);
    CHECK_INT(skua_rate_take(&rate, 1, SKUA_FOREVER), 0);
    CHECK_INT(pthread_join(thread, &status), 0);
    CHECK_PTR(status, NULL);
    return 0;
}

static void threads_take_part(void **state)
{
    run_on_1_2_4(threads_body);
}

/* --- tickers --- */

enum { PERIOD_NS = 1000000 };

static int ticks_body(void *arg)
{
    skua_ticker ticker;
    const skua_time begin = skua_clock();
    int64_t ticks = 0;
    skua_ticker_init(&ticker, PERIOD_NS, SKUA_TICK_SKIP);
    CHECK_INT(skua_ticker_wait(&ticker, SKUA_NOW), -EAGAIN);
    for (int i = 0; i < 10; i++) {
        int got = skua_ticker_wait(&ticker, SKUA_FOREVER);
        CHECK(got >= 1);
        ticks += got;
        CHECK(skua_elapsed_ns(begin) >= ticks * PERIOD_NS); /* none is early */
    }
    skua_ticker slow;
    skua_ticker_init(&slow, SKUA_SEC(1000), SKUA_TICK_SKIP);
    CHECK_INT(skua_ticker_wait(&slow, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    return 0;
}

static void ticks_are_not_early(void **state)
{
    run_on_1_2_4(ticks_body);
}

/* Late by several periods: together, or one after the other without a pause. */
static int missed_body(void *arg)
{
    skua_ticker skips, bursts;
    skua_ticker_init(&skips, PERIOD_NS, SKUA_TICK_SKIP);
    skua_ticker_init(&bursts, PERIOD_NS, SKUA_TICK_BURST);
    const int64_t first_skip = skua_ticker_next(&skips).ns;
    const int64_t first_burst = skua_ticker_next(&bursts).ns;
    CHECK_INT(skua_sleep(skua_after(6 * PERIOD_NS)), 0);
    int missed = skua_ticker_wait(&skips, SKUA_NOW);
    CHECK(missed >= 5);
    CHECK(skua_clock().ns >= first_skip + (int64_t)(missed - 1) * PERIOD_NS);
    CHECK_INT(skua_ticker_next(&skips).ns, first_skip + (int64_t)missed * PERIOD_NS);
    for (int i = 1; i <= 5; i++) {
        CHECK_INT(skua_ticker_wait(&bursts, SKUA_NOW), 1);
        CHECK_INT(skua_ticker_next(&bursts).ns, first_burst + i * PERIOD_NS);
    }
    return 0;
}

/* covers: D77 */
static void missed_ticks(void **state)
{
    run_on_1_2_4(missed_body);
}

static int wait_for_tick(void *ticker, size_t number, skua_time deadline)
{
    (void)number;
    return skua_ticker_wait(ticker, deadline);
}

/* The tick of one who was cancelled is the next one's. */
static int cancel_body(void *arg)
{
    skua_ticker ticker;
    skua_ticker_init(&ticker, SKUA_SEC(1000), SKUA_TICK_SKIP);
    caller first = {.wait = wait_for_tick, .object = &ticker}, second = first;
    start(&first);
    start(&second);
    await_waiting(&ticker, 1); /* one is at the gate, the other one behind it */
    CHECK_INT(cancel_and_finish(&first), -ECANCELED);
    CHECK_INT(atomic_load(&second.has_ended), 0);
    CHECK_INT(cancel_and_finish(&second), -ECANCELED);
    CHECK_INT(skua_ticker_wait(&ticker, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    return 0;
}

static void cancelled_ones_leave(void **state)
{
    run_on_1_2_4(cancel_body);
}

/* --- exactly, under the virtual clock --- */

static void run_virtually(skua_fn fn)
{
    const skua_test_opts opts = {.virtual_clock = true};
    CHECK_INT(skua_test_run(&opts, fn, NULL), 0);
}

/* Ten a second, two at once: the third one comes after a tenth of a second. */
static int exact_rate_body(void *arg)
{
    skua_rate rate;
    const skua_time begin = skua_clock();
    skua_rate_init(&rate, 10, 2);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(skua_rate_take(&rate, 1, SKUA_FOREVER), 0);
        int64_t late_ns = skua_elapsed_ns(begin) - (i < 2 ? 0 : SKUA_MS(100) * (i - 1));
        CHECK(late_ns >= 0 && late_ns <= 1);
    }
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(100))), 0); /* it holds no more than its burst */
    CHECK_INT(skua_rate_take(&rate, 2, SKUA_NOW), 0);
    CHECK_INT(skua_rate_take(&rate, 1, SKUA_NOW), -EAGAIN);
    return 0;
}

/* Three a second are 333333333.3... ns each; after a thousand seconds nothing has added up. */
static int no_drift_body(void *arg)
{
    skua_rate rate;
    const skua_time begin = skua_clock();
    skua_rate_init(&rate, 3, 1);
    CHECK_INT(skua_rate_take(&rate, 1, SKUA_NOW), 0);
    for (int i = 1; i <= 3000; i++) {
        CHECK_INT(skua_rate_take(&rate, 1, SKUA_FOREVER), 0);
        int64_t late_ns = skua_elapsed_ns(begin) - SKUA_SEC(1) * i / 3;
        CHECK(late_ns >= 0 && late_ns <= 2);
    }
    return 0;
}

/* Who comes later waits longer, as if all stood in one line with a clock at its head; and one of
   them gives up. */
static int exact_line_body(void *arg)
{
    skua_rate rate;
    caller callers[5];
    const skua_time begin = skua_clock();
    skua_rate_init(&rate, 1, 2);
    CHECK_INT(skua_rate_take(&rate, 2, SKUA_NOW), 0);
    for (size_t i = 0; i < 5; i++) {
        callers[i] = (caller){.wait = take, .object = &rate, .amount = 1 + i % 2};
        callers[i].deadline = i == 2 ? skua_after(SKUA_MS(3500)) : SKUA_FOREVER;
        start(&callers[i]);
    }
    CHECK_INT(finish_caller(&callers[0]), 0); /* 1 */
    CHECK_INT(skua_elapsed_ns(begin) / SKUA_MS(1), 1000);
    CHECK_INT(finish_caller(&callers[1]), 0); /* 1 + 2 */
    CHECK_INT(skua_elapsed_ns(begin) / SKUA_MS(1), 3000);
    CHECK_INT(finish_caller(&callers[2]), -ETIMEDOUT); /* would have been 4 */
    CHECK_INT(skua_elapsed_ns(begin) / SKUA_MS(1), 3500);
    CHECK_INT(finish_caller(&callers[3]), 0); /* 3 + 2 */
    CHECK_INT(skua_elapsed_ns(begin) / SKUA_MS(1), 5000);
    CHECK_INT(finish_caller(&callers[4]), 0);
    CHECK_INT(skua_elapsed_ns(begin) / SKUA_MS(1), 6000);
    return 0;
}

/* covers: A61 A87 */
static void rates_are_exact(void **state)
{
    run_virtually(exact_rate_body);
    run_virtually(no_drift_body);
    run_virtually(exact_line_body);
}

static int exact_ticks_body(void *arg)
{
    skua_ticker skips, bursts;
    const skua_time begin = skua_clock();
    skua_ticker_init(&skips, SKUA_SEC(1), SKUA_TICK_SKIP);
    skua_ticker_init(&bursts, SKUA_SEC(1), SKUA_TICK_BURST);
    for (int i = 1; i <= 3; i++) {
        CHECK_INT(skua_ticker_wait(&skips, SKUA_FOREVER), 1);
        CHECK_INT(skua_elapsed_ns(begin), SKUA_SEC(1) * i);
        CHECK_INT(skua_ticker_wait(&bursts, SKUA_NOW), 1);
    }
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(2500))), 0); /* 5.5: two were missed */
    CHECK_INT(skua_ticker_wait(&skips, SKUA_FOREVER), 2);
    CHECK_INT(skua_ticker_wait(&skips, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_ticker_wait(&bursts, SKUA_NOW), 1);
    CHECK_INT(skua_ticker_wait(&bursts, SKUA_NOW), 1);
    CHECK_INT(skua_ticker_wait(&bursts, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_elapsed_ns(begin), SKUA_MS(5500));
    CHECK_INT(skua_ticker_wait(&skips, SKUA_FOREVER), 1); /* the next multiple */
    CHECK_INT(skua_elapsed_ns(begin), SKUA_SEC(6));
    CHECK_INT(skua_ticker_wait(&skips, skua_after(SKUA_MS(400))), -ETIMEDOUT);
    CHECK_INT(skua_ticker_wait(&skips, skua_after(SKUA_MS(600))), 1);
    CHECK_INT(skua_elapsed_ns(begin), SKUA_SEC(7));
    return 0;
}

/* Three that wait get one tick after the other, in the order in which they came. */
static int ticks_in_line_body(void *arg)
{
    skua_ticker ticker;
    caller callers[3];
    const skua_time begin = skua_clock();
    skua_ticker_init(&ticker, SKUA_SEC(1), SKUA_TICK_SKIP);
    for (size_t i = 0; i < 3; i++) {
        callers[i] = (caller){.wait = wait_for_tick, .object = &ticker, .amount = i};
        start(&callers[i]);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_INT(finish_caller(&callers[i]), 1);
        CHECK_INT(skua_elapsed_ns(begin), SKUA_SEC(1) * (i + 1));
    }
    return 0;
}

/* covers: D77 */
static void ticks_are_exact(void **state)
{
    run_virtually(exact_ticks_body);
    run_virtually(ticks_in_line_body);
}

static int one_second(void *sem)
{
    CHECK_INT(skua_sem_acquire(sem, 1, SKUA_FOREVER), 0);
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(1))), 0);
    skua_sem_release(sem, 1);
    return 0;
}

static int four_rounds_body(void *arg)
{
    skua_sem sem;
    skua_task *tasks[10];
    const skua_time begin = skua_clock();
    skua_sem_init(&sem, 3);
    for (int i = 0; i < 10; i++) {
        tasks[i] = spawn(one_second, &sem);
    }
    for (int i = 0; i < 10; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(skua_elapsed_ns(begin), SKUA_SEC(4));
    return 0;
}

/* covers: A60 */
static void ten_jobs_of_a_second_three_at_a_time(void **state)
{
    run_virtually(four_rounds_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_bucket_of_tokens),
        TEST(so_many_per_second),
        TEST(few_at_a_time_and_not_too_often),
        TEST(who_leaves_passes_its_turn_on),
        TEST(fractions_of_a_nanosecond),
        TEST(threads_take_part),
        TEST(ticks_are_not_early),
        TEST(missed_ticks),
        TEST(cancelled_ones_leave),
        TEST(rates_are_exact),
        TEST(ticks_are_exact),
        TEST(ten_jobs_of_a_second_three_at_a_time),
    };
    return TEST_RUN(tests);
}
