/* A semaphore lets three in at a time; for a mere limit, skua_map() has one of its own. */
#include <skua/skua.h>
#include <stdio.h>

static skua_sem permits;

static int fetch(void *arg)
{
    int status = skua_sem_acquire(&permits, 1, SKUA_FOREVER);
    if (status == 0) {
        printf("fetching %d\n", *(int *)arg);
        status = skua_sleep(skua_after(SKUA_SEC(1)));
        skua_sem_release(&permits, 1);
    }
    return status;
}

static int run(void *arg)
{
    skua_time started = skua_clock();
    int numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    skua_sem_init(&permits, 3);
    int status = skua_map(fetch, numbers, sizeof numbers[0], 10, NULL);
    if (status == 0) {
        printf("fetched 10 in %.0f s\n", skua_elapsed_ns(started) / 1e9);
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
