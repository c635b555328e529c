/* group/flight.h: the inside of skua_flight: calls for the same key, of which one runs.

   Each call is a record in the frame of its caller. The first one for a key stands in the table and
   runs; those that come while it does stand in its list of followers and wait. A cache has such a
   table inside, and guards its own contents by the table's lock, so that "it is not there" and "I
   make it" are one step. */
#ifndef SKUA_GROUP_FLIGHT_H
#define SKUA_GROUP_FLIGHT_H

#include "base/list.h"
#include "base/lock.h"
#include "sched/waiter.h"

#include <skua/retry.h>
#include <string.h>

enum { SKUA__FLIGHT_CHAINS = 14 };

struct skua__flight {
    struct skua__lock lock;
    uint64_t served;                                  /* followers, so far */
    struct skua__caller *chains[SKUA__FLIGHT_CHAINS]; /* who runs, by key */
};

_Static_assert(sizeof(struct skua__flight) <= sizeof(skua_flight), "skua_flight is too small");
_Static_assert(_Alignof(struct skua__flight) <= _Alignof(skua_flight), "skua_flight is misaligned");

/* What becomes of a call. */
enum skua__part {
    SKUA__PART_NONE,   /* it waits */
    SKUA__PART_RUN,    /* it runs, for itself and its followers */
    SKUA__PART_SERVED, /* another has run: status and value are there */
    SKUA__PART_LEFT,   /* it has not waited long enough; the status says why */
    SKUA__PART_AGAIN,  /* it has to look again, as if it had just come */
};

/* A call. Under the lock, but for the constant fields, and a runner's value. */
struct skua__caller {
    const void *key; /* from here on constant */
    size_t key_bytes;
    uint64_t hash;
    void *value; /* of a runner: where the others copy from; else where the copy goes */
    size_t value_bytes;
    struct skua__fiber *fiber; /* NULL: a foreign thread */

    enum skua__part part;
    int status;
    bool is_detached; /* a runner that stands in the table no more, so that nobody joins it */
    struct skua__caller *next;
    struct skua__list followers;
    struct skua__waiter waiter; /* of a follower */
};

/* Makes a copy of the value another owner of what is in it. */
struct skua__flight_retain {
    void (*retain)(void *value, void *arg); /* NULL: nothing to do */
    void *arg;
};

static inline bool skua__flight_same_key(const void *a, size_t a_bytes, const void *b,
                                         size_t b_bytes)
{
    return a_bytes == b_bytes && (a_bytes == 0 || memcmp(a, b, a_bytes) == 0);
}

uint64_t skua__flight_hash(const void *key, size_t key_bytes);

/* A call by the caller of this function. `hash` is that of the key. */
void skua__caller_init(struct skua__caller *self, const void *key, size_t key_bytes, uint64_t hash);

/* Under the lock, which it gives up: run, or wait for the one who does. Returns RUN, SERVED, LEFT
   or AGAIN. May switch. Who runs must call finish or hand-over. */
enum skua__part skua__flight_enter(struct skua__flight *flight, struct skua__caller *self,
                                   skua_time deadline);

/* Run fn(arg) under the deadline. *is_own: it failed, and the caller was cancelled or is late, so
   that the failure says nothing to others. */
int skua__flight_attempt(skua_fn fn, void *arg, skua_time deadline, bool *is_own);

/* Under the lock, which it gives up at the end: give all followers the status, and if that is >= 0
   the value. */
void skua__flight_finish(struct skua__flight *flight, struct skua__caller *self, int status,
                         const struct skua__flight_retain *retain);

/* Under the lock, which it gives up: let the follower that has waited longest run, if there is any.
   */
void skua__flight_hand_over(struct skua__flight *flight, struct skua__caller *self);

/* Under the lock: whoever runs the call keeps its followers and gets no more. */
void skua__flight_detach(struct skua__flight *flight, const void *key, size_t key_bytes,
                         uint64_t hash);
void skua__flight_detach_all(struct skua__flight *flight);

#endif
