/* The program runs out of memory while jobs talk to it: the n-th allocation and all after it fail,
   for every n. A job is told so; what it was told is sent is in the channel, in order, and nothing
   else; the pool goes on. */
#include "../pool_talk_help.h"

#include "base/mem.h"

#include <stdatomic.h>

enum { ITEMS = 12, BUDGET_MAX = 40 };

/* Sends the items, those that there was no memory for again and again. */
static int insist(skua_bytes in, skua_reply *reply)
{
    static char data[5000];
    int64_t sent = 0;
    int status = 0;
    while (sent < ITEMS && (status == 0 || status == -ENOMEM)) {
        const size_t bytes = sent % 3 == 0 ? 10 : sent % 3 == 1 ? 300 : sizeof data;
        fill_item(data, bytes, (uint64_t)sent);
        status = skua_job_send(reply, 0, bytes_of(data, bytes));
        sent += status == 0;
    }
    return status < 0 ? status : skua_job_close(reply, 0);
}
SKUA_JOB(insist);

/* Receives to the end, however often there is no memory. */
static int receive_patiently(skua_bytes in, skua_reply *reply)
{
    skua_bytes item;
    int count = 0;
    int status;
    while ((status = skua_job_receive(reply, 0, &item)) == 1 || status == -ENOMEM) {
        if (status == 1 && !is_item(item.data, item.bytes, (uint64_t)count)) {
            return -EIO;
        }
        count += status == 1;
    }
    return status < 0 ? status : count;
}
SKUA_JOB(receive_patiently);

static void allow(int64_t allocations)
{
    atomic_store(&skua__alloc_budget, allocations);
}

static void receive_with(skua_pool *pool, int budget)
{
    struct talking talking = {.pool = pool, .job = &insist_job, .channels = {open_chan(2)}};
    start_talking(&talking);
    await_waiting(talking.channels[0], 1, 0); /* two are in, and the third one waits */
    allow(budget);
    for (int i = 0; i < ITEMS; i++) {
        skua_buf item;
        while (skua_chan_recv(talking.channels[0], SKUA_ITEM(item), skua_after(SKUA_MS(2))) != 1) {
            allow(-1); /* the job insists */
        }
        CHECK(is_item(item.data, item.bytes, (uint64_t)i));
        skua_buf_release(&item);
        if (i == ITEMS / 2) {
            allow(-1);
        }
    }
    CHECK_INT(end_talking(&talking), 0);
    free_chan(talking.channels[0]);
}

static void send_with(skua_pool *pool, skua_pool *other, int budget)
{
    struct talking talking = {
        .pool = pool, .job = &receive_patiently_job, .channels = {open_chan(ITEMS)}};
    skua_buf items[ITEMS];
    for (int i = 0; i < ITEMS; i++) {
        items[i] = make_item(i % 2 == 0 ? pool : other, i % 3 == 0 ? 10 : 3000, (uint64_t)i);
    }
    start_talking(&talking);
    await_waiting(talking.channels[0], 0, 1);
    allow(budget);
    for (int i = 0; i < ITEMS; i++) {
        send_item(talking.channels[0], items[i]);
        if (i == ITEMS / 2) {
            allow(-1);
        }
    }
    skua_chan_close(talking.channels[0]);
    CHECK_INT(end_talking(&talking), ITEMS);
    free_chan(talking.channels[0]);
}

static int scarce_main(void *arg)
{
    skua_pool *pool = open_pool(1, 1 << 20);
    skua_pool *other = open_pool(1, 1 << 20);
    for (int budget = 0; budget < BUDGET_MAX; budget++) {
        receive_with(pool, budget);
        send_with(pool, other, budget);
    }
    close_pool(other);
    close_pool(pool);
    return 0;
}

/* covers: A67 */
static void jobs_are_told_that_there_is_no_memory(void **state)
{
    run_on_workers(2, scarce_main);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(jobs_are_told_that_there_is_no_memory)};
    return TEST_RUN(tests);
}
