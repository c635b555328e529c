/* A join with a deadline leaves the task alone: its joiner cancels it, and sees it to its end. */
#include <skua/skua.h>
#include <stdio.h>

static int operate(void *arg)
{
    int status = skua_sleep(skua_after(SKUA_SEC(60)));
    puts("the operation has ended");
    return status;
}

static int operate_within(int seconds)
{
    skua_task *task;
    int result = 0;
    int status = skua_spawn(&task, operate, NULL, NULL);
    if (status < 0) {
        return status;
    }
    status = skua_join(task, &result, skua_after(SKUA_SEC(seconds)));
    if (status == -ETIMEDOUT) {
        const char *running = skua_task_state(task) == SKUA_RUNNING ? "True" : "False";
        printf("too slow after %d s, running: %s\n", seconds, running);
        skua_task_cancel(task);
        if (skua_join(task, &result, SKUA_FOREVER) == 0 && result == -ECANCELED) {
            puts("and it is over");
        }
    }
    skua_task_release(task);
    return status < 0 ? status : result;
}

static int run(void *arg)
{
    int status = operate_within(2);
    if (status == -ETIMEDOUT) {
        puts("main: timeout");
        return 0;
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
