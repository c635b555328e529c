/* Who waits for a task may be cancelled without harm to the task: a join only watches. */
#include <skua/skua.h>
#include <stdio.h>

static int save(void *arg)
{
    int status = skua_sleep(skua_after(SKUA_SEC(2)));
    if (status < 0) {
        return status;
    }
    puts("saved");
    return 7;
}

static int wait_impatiently(void *saving)
{
    int status = skua_join(saving, NULL, SKUA_FOREVER);
    if (status == -ECANCELED) {
        puts("cancelled, but the saving goes on");
    }
    return status;
}

static int watch(skua_task *saving)
{
    skua_task *waiting;
    int status = skua_spawn(&waiting, wait_impatiently, saving, NULL);
    if (status < 0) {
        return status;
    }
    status = skua_sleep(skua_after(SKUA_SEC(1)));
    skua_task_cancel(waiting);
    if (status == 0) {
        status = skua_join(waiting, NULL, SKUA_FOREVER);
    }
    skua_task_release(waiting);
    return status;
}

static int run(void *arg)
{
    skua_task *saving;
    int result = 0;
    int status = skua_spawn(&saving, save, NULL, NULL);
    if (status < 0) {
        return status;
    }
    status = watch(saving);
    if (status == 0) {
        status = skua_join(saving, &result, SKUA_FOREVER);
    }
    printf("result: %d\n", result);
    skua_task_release(saving);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
