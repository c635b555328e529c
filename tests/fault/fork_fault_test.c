/* Memory runs out while children are shared: they are left to their syncs, and every one runs. */
#include "../tasks.h"

#include "base/mem.h"

#include <skua/fork.h>

enum { CHILDREN = 100, BUDGETS = 12 };

static int add_one(void *arg)
{
    atomic_fetch_add((gate *)arg, 1);
    return 7;
}

/* Children before and after a suspension, which shares those that are there, as far as it can. */
static int fork_and_suspend(void *arg)
{
    skua_child children[CHILDREN];
    gate sum = 0;
    for (int i = 0; i < CHILDREN; i++) {
        skua_fork(&children[i], add_one, &sum);
        if (i % 30 == 29) {
            CHECK_INT(skua_yield(), 0);
        }
    }
    for (int i = CHILDREN; i-- > 0;) {
        CHECK_INT(skua_sync(&children[i]), 7);
    }
    CHECK_INT(atomic_load(&sum), CHILDREN);
    return 0;
}

static int with_little_memory(void *arg)
{
    for (int budget = 0; budget < BUDGETS; budget++) {
        atomic_store(&skua__alloc_budget, budget);
        CHECK_INT(fork_and_suspend(NULL), 0);
        atomic_store(&skua__alloc_budget, -1);
        CHECK_INT(fork_and_suspend(NULL), 0);
    }
    return 0;
}

static void children_run_without_memory_to_share_them(void **state)
{
    for (int round = 0; round < 20; round++) {
        run_on_1_2_4(with_little_memory);
    }
}

/* The very first time: not even the fiber's deque can be made. */
static int with_none_at_first(void *arg)
{
    atomic_store(&skua__alloc_budget, 0);
    CHECK_INT(fork_and_suspend(NULL), 0);
    atomic_store(&skua__alloc_budget, -1);
    return 0;
}

static void children_run_without_any_memory(void **state)
{
    for (int round = 0; round < 20; round++) {
        run_on_1_2_4(with_none_at_first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(children_run_without_memory_to_share_them),
        TEST(children_run_without_any_memory),
    };
    return TEST_RUN(tests);
}
