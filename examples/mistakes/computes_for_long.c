/* A long computation that lets nobody else run; skua_checkpoint() in its loop would, and skua_for()
   does.
   Says: task 'hog' has computed for 1000 ms */
#include <skua/skua.h>
#include <time.h>

static double seconds_of_processor(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static int hog(void *arg)
{
    volatile double sum = 0;
    const double started = seconds_of_processor();
    while (seconds_of_processor() - started < 1.5) {
        for (int i = 1; i < 100000; i++) {
            sum = sum + 1.0 / i;
        }
    }
    return 0;
}

static int poll_often(void *arg)
{
    int status = 0;
    for (int i = 0; i < 180 && status == 0; i++) {
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
        status = skua_join(tasks[1], NULL, SKUA_FOREVER);
    }
    skua_task_release_all(tasks, 2);
    return status;
}

int main(void)
{
    const skua_config one_worker = {.workers = 1};
    return skua_run(&one_worker, run, NULL) < 0;
}
