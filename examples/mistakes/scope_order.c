/* Scopes are closed in the wrong order.
   Says: a scope is closed that is not the innermost open one */
#include <skua/skua.h>

static int run(void *arg)
{
    SKUA_SCOPE(outer);
    SKUA_SCOPE(inner);
    skua_scope_open(&outer, SKUA_FOREVER);
    skua_scope_open(&inner, SKUA_FOREVER);
    return skua_scope_close(&outer, 0);
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
