/* A timeout for a block of code: they nest, can be moved, and let other failures pass. */
#include <skua/skua.h>
#include <stdio.h>

/* The inner one fires, the outer one goes on. */
static int nest(skua_time started)
{
    SKUA_SCOPE(outer);
    skua_scope_open(&outer, skua_after(SKUA_SEC(5)));

    SKUA_SCOPE(inner);
    skua_scope_open(&inner, skua_after(SKUA_SEC(1)));
    int status = skua_scope_close(&inner, skua_sleep(skua_after(SKUA_SEC(10))));
    if (status == -ETIMEDOUT) {
        printf("inner: %.1f s\n", skua_elapsed_ns(started) / 1e9);
        status = skua_sleep(skua_after(SKUA_SEC(1)));
    }

    status = skua_scope_close(&outer, status);
    printf("outer: %.1f s\n", skua_elapsed_ns(started) / 1e9);
    return status;
}

/* A deadline that is moved. */
static int move(skua_time started)
{
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, skua_after(SKUA_SEC(1)));
    skua_scope_deadline(&scope, skua_after(SKUA_SEC(3)));
    int status = skua_scope_close(&scope, skua_sleep(skua_after(SKUA_SEC(2))));
    printf("moved: %.1f s, expired: %s\n", skua_elapsed_ns(started) / 1e9,
           skua_scope_expired(&scope) ? "True" : "False");
    return status;
}

/* Another failure passes through. */
static int pass(void)
{
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, skua_after(SKUA_SEC(1)));
    int status = skua_scope_close(&scope, -EINVAL);
    if (status == -EINVAL) {
        puts("passed: not the clock");
        return 0;
    }
    return status;
}

static int run(void *arg)
{
    skua_time started = skua_clock();
    int status = nest(started);
    if (status == 0) {
        status = move(started);
    }
    return status < 0 ? status : pass();
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
