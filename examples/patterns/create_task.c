/* Tasks run in the background; joining them gives their results in whatever order one asks. */
#include <skua/skua.h>
#include <stdio.h>

struct item {
    const char *name;
    int64_t takes_ns;
    char result[16];
};

static int process(void *arg)
{
    struct item *item = arg;
    int status = skua_sleep(skua_after(item->takes_ns));
    if (status < 0) {
        return status;
    }
    printf("%s is ready\n", item->name);
    snprintf(item->result, sizeof item->result, "processed %s", item->name);
    return 0;
}

static int run(void *arg)
{
    struct item items[] = {
        {"A", SKUA_MS(2000), ""}, {"B", SKUA_MS(1000), ""}, {"C", SKUA_MS(1500), ""}};
    skua_task *tasks[3];
    int status = skua_spawn_many(tasks, process, items, sizeof items[0], 3, NULL);
    if (status < 0) {
        return status;
    }
    puts("tasks started");
    for (int i = 0; i < 3 && status == 0; i++) {
        status = skua_join(tasks[i], NULL, SKUA_FOREVER);
        puts(items[i].result);
    }
    skua_task_release_all(tasks, 3);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
