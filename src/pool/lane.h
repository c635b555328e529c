/* pool/lane.h: who runs jobs of a pool besides its own processes.

   A lane takes calls that are bytes in and bytes out, as many as it has credits. Everything here is
   called under the pool's lock unless it says otherwise, and must not wait.

   A call that a lane has is RUNNING with `lane` set, and linked in lane->calls. Its input stays
   where it is (call->in, or its in_loan) until the call is answered or given back: so who owns the
   lane may read it later, without the lock. */
#ifndef SKUA_POOL_LANE_H
#define SKUA_POOL_LANE_H

#include "base/list.h"

#include <skua/pool.h>
#include <stdbool.h>
#include <stdint.h>

struct skua__after;
struct skua__call;
struct skua__lane;
struct skua__loan;

struct skua__lane_ops {
    /* Take the call; flush() follows soon. Cannot fail: a lane that breaks gives its calls back
       with skua__lane_lost(). */
    void (*post)(struct skua__lane *lane, struct skua__call *call);
    /* The caller has given up. True: it had not left, and nobody will speak of it again. False: it
       will be answered in any case, and soon: with `status` if it was stopped in time. */
    bool (*revoke)(struct skua__lane *lane, struct skua__call *call, int status);
    /* Send what was posted, in whichever lane. Called without the lock, by anybody, several at a
       time, perhaps after the pool is gone. */
    void (*flush)(void);
};

struct skua__lane {
    struct skua__link link; /* in pool->lanes */
    skua_pool *pool;
    const struct skua__lane_ops *ops;
    struct skua__list calls;
    uint32_t workers; /* processes over there */
    uint32_t credits; /* calls that it may have at a time; 0: it is lost */
    uint32_t load;    /* calls that it has */
};

/* --- lane.c: what the pool asks --------------------------------------------------------------- */

/* Give the call to the next lane that has room, or an idle process. False: there is none, or the
   call is more than bytes. */
bool skua__lanes_offer(skua_pool *pool, struct skua__call *call, bool is_idle_only,
                       struct skua__after *after);

/* Has some lane a process with nothing to do? */
bool skua__lanes_have_idle(const skua_pool *pool);

/* How many calls the lanes of the pool have, and may have at a time. */
uint32_t skua__lanes_load(const skua_pool *pool);
uint64_t skua__lanes_credits(const skua_pool *pool);

/* The caller has given up. True: the call is NEW again. False: it will be answered, by revoke(). */
bool skua__lane_take_back(struct skua__call *call, int status);

/* --- lane.c: what a lane tells ---------------------------------------------------------------- */

/* From now on the pool uses it; no more. */
void skua__lane_attach(struct skua__lane *lane, struct skua__after *after);
void skua__lane_detach(struct skua__lane *lane);

/* The call has ended there: `answer` (a PRIVATE or SHORT loan, or NULL) and `text` (of
   skua__alloc(), or NULL) are the call's from now on. */
void skua__lane_answered(struct skua__lane *lane, struct skua__call *call, int status,
                         struct skua__loan *answer, char *text, struct skua__after *after);

/* The lane has lost the call: it fails with that story (or is begun again) if it may have begun,
   and else waits again. True: `after` is full; unlock before the next one. */
bool skua__lane_lost(struct skua__lane *lane, struct skua__call *call, bool has_begun,
                     struct skua__after *after, const char *story);

/* --- watch.c: for a pool that runs what is in another one's lane ------------------------------ */

/* How long jobs take in it at present (0: not known), and how long all of them took. It takes the
   lock itself. */
void skua__pool_times(skua_pool *pool, int64_t *run_ns, int64_t *busy_ns);

/* --- the room above --------------------------------------------------------------------------- */

/* What the pool asks of the one who makes lanes. That is cluster/, a floor higher, which defines
   this: a constant instead of something to register, so that a linker which takes the pool out of
   the static library takes that as well. */
struct skua__elsewhere {
    /* A runtime starts, and the zygote was made, if there are jobs; there is no thread yet. May not
       return. */
    void (*begin)(void);
    /* How many processes of a pool are this process's, of the `cores` that it may use. */
    uint32_t (*share)(uint32_t cores);
    /* The pool has started: give it lanes, if there are any for it. Returns 0 or -ENOMEM. */
    int (*attach)(skua_pool *pool, const skua_pool_opts *opts);
    /* The pool closes: the calls in its lanes end with -ESHUTDOWN, soon. The lock is not held. */
    void (*stop)(const skua_pool *pool);
    /* The pool, which has no calls in lanes any more, goes. The lock is not held. */
    void (*detach)(skua_pool *pool);
};

extern const struct skua__elsewhere skua__elsewhere;

#endif
