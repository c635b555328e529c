/* pool/state.h: a pool and its processes as the parent knows them.

   Who touches what: everything marked (L) only under the pool's lock (rank SKUA__RANK_POOL). The
   state of calls and processes moves only there, so that a caller that was woken, timed out or
   cancelled finds out under the lock what has become of its call; claims (sched/waiter.h) decide
   only who wakes it.

   A process:                                         A call:

     STARTING --FORKED--> IDLE <-----------+            NEW --> PENDING --+--> GRANTED --> RUNNING
     --> DONE
                           |  grant        | response    |                |       |           ^
                           v               |             +----------------+       |           |
                          BUSY ------------+             |     (a short input is copied at once)
                           |               |             +<-----------------------+-----------+
                           |             FULL: all its answers are on loan      the process died
                           before
       cancel, deadline,   v                                                    it took the request
       liar, pool closes: DOOMED --DIED--> GONE */
#ifndef SKUA_POOL_STATE_H
#define SKUA_POOL_STATE_H

#include "base/list.h"
#include "base/lock.h"
#include "pool/arena.h"
#include "pool/life.h"
#include "pool/message.h"
#include "pool/ring.h"
#include "sched/waiter.h"

#include <skua/pool.h>
#include <skua/task.h>

struct skua__process;

/* What skua_buf.owner points to. */
struct skua__loan {
    struct skua__process *process; /* NULL: a copy, which lies behind this struct */
    uint32_t answer;
};

enum skua__call_state {
    SKUA__CALL_NEW,
    SKUA__CALL_PENDING, /* in pool->pending */
    SKUA__CALL_GRANTED, /* has a process; the caller must bring the input and send the request */
    SKUA__CALL_RUNNING, /* the request is sent */
    SKUA__CALL_DONE,    /* status, loan and text are final */
};

enum { SKUA__CALL_TEXT_BYTES = 192 };

/* One skua_pool_call(), in its caller's frame. (L) but for the constant part. */
struct skua__call {
    struct skua__link link; /* in pool->pending */
    struct skua__waiter waiter;
    struct skua__process *process; /* GRANTED, RUNNING */
    enum skua__call_state state;
    int status;
    struct skua__loan *loan; /* DONE: the answer; NULL: it is empty */
    size_t answer_bytes;
    uint32_t restarts; /* how often its worker died before taking it */
    bool must_copy;    /* the answer's memory is needed for the next job */
    /* Constant. */
    const skua_job *job;
    skua_bytes in;
    /* Why it failed; empty if the status says all. */
    char text[SKUA__CALL_TEXT_BYTES];
};

enum skua__process_state {
    SKUA__PROCESS_STARTING, /* requested */
    SKUA__PROCESS_SPARE,    /* there, and kept for when another one dies */
    SKUA__PROCESS_IDLE,     /* in pool->idle */
    SKUA__PROCESS_BUSY,     /* has a call, or has just lost it */
    SKUA__PROCESS_FULL,
    SKUA__PROCESS_DOOMED, /* killed by us, has no call; waits for DIED */
    SKUA__PROCESS_GONE,   /* only references keep the record, for its memory */
};

/* One worker process. (L) but for the constant part. */
struct skua__process {
    struct skua__link link; /* in pool->processes until it is GONE */
    struct skua__link idle;
    enum skua__process_state state;
    uint32_t references;   /* the list of processes, a GRANTED call, each answer on loan */
    uint32_t free_answers; /* a bit for each */
    uint32_t answer;       /* that the running job writes */
    uint64_t ticket;       /* of the running job */
    struct skua__call *call;
    struct skua__jobring ring;
    pid_t pid;
    int pidfd; /* -1: not known yet, or closed */
    /* Supervisor only. */
    int memfd; /* until FORKED */
    struct skua__process_life life;
    /* Constant. */
    uint32_t id;
    uint32_t number; /* skua_job_worker() */
    skua_pool *pool;
    struct skua__arena arena;
    struct skua__loan loans[SKUA__ANSWERS];
};

enum skua__pool_state {
    SKUA__POOL_OPEN,
    SKUA__POOL_BROKEN,  /* the zygote is dead: calls fail with -EOWNERDEAD */
    SKUA__POOL_CLOSING, /* calls fail with -ESHUTDOWN */
};

struct skua_pool {
    struct skua__lock lock;
    /* (L) */
    enum skua__pool_state state;
    bool reactor_sleeps;   /* new requests ask for the bell */
    bool reactor_deep;     /* and it will not look by itself */
    bool ended;            /* all processes are gone; the reactor may end */
    bool finished;         /* the supervisor is through: the pool may be freed when nobody calls */
    bool started;          /* all workers have been there once */
    int start_error;       /* why that failed */
    uint32_t workers;      /* so many there are to be */
    uint32_t worker_count; /* processes STARTING, IDLE, BUSY or FULL, but for spares */
    uint32_t spare_count;
    uint32_t callers; /* calls in progress */
    uint32_t loans;   /* answers on loan */
    struct skua__list processes;
    struct skua__list idle;
    struct skua__list pending;
    struct skua__waiter *watcher; /* waits in create or destroy; woken to look again */
    int control;
    int bell;
    /* Supervisor only. */
    uint32_t next_id;
    uint32_t present; /* how many FORKED have come, until the pool has started */
    int64_t backoff_ns;
    int64_t retry_ns; /* do not ask for workers before */
    skua_task *reactor;
    /* Constant. */
    struct skua__life life; /* in part not (L) */
    uint32_t job_count;
    size_t payload_max;
    char name[SKUA__PROCESS_NAME_BYTES];
    struct skua__link orphan; /* see pool.c */
};

/* What has to be done after the unlock. */
struct skua__after {
    struct skua__wake_list wakes;
    size_t bell_count;
    struct skua__shared *bells[SKUA__WAKE_CHUNK];
};

static inline void skua__pool_lock(skua_pool *pool)
{
    skua__lock(&pool->lock, SKUA__RANK_POOL);
}

static inline void skua__pool_unlock(skua_pool *pool)
{
    skua__unlock(&pool->lock, SKUA__RANK_POOL);
}

/* Only the counts: it is on the path of every call. */
static inline void skua__after_init(struct skua__after *after)
{
    after->wakes.count = 0;
    after->bell_count = 0;
}

/* True: flush before going on. One completion with what it sets off adds at most two entries. */
static inline bool skua__after_is_full(const struct skua__after *after)
{
    return after->wakes.count + 2 >= SKUA__WAKE_CHUNK || after->bell_count + 2 >= SKUA__WAKE_CHUNK;
}

/* Wake and ring. No lock is held. */
void skua__after_flush(struct skua__after *after);

/* process.c */

/* A record with its memory, not in any list. Returns 0 or a negative errno. */
int skua__process_create(struct skua__process **out, skua_pool *pool, uint32_t id);
/* (L) Give up a reference. Returns the process if that was the last one: free it after the unlock.
   */
struct skua__process *skua__process_unref(struct skua__process *process) SKUA_MUST_CHECK;
void skua__process_free(struct skua__process *process); /* NULL is allowed */
/* (L) Kill it; from now on it has no call and does not count as a worker. */
void skua__process_doom(struct skua__process *process);
/* (L) The process is there: it may have calls. */
void skua__process_welcome(struct skua__process *process, struct skua__after *after);
/* (L) The kill alone. */
void skua__process_kill(const struct skua__process *process);
/* (L) It is dead (`status` of waitpid; -1: with the zygote): its call fails unless it is answered.
   */
struct skua__process *skua__process_died(struct skua__process *process, int status,
                                         struct skua__after *after) SKUA_MUST_CHECK;

/* call.c, all (L) */

/* The process has no call: let it have the next one, or be idle. */
void skua__process_settle(struct skua__process *process, struct skua__after *after);
/* Take what the process has answered, if anything. True: its call is DONE. The process has no call
   now, and its next step is the caller's to decide. */
bool skua__process_take(struct skua__process *process, struct skua__after *after);
/* The same, and the process goes on with the next call. */
bool skua__process_drain(struct skua__process *process, struct skua__after *after);
/* The RUNNING call has not begun and its process is lost: it is the next one to get a process.
   False: that has happened too often to be by chance. */
bool skua__call_restart(skua_pool *pool, struct skua__call *call, struct skua__after *after);
/* The call has failed. `format` may be NULL. */
void skua__call_fail(struct skua__call *call, struct skua__after *after, int status,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* pool.c */

/* (L) Wake who waits in create or destroy. */
void skua__pool_notify(skua_pool *pool, struct skua__after *after);
/* Fail all calls; in state CLOSING also have the zygote kill all workers. Any number of times. */
void skua__pool_stop(skua_pool *pool, enum skua__pool_state state);
/* The supervisor has ended by itself: nobody has destroyed the pool yet. */
void skua__pool_orphan(skua_pool *pool);

/* supervise.c and reactor.c: the pool's tasks. */
int skua__pool_supervise(void *pool);
int skua__pool_react(void *pool);
/* All processes are gone: end the reactor and wait for it. The caller is a task in a shield. */
void skua__pool_end_reactor(skua_pool *pool);

#endif
