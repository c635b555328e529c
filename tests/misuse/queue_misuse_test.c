/* Misuse of queues, permits, broadcasts, watches and one-shots must die, and say what was wrong. */
#include "../tasks.h"

#include "mem/forked.h"

#include <skua/queue.h>
#include <skua/select.h>
#include <skua/share.h>
#include <skua/testing.h>

/* The test forks; the library takes that for a fork by the user and answers nothing, so the child
   is told that it is a process of its own. */
static skua_queue *make_queue(void)
{
    const skua_queue_opts opts = {.item_bytes = sizeof(int), .capacity = 1, .name = "mine"};
    skua_queue *queue = NULL;
    CHECK_INT(skua_queue_create(&queue, &opts), 0);
    return queue;
}

static skua_queue *fresh_queue(void)
{
    skua__process_is_origin();
    return make_queue();
}

static void ignore(int status)
{
    (void)status;
}

/* --- queues --- */

static void done_without_item(void *arg)
{
    skua_queue_done(fresh_queue());
}

static void done_twice(void *arg)
{
    int value = 1;
    skua_queue *queue = fresh_queue();
    ignore(skua_queue_put(queue, SKUA_ITEM(value), SKUA_NOW));
    ignore(skua_queue_get(queue, SKUA_ITEM(value), SKUA_NOW));
    ignore(skua_queue_put(queue, SKUA_ITEM(value), SKUA_NOW));
    skua_queue_done(queue);
    skua_queue_done(queue); /* the other one was never taken */
}

/* covers: A58 D4 */
static void one_mark_too_many(void **state)
{
    test_dies(done_without_item, NULL,
              "items of queue 'mine' were marked done more often than items were taken");
    test_dies(done_twice, NULL, "marked done more often than items were taken");
}

static void put_wide(void *arg)
{
    int64_t wide = 1;
    ignore(skua_queue_put(fresh_queue(), SKUA_ITEM(wide), SKUA_NOW));
}

static void get_narrow(void *arg)
{
    char narrow;
    ignore(skua_queue_get(fresh_queue(), SKUA_ITEM(narrow), SKUA_NOW));
}

static void select_wide(void *arg)
{
    int64_t wide;
    skua_case cases[] = {SKUA_GET(fresh_queue(), wide)};
    ignore(skua_select(cases, 1, 0, SKUA_NOW));
}

static void wrong_size(void **state)
{
    test_dies(put_wide, NULL, "an item of 8 bytes at queue 'mine' of items of 4 bytes");
    test_dies(get_narrow, NULL, "an item of 1 bytes at queue 'mine' of items of 4 bytes");
    test_dies(select_wide, NULL, "an item of 8 bytes at queue 'mine' of items of 4 bytes");
}

static int get_for_ever(void *arg)
{
    int value;
    return skua_queue_get(arg, SKUA_ITEM(value), SKUA_FOREVER);
}

static int destroy_under_getter(void *arg)
{
    skua_queue *queue = make_queue();
    skua_queue_statistics now = {0};
    ignore(skua_spawn(NULL, get_for_ever, queue, NULL));
    while (now.getters == 0) {
        skua_yield();
        skua_queue_stats(queue, &now);
    }
    skua_queue_destroy(queue);
    return 0;
}

static void run_it(void *arg)
{
    const skua_test_opts opts = {.allow_leaks = true, .timeout_ns = -1};
    skua__process_is_origin();
    ignore(skua_test_run(&opts, *(skua_fn *)arg, NULL));
}

static void destroyed_in_use(void **state)
{
    skua_fn fn = destroy_under_getter;
    test_dies(run_it, &fn, "queue 'mine' is destroyed while somebody waits on it");
}

/* --- permits --- */

static skua_chan *fresh_chan(void)
{
    skua_chan *chan = NULL;
    skua__process_is_origin();
    CHECK_INT(skua_chan_create(&chan, sizeof(int), 2), 0);
    return chan;
}

static void commit_twice(void *arg)
{
    int value = 1;
    skua_permit permit;
    ignore(skua_chan_reserve(fresh_chan(), &permit, SKUA_NOW));
    ignore(skua_chan_commit(&permit, SKUA_ITEM(value)));
    ignore(skua_chan_commit(&permit, SKUA_ITEM(value)));
}

static void commit_a_copy(void *arg)
{
    int value = 1;
    skua_permit permit, copy;
    ignore(skua_chan_reserve(fresh_chan(), &permit, SKUA_NOW));
    copy = permit;
    ignore(skua_chan_commit(&permit, SKUA_ITEM(value)));
    skua_chan_abort(&copy);
}

static void commit_wide(void *arg)
{
    int64_t wide = 1;
    skua_permit permit;
    ignore(skua_chan_reserve(fresh_chan(), &permit, SKUA_NOW));
    ignore(skua_chan_commit(&permit, SKUA_ITEM(wide)));
}

static void bad_permits(void **state)
{
    test_dies(commit_twice, NULL, "a permit of a channel was used twice");
    test_dies(commit_a_copy, NULL, "a permit of a channel was used twice");
    test_dies(commit_wide, NULL, "an item of 8 bytes at a channel of items of 4 bytes");
}

/* --- sharing --- */

static void tell_wide(void *arg)
{
    int64_t wide = 1;
    skua_broadcast *broadcast = NULL;
    skua__process_is_origin();
    ignore(skua_broadcast_create(&broadcast, sizeof(int), 1));
    ignore(skua_broadcast_send(broadcast, SKUA_ITEM(wide)));
}

static void set_wide(void *arg)
{
    int64_t wide = 1;
    int value = 1;
    skua_watch *watch = NULL;
    skua__process_is_origin();
    ignore(skua_watch_create(&watch, SKUA_ITEM(value)));
    ignore(skua_watch_set(watch, SKUA_ITEM(wide)));
}

static void answer_wide(void *arg)
{
    int64_t wide = 1;
    skua_oneshot *oneshot = NULL;
    skua__process_is_origin();
    ignore(skua_oneshot_create(&oneshot, sizeof(int)));
    ignore(skua_oneshot_send(oneshot, SKUA_ITEM(wide)));
}

static void answer_twice(void *arg)
{
    int value = 1;
    skua_oneshot *oneshot = NULL;
    skua__process_is_origin();
    ignore(skua_oneshot_create(&oneshot, sizeof(int)));
    ignore(skua_oneshot_send(oneshot, SKUA_ITEM(value)));
    ignore(skua_oneshot_send(oneshot, SKUA_ITEM(value)));
}

static void bad_sharing(void **state)
{
    test_dies(tell_wide, NULL, "an item of 8 bytes at a broadcast of items of 4 bytes");
    test_dies(set_wide, NULL, "an item of 8 bytes at a watch of items of 4 bytes");
    test_dies(answer_wide, NULL, "an item of 8 bytes at a channel of items of 4 bytes");
    test_dies(answer_twice, NULL, "a sender end of a channel was released more often");
}

static int wait_for_change(void *arg)
{
    int value;
    uint64_t version = 1;
    return skua_watch_wait(arg, &version, SKUA_ITEM(value), SKUA_FOREVER);
}

static int wait_for_news(void *arg)
{
    int value;
    return skua_subscriber_next(arg, SKUA_ITEM(value), SKUA_FOREVER);
}

static int destroy_under_watcher(void *arg)
{
    int value = 1;
    skua_watch *watch = NULL;
    ignore(skua_watch_create(&watch, SKUA_ITEM(value)));
    ignore(skua_spawn(NULL, wait_for_change, watch, NULL));
    CHECK_INT(skua_test_settle(), 0); /* it waits */
    skua_watch_destroy(watch);
    return 0;
}

static int release_under_listener(void *arg)
{
    skua_broadcast *broadcast = NULL;
    skua_subscriber *subscriber = NULL;
    ignore(skua_broadcast_create(&broadcast, sizeof(int), 1));
    ignore(skua_broadcast_subscribe(broadcast, &subscriber));
    ignore(skua_spawn(NULL, wait_for_news, subscriber, NULL));
    CHECK_INT(skua_test_settle(), 0);
    skua_subscriber_release(subscriber);
    return 0;
}

static void shared_destroyed_in_use(void **state)
{
    skua_fn fn = destroy_under_watcher;
    test_dies(run_it, &fn, "a watch is destroyed while somebody waits on it");
    fn = release_under_listener;
    test_dies(run_it, &fn, "a subscriber is released while somebody waits on it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_mark_too_many), TEST(wrong_size),  TEST(destroyed_in_use),
        TEST(bad_permits),       TEST(bad_sharing), TEST(shared_destroyed_in_use),
    };
    return TEST_RUN(tests);
}
