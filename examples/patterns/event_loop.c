/* A runtime by hand: callbacks for it, a call after the other into it, and its end. */
#include <skua/skua.h>
#include <stdio.h>

static char callback[] = "callback", too_late[] = "too late";

static void say(void *text)
{
    puts(text);
}

static int first(void *arg)
{
    puts("task 1");
    return 0;
}

static int second(void *arg)
{
    puts("task 2");
    return 0;
}

static int both(void *arg)
{
    int status = first(arg);
    return status < 0 ? status : second(arg);
}

int main(void)
{
    /* One worker is a loop: what is ready first runs first. */
    const skua_config config = {.workers = 1};
    skua_runtime *loop;
    int status = skua_runtime_create(&loop, &config);
    if (status < 0) {
        return 1;
    }
    status = skua_call_soon(loop, say, callback);
    if (status == 0) {
        status = skua_call_later(NULL, loop, SKUA_SEC(60), say, too_late);
    }
    if (status == 0) {
        status = skua_call(loop, first, NULL, SKUA_FOREVER);
    }
    if (status == 0) {
        status = skua_call(loop, both, NULL, SKUA_FOREVER);
    }
    skua_runtime_destroy(loop);
    return status < 0;
}
