/* cluster/cluster.h: the cluster that this process is part of: rank 0 leads, the others serve. */
#ifndef SKUA_CLUSTER_CLUSTER_H
#define SKUA_CLUSTER_CLUSTER_H

#include "cluster/link.h"

#include <skua/cluster.h>

/* --- cluster.c --- */

/* What there is to say of this process in a HELLO. */
void skua__cluster_introduce(struct skua__record_hello *hello);

/* --- lead.c: rank 0 --- */

struct skua__lead;

/* Lead a cluster whose transport has started, and wait until all ranks have said hello. Returns 0,
   or a negative errno with *why; then the cluster is the caller's to end. */
int skua__lead_begin(struct skua__lead **out, struct skua__cluster *cluster, const char **why);

/* Have all ranks end, wait for that, and free it with the cluster. If some are lost the transport
   ends the program with the exit code `code`, should that be >= 0. */
void skua__lead_end(struct skua__lead *lead, int code);

/* The process's cluster; NULL: there is none, or this is not its rank 0. */
struct skua__lead *skua__lead_current(void);

/* How many ranks it has; 0: there is none. */
uint32_t skua__lead_size(void);

/* Pools are made in this one from now on; NULL: in none. */
void skua__lead_use(struct skua__lead *lead);

/* The pool, which has started, gets a lane to each rank, unless there is no cluster, or
   opts->local. Returns 0 or -ENOMEM. `opts` may be NULL. */
int skua__lead_attach(skua_pool *pool, const skua_pool_opts *opts);

/* The pool closes: the calls in its lanes end with -ESHUTDOWN, soon. The lock is not held. */
void skua__lead_stop(const skua_pool *pool);

/* The pool's lanes, which have no calls any more, are gone. Does nothing without lanes. */
void skua__lead_detach(skua_pool *pool);

/* How many processes are this rank's, of the `cores` that it may use: ranks of one host may share
   them. */
uint32_t skua__lead_share(uint32_t cores);

/* --- serve.c: the others --- */

/* A rank at work. */
struct skua__server;

/* Serve in a cluster whose transport has started: say hello to rank 0. */
int skua__server_begin(struct skua__server **out, struct skua__cluster *cluster);

/* A main task: work until rank 0 says STOP. Returns 0, -EOWNERDEAD. */
int skua__server_main(void *server);

/* After its runtime has ended: leave in order, free it with the cluster. */
void skua__server_end(struct skua__server *server);

#endif
