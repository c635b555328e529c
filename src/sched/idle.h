/* sched/idle.h: which workers search, which are parked, and how one is woken. README.md has the
   protocol.

   One word counts both:

       63            32 31             0
       +---------------+---------------+
       |   searching   |    parked     |
       +---------------+---------------+

   A worker that finds nothing to do becomes a searcher, or parks. Parked workers stand in a list
   under a lock; taking one out of it is the claim to wake it, and who takes it out moves the
   counts. */
#ifndef SKUA_SCHED_IDLE_H
#define SKUA_SCHED_IDLE_H

#include "base/list.h"
#include "base/lock.h"

#include <stdbool.h>

struct skua__idle {
    _Atomic uint64_t state;
    struct skua__lock lock SKUA_CACHE_ALIGNED;
    struct skua__list parked; /* latest first */
};

enum skua__permit {
    SKUA__PERMIT_NONE,   /* sleep on */
    SKUA__PERMIT_SEARCH, /* woken; it is counted as searching */
    SKUA__PERMIT_PLAIN,  /* woken for something of its own */
};

/* One worker's place in the list. */
struct skua__sleeper {
    struct skua__link link; /* under the idle lock */
    bool is_polling;        /* likewise: it sleeps in the poller, not on the permit */
    _Atomic uint32_t permit;
};

void skua__idle_init(struct skua__idle *idle);

static inline uint32_t skua__idle_parked(const struct skua__idle *idle)
{
    return (uint32_t)skua__load(&idle->state, relaxed);
}

static inline uint32_t skua__idle_searching(const struct skua__idle *idle)
{
    return (uint32_t)(skua__load(&idle->state, relaxed) >> 32);
}

/* Become a searcher, unless half of the `workers` that are awake search already. */
bool skua__idle_search_begin(struct skua__idle *idle, uint32_t workers);

/* Stop searching because something was found. True: nobody searches any more; the caller now looks
   at all queues, and wakes one worker if there is more to do. */
bool skua__idle_search_end(struct skua__idle *idle);

/* Enter the list. True: nobody searches now; the caller must make all running threads fence, and
   then look at all queues once more before it sleeps. */
bool skua__idle_park(struct skua__idle *idle, struct skua__sleeper *sleeper, bool was_searching,
                     bool is_polling);

/* Leave the list again. False: too late, somebody has claimed the sleeper and its permit is coming.
   */
bool skua__idle_unpark(struct skua__idle *idle, struct skua__sleeper *sleeper, bool as_searcher);

/* Claim a sleeper to wake it as a searcher, if one is parked and nobody searches; a polling one
   only if there is no other. The caller gives it SKUA__PERMIT_SEARCH. NULL: nobody. */
struct skua__sleeper *skua__idle_claim(struct skua__idle *idle);

/* Claim this very sleeper, if it is parked. The caller gives it SKUA__PERMIT_PLAIN. */
bool skua__idle_claim_this(struct skua__idle *idle, struct skua__sleeper *sleeper);

/* Claim any sleeper, whoever searches. The caller gives it SKUA__PERMIT_PLAIN. */
struct skua__sleeper *skua__idle_claim_any(struct skua__idle *idle);

/* The test after work was made visible: true if skua__idle_claim() should be tried. `fenced`: the
   caller has executed a full fence since. Costs one load in the usual cases. */
static inline bool skua__idle_wants_wake(const struct skua__idle *idle, bool fenced)
{
    uint64_t state = skua__load(&idle->state, relaxed);
    if (SKUA_LIKELY(state == 0)) {
        return false;
    }
    if (state >> 32 != 0) {
        /* Somebody searches, and will look at all queues when it stops. It must then see what we
           have just published, or we must see that it has stopped. */
        if (fenced) {
            return false;
        }
        /* seq_cst: orders our push before the load; pairs with the read-modify-write in
           skua__idle_search_end() and skua__idle_park(). */
        skua__fence(seq_cst);
        state = skua__load(&idle->state, relaxed);
    }
    return state >> 32 == 0 && (uint32_t)state != 0;
}

#endif
