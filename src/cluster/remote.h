/* cluster/remote.h: the lanes of rank 0's pools, and who leads the cluster. */
#ifndef SKUA_CLUSTER_REMOTE_H
#define SKUA_CLUSTER_REMOTE_H

#include "cluster/cluster.h"
#include "pool/lane.h"
#include "pool/state.h"

enum skua__place_state {
    SKUA__PLACE_FREE,
    SKUA__PLACE_POSTED,   /* in the lane's queue: has not left */
    SKUA__PLACE_REVOKED,  /* likewise, but nobody wants it any more */
    SKUA__PLACE_SENT,     /* the rank has it */
    SKUA__PLACE_STOPPING, /* and its caller has given up */
};

enum { SKUA__PLACE_NONE = UINT32_MAX };

/* Where a lane keeps a call. */
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
struct skua__lane {
    struct skua__remote remote;
    struct skua__lanes *lanes; /* constant, with the rank */
    uint32_t rank;
    struct skua__lane *next_active;
    bool is_active; /* in lanes->active */
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

/* All lanes of one pool. */
struct skua__lanes {
    skua_pool *pool;
    struct skua__lead *lead;
    uint16_t number; /* of the pool, in records */
    uint64_t serial; /* no other pool ever had it */
    size_t payload_max;
    struct skua__lane *active; /* (L) lanes that the thread is to look at */
    uint32_t stopping;         /* (L) in all lanes */
    _Atomic bool has_work;     /* there are active ones */
    _Atomic bool is_closing;   /* its pool closes */
    uint32_t references;       /* of the lead's lock: the pool, each answer on its way */
    bool is_gone;              /* likewise: its pool is not to be touched any more */
    uint32_t count;            /* constant, as all of this; one for each rank, [0] is not used */
    struct skua__lane lane[];
};

/* remote.c */

/* For a cluster of `count` ranks, or NULL. */
struct skua__lanes *skua__lanes_create(struct skua__lead *lead, skua_pool *pool, uint32_t count);
void skua__lanes_free(struct skua__lanes *lanes);

/* The pool closes: end its calls with -ESHUTDOWN, soon. Call from anywhere. */
void skua__lanes_stop(struct skua__lanes *lanes);

/* remote.c: what the link's thread asks of the lanes of a pool. */

/* Send what was posted, answer what is overdue. True: there was something. */
bool skua__lanes_work(struct skua__lanes *lanes);
bool skua__lanes_expect(struct skua__lanes *lanes, uint32_t rank); /* 0: any */
int64_t skua__lanes_due_ns(struct skua__lanes *lanes);
void skua__lanes_lost(struct skua__lanes *lanes, uint32_t rank);
bool skua__lanes_opened(struct skua__lanes *lanes, uint32_t rank,
                        const struct skua__record *record);
bool skua__lanes_answer(struct skua__lanes *lanes, uint32_t rank,
                        const struct skua__record *record);
bool skua__lanes_piece(struct skua__lanes *lanes, uint32_t rank, const struct skua__record *record,
                       const void **data);

/* lead.c */

/* The thread is about to use the pool. False: it is gone. */
bool skua__lanes_visit(struct skua__lanes *lanes) SKUA_MUST_CHECK;
void skua__lanes_leave(struct skua__lanes *lanes);
void skua__lanes_ref(struct skua__lanes *lanes);
void skua__lanes_unref(struct skua__lanes *lanes);

struct skua__cluster *skua__lead_cluster(const struct skua__lead *lead);
const char *skua__lead_host(const struct skua__lead *lead, uint32_t rank);
uint64_t skua__lead_serial(struct skua__lead *lead); /* never the same twice; not 0 */

#endif
