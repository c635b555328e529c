/* Misuse of listeners for signals must die, and say what was wrong. */
#include "../process_help.h"

#include "mem/forked.h"

#include <skua/signal.h>
#include <skua/testing.h>

static int wait_for_one(void *arg)
{
    return skua_signal_wait(arg, NULL, SKUA_FOREVER);
}

static int close_while_waited_for(void *arg)
{
    skua_signal *listener = NULL;
    CHECK_INT(skua_signal_open(&listener, SKUA_SIGNALS(SIGUSR1)), 0);
    spawn(wait_for_one, listener);
    CHECK_INT(skua_test_settle(), 0); /* until it waits */
    skua_signal_close(listener);
    return 0;
}

/* The test forks; the child is told that it is a process of its own. */
static void run_main(void *arg)
{
    skua__process_is_origin();
    (void)!skua_test_run(NULL, close_while_waited_for, arg);
}

static void a_listener_is_not_closed_under_a_waiter(void **state)
{
    test_dies(run_main, NULL, "a listener for signals is closed while a task waits for it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(a_listener_is_not_closed_under_a_waiter)};
    return TEST_RUN(tests);
}
