/* A task is a plain function that may wait; a call is an await. */
#include <skua/skua.h>
#include <stdio.h>

static int fetch(const char *url, char *data, size_t bytes)
{
    printf("fetching %s\n", url);
    int status = skua_sleep(skua_after(SKUA_SEC(1)));
    snprintf(data, bytes, "data from %s", url);
    return status;
}

static int run(void *arg)
{
    char data[64];
    int status = fetch("https://api.example.com", data, sizeof data);
    if (status == 0) {
        puts(data);
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
