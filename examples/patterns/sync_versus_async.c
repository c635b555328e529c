/* The same three waits, one after the other and all at once. */
#include <skua/skua.h>
#include <stdio.h>

static int fetch(void *url)
{
    return skua_sleep(skua_after(SKUA_SEC(1)));
}

static int run(void *arg)
{
    const char *urls[] = {"one", "two", "three"};
    int status = 0;

    skua_time started = skua_clock();
    for (int i = 0; i < 3 && status == 0; i++) {
        status = fetch(&urls[i]);
    }
    printf("one after the other: %.1f s\n", skua_elapsed_ns(started) / 1e9);

    started = skua_clock();
    if (status == 0) {
        status = skua_map(fetch, urls, sizeof urls[0], 3, NULL);
    }
    printf("all at once: %.1f s\n", skua_elapsed_ns(started) / 1e9);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
