/* The threads of the blocking pool: how they come, take calls, sleep and end. The rules (B1) to
   (B6) are in blocking.c. */
#define _GNU_SOURCE 1
#include "base/futex.h"
#include "base/mem.h"
#include "base/panic.h"
#include "blocking/pool.h"
#include "sched/local.h"

#include <signal.h>
#include <stdio.h>

_Atomic int64_t skua__blocking_idle_ns = SKUA_SEC(5);

enum {
    NAME_BYTES = 16,   /* what the kernel keeps of a thread's name, with the final zero */
    SUFFIX_BYTES = 8,  /* of them for "-b" and the number */
    NUMBER_MAX = 9999, /* then they repeat */
};

struct skua__blocking_thread {
    struct skua__link link; /* in the idle list */
    struct skua__blocking_pool *pool;
    _Atomic uint32_t bell; /* 1: taken out of the idle list */
    char name[NAME_BYTES];
};

/* --- calls ------------------------------------------------------------------------------------ */

struct skua__parker *skua__blocking_settle(struct skua__call *call, enum skua__call_state state,
                                           int result)
{
    struct skua__waiter *waiter = call->waiter;
    call->state = state;
    call->result = result;
    if (!call->is_abandoned) {
        call->class->callers--;
    }
    return waiter != NULL && skua__waiter_claim(waiter) ? waiter->parker : NULL;
}

void skua__blocking_drop(struct skua__call *call)
{
    if (call->drop != NULL) {
        call->drop(call->arg);
    }
    skua__free(call);
}

void skua__blocking_give_back(skua_blocking_class *class)
{
    struct skua__link *first = skua__list_pop_front(&class->queue);
    if (first == NULL) {
        class->running--;
        return;
    }
    struct skua__call *next = SKUA_CONTAINER(first, struct skua__call, link);
    next->state = SKUA__CALL_PROMISED;
    next->is_counted = true;
    skua__list_push_back(&class->pool->ready, first);
}

void skua__blocking_class_settle(skua_blocking_class *class)
{
    if (class->is_destroyed && class->running == 0) {
        skua__free(class->name);
        skua__free(class);
    }
}

/* With the lock held: the oldest call that is ready, started; or NULL. */
static struct skua__call *take(struct skua__blocking_pool *pool)
{
    struct skua__link *first = skua__list_pop_front(&pool->ready);
    if (first == NULL) {
        return NULL;
    }
    struct skua__call *next = SKUA_CONTAINER(first, struct skua__call, link);
    next->state = SKUA__CALL_STARTED;
    return next;
}

/* With the lock held: the thread's next call, or NULL: it is idle now, or has to end. Gives the
   lock back, wakes `parker`, which may be NULL, and sees to the calls that are left. */
static struct skua__call *go_on(struct skua__blocking_thread *self, struct skua__parker *parker)
{
    struct skua__blocking_pool *pool = self->pool;
    struct skua__call *next = take(pool);
    if (next == NULL) {
        skua__store(&self->bell, 0, relaxed);
        skua__list_push_front(&pool->idle, &self->link);
    }
    const struct skua__blocking_summons summons = skua__blocking_summon(pool);
    skua__blocking_unlock(pool);
    if (parker != NULL) {
        skua__wake(parker);
    }
    (void)skua__blocking_fetch(pool, summons); /* else those that are there take them */
    return next;
}

/* Somebody has summoned this thread, and it is here. */
static struct skua__call *arrive(struct skua__blocking_thread *self)
{
    skua__blocking_lock(self->pool);
    self->pool->is_coming = false;
    return go_on(self, NULL);
}

/* The call has returned. */
static struct skua__call *finish(struct skua__blocking_thread *self, struct skua__call *call,
                                 int result)
{
    skua__blocking_lock(self->pool);
    skua_blocking_class *class = call->class;
    struct skua__call *abandoned = call->is_abandoned ? call : NULL;
    struct skua__parker *parker = skua__blocking_settle(call, SKUA__CALL_DONE, result);
    skua__blocking_give_back(class);
    skua__blocking_class_settle(class);
    if (abandoned != NULL) {
        skua__blocking_unlock(self->pool); /* what it holds may be wanted before the next call */
        skua__blocking_drop(abandoned);
        skua__blocking_lock(self->pool);
    }
    return go_on(self, parker);
}

/* The task waits for it: so its task-locals are there to be read. */
static int make_call(const struct skua__call *call)
{
    skua__locals_lend(call->task);
    int result = call->fn(call->arg);
    skua__locals_lend(NULL);
    return result;
}

/* --- sleep and end ---------------------------------------------------------------------------- */

/* Idle for long enough, or the end has come. False if the bell is about to ring (B2); else the
   record is gone. */
static bool retire(struct skua__blocking_thread *self)
{
    struct skua__blocking_pool *pool = self->pool;
    skua__blocking_lock(pool);
    if (!skua__link_is_linked(&self->link)) {
        skua__blocking_unlock(pool);
        return false;
    }
    skua__list_remove(&self->link);
    pool->threads--;
    bool has_predecessor = pool->has_ended;
    pthread_t predecessor = pool->ended;
    pool->has_ended = true;
    pool->ended = pthread_self();
    skua__store(&pool->ends, skua__load(&pool->ends, relaxed) + 1, relaxed);
    skua__blocking_unlock(pool);

    skua__futex_wake(&pool->ends, 1, false);
    skua__free(self);
    if (has_predecessor) {
        pthread_join(predecessor, NULL);
    }
    return true;
}

/* Sleep in the idle list. False: the end of the thread. */
static bool rest(struct skua__blocking_thread *self)
{
    int64_t until = skua__clock_real_ns() + skua__load(&skua__blocking_idle_ns, relaxed);
    /* acquire: pairs with the release in ring(): what was done to the record before is seen. */
    while (skua__load(&self->bell, acquire) == 0) {
        if (until != SKUA__NEVER &&
            (skua__load(&self->pool->is_ending, relaxed) || skua__clock_real_ns() >= until)) {
            if (retire(self)) {
                return false;
            }
            until = SKUA__NEVER;
        }
        skua__futex_wait(&self->bell, 0, until, false);
    }
    return true;
}

static void *thread_main(void *arg)
{
    struct skua__blocking_thread *self = arg;
    pthread_setname_np(pthread_self(), self->name);
    do {
        struct skua__call *call = arrive(self);
        while (call != NULL) {
            call = finish(self, call, make_call(call));
        }
    } while (rest(self));
    return NULL;
}

/* --- how they come ---------------------------------------------------------------------------- */

/* For a thread that was taken out of the idle list. */
static void ring(struct skua__blocking_thread *thread)
{
    /* release: publishes that it stands in no list; pairs with the acquire in rest(). */
    skua__store(&thread->bell, 1, release);
    skua__futex_wake(&thread->bell, 1, false);
}

/* All signals stay the program's own threads'. */
static int start_thread(struct skua__blocking_pool *pool, uint32_t number)
{
    struct skua__blocking_thread *thread = skua__alloc(sizeof *thread);
    if (thread == NULL) {
        return -ENOMEM;
    }
    thread->pool = pool;
    snprintf(thread->name, sizeof thread->name, "%.*s-b%u", NAME_BYTES - SUFFIX_BYTES, pool->name,
             number % (NUMBER_MAX + 1));
    sigset_t all, before;
    pthread_t id;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&id, NULL, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        skua__free(thread);
        return -EAGAIN;
    }
    return 0;
}

struct skua__blocking_summons skua__blocking_summon(struct skua__blocking_pool *pool)
{
    struct skua__blocking_summons summons = {0};
    if (pool->is_coming || skua__list_is_empty(&pool->ready)) {
        return summons;
    }
    struct skua__link *first = skua__list_pop_front(&pool->idle);
    if (first != NULL) {
        pool->is_coming = true;
        summons.sleeper = SKUA_CONTAINER(first, struct skua__blocking_thread, link);
    } else if (pool->threads < pool->threads_max) {
        pool->is_coming = true;
        pool->threads++;
        summons.starts = true;
        summons.number = pool->started++;
    }
    return summons;
}

/* There is no thread, and none can be started: nobody would ever make these calls. */
static void refuse_all(struct skua__blocking_pool *pool, int status)
{
    for (;;) {
        skua__blocking_lock(pool);
        struct skua__call *call = pool->threads == 0 ? take(pool) : NULL;
        if (call == NULL) {
            skua__blocking_unlock(pool);
            return;
        }
        skua_blocking_class *class = call->class;
        const bool is_abandoned = call->is_abandoned;
        struct skua__parker *parker = skua__blocking_settle(call, SKUA__CALL_REFUSED, status);
        skua__blocking_give_back(class);
        skua__blocking_class_settle(class);
        skua__blocking_unlock(pool);
        if (is_abandoned) {
            skua__blocking_drop(call);
        } else if (parker != NULL) {
            skua__wake(parker);
        }
    }
}

/* With the lock held: what is ready waits for those threads that are there, so its deadlines count
   again, of which who waits already knows nothing: claims a chunk of those. True: there are more. */
static bool take_promises_back(struct skua__blocking_pool *pool, struct skua__wake_list *wakes)
{
    for (struct skua__link *link = pool->ready.head.next; link != &pool->ready.head;
         link = link->next) {
        struct skua__call *call = SKUA_CONTAINER(link, struct skua__call, link);
        struct skua__waiter *waiter = call->waiter;
        if (call->state == SKUA__CALL_QUEUED) {
            continue;
        }
        call->state = SKUA__CALL_QUEUED;
        call->waiter = NULL;
        if (waiter != NULL && skua__claim(waiter->parker, waiter->ticket, SKUA__CAUSE_RECHECK) &&
            skua__wake_list_add(wakes, waiter->parker)) {
            return true;
        }
    }
    return false;
}

/* A thread could not be started. */
static void do_without(struct skua__blocking_pool *pool, int status)
{
    struct skua__blocking_summons summons = {0};
    struct skua__wake_list wakes;
    skua__wake_list_init(&wakes);
    skua__blocking_lock(pool);
    const bool was_last = --pool->threads == 0;
    pool->is_coming = false;
    if (!skua__list_is_empty(&pool->idle)) {
        summons = skua__blocking_summon(pool);
    }
    while (take_promises_back(pool, &wakes)) {
        skua__blocking_unlock(pool);
        skua__wake_list_flush(&wakes);
        skua__blocking_lock(pool);
    }
    skua__blocking_unlock(pool);
    skua__wake_list_flush(&wakes);
    if (summons.sleeper != NULL) {
        ring(summons.sleeper);
    }
    if (was_last) {
        refuse_all(pool, status);
    }
}

int skua__blocking_fetch(struct skua__blocking_pool *pool, struct skua__blocking_summons summons)
{
    if (summons.sleeper != NULL) {
        ring(summons.sleeper);
    }
    const int status = summons.starts ? start_thread(pool, summons.number) : 0;
    if (status < 0) {
        do_without(pool, status);
    }
    return status;
}

/* --- the end of all --------------------------------------------------------------------------- */

/* With the lock held: a call that has not begun, wherever it stands; or NULL. */
static struct skua__call *take_any(struct skua__blocking_pool *pool)
{
    struct skua__link *first = skua__list_pop_front(&pool->ready);
    for (struct skua__link *at = pool->classes.head.next;
         first == NULL && at != &pool->classes.head; at = at->next) {
        first = skua__list_pop_front(&SKUA_CONTAINER(at, skua_blocking_class, link)->queue);
    }
    return first != NULL ? SKUA_CONTAINER(first, struct skua__call, link) : NULL;
}

/* Calls that are left now were abandoned before they began: else there would be a task. */
static void drop_all(struct skua__blocking_pool *pool)
{
    struct skua__call *call = NULL;
    while ((call = take_any(pool)) != NULL) {
        skua_require(call->is_abandoned);
        if (call->is_counted) {
            skua__blocking_give_back(call->class);
            skua__blocking_class_settle(call->class);
        }
        skua__blocking_unlock(pool);
        skua__blocking_drop(call);
        skua__blocking_lock(pool);
    }
}

void skua__blocking_end_threads(struct skua__blocking_pool *pool)
{
    struct skua__link *link = NULL;
    skua__blocking_lock(pool);
    skua__store(&pool->is_ending, true, relaxed);
    drop_all(pool);
    while ((link = skua__list_pop_front(&pool->idle)) != NULL) {
        ring(SKUA_CONTAINER(link, struct skua__blocking_thread, link));
    }
    while (pool->threads > 0 || pool->has_ended) {
        const uint32_t ends = skua__load(&pool->ends, relaxed);
        const bool has_ended = pool->has_ended;
        const pthread_t ended = pool->ended;
        pool->has_ended = false;
        skua__blocking_unlock(pool);
        if (has_ended) {
            pthread_join(ended, NULL);
        } else {
            skua__futex_wait(&pool->ends, ends, SKUA__NEVER, false);
        }
        skua__blocking_lock(pool);
    }
    skua__blocking_unlock(pool);
}
