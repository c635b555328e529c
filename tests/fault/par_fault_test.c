/* Without memory: what never allocates works all the same, what does says so and has done nothing,
   and children that cannot be kept are called. */
#include "../tasks.h"

#include "base/mem.h"

#include <skua/par.h>
#include <string.h>

enum { BUDGET_MAX = 1000 };

static void allow(int64_t allocations)
{
    atomic_store(&skua__alloc_budget, allocations);
}

static int add_range(void *context, size_t begin, size_t end)
{
    atomic_fetch_add((gate *)context, (int)(end - begin));
    return begin % 50 == 0 ? skua_yield() : 0;
}

static int compare_ints(const void *left, const void *right, void *context)
{
    return *(const int *)left - *(const int *)right;
}

static void check_sorted(int *items, int count)
{
    for (int i = 0; i < count; i++) {
        CHECK_INT(items[i], i);
        items[i] = count - 1 - i;
    }
}

enum { COUNT = 5000 };

static int items[COUNT];

static int without_memory(void *arg)
{
    gate sum = 0;
    for (size_t grain = 0; grain < 3; grain++) {
        CHECK_INT(skua_for(0, 1000, grain, add_range, &sum), 0);
    }
    CHECK_INT(atomic_load(&sum), 3000);
    CHECK_INT(skua_sort(items, COUNT, sizeof items[0], compare_ints, NULL), 0);
    check_sorted(items, COUNT);
    CHECK_INT(skua_sort_stable(items, COUNT, sizeof items[0], compare_ints, NULL), -ENOMEM);
    CHECK_INT(items[0], COUNT - 1);
    return 0;
}

static int without_memory_body(void *arg)
{
    for (int i = 0; i < COUNT; i++) {
        items[i] = COUNT - 1 - i;
    }
    allow(0);
    const int status = without_memory(NULL);
    allow(-1);
    return status;
}

static void loops_and_sorts_need_no_memory(void **state)
{
    run_on(1, without_memory_body); /* with more workers, they would wait for stacks */
    CHECK_INT(without_memory_body(NULL), 0);
}

static int add_number(void *arg)
{
    atomic_fetch_add((gate *)arg, 1);
    return 0;
}

static int fail_first(void *arg)
{
    atomic_fetch_add((gate *)arg, 1);
    return -EPIPE;
}

static int fail_otherwise(void *arg)
{
    atomic_fetch_add((gate *)arg, 1);
    return -EIO;
}

static int set_body(void *arg)
{
    for (int64_t budget = 0; budget < 5; budget++) {
        for (int at = 0; at < 100; at += 11) {
            gate ran = 0;
            SKUA_FORK_SET(set);
            allow(budget);
            for (int i = 0; i < 100; i++) {
                skua_fork_set_add(&set,
                                  i < at    ? add_number
                                  : i == at ? fail_first
                                            : fail_otherwise,
                                  &ran);
            }
            CHECK_INT(skua_fork_set_sync(&set), -EPIPE);
            allow(-1);
            CHECK_INT(atomic_load(&ran), 100);
        }
    }
    return 0;
}

static void a_set_calls_the_children_that_it_cannot_keep(void **state)
{
    run_on(1, set_body);
    CHECK_INT(set_body(NULL), 0);
}

typedef struct large {
    int sum;
    char ballast[300];
} large;

static int fold_large(void *context, size_t begin, size_t end, void *value)
{
    ((large *)value)->sum += (int)(end - begin);
    return 0;
}

static int add_large(void *context, void *into, const void *from)
{
    ((large *)into)->sum += ((const large *)from)->sum;
    return 0;
}

/* Runs with 0, 1, 2... allocations until it succeeds. */
static int large_body(void *arg)
{
    large *values = calloc(100, sizeof *values);
    int failures[2] = {0, 0};
    for (int64_t budget = 0, done = 0; done < 2; budget++) {
        CHECK(budget < BUDGET_MAX);
        large sum = {0}, carry = {0};
        const skua_reduce_opts reduction = {sizeof sum, 10, add_large};
        const skua_scan_opts scan = {sizeof sum, 1, add_large, &carry, true};
        allow(budget);
        const int reduced = skua_reduce(100, fold_large, NULL, &sum, &reduction);
        allow(budget);
        const int scanned = skua_scan(values, 100, NULL, &scan);
        allow(-1);
        done = (reduced == 0) + (scanned == 0);
        CHECK_INT(reduced == 0 ? sum.sum : reduced, reduced == 0 ? 100 : -ENOMEM);
        CHECK_INT(scanned, scanned == 0 ? 0 : -ENOMEM);
        failures[0] += reduced < 0;
        failures[1] += scanned < 0;
    }
    CHECK(failures[0] > 0 && failures[1] > 0);
    free(values);
    return 0;
}

static void large_values_need_memory(void **state)
{
    run_on(1, large_body);
    CHECK_INT(large_body(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(loops_and_sorts_need_no_memory),
        TEST(a_set_calls_the_children_that_it_cannot_keep),
        TEST(large_values_need_memory),
    };
    return TEST_RUN(tests);
}
