/* skua/cluster_transport.h: what carries a cluster's messages, as a plug-in.

   Programs need nothing of this. A transport is a shared library that exports
   skua_cluster_transport_open(); libskua-mpi is one. Skua loads it at start-up
   (skua/cluster.h says when) and makes all calls from one thread of its own, start to stop. The
   transport moves bytes and tells who is there; jobs, batches, deadlines and statistics are Skua's
   affair.

   Packets arrive in the order in which they were sent to a rank. A payload is one large block under
   a number, which its receiver has asked for by a packet after it gave memory to the transport, so
   that nothing is ever stored on the way. */
#ifndef SKUA_CLUSTER_TRANSPORT_H
#define SKUA_CLUSTER_TRANSPORT_H

#include <skua/base.h>

SKUA_BEGIN_DECLS

enum {
    SKUA_CLUSTER_VERSION = 1,
    SKUA_CLUSTER_PACKET_MAX = 80 * 1024, /* bytes in a packet */
    SKUA_CLUSTER_PAYLOAD_MAX = 1 << 20,  /* and in a payload */
    SKUA_CLUSTER_IDS = 1 << 30,          /* payloads are numbered below this */
};

/* What has happened, told from within poll(). Tokens are those of the calls below; the memory that
   came with one is the transport's until its event. */
typedef struct skua_cluster_events {
    void *arg;
    /* A packet; `data`, aligned for 8 bytes, stays until the return. */
    void (*packet)(void *arg, uint32_t from, const void *data, size_t bytes);
    /* What was sent needs its memory no more. */
    void (*sent)(void *arg, void *token);
    /* A payload has arrived. */
    void (*received)(void *arg, void *token);
    /* The rank is gone; `why` stays until the return. Told at most once for each. */
    void (*lost)(void *arg, uint32_t rank, const char *why);
} skua_cluster_events;

typedef struct skua_cluster_transport {
    uint32_t version; /* SKUA_CLUSTER_VERSION */
    void *self;       /* the first argument of all calls */

    /* Join the others; may wait for them. Writes this process's rank and how many there are.
       Returns 0, or a negative errno with a text in *error. */
    int (*start)(void *self, uint32_t *rank, uint32_t *size, const char **error);

    /* Send a packet of at most SKUA_CLUSTER_PACKET_MAX bytes. Never waits. Returns 0, or a
       negative errno: then there will be no event. */
    int (*send)(void *self, uint32_t to, const void *data, size_t bytes, void *token);

    /* Send the payload `id`, which `to` has asked for. As send(). */
    int (*send_payload)(void *self, uint32_t to, uint32_t id, const void *data, size_t bytes,
                        void *token);

    /* Have the payload `id` of rank `from`, of exactly `bytes` bytes, written to `data`. As
       send(). */
    int (*receive_payload)(void *self, uint32_t from, uint32_t id, void *data, size_t bytes,
                           void *token);

    /* Let things go on, without waiting, and tell what has happened. Returns how many events there
       were. */
    int (*poll)(void *self, const skua_cluster_events *events);

    /* Leave in order: all ranks call it, after their last packets have arrived. */
    void (*stop)(void *self);

    /* End the whole program, all ranks, with this exit code, in whatever state it is. */
    void (*abort)(void *self, int code);
} skua_cluster_transport;

/* What the library exports, under the name skua_cluster_transport_open. Fills in *out. Returns 0 or
   a negative errno. */
typedef int (*skua_cluster_opener)(skua_cluster_transport *out);

SKUA_END_DECLS
#endif
