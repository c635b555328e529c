/* Rates and tickers: never early, never more than allowed, in order, and nothing lost to who leaves.
   Times are real and bounded from one side: a machine may be late. */
#include "sync_help.h"

#include <skua/limit.h>

/* --- rates --- */

static int take(void *rate, size_t tokens, skua_time deadline)
{
    return skua_rate_take(rate, tokens, deadline);
}

static int plain_body(void *arg)
{
    skua_rate rate;
    skua_rate_init(&rate, 1, 3);
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

/* Waiters of a slow rate: the one whose turn it is leaves, and the others are served in order. */
static int line_body(void *arg)
{
    skua_rate rate;
    caller first = {.wait = take, .object = &rate, .amount = 3}, others[3];
    skua_rate_init(&rate, 200, 3);
    atomic_store(&ends_count, 0);
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
    CHECK_INT(finish_caller(&others[0]), 0);
    CHECK_INT(finish_caller(&others[2]), 0);
    CHECK_INT(waiting_at(&rate), 0);
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
    };
    return TEST_RUN(tests);
}
