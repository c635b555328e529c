/* A cancel that is answered with a result: whoever cancelled believes that it worked. Named when
   SKUA_DEBUG=1 is set in the environment, counted always.
   Says: was cancelled and has ended with 0 all the same */
#include <skua/skua.h>

static int keep_quiet(void *arg)
{
    if (skua_sleep(SKUA_FOREVER) < 0) {
        /* clean up, and return it */
    }
    return 0;
}

static int run(void *arg)
{
    skua_task *task;
    const skua_spawn_opts opts = {.name = "quiet"};
    int status = skua_spawn(&task, keep_quiet, NULL, &opts);
    if (status < 0) {
        return status;
    }
    status = skua_yield();
    skua_task_cancel(task);
    if (status == 0) {
        status = skua_join(task, NULL, SKUA_FOREVER);
    }
    skua_task_release(task);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
