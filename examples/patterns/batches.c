/* Many items, four at a time, with a pause between the batches. */
#include <skua/skua.h>
#include <stdio.h>

static int square(void *arg)
{
    int *number = arg;
    int status = skua_sleep(skua_after(SKUA_SEC(1)));
    *number *= *number;
    return status;
}

static int run(void *arg)
{
    int numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    skua_time started = skua_clock();
    const skua_map_opts opts = {.batch = 4, .pause_ns = SKUA_MS(100)};
    int status = skua_map(square, numbers, sizeof numbers[0], 10, &opts);
    if (status < 0) {
        return status;
    }
    for (int i = 0; i < 10; i++) {
        printf("%d%c", numbers[i], i < 9 ? ' ' : '\n');
    }
    printf("%.1f s\n", (double)skua_elapsed_ns(started) / 1e9);
    return 0;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
