/* A lock is held across a wait, so that what was read is still true when it is written. */
#include <skua/skua.h>
#include <stdio.h>

struct counter {
    int value;
    skua_mutex mutex;
};

static int increment(void *arg)
{
    struct counter *counter = arg;
    SKUA_GUARD(guard);
    int status = skua_guard_lock(&guard, &counter->mutex, SKUA_FOREVER);
    if (status == 0) {
        int value = counter->value;
        status = skua_sleep(skua_after(SKUA_MS(10)));
        counter->value = status == 0 ? value + 1 : value;
    }
    return status;
}

static int run(void *arg)
{
    struct counter counter = {0};
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    int status = 0;
    for (int i = 0; i < 100 && status == 0; i++) {
        status = skua_group_spawn(&group, increment, &counter);
    }
    status = skua_group_close(&group, status);
    printf("the counter is %d\n", counter.value);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
