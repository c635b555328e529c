/* A call with a timeout: it is told to end, cleans up, and has ended when the caller goes on. */
#include <skua/skua.h>
#include <stdio.h>

static int slow(void *arg)
{
    int status = skua_sleep(skua_after(SKUA_SEC(5)));
    puts("slow cleans up");
    return status;
}

static int run(void *arg)
{
    if (skua_within(skua_after(SKUA_SEC(2)), slow, NULL) == -ETIMEDOUT) {
        puts("timed out");
    }
    int status = skua_within(skua_after(SKUA_SEC(10)), slow, NULL);
    if (status == 0) {
        puts("completed");
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
