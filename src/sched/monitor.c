/* The monitor: one thread that looks after workers which do not look after themselves.

   Every 10 ms, while any worker is awake, it
     - holds the poll token if nobody polled since the last look (the workers are busy): it then
       sleeps in the poller instead, so that events are noticed at once and go to the inject queue;
     - runs the timers of workers that are late with them;
     - wakes a parked worker if work is queued that nobody takes;
     - cancels all tasks when the time to drain is over;
     - gives the memory of warm fibers back that nobody needs;
     - wakes a stand-in worker if a task has kept its worker for a whole period while other work
       waits, or says that it blocks; and names the task, if it goes on like that without saying so.
   When all workers have been parked for a while it says so if nothing can ever wake a task, and
   then sleeps without a limit: an idle runtime uses no CPU.

   Nothing here is needed for a runtime whose tasks suspend now and then; it bounds the harm of
   those that do not. No signals are used: they belong to the program. */
#include "base/futex.h"
#include "sched/drain.h"
#include "sched/report.h"
#include "sched/runtime.h"
#include "sched/task.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

enum {
    PERIOD_NS = 10 * 1000 * 1000,
    IDLE_PERIODS_MAX = 10,  /* then it sleeps without a limit */
    STAND_IN_DOUBLINGS = 6, /* then another stand-in each 640 ms */
    TRIM_PERIODS = 100,     /* between decisions about warm fibers */
    BLOCKED_MS_MAX = 100, /* a task that blocks its worker for so long, to others' harm, is named */
    COMPUTED_MS_MAX = 1000, /* and one that computes for so long */
    BLOCKED_PART = 50,      /* who uses less than this part of the time is blocked */
    TRIM_BATCH = 1024,      /* fibers whose memory is given back in one period: about 2 ms */
};

enum { WATCHED_MAX = 2 * 1024 + 16 };

/* A worker that was stuck when a stand-in was needed. */
struct harm {
    int64_t since_ns; /* 0: it is not; SKUA__NEVER: its task has been named */
    int64_t cpu_ns;   /* what its thread had used then */
};

/* What the monitor saw at its last look. */
struct view {
    uint32_t ticks[WATCHED_MAX];
    bool was_stuck[WATCHED_MAX];
    struct harm harm[WATCHED_MAX];
    bool was_computing_named;
    int64_t full_look_at_ns; /* when a whole period has passed since the ticks were noted */
    uint32_t poll_count;
    uint32_t idle_periods;
    uint32_t dispatched; /* by all workers, at the last look */
    uint32_t trim_periods;
    bool has_warm_fibers;
    bool was_limit_reported;
    int64_t next_stand_in_at_ns;
};

void skua__monitor_ring(skua_runtime *runtime)
{
    /* release: publishes what it is rung for, such as the end of a drain; pairs with the acquire in
       skua__monitor_main(). */
    skua__fetch_add(&runtime->monitor_bell, 1, release);
    skua__futex_wake(&runtime->monitor_bell, 1, false);
}

void skua__monitor_wake(skua_runtime *runtime)
{
    /* Called after a change of the idle word and a fence; pairs with the fence in
       sleep_without_limit(). */
    if (SKUA_UNLIKELY(skua__load(&runtime->monitor_sleeps, relaxed) != 0)) {
        skua__monitor_ring(runtime);
    }
}

static bool all_are_parked(const skua_runtime *runtime)
{
    return skua__idle_parked(&runtime->idle) == runtime->worker_count &&
           skua__idle_parked(&runtime->reserve) == skua__runtime_stand_ins(runtime);
}

/* Something that changes whenever a worker runs a task. */
static uint32_t dispatched_by_all(const skua_runtime *runtime)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < skua__load(&runtime->workers_started, relaxed); i++) {
        sum += skua__load(&runtime->workers[i].tick_seen, relaxed);
    }
    return sum;
}

/* Whether nobody has run anything since the last look either: all may be parked again. Who has just
   woken somebody is not through with it: the kernel may have put that thread aside. */
static bool are_idle(const skua_runtime *runtime, struct view *view)
{
    bool are_parked = all_are_parked(runtime) && skua__load(&runtime->outsiders, relaxed) == 0;
    /* seq_cst: orders the idle word before the ticks; pairs with the read-modify-write by which a
       worker says that it parks, after it has run something. */
    skua__fence(seq_cst);
    uint32_t dispatched = dispatched_by_all(runtime);
    bool has_run = dispatched != view->dispatched;
    view->dispatched = dispatched;
    return are_parked && !has_run;
}

/* All timers that nobody would run in time: those of stand-ins, which do not look after them while
   they stand by, and of workers that are stuck. */
static int64_t run_late_timers(skua_runtime *runtime, int64_t now)
{
    int64_t next = SKUA__NEVER;
    if (skua__runtime_is_virtual(runtime)) {
        return next; /* the director runs them */
    }
    for (uint32_t i = 0; i < runtime->worker_capacity; i++) {
        struct skua__wheel *wheel = &runtime->workers[i].wheel;
        bool has_owner = i < runtime->worker_count;
        int64_t late_at = skua__wheel_next(wheel);
        if (late_at == SKUA__NEVER) {
            continue;
        }
        if (has_owner && late_at < SKUA__NEVER - PERIOD_NS / 2) {
            late_at += PERIOD_NS / 2;
        }
        if (late_at <= now) {
            skua__wheel_run(wheel, now);
            late_at = skua__wheel_next(wheel);
        }
        if (!has_owner && late_at < next) {
            next = late_at;
        }
    }
    return next;
}

/* Not if somebody has run since the last look: what that has led to is still to be looked at. */
static void sleep_without_limit(skua_runtime *runtime, struct view *view, uint32_t bell)
{
    skua__store(&runtime->monitor_sleeps, 1, relaxed);
    /* seq_cst: orders the flag before the look at the idle word; pairs with the read-modify-writes
       of that word, after which skua__monitor_wake() looks at the flag. */
    skua__fence(seq_cst);
    int64_t now = skua__clock_real_ns();
    int64_t next = run_late_timers(runtime, now);
    int64_t cancel_at = skua__runtime_end_drain(runtime, now);
    next = cancel_at < next ? cancel_at : next;
    if (are_idle(runtime, view) && !skua__load(&runtime->workers_must_end, relaxed)) {
        skua__futex_wait(&runtime->monitor_bell, bell, next, false);
    }
    skua__store(&runtime->monitor_sleeps, 0, relaxed);
}

/* Where a seed decides who runs, the monitor's help would be one more opinion. */
static void stay_away(skua_runtime *runtime, uint32_t bell)
{
    /* seq_cst: orders the look at the bell before the one at the end; pairs with the heavy fence
       between the stores of both in end_threads(). */
    skua__fence(seq_cst);
    if (!skua__load(&runtime->workers_must_end, relaxed)) {
        skua__futex_wait(&runtime->monitor_bell, bell, SKUA__NEVER, false);
    }
}

/* Somebody should poll, and all who could are busy: do it, for at most a period. */
static bool poll_for_busy_workers(skua_runtime *runtime, struct view *view)
{
    /* acquire: pairs with the release in skua__runtime_set_poller(). */
    struct skua__poller *poller = skua__load(&runtime->poller, acquire);
    uint32_t poll_count = skua__load(&runtime->poll_count, relaxed);
    bool is_neglected = poll_count == view->poll_count;
    view->poll_count = poll_count;
    if (poller == NULL || !is_neglected || !skua__runtime_take_poll_token(runtime)) {
        return false;
    }
    if (skua__idle_parked(&runtime->idle) > 0) {
        /* A parked worker can do it better: events then wake the thread that will run the task. */
        skua__runtime_return_poll_token(runtime);
        struct skua__sleeper *sleeper = skua__idle_claim_any(&runtime->idle);
        if (sleeper != NULL) {
            skua__runtime_wake_sleeper(runtime, sleeper, SKUA__PERMIT_PLAIN);
        }
        return false;
    }
    poller->poll(poller, skua__clock_real_ns() + PERIOD_NS);
    skua__runtime_return_poll_token(runtime);
    view->poll_count = skua__load(&runtime->poll_count, relaxed);
    return true;
}

static bool has_own_work(const struct skua__worker *worker)
{
    return skua__ring_count(&worker->ring) > 0 || skua__load(&worker->lifo, relaxed) != NULL;
}

/* One more stand-in. It is counted before it begins: else it could run a task while all workers
   that count are parked, and that looks like quiet: the virtual clock would move, and a deadlock be
   told. The monitor alone changes the count. */
static bool start_stand_in(skua_runtime *runtime)
{
    const uint32_t index = skua__load(&runtime->workers_started, relaxed);
    if (index >= runtime->worker_capacity) {
        return false;
    }
    skua__store(&runtime->workers_started, index + 1, relaxed);
    if (skua__worker_start(&runtime->workers[index]) == 0) {
        return true; /* when it has nothing to do, it tells the director */
    }
    skua__store(&runtime->workers_started, index, relaxed);
    skua__worker_tell_director(runtime); /* who looked meanwhile saw one that is not parked */
    return false;
}

/* Start or wake one stand-in. */
static void add_stand_in(skua_runtime *runtime, struct view *view)
{
    struct skua__sleeper *sleeper = skua__idle_claim_any(&runtime->reserve);
    if (sleeper != NULL) {
        skua__runtime_wake_sleeper(runtime, sleeper, SKUA__PERMIT_PLAIN);
    } else if (!start_stand_in(runtime) && !view->was_limit_reported) {
        view->was_limit_reported = true;
        skua__runtime_report(
            runtime, SKUA_REPORT_STUCK,
            "%u workers are stuck in tasks that block or compute for long, and there are no more "
            "stand-ins: ready tasks wait; use skua_blocking() for calls that block",
            skua__load(&runtime->workers_started, relaxed));
    }
}

/* Which workers have not dispatched for a period: since the last full look, or, at a look in
   between, also at that one. Returns whether work waits behind one of them that nobody else will
   take. */
static bool find_stuck(skua_runtime *runtime, struct view *view, bool is_full_look)
{
    bool work_is_stuck = false;
    uint32_t busy = 0, stuck = 0, helpers = 0, regular_stuck = 0;
    for (uint32_t i = 0; i < skua__load(&runtime->workers_started, relaxed); i++) {
        struct skua__worker *worker = &runtime->workers[i];
        uint32_t tick = skua__load(&worker->tick_seen, relaxed);
        bool is_running = skua__load(&worker->is_running_task, relaxed);
        bool is_stuck =
            is_running && (skua__worker_is_blocked(worker) ||
                           (tick == view->ticks[i] && (is_full_look || view->was_stuck[i])));
        if (!is_stuck) {
            view->harm[i].since_ns = 0;
        }
        if (is_full_look) {
            view->ticks[i] = tick;
            view->was_stuck[i] = is_stuck;
            /* A loop with checkpoints lets the others run before it counts as stuck. */
            if (is_running && (has_own_work(worker) || skua__inject_any(&runtime->injects))) {
                skua__store(&worker->should_yield, true, relaxed);
            }
        }
        busy += is_running;
        stuck += is_stuck;
        regular_stuck += is_stuck && i < runtime->worker_count;
        helpers += i >= runtime->worker_count && is_running && !is_stuck;
        work_is_stuck = work_is_stuck || (is_stuck && has_own_work(worker));
    }
    if (is_full_look) {
        skua__store(&runtime->stand_ins_wanted, regular_stuck > 0, relaxed);
    }
    if (helpers > 0) {
        return false; /* a stand-in is at it, and gets on */
    }
    bool all_are_stuck = busy >= runtime->worker_count && stuck == busy;
    return work_is_stuck || (all_are_stuck && skua__inject_any(&runtime->injects));
}

/* Processor time that the worker's thread has used. */
static int64_t cpu_ns_of(const struct skua__worker *worker)
{
    clockid_t clock;
    struct timespec used = {0};
    if (pthread_getcpuclockid(worker->thread, &clock) == 0) {
        clock_gettime(clock, &used);
    }
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

/* What the kernel says of the worker's thread in the file of that name; empty if it says nothing.
 */
static void read_about(const struct skua__worker *worker, const char *name, char *text,
                       size_t text_bytes)
{
    char path[64];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/%s",
             (int)skua__load(&worker->thread_id, relaxed), name);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        count = fread(text, 1, text_bytes - 1, file);
        fclose(file);
    }
    text[count] = '\0';
}

/* Whether it sleeps in the kernel for memory: for a page, or for the lock of the address space.
   That lock is short, but on a machine that is overloaded its holder may wait for a processor. */
static bool wants_memory(const struct skua__worker *worker)
{
    static const long calls[] = {SYS_brk,    SYS_mmap,     SYS_munmap,
                                 SYS_mremap, SYS_mprotect, SYS_madvise};
    char text[256];
    long call;
    read_about(worker, "syscall", text, sizeof text);
    if (sscanf(text, "%ld", &call) != 1) {
        return false; /* it runs, or this is not ours to know */
    }
    bool is_among = call < 0; /* in no call: in a fault */
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        is_among = is_among || call == calls[i];
    }
    return is_among;
}

/* Whether the kernel has put the worker's thread to sleep, and that is the task's doing: it does
   not merely wait for a processor, or for memory. */
static bool is_asleep(const struct skua__worker *worker)
{
    char text[256];
    read_about(worker, "stat", text, sizeof text);
    const char *name_end = strrchr(text, ')'); /* "12 (name) S ..." */
    if (name_end == NULL || name_end[1] != ' ') {
        return false;
    }
    return name_end[2] == 'S' || (name_end[2] == 'D' && !wants_memory(worker));
}

/* The task that runs on a worker which is not ours: its memory is a task's in any case, but which
   one it is may change at any moment. */
static void name_task_of(const struct skua__worker *worker, uint32_t tick, bool is_computing)
{
    struct skua__fiber *fiber = skua__worker_current(worker);
    struct skua_task *task = fiber != NULL ? skua__fiber_task(fiber) : NULL;
    if (task == NULL || !skua__task_try_retain(task)) {
        return;
    }
    if (skua__load(&worker->tick_seen, relaxed) == tick) {
        skua__runtime_report(
            worker->runtime, SKUA_REPORT_STUCK,
            "task '%s' has %s for %d ms while others were ready, so another thread runs "
            "them; %s",
            skua_task_name(task), is_computing ? "computed" : "blocked its worker",
            is_computing ? COMPUTED_MS_MAX : BLOCKED_MS_MAX,
            is_computing ? "skua_checkpoint() in its loop would let them run here"
                         : "use skua_blocking(), or skua_block_begin() and _end()");
    }
    skua_task_release(task);
}

/* After a stand-in was needed: whose fault was it? Those that only waited for a processor have
   moved on by the time they would be named. Of those that compute only the first one is named:
   there may be good reasons for more tasks than processors. */
static void note_harm(skua_runtime *runtime, struct view *view, bool is_new, int64_t now)
{
    for (uint32_t i = 0; i < skua__load(&runtime->workers_started, relaxed); i++) {
        const struct skua__worker *worker = &runtime->workers[i];
        struct harm *harm = &view->harm[i];
        if (is_new && view->was_stuck[i] && harm->since_ns == 0 &&
            !skua__worker_is_blocked(worker)) {
            *harm = (struct harm){.since_ns = now, .cpu_ns = cpu_ns_of(worker)};
        } else if (skua__worker_is_blocked(worker) && harm->since_ns != SKUA__NEVER) {
            harm->since_ns = 0; /* it was late to say so, and has said so */
        } else if (harm->since_ns > 0 && now - harm->since_ns >= SKUA_MS(BLOCKED_MS_MAX)) {
            int64_t used_ns = cpu_ns_of(worker) - harm->cpu_ns;
            bool is_computing = used_ns >= SKUA_MS(COMPUTED_MS_MAX);
            /* Who has computed at times, and sleeps just now, has met a lock or a missing page. Who
               sleeps because it has said that it blocks has said so before. */
            bool is_blocked = used_ns < (now - harm->since_ns) / BLOCKED_PART &&
                              is_asleep(worker) && !skua__worker_is_blocked(worker);
            if (is_computing || is_blocked) {
                harm->since_ns = SKUA__NEVER;
                if (!is_computing || !view->was_computing_named) {
                    name_task_of(worker, view->ticks[i], is_computing);
                }
                view->was_computing_named = view->was_computing_named || is_computing;
            }
        }
    }
}

static void end_patience(skua_runtime *runtime)
{
    for (uint32_t i = 0; i < skua__load(&runtime->workers_started, relaxed); i++) {
        skua__fork_lose_patience(&runtime->workers[i].forks);
    }
}

static void help_stuck_workers(skua_runtime *runtime, struct view *view, int64_t now)
{
    bool is_full_look = now >= view->full_look_at_ns;
    if (is_full_look) {
        view->full_look_at_ns = now + PERIOD_NS;
    }
    bool work_is_stuck = find_stuck(runtime, view, is_full_look);
    note_harm(runtime, view, false, now);
    if (skua__idle_parked(&runtime->idle) > 0) {
        /* Somebody could take it and sleeps: a wake-up that was skipped because its task was in a
           slot. */
        if (work_is_stuck || skua__runtime_has_work(runtime)) {
            skua__wake_worker(runtime, false);
        }
        return;
    }
    if (work_is_stuck && skua__idle_searching(&runtime->idle) == 0 &&
        now >= view->next_stand_in_at_ns) {
        add_stand_in(runtime, view);
        note_harm(runtime, view, true, now);
        /* Each waits twice as long as the one before: on a machine that is overloaded they are not
           stuck but wait for a processor, and more threads would only make it worse. */
        uint32_t active = skua__runtime_stand_ins(runtime) - skua__idle_parked(&runtime->reserve);
        uint32_t doublings = active < STAND_IN_DOUBLINGS ? active : STAND_IN_DOUBLINGS;
        view->next_stand_in_at_ns = doublings > 1 ? now + ((int64_t)PERIOD_NS << doublings) : now;
    }
}

static void trim_fibers(skua_runtime *runtime, struct view *view)
{
    view->trim_periods++;
    view->has_warm_fibers = false;
    for (uint32_t i = 0; i < SKUA__STACK_CLASSES; i++) {
        if (view->trim_periods % TRIM_PERIODS == 0) {
            skua__fiber_pool_age(&runtime->fibers[i]);
        }
        if (skua__fiber_pool_trim(&runtime->fibers[i], TRIM_BATCH)) {
            view->has_warm_fibers = true;
        }
    }
}

void *skua__monitor_main(void *arg)
{
    skua_runtime *runtime = arg;
    struct view view = {.poll_count = 0};
    pthread_setname_np(pthread_self(), "skua-monitor");
    while (!skua__load(&runtime->workers_must_end, relaxed)) {
        /* acquire: pairs with the release in skua__monitor_ring(). */
        uint32_t bell = skua__load(&runtime->monitor_bell, acquire);
        if (skua__runtime_is_seeded(runtime)) {
            stay_away(runtime, bell);
            continue;
        }
        bool is_idle = are_idle(runtime, &view);
        view.idle_periods = is_idle ? view.idle_periods + 1 : 0;
        if (view.idle_periods == IDLE_PERIODS_MAX) {
            skua__report_deadlock(runtime);
        }
        trim_fibers(runtime, &view);
        if (view.idle_periods > IDLE_PERIODS_MAX && !view.has_warm_fibers) {
            sleep_without_limit(runtime, &view, bell);
            view.idle_periods = 0;
            continue;
        }
        int64_t now = skua__clock_real_ns();
        run_late_timers(runtime, now);
        skua__runtime_end_drain(runtime, now);
        if (!is_idle) {
            end_patience(runtime);
            help_stuck_workers(runtime, &view, now);
        }
        if (!poll_for_busy_workers(runtime, &view)) {
            skua__futex_wait(&runtime->monitor_bell, bell, skua__clock_real_ns() + PERIOD_NS,
                             false);
        }
    }
    return NULL;
}
