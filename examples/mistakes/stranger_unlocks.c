/* A mutex is unlocked by a task that does not hold it.
   Says: a mutex is unlocked that task 'owner' holds */
#include <skua/skua.h>

static skua_mutex mutex;

static int own(void *arg)
{
    int status = skua_mutex_lock(&mutex, SKUA_FOREVER);
    return status < 0 ? status : skua_sleep(SKUA_FOREVER);
}

static int run(void *arg)
{
    const skua_spawn_opts opts = {.name = "owner"};
    int status = skua_spawn(NULL, own, NULL, &opts);
    while (status == 0 && (status = skua_mutex_lock(&mutex, SKUA_NOW)) == 0) {
        skua_mutex_unlock(&mutex);
        status = skua_yield();
    }
    skua_mutex_unlock(&mutex);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
