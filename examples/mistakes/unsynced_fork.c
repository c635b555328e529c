/* A function returns before it has synced the child that it forked, whose descriptor lies in its
   frame: SKUA_CHILD syncs on every way out.
   Says: before it synced */
#include <skua/skua.h>

static int work(void *arg)
{
    return 0;
}

static int run(void *arg)
{
    static skua_child child;
    skua_fork(&child, work, NULL);
    return 0;
}

int main(void)
{
    const skua_config one_worker = {.workers = 1}; /* nobody takes the child meanwhile */
    return skua_run(&one_worker, run, NULL) < 0;
}
