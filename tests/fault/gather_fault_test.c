/* Memory runs out where many are waited for, and in caches: the n-th allocation and all after it
   fail. Each time there is an error or success, never half of one, and nothing is left behind (the
   address sanitizer looks). */
#include "../actors.h"

#include "base/mem.h"

#include <skua/gather.h>
#include <skua/retry.h>

enum { CROWD = 40, BUDGET_MAX = 20 };

static void allow(int64_t allocations)
{
    atomic_store(&skua__alloc_budget, allocations);
}

/* --- many tasks ------------------------------------------------------------------------------- */

static int gather_once(skua_task **tasks, int64_t budget)
{
    int statuses[CROWD] = {[0] = 77};
    allow(budget);
    const int status = skua_gather(tasks, CROWD, statuses, SKUA_FOREVER);
    allow(-1);
    CHECK_INT(statuses[0], status == 0 ? 0 : 77);
    return status;
}

static int wait_once(skua_task **tasks, int64_t budget)
{
    bool done[CROWD];
    allow(budget);
    const ssize_t count = skua_wait(tasks, CROWD, SKUA_ALL, done, SKUA_FOREVER);
    allow(-1);
    return count == CROWD ? 0 : (int)count;
}

static int complete_once(skua_task **tasks, int64_t budget)
{
    skua_as_completed *untouched = (skua_as_completed *)(uintptr_t)8, *completed = untouched;
    skua_task *task;
    allow(budget);
    const int status = skua_as_completed_create(&completed, tasks, CROWD);
    allow(-1);
    if (status < 0) {
        CHECK_PTR(completed, untouched);
        return status;
    }
    allow(0); /* nothing after the create needs any */
    for (int i = 0; i < CROWD; i++) {
        CHECK_INT(skua_as_completed_next(completed, &task, NULL, SKUA_FOREVER), 1);
    }
    skua_as_completed_destroy(completed);
    allow(-1);
    return 0;
}

/* How many allocations that needs. */
static int count_needed(int (*way)(skua_task **, int64_t), skua_task **tasks)
{
    int budget = 0;
    for (int status = -ENOMEM; status < 0; budget++) {
        status = way(tasks, budget);
        CHECK(status == 0 || status == -ENOMEM);
    }
    return budget - 1;
}

static int tasks_body(void *arg)
{
    static int (*const ways[])(skua_task **, int64_t) = {gather_once, wait_once, complete_once};
    static const int needed[] = {1, 1, 2};
    skua_task *tasks[CROWD];
    for (int i = 0; i < CROWD; i++) {
        tasks[i] = spawn(return_zero, NULL);
    }
    for (int i = 0; i < CROWD; i++) {
        CHECK_INT(status_of(tasks[i]), 0);
    }
    for (int way = 0; way < 3; way++) {
        /* Other threads of the runtime may use up some of the budget: a stand-in that begins. */
        int count = count_needed(ways[way], tasks);
        for (int again = 0; count > needed[way] && again < 10; again++) {
            count = count_needed(ways[way], tasks);
        }
        CHECK_INT(count, needed[way]);
    }
    allow(0); /* a few need none */
    CHECK_INT(skua_gather(tasks, 16, NULL, SKUA_FOREVER), 0);
    allow(-1);
    skua_task_release_all(tasks, CROWD);
    return 0;
}

static void waiting_for_many(void **state)
{
    run_on_1_2_4(tasks_body);
}

/* --- caches ----------------------------------------------------------------------------------- */

static int fill(const void *key, size_t key_bytes, void *value, void *arg)
{
    *(int *)value = (int)key_bytes;
    return 0;
}

static int use_cache(int64_t budget)
{
    skua_cache *untouched = (skua_cache *)(uintptr_t)8, *cache = untouched;
    const skua_cache_opts opts = {.fill = fill, .value_bytes = sizeof(int)};
    int value = 0;
    const int mine = 9;
    allow(budget);
    int status = skua_cache_create(&cache, &opts);
    if (status < 0) {
        allow(-1);
        CHECK_PTR(cache, untouched);
        return status;
    }
    status = skua_cache_get(cache, "key", 3, &value, sizeof value, SKUA_FOREVER);
    CHECK_INT(value, status == 0 ? 3 : 0);
    if (status == 0) {
        status = skua_cache_put(cache, "key", 3, &mine, sizeof mine);
        CHECK_INT(skua_cache_get(cache, "key", 3, &value, sizeof value, SKUA_FOREVER), 0);
        CHECK_INT(value, status == 0 ? 9 : 3); /* a put that failed has changed nothing */
    }
    skua_cache_destroy(cache);
    allow(-1);
    return status;
}

static int count_needed_by_cache(void)
{
    int budget = 0;
    for (int status = -ENOMEM; status < 0; budget++) {
        status = use_cache(budget);
        CHECK(status == 0 || status == -ENOMEM);
        CHECK(budget < BUDGET_MAX);
    }
    return budget - 1;
}

static int cache_body(void *arg)
{
    enum { NEEDED = 4 }; /* the cache, its chains, two entries */
    int count = count_needed_by_cache();
    for (int again = 0; count > NEEDED && again < 10; again++) { /* as above */
        count = count_needed_by_cache();
    }
    CHECK_INT(count, NEEDED);
    return 0;
}

static void a_cache(void **state)
{
    run_on_1_2_4(cache_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(waiting_for_many),
        TEST(a_cache),
    };
    return TEST_RUN(tests);
}
