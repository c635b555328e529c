/* Misuse of channels must die, and say what was wrong. */
#include "../chan_help.h"
#include "mem/forked.h"

#include <skua/select.h>

/* The test forks; the library takes that for a fork by the user and answers nothing, so the child
   is told that it is a process of its own. */
static skua_chan *fresh(void)
{
    skua__process_is_origin();
    return make_chan(sizeof(int), 1);
}

static void release_both_senders(void *arg)
{
    skua_chan *chan = fresh();
    skua_chan_release(chan, SKUA_SENDER);
    skua_chan_release(chan, SKUA_SENDER);
}

static void release_both_receivers(void *arg)
{
    skua_chan *chan = fresh();
    skua_chan_release(chan, SKUA_RECEIVER);
    skua_chan_release(chan, SKUA_RECEIVER);
}

/* covers: A45 */
static void over_release(void **state)
{
    test_dies(release_both_senders, NULL, "a sender end of a channel was released more often");
    test_dies(release_both_receivers, NULL, "a receiver end of a channel was released more often");
}

static void send_wide(void *arg)
{
    int64_t wide = 1;
    (void)!skua_chan_send(fresh(), SKUA_ITEM(wide), SKUA_NOW);
}

static void recv_narrow(void *arg)
{
    char narrow;
    (void)!skua_chan_recv(fresh(), SKUA_ITEM(narrow), SKUA_NOW);
}

static void select_send_wide(void *arg)
{
    int64_t wide = 1;
    skua_case cases[] = {SKUA_SEND(fresh(), wide)};
    (void)!skua_select(cases, 1, 0, SKUA_NOW);
}

static void select_recv_narrow(void *arg)
{
    char narrow;
    skua_case cases[] = {SKUA_RECV(NULL, narrow), SKUA_RECV(fresh(), narrow)};
    (void)!skua_select(cases, 2, 0, SKUA_NOW);
}

/* covers: A45 */
static void wrong_size(void **state)
{
    test_dies(send_wide, NULL, "an item of 8 bytes at a channel of items of 4 bytes");
    test_dies(recv_narrow, NULL, "an item of 1 bytes at a channel of items of 4 bytes");
    test_dies(select_send_wide, NULL, "an item of 8 bytes at a channel of items of 4 bytes");
    test_dies(select_recv_narrow, NULL, "an item of 1 bytes at a channel of items of 4 bytes");
}

static int send_wide_in_task(void *arg)
{
    int64_t wide = 1;
    return skua_chan_send(arg, SKUA_ITEM(wide), SKUA_NOW);
}

static void run_wrong_task(void *arg)
{
    skua_chan *chan = fresh();
    const skua_config config = {.workers = 1};
    (void)!skua_run(&config, send_wide_in_task, chan);
}

/* The task is named. */
/* covers: A45 */
static void says_who(void **state)
{
    test_dies(run_wrong_task, NULL, "task 'main'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(over_release), TEST(wrong_size), TEST(says_who)};
    return TEST_RUN(tests);
}
