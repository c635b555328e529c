/* A call that blocks the thread, in a task. Others wait for a stand-in; skua_blocking() is for it.
   Says: task 'hog' has blocked its worker */
#include <skua/skua.h>
#include <unistd.h>

static int hog(void *arg)
{
    usleep(400000); /* a library that knows nothing of Skua */
    return 0;
}

static int poll_often(void *arg)
{
    int status = 0;
    for (int i = 0; i < 40 && status == 0; i++) {
        status = skua_sleep(skua_after(SKUA_MS(10)));
    }
    return status;
}

static int run(void *arg)
{
    skua_task *tasks[2] = {NULL};
    const skua_spawn_opts opts = {.name = "hog"};
    int status = skua_spawn(&tasks[0], poll_often, NULL, NULL);
    if (status == 0) {
        status = skua_spawn(&tasks[1], hog, NULL, &opts);
    }
    if (status == 0) {
        status = skua_join(tasks[0], NULL, SKUA_FOREVER);
    }
    skua_task_release_all(tasks, 2);
    return status;
}

int main(void)
{
    const skua_config one_worker = {.workers = 1};
    return skua_run(&one_worker, run, NULL) < 0;
}
