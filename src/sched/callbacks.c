/* Callbacks and timers: fn(arg) on the runtime, one after the other.

   A task of the library's own runs them. It is spawned with the first callback or timer, sleeps
   while there are only timers that are not due, and ends when there is nothing; a runtime that has
   no callbacks has no trace of all this.

       skua_call_soon  ------------------------> SOON ---> RUNNING ---> DONE
       skua_call_later ---> LATER --- is due ------^
                              |                    |
                              +--------------------+---> CANCELLED   by skua_timer_cancel()
                              +--------------------+---> DROPPED     by the end of the runtime

     (K1) While anything is SOON or LATER, there is the task (has_task), or the runtime is closed.
          It is spawned, and decides to end, under the lock.
     (K2) The task sleeps only while nothing is SOON, until the first of the timers is due. Who adds
          something that comes sooner claims its wait.
     (K3) A record has one reference while it is SOON, LATER or RUNNING, and one for the handle if
          there is one. DONE and DROPPED are final and looked at without the lock, since by then
          the runtime may be gone.
     (K4) A thread that is none of the runtime's workers counts as an outsider during the call: the
          callback may be what ends the runtime.
     (K5) A cancel by a thread may meet the end of the runtime. So it is counted, in a static word,
          from before it looks whether the timer is still the runtime's to after its last access to
          the lock; the end takes the lock, says DROPPED, and waits until nobody is counted.

   Rejected: a task for each callback (they would need locks among themselves, and have no order);
   a task that stays (it would be in every list of tasks, also of programs that have no callbacks);
   the wheels of the workers for timers (they have one node for each fiber, for waits). */
#include "sched/callbacks.h"

#include "base/futex.h"
#include "base/mem.h"
#include "base/panic.h"
#include "sched/runtime.h"
#include "sched/task.h"
#include "sched/waiter.h"

#include <skua/control.h>

/* Callbacks in a row after which others get their turn. */
enum { TURNS_MAX = 64 };

enum state { SOON, LATER, RUNNING, DONE, DROPPED };

struct skua_timer {
    union {
        struct skua__link link;      /* SOON */
        struct skua__heap_node node; /* LATER */
    };
    int64_t due_ns;
    uint64_t sequence;
    void (*fn)(void *arg);
    void *arg;
    struct skua__callbacks *callbacks;
    _Atomic uint32_t state; /* written under the lock, except for the final ones */
    _Atomic uint32_t refs;
};

/* Cancels under way, of timers of all runtimes (K5). */
static _Atomic uint32_t cancels;

static skua_timer *timer_of(struct skua__heap_node *node)
{
    return SKUA_CONTAINER(node, skua_timer, node);
}

static bool is_due_before(const struct skua__heap_node *one, const struct skua__heap_node *other)
{
    const skua_timer *a = SKUA_CONTAINER(one, skua_timer, node);
    const skua_timer *b = SKUA_CONTAINER(other, skua_timer, node);
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->sequence < b->sequence;
}

void skua__callbacks_init(struct skua__callbacks *callbacks)
{
    skua__list_init(&callbacks->soon);
    callbacks->later.before = is_due_before;
}

static void callbacks_lock(struct skua__callbacks *callbacks)
{
    skua__lock(&callbacks->lock, SKUA__RANK_SERVICE);
}

static void callbacks_unlock(struct skua__callbacks *callbacks)
{
    skua__unlock(&callbacks->lock, SKUA__RANK_SERVICE);
}

/* --- records ---------------------------------------------------------------------------------- */

static void drop(skua_timer *timer)
{
    /* acq_rel: orders each holder's accesses before the free; pairs with itself. */
    if (skua__fetch_sub(&timer->refs, 1, acq_rel) == 1) {
        skua__free(timer);
    }
}

/* The record's last state. It is touched no more by the runtime. */
static void finish(skua_timer *timer, enum state state)
{
    /* release: orders the callback before what follows a cancel that came too late; pairs with the
       acquire in skua_timer_cancel(). */
    skua__store(&timer->state, state, release);
    drop(timer);
}

static void put_soon(struct skua__callbacks *callbacks, skua_timer *timer)
{
    skua__store(&timer->state, SOON, relaxed);
    timer->link = (struct skua__link){NULL, NULL};
    skua__list_push_back(&callbacks->soon, &timer->link);
}

static void put_later(struct skua__callbacks *callbacks, skua_timer *timer)
{
    skua__store(&timer->state, LATER, relaxed);
    timer->sequence = callbacks->sequence++;
    skua__heap_add(&callbacks->later, &timer->node);
}

/* True if it had not started. */
static bool take_out(struct skua__callbacks *callbacks, skua_timer *timer)
{
    switch (skua__load(&timer->state, relaxed)) {
    case SOON:
        skua__list_remove(&timer->link);
        return true;
    case LATER:
        skua__heap_remove(&callbacks->later, &timer->node);
        return true;
    default:
        return false;
    }
}

static bool is_empty(const struct skua__callbacks *callbacks)
{
    return skua__list_is_empty(&callbacks->soon) && callbacks->later.first == NULL;
}

/* --- the task --------------------------------------------------------------------------------- */

/* Claims the task's sleep, if it sleeps. What it returns is woken after the unlock. */
static struct skua__parker *claim_sleeper(struct skua__callbacks *callbacks)
{
    struct skua__waiter *sleeper = callbacks->sleeper;
    callbacks->sleeper = NULL;
    return sleeper != NULL && skua__waiter_claim(sleeper) ? sleeper->parker : NULL;
}

/* Gives the lock up, and takes it again. A hard wait: whoever cancels this task, it is not what
   ends it. */
static void sleep_until_due(struct skua__callbacks *callbacks)
{
    struct skua__wait wait;
    struct skua__waiter sleeper;
    int64_t due_ns = timer_of(callbacks->later.first)->due_ns;
    skua__wait_begin_for(&wait, SKUA__HARD, "its first timer");
    skua__waiter_init(&sleeper, &wait, 0, NULL);
    callbacks->sleeper = &sleeper;
    callbacks_unlock(callbacks);
    skua__wait_park(&wait, due_ns);
    callbacks_lock(callbacks);
    callbacks->sleeper = NULL;
}

static void move_due(struct skua__callbacks *callbacks)
{
    if (callbacks->later.first == NULL) {
        return;
    }
    int64_t now = skua__clock_ns();
    struct skua__heap_node *first;
    while ((first = callbacks->later.first) != NULL && timer_of(first)->due_ns <= now) {
        skua__heap_remove(&callbacks->later, first);
        put_soon(callbacks, timer_of(first));
    }
}

/* With the lock, which it gives up for the callback. */
static void run_one(struct skua__callbacks *callbacks, skua_timer *timer)
{
    skua__store(&timer->state, RUNNING, relaxed);
    callbacks_unlock(callbacks);
    timer->fn(timer->arg);
    finish(timer, DONE);
    callbacks_lock(callbacks);
}

static void let_others_run(struct skua__callbacks *callbacks)
{
    callbacks_unlock(callbacks);
    int status = skua_yield();
    (void)status; /* what is cancelled is not what ends it */
    callbacks_lock(callbacks);
}

static int run_callbacks(void *arg)
{
    struct skua__callbacks *callbacks = arg;
    callbacks_lock(callbacks);
    for (uint32_t turn = 1; !callbacks->is_closed; turn++) {
        move_due(callbacks);
        if (is_empty(callbacks)) {
            break;
        }
        struct skua__link *first = skua__list_pop_front(&callbacks->soon);
        if (first != NULL) {
            run_one(callbacks, SKUA_CONTAINER(first, skua_timer, link));
        } else {
            sleep_until_due(callbacks);
        }
        if (turn % TURNS_MAX == 0) {
            let_others_run(callbacks);
        }
    }
    callbacks->has_task = false;
    callbacks_unlock(callbacks);
    return 0;
}

/* Something was added, with the lock held: there has to be a task (K1), and it must not sleep too
   long (K2). On failure the record is taken out again. */
static int see_to_it(skua_runtime *runtime, skua_timer *timer, struct skua__parker **woken)
{
    struct skua__callbacks *callbacks = &runtime->callbacks;
    *woken = NULL;
    if (!callbacks->has_task) {
        const skua_spawn_opts opts = {.name = "callbacks"};
        int status = skua__submit_own(runtime, run_callbacks, callbacks, &opts);
        if (status < 0) {
            take_out(callbacks, timer);
            return status;
        }
        callbacks->has_task = true;
    } else if (!skua__list_is_empty(&callbacks->soon) || callbacks->later.first == &timer->node) {
        *woken = claim_sleeper(callbacks);
    }
    return 0;
}

/* --- calls ------------------------------------------------------------------------------------ */

static int check(skua_runtime *runtime, void (*fn)(void *arg))
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (fn == NULL) {
        return -EINVAL;
    }
    return runtime != NULL ? 0 : -EPERM;
}

/* A record that is in no list; NULL without memory. */
static skua_timer *make(skua_runtime *runtime, void (*fn)(void *arg), void *arg, uint32_t refs)
{
    skua_timer *timer = skua__alloc(sizeof *timer);
    if (timer != NULL) {
        timer->fn = fn;
        timer->arg = arg;
        timer->callbacks = &runtime->callbacks;
        skua__store(&timer->refs, refs, relaxed);
    }
    return timer;
}

/* Takes the record over. *out, if it is wanted, is written before the callback can start. */
static int add(skua_runtime *runtime, skua_timer *timer, bool is_soon, skua_timer **out)
{
    struct skua__callbacks *callbacks = &runtime->callbacks;
    struct skua__parker *woken = NULL;
    int status = -ESHUTDOWN;
    bool is_outsider = skua__runtime_enter(runtime);
    callbacks_lock(callbacks);
    if (!callbacks->is_closed) {
        if (is_soon) {
            put_soon(callbacks, timer);
        } else {
            put_later(callbacks, timer);
        }
        status = see_to_it(runtime, timer, &woken);
    }
    if (status == 0 && out != NULL) {
        *out = timer;
    }
    callbacks_unlock(callbacks);
    if (woken != NULL) {
        skua__wake(woken);
    }
    if (status < 0) {
        skua__free(timer);
    }
    skua__runtime_leave(runtime, is_outsider);
    return status;
}

int skua_call_soon(skua_runtime *runtime, void (*fn)(void *arg), void *arg)
{
    runtime = runtime != NULL ? runtime : skua_runtime_current();
    int status = check(runtime, fn);
    if (status < 0) {
        return status;
    }
    skua_timer *timer = make(runtime, fn, arg, 1);
    return timer != NULL ? add(runtime, timer, true, NULL) : -ENOMEM;
}

static int64_t due_in(int64_t delay_ns)
{
    int64_t now = skua__clock_ns();
    return delay_ns < SKUA__NEVER - now ? now + delay_ns : SKUA__NEVER;
}

int skua_call_later(skua_timer **out, skua_runtime *runtime, int64_t delay_ns,
                    void (*fn)(void *arg), void *arg)
{
    runtime = runtime != NULL ? runtime : skua_runtime_current();
    int status = check(runtime, fn);
    if (status < 0) {
        return status;
    }
    skua_timer *timer = make(runtime, fn, arg, out != NULL ? 2 : 1);
    if (timer == NULL) {
        return -ENOMEM;
    }
    timer->due_ns = due_in(delay_ns);
    return add(runtime, timer, false, out);
}

/* The final state, or another one if the timer is still the runtime's. */
static uint32_t state_of(const skua_timer *timer)
{
    /* acquire: pairs with the release in finish(). */
    return skua__load(&timer->state, acquire);
}

static bool is_final(uint32_t state)
{
    return state == DONE || state == DROPPED;
}

/* Takes the timer out of its runtime, which may be ending (K5). True if it had not started. */
static bool withdraw(skua_timer *timer)
{
    struct skua__callbacks *callbacks = timer->callbacks;
    bool is_out = false;
    skua__fetch_add(&cancels, 1, relaxed);
    /* seq_cst: orders the count before the look; pairs with the fence in await_cancels(). */
    skua__fence(seq_cst);
    if (!is_final(state_of(timer))) {
        callbacks_lock(callbacks);
        is_out = take_out(callbacks, timer);
        /* A task that has nothing left to wait for ends. */
        struct skua__parker *woken =
            is_out && is_empty(callbacks) ? claim_sleeper(callbacks) : NULL;
        callbacks_unlock(callbacks);
        if (woken != NULL) {
            skua__wake(woken);
        }
    }
    /* release: orders all our accesses before it; pairs with the acquire in await_cancels(). */
    skua__fetch_sub(&cancels, 1, release);
    return is_out;
}

bool skua_timer_cancel(skua_timer *timer)
{
    if (timer == NULL || skua__forked()) {
        return false;
    }
    if (!is_final(state_of(timer)) && withdraw(timer)) {
        skua__free(timer); /* with both references */
        return true;
    }
    bool was_dropped = state_of(timer) == DROPPED;
    drop(timer);
    return was_dropped;
}

void skua_timer_release(skua_timer *timer)
{
    if (timer != NULL && !skua__forked()) {
        drop(timer);
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

void skua__callbacks_close(struct skua__callbacks *callbacks)
{
    callbacks_lock(callbacks);
    callbacks->is_closed = true;
    struct skua__parker *woken = claim_sleeper(callbacks);
    callbacks_unlock(callbacks);
    if (woken != NULL) {
        skua__wake(woken);
    }
}

/* Nobody who has found a timer that was not final is still inside (K5). */
static void await_cancels(void)
{
    /* seq_cst: orders the final states before the look; pairs with the fence in withdraw(). */
    skua__fence(seq_cst);
    /* acquire: pairs with the release in withdraw(). */
    while (skua__load(&cancels, acquire) != 0) {
        skua__thread_yield();
    }
}

void skua__callbacks_fini(struct skua__callbacks *callbacks)
{
    struct skua__link *link;
    callbacks_lock(callbacks);
    while ((link = skua__list_pop_front(&callbacks->soon)) != NULL) {
        finish(SKUA_CONTAINER(link, skua_timer, link), DROPPED);
    }
    struct skua__heap_node *node;
    while ((node = skua__heap_take_any(&callbacks->later)) != NULL) {
        finish(timer_of(node), DROPPED);
    }
    callbacks_unlock(callbacks);
    await_cancels();
}
