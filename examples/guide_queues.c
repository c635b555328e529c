/* The examples of docs/guide/queues.md, which the tests run with
   SKUA_CLOCK=virtual. */
#include <skua/skua.h>
#include <stdio.h>
#include <string.h>

/* --- workers and a join --- */

struct shop {
    skua_queue *orders; /* int */
    _Atomic long sum;
};

/* Works until it is cancelled, or the queue has ended. */
static int work(void *arg)
{
    struct shop *shop = arg;
    int order;
    int status;
    while ((status = skua_queue_get(shop->orders, SKUA_ITEM(order), SKUA_FOREVER)) == 1) {
        shop->sum += order;
        skua_queue_done(shop->orders); /* dealt with, not only taken */
    }
    return status;
}

static int open_shop(void *arg)
{
    struct shop *shop = arg;
    skua_queue_opts opts = {.item_bytes = sizeof(int), .capacity = 5, .name = "orders"};
    int status = skua_queue_create(&shop->orders, &opts);
    if (status < 0) {
        return status;
    }
    skua_task *workers[3] = {NULL, NULL, NULL};
    for (int i = 0; i < 3 && status == 0; i++) {
        status = skua_spawn(&workers[i], work, shop, NULL);
    }
    for (int order = 1; order <= 100 && status == 0; order++) {
        status = skua_queue_put(shop->orders, SKUA_ITEM(order), SKUA_FOREVER);
    }
    if (status == 0) {
        status = skua_queue_join(shop->orders, SKUA_FOREVER); /* all 100 are dealt with */
    }
    printf("the orders come to %ld\n", shop->sum);
    skua_queue_close(shop->orders, true); /* the workers' gets give 0 now */
    for (int i = 0; i < 3; i++) {
        if (workers[i] != NULL) {
            int joined = skua_join(workers[i], NULL, SKUA_FOREVER);
            status = status < 0 ? status : joined;
        }
    }
    skua_task_release_all(workers, 3);
    skua_queue_destroy(shop->orders);
    return status;
}

/* --- the most urgent first --- */

struct job {
    int urgency; /* the smaller the sooner */
    const char *what;
};

static int by_urgency(const void *a, const void *b)
{
    const struct job *left = a;
    const struct job *right = b;
    return (left->urgency > right->urgency) - (left->urgency < right->urgency);
}

static int do_the_urgent_first(void)
{
    static const struct job todo[] = {
        {3, "sweep the yard"}, {1, "put out the fire"}, {2, "feed the cat"}, {1, "call for help"}};
    skua_queue_opts opts = {.item_bytes = sizeof(struct job), .order = by_urgency};
    skua_queue *jobs = NULL;
    int status = skua_queue_create(&jobs, &opts);
    for (int i = 0; i < 4 && status == 0; i++) {
        status = skua_queue_put(jobs, &todo[i], sizeof todo[i], SKUA_NOW);
    }
    struct job job;
    while (status >= 0 && (status = skua_queue_get(jobs, SKUA_ITEM(job), SKUA_NOW)) == 1) {
        printf("%s\n", job.what);
    }
    skua_queue_destroy(jobs);
    return status == -EAGAIN ? 0 : status; /* empty */
}

/* --- only the latest --- */

static int keep_the_latest(void)
{
    skua_queue_opts opts = {
        .item_bytes = sizeof(int), .capacity = 2, .full = SKUA_FULL_DROP_OLDEST};
    skua_queue *readings = NULL;
    int status = skua_queue_create(&readings, &opts);
    for (int reading = 1; reading <= 5 && status == 0; reading++) {
        status = skua_queue_put(readings, SKUA_ITEM(reading), SKUA_NOW);
    }
    if (status == 0) {
        skua_queue_statistics now;
        skua_queue_stats(readings, &now);
        printf("%zu readings, %zu dropped\n", now.count, now.dropped);
    }
    skua_queue_destroy(readings);
    return status;
}

static int all(void *arg)
{
    struct shop shop = {NULL, 0};
    (void)arg;
    int status = open_shop(&shop);
    if (status == 0) {
        status = do_the_urgent_first();
    }
    return status == 0 ? keep_the_latest() : status;
}

int main(void)
{
    return skua_run(NULL, all, NULL) == 0 ? 0 : 1;
}
