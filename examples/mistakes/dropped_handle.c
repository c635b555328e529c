/* A handle that is never released.
   Says: not released */
#include <skua/skua.h>

static int work(void *arg)
{
    return 0;
}

static int run(void *arg)
{
    skua_task *task;
    int status = skua_spawn(&task, work, NULL, NULL);
    return status < 0 ? status : skua_join(task, NULL, SKUA_FOREVER);
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
