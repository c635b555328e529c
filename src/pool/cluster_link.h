/* pool/cluster_link.h: the thread that owns the transport of a cluster.

   It packs records into packets and takes them apart, sends and fetches large payloads piece by
   piece, notices silence, and sleeps when nothing is to be expected. What the records mean is its
   user's affair: remote.c on rank 0, cluster_serve.c on the others. */
#ifndef SKUA_POOL_CLUSTER_LINK_H
#define SKUA_POOL_CLUSTER_LINK_H

#include "base/list.h"
#include "base/lock.h"
#include "pool/cluster_wire.h"

#include <pthread.h>
#include <stdatomic.h>

struct skua__cluster;

/* What is under way in the transport; the token of its event. */
struct skua__parcel {
    void (*ended)(struct skua__cluster *cluster, struct skua__parcel *parcel); /* in the thread */
};

struct skua__fetch;
struct skua__piece {
    struct skua__parcel parcel;
    struct skua__fetch *fetch;
    uint32_t bytes; /* 0: not in use */
};

/* A payload on its way to here. The owner fills in the first part. */
struct skua__fetch {
    uint32_t from;
    uint16_t pool;
    uint64_t ticket;
    char *data; /* must stay until `arrived`, which does not come if the rank is lost before */
    size_t bytes;
    void (*arrived)(struct skua__cluster *cluster, struct skua__fetch *fetch); /* in the thread */
    /* The link's. */
    struct skua__link link;
    size_t asked, come;
    struct skua__piece pieces[SKUA__PIECES_AT_ONCE];
};

/* What the link's user does; all in the thread. */
struct skua__cluster_user {
    void *arg;
    /* A record of a living rank. False: it is nonsense. */
    bool (*record)(void *arg, uint32_t from, const struct skua__record *record);
    /* A piece of a payload is wanted. The bytes at *data stay until parcel->ended(), if there is a
       *parcel; else they are copied before anything else happens. NULL in *data: nobody needs them
       any more, so anything will do. False: nonsense. */
    bool (*piece)(void *arg, uint32_t to, const struct skua__record *record, const void **data,
                  struct skua__parcel **parcel);
    /* Do what is to be done. Returns true if that was something. */
    bool (*work)(void *arg);
    /* True: something may come at any moment. */
    bool (*expects)(void *arg);
    /* When work() is to be called at the latest. */
    int64_t (*due_ns)(void *arg);
    void (*lost)(void *arg, uint32_t rank, const char *why);
};

enum { SKUA__PACKETS_KEPT = 64 };

struct skua__packet;

/* Another rank. Thread only, but for (K): under the cluster's lock. */
struct skua__peer {
    struct skua__link dirty;    /* (K) in cluster->dirty while there is something to send */
    struct skua__list full;     /* (K) packets */
    struct skua__packet *open;  /* (K) the one that is being filled, or NULL */
    _Atomic bool is_lost;       /* set once */
    bool is_expected;           /* it owes something, and its silence is noticed */
    bool has_left;              /* BYE */
    bool was_pinged;            /* since it was last heard */
    int64_t heard_ns;
    uint32_t cores;             /* of its HELLO, and the next two; 0: it has not come */
    uint32_t ranks_on_host;
    char host[SKUA__HOST_BYTES];
    _Atomic uint64_t messages;  /* sent and received */
};

struct skua__cluster {
    struct skua__lock lock;
    /* (K) */
    struct skua__list dirty;
    struct skua__list fetches; /* that are not complete */
    struct skua__packet *kept; /* packets without use */
    uint32_t kept_count;
    /* Any thread. */
    _Atomic uint32_t bell;   /* counts what was posted; the thread sleeps on it */
    _Atomic bool sleeps;     /* the bell is worth a wake */
    _Atomic bool must_end;   /* STOP was sent or has come: the thread leaves when all is sent */
    _Atomic uint32_t sending; /* parcels in the transport */
    /* Thread only. */
    uint32_t next_id;
    int64_t looked_ns; /* for silence */
    uint32_t moved;    /* events in this turn */
    char *nothing;     /* a piece of zeros, for who asks in vain; or NULL */
    pthread_t thread;
    /* Constant once it has started. */
    skua_transport transport;
    struct skua__cluster_user user;
    uint32_t rank, size;
    int64_t silence_ns; /* a rank that owes something and says nothing for so long is lost */
    struct skua__peer *peers;
};

/* Begin: the transport was started. The thread runs from now on. Returns 0, -ENOMEM, -EAGAIN. */
int skua__cluster_begin(struct skua__cluster *cluster);

/* Wait until all that was posted is sent, leave the transport and join the thread. */
void skua__cluster_end(struct skua__cluster *cluster);

/* --- any thread --- */

struct skua__part {
    const void *data;
    size_t bytes;
};

/* Post a record of so many parts (the first is the body). Returns 0; -ENOMEM; -EOWNERDEAD: the rank
   is lost. Ring afterwards. */
int skua__cluster_post(struct skua__cluster *cluster, uint32_t to, enum skua__record_kind kind,
                       uint16_t pool, uint64_t ticket, const struct skua__part parts[],
                       size_t count);

/* Get the payload that `fetch` describes. Ring afterwards. */
void skua__cluster_fetch(struct skua__cluster *cluster, struct skua__fetch *fetch);

/* Something was posted. Cheap when the thread is awake. */
void skua__cluster_ring(struct skua__cluster *cluster);

/* --- in the thread --- */

/* The rank has done what cannot be, or is silent. */
void skua__cluster_lose(struct skua__cluster *cluster, uint32_t rank, const char *why);

#endif
