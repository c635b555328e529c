/* Callbacks and timers without memory: the n-th allocation and all after it fail. Each call happens
   or is refused, and a refused one leaves nothing behind. */
#include "../tasks.h"

#include "base/mem.h"

#include <skua/control.h>

enum { BUDGET_MAX = 100 };

static void open_gate(void *arg)
{
    atomic_fetch_add((gate *)arg, 1);
}

static int soon(skua_runtime *runtime, gate *ran)
{
    return skua_call_soon(runtime, open_gate, ran);
}

static int later(skua_runtime *runtime, gate *ran)
{
    skua_timer *untouched = (skua_timer *)(uintptr_t)8, *timer = untouched;
    const int status = skua_call_later(&timer, runtime, SKUA_US(10), open_gate, ran);
    if (status == 0) {
        skua_timer_release(timer);
    } else {
        CHECK_PTR(timer, untouched);
    }
    return status;
}

/* With what a first use needs, and then again with what is left of that. */
static int attempt(int (*call_it)(skua_runtime *runtime, gate *ran), int64_t budget)
{
    gate ran = 0;
    skua_runtime *runtime;
    const skua_config config = {.workers = 2};
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    atomic_store(&skua__alloc_budget, budget);
    const int status = call_it(runtime, &ran);
    atomic_store(&skua__alloc_budget, -1);
    if (status == 0) {
        await(&ran, 1);
    }
    CHECK_INT(call_it(runtime, &ran), 0);
    await(&ran, status == 0 ? 2 : 1);
    CHECK_INT(skua_runtime_wait(runtime, SKUA_FOREVER), 0);
    skua_runtime_destroy(runtime);
    CHECK_INT(atomic_load(&ran), status == 0 ? 2 : 1);
    return status;
}

static void until_it_succeeds(int (*call_it)(skua_runtime *runtime, gate *ran))
{
    int failures = 0;
    for (int budget = 0; budget < BUDGET_MAX; budget++) {
        const int status = attempt(call_it, budget);
        if (status == 0) {
            CHECK(failures > 0);
            return;
        }
        CHECK_INT(status, -ENOMEM);
        failures++;
    }
    test_fail(__FILE__, __LINE__, "still fails after %d allocations", BUDGET_MAX);
}

static void a_callback_is_accepted_or_not(void **state)
{
    until_it_succeeds(soon);
}

static void a_timer_is_armed_or_not(void **state)
{
    until_it_succeeds(later);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_callback_is_accepted_or_not),
        TEST(a_timer_is_armed_or_not),
    };
    return TEST_RUN(tests);
}
