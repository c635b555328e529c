/* Task-locals: a child starts with what its parent had, and changes its own. */
#include <skua/skua.h>
#include <stdio.h>

static const skua_local request = {"request"};
static char first[] = "first", second[] = "second", of_child[] = "the child's";

static int child(void *arg)
{
    printf("the child starts with %s\n", (char *)skua_local_get(&request));
    int status = skua_local_set(&request, of_child);
    if (status == 0) {
        status = skua_sleep(skua_after(SKUA_SEC(1)));
    }
    printf("the child ends with %s\n", (char *)skua_local_get(&request));
    return status;
}

static int run(void *arg)
{
    skua_task *task;
    int status = skua_local_set(&request, first);
    if (status < 0) {
        return status;
    }
    status = skua_spawn(&task, child, NULL, NULL);
    if (status < 0) {
        return status;
    }
    status = skua_local_set(&request, second);
    if (status == 0) {
        status = skua_join(task, NULL, SKUA_FOREVER);
    }
    printf("main has %s\n", (char *)skua_local_get(&request));
    skua_task_release(task);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
