/* sync/mutex.h: what a condition needs of a mutex. */
#ifndef SKUA_SYNC_MUTEX_H
#define SKUA_SYNC_MUTEX_H

#include <skua/sync.h>

/* Call from: a task, or a foreign thread, which holds none. */
bool skua__mutex_is_mine(skua_mutex *mutex);

/* Lock it, whatever has been cancelled. Call from: a task that does not hold it. */
void skua__mutex_relock(skua_mutex *mutex);

#endif
