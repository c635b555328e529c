/* skua/sync.h: locks between tasks.

   These objects are storage that you embed where you need it: zeroed is ready for use, there is
   nothing to destroy, and a copy of one is another one. */
#ifndef SKUA_SYNC_H
#define SKUA_SYNC_H

#include <skua/base.h>

SKUA_BEGIN_DECLS

/* A mutex suspends the task that has to wait, not its worker. It may be held while its task waits
   for something else, and while it moves to another worker. Zeroed: free. */
typedef struct skua_mutex {
    uint64_t opaque[4];
} skua_mutex;

/* Take the mutex, waiting until it is free. Returns 0 (it is yours), -ETIMEDOUT, -EAGAIN (SKUA_NOW
   and held by another), -ECANCELED, -ESHUTDOWN (in a forked child). To lock it again while you hold
   it panics. A task that is running may take a free mutex before one that waits, but a waiter that
   was woken in vain gets the mutex handed over by the next unlock; waiters are served first come,
   first served.
   Call from: a task; on a foreign thread it panics. May switch. Cancel: it is either taken (0) or
   not (< 0), never both. What the last holder did before the unlock happens before what follows.
   Cost: one compare-and-swap when free; no allocation. */
int skua_mutex_lock(skua_mutex *mutex, skua_time deadline) SKUA_MUST_CHECK;

/* Give it back. Panics unless the calling task holds it. The mutex may be freed, or its stack
   frame left, as soon as nobody else can be about to lock it: the unlock of another task does not
   touch it any more once a lock has been granted.
   Call from: the task that holds it. Never switches. Cost: one compare-and-swap if nobody waits. */
void skua_mutex_unlock(skua_mutex *mutex);

SKUA_END_DECLS
#endif
