/* A task fails, and nobody asks.
   Says: failed and nobody has asked for its status */
#include <skua/skua.h>

static int upload(void *arg)
{
    return skua_fail(-EIO, "the disk is on fire");
}

static int run(void *arg)
{
    const skua_spawn_opts opts = {.name = "uploader"};
    int status = skua_spawn(NULL, upload, NULL, &opts);
    return status < 0 ? status : skua_yield();
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
