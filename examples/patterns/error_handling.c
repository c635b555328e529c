/* A task fails with a code and a text; who joins it, or gathers several, finds both. */
#include <skua/skua.h>
#include <stdio.h>

static int numbers[] = {1, 2, 3};

static int fail(void *arg)
{
    const int *number = arg;
    int status = skua_sleep(skua_after(SKUA_SEC(1)));
    return status < 0 ? status : skua_fail(-EINVAL, "task %d failed", *number);
}

static int catch_one(void)
{
    skua_task *task;
    int result = 0;
    int status = skua_spawn(&task, fail, &numbers[0], NULL);
    if (status < 0) {
        return status;
    }
    status = skua_join(task, &result, SKUA_FOREVER);
    if (status == 0 && result < 0) {
        printf("caught: %s\n", skua_task_error(task)->text);
    }
    skua_task_release(task);
    return status;
}

static int collect_all(void)
{
    skua_task *tasks[2];
    int results[2];
    int status = skua_spawn_many(tasks, fail, &numbers[1], sizeof numbers[0], 2, NULL);
    if (status < 0) {
        return status;
    }
    status = skua_gather(tasks, 2, results, SKUA_FOREVER);
    for (int i = 0; i < 2 && status == 0; i++) {
        if (results[i] < 0) {
            printf("collected: %s\n", skua_task_error(tasks[i])->text);
        }
    }
    skua_task_release_all(tasks, 2);
    return status;
}

static int run(void *arg)
{
    int status = catch_one();
    return status < 0 ? status : collect_all();
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
