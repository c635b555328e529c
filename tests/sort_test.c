/* The sorts: against each other and qsort, on inputs of every shape, with bad compare functions. */
#include "tasks.h"

#include <skua/par.h>
#include <string.h>

typedef int (*sort_fn)(void *, size_t, size_t, skua_compare_fn, void *);

static const sort_fn sorts[] = {skua_sort, skua_sort_stable};

enum { SHAPES = 10, KINDS = 2 };

static const size_t sizes[] = {1, 2, 3, 4, 8, 12, 16, 24, 64, 100, 128, 129, 500};

enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* Keys of the shape, 0..255 for items of one byte. */
static uint32_t key_at(int shape, size_t i, size_t count, uint64_t *random)
{
    switch (shape) {
    case 0:
        return (uint32_t)test_random(random);
    case 1:
        return (uint32_t)i;
    case 2:
        return (uint32_t)(count - i);
    case 3:
        return 7;
    case 4:
        return (uint32_t)(test_random(random) % 3);
    case 5:
        return (uint32_t)(i < count / 2 ? i : count - i); /* up and down */
    case 6:
        return (uint32_t)(i % 17);
    case 7:
        return (uint32_t)(i == count - 1 ? 0 : i); /* sorted but for the last */
    case 8:
        return (uint32_t)(i % 100 == 99 ? test_random(random) % count : i);
    default:
        return (uint32_t)(i * 2654435761u) >> 20;
    }
}

/* An item begins with its key, in as many bytes as there are, up to four; the next four, if there
   are, hold its index; the rest follows from both. */
static uint32_t key_of(const unsigned char *item, size_t bytes)
{
    uint32_t key = 0;
    memcpy(&key, item, bytes < 4 ? bytes : 4);
    return key;
}

static void fill(unsigned char *item, size_t bytes, uint32_t key, uint32_t index)
{
    memcpy(item, &key, bytes < 4 ? bytes : 4);
    for (size_t i = 4; i < bytes; i++) {
        item[i] =
            i < 8 ? (unsigned char)(index >> (8 * (i - 4))) : (unsigned char)(key + i + index);
    }
}

static int compare_keys(const void *left, const void *right, void *context)
{
    const uint32_t a = key_of(left, *(size_t *)context);
    const uint32_t b = key_of(right, *(size_t *)context);
    return (a > b) - (a < b);
}

static int compare_bytes(const void *left, const void *right, void *context)
{
    return memcmp(left, right, *(size_t *)context);
}

/* The same items, each as often as before. */
static void check_same_items(unsigned char *left, unsigned char *right, size_t count, size_t bytes)
{
    qsort_r(left, count, bytes, compare_bytes, &bytes);
    qsort_r(right, count, bytes, compare_bytes, &bytes);
    CHECK(memcmp(left, right, count * bytes) == 0);
}

static void check_sort(int kind, int shape, size_t count, size_t bytes)
{
    uint64_t random = test_seed() + (uint64_t)shape;
    unsigned char *items = malloc(count * bytes + 1), *copy = malloc(count * bytes + 1);
    for (size_t i = 0; i < count; i++) {
        fill(items + i * bytes, bytes, key_at(shape, i, count, &random), (uint32_t)i);
    }
    memcpy(copy, items, count * bytes);
    CHECK_INT(sorts[kind](items, count, bytes, compare_keys, &bytes), 0);
    for (size_t i = 1; i < count; i++) {
        const unsigned char *item = items + i * bytes;
        const int order = compare_keys(item - bytes, item, &bytes);
        CHECK(order <= 0);
        if (order == 0 && kind == 1 && bytes >= 8) {
            CHECK(key_of(item - bytes + 4, 4) < key_of(item + 4, 4));
        }
    }
    check_same_items(items, copy, count, bytes);
    free(items);
    free(copy);
}

static int small_body(void *arg)
{
    for (int kind = 0; kind < KINDS; kind++) {
        for (int shape = 0; shape < SHAPES; shape++) {
            for (size_t size = 0; size < SIZES; size++) {
                for (size_t count = 0; count < 400; count = 3 * count + 1) {
                    check_sort(kind, shape, count, sizes[size]);
                }
            }
        }
    }
    return 0;
}

static void items_of_any_size_and_order(void **state)
{
    run_on(2, small_body);
    CHECK_INT(small_body(NULL), 0);
}

static int large_body(void *arg)
{
    for (int kind = 0; kind < KINDS; kind++) {
        for (int shape = 0; shape < SHAPES; shape++) {
            for (size_t size = 3; size < 9; size += 1 + (size_t)kind) {
                check_sort(kind, shape, 5000 / TEST_SCALE, sizes[size]);
            }
        }
    }
    return 0;
}

static void thousands_of_items(void **state)
{
    run_on_1_2_4(large_body);
    run_on(TEST_SCALE > 1 ? 16 : 32, large_body);
}

static void every_child_on_its_own(void **state)
{
    setenv("SKUA_FORKS", "always", 1);
    run_on(1, large_body);
    run_on(4, large_body);
    unsetenv("SKUA_FORKS");
}

/* --- compare functions that contradict themselves --------------------------------------------- */

typedef struct bad_compare {
    const char *low, *high; /* where items may be */
    int mode;
    _Atomic uint64_t random;
    _Atomic long calls;
    const char *spare; /* the stable sort compares elsewhere, too */
} bad_compare;

static int compare_badly(const void *left, const void *right, void *context)
{
    bad_compare *bad = context;
    atomic_fetch_add(&bad->calls, 1);
    switch (bad->mode) {
    case 0: {
        uint64_t random = atomic_fetch_add(&bad->random, 1);
        return (int)(test_random(&random) % 3) - 1;
    }
    case 1:
        return -1;
    case 2:
        return 1;
    default: {
        const uint64_t a = *(const uint64_t *)left % 3, b = *(const uint64_t *)right % 3;
        return a == b ? 0 : (a + 1) % 3 == b ? -1 : 1; /* a circle */
    }
    }
}

/* The items stand between others that must not change; the sanitizers look outside of those. */
static void check_bad_compare(int kind, int mode, size_t count, uint64_t seed)
{
    enum { MARGIN = 64 };
    uint64_t *memory = malloc((count + 2 * MARGIN) * sizeof *memory), *items = memory + MARGIN;
    uint64_t sum = 0;
    bad_compare bad = {.mode = mode, .random = seed};
    memset(memory, 0x5a, (count + 2 * MARGIN) * sizeof *memory);
    for (size_t i = 0; i < count; i++) {
        items[i] = i * i * i;
        sum += items[i] * items[i];
    }
    CHECK_INT(sorts[kind](items, count, sizeof *items, compare_badly, &bad), 0);
    for (size_t i = 0; i < MARGIN; i++) {
        CHECK(memory[i] == UINT64_C(0x5a5a5a5a5a5a5a5a));
        CHECK(items[count + i] == UINT64_C(0x5a5a5a5a5a5a5a5a));
    }
    for (size_t i = 0; i < count; i++) {
        sum -= items[i] * items[i];
    }
    CHECK_INT(sum, 0);
    CHECK(atomic_load(&bad.calls) < 200 * (long)(count + 1));
    free(memory);
}

static int bad_body(void *arg)
{
    uint64_t seed = test_seed();
    for (int kind = 0; kind < KINDS; kind++) {
        for (int mode = 0; mode < 4; mode++) {
            for (size_t count = 2; count < 10000 / TEST_SCALE; count = count * 2 + 1) {
                check_bad_compare(kind, mode, count, test_random(&seed));
            }
        }
    }
    return 0;
}

static void a_bad_compare_function_loses_nothing(void **state)
{
    run_on_1_2_4(bad_body);
}

/* McIlroy's adversary ("A Killer Adversary for Quicksort", 1999) decides on values while it is
   asked: every pivot turns out to be a bad one. */
typedef struct adversary {
    uint32_t *values;
    uint32_t gas, solid, candidate;
    long calls;
} adversary;

static int compare_against(const void *left, const void *right, void *context)
{
    adversary *one = context;
    const uint32_t x = *(const uint32_t *)left, y = *(const uint32_t *)right;
    one->calls++;
    if (one->values[x] == one->gas && one->values[y] == one->gas) {
        one->values[x == one->candidate ? x : y] = one->solid++;
    }
    if (one->values[x] == one->gas) {
        one->candidate = x;
    } else if (one->values[y] == one->gas) {
        one->candidate = y;
    }
    return (one->values[x] > one->values[y]) - (one->values[x] < one->values[y]);
}

static int adversary_body(void *arg)
{
    enum { COUNT = 20000, LOG2 = 15 };
    uint32_t *items = calloc(COUNT, sizeof *items), *values = calloc(COUNT, sizeof *values);
    for (uint32_t i = 0; i < COUNT; i++) {
        items[i] = i;
        values[i] = COUNT - 1;
    }
    adversary one = {.values = values, .gas = COUNT - 1};
    CHECK_INT(skua_sort(items, COUNT, sizeof *items, compare_against, &one), 0);
    CHECK(one.calls < (long)COUNT * LOG2 * 8);
    free(items);
    free(values);
    return 0;
}

static void an_adversary_does_not_make_it_quadratic(void **state)
{
    run_on(1, adversary_body);
}

/* --- cancels ---------------------------------------------------------------------------------- */

typedef struct slow_sort {
    sort_fn sort;
    uint32_t *items;
    uint32_t count;
} slow_sort;

static int compare_slowly(const void *left, const void *right, void *context)
{
    const uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    compute_for(SKUA_US(2));
    return (a > b) - (a < b);
}

static int sort_slowly(void *arg)
{
    slow_sort *one = arg;
    return one->sort(one->items, one->count, sizeof *one->items, compare_slowly, NULL);
}

static int cancel_body(void *arg)
{
    enum { COUNT = 50000 };
    uint64_t random = test_seed();
    for (int i = 0; i < 2 * KINDS; i++) {
        slow_sort one = {sorts[i % 2], calloc(COUNT, sizeof(uint32_t)), COUNT};
        _Atomic unsigned char *seen = calloc(COUNT, 1);
        for (uint32_t k = 0; k < COUNT; k++) {
            one.items[k] = (uint32_t)(k * UINT64_C(7919) % COUNT);
        }
        const skua_time end = skua_after(SKUA_MS(2 + (int64_t)(test_random(&random) % 40)));
        CHECK_INT(skua_within(end, sort_slowly, &one), -ETIMEDOUT);
        for (uint32_t k = 0; k < COUNT; k++) {
            CHECK_INT(seen[one.items[k]]++, 0);
        }
        free(one.items);
        free((void *)seen);
    }
    return 0;
}

static void a_cancelled_sort_loses_nothing(void **state)
{
    run_on_1_2_4(cancel_body);
}

static int compare_and_wait(const void *left, const void *right, void *context)
{
    const uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    if (a % 64 == 0) {
        (void)skua_yield();
    }
    return (a > b) - (a < b);
}

static int waiting_body(void *arg)
{
    enum { COUNT = 5000 };
    uint32_t *items = calloc(COUNT, sizeof *items);
    for (int kind = 0; kind < KINDS; kind++) {
        for (uint32_t k = 0; k < COUNT; k++) {
            items[k] = (uint32_t)(k * UINT64_C(7919) % COUNT);
        }
        CHECK_INT(sorts[kind](items, COUNT, sizeof *items, compare_and_wait, NULL), 0);
        for (uint32_t k = 0; k < COUNT; k++) {
            CHECK_INT(items[k], k);
        }
    }
    free(items);
    return 0;
}

static void a_compare_function_may_switch(void **state)
{
    run_on_1_2_4(waiting_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(items_of_any_size_and_order),
        TEST(thousands_of_items),
        TEST(every_child_on_its_own),
        TEST(a_bad_compare_function_loses_nothing),
        TEST(an_adversary_does_not_make_it_quadratic),
        TEST(a_cancelled_sort_loses_nothing),
        TEST(a_compare_function_may_switch),
    };
    return TEST_RUN(tests);
}
