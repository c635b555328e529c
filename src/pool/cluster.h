/* pool/cluster.h: the cluster that this process is part of, as pools see it. */
#ifndef SKUA_POOL_CLUSTER_H
#define SKUA_POOL_CLUSTER_H

#include "pool/cluster_link.h"

#include <skua/cluster.h>

/* --- cluster.c --- */

/* The process's cluster; NULL: there is none, or this is not its rank 0. */
struct skua__cluster *skua__cluster_current(void);

/* Tests: pools are made in this one from now on, NULL for none. */
void skua__cluster_use(struct skua__cluster *cluster);

/* What tells one build of the program from another. */
uint64_t skua__cluster_build(void);

/* --- remote.c: rank 0 --- */

/* Start a cluster's rank 0 on a transport that was opened, and wait until all ranks have said
   hello. Returns 0, or a negative errno with *why. */
int skua__cluster_lead(struct skua__cluster **out, const skua_transport *transport,
                       const char **why);

/* Have all ranks end, wait for that, and free it. If some are lost the transport ends the program
   with the exit code `code`, should that be >= 0. */
void skua__cluster_dismiss(struct skua__cluster *cluster, int code);

/* The pool, which has started, gets a lane to each rank, unless there is no cluster, or
   opts->local. Returns 0 or -ENOMEM. */
int skua__cluster_attach(skua_pool *pool, const skua_pool_opts *opts);

/* The pool's lanes, which have no calls any more, are gone. Does nothing without lanes. */
void skua__cluster_detach(skua_pool *pool);

/* How many processes are this rank's, of `cores` that the host has: ranks that share it share
   them. */
uint32_t skua__cluster_share(uint32_t cores);

/* --- cluster_serve.c: the others --- */

/* A rank at work. */
struct skua__server;

/* Start it on a transport that was started already (`cluster`'s), say hello to rank 0. */
int skua__server_begin(struct skua__server **out, const skua_transport *transport, uint32_t rank,
                       uint32_t size);

/* A main task: work until rank 0 says STOP. */
int skua__server_main(void *server);

/* After its runtime has ended: leave in order, free it. */
void skua__server_end(struct skua__server *server);

#endif
