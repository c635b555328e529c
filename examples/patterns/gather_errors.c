/* Gathering tasks of which one fails: the first failure at once, or all results side by side. */
#include <skua/skua.h>
#include <stdio.h>

enum { FAILED = 1 };

static int numbers[] = {1, 2, 3};

static int work(void *arg)
{
    const int *number = arg;
    int status = skua_sleep(skua_after(SKUA_SEC(*number)));
    if (status < 0) {
        return status;
    }
    if (*number == 2) {
        return SKUA_ERR(FAILED, *number);
    }
    printf("number %d is through\n", *number);
    return *number;
}

/* The first failure is the result; the others go on. */
static int gather_first_failure(void)
{
    skua_task *tasks[3];
    int status = skua_spawn_many(tasks, work, numbers, sizeof numbers[0], 3, NULL);
    if (status < 0) {
        return status;
    }
    status = skua_gather(tasks, 3, NULL, SKUA_FOREVER);
    if (skua_error_class(status) == FAILED) {
        printf("caught: number %d failed\n", skua_error_detail(status));
        status = skua_join(tasks[2], NULL, SKUA_FOREVER);
    }
    skua_task_release_all(tasks, 3);
    return status;
}

static int gather_results(void)
{
    skua_task *tasks[3];
    int results[3];
    int status = skua_spawn_many(tasks, work, numbers, sizeof numbers[0], 3, NULL);
    if (status < 0) {
        return status;
    }
    status = skua_gather(tasks, 3, results, SKUA_FOREVER);
    for (int i = 0; i < 3 && status == 0; i++) {
        if (results[i] < 0) {
            printf("failed: number %d failed\n", skua_error_detail(results[i]));
        } else {
            printf("result: %d\n", results[i]);
        }
    }
    skua_task_release_all(tasks, 3);
    return status;
}

static int run(void *arg)
{
    int status = gather_first_failure();
    return status < 0 ? status : gather_results();
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
