/* pool/lane.h: who runs jobs of a pool besides its own processes.

   A lane takes calls that are bytes in and bytes out, as many as it has credits. Everything here is
   called under the pool's lock unless it says otherwise, and must not wait.

   A call that a lane has is RUNNING with `remote` set, and linked in remote->calls. Its input stays
   where it is (call->in, or its in_loan) until the call is answered or given back: so a transport
   may read it later, without the lock. */
#ifndef SKUA_POOL_LANE_H
#define SKUA_POOL_LANE_H

#include "base/list.h"

#include <skua/pool.h>
#include <stdbool.h>
#include <stdint.h>

struct skua__after;
struct skua__call;
struct skua__loan;
struct skua__remote;

struct skua__remote_ops {
    /* Take the call; flush() follows soon. Cannot fail: a lane whose transport breaks gives its
       calls back with skua__remote_lost(). */
    void (*post)(struct skua__remote *remote, struct skua__call *call);
    /* The caller has given up. 1: it had not left, and nobody will speak of it again. 0: it will be
       answered in any case, and soon: with `status` if it was stopped in time. */
    int (*revoke)(struct skua__remote *remote, struct skua__call *call, int status);
    /* Send what was posted, to whichever rank. Called without the lock, by anybody, several at a
       time, perhaps after the pool is gone. */
    void (*flush)(void);
};

struct skua__remote {
    struct skua__link link; /* in pool->remotes */
    skua_pool *pool;
    const struct skua__remote_ops *ops;
    struct skua__list calls;
    uint32_t workers; /* processes over there */
    uint32_t credits; /* calls that it may have at a time; 0: it is lost */
    uint32_t load;    /* calls that it has */
};

/* dispatch.c, all (L) */

/* From now on the pool uses it; no more. */
void skua__remote_attach(struct skua__remote *remote, struct skua__after *after);
void skua__remote_detach(struct skua__remote *remote);

/* How many calls the lanes of the pool may have at a time. */
uint64_t skua__remote_credits(const skua_pool *pool);

/* The lane has given the call up: revoke() has returned 1. */
void skua__remote_withdraw(struct skua__call *call);

/* The call has ended there: `answer` (a PRIVATE or SHORT loan, or NULL) and `text` (of
   skua__alloc(), or NULL) are the call's from now on. */
void skua__remote_answered(struct skua__remote *remote, struct skua__call *call, int status,
                           struct skua__loan *answer, char *text, struct skua__after *after);

/* The lane has lost the call: it fails with that story (or is begun again) if it may have begun,
   and else waits again. True: `after` is full; unlock before the next one. */
bool skua__remote_lost(struct skua__remote *remote, struct skua__call *call, bool has_begun,
                       struct skua__after *after, const char *story);

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
