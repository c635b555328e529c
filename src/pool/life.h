/* pool/life.h: the part of a pool and of its processes that is about being born and dying.

   There are to be pool->workers workers, and SKUA__SPARES processes that are forked ahead and take
   the place of a worker that is lost, at once, under the lock; the supervisor then asks for another
   one. A process counts as a worker or as a spare from the moment it is asked for; a spare that is
   not there yet may become a worker as well.

       STARTING --ready--> READY (a worker) ---> DOOMED ---> GONE
                   |            ^
                   +-> SPARE ---+ promote */
#ifndef SKUA_POOL_LIFE_H
#define SKUA_POOL_LIFE_H

#include "pool/settings.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct skua__after;
struct skua__process;

enum {
    SKUA__WORKERS_MAX = 1024,
    SKUA__NUMBERS_MAX = 2048, /* of processes: workers, spares, and those that are dying */
    SKUA__SPARES = 1,
    SKUA__START_TEXT_BYTES = 512,
    SKUA__LATE_JOBS = 16,
};

/* In a pool, as `life`. (L): under the pool's lock. */
struct skua__life {
    /* (L) */
    char start_text[SKUA__START_TEXT_BYTES]; /* what there is to say of pool->start_error */
    uint64_t replaced;                       /* workers that were lost */
    uint32_t retiring;                       /* processes that get no more calls, and then end */
    uint64_t places[SKUA__WORKERS_MAX / 64]; /* those that workers have */
    /* Supervisor only. */
    uint64_t numbers[SKUA__NUMBERS_MAX / 64]; /* those in use */
    /* Constant. */
    struct skua__settings *settings;
    uint64_t jobs_max; /* of one process; 0: no limit */
    const skua_job *init_job;
    skua_bytes init_in; /* a copy */
};

/* In a process, as `life`. */
struct skua__process_life {
    bool is_spare;                  /* (L) counted in spare_count, else in worker_count */
    bool is_ready;                  /* (L) it got through its own set-up */
    bool is_lost;                   /* (L) it is counted nowhere */
    bool has_place;                 /* (L) */
    bool is_oom;                    /* (L) DIED says so */
    int init_error;                 /* (L) of its init job; it was killed for it */
    uint32_t place;                 /* (L) */
    uint32_t late_count;            /* (L) */
    uint64_t late[SKUA__LATE_JOBS]; /* (L) jobs whose libraries it was told to load, the latest */
};

/* Parent: check the options, connect with the zygote (making one if need be), and send it the
   settings and the bell, which is pool->bell. Sets pool->control and pool->life. Returns 0,
   -EINVAL, -ENOTSUP, -EEXIST, -ENOMEM, -EMFILE, -EAGAIN; where one wants to know more, that is
   attached to the task.
   Call from: a task. May switch. */
int skua__life_open(skua_pool *pool, const skua_pool_opts *opts) SKUA_MUST_CHECK;
/* The last of it: after the supervisor has ended, or did not start. */
void skua__life_close(skua_pool *pool);

/* Parent: prepare the init job of a process that nobody else knows yet. Returns 0 or -ENOMEM. */
int skua__life_prepare_init(struct skua__process *process) SKUA_MUST_CHECK;

/* All of the following: (L). */

/* The process was forked: it begins its init job, or is ready. */
void skua__life_begin(struct skua__process *process, struct skua__after *after);
/* process->init is DONE. */
void skua__life_init_ended(struct skua__process *process, struct skua__after *after);
/* The process, in whatever state, will never have another job: it is not counted any more. Call it
   before its state becomes DOOMED or GONE, any number of times. */
void skua__life_lost(struct skua__process *process);
/* Have spares take the places of workers that were lost. Adds to `after` what the welcome of each
   adds. */
void skua__life_promote(skua_pool *pool, struct skua__after *after);
/* With its present load the process may have had as many jobs as it is to have. */
void skua__life_wear(struct skua__process *process, uint32_t load);
/* End the processes that are to retire and have no calls any more. */
void skua__life_retire(skua_pool *pool, struct skua__after *after);
/* A call has ended: tell who waits for the last one. */
void skua__life_drained(skua_pool *pool, struct skua__after *after);
/* Have the process load the library of a job that it does not know. False: its ring has no room for
   that and the job. */
bool skua__late_ready(struct skua__process *process, const skua_job *job);

#endif
