/* Channels: the contract of skua/chan.h, on one, two and four workers and from foreign threads.
   Nothing here sleeps: that somebody waits is read off the channel's queues. */
#include "chan_help.h"

#include <skua/scope.h>
#include <stdatomic.h>

/* --- making --- */

static void create_checks_sizes(void **state)
{
    skua_chan *const untouched = (skua_chan *)state, *chan = untouched;
    CHECK_INT(skua_chan_create(&chan, 65537, 1), -EINVAL);
    CHECK_INT(skua_chan_create(&chan, SIZE_MAX, 0), -EINVAL);
    CHECK_INT(skua_chan_create(&chan, 2, SIZE_MAX / 2 + 1), -EINVAL);
    CHECK_INT(skua_chan_create(&chan, 65536, SIZE_MAX / 65536), -EINVAL);
    CHECK_INT(skua_chan_create(&chan, 1, SIZE_MAX), -EINVAL);
    CHECK_INT(skua_chan_create(&chan, 1, PTRDIFF_MAX), -EINVAL);
    CHECK_PTR(chan, untouched);
    for (size_t bytes = 0; bytes <= 65536; bytes += 4096) {
        free_chan(make_chan(bytes, 3));
    }
    skua_chan_release(NULL, SKUA_SENDER | SKUA_RECEIVER);
}

static int items_of_every_size(void *arg)
{
    static const size_t sizes[] = {0, 1, 3, 4, 7, 8, 9, 16, 4097, 65536};
    static unsigned char in[65536 + 1], out[65536 + 1];
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t bytes = sizes[s];
        skua_chan *chan = make_chan(bytes, 3);
        for (int round = 0; round < 5; round++) {
            memset(in, round + 1, sizeof in);
            memset(out, 0, sizeof out);
            CHECK_INT(skua_chan_send(chan, in, bytes, SKUA_NOW), 0);
            CHECK_INT(skua_chan_recv(chan, out, bytes, SKUA_NOW), 1);
            CHECK_INT(memcmp(in, out, bytes), 0);
            CHECK_INT(out[bytes], 0);
        }
        free_chan(chan);
    }
    return 0;
}

static void sizes(void **state)
{
    CHECK_INT(items_of_every_size(NULL), 0); /* a foreign thread */
    run_on(1, items_of_every_size, NULL);
}

static void signals_of_no_bytes(void **state)
{
    skua_chan *chan = make_chan(0, SIZE_MAX);
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(skua_chan_send(chan, NULL, 0, SKUA_NOW), 0);
    }
    CHECK_INT(skua_chan_count(chan), 1000);
    skua_chan_close(chan);
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(skua_chan_recv(chan, NULL, 0, SKUA_FOREVER), 1);
    }
    CHECK_INT(skua_chan_recv(chan, NULL, 0, SKUA_FOREVER), 0);
    free_chan(chan);
}

/* --- Go's TestChan, for every capacity --- */

static void check_blocking(skua_chan *chan, int capacity)
{
    int value = 7;
    CHECK_INT(try_recv(chan, &value), -EAGAIN);
    CHECK_INT(skua_chan_recv(chan, SKUA_ITEM(value), skua_after(0)), -ETIMEDOUT);
    CHECK_INT(value, 7);
    actor receiver = {.chan = chan};
    skua_task *task = start(act_recv, &receiver);
    await_waiting(chan, SKUA_RECEIVER, 1);
    CHECK_INT(atomic_load(&receiver.is_done), 0);
    CHECK_INT(try_send(chan, 11), 0);
    CHECK_INT(finish(task), 0);
    CHECK_INT(receiver.status, 1);
    CHECK_INT(receiver.value, 11);

    for (int i = 0; i < capacity; i++) {
        CHECK_INT(try_send(chan, i), 0);
        CHECK_INT(skua_chan_count(chan), i + 1);
    }
    CHECK_INT(try_send(chan, -1), -EAGAIN);
    CHECK_INT(skua_chan_send(chan, SKUA_ITEM(value), skua_after(0)), -ETIMEDOUT);
    actor sender = {.chan = chan, .value = capacity};
    task = start(act_send, &sender);
    await_waiting(chan, SKUA_SENDER, 1);
    CHECK_INT(atomic_load(&sender.is_done), 0);
    CHECK_INT(skua_chan_count(chan), capacity);
    for (int i = 0; i <= capacity; i++) {
        CHECK_INT(recv_int(chan), i);
    }
    CHECK_INT(finish(task), 0);
    CHECK_INT(sender.status, 0);
    CHECK_INT(skua_chan_count(chan), 0);
}

typedef struct stream {
    skua_chan *chan;
    int count;
} stream;

static int send_all(void *arg)
{
    const stream *self = arg;
    for (int i = 0; i < self->count; i++) {
        send_int(self->chan, i);
    }
    return 0;
}

static void check_fifo(skua_chan *chan)
{
    stream all = {.chan = chan, .count = 100};
    skua_task *task = start(send_all, &all);
    for (int i = 0; i < all.count; i++) {
        CHECK_INT(recv_int(chan), i);
    }
    CHECK_INT(finish(task), 0);
}

static void check_close(skua_chan *chan, int capacity)
{
    for (int i = 0; i < capacity; i++) {
        send_int(chan, i);
    }
    skua_chan_close(chan);
    CHECK_INT(try_send(chan, 1), -EPIPE);
    CHECK_INT(skua_chan_count(chan), capacity);
    for (int i = 0; i < capacity; i++) {
        CHECK_INT(recv_int(chan), i);
    }
    check_ended(chan);
    skua_chan_close(chan);
    check_ended(chan);
}

static int every_capacity(void *arg)
{
    for (int capacity = 0; capacity < 200; capacity += capacity < 10 ? 1 : TEST_SCALE) {
        skua_chan *chan = make_chan(sizeof(int), (size_t)capacity);
        check_blocking(chan, capacity);
        check_fifo(chan);
        check_close(chan, capacity);
        free_chan(chan);
    }
    return 0;
}

/* covers: D16 */
static void capacities(void **state)
{
    run_all(every_capacity, NULL);
}

static int close_unblocks_receivers(void *arg)
{
    for (int capacity = 0; capacity < 3; capacity++) {
        skua_chan *chan = make_chan(sizeof(int), (size_t)capacity);
        static actor receivers[CROWD];
        skua_task *tasks[CROWD];
        for (int i = 0; i < CROWD; i++) {
            receivers[i] = (actor){.chan = chan, .value = 77};
            tasks[i] = start(act_recv, &receivers[i]);
        }
        await_waiting(chan, SKUA_RECEIVER, CROWD);
        skua_chan_close(chan);
        check_nobody_waits(chan);
        for (int i = 0; i < CROWD; i++) {
            CHECK_INT(finish(tasks[i]), 0);
            CHECK_INT(receivers[i].status, 0);
            CHECK_INT(receivers[i].value, 77);
        }
        free_chan(chan);
    }
    return 0;
}

/* covers: D12 */
static void close_ends_receivers(void **state)
{
    run_all(close_unblocks_receivers, NULL);
}

/* Who gets -EPIPE looks at once: a closed channel must not serve anybody from the queue of senders,
   though the closer may still be busy with that queue. */
static int send_then_look(void *arg)
{
    actor *self = arg;
    self->status = skua_chan_send(self->chan, SKUA_ITEM(self->value), SKUA_FOREVER);
    if (self->status == -EPIPE) {
        int item;
        self->value = try_recv(self->chan, &item);
    }
    return 0;
}

static void *thread_close(void *arg)
{
    skua_chan_close(arg);
    return NULL;
}

static int close_dismisses_senders(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 0);
    static actor senders[CROWD];
    skua_task *tasks[CROWD];
    for (int i = 0; i < CROWD; i++) {
        senders[i] = (actor){.chan = chan, .value = i};
        tasks[i] = start(send_then_look, &senders[i]);
    }
    await_waiting(chan, SKUA_SENDER, CROWD);
    pthread_t closer = start_thread(thread_close, chan);
    for (int i = 0; i < CROWD; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    pthread_join(closer, NULL);
    for (int i = 0; i < CROWD; i++) {
        CHECK_INT(senders[i].status, -EPIPE);
        CHECK_INT(senders[i].value, 0);
    }
    free_chan(chan);
    return 0;
}

/* covers: D12 */
static void close_ends_senders(void **state)
{
    for (int round = 0; round < 20 / TEST_SCALE; round++) {
        run_all(close_dismisses_senders, NULL);
    }
}

/* --- many to many --- */

enum { SENDERS = 4 };

static int four_thousand(void *arg)
{
    static const size_t capacities_[] = {0, 1, 10, 128};
    for (size_t c = 0; c < 4; c++) {
        static counter counters[SENDERS];
        skua_chan *chan = make_chan(sizeof(int), capacities_[c]);
        skua_task *tasks[2 * SENDERS];
        for (int i = 0; i < SENDERS; i++) {
            memset(&counters[i], 0, sizeof counters[i]);
            counters[i].chan = chan;
            tasks[2 * i] = start(send_thousand, chan);
            tasks[2 * i + 1] = start(count_thousand, &counters[i]);
        }
        for (int i = 0; i < 2 * SENDERS; i++) {
            CHECK_INT(finish(tasks[i]), 0);
        }
        for (int value = 0; value < EACH; value++) {
            int seen = 0;
            for (int i = 0; i < SENDERS; i++) {
                seen += counters[i].seen[value];
            }
            CHECK_INT(seen, SENDERS);
        }
        free_chan(chan);
    }
    return 0;
}

/* covers: D16 */
static void exactly_once(void **state)
{
    run_all(four_thousand, NULL);
}

typedef struct link_task {
    skua_chan *left, *right;
} link_task;

static int pass_on(void *arg)
{
    const link_task *self = arg;
    int value;
    while (skua_chan_recv(self->left, SKUA_ITEM(value), SKUA_FOREVER) == 1) {
        send_int(self->right, value);
    }
    skua_chan_close(self->right);
    return 0;
}

enum { CHAIN = 50 };

static int daisy_chain(void *arg)
{
    for (size_t capacity = 0; capacity < 3; capacity++) {
        skua_chan *chans[CHAIN + 1];
        link_task links[CHAIN];
        skua_task *tasks[CHAIN + 1];
        for (int i = 0; i <= CHAIN; i++) {
            chans[i] = make_chan(sizeof(int), capacity);
        }
        for (int i = 0; i < CHAIN; i++) {
            links[i] = (link_task){chans[i], chans[i + 1]};
            tasks[i] = start(pass_on, &links[i]);
        }
        stream all = {.chan = chans[0], .count = 200 / TEST_SCALE};
        tasks[CHAIN] = start(send_all, &all);
        for (int i = 0; i < all.count; i++) {
            CHECK_INT(recv_int(chans[CHAIN]), i);
        }
        CHECK_INT(finish(tasks[CHAIN]), 0);
        skua_chan_close(chans[0]);
        for (int i = 0; i < CHAIN; i++) {
            CHECK_INT(finish(tasks[i]), 0);
        }
        check_ended(chans[CHAIN]);
        for (int i = 0; i <= CHAIN; i++) {
            free_chan(chans[i]);
        }
    }
    return 0;
}

/* covers: D17 */
static void fifo_along_a_chain(void **state)
{
    run_all(daisy_chain, NULL);
}

/* --- waiters --- */

enum { WAITERS = 7 };

static int waiters_in_order(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 0);
    actor actors[WAITERS];
    skua_task *tasks[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        actors[i] = (actor){.chan = chan};
        tasks[i] = start(act_recv, &actors[i]);
        await_waiting(chan, SKUA_RECEIVER, (size_t)i + 1);
    }
    for (int i = 0; i < WAITERS; i++) {
        CHECK_INT(try_send(chan, i), 0);
    }
    for (int i = 0; i < WAITERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
        CHECK_INT(actors[i].status, 1);
        CHECK_INT(actors[i].value, i);
    }
    for (int i = 0; i < WAITERS; i++) {
        actors[i] = (actor){.chan = chan, .value = i};
        tasks[i] = start(act_send, &actors[i]);
        await_waiting(chan, SKUA_SENDER, (size_t)i + 1);
    }
    for (int i = 0; i < WAITERS; i++) {
        CHECK_INT(recv_int(chan), i);
    }
    for (int i = 0; i < WAITERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
        CHECK_INT(actors[i].status, 0);
    }
    free_chan(chan);
    return 0;
}

static void waiters_are_fifo(void **state)
{
    run_all(waiters_in_order, NULL);
}

/* The send has not ended while nobody receives. */
static int meet(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 0);
    actor sender = {.chan = chan, .value = 5};
    int value;
    CHECK_INT(try_send(chan, 1), -EAGAIN);
    CHECK_INT(try_recv(chan, &value), -EAGAIN);
    skua_task *task = start(act_send, &sender);
    await_waiting(chan, SKUA_SENDER, 1);
    for (int i = 0; i < 100; i++) {
        (void)skua_yield();
        CHECK_INT(atomic_load(&sender.is_done), 0);
        CHECK_INT(skua_chan_count(chan), 0);
    }
    CHECK_INT(recv_int(chan), 5);
    CHECK_INT(finish(task), 0);
    CHECK_INT(sender.status, 0);
    free_chan(chan);
    return 0;
}

/* covers: D13 */
static void rendezvous(void **state)
{
    run_all(meet, NULL);
}

static int wait_too_long(void *arg)
{
    skua_chan *empty = make_chan(sizeof(int), 1), *full = make_chan(sizeof(int), 1);
    send_int(full, 1);
    for (int ms = 0; ms < 4; ms++) {
        int value = 9;
        skua_time begin = skua_clock(), deadline = skua_time_at(begin.ns + SKUA_MS(ms));
        CHECK_INT(skua_chan_recv(empty, SKUA_ITEM(value), deadline), -ETIMEDOUT);
        CHECK(skua_elapsed_ns(begin) >= SKUA_MS(ms));
        CHECK_INT(value, 9);
        begin = skua_clock();
        deadline = skua_time_at(begin.ns + SKUA_MS(ms));
        CHECK_INT(skua_chan_send(full, SKUA_ITEM(value), deadline), -ETIMEDOUT);
        CHECK(skua_elapsed_ns(begin) >= SKUA_MS(ms));
    }
    CHECK_INT(recv_int(full), 1);
    int value;
    CHECK_INT(try_recv(full, &value), -EAGAIN);
    /* A moment that is over does not keep from what can be done at once. */
    CHECK_INT(skua_chan_send(full, SKUA_ITEM(value), skua_after(0)), 0);
    CHECK_INT(skua_chan_recv(full, SKUA_ITEM(value), skua_time_at(1)), 1);
    free_chan(empty);
    free_chan(full);
    return 0;
}

static void deadlines(void **state)
{
    CHECK_INT(wait_too_long(NULL), 0);
    run_all(wait_too_long, NULL);
}

static int cancel_waiters(void *arg)
{
    for (size_t capacity = 0; capacity < 2; capacity++) {
        skua_chan *chan = make_chan(sizeof(int), capacity);
        actor receiver = {.chan = chan, .value = 3};
        skua_task *task = start(act_recv, &receiver);
        await_waiting(chan, SKUA_RECEIVER, 1);
        skua_task_cancel(task);
        CHECK_INT(finish(task), 0);
        CHECK_INT(receiver.status, -ECANCELED);
        CHECK_INT(receiver.value, 3);
        check_nobody_waits(chan);

        for (size_t i = 0; i < capacity; i++) {
            send_int(chan, 100);
        }
        actor sender = {.chan = chan, .value = 4};
        task = start(act_send, &sender);
        await_waiting(chan, SKUA_SENDER, 1);
        skua_task_cancel(task);
        CHECK_INT(finish(task), 0);
        CHECK_INT(sender.status, -ECANCELED);
        check_nobody_waits(chan);
        CHECK_INT(skua_chan_count(chan), capacity);
        free_chan(chan);
    }
    return 0;
}

/* covers: D9 */
static void cancelled_waiters_leave(void **state)
{
    run_all(cancel_waiters, NULL);
}

/* The second of three waiters goes; the others are served in order. */
static int cancel_in_the_middle(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 0);
    actor actors[3];
    skua_task *tasks[3];
    for (int i = 0; i < 3; i++) {
        actors[i] = (actor){.chan = chan};
        tasks[i] = start(act_recv, &actors[i]);
        await_waiting(chan, SKUA_RECEIVER, (size_t)i + 1);
    }
    skua_task_cancel(tasks[1]);
    CHECK_INT(try_send(chan, 10),
              0); /* perhaps while the cancelled one still stands in the queue */
    CHECK_INT(try_send(chan, 12), 0);
    CHECK_INT(try_send(chan, 13), -EAGAIN);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(actors[0].value, 10);
    CHECK_INT(actors[1].status, -ECANCELED);
    CHECK_INT(actors[2].value, 12);
    free_chan(chan);
    return 0;
}

static void the_wake_is_passed_on(void **state)
{
    for (int i = 0; i < 50 / TEST_SCALE; i++) {
        run_all(cancel_in_the_middle, NULL);
    }
}

/* A cancelled task sends and receives nothing, also where it would not have to wait. */
static int use_while_cancelled(void *arg)
{
    skua_chan *chan = arg;
    int value = 6;
    skua_task_cancel(skua_self());
    CHECK_INT(try_send(chan, 1), -ECANCELED);
    CHECK_INT(try_recv(chan, &value), -ECANCELED);
    CHECK_INT(skua_chan_recv(chan, SKUA_ITEM(value), SKUA_FOREVER), -ECANCELED);
    CHECK_INT(value, 6);
    skua_chan_close(chan); /* these never fail */
    CHECK_INT(skua_chan_count(chan), 1);
    return 0;
}

static int scopes_(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 2);
    CHECK_INT(skua_within(skua_after(SKUA_MS(2)), recv_forever, chan), -ETIMEDOUT);
    CHECK_INT(skua_within(SKUA_NOW, recv_forever, chan), -ETIMEDOUT);
    check_nobody_waits(chan);
    send_int(chan, 1);
    CHECK_INT(skua_within(skua_after(SKUA_SEC(100)), recv_forever, chan), 1);
    send_int(chan, 1);
    CHECK_INT(finish(start(use_while_cancelled, chan)), 0);
    CHECK_INT(recv_int(chan), 1);
    check_ended(chan);
    free_chan(chan);
    return 0;
}

static void scopes_and_cancels(void **state)
{
    run_all(scopes_, NULL);
}

/* Every cancel outside of a shield ends a wait inside, since the shield's grace has begun. The wait
   begins again, as often as it takes, without needing more of the stack each time. */
static int recv_shielded(void *arg)
{
    skua_scope shield = {{0}};
    skua_shield_open(&shield, skua_after(SKUA_SEC(100)));
    int value = recv_int(arg);
    return skua_scope_close(&shield, value);
}

static int many_cancels_body(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), *(size_t *)arg);
    skua_task *task = start(recv_shielded, chan);
    for (int i = 0; i < 5000; i++) {
        await_waiting(chan, SKUA_RECEIVER, 1);
        skua_task_cancel(task);
        (void)skua_yield();
    }
    send_int(chan, 7);
    CHECK_INT(finish(task), 7);
    free_chan(chan);
    return 0;
}

static void cancels_outside_a_shield(void **state)
{
    size_t capacities[] = {0, 1};
    run_on(1, many_cancels_body, &capacities[0]);
    run_on(1, many_cancels_body, &capacities[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(create_checks_sizes),
        TEST(sizes),
        TEST(signals_of_no_bytes),
        TEST(capacities),
        TEST(close_ends_receivers),
        TEST(close_ends_senders),
        TEST(exactly_once),
        TEST(fifo_along_a_chain),
        TEST(waiters_are_fifo),
        TEST(rendezvous),
        TEST(deadlines),
        TEST(cancelled_waiters_leave),
        TEST(the_wake_is_passed_on),
        TEST(scopes_and_cancels),
        TEST(cancels_outside_a_shield),
    };
    return TEST_RUN(tests);
}
