/* An event: all who wait for it go on when it is set. */
#include <skua/skua.h>
#include <stdio.h>

static skua_event event;

static int wait_for_event(void *name)
{
    int status = skua_event_wait(&event, SKUA_FOREVER);
    if (status == 0) {
        printf("%s goes\n", (char *)name);
    }
    return status;
}

static int run(void *arg)
{
    static char names[][8] = {"one", "two", "three"};
    SKUA_GROUP(waiters);
    skua_group_open(&waiters, SKUA_FAIL_FAST, SKUA_FOREVER);
    const skua_spawn_opts opts = {.group = &waiters};
    int status = skua_spawn_many(NULL, wait_for_event, names, sizeof names[0], 3, &opts);
    if (status == 0) {
        status = skua_sleep(skua_after(SKUA_SEC(1)));
    }
    if (status == 0) {
        puts("ready");
        skua_event_set(&event);
    }
    return skua_group_close(&waiters, status);
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
