/* Queues of work as programs use them: who waits goes on at the very moment it can, whatever the
   schedule; who has left is passed over; nothing is lost to a cancel, and nobody is forgotten at
   the end. */
#include "schedules.h"

#include <skua/group.h>
#include <skua/queue.h>

static skua_queue *make(size_t capacity)
{
    const skua_queue_opts opts = {.item_bytes = sizeof(int), .capacity = capacity, .name = "test"};
    skua_queue *queue = NULL;
    CHECK_INT(skua_queue_create(&queue, &opts), 0);
    return queue;
}

static skua_queue_statistics stats(const skua_queue *queue)
{
    skua_queue_statistics now;
    skua_queue_stats(queue, &now);
    return now;
}

static void put_now(skua_queue *queue, int value)
{
    CHECK_INT(skua_queue_put(queue, SKUA_ITEM(value), SKUA_NOW), 0);
}

static void check_next(skua_queue *queue, int want)
{
    int value = -1;
    CHECK_INT(skua_queue_get(queue, SKUA_ITEM(value), SKUA_NOW), 1);
    CHECK_INT(value, want);
}

/* One call in a task, and the moment when it returned. */
typedef struct visit {
    skua_queue *queue;
    skua_time deadline, end;
    int value, status;
    skua_task *task;
} visit;

static int do_get(void *arg)
{
    visit *self = arg;
    self->status = skua_queue_get(self->queue, SKUA_ITEM(self->value), self->deadline);
    self->end = skua_clock();
    return self->status;
}

static int do_put(void *arg)
{
    visit *self = arg;
    self->status = skua_queue_put(self->queue, SKUA_ITEM(self->value), self->deadline);
    self->end = skua_clock();
    return self->status;
}

static int do_join(void *arg)
{
    visit *self = arg;
    self->status = skua_queue_join(self->queue, self->deadline);
    self->end = skua_clock();
    return self->status;
}

/* Starts it, and returns when it waits. */
static void start_waiting(visit *self, skua_queue *queue, skua_fn fn, int value)
{
    *self = (visit){.queue = queue, .value = value};
    self->task = spawn(fn, self);
    settle();
}

static void check_ended_at(visit *self, int status, skua_time begin, int64_t ms)
{
    CHECK_INT(finish(self->task), status);
    CHECK_INT(self->end.ns - begin.ns, SKUA_MS(ms));
}

/* --- waiting --- */

static int wait_a_while(void *arg)
{
    const skua_time begin = skua_clock();
    skua_queue *queue = make(1);
    visit getter, putter;
    start_waiting(&getter, queue, do_get, -1);
    sleep_ms(5);
    put_now(queue, 1);
    check_ended_at(&getter, 1, begin, 5);
    CHECK_INT(getter.value, 1);
    put_now(queue, 2);
    start_waiting(&putter, queue, do_put, 3);
    sleep_ms(5);
    check_next(queue, 2);
    check_ended_at(&putter, 0, begin, 10);
    check_next(queue, 3);
    skua_queue_destroy(queue);
    return 0;
}

/* covers: A54 D1 D2 */
static void a_wait_ends_at_the_moment_of_the_other_side(void **state)
{
    in_all_schedules(wait_a_while);
}

/* A fast producer and a slow consumer over a queue of two: the producer is held back to the pace
   of the consumer, always three items ahead of it. */
static int produce_ten(void *arg)
{
    visit *self = arg;
    for (int i = 0; i < 10; i++) {
        CHECK_INT(skua_queue_put(self->queue, SKUA_ITEM(i), SKUA_FOREVER), 0);
    }
    skua_queue_close(self->queue, true);
    self->end = skua_clock();
    return 0;
}

static int held_back(void *arg)
{
    const skua_time begin = skua_clock();
    visit producer = {.queue = make(2)};
    producer.task = spawn(produce_ten, &producer);
    int value, count = 0;
    while (skua_queue_get(producer.queue, SKUA_ITEM(value), SKUA_FOREVER) == 1) {
        CHECK_INT(value, count++);
        sleep_ms(10);
    }
    CHECK_INT(count, 10);
    check_ms_since(begin, 100);
    check_ended_at(&producer, 0, begin, 70);
    CHECK_INT(stats(producer.queue).peak, 2);
    skua_queue_destroy(producer.queue);
    return 0;
}

/* covers: A54 A88 */
static void a_slow_consumer_holds_its_producer_back(void **state)
{
    in_all_schedules(held_back);
}

/* --- what is unfinished --- */

typedef struct team {
    skua_queue *queue;
    _Atomic int sum, taken;
    _Atomic int64_t last_mark_ns;
} team;

static int work_and_mark(void *arg)
{
    team *self = arg;
    int value;
    while (skua_queue_get(self->queue, SKUA_ITEM(value), SKUA_FOREVER) == 1) {
        sleep_ms(1 + value % 3);
        self->sum += value;
        self->taken++;
        self->last_mark_ns = skua_clock().ns;
        skua_queue_done(self->queue);
    }
    return 0;
}

/* The queue is empty for some time before the join ends: what was taken is still worked on. */
static int join_hundred(void *arg)
{
    team all = {.queue = make(0)};
    skua_task *workers[2] = {spawn(work_and_mark, &all), spawn(work_and_mark, &all)};
    CHECK_INT(skua_queue_join(all.queue, SKUA_NOW), 0);
    for (int i = 0; i < 100; i++) {
        put_now(all.queue, i);
    }
    CHECK_INT(skua_queue_join(all.queue, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_queue_join(all.queue, SKUA_FOREVER), 0);
    CHECK_INT(skua_clock().ns, all.last_mark_ns);
    CHECK_INT(all.taken, 100);
    CHECK_INT(all.sum, 4950);
    CHECK_INT(stats(all.queue).unfinished, 0);
    skua_queue_close(all.queue, true);
    CHECK_INT(finish(workers[0]), 0);
    CHECK_INT(finish(workers[1]), 0);
    skua_queue_destroy(all.queue);
    return 0;
}

/* covers: A55 D5 */
static void join_returns_with_the_last_of_a_hundred_marks(void **state)
{
    in_all_schedules(join_hundred);
}

/* --- closing --- */

/* asyncio raises in the getter, where we have the end of the queue, which is no failure: 0. */
static int close_on_getters(void *arg)
{
    for (int drains = 0; drains < 2; drains++) {
        const skua_time begin = skua_clock();
        skua_queue *queue = make(2);
        visit getters[3];
        for (int i = 0; i < 3; i++) {
            start_waiting(&getters[i], queue, do_get, 77);
        }
        sleep_ms(5);
        skua_queue_close(queue, drains);
        for (int i = 0; i < 3; i++) {
            check_ended_at(&getters[i], 0, begin, 5);
            CHECK_INT(getters[i].value, 77);
        }
        for (int i = 0; i < 3; i++) { /* and it stays so */
            int value = i;
            CHECK_INT(skua_queue_get(queue, SKUA_ITEM(value), SKUA_FOREVER), 0);
            CHECK_INT(skua_queue_put(queue, SKUA_ITEM(value), SKUA_FOREVER), -ESHUTDOWN);
        }
        CHECK_INT(skua_queue_join(queue, SKUA_FOREVER), 0);
        skua_queue_destroy(queue);
    }
    return 0;
}

/* covers: B3 D7 */
static void close_ends_all_who_wait_for_items(void **state)
{
    in_all_schedules(close_on_getters);
}

static int close_on_putters(void *arg)
{
    for (int drains = 0; drains < 2; drains++) {
        const skua_time begin = skua_clock();
        skua_queue *queue = make(2);
        visit putters[3], joiner;
        put_now(queue, 0);
        put_now(queue, 1);
        for (int i = 0; i < 3; i++) {
            start_waiting(&putters[i], queue, do_put, 2 + i);
        }
        start_waiting(&joiner, queue, do_join, 0);
        sleep_ms(5);
        skua_queue_close(queue, drains);
        for (int i = 0; i < 3; i++) {
            check_ended_at(&putters[i], -ESHUTDOWN, begin, 5);
        }
        for (int i = 0; drains && i < 2; i++) {
            check_next(queue, i);
            sleep_ms(5);
            CHECK_INT(skua_task_state(joiner.task), SKUA_RUNNING);
            skua_queue_done(queue);
        }
        check_ended_at(&joiner, 0, begin, drains ? 15 : 5);
        CHECK_INT(stats(queue).dropped, drains ? 0 : 2);
        skua_queue_destroy(queue);
    }
    return 0;
}

/* covers: B3 D8 */
static void close_refuses_putters_and_drains_or_drops(void **state)
{
    in_all_schedules(close_on_putters);
}

/* --- leaving --- */

static int wait_a_millisecond(void *arg)
{
    visit *self = arg;
    self->deadline = skua_after(SKUA_MS(1));
    return self->value < 0 ? do_get(self) : do_put(self);
}

static int wait_within_a_limit(void *arg)
{
    visit *self = arg;
    return skua_within(skua_after(SKUA_MS(2)), self->value < 0 ? do_get : do_put, self);
}

static size_t waiting(skua_queue *queue)
{
    const skua_queue_statistics now = stats(queue);
    return now.getters + now.putters;
}

/* Of four in a line the first three leave, each in another way; the fourth is served. */
static void leave_and_be_served(skua_queue *queue, skua_fn plain, int first)
{
    const skua_time begin = skua_clock();
    visit visits[4];
    start_waiting(&visits[0], queue, wait_a_millisecond, first);
    start_waiting(&visits[1], queue, wait_within_a_limit, first);
    start_waiting(&visits[2], queue, plain, first);
    start_waiting(&visits[3], queue, plain, first < 0 ? first : first + 3);
    CHECK_INT(waiting(queue), 4);
    check_ended_at(&visits[0], -ETIMEDOUT, begin, 1);
    CHECK_INT(waiting(queue), 3);
    check_ended_at(&visits[1], -ETIMEDOUT, begin, 2);
    CHECK_INT(visits[1].status, -ECANCELED);
    CHECK_INT(waiting(queue), 2);
    skua_task_cancel(visits[2].task);
    check_ended_at(&visits[2], -ECANCELED, begin, 2);
    CHECK_INT(waiting(queue), 1);
    if (first < 0) {
        put_now(queue, 9);
        check_ended_at(&visits[3], 1, begin, 2);
        CHECK_INT(visits[3].value, 9);
    } else {
        check_next(queue, 0);
        check_ended_at(&visits[3], 0, begin, 2);
        check_next(queue, first + 3);
    }
    CHECK_INT(waiting(queue), 0);
    CHECK_INT(stats(queue).count, 0);
}

static int leave_the_line(void *arg)
{
    skua_queue *queue = make(1);
    leave_and_be_served(queue, do_get, -1);
    put_now(queue, 0);
    leave_and_be_served(queue, do_put, 1);
    skua_queue_destroy(queue);
    return 0;
}

/* covers: A57 D9 */
static void who_has_left_is_passed_over(void **state)
{
    in_all_schedules(leave_the_line);
}

/* --- consumers that are cancelled --- */

/* The usual end of a team: join, then cancel those who wait for more. */
static int cancel_after_join(void *arg)
{
    team all = {.queue = make(5)};
    SKUA_GROUP(consumers);
    skua_group_open(&consumers, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(skua_group_spawn(&consumers, work_and_mark, &all), 0);
    }
    for (int i = 0; i < 20; i++) {
        CHECK_INT(skua_queue_put(all.queue, SKUA_ITEM(i), SKUA_FOREVER), 0);
    }
    CHECK_INT(skua_queue_join(all.queue, SKUA_FOREVER), 0);
    settle();
    CHECK_INT(stats(all.queue).getters, 3);
    skua_group_cancel(&consumers);
    CHECK_INT(skua_group_close(&consumers, 0), 0);
    CHECK_INT(all.sum, 190);
    CHECK_INT(stats(all.queue).getters, 0);
    put_now(all.queue, 7); /* nobody of them takes it */
    check_next(all.queue, 7);
    skua_queue_done(all.queue);
    skua_queue_destroy(all.queue);
    return 0;
}

/* covers: A55 A57 A88 */
static void consumers_are_cancelled_after_the_join(void **state)
{
    in_all_schedules(cancel_after_join);
}

/* Consumers come and are cancelled while two producers put: each item is taken once, or still
   there. */
enum { MANY = 60 };
typedef struct market {
    skua_queue *queue;
    _Atomic int next, seen[MANY];
} market;

static int put_thirty(void *arg)
{
    market *self = arg;
    for (int i = 0; i < MANY / 2; i++) {
        const int value = atomic_fetch_add(&self->next, 1);
        CHECK_INT(skua_queue_put(self->queue, SKUA_ITEM(value), SKUA_FOREVER), 0);
    }
    return 0;
}

static int take_until_cancelled(void *arg)
{
    market *self = arg;
    int value, status;
    while ((status = skua_queue_get(self->queue, SKUA_ITEM(value), SKUA_FOREVER)) == 1) {
        atomic_fetch_add(&self->seen[value], 1);
    }
    return status;
}

static int cancel_at_any_moment(void *arg)
{
    market all = {.queue = make(2)};
    skua_task *producers[2] = {spawn(put_thirty, &all), spawn(put_thirty, &all)};
    uint64_t random = skua_test_seed() + 1;
    while (skua_task_state(producers[0]) == SKUA_RUNNING ||
           skua_task_state(producers[1]) == SKUA_RUNNING) {
        skua_task *consumer = spawn(take_until_cancelled, &all);
        for (uint64_t i = test_random(&random) % 4; i > 0; i--) {
            (void)skua_yield();
        }
        skua_task_cancel(consumer);
        CHECK_INT(finish(consumer), -ECANCELED);
    }
    CHECK_INT(finish(producers[0]), 0);
    CHECK_INT(finish(producers[1]), 0);
    skua_queue_close(all.queue, true);
    CHECK_INT(take_until_cancelled(&all), 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_INT(all.seen[i], 1);
    }
    skua_queue_destroy(all.queue);
    return 0;
}

/* covers: A54 A57 */
static void consumers_that_are_cancelled_lose_no_item(void **state)
{
    in_all_schedules(cancel_at_any_moment);
}

/* --- sentinels --- */

/* One null for a whole team: who gets it puts it back for the next one. */
typedef struct shift {
    skua_queue *queue; /* int * */
    _Atomic int sum;
} shift;

static int work_until_null(void *arg)
{
    shift *self = arg;
    for (;;) {
        int *item;
        CHECK_INT(skua_queue_get(self->queue, SKUA_ITEM(item), SKUA_FOREVER), 1);
        if (item == NULL) {
            return skua_queue_put(self->queue, SKUA_ITEM(item), SKUA_FOREVER);
        }
        sleep_ms(1);
        atomic_fetch_add(&self->sum, *item);
    }
}

static int null_goes_round(void *arg)
{
    int numbers[12];
    shift self = {0};
    const skua_queue_opts opts = {.item_bytes = sizeof(int *), .capacity = 3};
    CHECK_INT(skua_queue_create(&self.queue, &opts), 0);
    skua_task *tasks[4];
    for (int i = 0; i < 4; i++) {
        tasks[i] = spawn(work_until_null, &self);
    }
    for (int i = 0; i <= 12; i++) {
        int *item = i < 12 ? &numbers[i] : NULL;
        if (item != NULL) {
            *item = i;
        }
        CHECK_INT(skua_queue_put(self.queue, SKUA_ITEM(item), SKUA_FOREVER), 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(self.sum, 66);
    CHECK_INT(stats(self.queue).count, 1); /* the null */
    skua_queue_destroy(self.queue);
    return 0;
}

/* covers: A56 A88 */
static void one_null_that_is_passed_on_ends_a_team(void **state)
{
    in_all_schedules(null_goes_round);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_wait_ends_at_the_moment_of_the_other_side),
        TEST(a_slow_consumer_holds_its_producer_back),
        TEST(join_returns_with_the_last_of_a_hundred_marks),
        TEST(close_ends_all_who_wait_for_items),
        TEST(close_refuses_putters_and_drains_or_drops),
        TEST(who_has_left_is_passed_over),
        TEST(consumers_are_cancelled_after_the_join),
        TEST(consumers_that_are_cancelled_lose_no_item),
        TEST(one_null_that_is_passed_on_ends_a_team),
    };
    return TEST_RUN(tests);
}
