/* Many tasks are cancelled at once; those that had ended before keep their result or failure. */
#include <skua/skua.h>
#include <stdio.h>

static int work(void *arg)
{
    const int *number = arg;
    if (*number == 0) {
        return 42;
    }
    if (*number == 1) {
        return skua_fail(-EINVAL, "broken");
    }
    return skua_sleep(skua_after(SKUA_SEC(100)));
}

static void report(int number, skua_task *task, int result)
{
    if (skua_task_state(task) == SKUA_CANCELLED) {
        printf("task %d was cancelled\n", number);
    } else if (result < 0) {
        printf("task %d failed: %s\n", number, skua_task_error(task)->text);
    } else {
        printf("task %d returned %d\n", number, result);
    }
}

static int run(void *arg)
{
    static int numbers[] = {0, 1, 2, 3, 4, 5};
    skua_task *tasks[6];
    int results[6];
    int status = skua_spawn_many(tasks, work, numbers, sizeof numbers[0], 6, NULL);
    if (status < 0) {
        return status;
    }
    status = skua_sleep(skua_after(SKUA_SEC(5)));
    skua_task_cancel_all(tasks, 6);
    if (status == 0) {
        status = skua_gather(tasks, 6, results, SKUA_FOREVER);
    }
    for (int i = 0; i < 6 && status == 0; i++) {
        report(i, tasks[i], results[i]);
    }
    skua_task_release_all(tasks, 6);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
