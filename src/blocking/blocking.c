/* The blocking pool: threads that exist to be blocked, and classes of calls that share them.

   A call is a record in the frame of its caller, or, if it may be abandoned, in memory of its own.
   A class lets only so many of its calls run; there may be as many threads as all classes together
   let run, so that each of these calls has a thread whatever the others do.

       QUEUED ---> PROMISED ---> STARTED ---> DONE     enqueue(), take(), finish()
          |           |------> REFUSED                 no thread could be started, and there is none
          \-----------\------> (withdrawn)             by the deadline or a cancel, in wait_once()

   QUEUED is in the queue of its class; PROMISED in the pool's list `ready`, and counted in
   class->running. A promised call is beyond its deadline's reach: its wait for a thread is over,
   but for the moments until that has woken up.

   Invariants, all under the pool's lock:
     (B1) As long as calls are ready somebody is coming for them: a thread that was rung or started.
          When it arrives it takes one, and, if there are more, summons the next before it begins.
          So whatever a call does, the next one is not kept waiting by it; yet a burst of short
          calls costs few wake-ups, since those who are awake take what is there.
     (B2) Who takes a thread out of the idle list rings its bell, once, after the unlock. A thread
          whose time is over and who is no longer in the list waits for that bell.
     (B3) A call that is STARTED is awaited whatever happens, since it uses the caller's memory;
          unless it may be abandoned. The record may be gone as soon as its waiter is claimed.
     (B4) A thread leaves the count of threads under the same lock under which it leaves the idle
          list by itself, so that nobody counts on it any more.
     (B5) A thread that ends joins the one that ended before it: at most one is unjoined at any
          time, and the end of the pool joins that one.
     (B6) class->queue is empty as long as class->running is below the limit. Whoever lowers the
          count promises the oldest of the queue.

   A thread looks for its next call before it wakes its caller, so that calls in sequence share one
   thread. When the end comes there are no tasks, hence no callers; abandoned calls that have not
   begun are dropped, those that run are awaited.

   Rejected: threads for each class (the slow class keeps its idle threads for itself); one
   condition variable for all threads (it wakes whom it likes, so that no thread is ever idle for
   long enough to end); handing each call to one thread (a wake-up for each call, however short they
   are). */
#include "base/mem.h"
#include "base/panic.h"
#include "blocking/pool.h"
#include "sched/report.h"

#include <stdalign.h>
#include <string.h>

enum { CLASS_THREADS_MAX = 1 << 20 };

static int pool_create(skua_runtime *runtime, struct skua__service **out);

/* --- one call --------------------------------------------------------------------------------- */

/* With the lock held. */
static int enqueue(struct skua__call *call, bool is_now)
{
    skua_blocking_class *class = call->class;
    if (class->running < class->limit) {
        class->running++;
        call->state = SKUA__CALL_PROMISED;
        call->is_counted = true;
        skua__list_push_back(&class->pool->ready, &call->link);
    } else if (is_now) {
        return -EAGAIN;
    } else {
        skua__list_push_back(&class->queue, &call->link);
    }
    class->callers += !call->is_abandoned;
    return 0;
}

/* With the lock held: it has not started, and will not. */
static void withdraw(struct skua__call *call)
{
    skua__list_remove(&call->link);
    call->class->callers--;
    if (call->is_counted) {
        skua__blocking_give_back(call->class);
    }
}

/* With the lock held: the caller leaves a call that has started to itself. */
static void abandon(struct skua__call *call)
{
    call->is_abandoned = true;
    call->class->callers--;
}

/* One wait, begun with the lock held. 1: the call is settled, and the lock is not held. Else it is
   held again, and the wait was ended for this reason, or has to be begun anew (0). */
static int wait_once(struct skua__call *call, enum skua__wait_kind kind, int64_t deadline_ns)
{
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__wait_begin_for(&wait, kind, "a blocking call");
    skua__waiter_init(&waiter, &wait, 0, NULL);
    call->waiter = &waiter;
    struct skua__blocking_pool *pool = call->class->pool;
    skua__blocking_unlock(pool);
    const int cause = skua__wait_park_real(&wait, deadline_ns);
    if (cause >= 0) {
        return 1;
    }
    skua__blocking_lock(pool);
    call->waiter = NULL;
    return cause == SKUA__RECHECK ? 0 : cause;
}

/* Until it is settled, withdrawn or abandoned. Entered with the lock held, leaves without. False:
   it was abandoned, and the record is somebody else's. */
static bool await(struct skua__call *call, skua_time deadline, int *result)
{
    struct skua__blocking_pool *pool = call->class->pool;
    const bool is_bound = !call->is_abandonable;
    while (call->state < SKUA__CALL_DONE) {
        const bool is_hard = is_bound && call->state == SKUA__CALL_STARTED;
        const bool is_unlimited = is_bound && call->state != SKUA__CALL_QUEUED;
        const int cause = wait_once(call, is_hard ? SKUA__HARD : SKUA__SOFT,
                                    is_unlimited ? SKUA__NEVER : skua__deadline_ns(deadline));
        if (cause == 1) {
            *result = call->result;
            return true;
        }
        const bool is_kept_promise =
            is_bound && call->state == SKUA__CALL_PROMISED && cause == -ETIMEDOUT;
        if (cause < 0 && call->state < SKUA__CALL_STARTED && !is_kept_promise) {
            withdraw(call);
            skua__blocking_unlock(pool);
            *result = cause;
            return true;
        }
        if (cause < 0 && call->state == SKUA__CALL_STARTED && !is_bound) {
            abandon(call);
            skua__blocking_unlock(pool);
            *result = cause;
            return false;
        }
    }
    skua__blocking_unlock(pool);
    *result = call->result;
    return true;
}

/* Queue the call and summon a thread, if need be. 0: the lock is held. */
static int submit(struct skua__call *call, bool is_now)
{
    struct skua__blocking_pool *pool = call->class->pool;
    skua__blocking_lock(pool);
    int status = enqueue(call, is_now);
    const struct skua__blocking_summons summons = skua__blocking_summon(pool);
    if (status == 0 && (summons.sleeper != NULL || summons.starts)) {
        skua__blocking_unlock(pool);
        const int fetched = skua__blocking_fetch(pool, summons);
        skua__blocking_lock(pool);
        if (fetched < 0 && is_now && call->state == SKUA__CALL_QUEUED) {
            withdraw(call);
            status = fetched;
        }
    }
    if (status < 0) {
        skua__blocking_unlock(pool);
    }
    return status;
}

/* The class of a call, in a task. */
static int find_class(skua_blocking_class *wanted, skua_blocking_class **out)
{
    struct skua__service *service = NULL;
    int status = skua__service_get(SKUA__SERVICE_BLOCKING, &service, pool_create);
    if (status < 0) {
        return status;
    }
    struct skua__blocking_pool *pool = SKUA_CONTAINER(service, struct skua__blocking_pool, service);
    *out = wanted != NULL ? wanted : &pool->common;
    return (*out)->pool == pool ? 0 : -EINVAL;
}

int skua_blocking_in(skua_blocking_class *blocking_class, skua_fn fn, void *arg, skua_time start_by)
{
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
    if (skua_runtime_current() == NULL) {
        return fn(arg);
    }
    struct skua__call call = {.fn = fn, .arg = arg, .task = skua_self()};
    status = find_class(blocking_class, &call.class);
    if (status == 0) {
        status = submit(&call, skua__is_now(start_by));
    }
    if (status == 0) {
        (void)await(&call, start_by, &status);
    }
    return status;
}

int skua_blocking(skua_fn fn, void *arg, skua_time start_by)
{
    return skua_blocking_in(NULL, fn, arg, start_by);
}

/* --- calls that may be abandoned -------------------------------------------------------------- */

/* The copy of the argument follows the record. */
struct abandonable {
    struct skua__call call;
    alignas(max_align_t) char arg[];
};

static void give_up(void (*drop)(void *arg), void *arg)
{
    if (drop != NULL) {
        drop(arg);
    }
}

int skua_blocking_abandonable(skua_blocking_class *blocking_class, skua_fn fn, void *arg,
                              size_t arg_bytes, void (*drop)(void *arg), skua_time deadline)
{
    skua_blocking_class *class = NULL;
    int status = skua__cancel_point();
    if (status < 0) {
        if (status == -ECANCELED) {
            give_up(drop, arg);
        }
        return status;
    }
    if (skua_runtime_current() == NULL) {
        return fn(arg);
    }
    status = find_class(blocking_class, &class);
    if (status < 0 || skua__is_now(deadline)) {
        return status < 0 ? status : -EAGAIN;
    }
    struct abandonable *own = skua__alloc(sizeof *own + arg_bytes);
    if (own == NULL) {
        return -ENOMEM;
    }
    own->call = (struct skua__call){
        .fn = fn, .arg = own->arg, .class = class, .drop = drop, .is_abandonable = true};
    if (arg_bytes > 0) {
        memcpy(own->arg, arg, arg_bytes);
    }
    bool is_ours = true;
    status = submit(&own->call, false);
    if (status == 0) {
        is_ours = await(&own->call, deadline, &status);
    }
    if (!is_ours) {
        return status;
    }
    if (own->call.state == SKUA__CALL_DONE && arg_bytes > 0) {
        memcpy(arg, own->arg, arg_bytes);
    } else if (own->call.state < SKUA__CALL_STARTED &&
               (status == -ETIMEDOUT || status == -ECANCELED)) {
        give_up(drop, own->arg); /* as if it had been abandoned: the caller need not know which */
    }
    skua__free(own);
    return status;
}

int skua__blocking_begin(skua_blocking_class *blocking_class, skua_fn fn, void *arg,
                         void (*drop)(void *arg))
{
    struct skua__call *call = skua__alloc(sizeof *call);
    if (call == NULL) {
        return -ENOMEM;
    }
    struct skua__blocking_pool *pool = blocking_class->pool;
    *call = (struct skua__call){
        .fn = fn, .arg = arg, .class = blocking_class, .drop = drop, .is_abandoned = true};
    skua__blocking_lock(pool);
    int status = enqueue(call, false);
    const struct skua__blocking_summons summons = skua__blocking_summon(pool);
    skua__blocking_unlock(pool);
    (void)skua__blocking_fetch(pool, summons); /* without any thread it drops the call */
    return status;
}

/* --- classes ---------------------------------------------------------------------------------- */

/* Takes over the name, also when it fails. */
static int make_class(skua_blocking_class **out, char *name, uint32_t threads_max)
{
    skua_blocking_class *common = NULL;
    int status = find_class(NULL, &common);
    skua_blocking_class *class = status == 0 ? skua__alloc(sizeof *class) : NULL;
    if (class == NULL) {
        skua__free(name);
        return status < 0 ? status : -ENOMEM;
    }
    class->pool = common->pool;
    class->limit = threads_max;
    class->name = name;
    skua__list_init(&class->queue);
    skua__blocking_lock(class->pool);
    class->pool->threads_max += threads_max;
    skua__list_push_back(&class->pool->classes, &class->link);
    skua__blocking_unlock(class->pool);
    *out = class;
    return 0;
}

int skua__blocking_class_create(skua_blocking_class **out, uint32_t threads_max)
{
    return make_class(out, NULL, threads_max < CLASS_THREADS_MAX ? threads_max : CLASS_THREADS_MAX);
}

int skua_blocking_class_create(skua_blocking_class **out, const char *name, uint32_t threads_max)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (skua_runtime_current() == NULL) {
        return -EPERM;
    }
    if (threads_max == 0 || threads_max > CLASS_THREADS_MAX) {
        return -EINVAL;
    }
    char *copy = skua__alloc_string(name != NULL ? name : "class");
    return copy != NULL ? make_class(out, copy, threads_max) : -ENOMEM;
}

void skua_blocking_class_destroy(skua_blocking_class *blocking_class)
{
    if (blocking_class == NULL || skua__forked()) {
        return;
    }
    struct skua__blocking_pool *pool = blocking_class->pool;
    skua__blocking_lock(pool);
    if (blocking_class->callers > 0) {
        skua__panic("a class of blocking calls is destroyed while %u wait for calls of it",
                    blocking_class->callers);
    }
    pool->threads_max -= blocking_class->limit;
    skua__list_remove(&blocking_class->link);
    blocking_class->is_destroyed = true;
    skua__blocking_class_settle(blocking_class);
    skua__blocking_unlock(pool);
}

/* --- the service ------------------------------------------------------------------------------ */

static void free_classes(struct skua__blocking_pool *pool)
{
    struct skua__link *link = NULL;
    while ((link = skua__list_pop_front(&pool->classes)) != NULL) {
        skua_blocking_class *class = SKUA_CONTAINER(link, skua_blocking_class, link);
        if (class->name != NULL) {
            skua__runtime_report(pool->service.runtime, SKUA_REPORT_LEFT,
                                 "the class '%s' of blocking calls was not destroyed", class->name);
        }
        skua__free(class->name);
        skua__free(class);
    }
}

static void pool_destroy(struct skua__service *service)
{
    struct skua__blocking_pool *pool = SKUA_CONTAINER(service, struct skua__blocking_pool, service);
    skua__blocking_end_threads(pool);
    free_classes(pool);
    skua__free(pool);
}

static int pool_create(skua_runtime *runtime, struct skua__service **out)
{
    struct skua__blocking_pool *pool = skua__alloc(sizeof *pool);
    if (pool == NULL) {
        return -ENOMEM;
    }
    pool->service.destroy = pool_destroy;
    pool->name = skua__runtime_name(runtime);
    pool->threads_max = skua__runtime_blocking_threads_max(runtime);
    skua_require(pool->threads_max > 0);
    skua__list_init(&pool->ready);
    skua__list_init(&pool->idle);
    skua__list_init(&pool->classes);
    pool->common.pool = pool;
    pool->common.limit = pool->threads_max;
    skua__list_init(&pool->common.queue);
    *out = &pool->service;
    return 0;
}
