/* A task with a name, and its state from outside. */
#include <skua/skua.h>
#include <stdio.h>

static int background(void *arg)
{
    puts("background starts");
    int status = skua_sleep(skua_after(SKUA_SEC(2)));
    puts("background ends");
    return status;
}

static const char *is_done(skua_task *task)
{
    return skua_task_state(task) != SKUA_RUNNING ? "True" : "False";
}

static int run(void *arg)
{
    skua_task *task;
    const skua_spawn_opts opts = {.name = "background-worker"};
    int status = skua_spawn(&task, background, NULL, &opts);
    if (status < 0) {
        return status;
    }
    printf("name: %s\n", skua_task_name(task));
    printf("done: %s\n", is_done(task));
    status = skua_join(task, NULL, SKUA_FOREVER);
    printf("done: %s\n", is_done(task));
    skua_task_release(task);
    return status;
}

int main(void)
{
    /* One worker: what it prints before the first wait comes first. */
    return skua_run(NULL, run, NULL) < 0;
}
