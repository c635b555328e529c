/* sched/director.h: what a test run puts above the scheduler: it moves the virtual clock when no
   task can go on, and may decide which ready task runs next. The scheduler knows nothing of it but
   this interface, and asks only in the root context, where a worker has nothing better to do. */
#ifndef SKUA_SCHED_DIRECTOR_H
#define SKUA_SCHED_DIRECTOR_H

#include "base/list.h"
#include "sched/waiter.h"

#include <skua/runtime.h>
#include <stdbool.h>

struct skua_task;
struct skua__runnable;
struct skua__worker;

/* A foreign thread that waits for a moment of the virtual clock, in the frame of its wait. */
struct skua__thread_timer {
    struct skua__link link; /* under the director's lock */
    struct skua__wait *wait;
    int64_t deadline_ns;
};

struct skua__director {
    /* Constant while a runtime has it. */
    bool is_virtual; /* timers follow the virtual clock: no worker and no monitor waits for one */
    bool is_seeded;  /* next() decides who runs; one worker, and no monitor */
    uint64_t seed;   /* where the workers' random numbers start */

    /* A worker has announced itself as parked and found nothing. True: look again. */
    bool (*idle)(struct skua__director *director, struct skua__worker *worker);

    /* Seeded: what the worker runs next, or NULL if nothing is ready; and how many operations of
       the library it may do before it has to let others run. */
    struct skua__runnable *(*next)(struct skua__director *director, struct skua__worker *worker);
    int32_t (*budget)(struct skua__director *director);

    /* A foreign thread begins to wait for the timer's moment, and has ended to. */
    void (*thread_begins)(struct skua__director *director, struct skua__thread_timer *timer);
    void (*thread_ends)(struct skua__director *director, struct skua__thread_timer *timer);

    /* At the end: a task has ended and a handle of it was not released. */
    void (*handle_left)(struct skua__director *director, const struct skua_task *task);

    /* Written by anybody: how many wait for something real. While there are any, the clock does not
       jump. */
    _Atomic uint32_t holds;
};

/* skua_run() under the virtual clock, for SKUA_CLOCK=virtual in the environment; NULL unless the
   testing kit is linked. */
extern int (*skua__run_virtually)(const skua_config *config, skua_fn fn, void *arg);

/* The one whose virtual clock the process has, or NULL. Its memory stays. */
extern _Atomic(struct skua__director *) skua__director_now;

#endif
