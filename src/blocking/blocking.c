/* The blocking pool: threads that exist to be blocked.

   A call is a record in the frame of its task. It is either handed to one particular thread (an
   idle one, the latest to become idle first; else a new one), or, when all threads are busy and no
   more are allowed, it queues, and a thread that is through with its call takes it from there.

       QUEUED ---> STARTED ---> DONE     take_next(), finish()
          \---> REFUSED                  no thread could be started and there is none: refuse_all()
          \---> (withdrawn)              by the deadline or a cancel, in await()

   Invariants, all under the pool's lock:
     (B1) The queue is empty as long as a thread is idle: submit() queues only when none is, and
          finish() becomes idle only when the queue is empty. So no queued call waits for nothing.
     (B2) Who takes a thread out of the idle list rings its bell, once, after the unlock. A thread
          whose time is over and who is no longer in the list waits for that bell.
     (B3) A call that is STARTED is awaited whatever happens, since it uses the caller's memory. The
          record may be gone as soon as the lock is given back after DONE.
     (B4) A thread leaves the count of threads under the same lock under which it leaves the idle
          list by itself, so that nobody counts on it any more.
     (B5) A thread that ends joins the one that ended before it: at most one is unjoined at any
          time, and destroy() joins that one.

   A thread becomes idle before it wakes its caller, so that calls in sequence share one thread.
   When destroy() comes there are no tasks, hence no calls, hence all threads are idle.

   Rejected: one condition variable for all threads (it wakes whom it likes, so that no thread is
   ever idle for long enough to end); withdrawing a started call (what may be abandoned has to own a
   copy of its argument). */
#define _GNU_SOURCE 1
#include "blocking/blocking.h"

#include "base/futex.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/panic.h"
#include "sched/local.h"
#include "sched/service.h"
#include "sched/waiter.h"

#include <pthread.h>
#include <signal.h>
#include <skua/blocking.h>
#include <stdio.h>

_Atomic int64_t skua__blocking_idle_ns = SKUA_SEC(5);

enum {
    NAME_BYTES = 16,   /* what the kernel keeps of a thread's name, with the final zero */
    SUFFIX_BYTES = 8,  /* of them for "-b" and the number */
    NUMBER_MAX = 9999, /* then they repeat */
};

enum call_state { QUEUED, STARTED, DONE, REFUSED };

/* In the frame of skua_blocking(). */
struct call {
    struct skua__link link; /* in the queue while QUEUED */
    skua_fn fn;
    void *arg;
    skua_task *task;
    enum call_state state;
    int result;                  /* DONE: fn's; REFUSED: why */
    struct skua__waiter *waiter; /* NULL: the caller does not wait (yet, or any more) */
};

struct thread {
    struct skua__link link; /* in the idle list */
    struct pool *pool;
    struct call *call;     /* from who takes the thread out of the idle list; NULL: end */
    _Atomic uint32_t bell; /* 1: taken out, `call` is there */
    pthread_t id;          /* for destroy() only: the thread itself may run before it is written */
    char name[NAME_BYTES];
};

struct pool {
    /* Constant. */
    struct skua__service service;
    uint32_t threads_max;
    const char *name;

    /* Under the lock. */
    struct skua__lock lock;
    struct skua__list queue; /* of calls, oldest first */
    struct skua__list idle;  /* of threads, latest first */
    uint32_t threads;
    uint32_t started; /* ever, for the names */
    bool has_ended;
    pthread_t ended; /* if has_ended: waits to be joined */
};

static int pool_create(skua_runtime *runtime, struct skua__service **out);
static int submit(struct pool *pool, struct call *call, bool is_now);
static int await(struct pool *pool, struct call *call, int64_t start_by_ns);

int skua_blocking(skua_fn fn, void *arg, skua_time start_by)
{
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
    if (skua_runtime_current() == NULL) {
        return fn(arg);
    }
    struct skua__service *service;
    status = skua__service_get(SKUA__SERVICE_BLOCKING, &service, pool_create);
    if (status < 0) {
        return status;
    }
    struct pool *pool = SKUA_CONTAINER(service, struct pool, service);
    struct call call = {.fn = fn, .arg = arg, .task = skua_self()};
    status = submit(pool, &call, skua__is_now(start_by));
    return status < 0 ? status : await(pool, &call, skua__deadline_ns(start_by));
}

static void pool_lock(struct pool *pool)
{
    skua__lock(&pool->lock, SKUA__RANK_BLOCKING);
}

static void pool_unlock(struct pool *pool)
{
    skua__unlock(&pool->lock, SKUA__RANK_BLOCKING);
}

/* What a thread does. */

/* With the lock held: the call's end. Returns the parker to wake after the unlock, or NULL. */
static struct skua__parker *settle(struct call *call, enum call_state state, int result)
{
    struct skua__waiter *waiter = call->waiter;
    call->state = state;
    call->result = result;
    return waiter != NULL && skua__waiter_claim(waiter) ? waiter->parker : NULL;
}

/* With the lock held: the oldest call of the queue, started; or NULL. */
static struct call *take_next(struct pool *pool)
{
    struct skua__link *first = skua__list_pop_front(&pool->queue);
    if (first == NULL) {
        return NULL;
    }
    struct call *next = SKUA_CONTAINER(first, struct call, link);
    next->state = STARTED;
    return next;
}

/* The call has returned. Gives the next one, or NULL: the thread is idle now. */
static struct call *finish(struct thread *self, struct call *call, int result)
{
    struct pool *pool = self->pool;
    pool_lock(pool);
    struct skua__parker *parker = settle(call, DONE, result);
    struct call *next = take_next(pool);
    if (next == NULL) {
        skua__store(&self->bell, 0, relaxed);
        skua__list_push_front(&pool->idle, &self->link);
    }
    pool_unlock(pool);
    if (parker != NULL) {
        skua__wake(parker);
    }
    return next;
}

/* Idle for long enough. False if the bell is about to ring (B2); else the record is gone. */
static bool retire(struct thread *self)
{
    struct pool *pool = self->pool;
    pool_lock(pool);
    if (!skua__link_is_linked(&self->link)) {
        pool_unlock(pool);
        return false;
    }
    skua__list_remove(&self->link);
    pool->threads--;
    bool has_predecessor = pool->has_ended;
    pthread_t predecessor = pool->ended;
    pool->has_ended = true;
    pool->ended = pthread_self();
    pool_unlock(pool);

    skua__free(self);
    if (has_predecessor) {
        pthread_join(predecessor, NULL);
    }
    return true;
}

/* Sleep in the idle list. Gives the next call, or NULL for the end of the thread. */
static struct call *rest(struct thread *self)
{
    int64_t until = skua__clock_real_ns() + skua__load(&skua__blocking_idle_ns, relaxed);
    /* acquire: pairs with the release in ring(): the call that was handed over is seen. */
    while (skua__load(&self->bell, acquire) == 0) {
        if (until != SKUA__NEVER && skua__clock_real_ns() >= until) {
            if (retire(self)) {
                return NULL;
            }
            until = SKUA__NEVER;
        }
        skua__futex_wait(&self->bell, 0, until, false);
    }
    return self->call;
}

/* The task waits for it: so its task-locals are there to be read. */
static int make_call(const struct call *call)
{
    skua__locals_lend(call->task);
    int result = call->fn(call->arg);
    skua__locals_lend(NULL);
    return result;
}

static void *thread_main(void *arg)
{
    struct thread *self = arg;
    struct call *call = self->call;
    pthread_setname_np(pthread_self(), self->name);
    while (call != NULL) {
        while (call != NULL) {
            call = finish(self, call, make_call(call));
        }
        call = rest(self);
    }
    return NULL;
}

/* What a caller does. */

/* For a thread that was taken out of the idle list. */
static void ring(struct thread *thread, struct call *call)
{
    thread->call = call;
    /* release: publishes thread->call; pairs with the acquire in rest(). From here on the thread
       may end and its record be gone: the wake touches the address only. */
    skua__store(&thread->bell, 1, release);
    skua__futex_wake(&thread->bell, 1, false);
}

/* A thread that begins with `call`. All signals stay the program's own threads'. */
static int start_thread(struct pool *pool, struct call *call, uint32_t number)
{
    struct thread *thread = skua__alloc(sizeof *thread);
    if (thread == NULL) {
        return -ENOMEM;
    }
    thread->pool = pool;
    thread->call = call;
    snprintf(thread->name, sizeof thread->name, "%.*s-b%u", NAME_BYTES - SUFFIX_BYTES, pool->name,
             number % (NUMBER_MAX + 1));
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread->id, NULL, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        skua__free(thread);
        return -EAGAIN;
    }
    return 0;
}

/* There is no thread, and none can be started: whoever queued because there were others has
   outlived them. With waiters the lock is given back in between; a thread may have come meanwhile.
   */
static void refuse_all(struct pool *pool, int status)
{
    struct skua__wake_list wakes = {0};
    bool is_full = false;
    do {
        struct skua__link *link = NULL;
        pool_lock(pool);
        is_full = false;
        while (!is_full && pool->threads == 0 &&
               (link = skua__list_pop_front(&pool->queue)) != NULL) {
            struct call *call = SKUA_CONTAINER(link, struct call, link);
            struct skua__parker *parker = settle(call, REFUSED, status);
            is_full = parker != NULL && skua__wake_list_add(&wakes, parker);
        }
        pool_unlock(pool);
        skua__wake_list_flush(&wakes);
    } while (is_full);
}

/* A new thread for the call; entered with a thread counted, and without the lock. When that cannot
   be done the call is queued after all, in the hope for the other threads, if there are any. */
static int grow(struct pool *pool, struct call *call, uint32_t number, bool is_now)
{
    int status = start_thread(pool, call, number);
    if (status == 0) {
        return 0;
    }
    struct thread *thread = NULL;
    pool_lock(pool);
    bool is_last = --pool->threads == 0;
    if (!skua__list_is_empty(&pool->idle)) {
        thread = SKUA_CONTAINER(skua__list_pop_front(&pool->idle), struct thread, link);
    } else if (!is_last && !is_now) {
        call->state = QUEUED;
        skua__list_push_back(&pool->queue, &call->link);
        status = 0;
    }
    pool_unlock(pool);
    if (thread != NULL) {
        ring(thread, call);
        return 0;
    }
    if (is_last) {
        refuse_all(pool, status);
    }
    return status;
}

/* Find a thread for the call, or queue it. */
static int submit(struct pool *pool, struct call *call, bool is_now)
{
    pool_lock(pool);
    struct skua__link *first = skua__list_pop_front(&pool->idle);
    if (first != NULL) {
        call->state = STARTED;
        pool_unlock(pool);
        ring(SKUA_CONTAINER(first, struct thread, link), call);
        return 0;
    }
    if (pool->threads < pool->threads_max) {
        uint32_t number = pool->started++;
        pool->threads++;
        call->state = STARTED;
        pool_unlock(pool);
        return grow(pool, call, number, is_now);
    }
    if (!is_now) {
        skua__list_push_back(&pool->queue, &call->link);
    }
    pool_unlock(pool);
    return is_now ? -EAGAIN : 0;
}

/* One wait for the call to be settled; 0 if the caller has to look again, else why it was
   withdrawn. */
static int await_once(struct pool *pool, struct call *call, int64_t start_by_ns)
{
    bool is_queued = call->state == QUEUED;
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__wait_begin_for(&wait, is_queued ? SKUA__SOFT : SKUA__HARD, "a blocking call");
    skua__waiter_init(&waiter, &wait, 0, NULL);
    call->waiter = &waiter;
    pool_unlock(pool);
    int cause = skua__wait_park_real(&wait, is_queued ? start_by_ns : SKUA__NEVER);

    pool_lock(pool);
    call->waiter = NULL;
    if (cause >= 0 || cause == SKUA__RECHECK || call->state != QUEUED) {
        return 0;
    }
    skua__list_remove(&call->link);
    return cause;
}

static int await(struct pool *pool, struct call *call, int64_t start_by_ns)
{
    int cause = 0;
    pool_lock(pool);
    while (cause == 0 && (call->state == QUEUED || call->state == STARTED)) {
        cause = await_once(pool, call, start_by_ns);
    }
    pool_unlock(pool);
    return cause < 0 ? cause : call->result;
}

/* The service. */

static void pool_destroy(struct skua__service *service)
{
    struct pool *pool = SKUA_CONTAINER(service, struct pool, service);
    struct skua__link *link = NULL;
    pool_lock(pool);
    while ((link = skua__list_pop_front(&pool->idle)) != NULL) {
        pool->threads--;
        pool_unlock(pool);
        struct thread *thread = SKUA_CONTAINER(link, struct thread, link);
        ring(thread, NULL);
        pthread_join(thread->id, NULL);
        skua__free(thread);
        pool_lock(pool);
    }
    bool has_ended = pool->has_ended;
    skua_require(pool->threads == 0);
    pool_unlock(pool);
    if (has_ended) {
        pthread_join(pool->ended, NULL);
    }
    skua__free(pool);
}

static int pool_create(skua_runtime *runtime, struct skua__service **out)
{
    struct pool *pool = skua__alloc(sizeof *pool);
    if (pool == NULL) {
        return -ENOMEM;
    }
    pool->service.destroy = pool_destroy;
    pool->threads_max = skua__runtime_blocking_threads_max(runtime);
    pool->name = skua__runtime_name(runtime);
    skua_require(pool->threads_max > 0);
    skua__list_init(&pool->queue);
    skua__list_init(&pool->idle);
    *out = &pool->service;
    return 0;
}
