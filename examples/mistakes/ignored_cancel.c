/* A loop that goes on whatever its calls return, after a cancel.
   Says: has ignored 1000 results of -ECANCELED */
#include <skua/skua.h>

static int poll_for_ever(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        int status = skua_sleep(skua_after(SKUA_MS(1)));
        (void)status;
    }
    return 0;
}

static int run(void *arg)
{
    skua_task *task;
    int status = skua_spawn(&task, poll_for_ever, NULL, NULL);
    if (status < 0) {
        return status;
    }
    skua_task_cancel(task);
    status = skua_join(task, NULL, SKUA_FOREVER);
    skua_task_release(task);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
