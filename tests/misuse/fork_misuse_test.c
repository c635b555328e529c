/* Forks in the wrong order: each must die, saying why.

   The tasks are pinned to the only worker, and so are their children: of an unpinned one a late
   stand-in may take and end the child that is never synced, and then nobody misses it. */
#include "tasks.h"

#include "mem/forked.h"

#include <skua/fork.h>

static int wrong_order(void *arg)
{
    skua_child one, two;
    skua_fork(&one, return_zero, NULL);
    skua_fork(&two, return_zero, NULL);
    return skua_sync(&one);
}

static int wrong_order_public(void *arg)
{
    skua_child one, two;
    skua_fork(&one, return_zero, NULL);
    skua_fork(&two, return_zero, NULL);
    skua_child *first = arg != NULL ? &two : &one;
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER); /* makes them public */
    return skua_sync(first);
}

static int never_synced(void *arg)
{
    static skua_child child;
    skua_fork(&child, return_zero, NULL);
    return 0;
}

static int scope_closed_first(void *arg)
{
    skua_child child;
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_fork(&child, return_zero, NULL);
    return skua_scope_close(&scope, 0);
}

static int sleep_a_while(void *arg)
{
    return skua_sleep(skua_after(SKUA_SEC(10)));
}

static int scope_closed_over_taken(void *arg)
{
    static skua_child child;
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_fork(&child, sleep_a_while, NULL);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(1))), 0); /* the child begins */
    return skua_scope_close(&scope, 0);
}

static int never_synced_public(void *arg)
{
    static skua_child child;
    SKUA_SCOPE(scope);
    skua_fork(&child, return_zero, NULL);
    skua_scope_open(&scope, SKUA_FOREVER); /* makes it public */
    return skua_scope_close(&scope, 0);
}

static int open_scope_child(void *arg)
{
    skua_scope_open(arg, SKUA_FOREVER);
    return 0;
}

static int open_scope_body(void *arg)
{
    skua_scope scope = {{0}};
    skua_child child;
    skua_fork(&child, open_scope_child, &scope);
    (void)skua_yield();
    return skua_sync(&child);
}

static int run_pinned(void *fn)
{
    return finish(spawn_with(*(skua_fn *)fn, NULL, &(skua_spawn_opts){.pin = 1}));
}

static void run_alone(void *fn)
{
    const skua_config config = {.workers = 1};
    skua__process_is_origin(); /* the test forks */
    int status = skua_run(&config, run_pinned, fn);
    (void)status;
}

static void dies(skua_fn fn, const char *text)
{
    test_dies(run_alone, &fn, text);
}

/* covers: A45 */
static void misuse_panics(void **state)
{
    dies(wrong_order, "another order than newest first");
    dies(wrong_order_public, "another order than newest first");
    dies(never_synced, "before it synced its forked children");
    dies(scope_closed_first, "before the children that were forked in it");
    dies(scope_closed_over_taken, "before the children that were forked in it");
    dies(never_synced_public, "before it synced its forked children");
    dies(open_scope_body, "open scope");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(misuse_panics),
    };
    return TEST_RUN(tests);
}
