/* sched/worker.h: a worker: one thread that runs fibers, and what it owns. */
#ifndef SKUA_SCHED_WORKER_H
#define SKUA_SCHED_WORKER_H

#include "arch/tls.h"
#include "mem/slab.h"
#include "sched/fiber.h"
#include "sched/fiber_cache.h"
#include "sched/fork.h"
#include "sched/idle.h"
#include "sched/inject.h"
#include "sched/ring.h"
#include "sched/wheel.h"

#include <pthread.h>

/* How many operations a task may do before it has to let others run. */
enum { SKUA__BUDGET = 128 };

/* Wakes that may go first in a row while others are ready. */
enum { SKUA__LIFO_RUN_MAX = 3 };

struct skua__worker {
    /* Constant once the thread runs. */
    skua_runtime *runtime;
    pthread_t thread;
    uint32_t index;
    uint32_t group; /* whose inject queue is its own */
    uint32_t victim_count;
    const uint32_t *victims; /* nearest first */

    /* Its thread's own. */
    struct skua__fiber *left; /* what was switched away from, until the other side has noted it */
    bool left_has_ended;      /* ... and whether it goes to the cache */
    int32_t budget;           /* operations left to the running task */
    uint32_t lifo_run;        /* dispatches from the LIFO slot in a row */
    uint32_t tick;            /* dispatches */
    uint32_t inject_turn;     /* looks at the inject queues */
    uint32_t polled_tick;     /* when it has looked at the poller,    */
    uint32_t polled_backlog;  /* ... and how many were ready after that */
    uint32_t empty_looks;     /* ... that found nothing, before parking, in a row */
    uint32_t dispatch_ns;     /* about what a dispatch takes; 0: unknown */
    uint32_t woke_tick;       /* when it has slept last, and until when */
    int64_t woke_at_ns;
    int32_t upkeep_in;    /* dispatches until the next upkeep */
    int32_t upkeep_ticks; /* ... from one to the next, and when the last one was */
    int64_t upkeep_at_ns;
    struct skua__runnable *pending; /* what a fiber wanted to run, but only the root can start */
    uint64_t random;
    struct skua__fiber_cache cache[SKUA__STACK_CLASSES];
    struct skua__slab_cache tasks, roomy_tasks;
    int *errno_place;        /* of its thread */
    struct skua__fiber root; /* the thread's native stack, as something to switch to */

    /* Written by its thread, read by others. */
    _Atomic uint32_t tick_seen SKUA_CACHE_ALIGNED; /* a copy of tick for the monitor */
    _Atomic bool is_running_task;
    _Atomic bool should_yield;     /* the monitor has seen others wait; for skua_checkpoint() */
    _Atomic int32_t thread_id;     /* the kernel's */
    _Atomic uint32_t blocked_tick; /* 1 + the tick during which it says that it blocks, or 0 */
    _Atomic(struct skua__fiber *) current; /* the fiber that runs, NULL in the root context */
    _Atomic uint64_t started, ended;       /* tasks, counted where it happened */
    _Atomic(struct skua__runnable *) lifo; /* what the running task has made ready last */

    /* Shared. */
    struct skua__ring ring SKUA_CACHE_ALIGNED;
    struct skua__inject inbox SKUA_CACHE_ALIGNED; /* runnables that are pinned to this worker */
    struct skua__sleeper sleeper;
    struct skua__wheel wheel;

    /* The two lines of it that matter are written by others only to ask. */
    struct skua__fork_stack forks SKUA_CACHE_ALIGNED;
};

static inline struct skua__fiber *skua__worker_current(const struct skua__worker *worker)
{
    return skua__load(&worker->current, relaxed);
}

/* The calling thread's worker, or NULL. Looked up anew at each call; nothing it returned survives a
   switch. This is the only reader of the library's one thread-local. */
#if SKUA__TLS_HAS_LOAD
static inline struct skua__worker *skua__worker_self(void)
{
    struct skua__worker *worker;
    SKUA__TLS_LOAD(worker, skua__current_worker);
    return worker;
}
#else
struct skua__worker *skua__worker_self(void);
#endif

/* The fiber that is running, or NULL on a foreign thread. */
static inline struct skua__fiber *skua__fiber_self(void)
{
    struct skua__worker *worker = skua__worker_self();
    return worker != NULL ? skua__worker_current(worker) : NULL;
}

/* Start and join the thread. 0 or -EAGAIN. */
int skua__worker_start(struct skua__worker *worker);
void skua__worker_join(struct skua__worker *worker);

/* Something has changed that only a parked worker's look at the director would notice. */
void skua__worker_tell_director(skua_runtime *runtime);

/* True while the task that runs on it says that it blocks. Call from anywhere. */
bool skua__worker_is_blocked(const struct skua__worker *worker);

/* The next local runnable for the calling worker, or NULL when it is time to go to the root context
   (nothing to do, or upkeep is due). Counts a dispatch. */
struct skua__runnable *skua__worker_next(struct skua__worker *worker);

/* How something became ready. */
enum skua__ready_kind {
    SKUA__READY_WOKEN,   /* goes first: what woke it is warm */
    SKUA__READY_SPAWNED, /* goes last, and other workers may want it */
};

/* Put a runnable into a queue and wake a worker for it if need be. Call from anywhere. */
void skua__ready(struct skua__runnable *runnable, enum skua__ready_kind kind);

/* The same for several that were woken at once: in their order, behind what is ready. Call from: a
   worker's root context. */
void skua__ready_later(struct skua__runnable **runnables, size_t count);

/* The same for a chain of spawned ones that are not pinned, linked by `next`. Call from: a task of
   the runtime. */
void skua__ready_many(skua_runtime *runtime, struct skua__runnable *first,
                      struct skua__runnable *last, uint32_t count);

/* Move what the LIFO slot holds into the ring, where others find it at once. Call from: the worker.
   */
void skua__worker_expose_woken(struct skua__worker *worker);

/* Put the running fiber, which is about to suspend, behind all that is ready. Nobody need be woken
   for it. */
void skua__ready_yielded(struct skua__worker *worker, struct skua__runnable *runnable);

/* Wake a parked worker if something is queued and nobody searches. `fenced`: see
   skua__idle_wants_wake(). */
void skua__wake_worker(skua_runtime *runtime, bool fenced);

#endif
