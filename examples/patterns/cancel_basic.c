/* A cancelled task hears of it at its next wait, cleans up, and passes it on. */
#include <skua/skua.h>
#include <stdio.h>

static int work(void *arg)
{
    int status = 0;
    while (status == 0) {
        puts("working");
        status = skua_sleep(skua_after(SKUA_SEC(1)));
    }
    puts("the worker is cancelled");
    return status;
}

static int run(void *arg)
{
    skua_task *task;
    int status = skua_spawn(&task, work, NULL, NULL);
    if (status < 0) {
        return status;
    }
    status = skua_sleep(skua_after(SKUA_MS(2500)));
    skua_task_cancel(task);
    if (status == 0) {
        status = skua_join(task, NULL, SKUA_FOREVER);
    }
    const char *cancelled = skua_task_state(task) == SKUA_CANCELLED ? "True" : "False";
    printf("confirmed, cancelled: %s\n", cancelled);
    skua_task_release(task);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
