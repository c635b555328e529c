/* A barrier: nobody goes on before all are there. */
#include <skua/skua.h>
#include <stdio.h>

struct runner {
    const char *name;
    int64_t takes_ns;
};

static skua_barrier barrier;

static int reach_barrier(void *arg)
{
    const struct runner *runner = arg;
    int status = skua_sleep(skua_after(runner->takes_ns));
    if (status < 0) {
        return status;
    }
    printf("%s is at the barrier\n", runner->name);
    return skua_barrier_wait(&barrier, SKUA_FOREVER);
}

static int run(void *arg)
{
    struct runner runners[] = {{"a", SKUA_SEC(1)}, {"b", SKUA_SEC(3)}, {"c", SKUA_SEC(2)}};
    skua_time started = skua_clock();
    skua_barrier_init(&barrier, 3);
    int status = skua_map(reach_barrier, runners, sizeof runners[0], 3, NULL);
    if (status == 0) {
        printf("through after %.0f s\n", (double)skua_elapsed_ns(started) / 1e9);
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
