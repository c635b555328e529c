/* A scope that is opened and never closed: SKUA_SCOPE closes itself.
   Says: ended with an open scope */
#include <skua/skua.h>

static int run(void *arg)
{
    static skua_scope scope;
    skua_scope_open(&scope, skua_after(SKUA_SEC(1)));
    return 0;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
