/* Channels, queues, broadcasts, watches, one-shots and selects, disturbed wherever they wait: what
   was sent is received or still there, and nobody stands in a line. */
#include "sweep.h"

#include <skua/queue.h>
#include <skua/select.h>
#include <skua/share.h>

/* Each item is another number, so that none can stand in for another: the sums agree, too. */
static gate sent, received;
static _Atomic int64_t sent_sum, received_sum;

static void begin_account(void)
{
    sent = received = 0;
    sent_sum = received_sum = 0;
}

static int next_item(void)
{
    return (sent + 1) * (sent + 1);
}

static void note_sent(int64_t item)
{
    sent++;
    sent_sum += item;
}

static void note_received(int64_t item)
{
    received++;
    received_sum += item;
}

static void check_account(void)
{
    SAME(received, sent);
    SAME(received_sum, sent_sum);
}

/* --- channels --------------------------------------------------------------------------------- */

static skua_chan *chan;
static size_t item_bytes; /* items of eight bytes go ways of their own */

static int send(skua_time deadline)
{
    const int64_t item = next_item();
    const int status = skua_chan_send(chan, &item, item_bytes, deadline);
    if (status == 0) {
        note_sent(item);
    }
    return status;
}

static int receive(skua_time deadline)
{
    int64_t item = 0;
    const int status = skua_chan_recv(chan, &item, item_bytes, deadline);
    if (status == 1) {
        note_received(item);
    }
    return status;
}

static int reserve_and_commit(skua_time deadline)
{
    skua_permit permit = {{0}};
    const int64_t item = next_item();
    const int status = skua_chan_reserve(chan, &permit, deadline);
    if (status == 0) {
        SAME(skua_chan_commit(&permit, &item, item_bytes), 0);
        note_sent(item);
    }
    return status;
}

static void send_now(void)
{
    (void)!send(SKUA_NOW);
}

static void receive_now(void)
{
    (void)!receive(SKUA_NOW);
}

static void make_chan(size_t bytes, size_t capacity)
{
    begin_account();
    item_bytes = bytes;
    SAME(skua_chan_create(&chan, bytes, capacity), 0);
}

static void make_empty_of_8_bytes(void)
{
    make_chan(8, 4);
}

static void make_rendezvous_of_8_bytes(void)
{
    make_chan(8, 0);
}

static void make_full_of_8_bytes(void)
{
    make_chan(8, 1);
    SAME(send(SKUA_NOW), 0);
}

static void make_empty(void)
{
    make_chan(sizeof(int), 4);
}

static void make_rendezvous(void)
{
    make_chan(sizeof(int), 0);
}

static void make_full(void)
{
    make_chan(sizeof(int), 1);
    SAME(send(SKUA_NOW), 0);
}

static void check_chan(int status)
{
    skua_chan_statistics now;
    while (receive(SKUA_NOW) == 1) {}
    check_account();
    skua_chan_stats(chan, &now);
    SAME(now.count, 0);
    SAME(now.reserved, 0);
    SAME(now.waiting_senders, 0);
    SAME(now.waiting_receivers, 0);
    SAME(now.senders, 1);
    skua_chan_release(chan, SKUA_SENDER | SKUA_RECEIVER);
}

/* --- queues ----------------------------------------------------------------------------------- */

static skua_queue *queue;

static int put(skua_time deadline)
{
    const int item = next_item();
    const int status = skua_queue_put(queue, SKUA_ITEM(item), deadline);
    if (status == 0) {
        note_sent(item);
    }
    return status;
}

static int get(skua_time deadline)
{
    int item = 0;
    const int status = skua_queue_get(queue, SKUA_ITEM(item), deadline);
    if (status == 1) {
        note_received(item);
        skua_queue_done(queue);
    }
    return status;
}

static int join(skua_time deadline)
{
    return skua_queue_join(queue, deadline);
}

static void put_now(void)
{
    (void)!put(SKUA_NOW);
}

static void get_now(void)
{
    (void)!get(SKUA_NOW);
}

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void make_queue(const skua_queue_opts *opts, int items)
{
    begin_account();
    SAME(skua_queue_create(&queue, opts), 0);
    for (int i = 0; i < items; i++) {
        SAME(put(SKUA_NOW), 0);
    }
}

static void make_empty_queue(void)
{
    make_queue(&(skua_queue_opts){.item_bytes = sizeof(int)}, 0);
}

static void make_empty_heap(void)
{
    make_queue(&(skua_queue_opts){.item_bytes = sizeof(int), .order = by_number, .capacity = 8}, 0);
}

static void make_full_queue(void)
{
    make_queue(&(skua_queue_opts){.item_bytes = sizeof(int), .capacity = 2}, 2);
}

static void make_full_stack(void)
{
    make_queue(&(skua_queue_opts){.item_bytes = sizeof(int), .capacity = 1, .lifo = true}, 1);
}

static void check_queue(int status)
{
    skua_queue_statistics now;
    while (get(SKUA_NOW) == 1) {}
    check_account();
    skua_queue_stats(queue, &now);
    SAME(now.count, 0);
    SAME(now.unfinished, 0);
    SAME(now.getters + now.putters + now.joiners, 0);
    skua_queue_destroy(queue);
}

/* --- broadcast, watch, one-shot --------------------------------------------------------------- */

static skua_broadcast *broadcast;
static skua_subscriber *subscriber;

static void subscribe(void)
{
    begin_account();
    SAME(skua_broadcast_create(&broadcast, sizeof(int), 8), 0);
    SAME(skua_broadcast_subscribe(broadcast, &subscriber), 0);
}

static int take_news(skua_time deadline)
{
    int item = 0;
    const int status = skua_subscriber_next(subscriber, SKUA_ITEM(item), deadline);
    if (status == 1) {
        note_received(item);
    }
    return status;
}

static void tell_news(void)
{
    const int item = next_item();
    SAME(skua_broadcast_send(broadcast, SKUA_ITEM(item)), 1);
    note_sent(item);
}

static void check_news(int status)
{
    while (take_news(SKUA_NOW) == 1) {}
    check_account();
    SAME(skua_subscriber_missed(subscriber), 0);
    skua_subscriber_release(subscriber); /* panics if anybody waits */
    skua_broadcast_destroy(broadcast);
}

static skua_watch *watch;

static void make_watch(void)
{
    begin_account();
    SAME(skua_watch_create(&watch, SKUA_ITEM(sent)), 0);
}

static int see_change(skua_time deadline)
{
    uint64_t version = 1;
    int item = 0;
    const int status = skua_watch_wait(watch, &version, SKUA_ITEM(item), deadline);
    if (status == 1) {
        SAME(item, sent);
        SAME(version, sent + 1);
    } else {
        SAME(version, 1);
    }
    return status;
}

/* Once: the rival, which has seen nothing but the first value, sees it, whenever it looks. */
static void change(void)
{
    if (sent == 0) {
        sent = 1;
        SAME(skua_watch_set(watch, SKUA_ITEM(sent)), 0);
    }
}

static void end_watch(int status)
{
    skua_watch_destroy(watch); /* panics if anybody waits */
}

static skua_oneshot *oneshot;

static void make_oneshot(void)
{
    begin_account();
    SAME(skua_oneshot_create(&oneshot, sizeof(int)), 0);
}

static int receive_the_one(skua_time deadline)
{
    int item = 0;
    const int status = skua_oneshot_recv(oneshot, SKUA_ITEM(item), deadline);
    if (status == 1) {
        note_received(item);
    }
    return status;
}

static void send_the_one(void)
{
    if (sent == 0) {
        const int item = next_item();
        SAME(skua_oneshot_send(oneshot, SKUA_ITEM(item)), 0);
        note_sent(item);
    }
}

static void check_oneshot(int status)
{
    send_the_one();
    (void)!receive_the_one(SKUA_NOW);
    check_account();
    skua_oneshot_release(oneshot, SKUA_RECEIVER);
}

/* --- select ----------------------------------------------------------------------------------- */

static skua_event event;

static void make_all(void)
{
    make_empty_queue();
    make_chan(sizeof(int), 4);
    event = (skua_event){{0}};
}

static int select_one(skua_time deadline)
{
    int from_chan = 0, from_queue = 0;
    skua_case cases[] = {
        SKUA_RECV(chan, from_chan),
        SKUA_GET(queue, from_queue),
        SKUA_IS_SET(&event),
        SKUA_AT(skua_after(SKUA_SEC(1000000))),
    };
    const int which = skua_select(cases, 4, 0, deadline);
    if (which >= 0) {
        SAME(cases[which].result, 1);
        note_received(which == 0 ? from_chan : from_queue);
        if (which == 1) {
            skua_queue_done(queue);
        }
        return 1;
    }
    return which;
}

static void put_or_send(void)
{
    if (sent % 2 == 0) {
        send_now();
    } else {
        put_now();
    }
}

static void check_all(int status)
{
    while (receive(SKUA_NOW) == 1) {}
    check_queue(status);
    skua_chan_release(chan, SKUA_SENDER | SKUA_RECEIVER);
}

static void make_all_full(void)
{
    make_full_queue();
    item_bytes = sizeof(int); /* the account goes on */
    SAME(skua_chan_create(&chan, item_bytes, 1), 0);
    SAME(send(SKUA_NOW), 0);
}

/* Two ways out for one item: it must not take both. */
static int select_sends(skua_time deadline)
{
    int item = 1000 + sent;
    skua_case cases[] = {SKUA_SEND(chan, item), SKUA_PUT(queue, item)};
    const int which = skua_select(cases, 2, SKUA_IN_ORDER, deadline);
    if (which >= 0) {
        SAME(cases[which].result, 0);
        note_sent(item);
    }
    return which < 0 ? which : 0;
}

static void get_or_receive(void)
{
    if (received % 2 == 0) {
        receive_now();
    } else {
        get_now();
    }
}

static const swept entries[] = {
    {"skua_chan_send", make_full, send, receive_now, check_chan, .done = 0},
    {"skua_chan_send: rendezvous", make_rendezvous, send, receive_now, check_chan, .done = 0},
    {"skua_chan_send: of 8 bytes", make_full_of_8_bytes, send, receive_now, check_chan, .done = 0},
    {"skua_chan_send: rendezvous of 8 bytes", make_rendezvous_of_8_bytes, send, receive_now,
     check_chan, .done = 0},
    {"skua_chan_recv: of 8 bytes", make_empty_of_8_bytes, receive, send_now, check_chan, .done = 1},
    {"skua_chan_recv: rendezvous of 8 bytes", make_rendezvous_of_8_bytes, receive, send_now,
     check_chan, .done = 1},
    {"skua_chan_recv", make_empty, receive, send_now, check_chan, .done = 1},
    {"skua_chan_recv: rendezvous", make_rendezvous, receive, send_now, check_chan, .done = 1},
    {"skua_chan_reserve", make_full, reserve_and_commit, receive_now, check_chan, .done = 0},
    {"skua_queue_put", make_full_queue, put, get_now, check_queue, .done = 0},
    {"skua_queue_put: a stack", make_full_stack, put, get_now, check_queue, .done = 0},
    {"skua_queue_get", make_empty_queue, get, put_now, check_queue, .done = 1},
    {"skua_queue_get: by priority", make_empty_heap, get, put_now, check_queue, .done = 1},
    {"skua_queue_join", make_full_queue, join, get_now, check_queue, .done = 0},
    {"skua_subscriber_next", subscribe, take_news, tell_news, check_news, .done = 1},
    {"skua_watch_wait", make_watch, see_change, change, end_watch, .done = 1},
    {"skua_oneshot_recv", make_oneshot, receive_the_one, send_the_one, check_oneshot, .done = 1,
     .flags = SWEEP_ALONE},
    {"skua_select: receives", make_all, select_one, put_or_send, check_all, .done = 1},
    {"skua_select: sends", make_all_full, select_sends, get_or_receive, check_all, .done = 0},
};

/* covers: A57 B12 D9 */
static void queues_are_swept(void **state)
{
    sweep_table(entries, sizeof entries / sizeof entries[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(queues_are_swept)};
    return TEST_RUN(tests);
}
