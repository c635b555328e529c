/* Results of several tasks at once, in the order in which they were started. */
#include <skua/skua.h>
#include <stdio.h>

static int twice(void *arg)
{
    const int *number = arg;
    int status = skua_sleep(skua_after(SKUA_SEC(4 - *number)));
    if (status < 0) {
        return status;
    }
    printf("doubled %d\n", *number);
    return *number * 2;
}

static int run(void *arg)
{
    static int numbers[] = {1, 2, 3};
    skua_task *tasks[3];
    int results[3];
    int status = skua_spawn_many(tasks, twice, numbers, sizeof numbers[0], 3, NULL);
    if (status < 0) {
        return status;
    }
    status = skua_gather(tasks, 3, results, SKUA_FOREVER);
    if (status == 0) {
        printf("[%d, %d, %d]\n", results[0], results[1], results[2]);
    }
    skua_task_release_all(tasks, 3);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
