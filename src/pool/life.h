/* pool/life.h: the part of a pool and of its processes that is about being born and dying.

   How many processes there are: `wanted` workers and one spare, which is forked ahead. All begin
   as STARTING; one that is ready becomes IDLE while fewer than `wanted` work, else SPARE. When a
   worker is lost the spare takes its place at once, under the lock, and the supervisor asks for
   another one.

       STARTING --ready--> IDLE, BUSY, FULL (working) ---> DOOMED ---> GONE
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
    SKUA__START_TEXT_BYTES = 256,
};

/* In a pool, as `life`. (L): under the pool's lock. */
struct skua__life {
    /* (L) */
    uint32_t wanted;  /* workers that there are to be */
    uint32_t present; /* processes that are STARTING, SPARE or working */
    uint32_t working;
    uint32_t spares;
    bool started;    /* all workers have been there once */
    int start_error; /* why that failed */
    char start_text[SKUA__START_TEXT_BYTES];
    uint64_t replaced; /* workers that were lost */
    /* Supervisor only. */
    uint32_t next_id;
    int64_t backoff_ns;
    int64_t retry_ns; /* do not ask for workers before */
    uint64_t numbers[SKUA__NUMBERS_MAX / 64];
    /* Constant. */
    struct skua__settings *settings;
};

/* In a process, as `life`. */
struct skua__process_life {
    uint32_t number;    /* of skua_job_worker() */
    uint32_t place;     /* (L) */
    bool is_oom;        /* supervisor: DIED says so */
    bool has_been_idle; /* (L) it got through its own set-up */
};

/* Parent: check the options, connect with the zygote (making one if need be), and send it the
   settings. The pool has its bell, name and payload_max. Returns 0, -EINVAL, -ENOTSUP, -EEXIST,
   -ENOMEM, -EMFILE, -EAGAIN; where one wants to know more it is attached to the task. */
int skua__life_open(skua_pool *pool, const skua_pool_opts *opts) SKUA_MUST_CHECK;
/* The last of it: after the supervisor has ended. */
void skua__life_close(skua_pool *pool);

/* (L) The process is ready for jobs: it works from now on, or is a spare. */
void skua__life_ready(struct skua__process *process, struct skua__after *after);
/* (L) The process, in whatever state, will never have another job. Call it before its state
   becomes DOOMED or GONE, once. */
void skua__life_lost(struct skua__process *process);
/* (L) Have the spare take the place of a worker that was lost, if one was. Adds to `after` what
   skua__process_settle() adds. */
void skua__life_promote(skua_pool *pool, struct skua__after *after);
/* Have the supervisor look again at how many workers there are to be. Call from anywhere. */
void skua__life_nudge(skua_pool *pool);

#endif
