/* Misuse of watches and caches must die, and say what was wrong. */
#include "../tasks.h"
#include "mem/forked.h"

#include <skua/gather.h>
#include <skua/retry.h>
#include <skua/testing.h>

/* The test forks; the child is told that it is a process of its own. */
static void run_main(void *fn_at)
{
    skua_fn fn = *(skua_fn *)fn_at;
    const skua_test_opts opts = {.allow_leaks = true, .timeout_ns = -1};
    skua__process_is_origin();
    (void)!skua_test_run(&opts, fn, NULL);
}

static int read_next(void *arg)
{
    skua_task *task;
    return skua_as_completed_next(arg, &task, NULL, SKUA_FOREVER);
}

static int read_twice_at_once(void *arg)
{
    skua_as_completed *completed = NULL;
    skua_task *task = spawn(sleep_forever, NULL);
    CHECK_INT(skua_as_completed_create(&completed, &task, 1), 0);
    (void)spawn(read_next, completed);
    (void)spawn(read_next, completed);
    return skua_sleep(SKUA_FOREVER);
}

/* covers: A45 */
static void two_at_one_watch(void **state)
{
    skua_fn fn = read_twice_at_once;
    test_dies(run_main, &fn, "two wait for the same ends of tasks at once");
}

static int fill(const void *key, size_t key_bytes, void *value, void *arg)
{
    return arg == NULL ? 0 : skua_sleep(SKUA_FOREVER);
}

static skua_cache *make(void *arg)
{
    skua_cache *cache = NULL;
    const skua_cache_opts opts = {.fill = fill, .arg = arg, .value_bytes = 4};
    CHECK_INT(skua_cache_create(&cache, &opts), 0);
    return cache;
}

static int get_wide(void *arg)
{
    int64_t wide;
    return skua_cache_get(make(NULL), "key", 3, &wide, sizeof wide, SKUA_FOREVER);
}

static int put_narrow(void *arg)
{
    char narrow = 'n';
    return skua_cache_put(make(NULL), "key", 3, &narrow, sizeof narrow);
}

static int get_int(void *arg)
{
    int value;
    return skua_cache_get(arg, "key", 3, &value, sizeof value, SKUA_FOREVER);
}

static int destroy_while_filling(void *arg)
{
    skua_cache *cache = make(&cache);
    (void)spawn(get_int, cache);
    CHECK_INT(skua_test_settle(), 0); /* it is filling */
    skua_cache_destroy(cache);
    return 0;
}

static void caches(void **state)
{
    skua_fn fn = get_wide;
    test_dies(run_main, &fn, "a value of 8 bytes at a cache of values of 4 bytes");
    fn = put_narrow;
    test_dies(run_main, &fn, "a value of 1 bytes at a cache of values of 4 bytes");
    fn = destroy_while_filling;
    test_dies(run_main, &fn, "a cache is destroyed while a value is being made");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_at_one_watch),
        TEST(caches),
    };
    return TEST_RUN(tests);
}
