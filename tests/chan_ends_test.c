/* The ends of channels: who holds them, foreign threads on them, and the ends of processes and
   runtimes around them. */
#include "chan_help.h"

#include <sched.h>
#include <sys/wait.h>

static void *thread_send(void *arg)
{
    act_send(arg);
    return NULL;
}

static void *thread_recv(void *arg)
{
    act_recv(arg);
    return NULL;
}

/* --- ends --- */

typedef struct end_owner {
    skua_chan *chan;
    int first, count;
} end_owner;

static int send_and_release(void *arg)
{
    const end_owner *self = arg;
    for (int i = 0; i < self->count; i++) {
        send_int(self->chan, self->first + i);
    }
    skua_chan_release(self->chan, SKUA_SENDER);
    return 0;
}

static int ten_senders(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 1);
    end_owner owners[10];
    skua_task *tasks[10];
    int seen[30] = {0}, value;
    for (int i = 0; i < 10; i++) {
        owners[i] = (end_owner){.chan = chan, .first = 3 * i, .count = 3};
        skua_chan_retain(chan, SKUA_SENDER);
        tasks[i] = start(send_and_release, &owners[i]);
    }
    skua_chan_release(chan, SKUA_SENDER);
    while (skua_chan_recv(chan, SKUA_ITEM(value), SKUA_FOREVER) == 1) {
        seen[value]++;
    }
    for (int i = 0; i < 30; i++) {
        CHECK_INT(seen[i], 1);
    }
    for (int i = 0; i < 10; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    check_ended(chan);
    skua_chan_release(chan, SKUA_RECEIVER);
    return 0;
}

/* covers: D10 B14 */
static void last_sender_closes(void **state)
{
    run_all(ten_senders, NULL);
}

static int last_receiver_goes(void *arg)
{
    for (int capacity = 0; capacity < 3; capacity++) {
        skua_chan *chan = make_chan(sizeof(int), (size_t)capacity);
        static actor senders[CROWD];
        skua_task *tasks[CROWD];
        skua_chan_retain(chan, SKUA_RECEIVER);
        for (int i = 0; i < capacity; i++) {
            send_int(chan, i);
        }
        for (int i = 0; i < CROWD; i++) {
            senders[i] = (actor){.chan = chan, .value = i};
            tasks[i] = start(act_send, &senders[i]);
        }
        await_waiting(chan, SKUA_SENDER, CROWD);
        skua_chan_release(chan, SKUA_RECEIVER);
        CHECK_INT(waiting(chan, SKUA_SENDER), CROWD); /* a clone is left (D15) */
        CHECK_INT(try_send(chan, 1), -EAGAIN);
        skua_chan_release(chan, SKUA_RECEIVER);
        check_nobody_waits(chan);
        CHECK_INT(try_send(chan, 1), -EPIPE);
        for (int i = 0; i < CROWD; i++) {
            CHECK_INT(finish(tasks[i]), 0);
            CHECK_INT(senders[i].status, -EPIPE);
        }
        CHECK_INT(try_send(chan, 1), -EPIPE);
        skua_chan_release(chan, SKUA_SENDER); /* freed with items inside: asan looks for leaks */
    }
    return 0;
}

/* covers: D12 D15 B14 */
static void last_receiver_breaks(void **state)
{
    run_all(last_receiver_goes, NULL);
}

/* Five consumers that wait share ten items; each gets at least one, since an item goes to who has
   waited longest. */
typedef struct consumer {
    skua_chan *chan;
    int count;
} consumer;

static int consume(void *arg)
{
    consumer *self = arg;
    int value;
    while (skua_chan_recv(self->chan, SKUA_ITEM(value), SKUA_FOREVER) == 1) {
        self->count++;
    }
    return 0;
}

static int share_ten(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 0);
    consumer consumers[5];
    skua_task *tasks[5];
    int sum = 0;
    for (int i = 0; i < 5; i++) {
        consumers[i] = (consumer){.chan = chan};
        tasks[i] = start(consume, &consumers[i]);
    }
    await_waiting(chan, SKUA_RECEIVER, 5);
    for (int i = 0; i < 10; i++) {
        send_int(chan, i);
    }
    skua_chan_close(chan);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(finish(tasks[i]), 0);
        CHECK(consumers[i].count >= 1);
        sum += consumers[i].count;
    }
    CHECK_INT(sum, 10);
    free_chan(chan);
    return 0;
}

/* covers: D11 */
static void consumers_that_wait_share(void **state)
{
    run_all(share_ten, NULL);
}

/* covers: D21 */
static void ends_one_by_one(void **state)
{
    int value = 0;
    skua_chan *chan = make_chan(sizeof(int), 5);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(try_send(chan, i), 0);
    }
    CHECK_INT(try_send(chan, 5), -EAGAIN); /* D21: the sixth */
    skua_chan_retain(chan, SKUA_SENDER | SKUA_RECEIVER);
    skua_chan_release(chan, SKUA_SENDER | SKUA_RECEIVER);
    skua_chan_release(chan, 0);
    skua_chan_release(chan, SKUA_SENDER);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(try_recv(chan, &value), 1);
        CHECK_INT(value, i);
    }
    check_ended(chan);
    skua_chan_release(chan, SKUA_RECEIVER);
}

/* A receiver that is made from a sender, when the last receiver is just going, is a receiver: once
   the senders are gone it is told of the end. */
typedef struct revival {
    skua_chan *chan;
    _Atomic int turn;
} revival;

static void *drop_receiver(void *arg)
{
    revival *self = arg;
    atomic_fetch_add(&self->turn, 1);
    while (atomic_load(&self->turn) < 2) {
        sched_yield();
    }
    skua_chan_release(self->chan, SKUA_RECEIVER);
    return NULL;
}

static int revive_receiver(void *arg)
{
    revival self = {.chan = make_chan(sizeof(int), 0)};
    static actor senders[CROWD];
    skua_task *tasks[CROWD];
    for (int i = 0; i < CROWD; i++) {
        senders[i] = (actor){.chan = self.chan, .value = i};
        tasks[i] = start(act_send, &senders[i]);
    }
    await_waiting(self.chan, SKUA_SENDER, CROWD);
    pthread_t thread = start_thread(drop_receiver, &self);
    atomic_fetch_add(&self.turn, 1);
    while (waiting(self.chan, SKUA_SENDER) == CROWD) {
        sched_yield();
    }
    skua_chan_retain(self.chan, SKUA_RECEIVER);
    skua_chan_release(self.chan, SKUA_SENDER);
    pthread_join(thread, NULL);
    for (int i = 0; i < CROWD; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    int value;
    CHECK_INT(skua_chan_recv(self.chan, SKUA_ITEM(value), SKUA_NOW), 0);
    skua_chan_release(self.chan, SKUA_RECEIVER);
    return 0;
}

static void receivers_from_senders(void **state)
{
    for (int i = 0; i < 20 / TEST_SCALE; i++) {
        run_on(2, revive_receiver, NULL);
    }
}

/* --- foreign threads --- */

static void thread_to_thread(void **state)
{
    for (size_t capacity = 0; capacity < 3; capacity++) {
        skua_chan *chan = make_chan(sizeof(int), capacity);
        actor receiver = {.chan = chan}, sender = {.chan = chan, .value = 8};
        pthread_t thread = start_thread(thread_recv, &receiver);
        await_waiting(chan, SKUA_RECEIVER, 1);
        send_int(chan, 4);
        pthread_join(thread, NULL);
        CHECK_INT(receiver.status, 1);
        CHECK_INT(receiver.value, 4);
        for (size_t i = 0; i < capacity; i++) {
            send_int(chan, 8);
        }
        thread = start_thread(thread_send, &sender);
        await_waiting(chan, SKUA_SENDER, 1);
        for (size_t i = 0; i <= capacity; i++) {
            CHECK_INT(recv_int(chan), 8);
        }
        pthread_join(thread, NULL);
        CHECK_INT(sender.status, 0);
        free_chan(chan);
    }
}

/* covers: D12 */
static void close_wakes_threads(void **state)
{
    skua_chan *chan = make_chan(sizeof(int), 0);
    actor actors[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        actors[i] = (actor){.chan = chan, .value = 1};
        threads[i] = start_thread(thread_recv, &actors[i]);
    }
    await_waiting(chan, SKUA_RECEIVER, 3);
    skua_chan_close(chan);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(actors[i].status, 0);
    }
    free_chan(chan);
}

static int task_closes(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 0);
    actor receiver = {.chan = chan};
    pthread_t thread = start_thread(thread_recv, &receiver);
    await_waiting(chan, SKUA_RECEIVER, 1);
    skua_chan_release(chan, SKUA_SENDER);
    pthread_join(thread, NULL);
    CHECK_INT(receiver.status, 0);
    skua_chan_release(chan, SKUA_RECEIVER);
    return 0;
}

static void task_wakes_thread(void **state)
{
    run_all(task_closes, NULL);
}

static void *thread_send_thousand(void *arg)
{
    send_thousand(arg);
    return NULL;
}

static void *thread_count_thousand(void *arg)
{
    count_thousand(arg);
    return NULL;
}

/* Two of the senders and two of the receivers are threads. */
static int mixed_ends(void *arg)
{
    static counter counters[4];
    for (size_t capacity = 0; capacity < 4; capacity++) {
        skua_chan *chan = make_chan(sizeof(int), capacity * 3);
        skua_task *tasks[4];
        pthread_t threads[4];
        memset(counters, 0, sizeof counters);
        for (int i = 0; i < 2; i++) {
            counters[i].chan = counters[i + 2].chan = chan;
            threads[i] = start_thread(thread_send_thousand, chan);
            threads[i + 2] = start_thread(thread_count_thousand, &counters[i]);
            tasks[i] = start(send_thousand, chan);
            tasks[i + 2] = start(count_thousand, &counters[i + 2]);
        }
        for (int i = 0; i < 4; i++) {
            CHECK_INT(finish(tasks[i]), 0);
            pthread_join(threads[i], NULL);
        }
        for (int value = 0; value < EACH; value++) {
            int seen = 0;
            for (int i = 0; i < 4; i++) {
                seen += counters[i].seen[value];
            }
            CHECK_INT(seen, 4);
        }
        free_chan(chan);
    }
    return 0;
}

static void tasks_and_threads(void **state)
{
    run_all(mixed_ends, NULL);
}

/* --- the edges of a process's and a runtime's life --- */

static void *hammer(void *arg)
{
    skua_chan *chan = arg;
    int value = 1;
    do {
        (void)!skua_chan_send(chan, SKUA_ITEM(value), SKUA_NOW);
    } while (skua_chan_recv(chan, SKUA_ITEM(value), SKUA_NOW) != 0);
    return NULL;
}

static int look_in_child(skua_chan *chan)
{
    int value = 0;
    skua_chan_retain(chan, SKUA_SENDER);
    skua_chan_close(chan);
    skua_chan_release(chan, SKUA_SENDER | SKUA_RECEIVER);
    return skua_chan_send(chan, SKUA_ITEM(value), SKUA_FOREVER) == -ESHUTDOWN &&
           skua_chan_send(chan, SKUA_ITEM(value), SKUA_NOW) == -ESHUTDOWN &&
           skua_chan_recv(chan, SKUA_ITEM(value), SKUA_FOREVER) == -ESHUTDOWN &&
           skua_chan_recv(chan, SKUA_ITEM(value), SKUA_NOW) == -ESHUTDOWN &&
           skua_chan_count(chan) == 0;
}

/* The fork may catch the channel locked: nothing in the child may wait for that lock. */
static void forked_child(void **state)
{
    enum { FORKS = TEST_SCALE > 1 ? 10 : 100 }; /* a sanitizer's process takes long to copy */
    skua_chan *chan = make_chan(sizeof(int), 1);
    pthread_t thread = start_thread(hammer, chan);
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(20 * TEST_SCALE);
            _exit(look_in_child(chan) ? 0 : 1);
        }
        int status;
        CHECK_INT(waitpid(child, &status, 0), child);
        CHECK_INT(status, 0);
    }
    skua_chan_close(chan);
    pthread_join(thread, NULL);
    free_chan(chan);
}

static int leave_receivers(void *arg)
{
    skua_chan *chan = arg;
    for (int i = 0; i < 50; i++) {
        skua_task_release(start(recv_forever, chan));
    }
    await_waiting(chan, SKUA_RECEIVER, 50);
    return 0;
}

static void waiting_at_the_end(void **state)
{
    skua_chan *chan = make_chan(sizeof(int), 0);
    run_all(leave_receivers, chan);
    free_chan(chan);
}

static void two_runtimes(void **state)
{
    skua_runtime *runtimes[2];
    const skua_config config = {.workers = 2};
    CHECK_INT(skua_runtime_create(&runtimes[0], &config), 0);
    CHECK_INT(skua_runtime_create(&runtimes[1], &config), 0);
    for (size_t capacity = 0; capacity < 3; capacity++) {
        static counter counters[2];
        skua_chan *chan = make_chan(sizeof(int), capacity);
        skua_task *tasks[4];
        memset(counters, 0, sizeof counters);
        for (int i = 0; i < 2; i++) {
            counters[i].chan = chan;
            CHECK_INT(skua_submit(runtimes[i], &tasks[i], send_thousand, chan, NULL), 0);
            CHECK_INT(skua_submit(runtimes[i], &tasks[2 + i], count_thousand, &counters[i], NULL),
                      0);
        }
        for (int i = 0; i < 4; i++) {
            CHECK_INT(finish(tasks[i]), 0);
        }
        for (int value = 0; value < EACH; value++) {
            CHECK_INT(counters[0].seen[value] + counters[1].seen[value], 2);
        }
        free_chan(chan);
    }
    skua_runtime_destroy(runtimes[0]);
    skua_runtime_destroy(runtimes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(last_sender_closes),     TEST(last_receiver_breaks),
        TEST(ends_one_by_one),        TEST(consumers_that_wait_share),
        TEST(receivers_from_senders), TEST(thread_to_thread),
        TEST(close_wakes_threads),    TEST(task_wakes_thread),
        TEST(tasks_and_threads),      TEST(forked_child),
        TEST(waiting_at_the_end),     TEST(two_runtimes),
    };
    return TEST_RUN(tests);
}
