/* Tasks that nobody asks for: a group keeps them, and waits for them in the end. */
#include <skua/skua.h>
#include <stdio.h>

static int work(void *arg)
{
    const int *number = arg;
    int status = skua_sleep(skua_after(SKUA_SEC(*number)));
    if (status == 0) {
        printf("%d is done\n", *number);
    }
    return status;
}

static int run(void *arg)
{
    SKUA_GROUP(background);
    skua_group_open(&background, SKUA_SUPERVISE, SKUA_FOREVER);
    const skua_spawn_opts opts = {.group = &background, .arg_bytes = sizeof(int)};
    int status = 0;
    for (int number = 1; number <= 3 && status == 0; number++) {
        status = skua_spawn(NULL, work, &number, &opts);
    }
    status = skua_group_close(&background, status);
    if (status == 0) {
        puts("all done");
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
