/* Callbacks, soon and after a while, and one that is taken back. */
#include <skua/skua.h>
#include <stdio.h>

static char soon[] = "soon", one[] = "one", two[] = "two", three[] = "three";
static skua_event done;

static void say(void *text)
{
    puts(text);
}

static void set(void *event)
{
    skua_event_set(event);
}

static int run(void *arg)
{
    skua_timer *never = NULL;
    int status = skua_call_later(NULL, NULL, SKUA_SEC(3), say, three);
    if (status == 0) {
        status = skua_call_later(NULL, NULL, SKUA_SEC(1), say, one);
    }
    if (status == 0) {
        status = skua_call_later(&never, NULL, SKUA_SEC(2), say, two);
    }
    if (status == 0) {
        status = skua_call_soon(NULL, say, soon);
    }
    if (status == 0) {
        status = skua_call_later(NULL, NULL, SKUA_SEC(4), set, &done);
    }
    skua_timer_cancel(never);
    if (status == 0) {
        status = skua_event_wait(&done, SKUA_FOREVER);
    }
    if (status == 0) {
        puts("all called");
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
