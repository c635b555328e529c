/* The virtual clock, and the moment of quiet in which it moves.

     (K1) The clock moves only while the runtime is quiet: all workers are parked, nothing is queued
          anywhere. Then no task can be reading it.
     (K2) Who finds the runtime quiet is the last worker that parks. Every worker looks after it has
          announced itself, under the kit's lock, so whoever comes last sees all the others; and
          who wakes somebody stays counted as parked, with what it has woken in its queues, until
          after it has given the lock back.
     (K3) Those who wait for quiet come first, then one moment at a time: everything that is due at
          a moment goes on, and time stands still until all is quiet again.
     (K4) While something real is awaited (director.holds) the clock does not move; who lets go of
          it rings, since the last worker may have parked meanwhile.

   Rejected: waiting for some real time without activity before a jump, as MockClock of trio does:
   it makes each jump cost that time, and a busy machine makes it wrong. */
#include "base/panic.h"
#include "sched/idle.h"
#include "sched/wheel.h"
#include "testing/kit.h"

/* Moments from here on are as good as never. */
#define FAR_NS (SKUA__NEVER / 2)

struct skua__kit skua__kit;

struct skua__kit *skua__kit_of_caller(void)
{
    skua_runtime *runtime = skua_runtime_current();
    return runtime != NULL && runtime->director == &skua__kit.director ? &skua__kit : NULL;
}

static struct skua__kit *kit_of(struct skua__director *director)
{
    return SKUA_CONTAINER(director, struct skua__kit, director);
}

/* --- quiet ------------------------------------------------------------------------------------ */

static bool has_queued(struct skua__worker *worker)
{
    return skua__ring_count(&worker->ring) > 0 || skua__inject_count(&worker->inbox) > 0 ||
           skua__load(&worker->lifo, relaxed) != NULL;
}

/* Under the lock of the idle list, so that nobody leaves it while the queues are looked at. */
static bool nothing_is_queued(skua_runtime *runtime)
{
    if (skua__inject_any(&runtime->injects)) {
        return false;
    }
    for (uint32_t i = 0; i < runtime->worker_capacity; i++) {
        if (has_queued(&runtime->workers[i])) {
            return false;
        }
    }
    return true;
}

bool skua__kit_is_quiet(skua_runtime *runtime, uint32_t busy_workers)
{
    struct skua__idle *idle = &runtime->idle;
    skua__lock(&idle->lock, SKUA__RANK_IDLE);
    bool is_quiet = skua__idle_searching(idle) == 0 &&
                    skua__idle_parked(idle) + busy_workers == runtime->worker_count &&
                    skua__idle_parked(&runtime->reserve) == skua__runtime_stand_ins(runtime) &&
                    nothing_is_queued(runtime);
    skua__unlock(&idle->lock, SKUA__RANK_IDLE);
    return is_quiet;
}

/* Let a parked worker look again, if there is one; one that is not parked will. Under the kit's
   lock. */
static void ring(struct skua__kit *kit)
{
    if (kit->runtime == NULL) {
        return;
    }
    /* seq_cst: orders what has changed before the look for a sleeper; pairs with the fence of a
       worker between its announcement and its look. */
    skua__fence(seq_cst);
    struct skua__sleeper *sleeper = skua__idle_claim_any(&kit->runtime->idle);
    if (sleeper != NULL) {
        skua__runtime_wake_sleeper(kit->runtime, sleeper, SKUA__PERMIT_PLAIN);
    }
}

/* --- moving the clock ------------------------------------------------------------------------- */

static void set_clock(int64_t now_ns)
{
    /* release: publishes what was done at the moment before; pairs with the acquire in
       skua__clock_ns(). */
    skua__store(&skua__clock_virtual_ns, now_ns, release);
}

static int64_t earliest_timer(const struct skua__kit *kit, skua_runtime *runtime)
{
    int64_t earliest = SKUA__NEVER;
    for (uint32_t i = 0; i < runtime->worker_capacity; i++) {
        struct skua__wheel *wheel = &runtime->workers[i].wheel;
        bool is_empty = skua__wheel_next(wheel) == SKUA__NEVER;
        int64_t next = is_empty ? SKUA__NEVER : skua__wheel_next_live(wheel);
        earliest = next < earliest ? next : earliest;
    }
    for (struct skua__link *link = skua__list_first(&kit->thread_timers);
         link != NULL && link != &kit->thread_timers.head; link = link->next) {
        int64_t next = SKUA_CONTAINER(link, struct skua__thread_timer, link)->deadline_ns;
        earliest = next < earliest ? next : earliest;
    }
    return earliest;
}

static size_t run_thread_timers(struct skua__kit *kit, int64_t now_ns)
{
    size_t woken = 0;
    struct skua__link *link = skua__list_first(&kit->thread_timers);
    while (link != NULL && link != &kit->thread_timers.head) {
        struct skua__thread_timer *timer = SKUA_CONTAINER(link, struct skua__thread_timer, link);
        link = link->next;
        if (timer->deadline_ns <= now_ns) {
            skua__list_remove(&timer->link);
            struct skua__wait *wait = timer->wait;
            if (skua__claim(wait->parker, wait->ticket, SKUA__CAUSE_DEADLINE)) {
                skua__wake(wait->parker);
                woken++;
            }
        }
    }
    return woken;
}

static size_t run_timers(struct skua__kit *kit, skua_runtime *runtime, int64_t now_ns)
{
    size_t woken = run_thread_timers(kit, now_ns);
    for (uint32_t i = 0; i < runtime->worker_capacity; i++) {
        struct skua__wheel *wheel = &runtime->workers[i].wheel;
        if (skua__wheel_next(wheel) <= now_ns) {
            woken += skua__wheel_run(wheel, now_ns);
        }
    }
    return woken;
}

static bool wake_one(struct skua__waiter *waiter)
{
    bool is_claimed = skua__waiter_claim(waiter);
    if (is_claimed) {
        skua__wake(waiter->parker);
    }
    return is_claimed;
}

static bool wake_settlers(struct skua__kit *kit)
{
    bool has_woken = false;
    struct skua__link *link;
    while ((link = skua__list_pop_front(&kit->settlers)) != NULL) {
        has_woken = wake_one(SKUA_CONTAINER(link, struct skua__waiter, link)) || has_woken;
    }
    return has_woken;
}

/* To the next moment at which somebody goes on. False: there is none, or none that the clock may
   move to. */
static bool move_clock(struct skua__kit *kit, skua_runtime *runtime)
{
    int64_t limit = kit->advancer != NULL ? kit->advance_to_ns : kit->is_manual ? 0 : FAR_NS;
    int64_t next;
    while ((next = earliest_timer(kit, runtime)) <= limit) {
        int64_t now = skua__clock_ns();
        now = next > now ? next : now;
        set_clock(now);
        if (run_timers(kit, runtime, now) > 0) {
            return true; /* else timers have come nearer, from a level of the wheel to the next */
        }
    }
    struct skua__waiter *advancer = kit->advancer;
    kit->advancer = NULL;
    if (advancer == NULL) {
        return false;
    }
    set_clock(kit->advance_to_ns);
    return wake_one(advancer);
}

static bool idle(struct skua__director *director, struct skua__worker *worker)
{
    struct skua__kit *kit = kit_of(director);
    bool has_woken = false;
    skua__lock(&kit->lock, SKUA__RANK_DIRECTOR);
    if (skua__kit_is_quiet(worker->runtime, 0)) {
        has_woken = wake_settlers(kit);
        /* acquire: pairs with the release in skua_test_let_clock_go(): what was done while it was
           held comes first. */
        if (!has_woken && director->is_virtual && skua__load(&director->holds, acquire) == 0) {
            has_woken = move_clock(kit, worker->runtime);
        }
    }
    skua__unlock(&kit->lock, SKUA__RANK_DIRECTOR);
    return has_woken;
}

/* --- foreign threads -------------------------------------------------------------------------- */

static void thread_begins(struct skua__director *director, struct skua__thread_timer *timer)
{
    struct skua__kit *kit = kit_of(director);
    skua__lock(&kit->lock, SKUA__RANK_DIRECTOR);
    skua__list_push_back(&kit->thread_timers, &timer->link);
    if (kit->is_over) {
        run_thread_timers(kit, SKUA__NEVER);
    } else {
        run_thread_timers(kit, skua__clock_ns());
        ring(kit);
    }
    skua__unlock(&kit->lock, SKUA__RANK_DIRECTOR);
}

static void thread_ends(struct skua__director *director, struct skua__thread_timer *timer)
{
    struct skua__kit *kit = kit_of(director);
    skua__lock(&kit->lock, SKUA__RANK_DIRECTOR);
    if (skua__link_is_linked(&timer->link)) {
        skua__list_remove(&timer->link);
    }
    skua__unlock(&kit->lock, SKUA__RANK_DIRECTOR);
}

/* --- beginning and ending --------------------------------------------------------------------- */

void skua__kit_clock_begin(struct skua__kit *kit, bool is_virtual)
{
    struct skua__director *director = &kit->director;
    skua__lock(&kit->lock, SKUA__RANK_DIRECTOR);
    skua__list_init(&kit->settlers);
    skua__list_init(&kit->thread_timers);
    kit->advancer = NULL;
    kit->is_over = false;
    director->is_virtual = is_virtual;
    director->idle = idle;
    director->thread_begins = thread_begins;
    director->thread_ends = thread_ends;
    skua__store(&director->holds, 0, relaxed);
    skua__unlock(&kit->lock, SKUA__RANK_DIRECTOR);
    /* release: publishes the director; pairs with the acquire in park_thread_virtually(). It stays
       for good: a thread may come late. */
    skua__store(&skua__director_now, director, release);
    if (is_virtual) {
        set_clock(SKUA__KIT_START_NS);
    }
}

void skua__kit_clock_end(struct skua__kit *kit)
{
    set_clock(0);
    skua__lock(&kit->lock, SKUA__RANK_DIRECTOR);
    kit->is_over = true;
    run_thread_timers(kit, SKUA__NEVER); /* the moments that they wait for will never come */
    skua__unlock(&kit->lock, SKUA__RANK_DIRECTOR);
}

/* --- what tests call -------------------------------------------------------------------------- */

void skua_test_hold_clock(void)
{
    skua__fetch_add(&skua__kit.director.holds, 1, relaxed);
}

void skua_test_let_clock_go(void)
{
    struct skua__kit *kit = &skua__kit;
    skua__lock(&kit->lock, SKUA__RANK_DIRECTOR);
    /* release: orders what was done meanwhile before the clock moves; pairs with the acquire in
       idle(). */
    uint32_t before = skua__fetch_sub(&kit->director.holds, 1, release);
    if (before == 1) {
        ring(kit);
    }
    skua__unlock(&kit->lock, SKUA__RANK_DIRECTOR);
    if (before == 0) {
        skua__panic("the clock is let go of, but nobody holds it");
    }
}

/* One wait of a settler (`to_ns` 0) or an advancer. What skua__wait_park() says. */
static int wait_for_quiet(struct skua__kit *kit, int64_t to_ns)
{
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__lock(&kit->lock, SKUA__RANK_DIRECTOR);
    if (to_ns != 0 && kit->advancer != NULL) {
        skua__unlock(&kit->lock, SKUA__RANK_DIRECTOR);
        return -EBUSY;
    }
    skua__wait_begin(&wait, SKUA__SOFT);
    skua__waiter_init(&waiter, &wait, 0, NULL);
    if (to_ns == 0) {
        skua__list_push_back(&kit->settlers, &waiter.link);
    } else {
        kit->advancer = &waiter;
        kit->advance_to_ns = to_ns;
    }
    skua__unlock(&kit->lock, SKUA__RANK_DIRECTOR);
    int cause = skua__wait_park(&wait, SKUA__NEVER);
    if (cause < 0) {
        skua__lock(&kit->lock, SKUA__RANK_DIRECTOR);
        if (kit->advancer == &waiter) {
            kit->advancer = NULL;
        }
        if (skua__link_is_linked(&waiter.link)) {
            skua__list_remove(&waiter.link);
        }
        skua__unlock(&kit->lock, SKUA__RANK_DIRECTOR);
    }
    return cause;
}

int skua_test_settle(void)
{
    struct skua__kit *kit = skua__kit_of_caller();
    if (kit == NULL) {
        return -EINVAL;
    }
    int cause = skua__cancel_point();
    while (cause == 0 || cause == SKUA__RECHECK) {
        cause = wait_for_quiet(kit, 0);
        if (cause >= 0) {
            return 0;
        }
    }
    return cause;
}

int skua_test_advance(int64_t duration_ns)
{
    struct skua__kit *kit = skua__kit_of_caller();
    if (kit == NULL || !kit->director.is_virtual || duration_ns <= 0) {
        return -EINVAL;
    }
    int64_t to_ns = skua_after(duration_ns).ns;
    int cause = skua__cancel_point();
    while (cause == 0 || cause == SKUA__RECHECK) {
        cause = wait_for_quiet(kit, to_ns);
        if (cause >= 0) {
            return 0;
        }
    }
    return cause;
}
