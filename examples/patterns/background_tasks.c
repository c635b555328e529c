/* Tasks that never end by themselves run in the background until they are cancelled. */
#include <skua/skua.h>
#include <stdio.h>

static char first[] = "first", second[] = "second";

static int background(void *name)
{
    int status = 0;
    while (status == 0) {
        printf("%s runs\n", (char *)name);
        status = skua_sleep(skua_after(SKUA_SEC(1)));
    }
    return status;
}

static const char *is_cancelled(skua_task *task)
{
    return skua_task_state(task) == SKUA_CANCELLED ? "True" : "False";
}

static int run(void *arg)
{
    skua_task *tasks[2] = {NULL};
    int status = skua_spawn(&tasks[0], background, first, NULL);
    if (status == 0) {
        status = skua_sleep(skua_after(SKUA_MS(500)));
    }
    if (status == 0) {
        status = skua_spawn(&tasks[1], background, second, NULL);
    }
    if (status == 0) {
        status = skua_sleep(skua_after(SKUA_MS(1750)));
    }
    skua_task_cancel_all(tasks, 2);
    int statuses[2];
    if (status == 0) {
        status = skua_gather(tasks, 2, statuses, SKUA_FOREVER);
    }
    if (status == 0) {
        printf("cancelled: %s %s\n", is_cancelled(tasks[0]), is_cancelled(tasks[1]));
    }
    skua_task_release_all(tasks, 2);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
