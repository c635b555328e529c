/* Timers: one that is cancelled, or used again, while another thread runs its wheel.

   Sources: sched/wheel.c sched/waiter.c sched/scope.c
   Mutates: sched/wheel.c */
#include "explore.h"
#include "fibers.h"

enum { SOON_NS = 1 << 20, LATER_NS = 1 << 24 };

enum { NOTE_FIRED, NOTE_CANCELLED };

static void setup(void)
{
    fibers_make(2);
    for (int i = 0; i < 2; i++) {
        skua__wheel_init(&fibers->workers[i].wheel, skua__clock_ns());
    }
}

static struct skua__wheel *wheel(int number)
{
    return &fibers->workers[number].wheel;
}

static void finish(void)
{
    fibers_check();
    for (int i = 0; i < 2; i++) {
        EXPLORE_CHECK(wheel(i)->count == 0);
        EXPLORE_CHECK(!skua__link_is_linked(&fibers->timers[i].link));
    }
}

/* A wait that only its timer, or its own thread, ends. */
static int sleep_until(int64_t deadline_ns)
{
    struct skua__wait wait;
    skua__wait_begin(&wait, SKUA__HARD);
    int cause = skua__wait_park(&wait, deadline_ns);
    EXPLORE_CHECK(cause == -ETIMEDOUT);
    EXPLORE_CHECK(skua__clock_ns() >= deadline_ns); /* never early */
    return cause;
}

/* Armed, then not waited for: the timer is left behind, or fires at the same time. */
static void arms_and_gives_up(void)
{
    struct skua__wait wait;
    struct skua__fiber *self = &fibers->fibers[0];
    skua__wait_begin(&wait, SKUA__HARD);
    skua__wheel_arm(wheel(0), self->timer, wait.ticket, SOON_NS);
    if (skua__claim(wait.parker, wait.ticket, 0)) {
        explore_note(NOTE_CANCELLED);
    } else {
        explore_note(NOTE_FIRED);
        skua__fiber_suspend(self); /* its wake is on the way */
    }
    skua__timer_disarm(self->timer);
}

static void arms_twice(void)
{
    arms_and_gives_up();
    sleep_until(LATER_NS);
}

/* The second time from another worker: the timer stands in the first one's wheel. */
static void arms_elsewhere(void)
{
    struct skua__wait wait;
    struct skua__fiber *self = &fibers->fibers[0];
    skua__wait_begin(&wait, SKUA__HARD);
    skua__wheel_arm(wheel(0), self->timer, wait.ticket, SOON_NS);
    if (!skua__claim(wait.parker, wait.ticket, 0)) {
        skua__fiber_suspend(self);
    }
    skua__wait_begin(&wait, SKUA__HARD);
    skua__wheel_arm(wheel(1), self->timer, wait.ticket, LATER_NS);
    skua__fiber_suspend(self);
    EXPLORE_CHECK(skua__clock_ns() >= LATER_NS);
}

static void sleeps_soon(void)
{
    sleep_until(SOON_NS);
}

static void sleeps_later_then_soon(void)
{
    sleep_until(LATER_NS);
    sleep_until(LATER_NS + SOON_NS);
}

/* --- the threads ------------------------------------------------------------------------------ */

static _Atomic uint32_t *done;
static uint32_t sleeper_count;

static void ends(void)
{
    /* release: publishes nothing that matters; pairs with the acquire in runs_wheels(). */
    skua__fetch_add(done, 1, release);
}

#define SLEEPER(name, act)                                                                         \
    static void name(void)                                                                         \
    {                                                                                              \
        act();                                                                                     \
        ends();                                                                                    \
    }
SLEEPER(gives_up, arms_and_gives_up)
SLEEPER(gives_up_and_sleeps, arms_twice)
SLEEPER(moves, arms_elsewhere)
SLEEPER(sleeps, sleeps_soon)
SLEEPER(sleeps_twice, sleeps_later_then_soon)

/* Like the monitor: runs what the wheels ask for, at the moment they ask for. If a timer is lost,
   it spins for ever. */
static void runs_wheels(void)
{
    while (skua__load(done, acquire) < sleeper_count) {
        bool is_idle = true;
        for (int i = 0; i < 2; i++) {
            int64_t next_ns = skua__wheel_next(wheel(i));
            if (next_ns != SKUA__NEVER) {
                explore_clock_set(next_ns);
                skua__wheel_run(wheel(i), skua__clock_ns());
                is_idle = false;
            }
        }
        if (is_idle) {
            skua__spin_pause();
        }
    }
    while (skua__wheel_next(wheel(0)) != SKUA__NEVER || skua__wheel_next(wheel(1)) != SKUA__NEVER) {
        for (int i = 0; i < 2; i++) {
            explore_clock_set(2 * LATER_NS);
            skua__wheel_run(wheel(i), skua__clock_ns());
        }
    }
}

static void setup_sleepers(uint32_t count)
{
    setup();
    done = explore_alloc(sizeof *done);
    sleeper_count = count;
}

static void setup_one(void)
{
    setup_sleepers(1);
}

static void setup_two(void)
{
    setup_sleepers(2);
}

/* Here a spinning thread lets others run so often that one preemption is enough. */
static void explore_three(const char *name, void (*setup_)(void), void (*first)(void),
                          void (*second)(void))
{
    explore(&(const struct explore_model){.name = name,
                                          .setup = setup_,
                                          .finish = finish,
                                          .threads = {first, second, runs_wheels},
                                          .bounds_stale_reads = true,
                                          .preemptions_less = 1});
}

/* covers: B37 */
int main(void)
{
    EXPLORE("wheel: cancel against fire", setup_one, finish, gives_up, runs_wheels);
    EXPLORE_CHECK(explore_happened(NOTE_FIRED) > 0 && explore_happened(NOTE_CANCELLED) > 0);
    EXPLORE("wheel: cancel, and arm again", setup_one, finish, gives_up_and_sleeps, runs_wheels);
    EXPLORE_CHECK(explore_happened(NOTE_FIRED) > 0 && explore_happened(NOTE_CANCELLED) > 0);
    EXPLORE("wheel: arm in another wheel", setup_one, finish, moves, runs_wheels);
    explore_three("wheel: two sleepers", setup_two, sleeps, sleeps_twice);
    explore_three("wheel: two who run it", setup_one, gives_up_and_sleeps, runs_wheels);
    return 0;
}
