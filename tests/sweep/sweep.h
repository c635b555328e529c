/* tests/sweep/sweep.h: a blocking function disturbed wherever it waits.

   An entry says how a call of the function is set up, what lets it go on bit by bit, and which
   accounts must balance afterwards. The driver runs it once undisturbed and counts the moments at
   which it stands still; then once for each of these moments and each way of disturbing it, with a
   rival behind it that waits for the same: what the victim did not take has to reach the rival.
   Everything runs under a clock that only the driver moves, so that all moments are exact, and in
   test runs that look for tasks, handles, fds, threads and memory left behind. Then again under
   seeded schedules.

   A victim that a cancel has hit is asked twice more, and must say -ECANCELED again and again. */
#ifndef SKUA_TESTS_SWEEP_H
#define SKUA_TESTS_SWEEP_H

#include "../tasks.h"

#include <skua/sync.h>
#include <skua/testing.h>

enum sweep_flag {
    SWEEP_NO_DEADLINE = 1, /* it has none, or one that means something else */
    SWEEP_NO_NOW = 2,      /* SKUA_NOW means something else */
    SWEEP_ALONE = 4,       /* two at once are not allowed */
    SWEEP_AWAITS = 8,      /* a cancel does not end it: it waits for what ends by itself */
    SWEEP_BEGINS = 16,     /* what it has begun may be through before it looks for a cancel */
    SWEEP_REAL = 32,       /* waits for what is outside of the clock, which then is the real one */
};

/* Any result >= 0. */
#define SWEEP_FINE 1000000

typedef struct swept {
    const char *name; /* of the function; ": " and the circumstances may follow */
    void (*setup)(void);
    int (*call)(skua_time deadline);
    void (*step)(void); /* something that it waits for happens; harmless if nothing is left */
    void (*check)(int status); /* of the victim. Takes down, too */
    int done;                  /* what it returns if nobody disturbs it */
    int late, now;             /* ... when its own deadline comes, or with SKUA_NOW; 0: as usual */
    unsigned flags;
    void (*await)(void); /* until a step that is outside of the clock is felt */
} swept;

typedef enum sweep_way {
    UNDISTURBED,
    BEFORE,           /* cancelled before it runs */
    READY,            /* ... and what it would wait for is there */
    CANCEL,           /* the task is cancelled */
    CANCEL_THEN_STEP, /* ... and what it waited for comes before it has noticed */
    STEP_THEN_CANCEL, /* ... once it was let go on, before it has noticed */
    SCOPE,            /* an enclosing scope is cancelled */
    SCOPE_LATE,       /* ... reaches its deadline */
    SCOPE_MOVED,      /* ... gets an earlier deadline */
    LATE,             /* the call's own deadline comes */
    NOW,              /* SKUA_NOW */
    SWEEP_WAYS
} sweep_way;

static const char *const sweep_ways[SWEEP_WAYS] = {
    [UNDISTURBED] = "undisturbed",
    [BEFORE] = "cancelled before",
    [READY] = "cancelled before, and ready",
    [CANCEL] = "cancelled",
    [CANCEL_THEN_STEP] = "cancelled, then let go on",
    [STEP_THEN_CANCEL] = "let go on, then cancelled",
    [SCOPE] = "its scope cancelled",
    [SCOPE_LATE] = "its scope late",
    [SCOPE_MOVED] = "its scope's deadline moved",
    [LATE] = "late",
    [NOW] = "now",
};

enum { SWEEP_MOMENTS = 64, SWEEP_STEPS = 200, SWEEP_AGAIN = -7777 };

typedef struct sweep_task {
    skua_task *task;
    skua_scope scope;
    skua_time scope_deadline, deadline;
    int status, again, again_now, reason, closed;
    _Atomic bool has_returned; /* the driver may go on elsewhere where real things are waited for */
} sweep_task;

static struct {
    const swept *entry;
    sweep_way way;
    int moment; /* the one to disturb it at */
    int moments;
    int64_t times_ns[SWEEP_MOMENTS]; /* of the waits, since the round began */
    bool is_seeded;
    bool was_disturbed; /* in this round; another schedule may need fewer waits than the first */
    sweep_task victim, rival;
    int rounds;
} sweep;

static void sweep_same(const char *file, int line, const char *what, long long got, long long want)
{
    if (got != want) {
        test_fail(file, line, "%s, %s at its wait %d%s: %s is %lld, not %lld", sweep.entry->name,
                  sweep_ways[sweep.way], sweep.moment, sweep.is_seeded ? ", seeded" : "", what, got,
                  want);
    }
}
#define SAME(got, want) sweep_same(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))

static int sweep_run_call(void *arg)
{
    sweep_task *self = arg;
    const swept *entry = sweep.entry;
    self->scope = (skua_scope){{0}};
    skua_scope_open(&self->scope, self->scope_deadline);
    self->status = entry->call(self->deadline);
    self->again = self->again_now = SWEEP_AGAIN;
    self->reason = skua_cancel_reason();
    if (self->status == -ECANCELED && (entry->flags & (SWEEP_AWAITS | SWEEP_BEGINS)) == 0) {
        self->again = entry->call(SKUA_FOREVER);
        self->again_now = (entry->flags & SWEEP_NO_NOW) ? self->again : entry->call(SKUA_NOW);
    }
    self->closed = skua_scope_close(&self->scope, self->status);
    self->has_returned = true;
    return 0;
}

static void sweep_start(sweep_task *self, skua_time deadline, skua_time scope_deadline)
{
    *self = (sweep_task){.deadline = deadline, .scope_deadline = scope_deadline};
    const skua_spawn_opts opts = {.name = self == &sweep.rival ? "rival" : "victim"};
    self->task = spawn_with(sweep_run_call, self, &opts);
}

static void sweep_settle(void)
{
    SAME(skua_test_settle(), 0);
}

static void sweep_step(void)
{
    if (sweep.entry->step != NULL) {
        sweep.entry->step();
    }
    if (sweep.entry->await != NULL) {
        sweep.entry->await();
    }
    sweep_settle();
}

/* Until the moment has come that cuts the victim off. */
static void sweep_pass_time(void)
{
    if (!(sweep.entry->flags & SWEEP_REAL)) {
        SAME(skua_test_advance(1), 0);
    }
    while ((sweep.entry->flags & (SWEEP_REAL | SWEEP_AWAITS)) == SWEEP_REAL &&
           !sweep.victim.has_returned) {
        (void)!skua_yield();
    }
}

static void sweep_disturb(void)
{
    const swept *entry = sweep.entry;
    skua_task *task = sweep.victim.task;
    sweep.was_disturbed = true;
    switch (sweep.way) {
    case CANCEL:
        skua_task_cancel(task);
        break;
    case CANCEL_THEN_STEP:
        skua_task_cancel(task);
        entry->step();
        break;
    case STEP_THEN_CANCEL:
        entry->step();
        skua_task_cancel(task);
        break;
    case SCOPE:
        skua_scope_cancel(&sweep.victim.scope);
        break;
    case SCOPE_MOVED:
        skua_scope_deadline(&sweep.victim.scope, skua_after(1));
        sweep_pass_time();
        break;
    default:
        sweep_pass_time();
        break;
    }
    sweep_settle();
}

/* What it says after having been disturbed. */
static void sweep_judge(void)
{
    const swept *entry = sweep.entry;
    const sweep_task *victim = &sweep.victim;
    const int status = victim->status;
    const bool is_mixed = sweep.way == CANCEL_THEN_STEP || sweep.way == STEP_THEN_CANCEL ||
                          (sweep.way == READY && (entry->flags & SWEEP_BEGINS) != 0) ||
                          (entry->flags & SWEEP_AWAITS) != 0;
    /* By another schedule, or since a step came while it ran elsewhere. */
    const bool may_be_quick = sweep.is_seeded || (entry->flags & SWEEP_REAL) != 0;
    const bool was_too_quick = may_be_quick && !sweep.was_disturbed && sweep.way > READY &&
                               sweep.way != NOW && status >= 0;
    if (sweep.way == UNDISTURBED || was_too_quick) {
        SAME(status, entry->done == SWEEP_FINE && status >= 0 ? status : entry->done);
        return;
    }
    if (sweep.way == LATE || sweep.way == NOW) {
        int want = sweep.way == LATE ? entry->late : entry->now;
        want = want != 0 ? want : sweep.way == LATE ? -ETIMEDOUT : -EAGAIN;
        SAME(status, want == SWEEP_FINE && status >= 0 ? status : want);
        return;
    }
    SAME(status, is_mixed && status >= 0 ? status : -ECANCELED);
    if (status != -ECANCELED || (entry->flags & SWEEP_AWAITS) != 0) {
        return;
    }
    SAME(victim->again, victim->again == SWEEP_AGAIN ? SWEEP_AGAIN : -ECANCELED);
    SAME(victim->again_now, victim->again);
    const bool is_late = sweep.way == SCOPE_LATE || sweep.way == SCOPE_MOVED;
    SAME(victim->reason, is_late ? -ETIMEDOUT : -ECANCELED);
    SAME(victim->closed, is_late ? -ETIMEDOUT : sweep.way == SCOPE ? 0 : -ECANCELED);
    SAME(skua_scope_expired(&victim->scope), is_late);
}

/* Until it has returned; every step must matter to somebody. */
static void sweep_see_off(sweep_task *self)
{
    for (int i = 0; !self->has_returned; i++) {
        SAME(i < SWEEP_STEPS, true); /* else what it waits for was lost */
        sweep_step();
    }
    SAME(finish(self->task), 0);
}

/* Everything that an undisturbed call would wait for. */
static void sweep_make_ready(void)
{
    for (int i = 0; i < sweep.moments && sweep.entry->step != NULL; i++) {
        sweep.entry->step();
        sweep_settle();
    }
}

/* From the beginning of a round to its moment. In real time the moment is the first one, and there
   soon enough. */
static int64_t sweep_deadline_ns(void)
{
    return sweep.entry->flags & SWEEP_REAL ? SKUA_MS(3) : sweep.times_ns[sweep.moment] + 1;
}

static void sweep_round(void)
{
    const swept *entry = sweep.entry;
    const skua_time start = skua_clock();
    const skua_time later = sweep.way == SCOPE_LATE || sweep.way == LATE
                                ? skua_after(sweep_deadline_ns())
                                : SKUA_FOREVER;
    const bool has_rival = (entry->flags & SWEEP_ALONE) == 0 && sweep.way != NOW;
    sweep.was_disturbed = false;
    entry->setup();
    sweep_settle();
    if (sweep.way == READY) {
        sweep_make_ready();
    }
    sweep_start(&sweep.victim,
                sweep.way == NOW    ? SKUA_NOW
                : sweep.way == LATE ? later
                                    : SKUA_FOREVER,
                sweep.way == SCOPE_LATE ? later : SKUA_FOREVER);
    if (sweep.way == BEFORE || sweep.way == READY) {
        skua_task_cancel(sweep.victim.task);
    }
    sweep_settle();
    if (has_rival) {
        sweep_start(&sweep.rival, SKUA_FOREVER, SKUA_FOREVER);
        sweep_settle();
    }
    for (int at = 0; !sweep.victim.has_returned && at < SWEEP_MOMENTS; at++) {
        if (sweep.way == UNDISTURBED) {
            sweep.times_ns[at] = skua_elapsed_ns(start);
            sweep.moments = at + 1;
        }
        if (at == sweep.moment && sweep.way > READY && sweep.way != NOW) {
            sweep_disturb();
            SAME(sweep.victim.has_returned || (entry->flags & SWEEP_AWAITS) != 0, true);
        } else {
            SAME(sweep.way == NOW || (sweep.way <= READY && sweep.way > UNDISTURBED &&
                                      !(entry->flags & SWEEP_AWAITS)),
                 false);
            sweep_step();
        }
    }
    sweep_see_off(&sweep.victim);
    if (has_rival) {
        sweep_see_off(&sweep.rival);
        SAME(sweep.rival.status, entry->done == SWEEP_FINE && sweep.rival.status >= 0
                                     ? sweep.rival.status
                                     : entry->done);
    }
    sweep_judge();
    entry->check(sweep.victim.status);
    sweep.rounds++;
}

static bool sweep_applies(const swept *entry, sweep_way way)
{
    return !((way == LATE && (entry->flags & SWEEP_NO_DEADLINE)) ||
             (way == NOW && (entry->flags & (SWEEP_NO_DEADLINE | SWEEP_NO_NOW))));
}

/* All ways at all moments, in one test run. */
static int sweep_all_ways(void *arg)
{
    const swept *entry = sweep.entry;
    sweep.moments = 0;
    for (sweep.way = UNDISTURBED; sweep.way < SWEEP_WAYS; sweep.way++) {
        const bool is_once = sweep.way <= READY || sweep.way == NOW;
        const bool is_chance =
            (entry->flags & SWEEP_REAL) != 0 && (sweep.way == LATE || sweep.way == SCOPE_LATE);
        const int moments = is_once || is_chance ? 1 : sweep.moments;
        for (sweep.moment = 0; sweep.moment < moments; sweep.moment++) {
            if (sweep_applies(entry, sweep.way)) {
                sweep_round();
            }
        }
    }
    return 0;
}

static void sweep_entry(const swept *entry, bool is_seeded)
{
    const skua_test_opts opts = {.manual_clock = !(entry->flags & SWEEP_REAL),
                                 .seeded = is_seeded,
                                 .name = entry->name,
                                 .timeout_ns = TEST_PATIENCE_NS};
    sweep.entry = entry;
    sweep.is_seeded = is_seeded;
    const int status = skua_test_run(&opts, sweep_all_ways, NULL);
    if (status != 0) {
        test_fail(__FILE__, __LINE__, "%s: the run gave %d", entry->name, status);
    }
}

/* All entries, in order and then under seeded schedules. */
static inline void sweep_table(const swept entries[], size_t count)
{
    for (int seeded = 0; seeded < 2; seeded++) {
        for (size_t i = 0; i < count; i++) {
            if (!seeded || !(entries[i].flags & SWEEP_REAL)) {
                sweep_entry(&entries[i], seeded);
            }
        }
    }
    CHECK(sweep.rounds > (int)count * 4);
}

#endif
