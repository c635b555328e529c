/* Requests may come to their end before a shutdown, but not for ever. */
#include <skua/skua.h>
#include <stdio.h>

static int answer(void *arg)
{
    const int *number = arg;
    int status = skua_sleep(skua_after(SKUA_SEC(*number)));
    printf("request %d is %s\n", *number, status == 0 ? "answered" : "cut off");
    return status;
}

static int run(void *arg)
{
    static int numbers[] = {1, 2, 10};
    SKUA_GROUP(requests);
    skua_group_open(&requests, SKUA_COLLECT, SKUA_FOREVER);
    const skua_spawn_opts opts = {.group = &requests};
    int status = skua_spawn_many(NULL, answer, numbers, sizeof numbers[0], 3, &opts);
    if (status == 0) {
        status = skua_sleep(skua_after(SKUA_MS(500)));
    }
    puts("draining");
    skua_scope_stop(skua_group_scope(&requests), skua_after(SKUA_SEC(5)));
    status = skua_group_close(&requests, status);
    puts("down");
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
