/* A call that blocks its thread, on a thread that may be blocked. */
#include <skua/skua.h>
#include <stdio.h>
#include <unistd.h>

static int legacy(void *arg)
{
    const char **result = arg;
    usleep(20000);
    *result = "result";
    return 0;
}

static int run(void *arg)
{
    const char *result = "";
    int status = skua_blocking(legacy, &result, SKUA_FOREVER);
    puts(result);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
