/* A task that answers a cancel with a result was not cancelled. */
#include <skua/skua.h>
#include <stdio.h>

static int be_stubborn(void *arg)
{
    if (skua_sleep(skua_after(SKUA_SEC(100))) == -ECANCELED) {
        puts("swallowed");
    }
    return 42;
}

static int run(void *arg)
{
    skua_task *task;
    int result = 0;
    int status = skua_spawn(&task, be_stubborn, NULL, NULL);
    if (status < 0) {
        return status;
    }
    status = skua_sleep(skua_after(SKUA_SEC(1)));
    skua_task_cancel(task);
    if (status == 0) {
        status = skua_join(task, &result, SKUA_FOREVER);
    }
    const char *cancelled = skua_task_state(task) == SKUA_CANCELLED ? "True" : "False";
    printf("result: %d, cancelled: %s\n", result, cancelled);
    skua_task_release(task);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
