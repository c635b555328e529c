/* Memory runs out for queues, broadcasts, watches, one-shots and selects: an error or success, and
   what there was stays as it was. */
#include "../tasks.h"

#include "base/mem.h"

#include <skua/queue.h>
#include <skua/select.h>
#include <skua/share.h>

static void allow(int64_t allocations)
{
    atomic_store(&skua__alloc_budget, allocations);
}

static int by_value(const void *a, const void *b)
{
    const int left = *(const int *)a, right = *(const int *)b;
    return (left > right) - (left < right);
}

/* Create with 0, 1, 2... allocations. Returns how many it takes. */
static int64_t create_queue(skua_queue **out, const skua_queue_opts *opts)
{
    skua_queue *untouched = (skua_queue *)(uintptr_t)8;
    for (int64_t budget = 0;; budget++) {
        *out = untouched;
        allow(budget);
        const int status = skua_queue_create(out, opts);
        allow(-1);
        if (status == 0) {
            return budget;
        }
        CHECK_INT(status, -ENOMEM);
        CHECK_PTR(*out, untouched);
    }
}

static void a_queue_is_made_or_not(void **state)
{
    skua_queue *queue;
    const skua_queue_opts bounded = {.item_bytes = sizeof(int), .capacity = 100};
    CHECK_INT(create_queue(&queue, &bounded), 3);
    /* And then it needs nothing more. */
    allow(0);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(skua_queue_put(queue, SKUA_ITEM(i), SKUA_NOW), 0);
    }
    skua_queue_close(queue, true);
    for (int i = 0; i < 100; i++) {
        int value = -1;
        CHECK_INT(skua_queue_get(queue, SKUA_ITEM(value), SKUA_NOW), 1);
        CHECK_INT(value, i);
        skua_queue_done(queue);
    }
    skua_queue_destroy(queue);
    allow(-1);
}

static void without_memory(const skua_queue_opts *opts)
{
    skua_queue *queue;
    skua_queue_statistics before, after;
    int count = 0;
    CHECK_INT(create_queue(&queue, opts), 2);
    for (int round = 0; round < 6; round++) {
        int status;
        allow(0);
        while ((status = skua_queue_put(queue, SKUA_ITEM(count), SKUA_FOREVER)) == 0) {
            count++;
        }
        CHECK_INT(status, -ENOMEM);
        skua_queue_stats(queue, &before);
        CHECK_INT(before.count, count);
        skua_case cases[] = {SKUA_PUT(queue, count)};
        CHECK_INT(skua_select(cases, 1, 0, SKUA_FOREVER), 0);
        CHECK_INT(cases[0].result, -ENOMEM);
        skua_queue_stats(queue, &after);
        CHECK_INT(after.count, before.count);
        CHECK_INT(after.unfinished, before.unfinished);
        CHECK_INT(after.peak, before.peak);
        allow(1);
        CHECK_INT(skua_queue_put(queue, SKUA_ITEM(count), SKUA_FOREVER), 0);
        count++;
        allow(-1);
    }
    CHECK(count > 16 << 4);
    for (int i = 0; i < count; i++) {
        int value = -1;
        CHECK_INT(skua_queue_get(queue, SKUA_ITEM(value), SKUA_NOW), 1);
        CHECK_INT(value, opts->lifo ? count - 1 - i : i);
    }
    skua_queue_destroy(queue);
}

/* An unbounded queue that cannot grow refuses the item and keeps the others. */
static void a_put_without_memory_changes_nothing(void **state)
{
    without_memory(&(skua_queue_opts){.item_bytes = sizeof(int)});
    without_memory(&(skua_queue_opts){.item_bytes = sizeof(int), .lifo = true});
    without_memory(&(skua_queue_opts){.item_bytes = sizeof(int), .order = by_value});
}

static void sharing_is_made_or_not(void **state)
{
    int value = 1;
    skua_broadcast *broadcast = NULL;
    skua_subscriber *subscriber = NULL;
    skua_watch *watch = NULL;
    skua_oneshot *oneshot = NULL;
    allow(0);
    CHECK_INT(skua_broadcast_create(&broadcast, 4, 4), -ENOMEM);
    CHECK_INT(skua_watch_create(&watch, SKUA_ITEM(value)), -ENOMEM);
    CHECK_INT(skua_oneshot_create(&oneshot, 4), -ENOMEM);
    CHECK(broadcast == NULL && watch == NULL && oneshot == NULL);
    allow(1);
    CHECK_INT(skua_broadcast_create(&broadcast, 4, 4), 0);
    CHECK_INT(skua_broadcast_subscribe(broadcast, &subscriber), -ENOMEM);
    CHECK_PTR(subscriber, NULL);
    CHECK_INT(skua_broadcast_send(broadcast, SKUA_ITEM(value)), 0);
    allow(1);
    CHECK_INT(skua_broadcast_subscribe(broadcast, &subscriber), 0);
    CHECK_INT(skua_broadcast_send(broadcast, SKUA_ITEM(value)), 1);
    CHECK_INT(skua_subscriber_next(subscriber, SKUA_ITEM(value), SKUA_NOW), 1);
    skua_subscriber_release(subscriber);
    skua_broadcast_destroy(broadcast);
    allow(-1);
}

static void a_long_select_needs_memory(void **state)
{
    skua_case cases[17] = {{.kind = SKUA_CASE_NONE}};
    int value = 1;
    skua_queue *queue;
    CHECK_INT(skua_queue_create(&queue, &(skua_queue_opts){.item_bytes = sizeof(int)}), 0);
    cases[0] = (skua_case)SKUA_PUT(queue, value);
    allow(0);
    CHECK_INT(skua_select(cases, 17, 0, SKUA_NOW), -ENOMEM);
    allow(-1);
    CHECK_INT(skua_select(cases, 17, 0, SKUA_NOW), 0);
    skua_queue_destroy(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_queue_is_made_or_not),
        TEST(a_put_without_memory_changes_nothing),
        TEST(sharing_is_made_or_not),
        TEST(a_long_select_needs_memory),
    };
    return TEST_RUN(tests);
}
