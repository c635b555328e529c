/* cluster/remote.h: the other ranks as rank 0's pools see them.

   A remote is one rank for one pool: a lane of the pool, with the calls that are in it. (L): under
   the pool's lock. */
#ifndef SKUA_CLUSTER_REMOTE_H
#define SKUA_CLUSTER_REMOTE_H

#include "cluster/wire.h"
#include "pool/lane.h"
#include "pool/state.h"

#include <skua/cluster.h>

struct skua__lead;

enum skua__place_state {
    SKUA__PLACE_FREE,
    SKUA__PLACE_POSTED,   /* in the remote's queue: has not left */
    SKUA__PLACE_REVOKED,  /* likewise, but nobody wants it any more */
    SKUA__PLACE_SENT,     /* the rank has it */
    SKUA__PLACE_STOPPING, /* and its caller has given up */
};

enum { SKUA__PLACE_NONE = UINT32_MAX };

/* Where a remote keeps a call. */
struct skua__place {
    struct skua__call *call;
    uint64_t ticket; /* the low half is this place's number, the high half counts */
    int64_t due_ns;  /* STOPPING: answered by then, by us if need be */
    int status;      /* STOPPING: so */
    uint32_t next;   /* FREE, POSTED: in that list */
    uint8_t state;
    bool must_cancel; /* STOPPING: the rank was not told yet */
};

/* (L) but for what is constant. */
struct skua__remote {
    struct skua__lane lane;
    struct skua__remotes *remotes; /* constant, with the rank */
    uint32_t rank;
    struct skua__remote *next_active;
    bool is_active; /* in remotes->active */
    bool is_attached;
    bool is_lost;
    struct skua__place *places; /* NULL: not opened yet */
    uint32_t place_count;
    uint32_t free; /* first of its list */
    uint32_t first_posted, last_posted;
    uint32_t stopping; /* how many */
    int64_t due_ns;    /* the earliest of them */
    int64_t run_ns;    /* how long jobs take there; 0: not known */
    uint64_t ended;    /* calls that have found their end here */
    skua_cluster_stats stats;
};

/* All remotes of one pool. */
struct skua__remotes {
    skua_pool *pool;
    struct skua__lead *lead;
    uint16_t number; /* of the pool, in records */
    uint64_t serial; /* no other pool ever had it */
    size_t payload_max;
    struct skua__remote *active; /* (L) remotes that the thread is to look at */
    uint32_t stopping;           /* (L) in all remotes */
    _Atomic bool has_work;       /* there are active ones */
    _Atomic bool is_closing;     /* its pool closes */
    uint32_t references;         /* of the lead's lock: the pool, each answer on its way */
    bool is_gone;                /* likewise: its pool is not to be touched any more */
    uint32_t count;              /* constant, as all of this; one for each rank, [0] is not used */
    struct skua__remote remote[];
};

/* For a cluster of `count` ranks, or NULL. */
struct skua__remotes *skua__remotes_create(struct skua__lead *lead, skua_pool *pool,
                                           uint32_t count);
void skua__remotes_free(struct skua__remotes *remotes);

/* The pool closes: end its calls with -ESHUTDOWN, soon. Call from anywhere. */
void skua__remotes_stop(struct skua__remotes *remotes);

/* What the link's thread asks of the remotes of a pool. */

/* Send what was posted, answer what is overdue. True: there was something. */
bool skua__remotes_work(struct skua__remotes *remotes);
bool skua__remotes_expect(struct skua__remotes *remotes, uint32_t rank); /* 0: any */
int64_t skua__remotes_due_ns(struct skua__remotes *remotes);
void skua__remotes_lost(struct skua__remotes *remotes, uint32_t rank);
bool skua__remotes_opened(struct skua__remotes *remotes, uint32_t rank,
                          const struct skua__record *record);
bool skua__remotes_answer(struct skua__remotes *remotes, uint32_t rank,
                          const struct skua__record *record);
bool skua__remotes_piece(struct skua__remotes *remotes, uint32_t rank,
                         const struct skua__record *record, const void **data);

#endif
