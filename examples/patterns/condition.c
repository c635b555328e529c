/* A condition: takers wait, under a mutex, until there is something to take. */
#include <skua/skua.h>
#include <stdio.h>

static skua_mutex mutex;
static skua_cond more;
static const char *const goods[] = {"bread", "cheese"};
static size_t stocked, taken;

static int take(void *name)
{
    SKUA_GUARD(guard);
    int status = skua_guard_lock(&guard, &mutex, SKUA_FOREVER);
    skua_started(NULL); /* who starts next finds the mutex held, and so stands behind this one */
    while (status == 0 && taken == stocked) {
        status = skua_cond_wait(&more, &mutex, SKUA_FOREVER);
    }
    if (status == 0) {
        printf("%s takes %s\n", (char *)name, goods[taken++]);
    }
    return status;
}

static int deliver(void)
{
    int status = skua_sleep(skua_after(SKUA_SEC(1)));
    if (status < 0) {
        return status;
    }
    SKUA_GUARD(guard);
    status = skua_guard_lock(&guard, &mutex, SKUA_FOREVER);
    if (status == 0) {
        stocked++;
        skua_cond_signal(&more);
    }
    return status;
}

static int run(void *arg)
{
    static char names[][8] = {"first", "second"};
    SKUA_GROUP(takers);
    skua_group_open(&takers, SKUA_FAIL_FAST, SKUA_FOREVER);
    int status = 0;
    for (int i = 0; i < 2 && status == 0; i++) {
        status = skua_group_start(&takers, take, names[i], NULL, SKUA_FOREVER);
    }
    for (int i = 0; i < 2 && status == 0; i++) {
        status = deliver();
    }
    return skua_group_close(&takers, status);
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
