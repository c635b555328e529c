/* The items of a channel that is given to a job are buffers, or the program dies with a message. */
#include "../pool_talk_help.h"

#include "mem/forked.h"

static int send_one(skua_bytes in, skua_reply *reply)
{
    return skua_job_send(reply, 0, bytes_of("x", 1));
}
SKUA_JOB(send_one);

static int give_ints(void *arg)
{
    skua_chan *chan;
    CHECK_INT(skua_chan_create(&chan, sizeof(int), 1), 0);
    skua_pool *pool = open_pool(1, 4096);
    const skua_call_opts opts = {.channels = &chan, .channel_count = 1};
    return skua_pool_call_with(pool, &send_one_job, bytes_of(NULL, 0), &opts, NULL, FOREVER);
}

static void run_and_die(void *arg)
{
    skua__process_is_origin(); /* the fork of test_dies() is not the one that a user would make */
    const skua_config config = {.workers = 2};
    int status = skua_run(&config, give_ints, NULL);
    fprintf(stderr, "it lived, with %d\n", status);
}

static void a_channel_of_something_else(void **state)
{
    test_dies(run_and_die, NULL, "an item of 24 bytes at a channel of items of 4 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(a_channel_of_something_else)};
    return TEST_RUN(tests);
}
