/* The orders of queues: first in first out, last in first out, by priority; items of all sizes;
   full queues that drop. */
#include "tasks.h"

#include <skua/queue.h>

static skua_queue *make(const skua_queue_opts *opts)
{
    skua_queue *queue = NULL;
    CHECK_INT(skua_queue_create(&queue, opts), 0);
    return queue;
}

static skua_queue_statistics stats(const skua_queue *queue)
{
    skua_queue_statistics now;
    skua_queue_stats(queue, &now);
    return now;
}

static void put(skua_queue *queue, int value)
{
    CHECK_INT(skua_queue_put(queue, SKUA_ITEM(value), SKUA_NOW), 0);
}

static int get(skua_queue *queue)
{
    int value = -1;
    CHECK_INT(skua_queue_get(queue, SKUA_ITEM(value), SKUA_NOW), 1);
    return value;
}

static void check_empty(skua_queue *queue)
{
    int value;
    CHECK_INT(skua_queue_get(queue, SKUA_ITEM(value), SKUA_NOW), -EAGAIN);
}

/* --- against a model: a plain array --- */

static int by_tens(const void *a, const void *b)
{
    const int left = *(const int *)a / 10, right = *(const int *)b / 10;
    return (left > right) - (left < right);
}

enum { MODEL_ITEMS = 3000 };

typedef struct model {
    int items[MODEL_ITEMS]; /* oldest first */
    int count;
} model;

static int model_next(const model *all, const skua_queue_opts *opts)
{
    int next = opts->lifo ? all->count - 1 : 0;
    for (int i = 0; opts->order != NULL && i < all->count; i++) {
        if (opts->order(&all->items[i], &all->items[next]) < 0) {
            next = i;
        }
    }
    return next;
}

static int model_take(model *all, const skua_queue_opts *opts)
{
    const int next = model_next(all, opts), value = all->items[next];
    all->count--;
    memmove(&all->items[next], &all->items[next + 1],
            (size_t)(all->count - next) * sizeof all->items[0]);
    return value;
}

/* Puts and gets at random, mostly growing and then mostly shrinking. */
static void against_model(const skua_queue_opts *opts)
{
    static model all;
    uint64_t random = test_seed();
    skua_queue *queue = make(opts);
    const int most = opts->capacity > 0 ? (int)opts->capacity : MODEL_ITEMS;
    all.count = 0;
    for (int step = 0; step < 12000; step++) {
        const bool is_growing = step / 3000 % 2 == 0;
        const bool puts = test_random(&random) % 8 < (is_growing ? 5 : 3);
        if (puts && all.count < most) {
            const int value = (int)(test_random(&random) % 500);
            put(queue, value);
            all.items[all.count++] = value;
        } else if (!puts && all.count > 0) {
            CHECK_INT(get(queue), model_take(&all, opts));
        }
        CHECK_INT(stats(queue).count, all.count);
    }
    while (all.count > 0) {
        CHECK_INT(get(queue), model_take(&all, opts));
    }
    check_empty(queue);
    skua_queue_destroy(queue);
}

static void first_in_first_out(void **state)
{
    for (size_t capacity = 0; capacity <= 43; capacity = capacity * 6 + 1) {
        against_model(&(skua_queue_opts){.item_bytes = sizeof(int), .capacity = capacity});
    }
}

static void last_in_first_out(void **state)
{
    for (size_t capacity = 0; capacity <= 43; capacity = capacity * 6 + 1) {
        against_model(
            &(skua_queue_opts){.item_bytes = sizeof(int), .capacity = capacity, .lifo = true});
    }
}

static void by_priority(void **state)
{
    for (size_t capacity = 0; capacity <= 43; capacity = capacity * 6 + 1) {
        against_model(
            &(skua_queue_opts){.item_bytes = sizeof(int), .capacity = capacity, .order = by_tens});
    }
    skua_queue *queue = NULL;
    const skua_queue_opts both = {.item_bytes = sizeof(int), .lifo = true, .order = by_tens};
    CHECK_INT(skua_queue_create(&queue, &both), -EINVAL);
}

/* Also from waiting putters the first is put in its place. */
static int put_seven(void *arg)
{
    int value = 7;
    return skua_queue_put(arg, SKUA_ITEM(value), SKUA_FOREVER);
}

static int priority_of_waiters(void *arg)
{
    skua_queue *queue =
        make(&(skua_queue_opts){.item_bytes = sizeof(int), .capacity = 2, .order = by_tens});
    put(queue, 20);
    put(queue, 30);
    skua_task *task = spawn(put_seven, queue);
    while (stats(queue).putters != 1) {
        (void)skua_yield();
    }
    CHECK_INT(get(queue), 20);
    CHECK_INT(finish(task), 0);
    CHECK_INT(get(queue), 7);
    CHECK_INT(get(queue), 30);
    skua_queue_destroy(queue);
    return 0;
}

static void a_waiting_put_is_ordered_too(void **state)
{
    run_on_1_2_4(priority_of_waiters);
}

/* --- items of all sizes --- */

typedef struct thing {
    int key;
    char rest[200];
} thing;

static int by_key(const void *a, const void *b)
{
    return ((const thing *)a)->key - ((const thing *)b)->key;
}

static int by_byte(const void *a, const void *b)
{
    return *(const char *)a - *(const char *)b;
}

static int by_long_double(const void *a, const void *b)
{
    CHECK_INT((uintptr_t)a % _Alignof(long double), 0);
    CHECK_INT((uintptr_t)b % _Alignof(long double), 0);
    const long double left = *(const long double *)a, right = *(const long double *)b;
    return (left > right) - (left < right);
}

static void sizes(void **state)
{
    skua_queue *queue = make(&(skua_queue_opts){.item_bytes = sizeof(thing), .order = by_key});
    for (int i = 0; i < 100; i++) {
        thing item = {.key = i * 37 % 100};
        memset(item.rest, item.key, sizeof item.rest);
        CHECK_INT(skua_queue_put(queue, SKUA_ITEM(item), SKUA_NOW), 0);
    }
    for (int i = 0; i < 100; i++) {
        thing item;
        CHECK_INT(skua_queue_get(queue, SKUA_ITEM(item), SKUA_NOW), 1);
        CHECK_INT(item.key, i);
        CHECK(item.rest[0] == i && item.rest[199] == i);
    }
    skua_queue_destroy(queue);

    queue = make(&(skua_queue_opts){.item_bytes = 1, .order = by_byte, .capacity = 9});
    for (const char *at = "priority"; *at != '\0'; at++) {
        CHECK_INT(skua_queue_put(queue, at, 1, SKUA_NOW), 0);
    }
    char sorted[9] = {0};
    for (int i = 0; i < 8; i++) {
        CHECK_INT(skua_queue_get(queue, &sorted[i], 1, SKUA_NOW), 1);
    }
    CHECK_STR(sorted, "iioprrty");
    skua_queue_destroy(queue);

    queue = make(&(skua_queue_opts){.item_bytes = sizeof(long double), .order = by_long_double});
    for (int i = 0; i < 40; i++) {
        long double item = (long double)(i * 7 % 40);
        CHECK_INT(skua_queue_put(queue, SKUA_ITEM(item), SKUA_NOW), 0);
    }
    for (int i = 0; i < 40; i++) {
        long double item;
        CHECK_INT(skua_queue_get(queue, SKUA_ITEM(item), SKUA_NOW), 1);
        CHECK(item == (long double)i);
    }
    skua_queue_destroy(queue);
}

static void nothing_as_an_item(void **state)
{
    for (size_t capacity = 0; capacity < 101; capacity += 100) {
        skua_queue *queue = make(&(skua_queue_opts){.capacity = capacity});
        for (int i = 0; i < 100; i++) {
            CHECK_INT(skua_queue_put(queue, NULL, 0, SKUA_NOW), 0);
        }
        CHECK_INT(skua_queue_put(queue, NULL, 0, SKUA_NOW), capacity == 0 ? 0 : -EAGAIN);
        for (int i = 0; i < 100 + (capacity == 0); i++) {
            CHECK_INT(skua_queue_get(queue, NULL, 0, SKUA_NOW), 1);
        }
        CHECK_INT(skua_queue_get(queue, NULL, 0, SKUA_NOW), -EAGAIN);
        skua_queue_destroy(queue);
    }
}

/* --- a full queue that drops --- */

static int dropped_sum;

static void add_dropped(void *item)
{
    dropped_sum += *(int *)item;
}

static skua_queue *fill(skua_queue_full full, bool lifo)
{
    dropped_sum = 0;
    skua_queue *queue = make(&(skua_queue_opts){
        .item_bytes = sizeof(int), .capacity = 3, .full = full, .lifo = lifo, .drop = add_dropped});
    for (int i = 1; i <= 5; i++) {
        put(queue, i);
    }
    CHECK_INT(stats(queue).dropped, 2);
    CHECK_INT(stats(queue).unfinished, 3);
    CHECK_INT(stats(queue).count, 3);
    return queue;
}

/* covers: B48 */
static void a_full_queue_drops(void **state)
{
    skua_queue *queue = fill(SKUA_FULL_DROP_OLDEST, false);
    CHECK_INT(dropped_sum, 1 + 2);
    CHECK_INT(get(queue), 3);
    CHECK_INT(get(queue), 4);
    CHECK_INT(get(queue), 5);
    check_empty(queue);
    skua_queue_destroy(queue);

    queue = fill(SKUA_FULL_DROP_NEWEST, false);
    CHECK_INT(dropped_sum, 4 + 5);
    CHECK_INT(get(queue), 1);
    skua_queue_close(queue, false); /* the other two */
    CHECK_INT(dropped_sum, 4 + 5 + 2 + 3);
    CHECK_INT(stats(queue).dropped, 4);
    skua_queue_done(queue);
    CHECK_INT(skua_queue_join(queue, SKUA_NOW), 0);
    skua_queue_destroy(queue);

    queue = fill(SKUA_FULL_DROP_OLDEST, true);
    CHECK_INT(dropped_sum, 3 + 4);
    CHECK_INT(get(queue), 5);
    skua_queue_destroy(queue);
    CHECK_INT(dropped_sum, 3 + 4 + 1 + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(first_in_first_out),
        TEST(last_in_first_out),
        TEST(by_priority),
        TEST(a_waiting_put_is_ordered_too),
        TEST(sizes),
        TEST(nothing_as_an_item),
        TEST(a_full_queue_drops),
    };
    return TEST_RUN(tests);
}
