/* Single flights: calls for one key, of which one runs, against cancels of the one that runs and of
   the ones that wait.

   Sources: group/flight.c sched/task.c sched/watch.c sched/member.c sched/waiter.c
       sched/scope.c sched/wheel.c
   Mutates: group/flight.c(find unlink_runner leave give_up follow skua__flight_enter
       skua__flight_attempt serve skua__flight_finish move_all claim_heir skua__flight_hand_over run
       skua_flight_run) */
#include "explore.h"
#include "fibers.h"
#include "group/flight.h"
#include "sched/local.h"

#include <skua/task.h>

enum { NOTE_RAN, NOTE_SERVED, NOTE_CANCELLED, NOTE_TOOK_OVER };

static skua_flight *flight;
static int *runs; /* at the moment; so a race if there are two */

void skua__slab_return_slow(struct skua__slab *slab, struct skua__slab_cache *cache, void *object)
{
    EXPLORE_CHECK(false); /* nobody ends */
}

void skua__stack_check(const struct skua__stack *stack) {}
void skua__locals_release(struct skua__locals *locals) {}

const char *skua_error_text(int code)
{
    return "";
}

static void setup(void)
{
    fibers_make(3);
    flight = explore_alloc(sizeof *flight);
    runs = explore_alloc(sizeof *runs);
    for (int i = 0; i < 3; i++) {
        skua__wheel_init(&fibers->workers[i].wheel, skua__clock_ns());
    }
}

/* The table is empty. */
static void finish(void)
{
    const struct skua__flight *inside = (const struct skua__flight *)(const void *)flight;
    fibers_check();
    EXPLORE_CHECK(*runs == 0);
    for (int i = 0; i < SKUA__FLIGHT_CHAINS; i++) {
        EXPLORE_CHECK(inside->chains[i] == NULL);
    }
}

/* --- the threads ------------------------------------------------------------------------------ */

/* A call, and what comes of it. */
struct call {
    int value;
    bool has_run, sleeps;
};

/* Alone for its key. */
static int work(void *arg)
{
    struct call *self = arg;
    self->has_run = true;
    EXPLORE_CHECK(++*runs == 1);
    int status = self->sleeps ? skua_sleep(SKUA_FOREVER) : 0;
    self->value = status == 0 ? 100 + explore_self() : 0;
    EXPLORE_CHECK(--*runs == 0);
    return status;
}

static int call(struct call *self)
{
    const skua_flight_call spec = {.key = "key",
                                   .key_bytes = 3,
                                   .fn = work,
                                   .arg = self,
                                   .value = &self->value,
                                   .value_bytes = sizeof self->value};
    int status = skua_flight_run(flight, &spec, SKUA_FOREVER);
    if (status == 0) {
        bool is_own = self->value == 100 + explore_self();
        EXPLORE_CHECK(self->value >= 100 && is_own == self->has_run);
        explore_note(self->has_run ? NOTE_RAN : NOTE_SERVED);
    } else {
        EXPLORE_CHECK(status == -ECANCELED && self->value == 0); /* nothing was given to it */
        explore_note(NOTE_CANCELLED);
    }
    return status;
}

static void calls(void)
{
    struct call self = {0};
    EXPLORE_CHECK(call(&self) == 0);
}

static void calls_or_is_cancelled(void)
{
    struct call self = {0};
    (void)call(&self);
    /* It does not sleep, so it was cancelled before it ran, or while it waited. */
    EXPLORE_CHECK(!self.has_run || self.value >= 100);
}

/* Runs until it is cancelled, unless another one runs for it. */
static void sleeps_until_cancelled(void)
{
    struct call self = {.sleeps = true};
    int status = call(&self);
    EXPLORE_CHECK(!self.has_run || status == -ECANCELED);
    if (self.has_run) {
        explore_note(NOTE_TOOK_OVER);
    }
}

static void cancels_first(void)
{
    skua__scope_cancel(&fibers->tasks[0].scope, SKUA__SCOPE_REQUESTED, &fibers->runtime);
}

/* covers: B37 */
int main(void)
{
    EXPLORE("flight: two calls", setup, finish, calls, calls);
    EXPLORE_CHECK(explore_happened(NOTE_RAN) > 0 && explore_happened(NOTE_SERVED) > 0);
    EXPLORE("flight: three calls", setup, finish, calls, calls, calls);
    EXPLORE("flight: one of two is cancelled", setup, finish, calls_or_is_cancelled, calls,
            cancels_first);
    EXPLORE_CHECK(explore_happened(NOTE_CANCELLED) > 0);
    EXPLORE("flight: the runner is cancelled", setup, finish, sleeps_until_cancelled, calls,
            cancels_first);
    EXPLORE_CHECK(explore_happened(NOTE_TOOK_OVER) > 0 && explore_happened(NOTE_SERVED) > 0);
    EXPLORE("flight: the runner of three is cancelled", setup, finish, sleeps_until_cancelled,
            calls, calls, cancels_first);
    return 0;
}
