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
    return skua_run(NULL, run, NULL) < 0;
}
