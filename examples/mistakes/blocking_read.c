/* read(2) where skua_read() belongs: it keeps the worker, and not only the task.
   Says: task 'listener' has blocked its worker */
#include <skua/skua.h>
#include <stdio.h>
#include <unistd.h>

static int listen_in(void *arg)
{
    const int *fd = arg;
    char byte;
    return read(*fd, &byte, 1) == 1 ? 0 : -EIO; /* until somebody writes */
}

static int run(void *arg)
{
    int ends[2];
    skua_task *listener;
    const skua_spawn_opts opts = {.name = "listener"};
    if (pipe(ends) < 0) {
        return -errno;
    }
    int status = skua_spawn(&listener, listen_in, &ends[0], &opts);
    if (status == 0) {
        for (int i = 0; i < 40 && status == 0; i++) {
            status = skua_sleep(skua_after(SKUA_MS(10)));
        }
        status = write(ends[1], "!", 1) == 1 ? status : -EIO;
        status = status < 0 ? status : skua_join(listener, NULL, SKUA_FOREVER);
        skua_task_release(listener);
    }
    close(ends[0]);
    close(ends[1]);
    return status;
}

int main(void)
{
    const skua_config one_worker = {.workers = 1};
    return skua_run(&one_worker, run, NULL) < 0;
}
