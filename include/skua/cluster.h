/* skua/cluster.h: pools that reach over several machines.

   A program that was started by mpirun (or by srun with PMIx) runs once, on rank 0; the other ranks
   work for it: skua_run() does not return there. Each of them has worker processes of its own, so
   that a crash is as harmless there as here. The program does not change, and is the same binary:
   the transport, libskua-mpi, is loaded at start-up when the environment says that there are other
   ranks, and nothing of it is loaded otherwise. SKUA_CLUSTER=off in the environment keeps a program
   to itself, SKUA_CLUSTER=PATH loads another transport.

   What goes to other ranks: jobs whose input and answer are bytes. Jobs with fds or channels, and
   pools with opts.local, stay on rank 0. A job's priority, attempts, deadline, grace and message
   hold everywhere. */
#ifndef SKUA_CLUSTER_H
#define SKUA_CLUSTER_H

#include <skua/pool.h>

SKUA_BEGIN_DECLS

/* How many ranks there are, 1 without a cluster. Call from anywhere. */
uint32_t skua_cluster_size(void);

/* This process's rank: 0 in the program, and in what is no cluster. Jobs may ask, too. */
uint32_t skua_cluster_rank(void);

/* What became of the jobs of one rank. */
typedef struct skua_cluster_stats {
    char host[64];
    uint32_t workers; /* processes that it has for the pool; 0: the rank is lost */
    uint64_t sent;    /* jobs */
    uint64_t answered;
    uint64_t failed;    /* of the answered: status < 0 */
    uint64_t lost;      /* jobs that it had when it was lost */
    uint64_t messages;  /* sent and received: jobs go in batches */
    uint64_t bytes_in;  /* inputs, in bytes */
    uint64_t bytes_out; /* answers */
    int64_t busy_ns;    /* time in jobs, summed over its processes */
} skua_cluster_stats;

/* Of rank `rank`, as far as the pool is concerned. Returns 0, -EINVAL (no such rank), -ESHUTDOWN.
   Call from anywhere. */
int skua_cluster_stats_get(const skua_pool *pool, uint32_t rank, skua_cluster_stats *stats)
    SKUA_MUST_CHECK;

SKUA_END_DECLS
#endif
