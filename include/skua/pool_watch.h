/* skua/pool_watch.h: what a pool is doing: numbers for display, for logs and for tests. */
#ifndef SKUA_POOL_WATCH_H
#define SKUA_POOL_WATCH_H

#include <skua/pool.h>

SKUA_BEGIN_DECLS

/* How far a job is, as it says itself with skua_job_progress(). Zeroed by its owner before the call
   that it is given to (skua_call_opts.progress), and written by the pool until that job has
   ended. */
typedef struct skua_pool_progress {
    uint64_t opaque[4];
} skua_pool_progress;

/* The job's last words: 0 and 0 before it has said any. After a restart they begin anew. Call from
   anywhere. */
void skua_pool_progress_get(const skua_pool_progress *progress, uint64_t *done, uint64_t *total);

typedef struct skua_pool_stats {
    uint32_t workers;  /* alive, spare ones not counted */
    uint32_t spares;   /* forked and waiting to take the place of a lost one */
    uint32_t busy;     /* workers with a job */
    uint64_t queued;   /* jobs that wait for a worker */
    uint64_t running;  /* jobs that workers have, some of which have not begun */
    uint64_t answered; /* jobs that came to their end, whatever their status */
    uint64_t killed;   /* jobs that were killed: deadline, cancel, close */
    uint64_t crashed;  /* jobs whose worker died in them, retried ones included */
    uint64_t retried;  /* jobs that were begun again: idempotent ones */
    uint64_t requeued; /* jobs that had not begun when their worker was lost or needed elsewhere */
    uint64_t replaced; /* workers that were replaced, whatever the reason */
    uint64_t loans;    /* buffers that were not released yet */
    uint64_t log_lost; /* lines of skua_job_log() that came too fast */
} skua_pool_stats;

/* Call from anywhere. */
void skua_pool_stats_get(const skua_pool *pool, skua_pool_stats *stats);

/* Process ids of the workers alive now, spare ones not included. Returns how many there are, writes
   at most `count`. Call from anywhere. */
size_t skua_pool_pids(const skua_pool *pool, pid_t pids[], size_t count);

SKUA_END_DECLS
#endif
