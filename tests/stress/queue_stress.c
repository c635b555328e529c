/* Queues, permits and broadcasts under load: puts and gets by plain calls and selects, cancels and
   deadlines at any moment, closes against everything else. What was put with status 0 is got
   exactly once, what was refused never; marks and joins add up. The rounds go on for
   SKUA_STRESS_SECONDS, shared by the tests. */
#include "../tasks.h"

#include <skua/queue.h>
#include <skua/select.h>
#include <skua/share.h>

enum { TESTS = 3 }; /* those that go by time */

static skua_time end_of_test(void)
{
    return skua_after(SKUA_SEC(1) * (int64_t)test_env("SKUA_STRESS_SECONDS", 6) / TESTS);
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

/* --- queues --- */

enum { PUTTERS = 5, GETTERS = 5, EACH = 60 };

typedef struct round_ {
    skua_queue *queue;
    uint64_t seed;
    _Atomic int accepted[PUTTERS * EACH], got[PUTTERS * EACH];
} round_;

typedef struct actor {
    round_ *all;
    int number;
} actor;

/* No deadline, a moment that is over, or one that soon will be. */
static skua_time some_deadline(uint64_t *random)
{
    switch (below(random, 4)) {
    case 0:
        return skua_after(SKUA_US(below(random, 200)));
    case 1:
        return SKUA_NOW;
    default:
        return SKUA_FOREVER;
    }
}

static int put_once(round_ *all, int value, uint64_t *random)
{
    skua_time deadline = some_deadline(random);
    if (below(random, 2) == 0) {
        return skua_queue_put(all->queue, SKUA_ITEM(value), deadline);
    }
    skua_case cases[] = {SKUA_PUT(all->queue, value), SKUA_PUT(all->queue, value)};
    int index = skua_select(cases, 2, 0, deadline);
    return index < 0 ? index : cases[index].result;
}

static int put_some(void *arg)
{
    const actor *self = arg;
    round_ *all = self->all;
    uint64_t random = all->seed + (uint64_t)self->number;
    for (int i = 0; i < EACH; i++) {
        const int value = self->number * EACH + i;
        const int status = put_once(all, value, &random);
        CHECK(status == 0 || status == -ETIMEDOUT || status == -EAGAIN || status == -ECANCELED ||
              status == -ESHUTDOWN);
        atomic_store(&all->accepted[value], status == 0);
        if (status == -ECANCELED || status == -ESHUTDOWN) {
            break;
        }
    }
    return 0;
}

static int get_once(round_ *all, int *value, uint64_t *random)
{
    skua_time deadline = some_deadline(random);
    if (below(random, 2) == 0) {
        return skua_queue_get(all->queue, SKUA_ITEM(*value), deadline);
    }
    skua_case cases[] = {SKUA_GET(all->queue, *value), SKUA_AT(skua_after(SKUA_US(300)))};
    int index = skua_select(cases, 2, 0, deadline);
    return index < 0 ? index : index == 0 ? cases[0].result : -EAGAIN;
}

static int get_some(void *arg)
{
    const actor *self = arg;
    round_ *all = self->all;
    uint64_t random = all->seed + 1000 + (uint64_t)self->number;
    for (;;) {
        int value = -1;
        const int status = get_once(all, &value, &random);
        if (status == 0 || status == -ECANCELED) {
            return 0;
        }
        if (status == 1) {
            CHECK(value >= 0 && value < PUTTERS * EACH);
            atomic_fetch_add(&all->got[value], 1);
            skua_queue_done(all->queue);
        } else {
            CHECK(status == -ETIMEDOUT || status == -EAGAIN);
            (void)skua_yield();
        }
    }
}

static void take_the_rest(round_ *all)
{
    int value;
    while (skua_queue_get(all->queue, SKUA_ITEM(value), SKUA_NOW) == 1) {
        atomic_fetch_add(&all->got[value], 1);
        skua_queue_done(all->queue);
    }
}

static void check_round(round_ *all)
{
    skua_queue_statistics now;
    skua_queue_stats(all->queue, &now);
    CHECK_INT(now.count, 0);
    CHECK_INT(now.unfinished, 0);
    CHECK_INT(now.getters + now.putters + now.joiners, 0);
    for (int i = 0; i < PUTTERS * EACH; i++) {
        CHECK_INT(all->got[i], all->accepted[i]);
    }
}

static int queue_round(void *arg)
{
    uint64_t random = *(uint64_t *)arg;
    static round_ all;
    actor actors[PUTTERS + GETTERS];
    skua_task *tasks[PUTTERS + GETTERS];
    memset(&all, 0, sizeof all);
    all.seed = random;
    const skua_queue_opts opts = {
        .item_bytes = sizeof(int), .capacity = below(&random, 4), .lifo = below(&random, 2) == 0};
    CHECK_INT(skua_queue_create(&all.queue, &opts), 0);
    for (int i = 0; i < PUTTERS + GETTERS; i++) {
        actors[i] = (actor){.all = &all, .number = i < PUTTERS ? i : i - PUTTERS};
        tasks[i] = spawn(i < PUTTERS ? put_some : get_some, &actors[i]);
    }
    for (uint32_t i = below(&random, 4); i-- > 0;) {
        for (uint32_t yields = below(&random, 20); yields-- > 0;) {
            (void)skua_yield();
        }
        skua_task_cancel(tasks[below(&random, PUTTERS + GETTERS)]);
    }
    if (below(&random, 3) == 0) {
        skua_queue_close(all.queue, true);
    }
    /* With all getters cancelled the putters would wait for ever. */
    for (int i = 0; i < PUTTERS; i++) {
        while (skua_task_state(tasks[i]) == SKUA_RUNNING) {
            take_the_rest(&all);
            (void)skua_yield();
        }
    }
    take_the_rest(&all);
    CHECK_INT(skua_queue_join(all.queue, SKUA_FOREVER), 0);
    skua_queue_close(all.queue, true);
    for (int i = 0; i < PUTTERS + GETTERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    check_round(&all);
    skua_queue_destroy(all.queue);
    return 0;
}

static void go_on(skua_fn fn)
{
    const skua_time end = end_of_test();
    uint64_t random = test_seed();
    printf("seed %llu\n", (unsigned long long)random);
    while (!is_over(end)) {
        const uint32_t workers = some_workers(&random);
        uint64_t seed = test_random(&random);
        run_on_with(workers, fn, &seed);
    }
}

/* covers: A54 A55 A57 B3 B23 */
static void queues_in_a_storm(void **state)
{
    go_on(queue_round);
}

/* --- permits --- */

typedef struct permits {
    skua_chan *chan;
    uint64_t seed;
    _Atomic int sent, received;
} permits;

static int send_somehow(permits *all, uint64_t *random)
{
    int value = 1;
    skua_permit permit;
    const skua_time deadline = some_deadline(random);
    if (below(random, 2) == 0) {
        return skua_chan_send(all->chan, SKUA_ITEM(value), deadline);
    }
    const int status = skua_chan_reserve(all->chan, &permit, deadline);
    if (status < 0) {
        return status;
    }
    for (uint32_t yields = below(random, 3); yields-- > 0;) {
        (void)skua_yield();
    }
    if (below(random, 3) == 0) {
        skua_chan_abort(&permit);
        return -EAGAIN;
    }
    CHECK_INT(skua_chan_commit(&permit, SKUA_ITEM(value)), 0);
    return 0;
}

static int send_some(void *arg)
{
    permits *all = arg;
    uint64_t random = all->seed + (uintptr_t)&random;
    for (int i = 0; i < EACH; i++) {
        const int status = send_somehow(all, &random);
        if (status == 0) {
            atomic_fetch_add(&all->sent, 1);
        } else if (status == -ECANCELED || status == -EPIPE) {
            break;
        }
    }
    skua_chan_release(all->chan, SKUA_SENDER);
    return 0;
}

static int receive_until_end(void *arg)
{
    permits *all = arg;
    int value;
    while (skua_chan_recv(all->chan, SKUA_ITEM(value), SKUA_FOREVER) == 1) {
        atomic_fetch_add(&all->received, value);
    }
    return 0;
}

static int permit_round(void *arg)
{
    uint64_t random = *(uint64_t *)arg;
    permits all = {.seed = random};
    skua_task *senders[PUTTERS], *receivers[2];
    CHECK_INT(skua_chan_create(&all.chan, sizeof(int), 1 + below(&random, 4)), 0);
    for (int i = 0; i < PUTTERS; i++) {
        skua_chan_retain(all.chan, SKUA_SENDER);
        senders[i] = spawn(send_some, &all);
    }
    skua_chan_release(all.chan, SKUA_SENDER);
    for (int i = 0; i < 2; i++) {
        receivers[i] = spawn(receive_until_end, &all);
    }
    for (uint32_t i = below(&random, 4); i-- > 0;) {
        for (uint32_t yields = below(&random, 20); yields-- > 0;) {
            (void)skua_yield();
        }
        skua_task_cancel(senders[below(&random, PUTTERS)]);
    }
    if (below(&random, 4) == 0) {
        skua_chan_close(all.chan);
    }
    for (int i = 0; i < PUTTERS; i++) {
        CHECK_INT(finish(senders[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_INT(finish(receivers[i]), 0);
    }
    CHECK_INT(all.received, all.sent);
    skua_chan_statistics now;
    skua_chan_stats(all.chan, &now);
    CHECK_INT(now.count + now.reserved + now.waiting_senders + now.waiting_receivers, 0);
    skua_chan_release(all.chan, SKUA_RECEIVER);
    return 0;
}

/* covers: B27 */
static void permits_in_a_storm(void **state)
{
    go_on(permit_round);
}

/* --- broadcasts: with what it has missed, everybody has seen everything --- */

enum { NEWS = 400 };

typedef struct listener {
    skua_subscriber *subscriber;
    uint64_t seed;
} listener;

static int listen_to_all(void *arg)
{
    const listener *self = arg;
    uint64_t random = self->seed;
    uint64_t seen = 0;
    int last = -1, value = 0, status;
    do {
        if (below(&random, 2) == 0) {
            status =
                skua_subscriber_next(self->subscriber, SKUA_ITEM(value), some_deadline(&random));
        } else {
            skua_case cases[] = {SKUA_NEWS(self->subscriber, value)};
            status = skua_select(cases, 1, 0, some_deadline(&random));
            status = status < 0 ? status : cases[0].result;
        }
        if (status == 1) {
            CHECK(value > last);
            last = value;
            seen++;
        } else if (below(&random, 2) == 0) {
            (void)skua_yield();
        }
    } while (status != 0);
    CHECK_INT(seen + skua_subscriber_missed(self->subscriber), NEWS);
    return 0;
}

static int broadcast_round(void *arg)
{
    uint64_t random = *(uint64_t *)arg;
    enum { COUNT = 6 };
    listener listeners[COUNT];
    skua_task *tasks[COUNT];
    skua_broadcast *broadcast = NULL;
    CHECK_INT(skua_broadcast_create(&broadcast, sizeof(int), 1 + below(&random, 30)), 0);
    for (int i = 0; i < COUNT; i++) {
        listeners[i].seed = test_random(&random);
        CHECK_INT(skua_broadcast_subscribe(broadcast, &listeners[i].subscriber), 0);
        tasks[i] = spawn(listen_to_all, &listeners[i]);
    }
    for (int i = 0; i < NEWS; i++) {
        CHECK_INT(skua_broadcast_send(broadcast, SKUA_ITEM(i)), COUNT);
        if (below(&random, 6) == 0) {
            (void)skua_yield();
        }
    }
    skua_broadcast_destroy(broadcast);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(finish(tasks[i]), 0);
        skua_subscriber_release(listeners[i].subscriber);
    }
    return 0;
}

/* covers: B26 */
static void broadcasts_in_a_storm(void **state)
{
    go_on(broadcast_round);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(queues_in_a_storm),
        TEST(permits_in_a_storm),
        TEST(broadcasts_in_a_storm),
    };
    return TEST_RUN(tests);
}
