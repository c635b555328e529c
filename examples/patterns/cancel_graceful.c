/* A cancelled task that needs time for its clean-up: a shield gives it that. */
#include <skua/skua.h>
#include <stdio.h>

static int clean_up(void *arg)
{
    int status = skua_sleep(skua_after(SKUA_MS(500)));
    if (status == 0) {
        puts("the clean-up took its time");
    }
    return status;
}

static int work(void *arg)
{
    int status = 0;
    while (status == 0) {
        status = skua_sleep(skua_after(SKUA_SEC(1)));
    }
    puts("asked to end");
    int cleaned = skua_shielded(SKUA_FOREVER, clean_up, NULL);
    return cleaned < 0 ? cleaned : status;
}

static int run(void *arg)
{
    skua_task *task;
    int status = skua_spawn(&task, work, NULL, NULL);
    if (status < 0) {
        return status;
    }
    status = skua_sleep(skua_after(SKUA_SEC(5)));
    skua_task_cancel(task);
    if (status == 0) {
        status = skua_join(task, NULL, SKUA_FOREVER);
    }
    if (skua_task_state(task) == SKUA_CANCELLED) {
        puts("ended");
    }
    skua_task_release(task);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
