/* A status that nobody looks at: the lock may not be ours.
   Compiler says: ignoring return value of */
#include <skua/skua.h>

int add(skua_mutex *mutex, int *sum, int amount);

int add(skua_mutex *mutex, int *sum, int amount)
{
    skua_mutex_lock(mutex, skua_after(SKUA_MS(5)));
    *sum += amount;
    skua_mutex_unlock(mutex);
    return 0;
}
