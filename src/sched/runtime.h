/* sched/runtime.h: the inside of skua_runtime. */
#ifndef SKUA_SCHED_RUNTIME_H
#define SKUA_SCHED_RUNTIME_H

#include "base/random.h"
#include "mem/slab.h"
#include "mem/stack.h"
#include "sched/callbacks.h"
#include "sched/director.h"
#include "sched/idle.h"
#include "sched/inject.h"
#include "sched/limit.h"
#include "sched/service.h"
#include "sched/worker.h"
#include "topo/topo.h"

struct skua_runtime {
    /* Constant once it runs. */
    uint32_t worker_count;
    uint32_t worker_capacity; /* with those that stand in for stuck ones */
    uint32_t stack_class;     /* of tasks that do not ask for another */
    uint32_t blocking_threads_max;
    size_t max_tasks;
    int64_t cleanup_ns;
    char *name;
    bool needs_fences;    /* no membarrier here: everybody fences for himself */
    bool takes_all_forks; /* a mode for tests: no child runs on its parent's stack */
    bool is_debugging;    /* SKUA_DEBUG=1: costs more, knows more */
    bool spawns_slowly;   /* tasks are counted, or keep where they were spawned */
    void (*on_failure)(const skua_error *error, void *hook_arg); /* NULL: standard error */
    void (*on_report)(skua_report_kind kind, const char *text, void *hook_arg);
    void *hook_arg;
    struct skua__worker *workers;
    struct skua__topo *topo;
    struct skua__director *director; /* of a test run; else NULL */
    struct skua__inject_set injects; /* the queues' places; a queue for each group of topo */

    /* Read by all, hardly ever written. */
    _Atomic bool is_stopping SKUA_CACHE_ALIGNED; /* no new tasks */
    _Atomic bool is_draining;                    /* none from outside; skua_stopping() */
    _Atomic bool workers_must_end;               /* no task is left */
    _Atomic(struct skua__poller *) poller;
    _Atomic(struct skua__service *) services[SKUA__SERVICE_COUNT];

    _Atomic uint32_t workers_started; /* with stand-ins */
    _Atomic bool stand_ins_wanted;    /* a regular worker was stuck at the monitor's last look */

    /* Shared. */
    struct skua__idle idle SKUA_CACHE_ALIGNED;
    _Atomic uint32_t poll_token SKUA_CACHE_ALIGNED; /* 1: somebody polls */
    _Atomic uint32_t poll_count; /* how often the token was taken: for the monitor */
    struct skua__lock service_lock;
    struct skua__slab tasks, roomy_tasks; /* the latter with a name or a copied argument */
    struct skua__slab forks;
    struct skua__slab timers; /* one for each fiber */
    struct skua__stacks stacks;
    struct skua__fiber_pool fibers[SKUA__STACK_CLASSES];
    _Atomic size_t live_tasks;   /* counted only when max_tasks is set */
    struct skua__room room;      /* who waits for fewer of them */
    _Atomic uint64_t submitted;  /* tasks started by foreign threads */
    _Atomic uint32_t outsiders;  /* wakes under way by threads that are not its workers */
    _Atomic uint32_t ended_bell; /* rung by each task that ends while there are end_watchers */
    _Atomic uint32_t end_watchers;
    _Atomic int64_t cancel_at_ns; /* the end of draining; SKUA__NEVER: there is none */
    struct skua__callbacks callbacks;

    /* For skua_runtime_counts(). */
    _Atomic uint64_t failures_unseen, cancels_swallowed;

    /* The monitor's. */
    pthread_t monitor;
    _Atomic uint32_t monitor_bell;
    _Atomic uint32_t monitor_sleeps; /* without a limit, until the bell */
    struct skua__idle reserve;       /* stand-ins that have nothing to stand in for */
    _Atomic bool is_alone;           /* skua_run() made it: only main could know of it elsewhere */
    bool was_deadlock_reported;
};

/* skua_runtime_create(), with a director, which outlives the runtime. */
int skua__runtime_create(skua_runtime **out, const skua_config *config,
                         struct skua__director *director);

/* True in a test run whose seed decides who runs. */
static inline bool skua__runtime_is_seeded(const skua_runtime *runtime)
{
    return SKUA_UNLIKELY(runtime->director != NULL) && runtime->director->is_seeded;
}

/* True in a test run under a virtual clock. */
static inline bool skua__runtime_is_virtual(const skua_runtime *runtime)
{
    return SKUA_UNLIKELY(runtime->director != NULL) && runtime->director->is_virtual;
}

/* In a test run: the next number of the seed's, for a choice that elsewhere is left to chance. */
static inline bool skua__seed_decides(uint64_t *number)
{
    struct skua__worker *worker = skua__worker_self();
    if (SKUA_LIKELY(worker == NULL || worker->runtime->director == NULL)) {
        return false;
    }
    *number = skua__random_next(&worker->random);
    return true;
}

/* How many stand-ins have a thread. */
static inline uint32_t skua__runtime_stand_ins(const skua_runtime *runtime)
{
    return skua__load(&runtime->workers_started, relaxed) - runtime->worker_count;
}

/* The cheap half of a Dekker pair: orders the caller's earlier store before its later load, given
   that the other side calls skua__runtime_heavy_fence() between its store and its load. */
static inline void skua__runtime_light_fence(const skua_runtime *runtime)
{
    if (SKUA_UNLIKELY(runtime->needs_fences)) {
        /* seq_cst: pairs with the one in skua__runtime_heavy_fence(). */
        skua__fence(seq_cst);
    } else {
        skua__fence_compiler();
    }
}

/* A task of the library's own, which max_tasks does not stop. */
static inline void skua__runtime_count_task(skua_runtime *runtime)
{
    if (SKUA_UNLIKELY(runtime->max_tasks != 0)) {
        skua__fetch_add(&runtime->live_tasks, 1, relaxed);
    }
}

/* So many tasks are not alive any more, as far as max_tasks is concerned. */
static inline void skua__runtime_uncount_tasks(skua_runtime *runtime, size_t count)
{
    if (SKUA_UNLIKELY(runtime->max_tasks != 0)) {
        skua__fetch_sub(&runtime->live_tasks, count, relaxed);
        skua__room_offer(&runtime->room);
    }
}

/* Around calls that may be what lets the runtime end while they still use it. The runtime waits for
   those who are not its workers. */
static inline bool skua__runtime_enter(skua_runtime *runtime)
{
    const struct skua__worker *worker = skua__worker_self();
    bool is_outsider = worker == NULL || worker->runtime != runtime;
    if (is_outsider) {
        /* Ordered before what the call publishes by the lock under which it does so. */
        skua__fetch_add(&runtime->outsiders, 1, relaxed);
    }
    return is_outsider;
}

static inline void skua__runtime_leave(skua_runtime *runtime, bool is_outsider)
{
    if (is_outsider) {
        /* release: orders all our accesses before it; pairs with the acquire in
           wait_for_outsiders(). The last access. */
        skua__fetch_sub(&runtime->outsiders, 1, release);
    }
}

/* For dumps: the fiber begins to wait for `what`. */
void skua__wait_note_time(struct skua__fiber *fiber);
static inline void skua__wait_note(struct skua__fiber *fiber, const char *what)
{
    skua__store(&fiber->waits_for, what, relaxed);
    if (SKUA_UNLIKELY(fiber->runnable.runtime->is_debugging)) {
        skua__wait_note_time(fiber);
    }
}

/* Every running thread of the process executes a full fence. About 8 us while others run. */
void skua__runtime_heavy_fence(const skua_runtime *runtime);

/* Try to be the one who polls. */
bool skua__runtime_take_poll_token(skua_runtime *runtime);
void skua__runtime_return_poll_token(skua_runtime *runtime);

/* True if something stands in a queue that any worker may take from. */
bool skua__runtime_has_work(skua_runtime *runtime);

/* Wake a claimed sleeper. */
void skua__runtime_wake_sleeper(skua_runtime *runtime, struct skua__sleeper *sleeper,
                                enum skua__permit permit);

/* The monitor's thread: starts stand-ins, polls and runs timers when the workers are stuck. */
void *skua__monitor_main(void *runtime);

/* Make the monitor look now. */
void skua__monitor_ring(skua_runtime *runtime);

/* Wake the monitor if it sleeps without a limit. */
void skua__monitor_wake(skua_runtime *runtime);

#endif
