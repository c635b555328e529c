/* sched/pace.h: what a worker makes of how fast its dispatches are: how often it looks after timers
   and events, when it asks the poller, and whether others should help. Part of worker.c, by whose
   threads alone all of it is called. */
#ifndef SKUA_SCHED_PACE_H
#define SKUA_SCHED_PACE_H

#include "base/clock.h"
#include "sched/runtime.h"
#include "sched/worker.h"

enum {
    UPKEEP_TICKS = 61, /* dispatches between looks at the inject queue, timers and the poller */
    UPKEEP_TICKS_MIN = 7,
    UPKEEP_LONG_NS =
        100 * 1000, /* so much time between two looks is too long, and so little short */
    UPKEEP_SHORT_NS = 30 * 1000,
    HELP_WORTH_NS = 50 * 1000, /* less work than that is done before somebody who sleeps is awake */
    POLL_LATE_NS = 1000 * 1000, /* after that the poller is looked at, if events have room */
    EMPTY_LOOKS = 2,            /* at the poller: after so many it is only asked by who parks */
};

static inline void skua__pace_note(struct skua__worker *worker, int64_t ns, uint32_t dispatches)
{
    int64_t each_ns = ns / (dispatches > 0 ? dispatches : 1);
    each_ns = each_ns < HELP_WORTH_NS ? each_ns + 1 : HELP_WORTH_NS;
    worker->dispatch_ns = (uint32_t)((3 * (int64_t)worker->dispatch_ns + each_ns) / 4);
}

/* Where dispatches take long, since tasks compute for a while or start on fresh stacks, upkeep
   comes after fewer of them: timers and events should not have to wait for 61. */
static inline void skua__pace_upkeep(struct skua__worker *worker, int64_t now)
{
    int64_t elapsed = now - worker->upkeep_at_ns;
    if (worker->woke_at_ns <= worker->upkeep_at_ns) {
        skua__pace_note(worker, elapsed, (uint32_t)worker->upkeep_ticks);
    }
    worker->upkeep_at_ns = now;
    if (elapsed > UPKEEP_LONG_NS && worker->upkeep_ticks > UPKEEP_TICKS_MIN) {
        worker->upkeep_ticks /= 2;
    } else if (elapsed < UPKEEP_SHORT_NS) {
        worker->upkeep_ticks = 2 * worker->upkeep_ticks + 1;
    }
    if (worker->upkeep_ticks < UPKEEP_TICKS_MIN || worker->upkeep_ticks > UPKEEP_TICKS) {
        worker->upkeep_ticks = UPKEEP_TICKS;
    }
    worker->upkeep_in = worker->upkeep_ticks;
}

/* The worker has looked at the poller. */
static inline void skua__pace_note_poll(struct skua__worker *worker)
{
    worker->polled_tick = worker->tick;
    worker->polled_backlog = skua__ring_count(&worker->ring);
}

/* Around each sleep. */
static inline void skua__pace_note_sleep(struct skua__worker *worker)
{
    skua__pace_note(worker, skua__clock_ns() - worker->woke_at_ns,
                    worker->tick - worker->woke_tick);
}

static inline void skua__pace_note_wake(struct skua__worker *worker)
{
    worker->woke_tick = worker->tick;
    worker->woke_at_ns = skua__clock_ns();
    skua__pace_note_poll(worker);
    worker->empty_looks = skua__ring_count(&worker->ring) == 0 ? worker->empty_looks : 0;
}

/* Whether what is queued takes longer than waking somebody for it, as far as is known. */
static inline bool skua__pace_wants_help(const struct skua__worker *worker)
{
    uint64_t each_ns = worker->dispatch_ns > 0 ? worker->dispatch_ns : HELP_WORTH_NS;
    return skua__ring_count(&worker->ring) * each_ns >= HELP_WORTH_NS;
}

static inline bool skua__pace_has_ready(const struct skua__worker *worker)
{
    return skua__load(&worker->lifo, relaxed) != NULL || skua__ring_count(&worker->ring) > 0;
}

/* Whether work can only come from outside: then one look is as good as many. */
static inline bool skua__pace_is_alone(const struct skua__worker *worker)
{
    return skua__idle_parked(&worker->runtime->idle) + 1 >= worker->runtime->worker_count &&
           skua__load(&worker->runtime->workers_started, relaxed) <= worker->runtime->worker_count;
}

/* A look at the poller, if nobody else is at it. */
static inline void skua__poll_now(struct skua__worker *worker)
{
    skua_runtime *runtime = worker->runtime;
    /* acquire: pairs with the release in skua__runtime_set_poller(). */
    struct skua__poller *poller = skua__load(&runtime->poller, acquire);
    if (poller != NULL && skua__runtime_take_poll_token(runtime)) {
        poller->poll(poller, 0);
        skua__runtime_return_poll_token(runtime);
    }
    skua__pace_note_poll(worker);
}

/* The same as part of upkeep: what it would wake now stands behind what was ready at the last look,
   so until that has run another look is worth nothing; nor is it right before the one of who has
   nothing to do. */
static inline void skua__poll_behind_backlog(struct skua__worker *worker)
{
    uint32_t dispatches = worker->tick - worker->polled_tick;
    bool has_room =
        skua__ring_count(&worker->ring) < SKUA__RING_SLOTS / 2; /* for a look's events */
    bool is_late = (uint64_t)dispatches * worker->dispatch_ns >= POLL_LATE_NS;
    bool is_time = dispatches >= worker->polled_backlog || (is_late && has_room);
    if (is_time && dispatches >= UPKEEP_TICKS_MIN && skua__pace_has_ready(worker)) {
        skua__poll_now(worker);
    }
}

/* A look at the poller, unless parking, which begins with one, is as cheap: nobody to steal from,
   and looks that were in vain before. */
static inline void skua__poll_before_parking(struct skua__worker *worker)
{
    if (skua__pace_is_alone(worker) && worker->empty_looks >= EMPTY_LOOKS) {
        return;
    }
    skua__poll_now(worker);
    worker->empty_looks = skua__pace_has_ready(worker) ? 0 : worker->empty_looks + 1;
}

#endif
