/* Wait for the first of several tasks, then for what ends within a time; cancel the rest. */
#include <skua/skua.h>
#include <stdio.h>

static int work(void *arg)
{
    int seconds = *(int *)arg;
    int status = skua_sleep(skua_after(SKUA_SEC(seconds)));
    return status < 0 ? status : seconds;
}

static int wait_for(skua_task *tasks[], skua_until until, skua_time deadline)
{
    bool done[3];
    ssize_t count = skua_wait(tasks, 3, until, done, deadline);
    if (count < 0) {
        return (int)count;
    }
    printf("done: %zd, pending: %zd\n", count, 3 - count);
    return 0;
}

static int run(void *arg)
{
    int seconds[] = {1, 2, 3}, statuses[3], cancelled = 0;
    skua_task *tasks[3];
    int status = skua_spawn_many(tasks, work, seconds, sizeof seconds[0], 3, NULL);
    if (status < 0) {
        return status;
    }
    status = wait_for(tasks, SKUA_FIRST_DONE, SKUA_FOREVER);
    if (status == 0) {
        status = wait_for(tasks, SKUA_ALL, skua_after(SKUA_MS(1500)));
    }
    skua_task_cancel_all(tasks, 3);
    if (status == 0) {
        status = skua_gather(tasks, 3, statuses, SKUA_FOREVER);
    }
    for (int i = 0; i < 3; i++) {
        cancelled += skua_task_state(tasks[i]) == SKUA_CANCELLED;
    }
    printf("cancelled: %d\n", cancelled);
    skua_task_release_all(tasks, 3);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
