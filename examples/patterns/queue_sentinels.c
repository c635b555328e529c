/* A producer and two consumers share a bounded queue; a sentinel in it ends a consumer. */
#include <skua/skua.h>
#include <stdio.h>

enum { COUNT = 10, NO_MORE = -1 };

struct consumer {
    skua_queue *queue;
    char name;
};

static int put(skua_queue *queue, int item)
{
    return skua_queue_put(queue, SKUA_ITEM(item), SKUA_FOREVER);
}

static int produce(void *queue)
{
    int status = 0;
    for (int number = 0; number < COUNT && status == 0; number++) {
        status = skua_sleep(skua_after(SKUA_MS(100)));
        if (status == 0) {
            status = put(queue, number);
        }
        if (status == 0) {
            printf("produced %d\n", number);
        }
    }
    return status == 0 ? put(queue, NO_MORE) : status;
}

static int consume(void *arg)
{
    struct consumer *consumer = arg;
    int item, status;
    while ((status = skua_queue_get(consumer->queue, SKUA_ITEM(item), SKUA_FOREVER)) == 1) {
        if (item != NO_MORE) {
            status = skua_sleep(skua_after(SKUA_MS(270)));
            printf("consumer %c processed %d\n", consumer->name, item);
        }
        skua_queue_done(consumer->queue);
        if (item == NO_MORE || status < 0) {
            break;
        }
    }
    return status;
}

static int run_all(skua_queue *queue)
{
    struct consumer a = {queue, 'A'}, b = {queue, 'B'};
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    int status = skua_group_spawn(&group, consume, &a);
    if (status == 0) {
        status = skua_group_spawn(&group, consume, &b);
    }
    if (status == 0) {
        status = produce(queue);
    }
    if (status == 0) {
        status = skua_queue_join(queue, SKUA_FOREVER);
    }
    for (int i = 0; i < 2 && status == 0; i++) {
        status = put(queue, NO_MORE);
    }
    return skua_group_close(&group, status);
}

static int run(void *arg)
{
    skua_queue *queue;
    const skua_queue_opts opts = {.item_bytes = sizeof(int), .capacity = 5};
    int status = skua_queue_create(&queue, &opts);
    if (status < 0) {
        return status;
    }
    status = run_all(queue);
    skua_queue_statistics statistics;
    skua_queue_stats(queue, &statistics);
    printf("left behind: %zu\n", statistics.count);
    skua_queue_destroy(queue);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
