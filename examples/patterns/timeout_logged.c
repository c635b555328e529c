/* A timeout of one's own making: it writes a line to the log and passes the failure on. */
#include <skua/skua.h>
#include <stdio.h>

static int within_logged(int seconds, skua_fn fn, void *arg)
{
    int status = skua_within(skua_after(SKUA_SEC(seconds)), fn, arg);
    if (status == -ETIMEDOUT) {
        printf("log: no result within %d seconds\n", seconds);
    }
    return status;
}

static int fetch(void *arg)
{
    int seconds = *(int *)arg;
    int status = skua_sleep(skua_after(SKUA_SEC(seconds)));
    if (status == 0) {
        printf("fetched in %d seconds\n", seconds);
    }
    return status;
}

static int run(void *arg)
{
    int status = within_logged(5, fetch, &(int){3});
    if (status == 0) {
        status = within_logged(5, fetch, &(int){8});
    }
    if (status == -ETIMEDOUT) {
        puts("main hears of it too");
        return 0;
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
