/* A duration where a moment is meant: skua_sleep(skua_after(SKUA_MS(50))).
   Compiler says: incompatible type */
#include <skua/skua.h>

int nap(void);

int nap(void)
{
    return skua_sleep(SKUA_MS(50));
}
