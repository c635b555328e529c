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
    SKUA__START_TEXT_BYTES = 256,
};

/* In a pool, as `life`. (L): under the pool's lock. */
struct skua__life {
    /* (L) */
    char start_text[SKUA__START_TEXT_BYTES]; /* what there is to say of pool->start_error */
    uint64_t replaced;                       /* workers that were lost */
    /* Supervisor only. */
    uint64_t numbers[SKUA__NUMBERS_MAX / 64]; /* those in use */
    /* Constant. */
    struct skua__settings *settings;
};

/* In a process, as `life`. */
struct skua__process_life {
    bool is_spare; /* (L) counted in spare_count, else in worker_count */
    bool is_ready; /* (L) it got through its own set-up */
    bool is_lost;  /* (L) it is counted nowhere */
    bool is_oom;   /* supervisor: DIED says so */
};

/* Parent: check the options, connect with the zygote (making one if need be), and send it the
   settings and the bell, which is pool->bell. Sets pool->control and pool->life. Returns 0,
   -EINVAL, -ENOTSUP, -EEXIST, -ENOMEM, -EMFILE, -EAGAIN; where one wants to know more, that is
   attached to the task.
   Call from: a task. May switch. */
int skua__life_open(skua_pool *pool, const skua_pool_opts *opts) SKUA_MUST_CHECK;
/* The last of it: after the supervisor has ended, or did not start. */
void skua__life_close(skua_pool *pool);

/* (L) The process, in whatever state, will never have another job: it is not counted any more. Call
   it before its state becomes DOOMED or GONE, any number of times. */
void skua__life_lost(struct skua__process *process);
/* (L) Have spares take the places of workers that were lost. Adds to `after` what the welcome of
   each adds. */
void skua__life_promote(skua_pool *pool, struct skua__after *after);
/* Have the supervisor look again at how many processes there are to be. Call from anywhere. */
void skua__life_nudge(skua_pool *pool);

#endif
