/* Consumers that would wait for ever are cancelled once all that was put in has been dealt with. */
#include <skua/skua.h>
#include <stdio.h>

struct consumer {
    skua_queue *queue;
    int taken, sum;
};

static int consume(void *arg)
{
    struct consumer *consumer = arg;
    int item, status;
    while ((status = skua_queue_get(consumer->queue, SKUA_ITEM(item), SKUA_FOREVER)) == 1) {
        status = skua_sleep(skua_after(SKUA_MS(300)));
        if (status < 0) {
            break;
        }
        consumer->taken++;
        consumer->sum += item;
        skua_queue_done(consumer->queue);
    }
    return status;
}

static int produce(skua_queue *queue)
{
    int status = 0;
    for (int number = 0; number < 20 && status == 0; number++) {
        status = skua_sleep(skua_after(SKUA_MS(100)));
        if (status == 0) {
            status = skua_queue_put(queue, SKUA_ITEM(number), SKUA_FOREVER);
        }
    }
    return status == 0 ? skua_queue_join(queue, SKUA_FOREVER) : status;
}

static int produce_and_consume(skua_queue *queue)
{
    struct consumer consumers[] = {{queue, 0, 0}, {queue, 0, 0}, {queue, 0, 0}};
    skua_task *tasks[3] = {NULL};
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    const skua_spawn_opts opts = {.group = &group};
    int status = skua_spawn_many(tasks, consume, consumers, sizeof consumers[0], 3, &opts);
    if (status == 0) {
        status = produce(queue);
    }
    skua_group_cancel(&group);
    status = skua_group_close(&group, status);
    if (status == 0) {
        int taken = 0, sum = 0, cancelled = 0;
        for (int i = 0; i < 3; i++) {
            taken += consumers[i].taken;
            sum += consumers[i].sum;
            cancelled += skua_task_state(tasks[i]) == SKUA_CANCELLED;
        }
        printf("taken: %d, sum: %d\n", taken, sum);
        printf("cancelled: %d\n", cancelled);
    }
    skua_task_release_all(tasks, 3);
    return status;
}

static int run(void *arg)
{
    skua_queue *queue;
    const skua_queue_opts opts = {.item_bytes = sizeof(int), .capacity = 10};
    int status = skua_queue_create(&queue, &opts);
    if (status == 0) {
        status = produce_and_consume(queue);
        skua_queue_destroy(queue);
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
