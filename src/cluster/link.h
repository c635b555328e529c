/* cluster/link.h: the thread that owns the transport of a cluster.

   It packs records into packets and takes them apart, sends and fetches large payloads piece by
   piece, notices silence, and sleeps when nothing is to be expected. What the records mean is its
   user's affair: remote.c on rank 0, serve.c on the others. */
#ifndef SKUA_CLUSTER_LINK_H
#define SKUA_CLUSTER_LINK_H

#include "base/list.h"
#include "base/lock.h"
#include "cluster/wire.h"

#include <pthread.h>
#include <stdatomic.h>

struct skua__cluster;
struct skua__bundle;

/* What is under way in the transport; the token of its event. */
struct skua__parcel {
    struct skua__link link; /* in cluster->under_way, if it is sent */
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
    /* Or at the end of the cluster, if the rank was lost; may be NULL. */
    void (*dropped)(struct skua__cluster *cluster, struct skua__fetch *fetch);
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
    /* True: that rank owes something, so that its silence matters. */
    bool (*owes)(void *arg, uint32_t rank);
    /* When work() is to be called at the latest. */
    int64_t (*due_ns)(void *arg);
    void (*lost)(void *arg, uint32_t rank, const char *why);
};

/* Another rank. Thread only, but for (K): under the cluster's lock. */
struct skua__peer {
    struct skua__link dirty;   /* (K) in cluster->dirty while there is something to send */
    struct skua__list full;    /* (K) packets */
    struct skua__bundle *open; /* (K) the one that is being filled, or NULL */
    _Atomic bool is_lost;      /* set once, by the thread */
    int64_t sent_ns;           /* the last packet */
    uint32_t missed;           /* looks since it was heard while it owed something */
    _Atomic uint64_t messages; /* packets and pieces, sent and received */
};

struct skua__cluster {
    struct skua__lock lock;
    /* (K) */
    struct skua__list dirty;
    struct skua__list fetches; /* new ones */
    struct skua__bundle *kept; /* packets without use */
    uint32_t kept_count;
    /* Any thread. */
    _Atomic uint32_t bell; /* counts what was posted; the thread sleeps on it */
    _Atomic bool sleeps;   /* the bell is worth a wake */
    _Atomic uint32_t step; /* how far the thread is: link.c */
    _Atomic bool has_lost; /* some rank */
    /* Thread only. */
    struct skua__list under_way; /* parcels that are being sent */
    struct skua__list asked;     /* fetches with pieces under way */
    struct skua__list dead;      /* fetches from lost ranks: the transport may still write there */
    uint32_t next_id;
    bool holds_back;   /* something waits for more of its kind */
    uint32_t sending;  /* parcels in the transport */
    uint32_t fetching; /* pieces that were asked for */
    int64_t look_ns;   /* when to look for silence next */
    int64_t quiet_ns;  /* since when nothing has happened */
    const char *why;   /* the transport has not started */
    int status;
    pthread_t thread;
    /* Constant. */
    skua_cluster_transport transport;
    struct skua__cluster_user user;
    uint32_t rank, size;
    int64_t silence_ns; /* a rank that owes something and says nothing for so long is lost */
    int end_code;       /* of abort(), set before the end */
    struct skua__peer *peers;
};

/* Start the transport, in a thread which then waits. Returns 0, -ENOMEM, -EAGAIN, or what the
   transport says, with *why (or NULL). */
int skua__cluster_create(struct skua__cluster **out, const skua_cluster_transport *transport,
                         const char **why);

/* The thread goes to work for this user. */
void skua__cluster_go(struct skua__cluster *cluster, const struct skua__cluster_user *user);

/* Wait until all that was posted is sent, leave the transport, join the thread, free it. If ranks
   were lost and `code` is >= 0 the transport ends the program with that exit code instead. */
void skua__cluster_end(struct skua__cluster *cluster, int code);

/* --- any thread --- */

struct skua__part {
    const void *data;
    size_t bytes;
};

/* Post a record of so many parts (the first is the body). Returns 0; -ENOMEM; -EOWNERDEAD: the rank
   is lost. Ring afterwards, unless in the thread. */
int skua__cluster_post(struct skua__cluster *cluster, uint32_t to, enum skua__record_kind kind,
                       uint16_t pool, uint64_t ticket, const struct skua__part parts[],
                       size_t count);

/* Get the payload that `fetch` describes. Returns 0 or -EOWNERDEAD: the rank is lost. Ring
   afterwards, unless in the thread. */
int skua__cluster_fetch(struct skua__cluster *cluster, struct skua__fetch *fetch);

/* Something was posted. Cheap when the thread is awake. */
void skua__cluster_ring(struct skua__cluster *cluster);

bool skua__cluster_is_lost(const struct skua__cluster *cluster, uint32_t rank);

/* --- in the thread --- */

/* Whether a payload is on its way to here, or to be asked for. Those of lost ranks do not count. */
bool skua__cluster_fetches(struct skua__cluster *cluster);

/* The rank has done what cannot be, or is gone. Any number of times. */
void skua__cluster_lose(struct skua__cluster *cluster, uint32_t rank, const char *why);

/* The body of a record of that kind, or NULL: it is too short. */
static inline const void *skua__record_body(const struct skua__record *record, size_t bytes)
{
    return record->bytes >= sizeof *record + bytes ? record + 1 : NULL;
}

#endif
