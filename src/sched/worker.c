/* Workers: the loop of a worker's thread, dispatch, stealing, parking. README.md has the protocols.

   A worker's thread has two faces. In the *root context*, its native stack, it looks for work:
   queues, timers, the poller, other workers, sleep. In fibers it runs tasks; a fiber that suspends
   picks the next local runnable itself and switches straight to it, and goes to the root only when
   there is none or when upkeep is due.

     (W1) lifo and ring are filled by the worker's own thread only; anybody may take from them.
     (W2) What is pinned to a worker stands in its inbox only, and is taken out by its own thread
          only.
     (W3) In the root context no fiber is current, and no lock is held over a switch.
     (W4) Between the moment at which a fiber can be found by others (its word says WAITING, or it
          stands in a ring because it yields) and its switch away, its thread puts no fiber into its
          own queues. So a thread that waits for another to leave a stack (skua__fiber_switch) never
          waits in a circle. */
#include "sched/worker.h"

#include "base/futex.h"
#include "base/panic.h"
#include "base/random.h"
#include "sched/director.h"
#include "sched/dispatch.h"
#include "sched/local.h"
#include "sched/pace.h"
#include "sched/report.h"
#include "sched/runtime.h"
#include "sched/task.h"

#include <errno.h>
#include <skua/task.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Over all victims, before parking; checkers compile with less, to have fewer steps to explore. */
#ifndef SKUA__SEARCH_SWEEPS
#define SKUA__SEARCH_SWEEPS 24
#define SKUA__SEARCH_PAUSES 32
#endif

enum {
    INJECT_BATCH = 32,
    INJECT_TURNS = 8, /* looks at the inject queues, of which one begins with another group's */
    NO_STACK_NAP_NS = 1000 * 1000,
};

/* --- the calling worker ----------------------------------------------------------------------- */

/* Not static: skua__worker_self() names it in assembly, where the compiler does not see the use. */
__attribute__((used, visibility("hidden"))) _Thread_local struct skua__worker *skua__current_worker;

/* Read by skua__fork_line_self(), in assembly and in programs. */
__attribute__((used, visibility("default"))) _Thread_local struct skua__fork_line *skua__fork_line =
    &skua__fork_nobodys_line;

static _Thread_local skua_task *lender;

void skua__locals_lend(skua_task *task)
{
    lender = task;
}

/* A forked process has this thread, and no right to the lock that its locals are read under. */
skua_task *skua__locals_lender(void)
{
    return skua__forked() ? NULL : lender;
}

#if !SKUA__TLS_HAS_LOAD
SKUA_OPAQUE struct skua__worker *skua__worker_self(void)
{
    skua__fence_compiler(); /* orders nothing here: it keeps the function from being found pure */
    return skua__current_worker;
}
#endif

/* --- making ready ----------------------------------------------------------------------------- */

void skua__wake_worker(skua_runtime *runtime, bool fenced)
{
    if (SKUA_LIKELY(!skua__idle_wants_wake(&runtime->idle, fenced))) {
        return;
    }
    struct skua__sleeper *sleeper = skua__idle_claim(&runtime->idle);
    if (sleeper != NULL) {
        skua__runtime_wake_sleeper(runtime, sleeper, SKUA__PERMIT_SEARCH);
    }
}

/* Who wakes from outside must not find the runtime gone: the woken task may be its last. */
static void outsider_enters(skua_runtime *runtime)
{
    /* Ordered before the push by the lock of the queue: what was pushed cannot have run yet. */
    skua__fetch_add(&runtime->outsiders, 1, relaxed);
}

static void outsider_leaves(skua_runtime *runtime)
{
    /* release: orders all our accesses before it; pairs with the acquire in wait_for_outsiders().
       The last access. */
    skua__fetch_sub(&runtime->outsiders, 1, release);
}

void skua__ready_many(skua_runtime *runtime, struct skua__runnable *first,
                      struct skua__runnable *last, uint32_t count)
{
    uint32_t group = skua__topo_group_here(runtime->topo);
    skua__inject_push(skua__inject_of(&runtime->injects, group), first, last, count);
    /* seq_cst: orders the push before the look at the idle word; pairs with the read-modify-writes
       of that word by workers that stop searching or park. */
    skua__fence(seq_cst);
    skua__wake_worker(runtime, true);
}

static void ready_inject(skua_runtime *runtime, struct skua__runnable *runnable)
{
    skua__ready_many(runtime, runnable, runnable, 1);
}

static void ready_pinned(skua_runtime *runtime, struct skua__runnable *runnable)
{
    struct skua__worker *worker = &runtime->workers[runnable->pin - 1];
    skua__inject_push(&worker->inbox, runnable, runnable, 1);
    if (worker != skua__worker_self() && skua__idle_claim_this(&runtime->idle, &worker->sleeper)) {
        skua__runtime_wake_sleeper(runtime, &worker->sleeper, SKUA__PERMIT_PLAIN);
    }
}

static SKUA_NOINLINE void ready_from_outside(skua_runtime *runtime, struct skua__runnable *runnable)
{
    outsider_enters(runtime);
    if (runnable->pin != 0) {
        ready_pinned(runtime, runnable);
    } else {
        ready_inject(runtime, runnable);
    }
    outsider_leaves(runtime);
}

/* The ring is full: its older half goes to the inject queue, in one piece. */
static SKUA_NOINLINE void spill(struct skua__worker *worker, struct skua__runnable *runnable)
{
    struct skua__runnable *half[SKUA__RING_SLOTS / 2];
    uint32_t count = skua__ring_take_half(&worker->ring, half);
    for (uint32_t i = 0; i + 1 < count; i++) {
        half[i]->next = half[i + 1];
    }
    if (count > 0) {
        struct skua__inject *inject = skua__inject_of(&worker->runtime->injects, worker->group);
        skua__inject_push(inject, half[0], half[count - 1], count);
    }
    bool is_pushed = skua__ring_push(&worker->ring, runnable);
    skua_require(is_pushed);
}

static void ring_put(struct skua__worker *worker, struct skua__runnable *runnable)
{
    if (SKUA_UNLIKELY(!skua__ring_push(&worker->ring, runnable))) {
        spill(worker, runnable);
    }
}

/* Put into the LIFO slot; returns what was there. */
static struct skua__runnable *lifo_put(struct skua__worker *worker, struct skua__runnable *runnable)
{
    if (skua__load(&worker->lifo, relaxed) == NULL) {
        /* release: publishes the runnable; pairs with the acquire in lifo_take(). Only we fill the
           slot, so it is still empty. */
        skua__store(&worker->lifo, runnable, release);
        return NULL;
    }
    /* acq_rel: publishes the new runnable like above. */
    return skua__exchange(&worker->lifo, runnable, acq_rel);
}

/* By the owner or a thief. */
static struct skua__runnable *lifo_take(struct skua__worker *worker)
{
    if (skua__load(&worker->lifo, relaxed) == NULL) {
        return NULL;
    }
    /* acquire: pairs with the release in lifo_put(). */
    return skua__exchange(&worker->lifo, NULL, acquire);
}

void skua__ready(struct skua__runnable *runnable, enum skua__ready_kind kind)
{
    skua_runtime *runtime = runnable->runtime;
    struct skua__worker *worker = skua__worker_self();
    if (SKUA_UNLIKELY(worker == NULL || worker->runtime != runtime)) {
        ready_from_outside(runtime, runnable);
        return;
    }
    if (SKUA_UNLIKELY(runnable->pin != 0)) {
        ready_pinned(runtime, runnable);
        return;
    }
    if (kind == SKUA__READY_WOKEN) {
        /* Nobody is told: it runs here as soon as the running task stops. If that takes long, the
           monitor lets another worker take it. */
        runnable = lifo_put(worker, runnable);
        if (runnable == NULL) {
            return;
        }
    }
    ring_put(worker, runnable);
    /* Pairs with the heavy fence of the last one who parks. */
    skua__runtime_light_fence(runtime);
    skua__wake_worker(runtime, false);
}

void skua__ready_later(struct skua__runnable **runnables, size_t count)
{
    struct skua__worker *worker = skua__worker_self();
    for (size_t i = 0; i < count; i++) {
        struct skua__runnable *runnable = runnables[i];
        if (SKUA_UNLIKELY(runnable->pin != 0 || runnable->runtime != worker->runtime)) {
            skua__ready(runnable, SKUA__READY_WOKEN);
        } else {
            ring_put(worker, runnable);
        }
    }
    if (skua__pace_wants_help(worker)) {
        /* Pairs with the heavy fence of the last one who parks. */
        skua__runtime_light_fence(worker->runtime);
        skua__wake_worker(worker->runtime, false);
    }
}

void skua__worker_expose_woken(struct skua__worker *worker)
{
    struct skua__runnable *woken = lifo_take(worker);
    if (woken != NULL) {
        ring_put(worker, woken);
    }
}

void skua__ready_yielded(struct skua__worker *worker, struct skua__runnable *runnable)
{
    if (SKUA_UNLIKELY(runnable->pin != 0)) {
        ready_pinned(worker->runtime, runnable);
    } else {
        ring_put(worker, runnable);
    }
}

/* --- dispatch --------------------------------------------------------------------------------- */

static struct skua__runnable *take_from_inbox(struct skua__worker *worker)
{
    struct skua__runnable *runnable = NULL;
    skua__inject_pop(&worker->inbox, &runnable, 1);
    return runnable;
}

/* One from an inject queue to run; its share of the rest goes into the (empty) ring. */
static struct skua__runnable *take_from_queue(struct skua__worker *worker,
                                              struct skua__inject *inject)
{
    uint32_t share = skua__inject_count(inject) / worker->runtime->injects.takers + 1;
    uint32_t room = SKUA__RING_SLOTS - skua__ring_count(&worker->ring);
    struct skua__runnable *batch[INJECT_BATCH];
    share = share < INJECT_BATCH ? share : INJECT_BATCH;
    uint32_t count = skua__inject_pop(inject, batch, share < room ? share : 1);
    for (uint32_t i = 1; i < count; i++) {
        ring_put(worker, batch[i]);
    }
    return count > 0 ? batch[0] : NULL;
}

/* What came from the LIFO slot has had its turns: others first, if there are any. */
static SKUA_NOINLINE struct skua__runnable *take_turns(struct skua__worker *worker,
                                                       struct skua__runnable *runnable)
{
    worker->lifo_run = 0;
    if (skua__ring_count(&worker->ring) == 0) {
        return runnable;
    }
    ring_put(worker, runnable);
    return skua__ring_pop(&worker->ring);
}

/* From the own group's queue, else from another one; now and then from another one first, so that
   none waits for ever behind workers that are stuck. */
static struct skua__runnable *take_from_inject(struct skua__worker *worker)
{
    struct skua__inject_set *set = &worker->runtime->injects;
    uint32_t turn = set->count > 1 ? ++worker->inject_turn : 1;
    uint32_t first = worker->group + (turn % INJECT_TURNS == 0 ? turn / INJECT_TURNS : 0);
    struct skua__runnable *found = NULL;
    for (uint32_t i = 0; found == NULL && i < set->count; i++) {
        struct skua__inject *inject = skua__inject_of(set, first + i);
        if (skua__inject_count(inject) > 0) {
            found = take_from_queue(worker, inject);
        }
    }
    return found;
}

/* From the LIFO slot, unless it has had its turns while others wait. */
static struct skua__runnable *take_lifo_or_ring(struct skua__worker *worker)
{
    struct skua__runnable *runnable = lifo_take(worker);
    if (runnable == NULL) {
        worker->lifo_run = 0;
        return skua__ring_pop(&worker->ring);
    }
    return SKUA_LIKELY(++worker->lifo_run <= SKUA__LIFO_RUN_MAX) ? runnable
                                                                 : take_turns(worker, runnable);
}

/* Pinned and other runnables take turns. */
static SKUA_NOINLINE struct skua__runnable *take_with_inbox(struct skua__worker *worker)
{
    struct skua__runnable *runnable = NULL;
    if (worker->tick % 2 == 0) {
        runnable = take_lifo_or_ring(worker);
    }
    if (runnable == NULL) {
        runnable = take_from_inbox(worker);
    }
    return runnable != NULL ? runnable : take_lifo_or_ring(worker);
}

struct skua__runnable *skua__worker_next(struct skua__worker *worker)
{
    skua__count_dispatch(worker);
    if (SKUA_UNLIKELY(worker->upkeep_in <= 0)) {
        return NULL;
    }
    if (SKUA_UNLIKELY(skua__inject_count(&worker->inbox) > 0)) {
        return take_with_inbox(worker);
    }
    return take_lifo_or_ring(worker);
}

/* --- upkeep ----------------------------------------------------------------------------------- */

static bool run_timers(struct skua__worker *worker, int64_t now)
{
    return now >= skua__wheel_next(&worker->wheel) && skua__wheel_run(&worker->wheel, now) > 0;
}

/* --- stealing --------------------------------------------------------------------------------- */

static struct skua__runnable *steal_from(struct skua__worker *worker, struct skua__worker *victim)
{
    struct skua__runnable *loot[SKUA__RING_SLOTS / 2];
    uint32_t count = skua__ring_take_half(&victim->ring, loot);
    for (uint32_t i = 1; i < count; i++) {
        ring_put(worker, loot[i]);
    }
    return count > 0 ? loot[0] : NULL;
}

/* One look at every other worker, the nearest first; equals in random order. */
static struct skua__runnable *sweep(struct skua__worker *worker)
{
    skua_runtime *runtime = worker->runtime;
    uint32_t started = skua__load(&runtime->workers_started, relaxed);
    for (uint32_t begin = 0; begin < worker->victim_count;) {
        uint32_t end = skua__topo_level_end(runtime->topo, worker->index, begin);
        uint32_t turn = skua__random_below(&worker->random, end - begin);
        for (uint32_t i = 0; i < end - begin; i++) {
            uint32_t victim = worker->victims[begin + (turn + i) % (end - begin)];
            if (victim < started) {
                struct skua__runnable *loot = steal_from(worker, &runtime->workers[victim]);
                if (loot != NULL) {
                    return loot;
                }
            }
        }
        begin = end;
    }
    return NULL;
}

/* Some other workers and where they stood: for telling who has not come back to dispatch. */
enum { WATCHED_MAX = 64 };
struct watch {
    uint32_t first, count;
    uint32_t ticks[WATCHED_MAX];
};

static void watch_init(struct watch *watch, struct skua__worker *worker)
{
    memset(watch, 0, sizeof *watch);
    watch->count = worker->victim_count < WATCHED_MAX ? worker->victim_count : WATCHED_MAX;
    if (worker->victim_count > WATCHED_MAX) {
        watch->first = skua__random_below(&worker->random, worker->victim_count);
    }
}

/* The slot of a worker that has not dispatched since we looked: its task runs for long. */
static struct skua__runnable *steal_stale_lifo(struct skua__worker *worker, struct watch *watch)
{
    for (uint32_t i = 0; i < watch->count; i++) {
        uint32_t index = worker->victims[(watch->first + i) % worker->victim_count];
        struct skua__worker *victim = &worker->runtime->workers[index];
        uint32_t tick = skua__load(&victim->tick_seen, relaxed);
        if (tick == watch->ticks[i] && skua__load(&victim->is_running_task, relaxed)) {
            struct skua__runnable *loot = lifo_take(victim);
            if (loot != NULL) {
                return loot;
            }
        }
        watch->ticks[i] = tick;
    }
    return NULL;
}

/* Nothing is to be had: ask those who run something for forked children. */
static void ask_all(struct skua__worker *worker)
{
    skua_runtime *runtime = worker->runtime;
    uint32_t started = skua__load(&runtime->workers_started, relaxed);
    for (uint32_t i = 0; i < started; i++) {
        if (i != worker->index) {
            skua__fork_ask(&runtime->workers[i].forks);
        }
    }
}

/* Look everywhere for a while. */
static struct skua__runnable *search(struct skua__worker *worker)
{
    struct watch watch;
    watch_init(&watch, worker);
    int rounds = skua__pace_is_alone(worker) ? 1 : SKUA__SEARCH_SWEEPS;
    for (int round = 0; round < rounds; round++) {
        struct skua__runnable *found = take_from_inject(worker);
        if (found == NULL) {
            found = sweep(worker);
        }
        if (found == NULL && round % 8 == 7) {
            found = steal_stale_lifo(worker, &watch);
        }
        if (found != NULL) {
            return found;
        }
        ask_all(worker);
        for (int i = 0; i < SKUA__SEARCH_PAUSES && rounds > 1; i++) {
            skua__spin_pause();
        }
    }
    return NULL;
}

/* --- parking ---------------------------------------------------------------------------------- */

/* Sleep until the permit comes, the worker's own timers are due, or the poller has woken somebody.
   */
static void sleep_until_woken(struct skua__worker *worker, struct skua__poller *poller)
{
    struct skua__sleeper *sleeper = &worker->sleeper;
    bool is_virtual = skua__runtime_is_virtual(worker->runtime);
    int64_t deadline = is_virtual ? SKUA__NEVER : skua__wheel_next(&worker->wheel);
    if (poller != NULL) {
        poller->poll(poller, deadline);
        return;
    }
    while (skua__load(&sleeper->permit, relaxed) == SKUA__PERMIT_NONE) {
        if (deadline != SKUA__NEVER && skua__clock_ns() >= deadline) {
            return;
        }
        skua__futex_wait(&sleeper->permit, SKUA__PERMIT_NONE, deadline, false);
    }
}

/* The permit that somebody who has claimed us is about to give, or has given. */
static enum skua__permit take_permit(struct skua__sleeper *sleeper)
{
    uint32_t permit;
    /* acquire: pairs with the release in skua__runtime_wake_sleeper(). */
    while ((permit = skua__load(&sleeper->permit, acquire)) == SKUA__PERMIT_NONE) {
        skua__futex_wait(&sleeper->permit, SKUA__PERMIT_NONE, SKUA__NEVER, false);
    }
    return (enum skua__permit)permit;
}

/* Who has parked has shown what it had queued before, and who is woken from now on sees us. */
static bool all_are_parked(skua_runtime *runtime)
{
    /* acquire: pairs with the read-modify-writes in skua__idle_park(). */
    return (uint32_t)skua__load(&runtime->idle.state, acquire) == runtime->worker_count &&
           skua__load(&runtime->workers_started, relaxed) <= runtime->worker_count;
}

static bool may_sleep(struct skua__worker *worker, bool must_recheck)
{
    skua_runtime *runtime = worker->runtime;
    if (must_recheck && runtime->worker_count > 1 && !all_are_parked(runtime)) {
        /* What the others had queued before they could see us parked is visible after this. */
        skua__runtime_heavy_fence(runtime);
    }
    /* seq_cst: orders the count of us as parked before the looks below; pairs with the fence in
       ready_inject(). */
    skua__fence(seq_cst);
    if (skua__inject_count(&worker->inbox) > 0 || skua__load(&runtime->workers_must_end, relaxed)) {
        return false;
    }
    return !must_recheck || !skua__runtime_has_work(runtime);
}

/* Park, if there is really nothing to do. Returns whether the worker is counted as searching
   afterwards. */
static bool park(struct skua__worker *worker, bool is_searching)
{
    skua_runtime *runtime = worker->runtime;
    struct skua__idle *idle = &runtime->idle;
    /* acquire: pairs with the release in skua__runtime_set_poller(). */
    struct skua__poller *poller = skua__load(&runtime->poller, acquire);
    if (poller != NULL && !skua__runtime_take_poll_token(runtime)) {
        poller = NULL;
    }
    bool must_recheck = skua__idle_park(idle, &worker->sleeper, is_searching, poller != NULL);
    /* seq_cst: orders the count of us as parked before the looks at limits in ask_all(), which the
       read-modify-write alone does not on all processors; pairs with the fence in answer(). */
    skua__fence(seq_cst);
    ask_all(worker); /* from now on whoever forks looks at the idle word */
    bool may = may_sleep(worker, must_recheck);
    if (SKUA_UNLIKELY(runtime->director != NULL) && may) {
        may = !runtime->director->idle(runtime->director, worker);
    }
    if (may) {
        skua__pace_note_sleep(worker);
        sleep_until_woken(worker, poller);
        skua__pace_note_wake(worker);
    }
    if (poller != NULL) {
        skua__runtime_return_poll_token(runtime);
    }
    bool is_searcher = !may; /* work turned up while we were about to sleep */
    if (!skua__idle_unpark(idle, &worker->sleeper, is_searcher)) {
        is_searcher = take_permit(&worker->sleeper) == SKUA__PERMIT_SEARCH;
    }
    /* seq_cst: orders the count of us as awake before the look at the monitor; pairs with the fence
       in sleep_without_limit(). */
    skua__fence(seq_cst);
    skua__monitor_wake(runtime);
    return is_searcher;
}

/* --- stand-ins -------------------------------------------------------------------------------- */

static bool is_stand_in(const struct skua__worker *worker)
{
    return worker->index >= worker->runtime->worker_count;
}

void skua__worker_tell_director(skua_runtime *runtime)
{
    if (SKUA_LIKELY(runtime->director == NULL)) {
        return;
    }
    struct skua__sleeper *sleeper = skua__idle_claim_any(&runtime->idle);
    if (sleeper != NULL) {
        skua__runtime_wake_sleeper(runtime, sleeper, SKUA__PERMIT_PLAIN);
    }
}

/* A stand-in has nothing more to do: it sleeps until the monitor needs it again. It has no timers
   of its own while nothing runs on it, except for fibers that went elsewhere: the monitor looks
   after those. */
static void stand_by(struct skua__worker *worker)
{
    skua_runtime *runtime = worker->runtime;
    skua__idle_park(&runtime->reserve, &worker->sleeper, false, false);
    skua__worker_tell_director(runtime); /* the last one who was busy may be a stand-in */
    if (skua__load(&runtime->workers_must_end, relaxed)) {
        if (skua__idle_unpark(&runtime->reserve, &worker->sleeper, false)) {
            return;
        }
    }
    take_permit(&worker->sleeper);
}

/* Nobody is stuck any more: a stand-in hands its queue to the others, also if its tasks never end.
   */
static void stand_down(struct skua__worker *worker)
{
    struct skua__runnable *runnable;
    while ((runnable = take_lifo_or_ring(worker)) != NULL) {
        ready_inject(worker->runtime, runnable);
    }
    stand_by(worker);
}

/* --- the loop --------------------------------------------------------------------------------- */

/* Whether there is work for one who is parked. Those who parked while we searched have left the
   last look to us. Somebody may have submitted something and loaded the idle word before any of us
   touched it, and still have it hidden from a light look; so one that finds nothing is not the
   last. */
static bool has_more_work(skua_runtime *runtime)
{
    if (skua__runtime_has_work(runtime)) {
        return true;
    }
    if (skua__idle_parked(&runtime->idle) == 0) {
        return false;
    }
    skua__runtime_heavy_fence(runtime);
    return skua__runtime_has_work(runtime);
}

/* Something to run, after looking everywhere; NULL: look again. */
static struct skua__runnable *find_work(struct skua__worker *worker)
{
    skua_runtime *runtime = worker->runtime;
    struct skua__runnable *found = take_from_inject(worker);
    if (found != NULL) {
        return found;
    }
    if (skua__wheel_next(&worker->wheel) != SKUA__NEVER && run_timers(worker, skua__clock_ns())) {
        return NULL;
    }
    if (!is_stand_in(worker)) { /* else the monitor is at it, and better placed */
        skua__poll_before_parking(worker);
    }
    found = take_lifo_or_ring(worker);
    if (found != NULL || skua__inject_count(&worker->inbox) > 0) {
        return found;
    }
    if (is_stand_in(worker)) {
        found = search(worker);
        if (found == NULL) {
            stand_by(worker);
        }
        return found;
    }
    bool is_searching =
        runtime->worker_count > 1 && skua__idle_search_begin(&runtime->idle, runtime->worker_count);
    while (found == NULL && !skua__load(&runtime->workers_must_end, relaxed)) {
        if (is_searching && (found = search(worker)) != NULL) {
            break;
        }
        is_searching = park(worker, is_searching);
        if (!is_searching) {
            return NULL;
        }
        found = take_from_inbox(worker);
        if (found == NULL) {
            found =
                take_lifo_or_ring(worker); /* our own look at the poller may have woken somebody */
        }
    }
    /* Found while searching. If nobody searches any more, others may have skipped a wake-up because
       of us. */
    if (is_searching && skua__idle_search_end(&runtime->idle) && has_more_work(runtime)) {
        skua__wake_worker(runtime, true);
    }
    return found;
}

/* No memory for a stack: put what needs it back and wait for others to finish. It is not lost, only
   late. */
static void postpone(struct skua__worker *worker, struct skua__runnable *runnable)
{
    static _Atomic bool was_reported;
    if (!skua__exchange(&was_reported, true, relaxed)) {
        skua__runtime_report(worker->runtime, SKUA_REPORT_MEMORY,
                             "no memory for another stack: tasks wait until others have ended");
    }
    struct skua__inject *queue = runnable->pin != 0
                                     ? &worker->inbox
                                     : skua__inject_of(&worker->runtime->injects, worker->group);
    skua__inject_push(queue, runnable, runnable, 1);
    _Atomic uint32_t never_rung = 0;
    skua__futex_wait(&never_rung, 0, skua__clock_real_ns() + NO_STACK_NAP_NS, false);
}

static void run(struct skua__worker *worker, struct skua__runnable *runnable)
{
    struct skua__fiber *fiber;
    if (runnable->kind == SKUA__RUNNABLE_FIBER) {
        fiber = SKUA_CONTAINER(runnable, struct skua__fiber, runnable);
    } else {
        fiber = skua__cached_fiber(worker, runnable->stack_class);
        if (fiber == NULL) {
            fiber = skua__fiber_create(worker->runtime, runnable->stack_class);
        }
        if (fiber == NULL) {
            postpone(worker, runnable);
            return;
        }
        if (!skua__fiber_give(worker, fiber, runnable)) {
            skua__cache_fiber(worker, fiber);
            return;
        }
    }
    worker->budget = skua__runtime_is_seeded(worker->runtime)
                         ? worker->runtime->director->budget(worker->runtime->director)
                         : SKUA__BUDGET;
    skua__store(&worker->is_running_task, true, relaxed);
    skua__fiber_switch(worker, &worker->root, fiber);
    skua__store(&worker->is_running_task, false, relaxed);
}

/* What comes up every 61 dispatches: the inject queue first, then timers and events. */
static struct skua__runnable *upkeep(struct skua__worker *worker)
{
    int64_t now = skua__clock_ns();
    skua__pace_upkeep(worker, now);
    if (is_stand_in(worker) && !skua__load(&worker->runtime->stand_ins_wanted, relaxed)) {
        stand_down(worker);
        return NULL;
    }
    run_timers(worker, now);
    skua__poll_behind_backlog(worker);
    return take_from_inject(worker);
}

/* In a test run the seed decides at each dispatch: fibers that suspend always come to the root,
   since upkeep is always due. */
static SKUA_NOINLINE struct skua__runnable *next_seeded(struct skua__worker *worker)
{
    struct skua__director *director = worker->runtime->director;
    worker->upkeep_in = 0;
    if (worker->tick - worker->polled_tick >= UPKEEP_TICKS) {
        skua__poll_now(worker); /* though somebody may always be ready */
    }
    struct skua__runnable *next = director->next(director, worker);
    if (next == NULL) {
        skua__poll_now(worker);
        next = director->next(director, worker);
    }
    if (next == NULL) {
        if (park(worker, false)) {
            skua__idle_search_end(&worker->runtime->idle);
        }
    }
    return next;
}

static struct skua__runnable *next_for_root(struct skua__worker *worker)
{
    if (skua__runtime_is_seeded(worker->runtime)) {
        return next_seeded(worker);
    }
    struct skua__runnable *next = worker->pending;
    worker->pending = NULL;
    if (next == NULL && worker->upkeep_in <= 0) {
        next = upkeep(worker);
    }
    if (next == NULL) {
        next = skua__worker_next(worker);
    }
    return next != NULL ? next : find_work(worker);
}

static void *worker_main(void *arg)
{
    struct skua__worker *worker = arg;
    skua__current_worker = worker;
    skua__fork_line = &worker->forks.line;
    skua__thread_wait_exactly();
    skua__store(&worker->thread_id, (int32_t)gettid(), relaxed);
    worker->errno_place = &errno;
    worker->root.fpenv = skua__fpenv_save();
    skua__sanitize_thread(&worker->root.sanitize);
    while (!skua__load(&worker->runtime->workers_must_end, relaxed)) {
        struct skua__runnable *next = next_for_root(worker);
        if (next != NULL) {
            run(worker, next);
        }
    }
    skua__fork_line = &skua__fork_nobodys_line;
    skua__current_worker = NULL;
    return NULL;
}

static void name_thread(struct skua__worker *worker)
{
    char name[16];
    snprintf(name, sizeof name, "%.10s-%u", worker->runtime->name, worker->index);
    pthread_setname_np(worker->thread, name);
}

int skua__worker_start(struct skua__worker *worker)
{
    int error = pthread_create(&worker->thread, NULL, worker_main, worker);
    if (error != 0) {
        return -error;
    }
    name_thread(worker);
    return 0;
}

void skua__worker_join(struct skua__worker *worker)
{
    pthread_join(worker->thread, NULL);
}
