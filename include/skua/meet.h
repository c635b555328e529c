/* skua/meet.h: where tasks wait for each other: barrier, latch, wait group, once.

   Embedded storage as in skua/sync.h, with the same rules: nothing allocates, nothing is to be
   destroyed, waiters go on in the order in which they came, and the common results of a wait are
   -ETIMEDOUT, -EAGAIN (SKUA_NOW, and it would have waited), -ECANCELED and -ESHUTDOWN (in a forked
   child). What happened before an arrival, a count-down or the end of the once's function happens
   before what follows the wait that it lets through. */
#ifndef SKUA_MEET_H
#define SKUA_MEET_H

#include <skua/base.h>

SKUA_BEGIN_DECLS

/* --- barrier: nobody goes on before all are here --- */

/* For a number of parties, again and again. Needs skua_barrier_init(). */
typedef struct skua_barrier {
    uint64_t opaque[6];
} skua_barrier;

/* Call from: anywhere, before others use it. Panics if `parties` is 0. */
void skua_barrier_init(skua_barrier *barrier, size_t parties);

/* Wait until so many parties are here; then all go on, and the barrier is as new. Returns this
   party's place in the order of arrival, 0 .. parties - 1, so that one of them can be chosen;
   -ECONNABORTED if the barrier was aborted or reset meanwhile, or is aborted; or a common result:
   then this party is not here any more, and another one may come instead.
   Call from: a task or a foreign thread. May switch. */
int skua_barrier_wait(skua_barrier *barrier, skua_time deadline) SKUA_MUST_CHECK;

/* One will not come: who waits, and who comes later, gets -ECONNABORTED, until a reset.
   Call from: a task or a foreign thread. Never switches. */
void skua_barrier_abort(skua_barrier *barrier);

/* Begin anew: who waits gets -ECONNABORTED; who comes later waits as at a new barrier.
   Call from: a task or a foreign thread. Never switches. */
void skua_barrier_reset(skua_barrier *barrier);

/* How many are here and wait; whether it is aborted. An instant later it may be different.
   Call from: a task or a foreign thread. Never switches. */
size_t skua_barrier_waiting(skua_barrier *barrier);
bool skua_barrier_is_aborted(skua_barrier *barrier);

/* --- latch: open after so many steps, for good --- */

/* Zeroed: open. */
typedef struct skua_latch {
    uint64_t opaque[4];
} skua_latch;

/* Close it until `count` steps have been counted down.
   Call from: anywhere, before others use it. */
void skua_latch_init(skua_latch *latch, size_t count);

/* Count so many steps down; at 0 all who wait go on. Panics below 0.
   Call from: a task or a foreign thread. Never switches. */
void skua_latch_count_down(skua_latch *latch, size_t steps);

/* Wait until it is open. Returns 0 or a common result.
   Call from: a task or a foreign thread. May switch. */
int skua_latch_wait(skua_latch *latch, skua_time deadline) SKUA_MUST_CHECK;

/* Steps that are missing.
   Call from: a task or a foreign thread. Never switches. */
size_t skua_latch_missing(skua_latch *latch);

/* --- wait group: until all that was begun is done --- */

/* A number of things under way, which may grow. Zeroed: none. It can be used again and again: who
   waits when it comes to 0 goes on, even if something is added right afterwards. */
typedef struct skua_wait_group {
    uint64_t opaque[4];
} skua_wait_group;

/* So many more are under way. Add before what is added can be done, or before the wait.
   Call from: a task or a foreign thread. Never switches. */
void skua_wait_group_add(skua_wait_group *group, size_t count);

/* One is done. Panics if none was under way.
   Call from: a task or a foreign thread. Never switches. */
void skua_wait_group_done(skua_wait_group *group);

/* Wait until none is under way. Returns 0 or a common result.
   Call from: a task or a foreign thread. May switch. */
int skua_wait_group_wait(skua_wait_group *group, skua_time deadline) SKUA_MUST_CHECK;

/* How many are under way.
   Call from: a task or a foreign thread. Never switches. */
size_t skua_wait_group_count(skua_wait_group *group);

/* --- once: the first one does it, the others wait for it --- */

/* Zeroed: not done. */
typedef struct skua_once {
    uint64_t opaque[5];
} skua_once;

/* See to it that fn(arg) has been done once. The first caller runs it, on its own stack; others
   wait meanwhile. If it returns >= 0 it is done, and every caller, now and later, gets that value.
   If it fails, its caller gets the status (also -ECANCELED, when that one was cancelled), and the
   next who waits runs its own fn(arg). Returns the value (>= 0), the status of the caller's own
   failed try, or a common result of the wait; the deadline is for the wait, not for fn. To call it
   for the same once inside of fn panics.
   Call from: a task or a foreign thread. May switch. Cost:
   one load once it is done. */
int skua_once_run(skua_once *once, skua_fn fn, void *arg, skua_time deadline) SKUA_MUST_CHECK;

/* True once it is done.
   Call from: a task or a foreign thread. Never switches. */
bool skua_once_is_done(const skua_once *once);

SKUA_END_DECLS
#endif
