/* Calls that block their threads, at most three at a time, while the tasks that wait block none. */
#include <skua/skua.h>
#include <stdio.h>
#include <unistd.h>

static int double_slowly(void *arg)
{
    int *number = arg;
    usleep(20000);
    *number *= 2;
    return 0;
}

static int call(void *arg)
{
    return skua_blocking(double_slowly, arg, SKUA_FOREVER);
}

static int run(void *arg)
{
    int numbers[] = {0, 1, 2, 3, 4};
    int status = skua_map(call, numbers, sizeof numbers[0], 5, NULL);
    for (int i = 0; i < 5; i++) {
        printf("%s%d", i == 0 ? "[" : ", ", numbers[i]);
    }
    puts("]");
    return status;
}

int main(void)
{
    const skua_config config = {.blocking_threads_max = 3};
    return skua_run(&config, run, NULL) < 0;
}
