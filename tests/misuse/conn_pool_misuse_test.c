/* Misuse of pools of connections must die, and say what was wrong. */
#include "../tasks.h"

#include "mem/forked.h"

#include <skua/conn_pool.h>

static int thing;

static int open_thing(void **out, void *arg)
{
    *out = &thing;
    return 0;
}

static void close_thing(void *opened, void *arg)
{
    (void)opened;
}

static skua_conn_pool *fresh_pool(void)
{
    const skua_conn_pool_opts opts = {
        .open = open_thing, .close = close_thing, .open_max = 1, .name = "mine"};
    skua_conn_pool *pool = NULL;
    CHECK_INT(skua_conn_pool_create(&pool, &opts), 0);
    return pool;
}

static void *lend(skua_conn_pool *pool)
{
    void *lent = NULL;
    CHECK_INT(skua_conn_pool_acquire(pool, &lent, SKUA_FOREVER), 0);
    return lent;
}

static int release_it_twice(void *arg)
{
    skua_conn_pool *pool = fresh_pool();
    void *lent = lend(pool);
    skua_conn_pool_release(pool, lent);
    skua_conn_pool_release(pool, lent);
    return 0;
}

static int discard_a_stranger(void *arg)
{
    skua_conn_pool *pool = fresh_pool();
    (void)lend(pool);
    skua_conn_pool_discard(pool, pool);
    return 0;
}

static int destroy_it_lent(void *arg)
{
    skua_conn_pool *pool = fresh_pool();
    (void)lend(pool);
    skua_conn_pool_destroy(pool);
    return 0;
}

static int wait_for_one(void *arg)
{
    void *lent = NULL;
    return skua_conn_pool_acquire(arg, &lent, SKUA_FOREVER);
}

/* Nothing is lent, but somebody is about to open something. */
static int open_for_long(void **out, void *arg)
{
    *out = &thing;
    return skua_sleep(SKUA_FOREVER);
}

static int destroy_it_in_use(void *arg)
{
    const skua_conn_pool_opts opts = {
        .open = open_for_long, .close = close_thing, .open_max = 1, .name = "mine"};
    skua_conn_pool *pool = NULL;
    skua_conn_pool_counts now;
    CHECK_INT(skua_conn_pool_create(&pool, &opts), 0);
    skua_task_release(spawn(wait_for_one, pool));
    do {
        (void)!skua_yield();
        skua_conn_pool_count(pool, &now);
    } while (now.opening == 0);
    skua_conn_pool_destroy(pool);
    return 0;
}

static void die_in(void *fn)
{
    skua__process_is_origin();
    run_on(1, (skua_fn)(uintptr_t)fn);
}

static void expect_death(skua_fn fn, const char *text)
{
    test_dies(die_in, (void *)(uintptr_t)fn, text);
}

static void what_is_not_lent_is_not_given_back(void **state)
{
    expect_death(release_it_twice, "which is not lent");
    expect_death(discard_a_stranger, "mine: ");
}

static void a_pool_in_use_is_not_destroyed(void **state)
{
    expect_death(destroy_it_lent, "mine is destroyed while 1 of its things are lent");
    expect_death(destroy_it_in_use, "mine is destroyed while calls of it are under way");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_lent_is_not_given_back),
        TEST(a_pool_in_use_is_not_destroyed),
    };
    return TEST_RUN(tests);
}
