/* Broadcasts, watches and one-shots. */
#include "tasks.h"

#include <pthread.h>
#include <skua/select.h>
#include <skua/share.h>
#include <sys/wait.h>

/* Lets others run until the call of a task waits, which it cannot tell us; what follows holds in
   either case, and most often it waits by then. */
static void let_it_wait(void)
{
    for (int i = 0; i < 20; i++) {
        (void)skua_yield();
    }
}

/* --- broadcast -------------------------------------------------------------------------------- */

static skua_broadcast *make_broadcast(size_t capacity)
{
    skua_broadcast *broadcast = NULL;
    CHECK_INT(skua_broadcast_create(&broadcast, sizeof(int), capacity), 0);
    return broadcast;
}

static skua_subscriber *subscribe(skua_broadcast *broadcast)
{
    skua_subscriber *subscriber = NULL;
    CHECK_INT(skua_broadcast_subscribe(broadcast, &subscriber), 0);
    return subscriber;
}

static int tell(skua_broadcast *broadcast, int value)
{
    return skua_broadcast_send(broadcast, SKUA_ITEM(value));
}

static int hear(skua_subscriber *subscriber, int *value)
{
    return skua_subscriber_next(subscriber, SKUA_ITEM(*value), SKUA_NOW);
}

static void check_hears(skua_subscriber *subscriber, int want)
{
    int value = -1;
    CHECK_INT(hear(subscriber, &value), 1);
    CHECK_INT(value, want);
}

static int everybody_hears(void *arg)
{
    int value;
    skua_broadcast *broadcast = make_broadcast(4);
    CHECK_INT(tell(broadcast, 1), 0); /* to nobody */
    skua_subscriber *first = subscribe(broadcast);
    CHECK_INT(tell(broadcast, 2), 1);
    skua_subscriber *second = subscribe(broadcast);
    CHECK_INT(tell(broadcast, 3), 2);
    check_hears(first, 2);
    check_hears(first, 3);
    CHECK_INT(hear(first, &value), -EAGAIN);
    check_hears(second, 3);
    CHECK_INT(hear(second, &value), -EAGAIN);
    CHECK_INT(skua_subscriber_next(second, SKUA_ITEM(value), skua_after(SKUA_MS(1))), -ETIMEDOUT);
    skua_subscriber_release(second);
    CHECK_INT(tell(broadcast, 4), 1);
    skua_broadcast_close(broadcast);
    CHECK_INT(tell(broadcast, 5), -EPIPE);
    check_hears(first, 4);
    value = 7;
    CHECK_INT(hear(first, &value), 0);
    CHECK_INT(skua_subscriber_next(first, SKUA_ITEM(value), SKUA_FOREVER), 0);
    CHECK_INT(value, 7);
    skua_broadcast_destroy(broadcast);
    CHECK_INT(hear(first, &value), 0); /* it outlives the broadcast */
    skua_subscriber_release(first);
    return 0;
}

/* covers: B26 */
static void every_subscriber_sees_every_item(void **state)
{
    everybody_hears(NULL);
    run_on_1_2_4(everybody_hears);
}

static void who_is_lapped_is_told(void **state)
{
    int value = 0;
    skua_broadcast *broadcast = make_broadcast(3);
    skua_subscriber *slow = subscribe(broadcast), *fast = subscribe(broadcast);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(tell(broadcast, i), 2);
        check_hears(fast, i);
    }
    CHECK_INT(hear(slow, &value), -EOVERFLOW);
    CHECK_INT(skua_subscriber_missed(slow), 7);
    check_hears(slow, 7);
    CHECK_INT(tell(broadcast, 10), 2);
    check_hears(slow, 8);
    check_hears(slow, 9);
    check_hears(slow, 10);
    CHECK_INT(hear(slow, &value), -EAGAIN);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(tell(broadcast, i), 2);
    }
    skua_broadcast_close(broadcast);
    CHECK_INT(hear(slow, &value), -EOVERFLOW);
    CHECK_INT(skua_subscriber_missed(slow), 8);
    for (int i = 1; i < 4; i++) {
        check_hears(slow, i);
    }
    CHECK_INT(hear(slow, &value), 0);
    CHECK_INT(skua_subscriber_missed(fast), 0);
    skua_subscriber_release(slow);
    skua_subscriber_release(fast);
    skua_broadcast_destroy(broadcast);
}

static int lapped_in_task(void *arg)
{
    who_is_lapped_is_told(NULL);
    return 0;
}

/* covers: B26 */
static void who_is_too_slow_learns_how_much_it_missed(void **state)
{
    who_is_lapped_is_told(NULL);
    run_on_1_2_4(lapped_in_task);
}

typedef struct listener {
    skua_subscriber *subscriber;
    _Atomic int sum, status;
    _Atomic int *heard;
} listener;

static int listen_all(void *arg)
{
    listener *self = arg;
    int value, status, expected = 0;
    while ((status = skua_subscriber_next(self->subscriber, SKUA_ITEM(value), SKUA_FOREVER)) == 1) {
        CHECK_INT(value, expected);
        expected++;
        self->sum += value;
        atomic_fetch_add(self->heard, 1);
    }
    self->status = status;
    return status;
}

static int listeners_wait(void *arg)
{
    enum { COUNT = 50, ITEMS = 40 };
    skua_broadcast *broadcast = make_broadcast(1); /* who waits is never lapped */
    static listener listeners[COUNT];
    skua_task *tasks[COUNT];
    _Atomic int heard = 0;
    for (int i = 0; i < COUNT; i++) {
        listeners[i] = (listener){.subscriber = subscribe(broadcast), .heard = &heard};
        tasks[i] = spawn(listen_all, &listeners[i]);
    }
    for (int i = 0; i < ITEMS; i++) {
        CHECK_INT(tell(broadcast, i), COUNT);
        await(&heard, (i + 1) * COUNT);
    }
    skua_broadcast_close(broadcast);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(finish(tasks[i]), 0);
        CHECK_INT(listeners[i].sum, ITEMS * (ITEMS - 1) / 2);
        skua_subscriber_release(listeners[i].subscriber);
    }
    skua_broadcast_destroy(broadcast);
    return 0;
}

static void those_who_wait_are_handed_the_item(void **state)
{
    run_on_1_2_4(listeners_wait);
}

/* Several tasks at one subscriber: each item goes to one of them. */
typedef struct shared {
    skua_subscriber *subscriber;
    _Atomic int seen[1000], missed_calls;
} shared;

static int take_shared(void *arg)
{
    shared *self = arg;
    int value, status;
    while ((status = skua_subscriber_next(self->subscriber, SKUA_ITEM(value), SKUA_FOREVER)) != 0) {
        CHECK_INT(status, 1);
        atomic_fetch_add(&self->seen[value], 1);
    }
    return 0;
}

static int share_a_subscriber(void *arg)
{
    static shared self;
    memset(&self, 0, sizeof self);
    skua_broadcast *broadcast = make_broadcast(1000);
    self.subscriber = subscribe(broadcast);
    skua_task *tasks[4];
    for (int i = 0; i < 4; i++) {
        tasks[i] = spawn(take_shared, &self);
    }
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(tell(broadcast, i), 1);
        if (i % 10 == 0) {
            (void)skua_yield();
        }
    }
    skua_broadcast_close(broadcast);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(self.seen[i], 1);
    }
    skua_subscriber_release(self.subscriber);
    skua_broadcast_destroy(broadcast);
    return 0;
}

static void tasks_share_a_subscriber(void **state)
{
    run_on_1_2_4(share_a_subscriber);
}

/* A cancelled receiver loses nothing: who asks next gets the item. */
static int cancel_listeners(void *arg)
{
    skua_broadcast *broadcast = make_broadcast(2);
    listener self = {.subscriber = subscribe(broadcast)};
    _Atomic int heard = 0;
    self.heard = &heard;
    for (int i = 0; i < 300; i++) {
        atomic_store(&heard, 0);
        skua_task *task = spawn(listen_all, &self);
        if (i % 2 == 0) {
            let_it_wait();
        }
        skua_task_cancel(task);
        CHECK_INT(tell(broadcast, 0), 1);
        CHECK_INT(finish(task), -ECANCELED);
        if (heard == 0) {
            check_hears(self.subscriber, 0);
        }
        int value;
        CHECK_INT(hear(self.subscriber, &value), -EAGAIN);
    }
    skua_subscriber_release(self.subscriber);
    skua_broadcast_destroy(broadcast);
    return 0;
}

static void a_cancel_loses_no_item(void **state)
{
    run_on_1_2_4(cancel_listeners);
}

/* Subscribers come and go while items are sent; what each sees has no gaps. */
typedef struct visitor {
    skua_broadcast *broadcast;
    gate *stop;
} visitor;

static int come_and_go(void *arg)
{
    const visitor *self = arg;
    while (atomic_load(self->stop) == 0) {
        skua_subscriber *subscriber = subscribe(self->broadcast);
        int last = -1;
        for (int i = 0; i < 20; i++) {
            int value, status = skua_subscriber_next(subscriber, SKUA_ITEM(value), SKUA_FOREVER);
            if (status == 0) {
                break;
            }
            CHECK(status == 1 || status == -EOVERFLOW);
            CHECK(status != 1 || last < 0 || value == last + 1);
            last = status == 1 ? value : -1;
        }
        skua_subscriber_release(subscriber);
    }
    return 0;
}

static int visitors(void *arg)
{
    gate stop = 0;
    visitor self = {.broadcast = make_broadcast(8), .stop = &stop};
    skua_task *tasks[5];
    for (int i = 0; i < 5; i++) {
        tasks[i] = spawn(come_and_go, &self);
    }
    for (int i = 0; i < 2000; i++) {
        CHECK(tell(self.broadcast, i) >= 0);
        if (i % 5 == 0) {
            (void)skua_yield();
        }
    }
    atomic_store(&stop, 1);
    skua_broadcast_close(self.broadcast);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    skua_broadcast_destroy(self.broadcast);
    return 0;
}

static void subscribers_come_and_go(void **state)
{
    run_on_1_2_4(visitors);
}

/* --- watch ------------------------------------------------------------------------------------ */

static skua_watch *make_watch(int value)
{
    skua_watch *watch = NULL;
    CHECK_INT(skua_watch_create(&watch, SKUA_ITEM(value)), 0);
    return watch;
}

static void set(skua_watch *watch, int value)
{
    CHECK_INT(skua_watch_set(watch, SKUA_ITEM(value)), 0);
}

static int look_now(skua_watch *watch, uint64_t *version, int *value)
{
    return skua_watch_wait(watch, version, SKUA_ITEM(*value), SKUA_NOW);
}

static int versions(void *arg)
{
    int value = 0;
    uint64_t version = 0;
    skua_watch *watch = make_watch(10);
    CHECK_INT(look_now(watch, &version, &value), 1);
    CHECK_INT(value, 10);
    CHECK_INT(version, 1);
    CHECK_INT(look_now(watch, &version, &value), -EAGAIN);
    CHECK_INT(skua_watch_wait(watch, &version, SKUA_ITEM(value), skua_after(SKUA_MS(1))),
              -ETIMEDOUT);
    set(watch, 11);
    set(watch, 12);
    CHECK_INT(look_now(watch, &version, &value), 1);
    CHECK_INT(value, 12); /* 11 went unseen */
    CHECK_INT(version, 3);
    value = 0;
    CHECK_INT(skua_watch_get(watch, SKUA_ITEM(value)), 3);
    CHECK_INT(value, 12);
    set(watch, 13);
    skua_watch_close(watch);
    CHECK_INT(skua_watch_set(watch, SKUA_ITEM(value)), -EPIPE);
    CHECK_INT(look_now(watch, &version, &value), 1); /* the last one first */
    CHECK_INT(value, 13);
    CHECK_INT(look_now(watch, &version, &value), 0);
    CHECK_INT(skua_watch_wait(watch, &version, SKUA_ITEM(value), SKUA_FOREVER), 0);
    CHECK_INT(skua_watch_get(watch, SKUA_ITEM(value)), 4);
    skua_watch_destroy(watch);
    return 0;
}

/* covers: B26 */
static void a_watch_has_the_latest_value(void **state)
{
    versions(NULL);
    run_on_1_2_4(versions);
}

typedef struct reader {
    skua_watch *watch;
    _Atomic int seen; /* the last value */
    int status;
} reader;

static int read_on(void *arg)
{
    reader *self = arg;
    uint64_t version = 0;
    int value, status, last = -1;
    while ((status = skua_watch_wait(self->watch, &version, SKUA_ITEM(value), SKUA_FOREVER)) == 1) {
        CHECK(value > last);
        last = value;
        atomic_store(&self->seen, value);
    }
    return self->status = status;
}

static int many_readers(void *arg)
{
    enum { COUNT = 60, VALUES = 100 };
    static reader readers[COUNT];
    skua_task *tasks[COUNT];
    skua_watch *watch = make_watch(0);
    for (int i = 0; i < COUNT; i++) {
        readers[i] = (reader){.watch = watch};
        tasks[i] = spawn(read_on, &readers[i]);
    }
    for (int value = 1; value <= VALUES; value++) {
        set(watch, value);
        if (value % 10 == 0) {
            for (int i = 0; i < COUNT; i++) {
                await(&readers[i].seen, value); /* all see the latest, sooner or later */
            }
        }
    }
    skua_task_cancel(tasks[0]);
    CHECK_INT(finish(tasks[0]), -ECANCELED);
    skua_watch_close(watch);
    for (int i = 1; i < COUNT; i++) {
        CHECK_INT(finish(tasks[i]), 0);
        CHECK_INT(readers[i].seen, VALUES);
    }
    skua_watch_destroy(watch);
    return 0;
}

static void many_read_a_watch(void **state)
{
    run_on_1_2_4(many_readers);
}

/* --- one-shot --------------------------------------------------------------------------------- */

static skua_oneshot *make_oneshot(void)
{
    skua_oneshot *oneshot = NULL;
    CHECK_INT(skua_oneshot_create(&oneshot, sizeof(int)), 0);
    return oneshot;
}

static int answer(void *arg)
{
    int value = 42;
    return skua_oneshot_send(arg, SKUA_ITEM(value));
}

static int say_nothing(void *arg)
{
    skua_oneshot_release(arg, SKUA_SENDER);
    return 0;
}

static int once(void *arg)
{
    int value = 0;
    skua_oneshot *oneshot = make_oneshot();
    CHECK_INT(skua_oneshot_recv(oneshot, SKUA_ITEM(value), SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_oneshot_recv(oneshot, SKUA_ITEM(value), skua_after(SKUA_MS(1))), -ETIMEDOUT);
    CHECK_INT(answer(oneshot), 0);
    CHECK_INT(skua_oneshot_recv(oneshot, SKUA_ITEM(value), SKUA_NOW), 1);
    CHECK_INT(value, 42);
    CHECK_INT(skua_oneshot_recv(oneshot, SKUA_ITEM(value), SKUA_FOREVER), 0);
    skua_oneshot_close(oneshot); /* harmless after the value */
    CHECK_INT(skua_oneshot_recv(oneshot, SKUA_ITEM(value), SKUA_FOREVER), 0);
    skua_oneshot_release(oneshot, SKUA_RECEIVER);

    oneshot = make_oneshot(); /* closed first: no value comes */
    skua_oneshot_close(oneshot);
    CHECK_INT(answer(oneshot), -EPIPE);
    CHECK_INT(skua_oneshot_recv(oneshot, SKUA_ITEM(value), SKUA_NOW), 0);
    skua_oneshot_release(oneshot, SKUA_RECEIVER);

    oneshot = make_oneshot(); /* closed between the two: the value can be had */
    CHECK_INT(answer(oneshot), 0);
    skua_oneshot_close(oneshot);
    CHECK_INT(skua_oneshot_recv(oneshot, SKUA_ITEM(value), SKUA_NOW), 1);
    skua_oneshot_release(oneshot, SKUA_RECEIVER);

    oneshot = make_oneshot();
    skua_oneshot_release(oneshot, SKUA_RECEIVER);
    CHECK_INT(answer(oneshot), -EPIPE);

    oneshot = make_oneshot(); /* a value that nobody takes goes with it */
    CHECK_INT(answer(oneshot), 0);
    skua_oneshot_release(oneshot, SKUA_RECEIVER);
    skua_oneshot_release(NULL, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

/* covers: B26 D22 */
static void a_one_shot_carries_one_value(void **state)
{
    once(NULL);
    run_on_1_2_4(once);
}

static int wait_for_answer(void *arg)
{
    for (int i = 0; i < 200; i++) {
        int value = 0;
        skua_oneshot *oneshot = make_oneshot();
        skua_task *task = spawn(i % 4 == 0 ? say_nothing : answer, oneshot);
        int status;
        if (i % 2 == 0) {
            status = skua_oneshot_recv(oneshot, SKUA_ITEM(value), SKUA_FOREVER);
        } else {
            skua_case cases[] = {SKUA_RECV(oneshot, value)};
            CHECK_INT(skua_select(cases, 1, 0, SKUA_FOREVER), 0);
            status = cases[0].result;
        }
        CHECK_INT(status, i % 4 != 0);
        CHECK_INT(value, i % 4 != 0 ? 42 : 0);
        skua_oneshot_release(oneshot, SKUA_RECEIVER);
        CHECK_INT(finish(task), 0);
    }
    return 0;
}

static void an_answer_is_waited_for(void **state)
{
    run_on_1_2_4(wait_for_answer);
}

/* A cancelled sender still sends: the call does not wait, and so is not cancelled. */
static int answer_when_cancelled(void *arg)
{
    skua_task_cancel(skua_self());
    return answer(arg);
}

static int cancelled_sender(void *arg)
{
    int value = 0;
    skua_oneshot *oneshot = make_oneshot();
    skua_task *task = spawn(answer_when_cancelled, oneshot);
    CHECK_INT(skua_oneshot_recv(oneshot, SKUA_ITEM(value), SKUA_FOREVER), 1);
    CHECK_INT(value, 42);
    CHECK_INT(finish(task), 0);
    skua_oneshot_release(oneshot, SKUA_RECEIVER);
    return 0;
}

static void a_cancelled_task_can_answer(void **state)
{
    run_on_1_2_4(cancelled_sender);
}

/* --- threads, forks --------------------------------------------------------------------------- */

static void *listen_on_thread(void *arg)
{
    return listen_all(arg) == 0 ? NULL : arg;
}

static void *read_on_thread(void *arg)
{
    return read_on(arg) == 0 ? NULL : arg;
}

static int with_threads(void *arg)
{
    skua_broadcast *broadcast = make_broadcast(100);
    skua_watch *watch = make_watch(0);
    _Atomic int heard = 0;
    listener ears = {.subscriber = subscribe(broadcast), .heard = &heard};
    reader eyes = {.watch = watch};
    pthread_t threads[2];
    CHECK_INT(pthread_create(&threads[0], NULL, listen_on_thread, &ears), 0);
    CHECK_INT(pthread_create(&threads[1], NULL, read_on_thread, &eyes), 0);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(tell(broadcast, i), 1);
        set(watch, i + 1);
        if (i % 4 == 0) {
            await(&heard, i + 1);
            await(&eyes.seen, i + 1);
        }
    }
    skua_broadcast_close(broadcast);
    skua_watch_close(watch);
    CHECK_INT(pthread_join(threads[0], NULL), 0);
    CHECK_INT(pthread_join(threads[1], NULL), 0);
    CHECK_INT(ears.status, 0);
    CHECK_INT(eyes.seen, 20);
    skua_subscriber_release(ears.subscriber);
    skua_broadcast_destroy(broadcast);
    skua_watch_destroy(watch);
    return 0;
}

static void threads_take_part(void **state)
{
    run_on_1_2_4(with_threads);
}

static int all_shut_down(skua_broadcast *broadcast, skua_subscriber *subscriber, skua_watch *watch,
                         skua_oneshot *oneshot)
{
    int value = 0;
    uint64_t version = 0;
    skua_subscriber *other;
    return tell(broadcast, 1) != -ESHUTDOWN || hear(subscriber, &value) != -ESHUTDOWN ||
           skua_broadcast_subscribe(broadcast, &other) != -ESHUTDOWN ||
           skua_broadcast_create(&broadcast, 4, 4) != -ESHUTDOWN ||
           skua_watch_set(watch, SKUA_ITEM(value)) != -ESHUTDOWN ||
           look_now(watch, &version, &value) != -ESHUTDOWN ||
           skua_watch_get(watch, SKUA_ITEM(value)) != 0 ||
           skua_watch_create(&watch, SKUA_ITEM(value)) != -ESHUTDOWN ||
           skua_oneshot_recv(oneshot, SKUA_ITEM(value), SKUA_NOW) != -ESHUTDOWN ||
           skua_oneshot_send(oneshot, SKUA_ITEM(value)) != -ESHUTDOWN ||
           skua_oneshot_create(&oneshot, 4) != -ESHUTDOWN;
}

static void forked_child(void **state)
{
    skua_broadcast *broadcast = make_broadcast(1);
    skua_subscriber *subscriber = subscribe(broadcast);
    skua_watch *watch = make_watch(1);
    skua_oneshot *oneshot = make_oneshot();
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20 * TEST_SCALE);
        _exit(all_shut_down(broadcast, subscriber, watch, oneshot));
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    skua_subscriber_release(subscriber);
    skua_broadcast_destroy(broadcast);
    skua_watch_destroy(watch);
    skua_oneshot_release(oneshot, SKUA_SENDER | SKUA_RECEIVER);
}

static void bad_sizes(void **state)
{
    skua_broadcast *broadcast = NULL;
    skua_watch *watch = NULL;
    skua_oneshot *oneshot = NULL;
    CHECK_INT(skua_broadcast_create(&broadcast, 4, 0), -EINVAL);
    CHECK_INT(skua_broadcast_create(&broadcast, 64 * 1024 + 1, 1), -EINVAL);
    CHECK_INT(skua_broadcast_create(&broadcast, 8, SIZE_MAX / 4), -EINVAL);
    CHECK_INT(skua_watch_create(&watch, NULL, 64 * 1024 + 1), -EINVAL);
    CHECK_INT(skua_oneshot_create(&oneshot, 64 * 1024 + 1), -EINVAL);
    CHECK(broadcast == NULL && watch == NULL && oneshot == NULL);
    /* Nothing is a size too. */
    CHECK_INT(skua_watch_create(&watch, NULL, 0), 0);
    CHECK_INT(skua_watch_set(watch, NULL, 0), 0);
    CHECK_INT(skua_watch_get(watch, NULL, 0), 2);
    skua_watch_destroy(watch);
    skua_watch_destroy(NULL);
    skua_broadcast_destroy(NULL);
    skua_subscriber_release(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_subscriber_sees_every_item),
        TEST(who_is_too_slow_learns_how_much_it_missed),
        TEST(those_who_wait_are_handed_the_item),
        TEST(tasks_share_a_subscriber),
        TEST(a_cancel_loses_no_item),
        TEST(subscribers_come_and_go),
        TEST(a_watch_has_the_latest_value),
        TEST(many_read_a_watch),
        TEST(a_one_shot_carries_one_value),
        TEST(an_answer_is_waited_for),
        TEST(a_cancelled_task_can_answer),
        TEST(threads_take_part),
        TEST(forked_child),
        TEST(bad_sizes),
    };
    return TEST_RUN(tests);
}
