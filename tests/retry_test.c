/* Retry: how often, after which pauses, and what ends it. */
#include "tasks.h"

#include "group/retry.h"

#include <skua/retry.h>

/* Fails so many times, then succeeds. */
typedef struct work {
    int failures; /* left */
    int status;   /* of a failure */
    int calls;
    int asked; /* times that refuses() was called */
    skua_time at[8];
    gate has_begun;
} work;

static int try_once(void *arg)
{
    work *self = arg;
    self->at[self->calls++ % 8] = skua_clock();
    atomic_store(&self->has_begun, 1);
    return self->failures-- > 0 ? self->status : 7;
}

static const skua_retry_opts quick = {.attempts = 5, .base_ns = 1, .cap_ns = 1};

/* --- how often -------------------------------------------------------------------------------- */

static int often_body(void *arg)
{
    work none = {0}, two = {.failures = 2, .status = -EIO}, all = {.failures = 99, .status = -EIO};
    CHECK_INT(skua_retry(try_once, &none, NULL), 7);
    CHECK_INT(none.calls, 1);
    CHECK_INT(skua_retry(try_once, &two, &quick), 7);
    CHECK_INT(two.calls, 3);
    CHECK_INT(skua_retry(try_once, &all, &quick), -EIO);
    CHECK_INT(all.calls, 5);
    const skua_retry_opts once = {.attempts = 1, .base_ns = SKUA_SEC(3600), .cap_ns = INT64_MAX};
    CHECK_INT(skua_retry(try_once, &all, &once), -EIO); /* and no pause after the last one */
    CHECK_INT(all.calls, 6);
    return 0;
}

/* covers: A85 */
static void until_it_succeeds_or_the_attempts_are_used_up(void **state)
{
    run_on_1_2_4(often_body);
}

static int change(void *arg)
{
    work *self = arg;
    self->status = -(100 + self->calls++);
    return self->status;
}

static int last_body(void *arg)
{
    work self = {0};
    const skua_retry_opts three = {.base_ns = 1}; /* by default */
    CHECK_INT(skua_retry(change, &self, &three), -102);
    CHECK_INT(self.calls, 3);
    return 0;
}

/* covers: A85 */
static void the_last_failure_is_returned(void **state)
{
    run_on(2, last_body);
}

static bool refuses_pipe(int status, void *arg)
{
    ((work *)arg)->asked++;
    return status != -EPIPE;
}

static int refused_body(void *arg)
{
    work refused = {.failures = 9, .status = -EPIPE}, allowed = {.failures = 2, .status = -EIO};
    skua_retry_opts opts = quick;
    opts.retryable = refuses_pipe;
    CHECK_INT(skua_retry(try_once, &refused, &opts), -EPIPE);
    CHECK_INT(refused.calls, 1);
    CHECK_INT(skua_retry(try_once, &allowed, &opts), 7);
    CHECK_INT(allowed.calls, 3);
    CHECK_INT(allowed.asked, 2);
    return 0;
}

static void some_failures_are_final(void **state)
{
    run_on(2, refused_body);
}

/* --- pauses ----------------------------------------------------------------------------------- */

/* covers: A85 */
static void pauses_double_up_to_the_cap(void **state)
{
    static const int64_t wanted_ms[] = {100, 200, 400, 800, 1000, 1000};
    int64_t pause = SKUA_MS(100);
    for (size_t i = 0; i < 6; i++) {
        CHECK_INT(pause, SKUA_MS(wanted_ms[i]));
        pause = skua__retry_next_ns(pause, SKUA_SEC(1));
    }
    for (int i = 0; i < 100; i++) { /* never overflows */
        pause = skua__retry_next_ns(pause, INT64_MAX);
        CHECK(pause > 0);
    }
    CHECK_INT(pause, INT64_MAX);
    CHECK_INT(skua__retry_next_ns(INT64_MAX, INT64_MAX), INT64_MAX);
    CHECK_INT(skua__retry_next_ns(1, 1), 1);
}

static void jitter_shortens_by_so_many_percent(void **state)
{
    static const int64_t pauses[] = {1, 3, 99, 100, 1000, SKUA_SEC(30), INT64_MAX};
    uint64_t random = test_seed();
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
        bool has_changed = false;
        for (int round = 0; round < 1000; round++) {
            const int64_t pause = pauses[i];
            CHECK_INT(skua__retry_jitter_ns(pause, 0, &random), pause);
            const int64_t quarter = skua__retry_jitter_ns(pause, 25, &random);
            CHECK(quarter <= pause && quarter >= pause - pause / 4);
            const int64_t full = skua__retry_jitter_ns(pause, 100, &random);
            CHECK(full <= pause && full >= 0);
            has_changed = has_changed || quarter != pause;
        }
        CHECK(has_changed || pauses[i] < 4);
    }
}

static int pauses_body(void *arg)
{
    work self = {.failures = 9, .status = -EIO};
    const skua_retry_opts opts = {.attempts = 4, .base_ns = SKUA_MS(2), .cap_ns = SKUA_MS(5)};
    CHECK_INT(skua_retry(try_once, &self, &opts), -EIO);
    static const int wanted_ms[] = {2, 4, 5};
    for (int i = 0; i < 3; i++) {
        CHECK(self.at[i + 1].ns - self.at[i].ns >= SKUA_MS(wanted_ms[i]));
    }
    return 0;
}

static int jitter_body(void *arg)
{
    work self = {.failures = 9, .status = -EIO};
    const skua_retry_opts opts = {
        .attempts = 8, .base_ns = SKUA_US(100), .cap_ns = SKUA_MS(1), .jitter_percent = 50};
    CHECK_INT(skua_retry(try_once, &self, &opts), -EIO);
    CHECK_INT(self.calls, 8);
    static const int wanted_us[] = {50, 100, 200, 400, 500, 500, 500}; /* at least */
    for (int i = 0; i < 7; i++) {
        CHECK(self.at[i + 1].ns - self.at[i].ns >= SKUA_US(wanted_us[i]));
    }
    return 0;
}

static void with_jitter_they_are_at_least_half_as_far_apart(void **state)
{
    run_on_1_2_4(jitter_body);
}

/* covers: A85 */
static void attempts_are_so_far_apart(void **state)
{
    run_on_1_2_4(pauses_body);
}

/* --- deadlines -------------------------------------------------------------------------------- */

static int sleep_counting(void *arg)
{
    ((work *)arg)->calls++;
    return skua_sleep(SKUA_FOREVER);
}

static int each_body(void *arg)
{
    work self = {0};
    const skua_retry_opts opts = {.attempts = 3, .base_ns = 1, .each_ns = SKUA_MS(1)};
    CHECK_INT(skua_retry(sleep_counting, &self, &opts), -ETIMEDOUT);
    CHECK_INT(self.calls, 3);
    return 0;
}

static void each_attempt_has_a_deadline(void **state)
{
    run_on_1_2_4(each_body);
}

static int deadline_body(void *arg)
{
    work self = {.failures = 9, .status = -EIO}, sleeper = {0};
    skua_retry_opts opts = {.attempts = 9,
                            .base_ns = SKUA_SEC(3600),
                            .cap_ns = INT64_MAX,
                            .deadline = skua_after(SKUA_SEC(60))};
    CHECK_INT(skua_retry(try_once, &self, &opts), -EIO); /* at once: the pause would be too long */
    CHECK_INT(self.calls, 1);
    opts.base_ns = SKUA_SEC(1);
    opts.deadline = skua_after(SKUA_MS(2));
    CHECK_INT(skua_retry(sleep_counting, &sleeper, &opts), -ETIMEDOUT);
    CHECK_INT(sleeper.calls, 1);
    opts.deadline = SKUA_NOW;
    CHECK_INT(skua_retry(sleep_counting, &sleeper, &opts), -ETIMEDOUT);
    CHECK_INT(sleeper.calls, 2);
    return 0;
}

static void all_attempts_have_a_deadline(void **state)
{
    run_on_1_2_4(deadline_body);
}

/* --- cancels ---------------------------------------------------------------------------------- */

static bool wants_all(int status, void *arg)
{
    return true;
}

static int retry_sleeps(void *arg)
{
    static const skua_retry_opts opts = {.attempts = 5, .base_ns = 1, .retryable = wants_all};
    return skua_retry(sleep_counting, arg, &opts);
}

static int retry_with_long_pause(void *arg)
{
    static const skua_retry_opts opts = {.base_ns = SKUA_SEC(3600), .cap_ns = SKUA_SEC(3600)};
    return skua_retry(try_once, arg, &opts);
}

static int cancel_body(void *arg)
{
    work sleeping = {0}, pausing = {.failures = 9, .status = -EIO}, late = {0};
    skua_task *task = spawn(retry_sleeps, &sleeping);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(skua_yield(), 0);
    }
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    CHECK(sleeping.calls <= 1);
    task = spawn(retry_with_long_pause, &pausing);
    await(&pausing.has_begun, 1);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    CHECK_INT(pausing.calls, 1);
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_scope_cancel(&scope);
    CHECK_INT(skua_retry(try_once, &late, NULL), -ECANCELED); /* not even once */
    CHECK_INT(late.calls, 0);
    CHECK_INT(skua_scope_close(&scope, 0), 0);
    return 0;
}

/* covers: A85 */
static void a_cancel_of_the_caller_is_never_retried(void **state)
{
    run_on_1_2_4(cancel_body);
}

static int others_body(void *arg)
{
    work self = {.failures = 2, .status = -ECANCELED};
    CHECK_INT(skua_retry(try_once, &self, &quick), -ECANCELED);
    CHECK_INT(self.calls, 1);
    skua_retry_opts opts = quick;
    opts.retryable = wants_all;
    CHECK_INT(skua_retry(try_once, &self, &opts), 7); /* somebody else's cancel, on demand */
    CHECK_INT(self.calls, 3);
    return 0;
}

/* covers: A85 */
static void a_cancel_of_others_is_retried_on_demand(void **state)
{
    run_on(2, others_body);
}

/* --- input ------------------------------------------------------------------------------------ */

static int input_body(void *arg)
{
    work self = {0};
    const skua_retry_opts bad[] = {
        {.base_ns = -1}, {.cap_ns = -1}, {.each_ns = -1}, {.jitter_percent = 101}};
    for (int i = 0; i < 4; i++) {
        CHECK_INT(skua_retry(try_once, &self, &bad[i]), -EINVAL);
    }
    CHECK_INT(skua_retry(NULL, &self, NULL), -EINVAL);
    CHECK_INT(self.calls, 0);
    return 0;
}

static void bad_input_is_refused(void **state)
{
    work self = {0};
    run_on(1, input_body);
    CHECK_INT(skua_retry(try_once, &self, NULL), -EPERM);
    CHECK_INT(self.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(until_it_succeeds_or_the_attempts_are_used_up),
        TEST(the_last_failure_is_returned),
        TEST(some_failures_are_final),
        TEST(pauses_double_up_to_the_cap),
        TEST(jitter_shortens_by_so_many_percent),
        TEST(attempts_are_so_far_apart),
        TEST(with_jitter_they_are_at_least_half_as_far_apart),
        TEST(each_attempt_has_a_deadline),
        TEST(all_attempts_have_a_deadline),
        TEST(a_cancel_of_the_caller_is_never_retried),
        TEST(a_cancel_of_others_is_retried_on_demand),
        TEST(bad_input_is_refused),
    };
    return TEST_RUN(tests);
}
