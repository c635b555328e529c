/* The smallest program of a user: one task, which starts another and joins it. */
#include <skua/skua.h>

static int child(void *arg)
{
    return *(int *)arg + 1;
}

static int parent(void *arg)
{
    skua_task *task = NULL;
    int status = skua_spawn(&task, child, arg, NULL);
    if (status == 0) {
        const int joined = skua_join(task, &status, SKUA_FOREVER);
        skua_task_release(task);
        status = joined < 0 ? joined : status;
    }
    return status;
}

int main(void)
{
    int number = 41;
    return skua_run(NULL, parent, &number) == 42 ? 0 : 1;
}
