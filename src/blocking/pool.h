/* blocking/pool.h: the threads of one runtime and the calls that they make, as the files of this
   room see them. blocking.c has the rules. */
#ifndef SKUA_BLOCKING_POOL_H
#define SKUA_BLOCKING_POOL_H

#include "base/list.h"
#include "base/lock.h"
#include "blocking/blocking.h"
#include "sched/service.h"
#include "sched/waiter.h"

#include <pthread.h>
#include <skua/blocking.h>

enum skua__call_state {
    SKUA__CALL_QUEUED,   /* may wait for long; its deadline counts */
    SKUA__CALL_PROMISED, /* a thread is on its way */
    SKUA__CALL_STARTED,
    SKUA__CALL_DONE,
    SKUA__CALL_REFUSED,
};

/* In the frame of its caller, or, if it may be abandoned, allocated. */
struct skua__call {
    struct skua__link link; /* until it starts: in the queue of its class, or in pool->ready */
    skua_fn fn;
    void *arg;
    skua_task *task; /* whose locals fn may read; NULL: nobody's */
    skua_blocking_class *class;
    void (*drop)(void *arg); /* of a call that is abandoned; may be NULL */
    bool is_abandonable;     /* constant: `arg` is its own */

    /* Under the pool's lock, until it is settled. */
    struct skua__waiter *waiter; /* NULL: the caller does not wait (yet, or any more) */
    enum skua__call_state state;
    int result;        /* DONE: fn's; REFUSED: why */
    bool is_counted;   /* in class->running */
    bool is_abandoned; /* it has no caller: who ends it drops and frees it */
};

struct skua_blocking_class {
    /* Constant. */
    struct skua__blocking_pool *pool;
    uint32_t limit;
    char *name; /* NULL: a class of the library's own */

    /* Under the pool's lock. */
    struct skua__link link;  /* in pool->classes */
    struct skua__list queue; /* of calls, oldest first, beyond the limit */
    uint32_t running;        /* calls in pool->ready or on a thread */
    uint32_t callers;        /* who wait for calls */
    bool is_destroyed;       /* the last abandoned call frees it */
};

struct skua__blocking_thread;

struct skua__blocking_pool {
    /* Constant. */
    struct skua__service service;
    const char *name;

    _Atomic bool is_ending; /* threads do not stay idle */
    _Atomic uint32_t ends;  /* of threads; bell of who waits for them */

    /* Under the lock. */
    struct skua__lock lock;
    struct skua__list ready;   /* of calls that a thread may take, oldest first */
    struct skua__list idle;    /* of threads, latest first */
    struct skua__list classes; /* those that users have made */
    uint32_t threads;
    uint32_t threads_max; /* the limits of all classes together */
    uint32_t started;     /* ever, for the names */
    bool is_coming;       /* a thread is on its way to the ready calls */
    bool has_ended;
    pthread_t ended;                   /* if has_ended: waits to be joined */
    struct skua_blocking_class common; /* that of skua_blocking() */
};

static inline void skua__blocking_lock(struct skua__blocking_pool *pool)
{
    skua__lock(&pool->lock, SKUA__RANK_BLOCKING);
}

static inline void skua__blocking_unlock(struct skua__blocking_pool *pool)
{
    skua__unlock(&pool->lock, SKUA__RANK_BLOCKING);
}

/* What has to be done after the unlock, so that the ready calls are taken. */
struct skua__blocking_summons {
    struct skua__blocking_thread *sleeper; /* to be rung */
    bool starts;                           /* else a thread with this number is to be started */
    uint32_t number;
};

/* With the lock held: nothing to do, if nothing is ready or somebody is on his way. */
struct skua__blocking_summons skua__blocking_summon(struct skua__blocking_pool *pool);

/* Without it. Returns 0, or why no thread could be started. */
int skua__blocking_fetch(struct skua__blocking_pool *pool, struct skua__blocking_summons summons);

/* With the lock held: a call of the class that counted has ended; the next one is promised. */
void skua__blocking_give_back(skua_blocking_class *class);

/* With the lock held: the call's end. Returns the parker to wake after the unlock, or NULL; then
   the call may be gone unless it is abandoned. */
struct skua__parker *skua__blocking_settle(struct skua__call *call, enum skua__call_state state,
                                           int result);

/* Without the lock: what is left of a call that nobody waits for. */
void skua__blocking_drop(struct skua__call *call);

/* With the lock held, after a call was taken out of the count: free a class that was destroyed. */
void skua__blocking_class_settle(skua_blocking_class *class);

/* No more calls come: ends all threads, and awaits those that are in a call. */
void skua__blocking_end_threads(struct skua__blocking_pool *pool);

#endif
