/* skua/sync.h: locks and signals between tasks.

   These objects are storage that you embed where you need it: zeroed is ready for use (where a
   number is needed, an init function sets it), nothing allocates, there is nothing to destroy, and
   a copy of one is another one. Waiters are served first come, first served. A wait ends with what
   was waited for (0) or without it (< 0), never with both: a call that was cancelled or late has
   taken nothing, and what it stood in the way of goes on to the next one.

   What happened before an unlock, release, set or signal happens before what follows the call that
   it lets through. The storage may go once nobody is inside a call on it or can begin one; who was
   let through may free it, since who let him through does not touch it any more.

   Common results: -ETIMEDOUT, -EAGAIN (SKUA_NOW, and it would have waited), -ECANCELED, -ESHUTDOWN
   (in a forked child). "Cost" counts tasks that do not wait; no call allocates. */
#ifndef SKUA_SYNC_H
#define SKUA_SYNC_H

#include <skua/base.h>

SKUA_BEGIN_DECLS

/* --- mutex: one at a time --- */

/* A mutex suspends the task that has to wait, not its worker. It may be held while its task waits
   for something else, and while it moves to another worker. Zeroed: free. A task that ends while it
   holds one panics: nobody could ever unlock it. */
typedef struct skua_mutex {
    uint64_t opaque[4];
} skua_mutex;

/* Make it a free mutex whose every unlock hands it to the one who has waited longest, so that the
   order of those who lock it is that of their coming. Slower by a switch for each lock that others
   wait for.
   Call from: anywhere, before others use it. */
void skua_mutex_init_fair(skua_mutex *mutex);

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

/* --- rwlock: many readers or one writer --- */

/* Readers and writers stand in one line: who reads joins those who read unless somebody waits
   already, so neither side starves. Zeroed: free. A task that ends while it holds one panics. */
typedef struct skua_rwlock {
    uint64_t opaque[6];
} skua_rwlock;

/* Take it together with other readers, or alone. Return 0 or a common result. To take it again, in
   whatever way, while you hold it for writing panics; a second read lock of the same reader is a
   deadlock if a writer came in between.
   Call from: a task or a foreign thread. May switch. Cost: two operations on one word. */
int skua_rwlock_read(skua_rwlock *lock, skua_time deadline) SKUA_MUST_CHECK;
int skua_rwlock_write(skua_rwlock *lock, skua_time deadline) SKUA_MUST_CHECK;

/* Give back what skua_rwlock_read() or skua_rwlock_write() took. Panic if nobody reads, or if
   another than the caller writes.
   Call from: who took it. Never switches. */
void skua_rwlock_read_unlock(skua_rwlock *lock);
void skua_rwlock_write_unlock(skua_rwlock *lock);

/* The writer becomes a reader; no other writer comes in between. Readers that stand next in line
   come in. Give it back with skua_rwlock_read_unlock().
   Call from: who took it for writing. Never switches. */
void skua_rwlock_downgrade(skua_rwlock *lock);

/* --- guard: a lock that is given back on every way out --- */

/* Holds one mutex or rwlock and gives it back when the C block is left:

       SKUA_GUARD(guard);
       int status = skua_guard_lock(&guard, &account->mutex, deadline);
       if (status < 0) {
           return status;
       }
       ... return from anywhere ...                                                             */
typedef struct skua_guard {
    uint64_t opaque[2];
} skua_guard;

/* Declare a guard that holds nothing yet and gives back what it holds when the C block is left by
   return, goto, break or its end. */
#define SKUA_GUARD(name) skua_guard name __attribute__((cleanup(skua_guard_unlock), unused)) = {{0}}

/* Lock, and hold it. Return what the lock returns; panic if the guard holds something.
   Call from: as the lock. May switch. */
int skua_guard_lock(skua_guard *guard, skua_mutex *mutex, skua_time deadline) SKUA_MUST_CHECK;
int skua_guard_read(skua_guard *guard, skua_rwlock *lock, skua_time deadline) SKUA_MUST_CHECK;
int skua_guard_write(skua_guard *guard, skua_rwlock *lock, skua_time deadline) SKUA_MUST_CHECK;

/* Give back what it holds, if anything, before the end of the block.
   Call from: who locked. Never switches. */
void skua_guard_unlock(skua_guard *guard);

/* --- semaphore: so many at a time --- */

/* Permits that are taken and given back, by whomever: a semaphore knows no owners (skua_limiter
   does). Zeroed: no permits, which others may release. */
typedef struct skua_sem {
    uint64_t opaque[6];
} skua_sem;

/* Make it a semaphore of so many permits. `bounded` also panics when more are released than were
   acquired, so that there are never more than `permits`.
   Call from: anywhere, before others use it. */
void skua_sem_init(skua_sem *sem, size_t permits);
void skua_sem_init_bounded(skua_sem *sem, size_t permits);

/* Take so many permits, all or none. Who asks for many at the head of the line is not overtaken by
   those who ask for few. Returns 0, a common result, or -EINVAL (more than a bounded semaphore
   has).
   Call from: a task or a foreign thread. May switch. Cost: two operations on one word. */
int skua_sem_acquire(skua_sem *sem, size_t permits, skua_time deadline) SKUA_MUST_CHECK;

/* Give so many permits, and let in from the head of the line whom they suffice for.
   Call from: a task or a foreign thread. Never switches. */
void skua_sem_release(skua_sem *sem, size_t permits);

/* Permits that are there now; an instant later it may be different.
   Call from: a task or a foreign thread. Never switches. */
size_t skua_sem_available(skua_sem *sem);

/* --- event: something has happened --- */

/* A flag that tasks wait for. Zeroed: not set. */
typedef struct skua_event {
    uint64_t opaque[4];
} skua_event;

/* Set it: all who wait go on, also if it is cleared right afterwards; who comes later does not
   wait.
   Call from: a task or a foreign thread. Never switches. */
void skua_event_set(skua_event *event);

/* From now on it is not set.
   Call from: a task or a foreign thread. Never switches. */
void skua_event_clear(skua_event *event);

/* Call from: a task or a foreign thread. Never switches. */
bool skua_event_is_set(skua_event *event);

/* Wait until it is set. Returns 0 or a common result.
   Call from: a task or a foreign thread. May switch. Cost: two operations on one word. */
int skua_event_wait(skua_event *event, skua_time deadline) SKUA_MUST_CHECK;

/* The event as a case of a select (skua/select.h): fires when it is set, with a result of 0. */
extern const struct skua__waitable skua_event_sets;
#define SKUA_IS_SET(event_)                                                                        \
    {                                                                                              \
        .kind = SKUA_CASE_WAITABLE, .object = (event_), .waitable = &skua_event_sets               \
    }

/* --- condition: something under a mutex has changed --- */

/* Zeroed: ready for use. */
typedef struct skua_cond {
    uint64_t opaque[6];
} skua_cond;

/* Unlock the mutex, wait for a signal, and lock the mutex again, which it does on every return;
   that part is neither cancellable nor bounded by the deadline. Between the unlock and the wait no
   signal is missed. Returns 0 (signalled) or a common result. Look at what you wait for in a loop:
   somebody else may have been there first. Panics unless the caller holds the mutex, or if others
   wait with another mutex.
   Call from: a task. May switch. Cancel: a signal that was meant for this
   wait goes to the next waiter, or is reported (0); it is never lost. */
int skua_cond_wait(skua_cond *cond, skua_mutex *mutex, skua_time deadline) SKUA_MUST_CHECK;

/* Let the one who has waited longest go on, or all who wait now. If nobody waits, nothing happens.
   Usually called under the mutex, which is not required.
   Call from: a task or a foreign thread. Never switches. */
void skua_cond_signal(skua_cond *cond);
void skua_cond_broadcast(skua_cond *cond);

SKUA_END_DECLS
#endif
