/* Timeouts, cancels and groups, at exact moments of the virtual clock. */
#include "virtual_runs.h"

/* --- timeouts --------------------------------------------------------------------------------- */

static int wait_then_nap(void *arg)
{
    gate *begun = arg;
    atomic_store(begun, 1);
    int status = skua_sleep(SKUA_FOREVER);
    atomic_store(begun, 2);
    return status;
}

static int zero_body(void *arg)
{
    gate begun = 0;
    const skua_time start = skua_clock();
    CHECK_INT(skua_within(skua_after(0), wait_then_nap, &begun), -ETIMEDOUT);
    CHECK_INT(begun, 2); /* it ran up to its first wait */
    CHECK_INT(ms_since(start), 0);
    nap long_one = {.ms = 86400 * 1000 * INT64_C(365), .status = 7};
    CHECK_INT(skua_within(SKUA_FOREVER, take_nap, &long_one), 7);
    CHECK_INT(ms_since(start), long_one.ms);
    return 0;
}

/* covers: D59 */
static void zero_expires_at_the_first_wait_and_none_never(void **state)
{
    run_virtually_on_1_2_4(zero_body);
}

typedef struct careful {
    int64_t cleanup_ms;
    gate cleaned;
} careful;

static int clean_slowly(void *arg)
{
    careful *self = arg;
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(self->cleanup_ms))), 0);
    atomic_fetch_add(&self->cleaned, 1);
    return 0;
}

static int sleep_and_clean(void *arg)
{
    int status = skua_sleep(SKUA_FOREVER);
    CHECK_INT(skua_shielded(SKUA_FOREVER, clean_slowly, arg), 0);
    return status;
}

static int cleanup_body(void *arg)
{
    careful self = {.cleanup_ms = 2000};
    const skua_time start = skua_clock();
    CHECK_INT(skua_within(skua_after(SKUA_MS(100)), sleep_and_clean, &self), -ETIMEDOUT);
    CHECK_INT(self.cleaned, 1);
    CHECK_INT(ms_since(start), 2100);

    skua_task *task = spawn(sleep_and_clean, &self);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(100))), 0);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    CHECK_INT(self.cleaned, 2);
    CHECK_INT(ms_since(start), 4200);
    return 0;
}

/* covers: A32 A33 A38 A41 D62 */
static void who_is_timed_out_or_cancelled_has_cleaned_up(void **state)
{
    run_virtually_on_1_2_4(cleanup_body);
}

static int join_it(void *arg)
{
    int status = -1;
    int result = skua_join(arg, &status, SKUA_FOREVER);
    return result < 0 ? result : status;
}

static int outlive_body(void *arg)
{
    nap one = {.ms = 1000, .status = 42};
    const skua_time start = skua_clock();
    skua_task *task = spawn(take_nap, &one);
    CHECK_INT(skua_within(skua_after(SKUA_MS(100)), join_it, task), -ETIMEDOUT);
    CHECK_INT(ms_since(start), 100);
    CHECK_INT(skua_task_state(task), SKUA_RUNNING);
    skua_task *outer = spawn(join_it, task);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(100))), 0);
    skua_task_cancel(outer);
    CHECK_INT(finish(outer), -ECANCELED);
    CHECK_INT(finish(task), 42);
    CHECK_INT(ms_since(start), 1000);
    return 0;
}

/* A join does not forward a cancel, so each is a shield of the task that is joined. */
/* covers: A36 D45 D63 */
static void a_task_outlives_the_waits_for_it(void **state)
{
    run_virtually_on_1_2_4(outlive_body);
}

static int each_body(void *arg)
{
    /* Five pages, of which two are slow. */
    nap pages[5] = {{100, 1, {0}}, {5000, 2, {0}}, {200, 3, {0}}, {9000, 4, {0}}, {300, 5, {0}}};
    int statuses[5];
    const skua_time start = skua_clock();
    const skua_map_opts opts = {
        .each_ns = SKUA_SEC(1), .policy = SKUA_COLLECT, .statuses = statuses};
    CHECK_INT(skua_map(take_nap, pages, sizeof pages[0], 5, &opts), -ETIMEDOUT);
    CHECK_INT(ms_since(start), 1000);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(statuses[i], pages[i].ms > 1000 ? -ETIMEDOUT : i + 1);
    }
    return 0;
}

/* covers: A42 */
static void each_of_many_has_a_timeout_of_its_own(void **state)
{
    run_virtually_on_1_2_4(each_body);
}

static int open_inner(void *arg)
{
    SKUA_SCOPE(inner);
    skua_scope_open(&inner, skua_after(SKUA_MS(500)));
    int status = skua_scope_close(&inner, skua_sleep(SKUA_FOREVER));
    CHECK_INT(skua_scope_expired(&inner), *(bool *)arg);
    return status;
}

static int nested_body(void *arg)
{
    bool inner_first = true;
    skua_time start = skua_clock();
    CHECK_INT(skua_within(skua_after(SKUA_MS(900)), open_inner, &inner_first), -ETIMEDOUT);
    CHECK_INT(ms_since(start), 500);

    inner_first = false; /* the outer one's timeout passes the inner scope as a cancel */
    start = skua_clock();
    SKUA_SCOPE(outer);
    skua_scope_open(&outer, skua_after(SKUA_MS(300)));
    int status = open_inner(&inner_first);
    CHECK_INT(status, -ECANCELED);
    CHECK_INT(skua_scope_close(&outer, status), -ETIMEDOUT);
    CHECK_INT(ms_since(start), 300);

    /* Moved while it runs: seen in time, or taken away. */
    start = skua_clock();
    SKUA_SCOPE(moved);
    skua_scope_open(&moved, skua_after(SKUA_MS(10)));
    CHECK_INT(skua_scope_when(&moved).ns, start.ns + SKUA_MS(10));
    skua_scope_deadline(&moved, SKUA_FOREVER);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(100))), 0);
    skua_scope_deadline(&moved, skua_after(SKUA_MS(100)));
    CHECK_INT(skua_scope_close(&moved, skua_sleep(SKUA_FOREVER)), -ETIMEDOUT);
    CHECK_INT(ms_since(start), 200);
    return 0;
}

/* covers: A39 B10 */
static void only_the_scope_that_fired_says_timeout(void **state)
{
    run_virtually_on_1_2_4(nested_body);
}

/* --- cancels ---------------------------------------------------------------------------------- */

static int sleep_5000_s(void *arg)
{
    return skua_sleep(skua_after(SKUA_SEC(5000)));
}

static int catch_it(void *arg)
{
    return skua_sleep(SKUA_FOREVER) == -ECANCELED ? 42 : 1;
}

static int sleep_in_scope(void *arg)
{
    nap rest = {.ms = 1000, .status = 5};
    SKUA_SCOPE(part);
    skua_scope_open(&part, SKUA_FOREVER);
    *(skua_scope **)arg = &part;
    int status = skua_scope_close(&part, skua_sleep(SKUA_FOREVER));
    CHECK_INT(status, 0); /* cancelled on purpose, and left */
    return take_nap(&rest);
}

static int cancels_body(void *arg)
{
    skua_scope *part = NULL;
    const skua_time start = skua_clock();
    skua_task *sleeper = spawn(sleep_5000_s, NULL), *catcher = spawn(catch_it, NULL);
    skua_task *going_on = spawn(sleep_in_scope, &part);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(100))), 0);
    skua_task_cancel(sleeper);
    skua_task_cancel(catcher);
    skua_scope_cancel(part);
    CHECK_INT(status_of(sleeper), -ECANCELED);
    CHECK_INT(skua_task_state(sleeper), SKUA_CANCELLED);
    CHECK_INT(ms_since(start), 100);
    skua_task_cancel(sleeper); /* again, after the end: nothing happens */
    CHECK_INT(skua_task_state(sleeper), SKUA_CANCELLED);
    CHECK_INT(status_of(catcher), 42);
    CHECK_INT(skua_task_state(catcher), SKUA_DONE);
    CHECK_INT(status_of(going_on), 5);
    CHECK_INT(ms_since(start), 1100);
    skua_task_release(sleeper);
    skua_task_release(catcher);
    skua_task_release(going_on);
    return 0;
}

/* A task goes on after a cancel by leaving the scope that was cancelled. */
/* covers: A31 A37 D46 D47 D48 D49 */
static void a_cancel_ends_a_sleep_and_the_task_decides(void **state)
{
    run_virtually_on_1_2_4(cancels_body);
}

/* --- groups ----------------------------------------------------------------------------------- */

static int sleep_and_clean_in_group(void *arg)
{
    careful *self = arg;
    skua_group group = {{0}};
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(skua_group_spawn(&group, sleep_and_clean, self), 0);
    }
    return skua_group_close(&group, 0);
}

static int owner_body(void *arg)
{
    careful self = {.cleanup_ms = 300};
    const skua_time start = skua_clock();
    skua_task *owner = spawn(sleep_and_clean_in_group, &self);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(100))), 0);
    skua_task_cancel(owner);
    CHECK_INT(finish(owner), -ECANCELED);
    CHECK_INT(self.cleaned, 5);
    CHECK_INT(ms_since(start), 400);
    return 0;
}

/* covers: A27 D39 D54 */
static void a_cancelled_owner_waits_until_all_five_have_cleaned_up(void **state)
{
    run_virtually_on_1_2_4(owner_body);
}

static int inner_group(void *arg)
{
    return sleep_and_clean_in_group(arg);
}

static int outer_group(void *arg)
{
    skua_group group = {{0}};
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(skua_group_spawn(&group, inner_group, arg), 0);
    }
    return skua_group_close(&group, 0);
}

static int leaves_body(void *arg)
{
    careful self = {.cleanup_ms = 200};
    skua_time start = skua_clock();
    CHECK_INT(skua_within(skua_after(SKUA_MS(50)), outer_group, &self), -ETIMEDOUT);
    CHECK_INT(self.cleaned, 15);
    CHECK_INT(ms_since(start), 250);

    start = skua_clock(); /* a deadline that is over reaches them all the same */
    CHECK_INT(skua_within(skua_after(-5), outer_group, &self), -ETIMEDOUT);
    CHECK_INT(self.cleaned, 30);
    CHECK_INT(ms_since(start), 200);
    return 0;
}

/* covers: B24 D65 D68 */
static void one_deadline_reaches_all_leaves_of_a_tree(void **state)
{
    run_virtually_on_1_2_4(leaves_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(zero_expires_at_the_first_wait_and_none_never),
        TEST(who_is_timed_out_or_cancelled_has_cleaned_up),
        TEST(a_task_outlives_the_waits_for_it),
        TEST(each_of_many_has_a_timeout_of_its_own),
        TEST(only_the_scope_that_fired_says_timeout),
        TEST(a_cancel_ends_a_sleep_and_the_task_decides),
        TEST(a_cancelled_owner_waits_until_all_five_have_cleaned_up),
        TEST(one_deadline_reaches_all_leaves_of_a_tree),
    };
    return TEST_RUN(tests);
}
