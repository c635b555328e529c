/* Waiting: a waker, a canceller and a timer race for one wait, and are late for the next.

   The waiting fiber stands in the queue of an object under the object's lock, as channels do it.

   Sources: sched/waiter.c sched/scope.c sched/wheel.c
   Mutates: sched/waiter.c(skua__wait_begin_for skua__wake park_thread park_fiber)
     sched/waiter.h
     sched/scope.c(cancel_inside skua__scope_move_deadline claim_wait) */
#include "explore.h"
#include "fibers.h"

#include <string.h>

enum { FIRST, SECOND, OBJECTS, DEADLINE_NS = 1 << 20 };

enum { NOTE_WOKEN, NOTE_CANCELLED, NOTE_LATE };

/* Something to wait for: the simplest that follows waiter.h. */
struct object {
    struct skua__lock lock;
    struct skua__list queue;
    bool is_set;
};

struct shared {
    struct object objects[OBJECTS];
    skua_scope scope;
    int payload;
    _Atomic uint32_t is_over;
};
static struct shared *shared;

static void object_set(struct object *object)
{
    struct skua__parker *wake = NULL;
    skua__lock(&object->lock, SKUA__RANK_CHAN);
    struct skua__link *link = skua__list_pop_front(&object->queue);
    struct skua__waiter *waiter = SKUA_CONTAINER(link, struct skua__waiter, link);
    if (link != NULL && skua__waiter_claim(waiter)) {
        waiter->result = 7;
        wake = waiter->parker;
    } else {
        object->is_set = true;
    }
    skua__unlock(&object->lock, SKUA__RANK_CHAN);
    if (wake != NULL) {
        skua__wake(wake);
    }
}

/* 7, -ETIMEDOUT, -ECANCELED, or SKUA__RECHECK. */
static int object_wait(struct object *object, int64_t deadline_ns)
{
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__lock(&object->lock, SKUA__RANK_CHAN);
    if (object->is_set) {
        object->is_set = false;
        skua__unlock(&object->lock, SKUA__RANK_CHAN);
        return 7;
    }
    skua__wait_begin(&wait, SKUA__SOFT);
    skua__waiter_init(&waiter, &wait, 0, NULL);
    skua__list_push_back(&object->queue, &waiter.link);
    skua__unlock(&object->lock, SKUA__RANK_CHAN);
    int cause = skua__wait_park(&wait, deadline_ns);
    if (cause >= 0) {
        return waiter.result;
    }
    skua__lock(&object->lock, SKUA__RANK_CHAN);
    if (skua__link_is_linked(&waiter.link)) {
        skua__list_remove(&waiter.link);
    }
    skua__unlock(&object->lock, SKUA__RANK_CHAN);
    return cause;
}

static void setup(void)
{
    shared = explore_alloc(sizeof *shared);
    fibers_make(1);
    for (int i = 0; i < OBJECTS; i++) {
        skua__list_init(&shared->objects[i].queue);
    }
    skua__wheel_init(&fibers->workers[0].wheel, skua__clock_ns());
}

static void setup_foreign(void)
{
    setup();
    fibers_make(0);
}

static void finish(void)
{
    fibers_check();
    for (int i = 0; i < OBJECTS; i++) {
        EXPLORE_CHECK(skua__list_is_empty(&shared->objects[i].queue));
    }
}

static void note(int result)
{
    explore_note(result == 7 ? NOTE_WOKEN : result == -ECANCELED ? NOTE_CANCELLED : NOTE_LATE);
}

/* --- the waits -------------------------------------------------------------------------------- */

static void waits_second(void)
{
    /* Nobody but the second object's waker may end this one. */
    EXPLORE_CHECK(object_wait(&shared->objects[SECOND], SKUA__NEVER) == 7);
    EXPLORE_CHECK(shared->payload == 1);
}

/* In a scope that is cancelled meanwhile, with a deadline; then outside of it. */
static void waits_in_scope(void)
{
    memset(&shared->scope, 0, sizeof shared->scope);
    skua_scope_open(&shared->scope, SKUA_FOREVER);
    explore_note(3);
    int result = object_wait(&shared->objects[FIRST], SKUA__NEVER);
    note(result);
    EXPLORE_CHECK(result == 7 || result == -ECANCELED);
    EXPLORE_CHECK(skua_scope_close(&shared->scope, 0) == 0);
    waits_second();
}

static void waits_with_deadline(void)
{
    int result = object_wait(&shared->objects[FIRST], DEADLINE_NS);
    note(result);
    EXPLORE_CHECK(result == 7 || result == -ETIMEDOUT);
    EXPLORE_CHECK(result == 7 || skua__clock_ns() >= DEADLINE_NS);
    waits_second();
}

/* In the root scope, which somebody cancels: it never waits for ever. */
static void waits_until_cancelled(void)
{
    int result = object_wait(&shared->objects[FIRST], SKUA__NEVER);
    note(result);
    EXPLORE_CHECK(result == 7 || result == -ECANCELED);
}

static void waits_until_cancelled_or_late(void)
{
    int result = object_wait(&shared->objects[FIRST], DEADLINE_NS);
    note(result);
    EXPLORE_CHECK(result == 7 || result == -ECANCELED || result == -ETIMEDOUT);
}

/* Twice in the same scope: the canceller may come from the second wait only. */
static void waits_twice_until_cancelled(void)
{
    fibers->fibers[0].runnable.pin = 0; /* as skua__task_run() does */
    int result = object_wait(&shared->objects[FIRST], SKUA__NEVER);
    note(result);
    if (result == 7) {
        result = object_wait(&shared->objects[SECOND], SKUA__NEVER);
    }
    EXPLORE_CHECK(result == -ECANCELED);
}

/* In the root scope, whose deadline somebody moves: from never into what will soon be the past. */
static void waits_until_moved(void)
{
    int result;
    do {
        result = object_wait(&shared->objects[FIRST], SKUA__NEVER);
    } while (result == SKUA__RECHECK);
    note(result);
    EXPLORE_CHECK(result == -ECANCELED);
    /* release: orders the wait before what the mover does next. */
    skua__store(&shared->is_over, 1, release);
}

/* --- those who end them ----------------------------------------------------------------------- */

static void sets_both(void)
{
    object_set(&shared->objects[FIRST]);
    shared->payload = 1;
    object_set(&shared->objects[SECOND]);
}

static void sets_first(void)
{
    object_set(&shared->objects[FIRST]);
}

static void runs_timers(void)
{
    explore_clock_set(2 * DEADLINE_NS);
    skua__wheel_run(&fibers->workers[0].wheel, skua__clock_ns());
}

static void runs_timers_twice(void)
{
    runs_timers();
    runs_timers();
}

/* The scope is closed only after the second wait's waker, so it can be found while it is open. */
static void cancels_scope(void)
{
    struct skua__scope *root = &fibers->tasks[0].scope;
    skua__lock(&root->lock, SKUA__RANK_SCOPE);
    bool is_open = !skua__list_is_empty(&root->children);
    if (is_open) {
        /* Under the lock of its parent it cannot go away. */
        skua__scope_cancel((struct skua__scope *)&shared->scope, SKUA__SCOPE_REQUESTED,
                           &fibers->runtime);
    }
    skua__unlock(&root->lock, SKUA__RANK_SCOPE);
}

static void cancels_task(void)
{
    skua__scope_cancel(&fibers->tasks[0].scope, SKUA__SCOPE_REQUESTED, &fibers->runtime);
}

/* And then runs the timers for as long as the wait lasts: so either the move was told, or the timer
   was armed for the new moment. */
static void moves_deadline(void)
{
    skua__scope_move_deadline(&fibers->tasks[0].scope, DEADLINE_NS, false, &fibers->runtime);
    /* acquire: pairs with the release in waits_until_moved(). */
    while (skua__load(&shared->is_over, acquire) == 0) {
        int64_t next_ns = skua__load(&fibers->workers[0].wheel.next_ns, relaxed);
        if (next_ns != SKUA__NEVER) {
            explore_clock_set(next_ns + DEADLINE_NS);
            skua__wheel_run(&fibers->workers[0].wheel, skua__clock_ns());
        }
        skua__thread_yield();
    }
}

/* covers: B37 */
int main(void)
{
    EXPLORE("waiter: wake and wake", setup, finish, waits_with_deadline, sets_both);
    EXPLORE("waiter: a foreign thread", setup_foreign, finish, waits_with_deadline, sets_both);
    EXPLORE("waiter: cancel", setup, finish, waits_until_cancelled, cancels_task);
    EXPLORE_CHECK(explore_happened(NOTE_CANCELLED) > 0);
    EXPLORE("waiter: wake, cancel", setup, finish, waits_until_cancelled, sets_first, cancels_task);
    EXPLORE_CHECK(explore_happened(NOTE_WOKEN) > 0 && explore_happened(NOTE_CANCELLED) > 0);
    EXPLORE("waiter: wake, then cancel", setup, finish, waits_twice_until_cancelled, sets_first,
            cancels_task);
    EXPLORE_CHECK(explore_happened(NOTE_WOKEN) > 0 && explore_happened(NOTE_CANCELLED) > 0);
    EXPLORE("waiter: wake, late cancel", setup, finish, waits_in_scope, sets_both, cancels_scope);
    EXPLORE_CHECK(explore_happened(NOTE_WOKEN) > 0 && explore_happened(NOTE_CANCELLED) > 0);
    EXPLORE("waiter: a deadline is moved", setup, finish, waits_until_moved, moves_deadline);
    EXPLORE_CHECK(explore_happened(NOTE_CANCELLED) > 0);
    EXPLORE("waiter: wake, late timer", setup, finish, waits_with_deadline, sets_both,
            runs_timers_twice);
    EXPLORE_CHECK(explore_happened(NOTE_WOKEN) > 0 && explore_happened(NOTE_LATE) > 0);
    EXPLORE("waiter: wake, cancel, timer", setup, finish, waits_until_cancelled_or_late, sets_first,
            cancels_task, runs_timers);
    EXPLORE_CHECK(explore_happened(NOTE_WOKEN) > 0 && explore_happened(NOTE_LATE) > 0 &&
                  explore_happened(NOTE_CANCELLED) > 0);
    return 0;
}
