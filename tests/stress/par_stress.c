/* Loops, reductions, sorts and sets inside each other, of random shape and size, whose functions
   block, fail and are cancelled; each index, item and child is accounted for. Goes on for
   SKUA_STRESS_SECONDS, in runtimes with 1 to 64 workers. */
#include "../tasks.h"

#include <skua/par.h>

enum { DEPTH_MAX = 3, COUNT_MAX = 300, ITEMS_MAX = 3000 };

/* One piece of work and what came of it. */
typedef struct work {
    uint64_t random;
    int depth;
    gate seen, failed; /* indices, and failures that were returned on purpose */
} work;

static uint32_t below(uint64_t *random, uint32_t bound)
{
    return (uint32_t)(test_random(random) % bound);
}

static int do_something(uint64_t random, int depth);

/* What happens at one index or in one child. */
static int happen(work *all, uint64_t seed)
{
    uint64_t random = all->random ^ seed;
    atomic_fetch_add(&all->seen, 1);
    switch (below(&random, 64)) {
    case 0:
        return skua_sleep(skua_after(SKUA_US(below(&random, 200))));
    case 1:
        return skua_yield();
    case 2:
        compute_for(SKUA_US(below(&random, 50)));
        return 0;
    case 3:
        return all->depth > 0 ? do_something(random, all->depth - 1) : 0;
    case 4:
        if (below(&random, 32) == 0) {
            atomic_fetch_add(&all->failed, 1);
            return -EIO;
        }
        return 0;
    default:
        return 0;
    }
}

/* Without a failure everything has been seen. */
static void check(work *all, int status, uint32_t count)
{
    const int seen = atomic_load(&all->seen);
    CHECK(seen <= (int)count);
    if (status == 0) {
        CHECK_INT(seen, count);
        CHECK_INT(atomic_load(&all->failed), 0);
    } else {
        CHECK(status == -EIO || status == -ECANCELED);
    }
}

static int happen_range(void *context, size_t begin, size_t end)
{
    int status = 0;
    for (size_t i = begin; i < end; i++) {
        const int one = happen(context, i * 77);
        status = status < 0 ? status : one;
    }
    return status;
}

static int do_loop(work *all)
{
    const uint32_t count = below(&all->random, COUNT_MAX);
    const uint32_t grain = below(&all->random, 8);
    const int status = skua_for(0, count, grain, happen_range, all);
    check(all, status, count);
    return status;
}

static int fold_range(void *context, size_t begin, size_t end, void *value)
{
    *(size_t *)value += end - begin;
    return happen_range(context, begin, end);
}

static int add_sizes(void *context, void *into, const void *from)
{
    *(size_t *)into += *(const size_t *)from;
    return 0;
}

static int do_reduction(work *all)
{
    const uint32_t count = below(&all->random, COUNT_MAX);
    const skua_reduce_opts opts = {sizeof(size_t), below(&all->random, 8), add_sizes};
    size_t sum = 0;
    const int status = skua_reduce(count, fold_range, all, &sum, &opts);
    check(all, status, count);
    CHECK(status < 0 || sum == count);
    return status;
}

typedef struct child {
    work *all;
    uint64_t seed;
} child;

static int happen_child(void *arg)
{
    child *one = arg;
    return happen(one->all, one->seed);
}

static int do_set(work *all)
{
    child children[COUNT_MAX / 3];
    const uint32_t count = below(&all->random, COUNT_MAX / 3);
    SKUA_FORK_SET(set);
    if (below(&all->random, 2) == 0) {
        skua_fork_set_fail_fast(&set);
    }
    for (uint32_t i = 0; i < count; i++) {
        children[i] = (child){all, i * 991};
        skua_fork_set_add(&set, happen_child, &children[i]);
    }
    const int status = skua_fork_set_sync(&set);
    check(all, status, count);
    CHECK_INT(atomic_load(&all->seen), count); /* children run whatever happens */
    return status;
}

static int compare_numbers(const void *left, const void *right, void *context)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    if (a % 1024 == 0) {
        (void)skua_yield();
    }
    return (a > b) - (a < b);
}

static int do_sort(work *all)
{
    const uint32_t count = 1 + below(&all->random, ITEMS_MAX);
    uint64_t *items = malloc(count * sizeof *items), sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        items[i] = test_random(&all->random);
        sum += items[i];
    }
    const int status = (below(&all->random, 2) == 0 ? skua_sort : skua_sort_stable)(
        items, count, sizeof *items, compare_numbers, NULL);
    CHECK(status == 0 || status == -ECANCELED);
    for (uint32_t i = 0; i < count; i++) {
        CHECK(status < 0 || i == 0 || items[i - 1] <= items[i]);
        sum -= items[i];
    }
    CHECK_INT(sum, 0);
    free(items);
    return status;
}

static int do_one(void *arg)
{
    work *all = arg;
    switch (below(&all->random, 4)) {
    case 0:
        return do_loop(all);
    case 1:
        return do_reduction(all);
    case 2:
        return do_set(all);
    default:
        return do_sort(all);
    }
}

/* Failures end here: whoever is outside has an account of its own. */
static int do_something(uint64_t random, int depth)
{
    work all = {.random = random, .depth = depth};
    int status;
    if (below(&random, 8) == 0) {
        status = skua_within(skua_after(SKUA_US(below(&random, 2000))), do_one, &all);
        CHECK(status >= 0 || status == -EIO || status == -ETIMEDOUT || status == -ECANCELED);
    } else {
        status = do_one(&all);
        CHECK(status >= 0 || status == -EIO || status == -ECANCELED);
    }
    return skua_cancelled() ? -ECANCELED : 0;
}

static int storm(void *arg)
{
    uint64_t *random = arg;
    for (int i = 0; i < 100 / TEST_SCALE; i++) {
        CHECK_INT(do_something(test_random(random), DEPTH_MAX), 0);
    }
    return 0;
}

static void everything_inside_everything(void **state)
{
    static const uint32_t workers[] = {1, 2, 3, 8, 64};
    const int64_t seconds = (int64_t)test_env("SKUA_STRESS_SECONDS", 8);
    const skua_time end = skua_after(SKUA_SEC(1) * seconds);
    uint64_t random = test_seed();
    for (unsigned round = 0; skua_clock().ns < end.ns; round++) {
        if (round % 3 == 2) {
            setenv("SKUA_FORKS", "always", 1);
        }
        run_on_with(workers[round % 5], storm, &random);
        unsetenv("SKUA_FORKS");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everything_inside_everything),
    };
    setenv("SKUA_TEST_SECONDS", "100", 0);
    return TEST_RUN(tests);
}
