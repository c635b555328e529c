/* Channels under load: many to many, cancels and deadlines at any moment, closes and releases
   against everything else. What was sent with status 0 arrives exactly once, what was refused
   never. The rounds go on for SKUA_STRESS_SECONDS, shared by the tests. */
#include "../chan_help.h"

#include <sched.h>
#include <skua/scope.h>
#include <stdatomic.h>

enum { TESTS = 5 }; /* those that go by time */

static skua_time end_of_test(void)
{
    return skua_after(SKUA_SEC(1) * (int64_t)test_env("SKUA_STRESS_SECONDS", 8) / TESTS);
}

static bool is_over(skua_time end)
{
    return skua_clock().ns >= end.ns;
}

static uint32_t below(uint64_t *random, uint32_t bound)
{
    return (uint32_t)(test_random(random) % bound);
}

static uint32_t some_workers(uint64_t *random)
{
    return 1u << below(random, 3);
}

/* --- Go's TestMultiConsumer --- */

enum { CONSUMERS = 23, ITEMS = 271828 / TEST_SCALE };

typedef struct consume {
    skua_chan *queue, *results;
} consume;

static int consume_all(void *arg)
{
    const consume *self = arg;
    int value;
    while (skua_chan_recv(self->queue, SKUA_ITEM(value), SKUA_FOREVER) == 1) {
        if (value % 7 == 0) {
            (void)skua_yield(); /* stalls here and there, while others wait */
        }
        send_int(self->results, value);
    }
    skua_chan_release(self->results, SKUA_SENDER);
    return 0;
}

static int feed(void *arg)
{
    skua_chan *queue = arg;
    for (int i = 0; i < ITEMS; i++) {
        send_int(queue, i);
    }
    skua_chan_release(queue, SKUA_SENDER);
    return 0;
}

static int sum_of_all(void *arg)
{
    const size_t capacity = *(size_t *)arg;
    consume shared = {make_chan(sizeof(int), capacity), make_chan(sizeof(int), capacity)};
    skua_task *tasks[CONSUMERS + 1];
    for (int i = 0; i < CONSUMERS; i++) {
        skua_chan_retain(shared.results, SKUA_SENDER);
        tasks[i] = start(consume_all, &shared);
    }
    skua_chan_release(shared.results, SKUA_SENDER);
    tasks[CONSUMERS] = start(feed, shared.queue);
    int value, count = 0;
    int64_t sum = 0;
    while (skua_chan_recv(shared.results, SKUA_ITEM(value), SKUA_FOREVER) == 1) {
        sum += value;
        count++;
    }
    CHECK_INT(count, ITEMS);
    CHECK_INT(sum, (int64_t)ITEMS * (ITEMS - 1) / 2);
    for (int i = 0; i <= CONSUMERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    skua_chan_release(shared.queue, SKUA_RECEIVER);
    skua_chan_release(shared.results, SKUA_RECEIVER);
    return 0;
}

/* covers: D18 */
static void many_consumers(void **state)
{
    static size_t capacities[] = {0, 1, 10, 128};
    for (int i = 0; i < 4; i++) {
        run_on(4, sum_of_all, &capacities[i]);
        run_on(i % 2 ? 1 : 2, sum_of_all, &capacities[i]);
    }
}

/* --- exactly once, whatever is cancelled --- */

enum { PLAYERS = 8, TRIES = 400 };

typedef struct ledger {
    skua_chan *chan;
    bool by_cancel;
    _Atomic int working;
    _Atomic unsigned char sent[PLAYERS * TRIES], received[PLAYERS * TRIES];
    uint32_t close_after; /* yields of the closers */
} ledger;

typedef struct player {
    ledger *book;
    int index, last[PLAYERS];
    uint64_t random;
    int item, status;
} player;

static skua_time some_deadline(uint64_t *random)
{
    switch (below(random, 4)) {
    case 0:
        return SKUA_NOW;
    case 1:
        return skua_after(0);
    case 2:
        return skua_after((int64_t)below(random, 200000));
    default:
        return skua_after(SKUA_MS(2));
    }
}

static int send_item(void *arg)
{
    player *self = arg;
    skua_time deadline = below(&self->random, 2) ? SKUA_FOREVER : some_deadline(&self->random);
    return skua_chan_send(self->book->chan, SKUA_ITEM(self->item), deadline);
}

static int recv_item(void *arg)
{
    player *self = arg;
    skua_time deadline = below(&self->random, 2) ? SKUA_FOREVER : some_deadline(&self->random);
    self->item = -1;
    return skua_chan_recv(self->book->chan, SKUA_ITEM(self->item), deadline);
}

/* A call of its own task that its maker cancels a moment later, or one under a tiny scope. */
static int call_under_fire(player *self, skua_fn fn)
{
    if (!self->book->by_cancel || below(&self->random, 2) == 0) {
        skua_time deadline = skua_after((int64_t)below(&self->random, 300000));
        return skua_within(deadline, fn, self);
    }
    uint32_t yields = below(&self->random, 4);
    skua_task *task = start(fn, self);
    for (; yields > 0; yields--) {
        (void)skua_yield();
    }
    skua_task_cancel(task);
    return finish(task);
}

static int send_under_fire(void *arg)
{
    player *self = arg;
    for (int i = 0; i < TRIES; i++) {
        self->item = self->index * TRIES + i;
        int id = self->item, status = call_under_fire(self, send_item);
        CHECK(status == 0 || status == -ECANCELED || status == -ETIMEDOUT || status == -EAGAIN ||
              status == -EPIPE);
        if (status == 0) {
            atomic_fetch_add(&self->book->sent[id], 1);
        }
    }
    atomic_fetch_sub(&self->book->working, 1);
    return 0;
}

/* Counts an item that has come, and checks that those of one sender come in order. */
static void book_item(player *self)
{
    CHECK(self->item >= 0 && self->item < PLAYERS * TRIES);
    atomic_fetch_add(&self->book->received[self->item], 1);
    int *last = &self->last[self->item / TRIES];
    CHECK(self->item >= *last);
    *last = self->item + 1;
}

static int recv_under_fire(void *arg)
{
    player *self = arg;
    while (atomic_load(&self->book->working) > 0) {
        int status = call_under_fire(self, recv_item);
        CHECK(status <= 1);
        if (status == 1) {
            book_item(self);
        } else {
            CHECK_INT(self->item, -1);
        }
    }
    return 0;
}

static void check_ledger(ledger *book)
{
    int value;
    while (skua_chan_recv(book->chan, SKUA_ITEM(value), SKUA_NOW) == 1) {
        atomic_fetch_add(&book->received[value], 1);
    }
    for (int i = 0; i < PLAYERS * TRIES; i++) {
        CHECK_INT(book->received[i], book->sent[i]);
        CHECK(book->sent[i] <= 1);
    }
    free_chan(book->chan);
}

typedef struct storm {
    uint64_t random;
    bool by_cancel;
} storm;

static int cancel_storm(void *arg)
{
    static ledger book;
    static player players[PLAYERS];
    storm *self = arg;
    skua_task *tasks[PLAYERS];
    memset(&book, 0, sizeof book);
    memset(players, 0, sizeof players);
    book.chan = make_chan(sizeof(int), below(&self->random, 4));
    book.by_cancel = self->by_cancel;
    atomic_store(&book.working, PLAYERS / 2);
    for (int i = 0; i < PLAYERS; i++) {
        players[i].book = &book;
        players[i].index = i;
        players[i].random = test_random(&self->random);
        tasks[i] = start(i % 2 ? send_under_fire : recv_under_fire, &players[i]);
    }
    for (int i = 0; i < PLAYERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    check_ledger(&book);
    return 0;
}

static void run_storms(bool by_cancel)
{
    storm self = {.random = test_seed(), .by_cancel = by_cancel};
    for (skua_time end = end_of_test(); !is_over(end);) {
        run_on(some_workers(&self.random), cancel_storm, &self);
    }
}

static void deadlines_at_any_moment(void **state)
{
    run_storms(false);
}

static void cancels_at_any_moment(void **state)
{
    run_storms(true);
}

/* --- closes and releases against everything --- */

typedef struct crowd {
    ledger *book;
    int index;
} crowd;

/* Owns its end. The first failure is the last call. */
static int send_until_broken(void *arg)
{
    const crowd *self = arg;
    int status = 0;
    for (int i = 0; i < TRIES && status == 0; i++) {
        int id = self->index * TRIES + i;
        status = skua_chan_send(self->book->chan, SKUA_ITEM(id), SKUA_FOREVER);
        CHECK(status == 0 || status == -EPIPE);
        self->book->sent[id] = status == 0;
    }
    skua_chan_release(self->book->chan, SKUA_SENDER);
    return 0;
}

static int recv_until_ended(void *arg)
{
    const crowd *self = arg;
    int id, status;
    while ((status = skua_chan_recv(self->book->chan, SKUA_ITEM(id), SKUA_FOREVER)) == 1) {
        atomic_fetch_add(&self->book->received[id], 1);
    }
    CHECK_INT(status, 0);
    CHECK_INT(skua_chan_recv(self->book->chan, SKUA_ITEM(id), SKUA_FOREVER), 0);
    skua_chan_release(self->book->chan, SKUA_RECEIVER);
    return 0;
}

static void *thread_send_until_broken(void *arg)
{
    send_until_broken(arg);
    return NULL;
}

static void *thread_recv_until_ended(void *arg)
{
    recv_until_ended(arg);
    return NULL;
}

static void *close_soon(void *arg)
{
    ledger *book = arg;
    for (uint32_t i = 0; i < book->close_after; i++) {
        sched_yield();
    }
    skua_chan_close(book->chan);
    skua_chan_release(book->chan, SKUA_SENDER);
    return NULL;
}

/* Some close while tasks and threads send and receive; or nobody closes, and the last sender's
   release does. */
static int close_storm(void *arg)
{
    static ledger book;
    static crowd members[PLAYERS];
    uint64_t *random = arg;
    skua_task *tasks[PLAYERS] = {NULL};
    pthread_t threads[PLAYERS], closers[2];
    memset(&book, 0, sizeof book);
    book.chan = make_chan(sizeof(int), below(random, 4));
    book.close_after = below(random, 50);
    uint32_t closer_count = below(random, 3), foreign = (uint32_t)test_random(random);
    for (uint32_t i = 0; i < PLAYERS; i++) {
        members[i] = (crowd){&book, (int)i};
        bool sends = i % 2;
        skua_chan_retain(book.chan, sends ? SKUA_SENDER : SKUA_RECEIVER);
        if (foreign >> i & 1) {
            threads[i] = start_thread(sends ? thread_send_until_broken : thread_recv_until_ended,
                                      &members[i]);
        } else {
            tasks[i] = start(sends ? send_until_broken : recv_until_ended, &members[i]);
        }
    }
    for (uint32_t i = 0; i < closer_count; i++) {
        skua_chan_retain(book.chan, SKUA_SENDER);
        closers[i] = start_thread(close_soon, &book);
    }
    skua_chan_release(book.chan, SKUA_SENDER);
    for (uint32_t i = 0; i < PLAYERS; i++) {
        if (tasks[i] != NULL) {
            CHECK_INT(finish(tasks[i]), 0);
        } else {
            pthread_join(threads[i], NULL);
        }
    }
    for (uint32_t i = 0; i < closer_count; i++) {
        pthread_join(closers[i], NULL);
    }
    for (int i = 0; i < PLAYERS * TRIES; i++) {
        CHECK_INT(book.received[i], book.sent[i]);
    }
    check_nobody_waits(book.chan);
    skua_chan_release(book.chan, SKUA_RECEIVER);
    return 0;
}

static void closes_at_any_moment(void **state)
{
    uint64_t random = test_seed();
    for (skua_time end = end_of_test(); !is_over(end);) {
        run_on(some_workers(&random), close_storm, &random);
    }
}

/* Receivers go one after the other; the senders learn of it, and the last one out frees. */
static int recv_some(void *arg)
{
    const crowd *self = arg;
    for (int i = 0; i < self->index * 10; i++) {
        int id;
        if (skua_chan_recv(self->book->chan, SKUA_ITEM(id), SKUA_FOREVER) != 1) {
            break;
        }
    }
    skua_chan_release(self->book->chan, SKUA_RECEIVER);
    return 0;
}

static int release_storm(void *arg)
{
    static ledger book;
    static crowd members[PLAYERS];
    uint64_t *random = arg;
    for (int round = 0; round < 20; round++) {
        skua_task *tasks[PLAYERS];
        memset(&book, 0, sizeof book);
        book.chan = make_chan(sizeof(int), below(random, 3));
        for (int i = 0; i < PLAYERS; i++) {
            members[i] = (crowd){&book, i};
            skua_chan_retain(book.chan, i % 2 ? SKUA_SENDER : SKUA_RECEIVER);
            tasks[i] = start(i % 2 ? send_until_broken : recv_some, &members[i]);
        }
        skua_chan_release(book.chan, SKUA_SENDER | SKUA_RECEIVER);
        for (int i = 0; i < PLAYERS; i++) {
            CHECK_INT(finish(tasks[i]), 0);
        }
    }
    return 0;
}

static void releases_at_any_moment(void **state)
{
    uint64_t random = test_seed();
    for (skua_time end = end_of_test(); !is_over(end);) {
        run_on(some_workers(&random), release_storm, &random);
    }
}

/* --- foreign threads --- */

enum { THREADS = 8, THREAD_ITEMS = TEST_SCALE > 1 ? 4000 : 30000 };

typedef struct flood {
    skua_chan *chan;
    int index;
} flood;

static void *thread_flood(void *arg)
{
    const flood *self = arg;
    for (int i = 0; i < THREAD_ITEMS; i++) {
        int id = self->index * THREAD_ITEMS + i;
        CHECK_INT(skua_chan_send(self->chan, SKUA_ITEM(id), SKUA_FOREVER), 0);
    }
    skua_chan_release(self->chan, SKUA_SENDER);
    return NULL;
}

static _Atomic unsigned char flood_seen[THREADS * THREAD_ITEMS];

static int drain_flood(void *arg)
{
    int id, last[THREADS] = {0};
    while (skua_chan_recv(arg, SKUA_ITEM(id), SKUA_FOREVER) == 1) {
        atomic_fetch_add_explicit(&flood_seen[id], 1, memory_order_relaxed);
        CHECK(id % THREAD_ITEMS >= last[id / THREAD_ITEMS]);
        last[id / THREAD_ITEMS] = id % THREAD_ITEMS + 1;
    }
    return 0;
}

static int flood_tasks(void *arg)
{
    flood floods[THREADS];
    pthread_t threads[THREADS];
    skua_task *tasks[4];
    skua_chan *chan = make_chan(sizeof(int), *(size_t *)arg);
    memset(flood_seen, 0, sizeof flood_seen);
    for (int i = 0; i < THREADS; i++) {
        floods[i] = (flood){chan, i};
        skua_chan_retain(chan, SKUA_SENDER);
        threads[i] = start_thread(thread_flood, &floods[i]);
    }
    skua_chan_release(chan, SKUA_SENDER);
    for (int i = 0; i < 4; i++) {
        tasks[i] = start(drain_flood, chan);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < THREADS * THREAD_ITEMS; i++) {
        CHECK_INT(flood_seen[i], 1);
    }
    skua_chan_release(chan, SKUA_RECEIVER);
    return 0;
}

static void threads_flood_tasks(void **state)
{
    static size_t capacities[] = {1, 128};
    run_on(2, flood_tasks, &capacities[0]);
    run_on(4, flood_tasks, &capacities[1]);
}

/* --- the end of a runtime against a foreign thread that has just served its last task --- */

static int recv_two(void *arg)
{
    return recv_int(arg) + recv_int(arg);
}

static void *send_two(void *arg)
{
    send_int(arg, 1);
    send_int(arg, -1);
    return NULL;
}

static void *close_it(void *arg)
{
    skua_chan_close(arg);
    return NULL;
}

static int recv_end(void *arg)
{
    int value;
    return skua_chan_recv(arg, SKUA_ITEM(value), SKUA_FOREVER);
}

/* The main task ends with what it was sent, and the runtime with it, while the sender may still be
   inside of its call. The sender does not use the runtime, only the channel. */
static void runtime_ends_behind_a_sender(void **state)
{
    uint64_t random = test_seed();
    const skua_config config = {.workers = 1};
    for (skua_time end = end_of_test(); !is_over(end);) {
        skua_chan *chan = make_chan(sizeof(int), below(&random, 2));
        bool closes = below(&random, 2);
        pthread_t thread = start_thread(closes ? close_it : send_two, chan);
        CHECK_INT(skua_run(&config, closes ? recv_end : recv_two, chan), 0);
        pthread_join(thread, NULL);
        free_chan(chan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(many_consumers),
        TEST(deadlines_at_any_moment),
        TEST(cancels_at_any_moment),
        TEST(closes_at_any_moment),
        TEST(releases_at_any_moment),
        TEST(threads_flood_tasks),
        TEST(runtime_ends_behind_a_sender),
    };
    return TEST_RUN(tests);
}
