/* pool/state.h: a pool, its processes and its calls, as the parent knows them.

   Who touches what: everything marked (L) only under the pool's lock (rank SKUA__RANK_POOL). The
   state of calls and processes moves only there, so that a caller that was woken, timed out or
   cancelled finds out under the lock what has become of its call; claims (sched/waiter.h) decide
   only who wakes it.

   A call:

     NEW --> PENDING --+--> RUNNING --------+--> DONE
                ^      +--> GRANTED --> RUNNING
                |             a long input is copied without the lock
                +---- revoked, or the process died before it took the request, or attempts are left

   A process (load: calls that it has):

     STARTING --FORKED--> READY  (no load: in pool->idle; below its limit: in pool->open;
                            |     with requests: also in pool->busy)
     cancel, deadline,      v
     liar, pool closes:   DOOMED --DIED--> GONE (references keep the record, for its memory)

   The requests of a process, their order, and which of them has begun, are in its ring. */
#ifndef SKUA_POOL_STATE_H
#define SKUA_POOL_STATE_H

#include "base/heap.h"
#include "base/list.h"
#include "base/lock.h"
#include "pool/arena.h"
#include "pool/heap.h"
#include "pool/life.h"
#include "pool/message.h"
#include "pool/ring.h"
#include "pool/talk.h"
#include "sched/held.h"
#include "sched/waiter.h"

#include <skua/pool.h>
#include <skua/pool_watch.h>
#include <skua/task.h>

struct skua__process;
struct skua__lane;

/* --- memory in the hands of the program ------------------------------------------------------- */

enum skua__loan_kind {
    SKUA__LOAN_FREE,    /* in pool->free_loans */
    SKUA__LOAN_SHORT,   /* the bytes are here */
    SKUA__LOAN_IN,      /* a block of the process's IN region: of skua_pool_alloc(), or an answer */
    SKUA__LOAN_OUT,     /* a block of its OUT region: an answer */
    SKUA__LOAN_PRIVATE, /* memory of our own: a copy, or what came from another rank */
};

/* What skua_buf.owner points to. (L), but that whoever has it may read it. Made in pool->free_loans
   and kept there: never freed before the pool. */
struct skua__loan {
    enum skua__loan_kind kind;
    skua_pool *pool;
    struct skua__process *process; /* IN, OUT: a reference */
    uint32_t block;                /* IN, OUT */
    size_t bytes;
    size_t used;             /* IN, OUT: so much may have been written; 0: it is trimmed */
    void *memory;            /* PRIVATE, of skua__alloc(); else what skua_buf.data is */
    struct skua__loan *next; /* in a list of who has it */
    _Alignas(16) char inside[SKUA__OUT_INLINE_BYTES];
};

/* --- calls ------------------------------------------------------------------------------------ */

enum skua__call_state {
    SKUA__CALL_NEW,
    SKUA__CALL_PENDING, /* in pool->pending */
    SKUA__CALL_GRANTED, /* has a place in a process and a block; the input must be copied */
    SKUA__CALL_RUNNING, /* a process or a lane has it */
    SKUA__CALL_DONE,    /* status, answer and text are final */
};

/* Who asked, and so how its end is told: skua__call_tell(). */
enum skua__call_kind {
    SKUA__CALL_FRAME,  /* a skua_pool_call(), or a task that has gone: wake its waiter */
    SKUA__CALL_TASK,   /* a skua_pool_submit(): let its task go; struct skua__submission */
    SKUA__CALL_STREAM, /* an item of a stream or a map: struct skua__stream_item */
    SKUA__CALL_INIT,   /* the init job of one process: its `init` */
};

enum {
    SKUA__PRIORITY_MAX = 3, /* which is priority 0 of a call */
    SKUA__PRIORITY_MIN = -4,
    SKUA__PRIORITIES = SKUA__PRIORITY_MAX - SKUA__PRIORITY_MIN + 1,
    SKUA__CALL_TEXT_BYTES = 512,
};

/* One job that somebody asked for. (L), but for what is constant. */
struct skua__call {
    struct skua__link link; /* PENDING: in pool->pending; GRANTED: in pool->copies; in a lane: the
                               lane's; DONE: its stream's */
    struct skua__process *process; /* GRANTED; RUNNING here */
    struct skua__lane *lane;       /* RUNNING there */
    struct skua__waiter *waiter;   /* FRAME: who waits for it, or NULL */
    uint64_t ticket;               /* RUNNING here: its request */
    uint64_t sequence;             /* the order in which calls came */
    struct skua__loan *answer;     /* DONE: NULL: it is empty */
    char *text;                    /* why it failed, of skua__alloc(); NULL: the status says all */
    struct skua__heap_node timer;  /* in pool->timers if has_timer */
    int64_t due_ns;                /* its deadline, or when the worker is killed for it */
    uint32_t block;                /* GRANTED, RUNNING here: where its input is */
    int status;                    /* DONE; is_stopping: what it is if no answer comes */
    uint32_t attempts;             /* how often it may be begun yet */
    uint8_t state;                 /* enum skua__call_state */
    uint8_t kind;                  /* enum skua__call_kind */
    uint8_t restarts;              /* how often its worker died before taking it */
    bool has_block; /* `block` is the call's; else it is in_loan's, or there is none */
    bool has_timer;
    bool is_copied;   /* GRANTED: somebody copies the input just now */
    bool is_stopping; /* its caller has given up; it is in its grace */
    uint8_t priority; /* 0 is begun first */
    /* Constant. */
    const skua_job *job;
    skua_bytes in;
    struct skua__loan *in_loan; /* where `in` lies, and the call's until DONE; or NULL */
    const skua_call_opts *opts; /* fds, channels, progress; NULL: it has none */
    int64_t grace_ns;
};

/* --- processes -------------------------------------------------------------------------------- */

enum skua__process_state {
    SKUA__PROCESS_STARTING, /* requested */
    SKUA__PROCESS_SPARE,    /* there, and kept for when another one dies */
    SKUA__PROCESS_READY,
    SKUA__PROCESS_DOOMED, /* killed by us, has no call; waits for DIED */
    SKUA__PROCESS_GONE,   /* only references keep the record, for its memory */
};

/* One worker process. (L) but for the constant part. */
struct skua__process {
    struct skua__link link;   /* in pool->processes until it is GONE */
    struct skua__link place;  /* READY: in pool->idle, or in pool->open, or in none: it is full */
    struct skua__link memory; /* READY: in pool->memory */
    struct skua__link busy;   /* in pool->busy while its ring has requests */
    struct skua__link fresh;  /* in pool->fresh: it has requests that it cannot see yet */
    enum skua__process_state state;
    uint32_t references;       /* the list of processes, GRANTED calls, loans */
    uint32_t granted;          /* GRANTED calls; with the requests in the ring they are its load */
    uint32_t limit;            /* so many calls are good for it */
    bool is_retiring;          /* gets no more calls */
    int64_t since_ns;          /* when its present job became the first in the ring, less: */
    int64_t ignored_ns;        /* how long it has let others be that were taken back again */
    int64_t run_ns;            /* how long its jobs take: a moving average; -1: none has ended */
    uint64_t completed;        /* jobs that it has answered */
    struct skua__jobring ring; /* owners are calls */
    struct skua__talk talk;
    struct skua__blocks in; /* of its IN region */
    pid_t pid;
    int pidfd;                        /* -1: not known yet, or closed */
    struct skua__process *next_freed; /* in skua__after.freed */
    /* Supervisor only. */
    int memfd; /* until FORKED */
    struct skua__process_life life;
    struct skua__call init; /* (L) once FORKED */
    /* Constant. */
    uint32_t id;
    uint32_t number; /* skua_job_worker() */
    skua_pool *pool;
    struct skua__arena arena;
};

/* --- the pool --------------------------------------------------------------------------------- */

enum skua__pool_state {
    SKUA__POOL_OPEN,
    SKUA__POOL_BROKEN,  /* the zygote is dead: calls fail with -EOWNERDEAD */
    SKUA__POOL_CLOSING, /* calls fail with -ESHUTDOWN */
};

struct skua_pool {
    struct skua__lock lock;
    /* (L) */
    enum skua__pool_state state;
    bool is_draining;      /* new calls fail with -ESHUTDOWN */
    uint32_t sleep;        /* not 0: the reactor sleeps, for that time; requests ask for the bell */
    uint32_t sleeps;       /* the latest such number */
    uint32_t cpu;          /* where the reactor has looked last */
    bool ended;            /* all processes are gone; the reactor may end */
    bool finished;         /* the supervisor is through: the pool may be freed when nobody calls */
    bool started;          /* all workers have been there once */
    int start_error;       /* why that failed */
    uint32_t workers;      /* so many there are to be */
    uint32_t worker_count; /* processes STARTING or READY */
    uint32_t spare_count;
    uint32_t callers;       /* users in progress: calls, submissions, streams */
    uint32_t outstanding;   /* submissions that are not DONE */
    int64_t unstuck_ns;     /* when somebody has looked for processes that are stuck */
    int64_t reactor_due_ns; /* when the sleeping reactor will look by itself */
    struct skua__list processes;
    struct skua__list idle;
    struct skua__list open;   /* have calls, and room for more; taken from the front in turn */
    struct skua__list busy;   /* have requests; whose first one has been there longest is first */
    struct skua__list fresh;  /* have requests that were not published */
    struct skua__list copies; /* calls of streams that are GRANTED: their inputs are to be copied */
    struct skua__list lanes;
    struct skua__list pending[SKUA__PRIORITIES];
    uint32_t pending_mask; /* a bit for each list that is not empty */
    uint32_t pending_count;
    uint32_t in_rings[SKUA__PRIORITIES]; /* calls RUNNING here, but for init jobs */
    uint64_t sequence;
    uint32_t limit; /* of the process that answered last: how many jobs are good for one */
    struct skua__heap timers;         /* of calls; the earliest first */
    struct skua__list memory;         /* READY processes, by `memory`: each gives in turn */
    struct skua__list memory_waiters; /* of skua_pool_alloc() */
    uint64_t memory_epoch;            /* counts what has become free in IN regions */
    struct skua__loan *free_loans;
    struct skua__loan_slab *loan_slabs;
    struct skua__talk_room talk;
    struct skua__list watchers; /* wait in create, destroy or drain; woken to look again */
    uint64_t failed;            /* calls that ended with a status < 0 */
    int64_t busy_ns;            /* what the processes' jobs have taken, as they say */
    skua_pool_stats stats;      /* the counters of what was; loans; the rest is counted on demand */
    int control;
    int bell;
    /* Submissions whose tasks were cancelled: a stack, pushed to without the lock. */
    _Atomic(struct skua__submission *) noticed;
    struct skua__list notices; /* (L) the same, on their way */
    /* Supervisor only. */
    uint32_t next_id;
    uint32_t present; /* how many FORKED have come, until the pool has started */
    int64_t backoff_ns;
    int64_t retry_ns; /* do not ask for workers before */
    skua_task *reactor;
    /* Constant. */
    skua_runtime *runtime;
    struct skua__life life; /* in part not (L) */
    uint32_t job_count;
    uint32_t queue_max;
    size_t payload_max;
    char name[SKUA__PROCESS_NAME_BYTES];
    struct skua__link orphan; /* see pool.c */
};

/* --- what has to be done after the unlock ----------------------------------------------------- */

struct skua__after {
    struct skua__wake_list wakes;
    size_t bell_count;
    size_t held_count;
    bool must_dispatch;          /* there was no room here for what could be done */
    bool must_copy;              /* somebody has to look at pool->copies */
    void (*lane_flush)(void);    /* see struct skua__lane_ops; or NULL */
    struct skua__process *freed; /* records, by next_freed */
    struct skua__loan *released; /* loans, of other pools perhaps, by next */
    struct skua__shared *bells[SKUA__WAKE_CHUNK];
    struct skua__held *held[SKUA__WAKE_CHUNK];
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
    after->held_count = 0;
    after->must_dispatch = false;
    after->must_copy = false;
    after->lane_flush = NULL;
    after->freed = NULL;
    after->released = NULL;
}

/* True: flush before going on. One completion with what it sets off adds at most two entries. */
static inline bool skua__after_is_full(const struct skua__after *after)
{
    return after->wakes.count + 2 >= SKUA__WAKE_CHUNK ||
           after->bell_count + 2 >= SKUA__WAKE_CHUNK || after->held_count + 2 >= SKUA__WAKE_CHUNK;
}

/* (L) Wake that worker after the unlock. */
void skua__after_bell(struct skua__after *after, struct skua__shared *shared);

/* Publish requests, unlock, do all that, and hand out what there was no room for. */
void skua__pool_unlock_after(skua_pool *pool, struct skua__after *after);

/* --- process.c -------------------------------------------------------------------------------- */

/* A record with its memory, not in any list. Returns 0 or a negative errno. */
int skua__process_create(struct skua__process **out, skua_pool *pool, uint32_t id);
/* (L) Give up a reference; the last one's record is freed by the flush. */
void skua__process_unref(struct skua__process *process, struct skua__after *after);
void skua__process_free(struct skua__process *process); /* NULL is allowed */
/* (L) The process is there: it may have calls. */
void skua__process_welcome(struct skua__process *process, struct skua__after *after);
/* (L) Kill it; from now on it has no call and does not count as a worker. Its answers were taken.
   The job that runs fails with `status` and that story (NULL: none, and it is not begun again),
   those behind it get another worker. */
void skua__process_doom(struct skua__process *process, struct skua__after *after, int status,
                        const char *story);
/* (L) The same because of its job, which was seen to have begun, and ends with `status`. */
void skua__process_stop_job(struct skua__process *process, struct skua__after *after, int status);
/* (L) Doom processes that do not begin what they were given, a second after they got it. To be
   called often while there are calls: what it does not see does not count. */
void skua__pool_unstick(skua_pool *pool, struct skua__after *after, int64_t now_ns);
/* (L) The kill alone. */
void skua__process_kill(const struct skua__process *process);
/* (L) It is dead (`status` of waitpid; -1: with the zygote): its job fails unless it is answered.
   The list's reference is given up. False: `after` was full; unlock, and call again. */
bool skua__process_died(struct skua__process *process, int status, struct skua__after *after);

/* --- dispatch.c, all (L) ---------------------------------------------------------------------- */

/* Give waiting calls to processes and lanes that have room. */
void skua__pool_dispatch(skua_pool *pool, struct skua__after *after);
/* The same for a call that has just begun to wait, which may pass others. */
void skua__pool_dispatch_new(skua_pool *pool, struct skua__call *call, struct skua__after *after);
/* The call waits from now on: behind the others of its priority, or before them. */
void skua__pool_enqueue(skua_pool *pool, struct skua__call *call);
void skua__pool_requeue(skua_pool *pool, struct skua__call *call);
/* Take the waiting call out of its list. */
void skua__pool_dequeue(skua_pool *pool, struct skua__call *call);
/* The input of the GRANTED call is in its block: send the request. */
void skua__call_forward(struct skua__call *call, struct skua__after *after);
/* Put a request for the call into the ring of its process, which has room. */
void skua__call_put(struct skua__call *call);
/* Take back a request that the worker has not begun; the call is NEW again. False: it has begun. */
bool skua__call_revoke(struct skua__call *call, struct skua__after *after);
/* Take all that the process has answered, and let it have more. Returns how many. Stops when
   `after` is full. */
size_t skua__process_drain(struct skua__process *process, struct skua__after *after);
/* The process's place in the pool's lists, after its load, limit or state changed. */
void skua__process_settle(struct skua__process *process);
/* Its place in pool->busy: another request is its oldest, or was so for another time. */
void skua__process_note_head(struct skua__process *process, int64_t since_ns);
/* Take the answers of all, and hand out what waits. Returns how many there were. */
size_t skua__pool_drain(skua_pool *pool, struct skua__after *after);
/* The GRANTED call gives its place up; it is NEW again. */
void skua__call_ungrant(struct skua__call *call, struct skua__after *after);
/* The RUNNING call is not its process's any more: it is NEW. The request is over, or the process.
   */
void skua__call_detach(struct skua__call *call, struct skua__after *after);
/* Take back what has not begun, stands behind the request with that ticket, and is of that priority
   or a lower one: it waits again, in its order. */
void skua__process_take_back(struct skua__process *process, uint64_t ticket, uint8_t priority,
                             struct skua__after *after);
/* Is there one that has nothing to do, here or in a cluster? */
bool skua__pool_has_idle(const skua_pool *pool);
/* Let idle processes have what waits behind a long job. Returns in how long that is to be looked at
   again, or SKUA__NEVER. */
int64_t skua__pool_balance(skua_pool *pool, struct skua__after *after, int64_t now_ns);

/* --- call.c, all (L) -------------------------------------------------------------------------- */

/* The call is DONE with the status; its input is given up. */
void skua__call_finish(skua_pool *pool, struct skua__call *call, struct skua__after *after,
                       int status);
void skua__call_fail(skua_pool *pool, struct skua__call *call, struct skua__after *after,
                     int status, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The call, which no worker has any more, had begun when its worker was lost: it fails with that
   story, unless it may be begun again or its caller has given up. */
void skua__call_crashed(skua_pool *pool, struct skua__call *call, struct skua__after *after,
                        int status, const char *story);
/* The call has a place and a block: tell who is to copy its input. */
void skua__call_tell_granted(skua_pool *pool, struct skua__call *call, struct skua__after *after);
/* Copy the input of a GRANTED call, without the lock, and send it; or it waits again. */
void skua__call_load(skua_pool *pool, struct skua__call *call, struct skua__after *after);
/* Copy for the GRANTED calls in pool->copies. */
void skua__pool_copy(skua_pool *pool);
/* Run a call of the calling task or thread until it is DONE. The lock is held, and given up
   meanwhile. `cause`: 0, or why its caller has given up already. */
void skua__call_run(skua_pool *pool, struct skua__call *call, skua_time deadline, int cause,
                    struct skua__after *after);
/* The caller gives up (`cause`: -ECANCELED, -ETIMEDOUT): afterwards the call is DONE, or it is in
   its grace, and will be. */
void skua__call_give_up(skua_pool *pool, struct skua__call *call, struct skua__after *after,
                        int cause);
/* Have the reactor look at the call at that moment. */
void skua__call_set_timer(skua_pool *pool, struct skua__call *call, int64_t due_ns);
void skua__call_clear_timer(skua_pool *pool, struct skua__call *call);
/* All timers that are due. */
void skua__pool_run_timers(skua_pool *pool, struct skua__after *after, int64_t now_ns);
/* A NEW call looks for a worker: it waits, or has one, or is DONE. */
void skua__call_seek(skua_pool *pool, struct skua__call *call, skua_time deadline,
                     struct skua__after *after);
/* The answer of a call that is DONE goes to *out, or to nobody. */
void skua__call_deliver(struct skua__call *call, skua_buf *out, struct skua__after *after);
/* Likewise its text, to the calling task. Returns its status. Without the lock. */
int skua__call_say(struct skua__call *call);
/* A job is out that nobody waits for: a virtual clock must not jump. The pool's own tasks wait for
   real things as well, and give back the hold that this means, since they do so for ever. */
void skua__pool_hold_clock(const skua_pool *pool, bool holds);
/* A user begins and ends: until then the pool is not freed. */
void skua__pool_enter(skua_pool *pool);
/* A call with these opts (NULL: none), NEW, of kind FRAME. */
void skua__call_init(struct skua__call *call, const skua_job *job, skua_bytes in,
                     const skua_call_opts *opts);
void skua__pool_leave(skua_pool *pool, struct skua__after *after);
/* What the header says of the job: -ENOENT and so on, before anything is begun. */
int skua__call_check(const skua_pool *pool, const skua_job *job, skua_bytes in,
                     const skua_call_opts *opts);

/* --- submit.c --------------------------------------------------------------------------------- */

/* (L) The end of a call of a task: it may go, after the unlock. */
void skua__submission_tell(struct skua__call *call, struct skua__after *after);
/* (L) Look at the submissions whose tasks were cancelled. */
void skua__pool_take_notices(skua_pool *pool, struct skua__after *after);

/* --- stream.c --------------------------------------------------------------------------------- */

/* (L) A process has got the item; and: which one is to have this item, NULL: any. */
void skua__stream_placed(struct skua__call *call, struct skua__after *after);
struct skua__process *skua__stream_near(const struct skua__call *call);
/* (L) The end of an item. */
void skua__stream_tell(struct skua__call *call, struct skua__after *after);

/* --- payload.c -------------------------------------------------------------------------------- */

/* (L) A loan's record of that kind, or NULL: no memory. It counts as lent. */
struct skua__loan *skua__loan_make(skua_pool *pool, enum skua__loan_kind kind);
/* (L) Give its memory back. */
void skua__loan_end(struct skua__loan *loan, struct skua__after *after);
/* (L) The same, by the flush if it costs a system call. */
void skua__loan_drop(struct skua__loan *loan, struct skua__after *after);
/* Hand it to the program: NULL gives the empty buffer. */
void skua__loan_deliver(struct skua__loan *loan, skua_buf *out);
/* (L) Make the call's answer of a response that was checked, and is its process's latest. 0 or
   -ENOMEM. */
int skua__loan_answer(struct skua__call *call, const struct skua__response *response,
                      struct skua__after *after);
/* (L) Memory may have become free in an IN region; and: let the next one look who has not yet. */
void skua__pool_notify_memory(skua_pool *pool, struct skua__after *after);
void skua__pool_pass_memory(skua_pool *pool, struct skua__after *after);
/* All records; nobody has one. */
void skua__pool_free_loans(skua_pool *pool);

/* --- pool.c ----------------------------------------------------------------------------------- */

/* (L) Wake who waits in create, drain or destroy. */
void skua__pool_notify(skua_pool *pool, struct skua__after *after);
/* Wait until `is_so(pool)`, which notify() tells of. Returns 0, -ECANCELED (soft waits),
   -ETIMEDOUT, -EAGAIN. */
int skua__pool_watch(skua_pool *pool, bool (*is_so)(const skua_pool *pool),
                     enum skua__wait_kind kind, skua_time deadline);
/* Fail all calls; in state CLOSING also have the zygote kill all workers. Any number of times. */
void skua__pool_stop(skua_pool *pool, enum skua__pool_state state);
/* The supervisor has ended by itself: nobody has destroyed the pool yet. */
void skua__pool_orphan(skua_pool *pool);

/* --- supervise.c and reactor.c: the pool's tasks ---------------------------------------------- */

int skua__pool_supervise(void *pool);
int skua__pool_react(void *pool);
/* (L) Have the reactor look soon, wherever it is; never waits. */
void skua__pool_ring(skua_pool *pool);
/* All processes are gone: end the reactor and wait for it. The caller is a task in a shield. */
void skua__pool_end_reactor(skua_pool *pool);

#endif
