/* Channels, selects and permits as programs use them: ends that come at their very moment, order
   along chains, the first of many things in the order of time, and items that are moved whole or
   not at all, whatever the schedule. */
#include "schedules.h"

#include <skua/chan.h>
#include <skua/group.h>
#include <skua/queue.h>
#include <skua/select.h>
#include <skua/share.h>
#include <skua/sync.h>

static skua_chan *make(size_t capacity)
{
    skua_chan *chan = NULL;
    CHECK_INT(skua_chan_create(&chan, sizeof(int), capacity), 0);
    return chan;
}

static void free_both(skua_chan *chan)
{
    skua_chan_release(chan, SKUA_SENDER | SKUA_RECEIVER);
}

static int send(skua_chan *chan, int value, skua_time deadline)
{
    return skua_chan_send(chan, SKUA_ITEM(value), deadline);
}

static int recv(skua_chan *chan, int *value, skua_time deadline)
{
    return skua_chan_recv(chan, SKUA_ITEM(*value), deadline);
}

static skua_chan_statistics stats(skua_chan *chan)
{
    skua_chan_statistics now;
    skua_chan_stats(chan, &now);
    return now;
}

/* One call in a task, and the moment when it returned. */
typedef struct visit {
    skua_chan *chan;
    skua_time end;
    int value, status;
    skua_task *task;
} visit;

static int do_send(void *arg)
{
    visit *self = arg;
    self->status = send(self->chan, self->value, SKUA_FOREVER);
    self->end = skua_clock();
    return self->status;
}

static int do_recv(void *arg)
{
    visit *self = arg;
    self->status = recv(self->chan, &self->value, SKUA_FOREVER);
    self->end = skua_clock();
    return self->status;
}

/* Starts it, and returns when it waits. */
static void start_waiting(visit *self, skua_chan *chan, skua_fn fn, int value)
{
    *self = (visit){.chan = chan, .value = value};
    self->task = spawn(fn, self);
    settle();
}

static void check_ended_at(visit *self, int status, skua_time begin, int64_t ms)
{
    CHECK_INT(finish(self->task), status);
    CHECK_INT(self->end.ns - begin.ns, SKUA_MS(ms));
}

/* --- ends --- */

static int send_three_slowly(void *arg)
{
    visit *self = arg;
    for (int i = 0; i < 3; i++) {
        sleep_ms(self->value);
        CHECK_INT(send(self->chan, self->value, SKUA_FOREVER), 0);
    }
    skua_chan_release(self->chan, SKUA_SENDER);
    return 0;
}

/* The i-th of ten senders sends i, after every i milliseconds; the slowest one is at it till 30. */
static int ten_senders(void *arg)
{
    for (size_t capacity = 0; capacity < 3; capacity++) {
        const skua_time begin = skua_clock();
        skua_chan *chan = make(capacity);
        visit senders[10];
        int counts[11] = {0}, value;
        for (int i = 0; i < 10; i++) {
            senders[i] = (visit){.chan = chan, .value = i + 1};
            skua_chan_retain(chan, SKUA_SENDER);
            senders[i].task = spawn(send_three_slowly, &senders[i]);
        }
        skua_chan_release(chan, SKUA_SENDER);
        CHECK_INT(stats(chan).senders, 10);
        while (recv(chan, &value, SKUA_FOREVER) == 1) {
            counts[value]++;
        }
        check_ms_since(begin, 30);
        for (int i = 0; i < 10; i++) {
            CHECK_INT(counts[i + 1], 3);
            CHECK_INT(finish(senders[i].task), 0);
        }
        skua_chan_release(chan, SKUA_RECEIVER);
    }
    return 0;
}

/* covers: B14 D10 */
static void the_end_comes_with_the_last_of_ten_senders(void **state)
{
    in_all_schedules(ten_senders);
}

typedef struct consumer {
    skua_chan *chan;
    int count, sum;
    skua_task *task;
} consumer;

static int consume(void *arg)
{
    consumer *self = arg;
    int value;
    while (recv(self->chan, &value, SKUA_FOREVER) == 1) {
        self->count++;
        self->sum += value;
    }
    return 0;
}

/* An item goes to who has waited longest, not to who runs first: that holds on any number of
   workers, and with a buffer too. */
static int five_share_ten(void *arg)
{
    for (size_t capacity = 0; capacity < 20; capacity += 5) {
        skua_chan *chan = make(capacity);
        consumer consumers[5];
        int count = 0, sum = 0;
        for (int i = 0; i < 5; i++) {
            consumers[i] = (consumer){.chan = chan};
            consumers[i].task = spawn(consume, &consumers[i]);
        }
        settle();
        CHECK_INT(stats(chan).waiting_receivers, 5);
        for (int i = 0; i < 10; i++) {
            CHECK_INT(send(chan, i, SKUA_FOREVER), 0);
        }
        skua_chan_close(chan);
        for (int i = 0; i < 5; i++) {
            CHECK_INT(finish(consumers[i].task), 0);
            CHECK(consumers[i].count >= 1);
            count += consumers[i].count;
            sum += consumers[i].sum;
        }
        CHECK_INT(count, 10);
        CHECK_INT(sum, 45);
        free_both(chan);
    }
    return 0;
}

/* covers: D11 */
static void each_of_five_who_wait_gets_some_of_ten(void **state)
{
    in_all_schedules(five_share_ten);
}

static int close_each_end(void *arg)
{
    for (size_t capacity = 0; capacity < 2; capacity++) {
        const skua_time begin = skua_clock();
        skua_chan *chan = make(capacity);
        visit senders[2], receivers[2];
        int value = 77;
        start_waiting(&receivers[0], chan, do_recv, 77);
        start_waiting(&receivers[1], chan, do_recv, 77);
        sleep_ms(5);
        skua_chan_close(chan);
        for (int i = 0; i < 2; i++) {
            check_ended_at(&receivers[i], 0, begin, 5);
            CHECK_INT(receivers[i].value, 77);
        }
        for (int i = 0; i < 3; i++) { /* it stays so, for both ends */
            CHECK_INT(recv(chan, &value, SKUA_FOREVER), 0);
            CHECK_INT(send(chan, 1, SKUA_FOREVER), -EPIPE);
        }
        free_both(chan);

        chan = make(capacity); /* senders are refused, and what is in the buffer is not lost */
        if (capacity == 1) {
            CHECK_INT(send(chan, 9, SKUA_NOW), 0);
        }
        start_waiting(&senders[0], chan, do_send, 1);
        start_waiting(&senders[1], chan, do_send, 2);
        sleep_ms(5);
        skua_chan_close(chan);
        check_ended_at(&senders[0], -EPIPE, begin, 10);
        check_ended_at(&senders[1], -EPIPE, begin, 10);
        CHECK_INT(recv(chan, &value, SKUA_FOREVER), (int)capacity);
        CHECK_INT(value, capacity == 1 ? 9 : 77);
        CHECK_INT(recv(chan, &value, SKUA_FOREVER), 0);
        free_both(chan);
    }
    return 0;
}

/* covers: D12 */
static void a_close_ends_both_sides_for_good(void **state)
{
    in_all_schedules(close_each_end);
}

static int receivers_go(void *arg)
{
    const skua_time begin = skua_clock();
    skua_chan *chan = make(1);
    visit senders[2];
    CHECK_INT(send(chan, 0, SKUA_NOW), 0);
    skua_chan_retain(chan, SKUA_RECEIVER);
    start_waiting(&senders[0], chan, do_send, 1);
    start_waiting(&senders[1], chan, do_send, 2);
    sleep_ms(5);
    skua_chan_release(chan, SKUA_RECEIVER);
    settle();
    CHECK_INT(stats(chan).waiting_senders, 2); /* another receiver is left */
    CHECK_INT(stats(chan).receivers, 1);
    sleep_ms(5);
    skua_chan_release(chan, SKUA_RECEIVER);
    check_ended_at(&senders[0], -EPIPE, begin, 10);
    check_ended_at(&senders[1], -EPIPE, begin, 10);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(send(chan, 3, SKUA_FOREVER), -EPIPE);
        CHECK_INT(send(chan, 3, SKUA_NOW), -EPIPE);
    }
    skua_chan_release(chan, SKUA_SENDER);
    return 0;
}

/* covers: B14 D12 D15 */
static void senders_fail_with_the_last_receiver(void **state)
{
    in_all_schedules(receivers_go);
}

/* --- meeting --- */

static int meet(void *arg)
{
    const skua_time begin = skua_clock();
    skua_chan *chan = make(0);
    visit sender, receiver;
    int value = 77;
    CHECK_INT(send(chan, 1, SKUA_NOW), -EAGAIN);
    CHECK_INT(recv(chan, &value, SKUA_NOW), -EAGAIN);
    start_waiting(&sender, chan, do_send, 1);
    CHECK_INT(send(chan, 2, SKUA_NOW), -EAGAIN); /* a sender is no partner of a sender */
    sleep_ms(5);
    CHECK_INT(recv(chan, &value, SKUA_NOW), 1);
    CHECK_INT(value, 1);
    check_ended_at(&sender, 0, begin, 5);
    start_waiting(&receiver, chan, do_recv, 77);
    CHECK_INT(recv(chan, &value, SKUA_NOW), -EAGAIN);
    sleep_ms(5);
    CHECK_INT(send(chan, 3, SKUA_NOW), 0);
    check_ended_at(&receiver, 1, begin, 10);
    CHECK_INT(receiver.value, 3);
    CHECK_INT(stats(chan).count, 0);
    free_both(chan);
    return 0;
}

/* covers: D13 */
static void without_a_buffer_both_sides_meet(void **state)
{
    in_all_schedules(meet);
}

/* A sieve: each filter lets through what its prime does not divide, and starts the next one. */
typedef struct filter {
    skua_chan *from, *to;
    int prime;
} filter;

static int count_up(void *arg)
{
    int status = 0;
    for (int i = 2; status == 0; i++) {
        status = send(arg, i, SKUA_FOREVER);
    }
    return status;
}

static int let_through(void *arg)
{
    const filter *self = arg;
    int value, status, last = 0;
    while ((status = recv(self->from, &value, SKUA_FOREVER)) == 1) {
        CHECK(value > last); /* in order */
        last = value;
        if (value % self->prime != 0) {
            status = send(self->to, value, SKUA_FOREVER);
            if (status < 0) {
                break;
            }
        }
    }
    return status;
}

static int sieve(void *arg)
{
    static const int primes[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47};
    enum { COUNT = sizeof primes / sizeof *primes };
    for (size_t capacity = 0; capacity < 3; capacity++) {
        filter filters[COUNT];
        skua_chan *numbers = make(capacity), *from = numbers;
        SKUA_GROUP(group);
        skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
        CHECK_INT(skua_group_spawn(&group, count_up, numbers), 0);
        for (int i = 0; i < COUNT; i++) {
            int prime = 0;
            CHECK_INT(recv(from, &prime, SKUA_FOREVER), 1);
            CHECK_INT(prime, primes[i]);
            filters[i] = (filter){.from = from, .to = make(capacity), .prime = prime};
            CHECK_INT(skua_group_spawn(&group, let_through, &filters[i]), 0);
            from = filters[i].to;
        }
        skua_group_cancel(&group);
        CHECK_INT(skua_group_close(&group, 0), 0);
        free_both(numbers);
        for (int i = 0; i < COUNT; i++) {
            CHECK_INT(stats(filters[i].to).waiting_senders, 0);
            free_both(filters[i].to);
        }
    }
    return 0;
}

/* covers: D17 */
static void a_sieve_of_channels_keeps_the_order(void **state)
{
    in_all_schedules(sieve);
}

/* --- the first of many --- */

static int select_from_nothing(void *arg)
{
    int value;
    skua_case cases[] = {SKUA_RECV(NULL, value), SKUA_SEND(NULL, value), SKUA_ENDED(NULL)};
    return skua_select(arg == NULL ? cases : NULL, arg == NULL ? 3 : 0, 0, SKUA_FOREVER);
}

static int wait_for_nothing(void *arg)
{
    const skua_time begin = skua_clock();
    skua_task *tasks[2] = {spawn(select_from_nothing, NULL), spawn(select_from_nothing, tasks)};
    CHECK_INT(skua_within(skua_after(SKUA_SEC(3600)), select_from_nothing, tasks), -ETIMEDOUT);
    check_ms_since(begin, 3600 * 1000);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(skua_task_state(tasks[i]), SKUA_RUNNING);
        skua_task_cancel(tasks[i]);
        CHECK_INT(finish(tasks[i]), -ECANCELED);
    }
    return 0;
}

/* covers: D19 */
static void a_select_over_nothing_waits_until_it_is_cancelled(void **state)
{
    in_all_schedules(wait_for_nothing);
}

enum { RECV, SEND, GET, PUT, NEWS, CHANGED, IS_SET, ENDED, AT, KINDS };

typedef struct things {
    skua_chan *from, *to;
    skua_queue *queue_from, *queue_to;
    skua_broadcast *broadcast;
    skua_subscriber *subscriber;
    skua_watch *watch;
    skua_event event;
    skua_task *task;
    skua_time begin;
    uint64_t version;
} things;

/* The i-th thing happens i + 1 milliseconds after the begin; the last two do so by themselves. */
static int make_things_happen(void *arg)
{
    things *all = arg;
    int value = -1;
    for (int kind = 0; kind < ENDED; kind++) {
        sleep_ms(1);
        switch (kind) {
        case RECV:
            CHECK_INT(send(all->from, kind, SKUA_NOW), 0);
            break;
        case SEND:
            CHECK_INT(recv(all->to, &value, SKUA_NOW), 1);
            CHECK_INT(value, kind);
            break;
        case GET:
            CHECK_INT(skua_queue_put(all->queue_from, SKUA_ITEM(kind), SKUA_NOW), 0);
            break;
        case PUT:
            CHECK_INT(skua_queue_get(all->queue_to, SKUA_ITEM(value), SKUA_NOW), 1);
            break;
        case NEWS:
            CHECK_INT(skua_broadcast_send(all->broadcast, SKUA_ITEM(kind)), 1);
            break;
        case CHANGED:
            CHECK_INT(skua_watch_set(all->watch, SKUA_ITEM(kind)), 0);
            break;
        default:
            skua_event_set(&all->event);
        }
    }
    return 0;
}

static int end_at_eight(void *arg)
{
    const things *all = arg;
    return skua_sleep(skua_time_at(all->begin.ns + SKUA_MS(ENDED + 1)));
}

static int watch_all(things *all, int in[])
{
    int out = SEND;
    const skua_time last = skua_time_at(all->begin.ns + SKUA_MS(AT + 1));
    for (int fired = 0; fired < KINDS; fired++) {
        skua_case cases[KINDS] = {
            SKUA_RECV(all->from, in[RECV]),
            SKUA_SEND(all->to, out),
            SKUA_GET(all->queue_from, in[GET]),
            SKUA_PUT(all->queue_to, out),
            SKUA_NEWS(all->subscriber, in[NEWS]),
            SKUA_CHANGED(all->watch, all->version),
            SKUA_IS_SET(&all->event),
            SKUA_ENDED(all->task),
            SKUA_AT(last),
        };
        for (int kind = 0; kind < fired; kind++) {
            cases[kind].kind = SKUA_CASE_NONE; /* it has had its turn */
        }
        CHECK_INT(skua_select(cases, KINDS, 0, SKUA_NOW), -EAGAIN);
        CHECK_INT(skua_select(cases, KINDS, 0, SKUA_FOREVER), fired);
        CHECK_INT(cases[fired].result, fired == SEND || fired == PUT || fired > CHANGED ? 0 : 1);
        check_ms_since(all->begin, fired + 1);
        if (fired == CHANGED) {
            CHECK_INT(skua_watch_wait(all->watch, &all->version, SKUA_ITEM(in[CHANGED]), SKUA_NOW),
                      1);
        }
    }
    return 0;
}

static int in_the_order_of_time(void *arg)
{
    const skua_queue_opts opts = {.item_bytes = sizeof(int), .capacity = 1};
    things all = {.from = make(0), .to = make(0), .begin = skua_clock(), .version = 1};
    int in[KINDS] = {0}, value = 0;
    CHECK_INT(skua_queue_create(&all.queue_from, &opts), 0);
    CHECK_INT(skua_queue_create(&all.queue_to, &opts), 0);
    CHECK_INT(skua_queue_put(all.queue_to, SKUA_ITEM(value), SKUA_NOW), 0); /* full */
    CHECK_INT(skua_broadcast_create(&all.broadcast, sizeof(int), 1), 0);
    CHECK_INT(skua_broadcast_subscribe(all.broadcast, &all.subscriber), 0);
    CHECK_INT(skua_watch_create(&all.watch, SKUA_ITEM(value)), 0);
    all.task = spawn(end_at_eight, &all);
    skua_task *maker = spawn(make_things_happen, &all);
    CHECK_INT(watch_all(&all, in), 0);
    for (int kind = 0; kind < IS_SET; kind++) {
        CHECK_INT(in[kind], kind == SEND || kind == PUT ? 0 : kind);
    }
    CHECK_INT(finish(maker), 0);
    CHECK_INT(finish(all.task), 0);
    free_both(all.from);
    free_both(all.to);
    skua_queue_destroy(all.queue_from);
    skua_queue_destroy(all.queue_to);
    skua_subscriber_release(all.subscriber);
    skua_broadcast_destroy(all.broadcast);
    skua_watch_destroy(all.watch);
    return 0;
}

/* covers: B23 */
static void a_select_over_nine_kinds_follows_time(void **state)
{
    in_all_schedules(in_the_order_of_time);
}

/* --- sharing --- */

typedef struct slow_reader {
    skua_subscriber *subscriber;
    int pause_ms, seen;
} slow_reader;

static int read_slowly(void *arg)
{
    slow_reader *self = arg;
    int value, status;
    while ((status = skua_subscriber_next(self->subscriber, SKUA_ITEM(value), SKUA_FOREVER)) != 0) {
        CHECK(status == 1 || status == -EOVERFLOW);
        if (status == 1) {
            self->seen++;
            sleep_ms(self->pause_ms);
        }
    }
    return 0;
}

/* Twenty items, one each 2 ms, of which four are kept: who takes 1 ms for each sees all; who takes
   10 ms sees some, and what it saw and what it missed are all of them. */
static int two_paces(void *arg)
{
    skua_broadcast *broadcast = NULL;
    slow_reader readers[2] = {{.pause_ms = 1}, {.pause_ms = 10}};
    skua_task *tasks[2];
    CHECK_INT(skua_broadcast_create(&broadcast, sizeof(int), 4), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(skua_broadcast_subscribe(broadcast, &readers[i].subscriber), 0);
        tasks[i] = spawn(read_slowly, &readers[i]);
    }
    for (int i = 0; i < 20; i++) {
        CHECK_INT(skua_broadcast_send(broadcast, SKUA_ITEM(i)), 2);
        sleep_ms(2);
    }
    skua_broadcast_close(broadcast);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(readers[0].seen, 20);
    CHECK_INT(skua_subscriber_missed(readers[0].subscriber), 0);
    CHECK(readers[1].seen < 20);
    CHECK_INT(readers[1].seen + (int)skua_subscriber_missed(readers[1].subscriber), 20);
    skua_subscriber_release(readers[0].subscriber);
    skua_subscriber_release(readers[1].subscriber);
    skua_broadcast_destroy(broadcast);
    return 0;
}

/* covers: B26 */
static void who_is_slow_knows_what_it_has_missed(void **state)
{
    in_all_schedules(two_paces);
}

/* --- two steps --- */

/* Moves items from a queue to a channel: an item leaves the queue only when there is room for it,
   so a mover that is cancelled holds none. */
typedef struct mover {
    skua_queue *from;
    skua_chan *to;
} mover;

static int move_on(void *arg)
{
    const mover *self = arg;
    for (;;) {
        skua_permit permit;
        int value, status = skua_chan_reserve(self->to, &permit, SKUA_FOREVER);
        if (status < 0) {
            return status;
        }
        status = skua_queue_get(self->from, SKUA_ITEM(value), SKUA_FOREVER);
        if (status <= 0) {
            skua_chan_abort(&permit);
            return status;
        }
        CHECK_INT(skua_chan_commit(&permit, SKUA_ITEM(value)), 0);
    }
}

static int move_and_cancel(void *arg)
{
    enum { ITEMS = 40 };
    const skua_queue_opts opts = {.item_bytes = sizeof(int)};
    mover self = {.to = make(2)};
    uint64_t random = skua_test_seed() + 1;
    int next = 0;
    CHECK_INT(skua_queue_create(&self.from, &opts), 0);
    for (int i = 0; i < ITEMS; i++) {
        CHECK_INT(skua_queue_put(self.from, SKUA_ITEM(i), SKUA_NOW), 0);
    }
    while (next < ITEMS) {
        skua_task *task = spawn(move_on, &self);
        for (uint64_t i = test_random(&random) % 4; i > 0; i--) {
            (void)skua_yield();
        }
        skua_task_cancel(task);
        CHECK_INT(finish(task), -ECANCELED);
        CHECK_INT(stats(self.to).reserved, 0);
        skua_queue_statistics left;
        skua_queue_stats(self.from, &left);
        CHECK_INT(next + (int)left.count + (int)stats(self.to).count, ITEMS);
        int value;
        while (recv(self.to, &value, SKUA_NOW) == 1) {
            CHECK_INT(value, next++); /* each once, in order */
        }
    }
    skua_queue_destroy(self.from);
    free_both(self.to);
    return 0;
}

/* covers: B27 */
static void an_item_moves_on_only_when_there_is_room(void **state)
{
    in_all_schedules(move_and_cancel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_end_comes_with_the_last_of_ten_senders),
        TEST(each_of_five_who_wait_gets_some_of_ten),
        TEST(a_close_ends_both_sides_for_good),
        TEST(senders_fail_with_the_last_receiver),
        TEST(without_a_buffer_both_sides_meet),
        TEST(a_sieve_of_channels_keeps_the_order),
        TEST(a_select_over_nothing_waits_until_it_is_cancelled),
        TEST(a_select_over_nine_kinds_follows_time),
        TEST(who_is_slow_knows_what_it_has_missed),
        TEST(an_item_moves_on_only_when_there_is_room),
    };
    return TEST_RUN(tests);
}
