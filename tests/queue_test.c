/* Queues of work: waiting, counting what is unfinished, closing, cancelling. */
#include "tasks.h"

#include <pthread.h>
#include <skua/queue.h>
#include <sys/wait.h>

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

static int put(skua_queue *queue, int value, skua_time deadline)
{
    return skua_queue_put(queue, SKUA_ITEM(value), deadline);
}

static int get(skua_queue *queue, int *value, skua_time deadline)
{
    return skua_queue_get(queue, SKUA_ITEM(*value), deadline);
}

static void put_now(skua_queue *queue, int value)
{
    CHECK_INT(put(queue, value, SKUA_NOW), 0);
}

static void check_next(skua_queue *queue, int want)
{
    int value = -1;
    CHECK_INT(get(queue, &value, SKUA_NOW), 1);
    CHECK_INT(value, want);
}

static void check_ended(skua_queue *queue)
{
    int value = 77;
    CHECK_INT(get(queue, &value, SKUA_FOREVER), 0);
    CHECK_INT(get(queue, &value, SKUA_NOW), 0);
    CHECK_INT(value, 77);
    CHECK_INT(put(queue, 1, SKUA_FOREVER), -ESHUTDOWN);
    CHECK_INT(put(queue, 1, SKUA_NOW), -ESHUTDOWN);
}

enum whom { GETTERS, PUTTERS, JOINERS };

static size_t waiting(skua_queue *queue, enum whom whom)
{
    const skua_queue_statistics now = stats(queue);
    return whom == GETTERS ? now.getters : whom == PUTTERS ? now.putters : now.joiners;
}

static void await_waiting(skua_queue *queue, enum whom whom, size_t count)
{
    while (waiting(queue, whom) != count) {
        (void)skua_yield();
    }
}

/* --- one call, in a task or a thread --- */

typedef struct call_ {
    skua_queue *queue;
    skua_time deadline;
    int value, status;
} call_;

static int do_put(void *arg)
{
    call_ *self = arg;
    return self->status = put(self->queue, self->value, self->deadline);
}

static int do_get(void *arg)
{
    call_ *self = arg;
    return self->status = get(self->queue, &self->value, self->deadline);
}

static int do_join(void *arg)
{
    call_ *self = arg;
    return self->status = skua_queue_join(self->queue, self->deadline);
}

/* The same in a thread. */
static void *on_thread_put(void *arg)
{
    return do_put(arg) < 0 ? arg : NULL;
}

static void *on_thread_get(void *arg)
{
    return do_get(arg) < 0 ? arg : NULL;
}

static void *on_thread_join(void *arg)
{
    return do_join(arg) < 0 ? arg : NULL;
}

/* --- waiting --- */

static int get_waits(void *arg)
{
    skua_queue *queue = make(0);
    call_ getter = {.queue = queue};
    skua_task *task = spawn(do_get, &getter);
    await_waiting(queue, GETTERS, 1);
    put_now(queue, 5);
    CHECK_INT(finish(task), 1);
    CHECK_INT(getter.value, 5);
    CHECK_INT(stats(queue).count, 0);
    CHECK_INT(stats(queue).unfinished, 1);
    skua_queue_destroy(queue);
    return 0;
}

/* covers: A54 D1 */
static void a_get_waits_for_a_put(void **state)
{
    run_on_1_2_4(get_waits);
}

static int put_waits(void *arg)
{
    skua_queue *queue = make(1);
    call_ putter = {.queue = queue, .value = 2};
    put_now(queue, 1);
    skua_task *task = spawn(do_put, &putter);
    await_waiting(queue, PUTTERS, 1);
    CHECK_INT(skua_task_state(task), SKUA_RUNNING);
    check_next(queue, 1);
    CHECK_INT(finish(task), 0);
    check_next(queue, 2);
    skua_queue_destroy(queue);
    return 0;
}

/* covers: A54 D2 */
static void a_put_waits_for_a_get(void **state)
{
    run_on_1_2_4(put_waits);
}

static int produce_ten(void *arg)
{
    for (int i = 0; i < 10; i++) {
        CHECK_INT(put(arg, i, SKUA_FOREVER), 0);
    }
    return 0;
}

static int blocks_at_five(void *arg)
{
    skua_queue *queue = make(5);
    skua_task *task = spawn(produce_ten, queue);
    await_waiting(queue, PUTTERS, 1);
    CHECK_INT(stats(queue).count, 5);
    for (int i = 0; i < 10; i++) {
        int value = -1;
        CHECK_INT(get(queue, &value, SKUA_FOREVER), 1);
        CHECK_INT(value, i);
    }
    CHECK_INT(finish(task), 0);
    CHECK_INT(stats(queue).peak, 5);
    CHECK_INT(stats(queue).capacity, 5);
    skua_queue_destroy(queue);
    return 0;
}

/* covers: A54 A88 */
static void a_producer_blocks_at_five(void **state)
{
    run_on_1_2_4(blocks_at_five);
}

static void try_on_queue(void)
{
    int value = 3;
    skua_queue *queue = make(1);
    CHECK_INT(get(queue, &value, SKUA_NOW), -EAGAIN);
    put_now(queue, 1);
    CHECK_INT(put(queue, 2, SKUA_NOW), -EAGAIN);
    CHECK_INT(put(queue, 2, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    check_next(queue, 1);
    CHECK_INT(get(queue, &value, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    CHECK_INT(value, 3);
    CHECK_INT(stats(queue).getters, 0);
    CHECK_INT(stats(queue).putters, 0);
    skua_queue_destroy(queue);
}

static int try_in_task(void *arg)
{
    try_on_queue();
    return 0;
}

/* covers: D3 D9 */
static void now_fails_at_once(void **state)
{
    try_on_queue();
    run_on_1_2_4(try_in_task);
}

static int waiters_in_order(void *arg)
{
    enum { COUNT = 20 };
    skua_queue *queue = make(1);
    call_ calls[COUNT];
    skua_task *tasks[COUNT];
    for (int i = 0; i < COUNT; i++) {
        calls[i] = (call_){.queue = queue};
        tasks[i] = spawn(do_get, &calls[i]);
        await_waiting(queue, GETTERS, (size_t)i + 1);
    }
    for (int i = 0; i < COUNT; i++) {
        put_now(queue, i);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(finish(tasks[i]), 1);
        CHECK_INT(calls[i].value, i);
    }
    put_now(queue, -1);
    for (int i = 0; i < COUNT; i++) {
        calls[i].value = i;
        tasks[i] = spawn(do_put, &calls[i]);
        await_waiting(queue, PUTTERS, (size_t)i + 1);
    }
    for (int i = -1; i < COUNT; i++) {
        check_next(queue, i);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    skua_queue_destroy(queue);
    return 0;
}

static void first_come_first_served(void **state)
{
    run_on_1_2_4(waiters_in_order);
}

/* --- what is unfinished --- */

typedef struct team {
    skua_queue *queue;
    _Atomic int sum, taken;
} team;

static int work_and_mark(void *arg)
{
    team *self = arg;
    int value;
    while (get(self->queue, &value, SKUA_FOREVER) == 1) {
        atomic_fetch_add(&self->sum, value);
        if (value % 7 == 0) {
            (void)skua_yield();
        }
        atomic_fetch_add(&self->taken, 1);
        skua_queue_done(self->queue);
    }
    return 0;
}

static int hundred_for_two(void *arg)
{
    team team_ = {.queue = make(0)};
    skua_task *workers[2] = {spawn(work_and_mark, &team_), spawn(work_and_mark, &team_)};
    for (int i = 0; i < 100; i++) {
        put_now(team_.queue, i);
    }
    CHECK_INT(skua_queue_join(team_.queue, SKUA_FOREVER), 0);
    CHECK_INT(team_.sum, 4950);
    CHECK_INT(team_.taken, 100);
    CHECK_INT(stats(team_.queue).unfinished, 0);
    /* They wait for more; cancelling them loses nothing. */
    await_waiting(team_.queue, GETTERS, 2);
    for (int i = 0; i < 2; i++) {
        skua_task_cancel(workers[i]);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_INT(finish(workers[i]), 0);
    }
    CHECK_INT(stats(team_.queue).getters, 0);
    put_now(team_.queue, 5);
    check_next(team_.queue, 5);
    skua_queue_done(team_.queue);
    skua_queue_destroy(team_.queue);
    return 0;
}

/* covers: A55 A57 A88 D5 D9 */
static void join_waits_for_all_marks(void **state)
{
    run_on_1_2_4(hundred_for_two);
}

static void join_empty(void **state)
{
    skua_queue *queue = make(0);
    CHECK_INT(skua_queue_join(queue, SKUA_FOREVER), 0);
    CHECK_INT(skua_queue_join(queue, SKUA_FOREVER), 0);
    CHECK_INT(skua_queue_join(queue, SKUA_NOW), 0);
    put_now(queue, 1);
    CHECK_INT(skua_queue_join(queue, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_queue_join(queue, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    check_next(queue, 1);
    CHECK_INT(skua_queue_join(queue, SKUA_NOW), -EAGAIN); /* taken is not yet done */
    skua_queue_done(queue);
    CHECK_INT(skua_queue_join(queue, SKUA_NOW), 0);
    skua_queue_destroy(queue);
}

static int join_empty_in_task(void *arg)
{
    join_empty(NULL);
    return 0;
}

/* covers: A55 D6 */
static void join_of_nothing_returns_at_once(void **state)
{
    join_empty(NULL);
    run_on_1_2_4(join_empty_in_task);
}

static int many_join(void *arg)
{
    enum { COUNT = 100 };
    skua_queue *queue = make(0);
    static call_ calls[COUNT];
    skua_task *tasks[COUNT];
    put_now(queue, 1);
    check_next(queue, 1);
    for (int i = 0; i < COUNT; i++) {
        calls[i] = (call_){.queue = queue};
        tasks[i] = spawn(do_join, &calls[i]);
    }
    await_waiting(queue, JOINERS, COUNT);
    skua_queue_done(queue);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    skua_queue_destroy(queue);
    return 0;
}

static void all_joiners_are_told(void **state)
{
    run_on_1_2_4(many_join);
}

/* --- closing --- */

static int close_empty(void *arg)
{
    for (int drain = 0; drain < 2; drain++) {
        skua_queue *queue = make(2);
        call_ getters[2] = {{.queue = queue}, {.queue = queue}};
        skua_task *tasks[2] = {spawn(do_get, &getters[0]), spawn(do_get, &getters[1])};
        await_waiting(queue, GETTERS, 2);
        skua_queue_close(queue, drain);
        CHECK_INT(finish(tasks[0]), 0);
        CHECK_INT(finish(tasks[1]), 0);
        check_ended(queue);
        CHECK(stats(queue).is_closed);
        skua_queue_close(queue, drain);
        check_ended(queue);
        CHECK_INT(skua_queue_join(queue, SKUA_FOREVER), 0);
        skua_queue_destroy(queue);
    }
    return 0;
}

/* covers: B3 D7 */
static void close_wakes_getters(void **state)
{
    run_on_1_2_4(close_empty);
}

static int close_full(void *arg)
{
    skua_queue *queue = make(1);
    call_ putter = {.queue = queue, .value = 2}, joiner = {.queue = queue};
    put_now(queue, 1);
    skua_task *put_task = spawn(do_put, &putter), *join_task = spawn(do_join, &joiner);
    await_waiting(queue, PUTTERS, 1);
    await_waiting(queue, JOINERS, 1);
    skua_queue_close(queue, true);
    CHECK_INT(finish(put_task), -ESHUTDOWN);
    CHECK_INT(skua_task_state(join_task), SKUA_RUNNING);
    check_next(queue, 1);
    CHECK_INT(skua_queue_join(queue, SKUA_NOW), -EAGAIN);
    skua_queue_done(queue);
    CHECK_INT(finish(join_task), 0);
    check_ended(queue);
    skua_queue_destroy(queue);
    return 0;
}

/* covers: B3 D8 */
static void drain_lets_the_items_out(void **state)
{
    run_on_1_2_4(close_full);
}

static int close_at_once(void *arg)
{
    skua_queue *queue = make(3);
    call_ putter = {.queue = queue, .value = 4}, joiner = {.queue = queue};
    for (int i = 0; i < 3; i++) {
        put_now(queue, i);
    }
    check_next(queue, 0);
    put_now(queue, 3);
    skua_task *put_task = spawn(do_put, &putter), *join_task = spawn(do_join, &joiner);
    await_waiting(queue, PUTTERS, 1);
    await_waiting(queue, JOINERS, 1);
    skua_queue_close(queue, false);
    CHECK_INT(finish(put_task), -ESHUTDOWN);
    check_ended(queue);
    CHECK_INT(stats(queue).dropped, 3);
    CHECK_INT(stats(queue).unfinished, 1); /* the one that was taken */
    CHECK_INT(skua_task_state(join_task), SKUA_RUNNING);
    skua_queue_done(queue);
    CHECK_INT(finish(join_task), 0);
    skua_queue_destroy(queue);
    return 0;
}

/* covers: B3 */
static void close_at_once_drops_the_items(void **state)
{
    run_on_1_2_4(close_at_once);
}

/* --- the programs of the guides: a null pointer ends a consumer --- */

typedef struct sentinels {
    skua_queue *queue; /* int * */
    _Atomic int consumed, ended;
} sentinels;

static int consume_until_null(void *arg)
{
    sentinels *self = arg;
    for (;;) {
        int *item = NULL;
        CHECK_INT(skua_queue_get(self->queue, SKUA_ITEM(item), SKUA_FOREVER), 1);
        if (item == NULL) {
            atomic_fetch_add(&self->ended, 1);
            return 0;
        }
        atomic_fetch_add(&self->consumed, *item);
    }
}

static int one_null_each(void *arg)
{
    static int numbers[30];
    sentinels self = {0};
    const skua_queue_opts opts = {.item_bytes = sizeof(int *), .capacity = 4};
    CHECK_INT(skua_queue_create(&self.queue, &opts), 0);
    skua_task *tasks[3];
    for (int i = 0; i < 3; i++) {
        tasks[i] = spawn(consume_until_null, &self);
    }
    for (int i = 0; i < 33; i++) {
        int *item = i < 30 ? &numbers[i] : NULL;
        if (item != NULL) {
            *item = i;
        }
        CHECK_INT(skua_queue_put(self.queue, SKUA_ITEM(item), SKUA_FOREVER), 0);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(self.ended, 3);
    CHECK_INT(self.consumed, 29 * 30 / 2);
    skua_queue_destroy(self.queue);
    return 0;
}

/* covers: A56 A88 */
static void null_is_an_item(void **state)
{
    run_on_1_2_4(one_null_each);
}

/* --- many on many --- */

enum { SIDES = 8, EACH = 500 };

typedef struct crowd {
    skua_queue *queue;
    _Atomic int seen[SIDES * EACH];
    int first;
} crowd;

typedef struct producer {
    crowd *crowd;
    int first;
} producer;

static int produce_each(void *arg)
{
    const producer *self = arg;
    for (int i = 0; i < EACH; i++) {
        CHECK_INT(put(self->crowd->queue, self->first + i, SKUA_FOREVER), 0);
    }
    return 0;
}

static int consume_all(void *arg)
{
    crowd *self = arg;
    int value;
    while (get(self->queue, &value, SKUA_FOREVER) == 1) {
        atomic_fetch_add(&self->seen[value], 1);
        skua_queue_done(self->queue);
    }
    return 0;
}

static int eight_on_eight(void *arg)
{
    static crowd all;
    for (int capacity = 0; capacity < 6; capacity += 5) {
        memset(&all, 0, sizeof all);
        all.queue = make((size_t)capacity);
        producer producers[SIDES];
        skua_task *tasks[2 * SIDES];
        for (int i = 0; i < SIDES; i++) {
            producers[i] = (producer){.crowd = &all, .first = i * EACH};
            tasks[i] = spawn(produce_each, &producers[i]);
            tasks[SIDES + i] = spawn(consume_all, &all);
        }
        for (int i = 0; i < SIDES; i++) {
            CHECK_INT(finish(tasks[i]), 0);
        }
        CHECK_INT(skua_queue_join(all.queue, SKUA_FOREVER), 0);
        skua_queue_close(all.queue, true);
        for (int i = 0; i < SIDES; i++) {
            CHECK_INT(finish(tasks[SIDES + i]), 0);
        }
        for (int i = 0; i < SIDES * EACH; i++) {
            CHECK_INT(all.seen[i], 1);
        }
        skua_queue_destroy(all.queue);
    }
    return 0;
}

/* covers: A54 A55 A88 */
static void eight_put_and_eight_get_exactly_once(void **state)
{
    run_on_1_2_4(eight_on_eight);
}

/* --- cancelling --- */

static int cancel_waiters(void *arg)
{
    skua_queue *queue = make(1);
    call_ getter = {.queue = queue}, putter = {.queue = queue, .value = 9},
          joiner = {.queue = queue};
    skua_task *task = spawn(do_get, &getter);
    await_waiting(queue, GETTERS, 1);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    CHECK_INT(stats(queue).getters, 0);
    put_now(queue, 1);
    task = spawn(do_put, &putter);
    skua_task *join_task = spawn(do_join, &joiner);
    await_waiting(queue, PUTTERS, 1);
    await_waiting(queue, JOINERS, 1);
    skua_task_cancel(task);
    skua_task_cancel(join_task);
    CHECK_INT(finish(task), -ECANCELED);
    CHECK_INT(finish(join_task), -ECANCELED);
    CHECK_INT(stats(queue).putters, 0);
    CHECK_INT(stats(queue).joiners, 0);
    check_next(queue, 1); /* and the 9 is not in */
    CHECK_INT(stats(queue).count, 0);
    skua_queue_done(queue);
    skua_queue_destroy(queue);
    return 0;
}

/* covers: A57 D9 */
static void cancelled_waiters_leave_nothing(void **state)
{
    run_on_1_2_4(cancel_waiters);
}

/* An item is put while its getter is cancelled: one of the two happens, and it is never lost. */
static int race_cancel(void *arg)
{
    skua_queue *queue = make(0);
    for (int i = 0; i < 300; i++) {
        call_ getter = {.queue = queue};
        skua_task *task = spawn(do_get, &getter);
        if (i % 3 != 0) {
            await_waiting(queue, GETTERS, 1);
        }
        call_ putter = {.queue = queue, .value = i};
        skua_task *put_task = spawn(do_put, &putter);
        if (i % 2 == 0) {
            (void)skua_yield();
        }
        skua_task_cancel(task);
        CHECK_INT(finish(put_task), 0);
        int got = finish(task);
        if (got == 1) {
            CHECK_INT(getter.value, i);
        } else {
            CHECK_INT(got, -ECANCELED);
            check_next(queue, i);
        }
        CHECK_INT(stats(queue).count, 0);
    }
    skua_queue_destroy(queue);
    return 0;
}

/* covers: A57 */
static void a_cancelled_get_loses_nothing(void **state)
{
    run_on_1_2_4(race_cancel);
}

/* --- threads, forks, ends --- */

static int with_threads(void *arg)
{
    skua_queue *queue = make(1);
    call_ getter = {.queue = queue}, putter = {.queue = queue, .value = 2},
          joiner = {.queue = queue};
    pthread_t threads[3];
    CHECK_INT(pthread_create(&threads[0], NULL, on_thread_get, &getter), 0);
    await_waiting(queue, GETTERS, 1);
    put_now(queue, 1);
    CHECK_INT(pthread_join(threads[0], NULL), 0);
    CHECK_INT(getter.status, 1);
    CHECK_INT(getter.value, 1);
    put_now(queue, 3);
    CHECK_INT(pthread_create(&threads[1], NULL, on_thread_put, &putter), 0);
    CHECK_INT(pthread_create(&threads[2], NULL, on_thread_join, &joiner), 0);
    await_waiting(queue, PUTTERS, 1);
    await_waiting(queue, JOINERS, 1);
    check_next(queue, 3);
    CHECK_INT(pthread_join(threads[1], NULL), 0);
    CHECK_INT(putter.status, 0);
    check_next(queue, 2);
    for (int i = 0; i < 3; i++) {
        skua_queue_done(queue);
    }
    CHECK_INT(pthread_join(threads[2], NULL), 0);
    CHECK_INT(joiner.status, 0);
    skua_queue_destroy(queue);
    return 0;
}

static void threads_take_part(void **state)
{
    run_on_1_2_4(with_threads);
}

static void forked_child(void **state)
{
    skua_queue *queue = make(1);
    const skua_queue_opts opts = {.item_bytes = 4};
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20 * TEST_SCALE);
        int value = 1;
        skua_queue *other;
        skua_queue_done(queue);
        skua_queue_close(queue, false);
        _exit(put(queue, 1, SKUA_FOREVER) != -ESHUTDOWN ||
              get(queue, &value, SKUA_FOREVER) != -ESHUTDOWN ||
              skua_queue_join(queue, SKUA_FOREVER) != -ESHUTDOWN ||
              skua_queue_create(&other, &opts) != -ESHUTDOWN);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    skua_queue_destroy(queue);
}

static void destroy_names_what_was_forgotten(void **state)
{
    struct said said;
    skua_queue *queue = make(0);
    for (int i = 0; i < 5; i++) {
        put_now(queue, i);
    }
    check_next(queue, 0);
    check_next(queue, 1);
    check_next(queue, 2);
    skua_queue_done(queue);
    said_begin(&said);
    skua_queue_destroy(queue);
    const char *text = said_end(&said);
    CHECK_INT(count_of(text, "queue 'test' is destroyed with 2 items that were taken and never "
                             "marked done"),
              1);
    /* Who never marks nor joins is not bothered. */
    queue = make(0);
    put_now(queue, 1);
    check_next(queue, 1);
    said_begin(&said);
    skua_queue_destroy(queue);
    CHECK_STR(said_end(&said), "");
}

static int join_is_left(void *arg)
{
    call_ *joiner = arg;
    put_now(joiner->queue, 1);
    put_now(joiner->queue, 2);
    check_next(joiner->queue, 1);
    CHECK_INT(skua_spawn(NULL, do_join, joiner, NULL), 0);
    await_waiting(joiner->queue, JOINERS, 1);
    return 0;
}

/* covers: A58 */
static void a_stuck_join_is_named(void **state)
{
    destroy_names_what_was_forgotten(NULL);
    struct said said;
    call_ joiner = {.queue = make(0)};
    said_begin(&said);
    run_on_with(2, join_is_left, &joiner);
    const char *text = said_end(&said);
    CHECK_INT(joiner.status, -ECANCELED);
    CHECK_INT(count_of(text, "a join of queue 'test' was cut off: 2 items never marked done, 1 of "
                             "which were never taken"),
              1);
    skua_queue_done(joiner.queue);
    skua_queue_destroy(joiner.queue);
}

static void bad_options(void **state)
{
    skua_queue *queue = NULL;
    const skua_queue_opts bad[] = {
        {.item_bytes = 64 * 1024 + 1},
        {.item_bytes = 8, .capacity = SIZE_MAX / 2},
        {.item_bytes = 8, .full = (skua_queue_full)7},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(skua_queue_create(&queue, &bad[i]), -EINVAL);
    }
    CHECK_INT(skua_queue_create(&queue, NULL), -EINVAL);
    CHECK_PTR(queue, NULL);
    skua_queue_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_get_waits_for_a_put),
        TEST(a_put_waits_for_a_get),
        TEST(a_producer_blocks_at_five),
        TEST(now_fails_at_once),
        TEST(first_come_first_served),
        TEST(join_waits_for_all_marks),
        TEST(join_of_nothing_returns_at_once),
        TEST(all_joiners_are_told),
        TEST(close_wakes_getters),
        TEST(drain_lets_the_items_out),
        TEST(close_at_once_drops_the_items),
        TEST(null_is_an_item),
        TEST(eight_put_and_eight_get_exactly_once),
        TEST(cancelled_waiters_leave_nothing),
        TEST(a_cancelled_get_loses_nothing),
        TEST(threads_take_part),
        TEST(forked_child),
        TEST(a_stuck_join_is_named),
        TEST(bad_options),
    };
    return TEST_RUN(tests);
}
