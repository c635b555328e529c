/* A resource is given back on every way out; its exit sees the failure, and may swallow it. */
#include <skua/skua.h>
#include <stdio.h>

static const char *text_of(int status)
{
    return status == -ENOENT ? "no such row" : "bad row";
}

static int acquire(void *self)
{
    puts("acquiring");
    return skua_sleep(skua_after(SKUA_MS(100)));
}

static int release(void *self, int status)
{
    int slept = skua_sleep(skua_after(SKUA_MS(100)));
    if (status < 0) {
        printf("released after: %s\n", text_of(status));
        return status == -ENOENT ? 0 : status; /* swallowed, all others go on */
    }
    puts("released");
    return slept;
}

static int query(void *arg)
{
    puts("rows");
    return 0;
}

static int fail(void *status)
{
    return *(int *)status;
}

static int run(void *arg)
{
    static const skua_resource resource = {acquire, release};
    int status = skua_with(&resource, NULL, query, NULL);
    if (status == 0) {
        status = skua_with(&resource, NULL, fail, &(int){-ENOENT});
    }
    if (status == 0) {
        status = skua_with(&resource, NULL, fail, &(int){-EINVAL});
    }
    if (status == -EINVAL) {
        printf("caught: %s\n", text_of(status));
        return 0;
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
