/* Map: every item once, limits, batches, timeouts, policies. */
#include "behaviours/virtual_runs.h"
#include "group_help.h"

typedef struct item {
    int number, result, times;
} item;

static int square_item(void *arg)
{
    item *self = arg;
    self->times++;
    self->result = self->number * self->number;
    return 0;
}

static int yield_and_square(void *arg)
{
    int status = skua_yield();
    return status < 0 ? status : square_item(arg);
}

static int sleep_and_square(void *arg)
{
    int status = skua_sleep(skua_after(SKUA_US(20)));
    return status < 0 ? status : square_item(arg);
}

enum { ITEMS = 1000 };

static void check_items(const item items[], int count)
{
    for (int i = 0; i < count; i++) {
        CHECK_INT(items[i].times, 1);
        CHECK_INT(items[i].result, i * i);
    }
}

static void number_items(item items[], int count)
{
    for (int i = 0; i < count; i++) {
        items[i] = (item){.number = i};
    }
}

static int each_once_body(void *arg)
{
    static item items[ITEMS];
    static int statuses[ITEMS];
    const skua_fn fns[] = {square_item, yield_and_square, sleep_and_square};
    for (int i = 0; i < 3; i++) {
        number_items(items, ITEMS);
        CHECK_INT(skua_map(fns[i], items, sizeof items[0], ITEMS, NULL), 0);
        check_items(items, ITEMS);
        for (size_t limit = 1; limit <= 100; limit *= 10) {
            number_items(items, ITEMS / 4);
            const skua_map_opts opts = {.limit = limit, .statuses = statuses, .name = "item"};
            CHECK_INT(skua_map(fns[i], items, sizeof items[0], ITEMS / 4, &opts), 0);
            check_items(items, ITEMS / 4);
            CHECK_INT(statuses[0], 0);
            CHECK_INT(statuses[ITEMS / 4 - 1], 0);
        }
    }
    return 0;
}

/* covers: A20 A28 */
static void every_item_is_run_once(void **state)
{
    run_on_1_2_4(each_once_body);
}

/* --- limits and batches ----------------------------------------------------------------------- */

static gate now, most, pauses_seen;
static _Atomic int64_t last_end_ns;

static void enter(void)
{
    int inside = atomic_fetch_add(&now, 1) + 1;
    int seen = atomic_load(&most);
    while (inside > seen && !atomic_compare_exchange_weak(&most, &seen, inside)) {}
}

static int be_inside(void *arg)
{
    enter();
    int status = skua_sleep(skua_after(SKUA_US(100)));
    atomic_fetch_sub(&now, 1);
    return status;
}

static int limit_body(void *arg)
{
    char items[200];
    for (size_t limit = 1; limit <= 16; limit *= 4) {
        const skua_map_opts opts = {.limit = limit};
        atomic_store(&most, 0);
        CHECK_INT(skua_map(be_inside, items, 1, 40 * (limit > 4 ? 5 : 1), &opts), 0);
        CHECK(most <= (int)limit);
        CHECK_INT(now, 0);
    }
    return 0;
}

static void the_limit_holds(void **state)
{
    run_on_1_2_4(limit_body);
}

/* All are in flight at the same time, or it hangs. */
static int meet_all(void *arg)
{
    enter();
    while (atomic_load(&most) < 100) {
        int status = skua_sleep(skua_after(SKUA_US(100)));
        if (status < 0) {
            return status;
        }
    }
    atomic_fetch_sub(&now, 1);
    return 0;
}

static int no_limit_body(void *arg)
{
    char items[100];
    atomic_store(&most, 0);
    CHECK_INT(skua_map(meet_all, items, 1, 100, NULL), 0);
    return 0;
}

static void without_a_limit_all_are_in_flight(void **state)
{
    run_on_1_2_4(no_limit_body);
}

/* Notes whether a pause has passed since the last end. */
static int note_pause(void *arg)
{
    enter();
    const int64_t end = atomic_load(&last_end_ns);
    if (end != 0 && skua_clock().ns - end >= SKUA_MS(2)) {
        atomic_fetch_add(&pauses_seen, 1);
        atomic_store(&last_end_ns, 0);
    }
    CHECK_INT(skua_yield(), 0);
    *(int *)arg += 1;
    atomic_store(&last_end_ns, skua_clock().ns);
    atomic_fetch_sub(&now, 1);
    return 0;
}

static int batches_body(void *arg)
{
    int items[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    const skua_map_opts opts = {.batch = 4, .pause_ns = SKUA_MS(5), .limit = *(size_t *)arg};
    atomic_store(&most, 0);
    atomic_store(&pauses_seen, 0);
    atomic_store(&last_end_ns, 0);
    const skua_time start = skua_clock();
    CHECK_INT(skua_map(note_pause, items, sizeof items[0], 10, &opts), 0);
    CHECK(skua_elapsed_ns(start) >= SKUA_MS(10)); /* two pauses */
    CHECK(pauses_seen >= 2);
    CHECK(most <= 4);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(items[i], i + 1); /* in order */
    }
    const skua_map_opts one = {.batch = 10, .pause_ns = SKUA_SEC(100)};
    CHECK_INT(skua_map(note_pause, items, sizeof items[0], 10, &one), 0); /* none after the last */
    return 0;
}

/* covers: A86 */
static void batches_have_pauses_between_them(void **state)
{
    size_t limit = 0;
    run_on_with(1, batches_body, &limit);
    run_on_with(2, batches_body, &limit);
    limit = 2;
    run_on_with(4, batches_body, &limit);
}

/* --- time and failure ------------------------------------------------------------------------- */

typedef struct page {
    bool is_slow;
    const char *value;
} page;

static int fetch(void *arg)
{
    page *self = arg;
    int status = skua_sleep(self->is_slow ? SKUA_FOREVER : skua_after(SKUA_US(100)));
    if (status == 0) {
        self->value = "text";
    }
    return status;
}

static int timeouts_body(void *arg)
{
    page pages[] = {{false, NULL}, {true, NULL}, {false, NULL}, {true, NULL}, {false, NULL}};
    int statuses[5];
    const skua_map_opts opts = {
        .each_ns = SKUA_MS(60), .policy = SKUA_COLLECT, .statuses = statuses};
    CHECK_INT(skua_map(fetch, pages, sizeof pages[0], 5, &opts), -ETIMEDOUT);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(statuses[i], pages[i].is_slow ? -ETIMEDOUT : 0);
        CHECK_INT(pages[i].value == NULL, pages[i].is_slow);
    }
    return 0;
}

/* covers: A42 */
static void late_items_have_no_value(void **state)
{
    run_virtually_on_1_2_4(timeouts_body);
}

static int fail_at_five(void *arg)
{
    item *self = arg;
    self->times++;
    if (self->number == 5) {
        return skua_fail(-EIO, "item %d", self->number);
    }
    return self->number < 5 ? 0 : skua_sleep(SKUA_FOREVER);
}

static int fail_fast_body(void *arg)
{
    item items[200];
    int statuses[200];
    const skua_map_opts opts = {.statuses = statuses, .limit = 10};
    number_items(items, 200);
    CHECK_INT(skua_map(fail_at_five, items, sizeof items[0], 200, &opts), -EIO);
    for (int i = 0; i < 200; i++) {
        CHECK_INT(statuses[i], i < 5 ? 0 : i == 5 ? -EIO : -ECANCELED);
        CHECK(items[i].times == (i <= 5) || items[i].times == (i < 20));
    }
    CHECK(!skua_cancelled());
    return 0;
}

static void the_first_failure_cancels_the_rest(void **state)
{
    run_on_1_2_4(fail_fast_body);
}

static int fail_every_third(void *arg)
{
    item *self = arg;
    self->times++;
    (void)skua_yield();
    return self->number % 3 == 0 ? skua_fail(-EIO, "item %d", self->number) : self->number;
}

static int collect_items(void *arg)
{
    item items[100];
    int statuses[100];
    const skua_map_opts opts = {
        .policy = SKUA_COLLECT, .statuses = statuses, .limit = *(size_t *)arg};
    number_items(items, 100);
    int status = skua_map(fail_every_third, items, sizeof items[0], 100, &opts);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(items[i].times, 1);
        CHECK_INT(statuses[i], i % 3 == 0 ? -EIO : i);
    }
    return status;
}

static int collect_body(void *arg)
{
    const skua_error *causes[100];
    for (size_t limit = 0; limit < 4; limit++) {
        skua_task *task = spawn(collect_items, &limit);
        CHECK_INT(status_of(task), -EIO);
        CHECK_INT(skua_error_causes(skua_task_error(task), causes, 100), 34);
        for (int i = 0; i < 34; i++) {
            CHECK_INT(strncmp(causes[i]->text, "item ", 5), 0);
        }
        skua_task_release(task);
    }
    return 0;
}

static void collect_runs_all_and_keeps_what_they_say(void **state)
{
    run_on_1_2_4(collect_body);
}

static int succeed_at_seven(void *arg)
{
    item *self = arg;
    if (self->number < 7) {
        return -ENOENT;
    }
    return self->number == 7 ? 77 : skua_sleep(SKUA_FOREVER);
}

static int any_body(void *arg)
{
    item items[20];
    int statuses[20];
    const skua_map_opts opts = {.policy = SKUA_ANY_SUCCESS, .statuses = statuses, .batch = 12};
    number_items(items, 20);
    CHECK_INT(skua_map(succeed_at_seven, items, sizeof items[0], 20, &opts), 77);
    CHECK_INT(statuses[6], -ENOENT);
    CHECK_INT(statuses[7], 77);
    CHECK_INT(statuses[19], -ECANCELED);
    CHECK_INT(skua_map(succeed_at_seven, items, sizeof items[0], 5, &opts), -ENOENT);
    return 0;
}

static void any_success_ends_it(void **state)
{
    run_on_1_2_4(any_body);
}

typedef struct cancelled_map {
    gate started, cancelled;
} cancelled_map;

static cancelled_map seen;

static int sleep_until_cancelled(void *arg)
{
    atomic_fetch_add(&seen.started, 1);
    int status = skua_sleep(SKUA_FOREVER);
    atomic_fetch_add(&seen.cancelled, status == -ECANCELED);
    return status;
}

static int map_sleepers(void *arg)
{
    char items[10];
    return skua_map(sleep_until_cancelled, items, 1, 10, arg);
}

static int cancel_body(void *arg)
{
    memset(&seen, 0, sizeof seen);
    skua_task *task = spawn(map_sleepers, NULL);
    await(&seen.started, 10);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    CHECK_INT(seen.cancelled, 10);
    skua_map_opts opts = {.deadline = skua_after(SKUA_MS(5)), .limit = 3};
    CHECK_INT(map_sleepers(&opts), -ETIMEDOUT);
    CHECK_INT(seen.cancelled, 13);
    opts = (skua_map_opts){.deadline = skua_after(SKUA_MS(5)), .batch = 5, .pause_ns = SKUA_SEC(9)};
    char items[10];
    CHECK_INT(skua_map(return_zero, items, 1, 10, &opts), -ETIMEDOUT); /* in the pause */
    return 0;
}

/* covers: D39 */
static void cancels_and_deadlines_reach_the_items(void **state)
{
    run_virtually_on_1_2_4(cancel_body);
}

static int invalid_body(void *arg)
{
    char items[3];
    const skua_map_opts policy = {.policy = SKUA_JOIN_SET}, each = {.each_ns = -1},
                        pause = {.pause_ns = -1};
    CHECK_INT(skua_map(NULL, items, 1, 3, NULL), -EINVAL);
    CHECK_INT(skua_map(never_called, items, 1, 3, &policy), -EINVAL);
    CHECK_INT(skua_map(never_called, items, 1, 3, &each), -EINVAL);
    CHECK_INT(skua_map(never_called, items, 1, 3, &pause), -EINVAL);
    CHECK_INT(skua_map(never_called, NULL, 0, 0, NULL), 0);
    return 0;
}

/* covers: D67 */
static void invalid_maps_are_refused(void **state)
{
    CHECK_INT(skua_map(never_called, NULL, 0, 3, NULL), -EPERM);
    run_on(1, invalid_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_item_is_run_once),
        TEST(the_limit_holds),
        TEST(without_a_limit_all_are_in_flight),
        TEST(batches_have_pauses_between_them),
        TEST(late_items_have_no_value),
        TEST(the_first_failure_cancels_the_rest),
        TEST(collect_runs_all_and_keeps_what_they_say),
        TEST(any_success_ends_it),
        TEST(cancels_and_deadlines_reach_the_items),
        TEST(invalid_maps_are_refused),
    };
    return TEST_RUN(tests);
}
