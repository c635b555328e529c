/* Loops, reductions and scans: results, blocking, cancels. The sorts, and sets of children, have
   suites of their own. */
#include "tasks.h"

#include <skua/chan.h>
#include <skua/meet.h>
#include <skua/par.h>
#include <string.h>

enum { MANY_WORKERS = TEST_SCALE > 1 ? 16 : 32 };

static void run_on_all(skua_fn fn)
{
    run_on_1_2_4(fn);
    run_on(MANY_WORKERS, fn);
}

/* Also on this thread, which is not of a runtime, and with every child on a stack of its own. */
static void run_everywhere(skua_fn fn)
{
    run_on_all(fn);
    CHECK_INT(fn(NULL), 0);
    setenv("SKUA_FORKS", "always", 1);
    run_on_1_2_4(fn);
    unsetenv("SKUA_FORKS");
}

/* --- loops ------------------------------------------------------------------------------------ */

typedef struct marks {
    _Atomic unsigned char *seen;
    size_t origin, grain, end;
    gate pieces;
} marks;

static int mark(void *context, size_t begin, size_t end)
{
    marks *all = context;
    CHECK(begin < end && end <= all->end);
    if (all->grain > 0) {
        CHECK(end - begin == all->grain || end == all->end);
        CHECK_INT((begin - all->origin) % all->grain, 0);
    }
    for (size_t i = begin; i < end; i++) {
        atomic_fetch_add(&all->seen[i - all->origin], 1);
    }
    atomic_fetch_add(&all->pieces, 1);
    return 0;
}

static void check_loop(size_t begin, size_t count, size_t grain)
{
    marks all = {calloc(count + 1, 1), begin, grain, begin + count, 0};
    CHECK_INT(skua_for(begin, begin + count, grain, mark, &all), 0);
    for (size_t i = 0; i < count; i++) {
        CHECK_INT(atomic_load(&all.seen[i]), 1);
    }
    if (grain > 0) {
        CHECK_INT(atomic_load(&all.pieces), count > 0 ? (count - 1) / grain + 1 : 0);
    }
    free((void *)all.seen);
}

static int each_index_body(void *arg)
{
    static const size_t counts[] = {
        0, 1, 2, 3, 7, 100, 1023 / TEST_SCALE, 5000 / TEST_SCALE / TEST_SCALE};
    static const size_t grains[] = {0, 1, 2, 3, 7, 64, 100000, SIZE_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (size_t j = 0; j < sizeof grains / sizeof grains[0]; j++) {
            check_loop(0, counts[i], grains[j]);
            check_loop(SIZE_MAX - 1 - counts[i], counts[i], grains[j]);
        }
    }
    return 0;
}

/* covers: A71 */
static void a_loop_calls_each_index_once(void **state)
{
    run_everywhere(each_index_body);
}

static int never(void *context, size_t begin, size_t end)
{
    test_fail(__FILE__, __LINE__, "called for %zu..%zu", begin, end);
}

static int fail_at(void *context, size_t begin, size_t end)
{
    const size_t *bad = context;
    return begin <= *bad && *bad < end ? -EIO : 1;
}

static int failing_loops_body(void *arg)
{
    CHECK_INT(skua_for(5, 5, 0, never, NULL), 0);
    CHECK_INT(skua_for(6, 5, 1, never, NULL), 0);
    size_t bad = 0;
    CHECK_INT(skua_for(0, SIZE_MAX - 1, 0, fail_at, &bad), -EIO);
    CHECK_INT(skua_for(0, SIZE_MAX - 1, SIZE_MAX / 2, fail_at, &bad), -EIO);
    CHECK_INT(skua_for(0, SIZE_MAX, SIZE_MAX, fail_at, &bad), -EIO);
    for (bad = 0; bad < 300; bad += 13) {
        CHECK_INT(skua_for(0, 300, bad % 5, fail_at, &bad), -EIO);
        CHECK_INT(skua_for(301, 301 + 700 / TEST_SCALE, bad % 5, fail_at, &bad), 0);
    }
    return 0;
}

static void the_failure_of_a_piece_ends_the_loop(void **state)
{
    run_everywhere(failing_loops_body);
}

static int fail_first(void *context, size_t begin, size_t end)
{
    atomic_fetch_add((gate *)context, 1);
    return begin == 0 ? -EIO : skua_yield();
}

/* Who fails may be kept from saying so until the others are through: one run of many shows it. */
static int stops_body(void *arg)
{
    enum { PIECES = 1000000 / TEST_SCALE / TEST_SCALE };
    gate calls = PIECES;
    for (int run = 0; run < 20 && atomic_load(&calls) >= PIECES / 10; run++) {
        atomic_store(&calls, 0);
        CHECK_INT(skua_for(0, PIECES, 1, fail_first, &calls), -EIO);
    }
    CHECK(atomic_load(&calls) < PIECES / 10);
    return 0;
}

static void after_a_failure_no_more_is_begun(void **state)
{
    run_on_1_2_4(stops_body);
}

/* Pieces that wait for all others to wait: one after the other they would do so for ever. */
typedef struct crowd {
    gate inside;
    skua_latch all;
} crowd;

enum { PIECES = 500 / TEST_SCALE };

static int wait_for_all(void *context, size_t begin, size_t end)
{
    crowd *all = context;
    CHECK_INT(end - begin, 1);
    atomic_fetch_add(&all->inside, 1);
    skua_latch_count_down(&all->all, 1);
    return skua_latch_wait(&all->all, SKUA_FOREVER);
}

static int sleep_each(void *context, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++) {
        CHECK_INT(skua_sleep(skua_after(SKUA_US(200))), 0);
    }
    atomic_fetch_add((gate *)context, (int)(end - begin));
    return 0;
}

static int blocking_body(void *arg)
{
    crowd all = {.inside = 0};
    gate done = 0;
    skua_latch_init(&all.all, PIECES);
    CHECK_INT(skua_for(0, PIECES, 1, wait_for_all, &all), 0);
    CHECK_INT(atomic_load(&all.inside), PIECES);
    CHECK_INT(skua_for(0, 100, 0, sleep_each, &done), 0);
    CHECK_INT(atomic_load(&done), 100);
    return 0;
}

static void pieces_that_block_wait_at_the_same_time(void **state)
{
    run_on_all(blocking_body);
}

typedef struct ring {
    skua_chan *chans[40];
    bool upwards;
} ring;

/* Piece i needs a message of its neighbour, except for the one at the start. */
static int pass_on(void *context, size_t begin, size_t end)
{
    ring *all = context;
    const size_t last = sizeof all->chans / sizeof all->chans[0] - 1;
    const size_t at = begin, first = all->upwards ? 0 : last;
    int token = 1;
    if (at != first) {
        CHECK_INT(skua_chan_recv(all->chans[at], SKUA_ITEM(token), SKUA_FOREVER), 1);
    }
    if (at != last - first) {
        skua_chan *next = all->chans[all->upwards ? at + 1 : at - 1];
        CHECK_INT(skua_chan_send(next, SKUA_ITEM(token), SKUA_FOREVER), 0);
    }
    return token - 1;
}

static int ring_body(void *arg)
{
    ring all;
    for (int round = 0; round < 20 / TEST_SCALE; round++) {
        all.upwards = round % 2 == 0;
        for (size_t i = 0; i < 40; i++) {
            CHECK_INT(skua_chan_create(&all.chans[i], sizeof(int), 0), 0);
        }
        CHECK_INT(skua_for(0, 40, 1, pass_on, &all), 0);
        for (size_t i = 0; i < 40; i++) {
            skua_chan_release(all.chans[i], SKUA_SENDER | SKUA_RECEIVER);
        }
    }
    return 0;
}

static void single_pieces_may_wait_for_each_other(void **state)
{
    run_on_all(ring_body);
}

enum { SIDE = 100 / TEST_SCALE };

typedef struct matrix {
    size_t row;
    _Atomic unsigned char (*cells)[SIDE];
} matrix;

static int visit_row(void *context, size_t begin, size_t end)
{
    matrix *row = context;
    for (size_t i = begin; i < end; i++) {
        atomic_fetch_add(&row->cells[row->row][i], 1);
    }
    return begin % 17 == 3 ? skua_yield() : 0;
}

static int visit_rows(void *context, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++) {
        matrix row = {i, context};
        CHECK_INT(skua_for(0, SIDE, i % 4, visit_row, &row), 0);
    }
    return 0;
}

static int nested_body(void *arg)
{
    _Atomic unsigned char(*cells)[SIDE] = calloc(SIDE, sizeof *cells);
    CHECK_INT(skua_for(0, SIDE, 0, visit_rows, cells), 0);
    for (int i = 0; i < SIDE * SIDE; i++) {
        CHECK_INT(atomic_load(&cells[i / SIDE][i % SIDE]), 1);
    }
    free((void *)cells);
    return 0;
}

static void loops_may_be_nested(void **state)
{
    run_everywhere(nested_body);
}

/* Both workers must take part in a loop that only computes. */
static int meet(void *context, size_t begin, size_t end)
{
    gate *threads = context;
    static _Thread_local bool was_here;
    if (!was_here) {
        was_here = true;
        atomic_fetch_add(threads, 1);
    }
    compute_for(SKUA_US(50));
    return atomic_load(threads) >= 2 ? -EALREADY : 0;
}

static int help_body(void *arg)
{
    gate threads = 0;
    CHECK_INT(skua_for(0, 1000000, 0, meet, &threads), -EALREADY);
    return 0;
}

/* covers: A71 */
static void idle_workers_take_part(void **state)
{
    run_on(2, help_body);
}

/* --- cancels and deadlines -------------------------------------------------------------------- */

static int compute(void *context, size_t begin, size_t end)
{
    compute_for(SKUA_US(20));
    return 0;
}

static int endless_loop(void *arg)
{
    return skua_for(0, SIZE_MAX - 1, *(size_t *)arg, compute, NULL);
}

static int loop_cancel_body(void *arg)
{
    for (size_t grain = 0; grain < 2; grain++) {
        CHECK_INT(skua_within(skua_after(SKUA_MS(5)), endless_loop, &grain), -ETIMEDOUT);
        skua_task *task = spawn(endless_loop, &grain);
        CHECK_INT(skua_sleep(skua_after(SKUA_MS(2))), 0);
        skua_task_cancel(task);
        CHECK_INT(finish(task), -ECANCELED);
    }
    return 0;
}

static void a_cancel_or_deadline_ends_a_loop_that_computes(void **state)
{
    run_on_all(loop_cancel_body);
}

static int sleep_long(void *context, size_t begin, size_t end)
{
    return skua_sleep(skua_after(SKUA_SEC(1000)));
}

static int sleeping_loop(void *arg)
{
    return skua_for(0, 100, 1, sleep_long, NULL);
}

static int sleeping_loop_body(void *arg)
{
    CHECK_INT(skua_within(skua_after(SKUA_MS(5)), sleeping_loop, NULL), -ETIMEDOUT);
    return 0;
}

static void a_deadline_ends_a_loop_that_waits(void **state)
{
    run_on_all(sleeping_loop_body);
}

/* --- reductions ------------------------------------------------------------------------------- */

/* A value that shows the order: the numbers that were added, first and last; wrong once two
   neighbours do not fit. */
typedef struct span {
    size_t first, next;
    bool is_any, is_wrong;
    char ballast[200];
} span;

static int fold_span(void *context, size_t begin, size_t end, void *value)
{
    span *one = value;
    CHECK(!one->is_any);
    *one = (span){.first = begin, .next = end, .is_any = true};
    return 0;
}

static int combine_spans(void *context, void *into, const void *from)
{
    span *left = into;
    const span *right = from;
    left->is_wrong |=
        right->is_wrong || !left->is_any || !right->is_any || left->next != right->first;
    left->next = right->next;
    return 0;
}

static int order_body(void *arg)
{
    static const size_t counts[] = {
        1, 2, 3, 10, 511, 512, 513, 10000 / TEST_SCALE, SIZE_MAX - 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (size_t grain = 0; grain < (counts[i] > 10000 ? 1 : 30); grain += 7) {
            span all = {0};
            const skua_reduce_opts opts = {sizeof all, grain, combine_spans};
            CHECK_INT(skua_reduce(counts[i], fold_span, NULL, &all, &opts), 0);
            CHECK(all.is_any && !all.is_wrong && all.first == 0 && all.next == counts[i]);
        }
    }
    return 0;
}

static void a_reduction_keeps_the_order(void **state)
{
    run_everywhere(order_body);
}

static int add_inverses(void *context, size_t begin, size_t end, void *value)
{
    double sum = *(double *)value;
    for (size_t i = begin; i < end; i++) {
        sum += (i % 3 == 1 ? -1e10 : 1e10) / (double)(i + 1);
    }
    *(double *)value = sum;
    return 0;
}

static int add_doubles(void *context, void *into, const void *from)
{
    *(double *)into += *(const double *)from;
    return 0;
}

static int same_sum_body(void *arg)
{
    static double first;
    const skua_reduce_opts opts = {sizeof(double), 0, add_doubles};
    for (int i = 0; i < 10; i++) {
        double sum = 0;
        CHECK_INT(skua_reduce(100000 / TEST_SCALE, add_inverses, NULL, &sum, &opts), 0);
        first = first == 0 ? sum : first;
        CHECK(memcmp(&sum, &first, sizeof sum) == 0);
    }
    return 0;
}

static void a_sum_is_the_same_on_any_number_of_workers(void **state)
{
    run_everywhere(same_sum_body);
}

static int fold_badly(void *context, size_t begin, size_t end, void *value)
{
    return begin > 50 ? -EIO : 0;
}

static int combine_badly(void *context, void *into, const void *from)
{
    return -EPIPE;
}

static int count_on(void *context, size_t begin, size_t end, void *value)
{
    *(size_t *)value += end - begin;
    compute_for(SKUA_US(20));
    return skua_yield() == 0 ? 0 : -ECANCELED;
}

static int endless_reduction(void *arg)
{
    size_t value = 0;
    const skua_reduce_opts opts = {sizeof value, 1, add_doubles};
    return skua_reduce(SIZE_MAX, count_on, NULL, &value, &opts);
}

static int bad_reductions_body(void *arg)
{
    int value = 0;
    const skua_reduce_opts good = {sizeof value, 1, add_doubles}, bad = {4, 1, combine_badly};
    const skua_reduce_opts no_size = {.combine = add_doubles}, no_combine = {.value_bytes = 4};
    CHECK_INT(skua_reduce(100, fold_badly, NULL, &value, NULL), -EINVAL);
    CHECK_INT(skua_reduce(100, fold_badly, NULL, &value, &no_size), -EINVAL);
    CHECK_INT(skua_reduce(100, fold_badly, NULL, &value, &no_combine), -EINVAL);
    CHECK_INT(skua_reduce(0, fold_badly, NULL, &value, &good), 0);
    CHECK_INT(skua_reduce(100, fold_badly, NULL, &value, &bad) < 0, 1);
    CHECK_INT(skua_reduce(50, fold_badly, NULL, &value, &bad), -EPIPE);
    CHECK_INT(skua_within(skua_after(SKUA_MS(3)), endless_reduction, NULL), -ETIMEDOUT);
    return 0;
}

static void a_reduction_fails_with_its_functions(void **state)
{
    run_on_all(bad_reductions_body);
}

/* --- scans ------------------------------------------------------------------------------------ */

/* Not commutative: x -> a x + b, modulo 2^64. */
typedef struct affine {
    uint64_t a, b;
} affine;

static int compose(void *context, void *into, const void *from)
{
    affine *first = into;
    const affine *then = from;
    *first = (affine){first->a * then->a, first->b * then->a + then->b};
    return 0;
}

static affine affine_at(size_t i)
{
    return (affine){2 * i + 3, i * i + 7};
}

static void check_scan(size_t count, size_t grain, bool has_carry, bool is_exclusive)
{
    affine *items = malloc((count + 1) * sizeof *items);
    affine carry = {5, 11}, sum = has_carry ? carry : (affine){1, 0};
    for (size_t i = 0; i < count; i++) {
        items[i] = affine_at(i);
    }
    const skua_scan_opts opts = {sizeof *items, grain, compose, has_carry ? &carry : NULL,
                                 is_exclusive};
    CHECK_INT(skua_scan(items, count, NULL, &opts), 0);
    for (size_t i = 0; i < count; i++) {
        const affine before = sum, here = affine_at(i);
        compose(NULL, &sum, &here);
        const affine want = is_exclusive ? before : sum;
        CHECK(items[i].a == want.a && items[i].b == want.b);
    }
    CHECK(!has_carry || (carry.a == sum.a && carry.b == sum.b));
    free(items);
}

static int scan_body(void *arg)
{
    static const size_t counts[] = {
        0, 1, 2, 3, 4, 5, 63, 64, 65, 66, 1000 / TEST_SCALE, 30000 / TEST_SCALE / TEST_SCALE};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (size_t grain = 0; grain < 3; grain++) {
            check_scan(counts[i], grain, false, false);
            check_scan(counts[i], grain, true, false);
            check_scan(counts[i], grain, true, true);
        }
    }
    return 0;
}

static void a_scan_combines_all_that_is_before(void **state)
{
    run_everywhere(scan_body);
}

enum { WIDE_ITEMS = 1000 / TEST_SCALE };

typedef struct wide {
    long sum;
    char ballast[400];
} wide;

static int add_wide(void *context, void *into, const void *from)
{
    gate *calls = context;
    ((wide *)into)->sum += ((const wide *)from)->sum;
    return calls != NULL && atomic_fetch_add(calls, 1) > WIDE_ITEMS / 2 ? -EIO : 0;
}

static int wide_scan_body(void *arg)
{
    enum { COUNT = WIDE_ITEMS };
    wide *items = calloc(COUNT, sizeof *items), carry = {0};
    skua_scan_opts opts = {sizeof *items, 1, add_wide, &carry, true};
    for (int i = 0; i < COUNT; i++) {
        items[i].sum = i;
    }
    CHECK_INT(skua_scan(items, COUNT, NULL, &opts), 0);
    for (long i = 0; i < COUNT; i++) {
        CHECK_INT(items[i].sum, i * (i - 1) / 2);
    }
    CHECK_INT(carry.sum, COUNT * (COUNT - 1) / 2);
    gate calls = 0;
    CHECK_INT(skua_scan(items, COUNT, &calls, &opts), -EIO);
    opts.carry = NULL;
    CHECK_INT(skua_scan(items, COUNT, NULL, &opts), -EINVAL);
    opts.combine = NULL;
    CHECK_INT(skua_scan(items, COUNT, NULL, &opts), -EINVAL);
    CHECK_INT(skua_scan(items, COUNT, NULL, NULL), -EINVAL);
    free(items);
    return 0;
}

static void a_scan_takes_items_of_any_size(void **state)
{
    run_everywhere(wide_scan_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_loop_calls_each_index_once),
        TEST(the_failure_of_a_piece_ends_the_loop),
        TEST(after_a_failure_no_more_is_begun),
        TEST(pieces_that_block_wait_at_the_same_time),
        TEST(single_pieces_may_wait_for_each_other),
        TEST(loops_may_be_nested),
        TEST(idle_workers_take_part),
        TEST(a_cancel_or_deadline_ends_a_loop_that_computes),
        TEST(a_deadline_ends_a_loop_that_waits),
        TEST(a_reduction_keeps_the_order),
        TEST(a_sum_is_the_same_on_any_number_of_workers),
        TEST(a_reduction_fails_with_its_functions),
        TEST(a_scan_combines_all_that_is_before),
        TEST(a_scan_takes_items_of_any_size),
    };
    return TEST_RUN(tests);
}
