/* cluster/lead.h: rank 0 of a cluster. */
#ifndef SKUA_CLUSTER_LEAD_H
#define SKUA_CLUSTER_LEAD_H

#include "base/compiler.h"

#include <skua/pool.h>
#include <stdbool.h>
#include <stdint.h>

struct skua__cluster;
struct skua__lead;
struct skua__remotes;

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

/* --- for its pools: remote.c ------------------------------------------------------------------ */

/* The thread is about to use the pool. False: it is gone. */
bool skua__remotes_visit(struct skua__remotes *remotes) SKUA_MUST_CHECK;
void skua__remotes_leave(struct skua__remotes *remotes);
void skua__remotes_ref(struct skua__remotes *remotes);
void skua__remotes_unref(struct skua__remotes *remotes);

struct skua__cluster *skua__lead_cluster(const struct skua__lead *lead);
const char *skua__lead_host(const struct skua__lead *lead, uint32_t rank);
uint64_t skua__lead_serial(struct skua__lead *lead); /* never the same twice; not 0 */

#endif
