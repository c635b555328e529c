/* Memory runs out while calls are deferred: each runs once, the sooner for it; nothing leaks (the
   address sanitizer looks). */
#include "../tasks.h"

#include "base/mem.h"

#include <skua/fork.h>

enum { CALLS = 5 };

struct calls {
    int64_t budget;
    _Atomic int runs[CALLS];
    int failed; /* to be deferred, and so called at once */
};

struct one {
    struct calls *calls;
    int number;
};

static void count(void *arg)
{
    const struct one *one = arg;
    atomic_fetch_add(&one->calls->runs[one->number], 1);
}

static int defer_all(void *arg)
{
    struct calls *calls = arg;
    struct one ones[CALLS];
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    atomic_store(&skua__alloc_budget, calls->budget);
    for (int i = 0; i < CALLS; i++) {
        ones[i] = (struct one){calls, i};
        const int status = skua_defer(count, &ones[i]);
        CHECK(status == 0 || status == -ENOMEM);
        CHECK_INT(atomic_load(&calls->runs[i]), status < 0);
        calls->failed += status < 0;
    }
    atomic_store(&skua__alloc_budget, -1);
    CHECK_INT(skua_scope_close(&scope, 0), 0);
    for (int i = 0; i < CALLS; i++) {
        CHECK_INT(atomic_load(&calls->runs[i]), 1);
    }
    return 0;
}

static void each_call_runs_once(void **state)
{
    for (int64_t budget = 0; budget <= CALLS; budget++) {
        struct calls calls = {.budget = budget};
        run_on_with(1, defer_all, &calls);
        CHECK_INT(calls.failed, CALLS - budget);
    }
}

/* A name is all that a renaming allocates; without it the task goes on under its old one. */
static int rename_at_last(void *arg)
{
    const int64_t budget = *(const int64_t *)arg;
    atomic_store(&skua__alloc_budget, budget);
    const int status = skua_rename_self("new");
    atomic_store(&skua__alloc_budget, -1);
    CHECK_INT(status, budget == 0 ? -ENOMEM : 0);
    CHECK_STR(skua_task_name(skua_self()), budget == 0 ? "old" : "new");
    return 0;
}

static int rename_body(void *arg)
{
    for (int64_t budget = 0; budget < 2; budget++) {
        const skua_spawn_opts opts = {.name = "old", .arg_bytes = sizeof budget};
        CHECK_INT(finish(spawn_with(rename_at_last, &budget, &opts)), 0);
    }
    return 0;
}

static void a_name_is_changed_or_not(void **state)
{
    run_on(1, rename_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_call_runs_once),
        TEST(a_name_is_changed_or_not),
    };
    return TEST_RUN(tests);
}
