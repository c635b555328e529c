/* A pool of things that are lent.

   What counts is places: there are open_max of them, and each thing has one from before it is
   opened until after it is closed, so that there are never more things than places. A place is

       opening --- open() ---> lent --- release ---> idle --- acquire ---> (checked, then) lent
          |                     |                      |
          \--- a failure        \--- broken, old,      \--- idle for too long, too old, unhealthy
                                     too many

   and afterwards free, or another's. Invariants, under the pool's lock:

     (P1) While somebody waits there is neither an idle thing nor a free place: whoever brings one
          gives it to the first in line, by a claim, before the unlock.
     (P2) Who was given a place (not a thing) may be cancelled all the same; he opens, fails with
          that, and gives the place on like after every other failure. Nothing is lost.
     (P3) open(), close() and is_healthy() are called without the lock, by who owns the place.
     (P4) What `generation` has passed by is closed when it comes back.
     (P5) The keeper, a task that closes what is idle for too long, is started with the first thing
          that becomes idle, if there is such a limit, and ends with the pool. Without memory for it
          the next one tries again; meanwhile things that are too old are closed when they are met.

   Rejected: a handle for each lease (users would carry two pointers); closing idle things by a
   timer's callback (close() may take long, and other callbacks would wait for it). */
#include "base/clock.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/panic.h"
#include "net/lease.h"
#include "sched/runtime.h"
#include "sched/waiter.h"

#include <skua/conn_pool.h>
#include <skua/scope.h>
#include <skua/sync.h>
#include <skua/task.h>

enum { OPEN_MAX = 8 };

/* What a waiter is given, in its `result`; a thing is in its `item`. */
enum grant { A_THING, A_PLACE, CLOSED };

struct skua_conn_pool {
    /* Constant. */
    skua_conn_pool_opts opts; /* but for open_max, which is under the lock */
    const skua_runtime *runtime;

    /* Under the lock. */
    struct skua__lock lock;
    bool is_closed;
    size_t places; /* taken */
    size_t opening;
    uint64_t generation;
    struct skua__list idle; /* of leases, latest first */
    size_t idle_count;
    struct skua__lease_table lent;
    struct skua__list waiters; /* of skua__waiter, oldest first */
    size_t waiting;
    struct skua__list closers; /* who wait for the last place to be free */
    size_t closing;            /* how many */
    skua_conn_pool_counts counts;
    bool has_keeper;            /* or somebody is about to start it */
    skua_task *keeper;          /* NULL: not there (yet) */
    struct skua__waiter *stirs; /* the keeper's, while it rests */
    int64_t rests_until_ns;     /* then */
};

static void pool_lock(skua_conn_pool *pool)
{
    skua__lock(&pool->lock, SKUA__RANK_CHAN);
}

static void pool_unlock(skua_conn_pool *pool)
{
    skua__unlock(&pool->lock, SKUA__RANK_CHAN);
}

static struct skua__lease *lease_at(struct skua__link *link)
{
    return SKUA_CONTAINER(link, struct skua__lease, link);
}

/* --- places (with the lock held) ---------------------------------------------------------------
   */

/* The first in line that can be served, claimed, with this grant; or NULL. */
static struct skua__parker *grant(skua_conn_pool *pool, enum grant what, struct skua__lease *lease)
{
    struct skua__link *link = NULL;
    while ((link = skua__list_pop_front(&pool->waiters)) != NULL) {
        struct skua__waiter *waiter = SKUA_CONTAINER(link, struct skua__waiter, link);
        pool->waiting--;
        if (skua__waiter_claim(waiter)) {
            waiter->result = (int)what;
            waiter->item = lease;
            return waiter->parker;
        }
    }
    return NULL;
}

/* A place has become free, or there are more: to the first in line. Gives the parker to wake. */
static struct skua__parker *offer_place(skua_conn_pool *pool)
{
    if (pool->is_closed || pool->places >= pool->opts.open_max) {
        return NULL;
    }
    struct skua__parker *parker = grant(pool, A_PLACE, NULL);
    if (parker != NULL) {
        pool->places++;
        pool->opening++;
    }
    return parker;
}

/* All in the list, claimed; a chunk at a time. True: there are more. */
static bool claim_all(struct skua__list *list, size_t *count, int result,
                      struct skua__wake_list *wakes)
{
    struct skua__link *link = NULL;
    while ((link = skua__list_pop_front(list)) != NULL) {
        struct skua__waiter *waiter = SKUA_CONTAINER(link, struct skua__waiter, link);
        --*count;
        if (skua__waiter_claim(waiter)) {
            waiter->result = result;
            if (skua__wake_list_add(wakes, waiter->parker)) {
                return true;
            }
        }
    }
    return false;
}

/* A place is given back. Entered with the lock held, leaves without. */
static void free_place(skua_conn_pool *pool)
{
    struct skua__wake_list wakes;
    skua__wake_list_init(&wakes);
    pool->places--;
    struct skua__parker *parker = offer_place(pool);
    bool has_more = pool->is_closed && pool->places == 0;
    while (has_more) {
        has_more = claim_all(&pool->closers, &pool->closing, 0, &wakes);
        if (has_more) {
            pool_unlock(pool);
            skua__wake_list_flush(&wakes);
            pool_lock(pool);
        }
    }
    pool_unlock(pool);
    skua__wake_list_flush(&wakes);
    if (parker != NULL) {
        skua__wake(parker);
    }
}

/* --- closing things --------------------------------------------------------------------------- */

struct closing {
    skua_conn_pool *pool;
    struct skua__lease *lease;
};

static int close_thing(void *arg)
{
    const struct closing *closing = arg;
    closing->pool->opts.close(closing->lease->thing, closing->pool->opts.arg);
    return 0;
}

/* Without the lock: close it, and free its place. */
static void close_lease(skua_conn_pool *pool, struct skua__lease *lease)
{
    struct closing closing = {.pool = pool, .lease = lease};
    int status = skua_shielded(skua_after(pool->runtime->cleanup_ns), close_thing, &closing);
    (void)status;
    skua__free(lease);
    pool_lock(pool);
    pool->counts.closed++;
    free_place(pool);
}

static void close_leases(skua_conn_pool *pool, struct skua__list *leases)
{
    struct skua__link *link = NULL;
    while ((link = skua__list_pop_front(leases)) != NULL) {
        close_lease(pool, lease_at(link));
    }
}

/* With the lock held: from the idle ones to those that are to be closed. */
static void condemn(skua_conn_pool *pool, struct skua__lease *lease, struct skua__list *condemned)
{
    skua__list_remove(&lease->link);
    skua__list_push_back(condemned, &lease->link);
    pool->idle_count--;
}

static void condemn_all(skua_conn_pool *pool, struct skua__list *condemned)
{
    while (!skua__list_is_empty(&pool->idle)) {
        condemn(pool, lease_at(skua__list_first(&pool->idle)), condemned);
    }
}

/* --- growing old ------------------------------------------------------------------------------ */

static int64_t sum_ns(int64_t start_ns, int64_t duration_ns)
{
    return duration_ns == 0 || start_ns > SKUA__NEVER - duration_ns ? SKUA__NEVER
                                                                    : start_ns + duration_ns;
}

static bool is_too_old(const skua_conn_pool *pool, const struct skua__lease *lease, int64_t now_ns)
{
    return sum_ns(lease->opened_ns, pool->opts.age_ns) <= now_ns;
}

/* The moment at which an idle thing has to be closed. */
static int64_t end_of(const skua_conn_pool *pool, const struct skua__lease *lease)
{
    const int64_t by_age_ns = sum_ns(lease->opened_ns, pool->opts.age_ns);
    const int64_t by_idleness_ns = sum_ns(lease->idle_since_ns, pool->opts.idle_ns);
    return by_age_ns < by_idleness_ns ? by_age_ns : by_idleness_ns;
}

/* Takes out what is over. Returns when the next one will be. */
static int64_t condemn_old(skua_conn_pool *pool, struct skua__list *condemned)
{
    const int64_t now_ns = skua__clock_ns();
    int64_t next_ns = SKUA__NEVER;
    struct skua__link *next = NULL;
    for (struct skua__link *link = pool->idle.head.next; link != &pool->idle.head; link = next) {
        next = link->next;
        const int64_t end_ns = end_of(pool, lease_at(link));
        if (end_ns <= now_ns) {
            condemn(pool, lease_at(link), condemned);
        } else if (end_ns < next_ns) {
            next_ns = end_ns;
        }
    }
    return next_ns;
}

/* Until the moment, or until something has become idle that is to be closed before. */
static int rest(skua_conn_pool *pool, int64_t until_ns)
{
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__wait_begin_for(&wait, SKUA__SOFT, "things to grow old");
    skua__waiter_init(&waiter, &wait, 0, NULL);
    pool->stirs = &waiter;
    pool->rests_until_ns = until_ns;
    pool_unlock(pool);
    const int cause = skua__wait_park(&wait, until_ns);
    pool_lock(pool);
    pool->stirs = NULL;
    return cause == -ECANCELED ? cause : 0;
}

/* The keeper (P5). */
static int keep(void *arg)
{
    skua_conn_pool *pool = arg;
    int status = 0;
    pool_lock(pool);
    while (status == 0) {
        struct skua__list condemned;
        skua__list_init(&condemned);
        const int64_t next_ns = condemn_old(pool, &condemned);
        if (skua__list_is_empty(&condemned)) {
            status = rest(pool, next_ns);
        } else {
            pool_unlock(pool);
            close_leases(pool, &condemned);
            pool_lock(pool);
        }
    }
    pool_unlock(pool);
    return status;
}

/* With the lock held: something has become idle, until then at most. Gives the parker to wake. */
static struct skua__parker *stir_keeper(skua_conn_pool *pool, int64_t end_ns)
{
    struct skua__waiter *waiter = pool->stirs;
    if (waiter == NULL || end_ns >= pool->rests_until_ns) {
        return NULL;
    }
    pool->stirs = NULL;
    return waiter != NULL && skua__waiter_claim(waiter) ? waiter->parker : NULL;
}

/* Without it, by who has a place: so that the pool stays. */
static void ensure_keeper(skua_conn_pool *pool)
{
    const skua_spawn_opts opts = {.name = pool->opts.name};
    skua_task *made = NULL;
    if (pool->opts.idle_ns == 0 && pool->opts.age_ns == 0) {
        return;
    }
    pool_lock(pool);
    const bool is_mine = !pool->has_keeper && !pool->is_closed;
    pool->has_keeper = pool->has_keeper || is_mine;
    pool_unlock(pool);
    if (!is_mine) {
        return;
    }
    int status = skua_spawn(&made, keep, pool, &opts);
    pool_lock(pool);
    pool->has_keeper = status == 0; /* (P5) */
    pool->keeper = made;
    pool_unlock(pool);
}

/* --- giving back ------------------------------------------------------------------------------ */

/* With the lock held: may others use it? */
static bool is_worth_keeping(const skua_conn_pool *pool, const struct skua__lease *lease)
{
    return !pool->is_closed && lease->generation == pool->generation &&
           pool->places <= pool->opts.open_max && !is_too_old(pool, lease, skua__clock_ns());
}

static size_t idle_max(const skua_conn_pool *pool)
{
    return pool->opts.idle_max != 0 ? pool->opts.idle_max : pool->opts.open_max;
}

/* A thing that is good goes to the first in line, or becomes idle. Entered with the lock held,
   leaves without. */
static void pass_on(skua_conn_pool *pool, struct skua__lease *lease)
{
    struct skua__list condemned;
    skua__list_init(&condemned);
    struct skua__parker *parker = grant(pool, A_THING, lease);
    if (parker != NULL) {
        skua__lease_put(&pool->lent, lease);
        pool->counts.acquired++;
    } else {
        lease->idle_since_ns = skua__clock_ns();
        skua__list_push_front(&pool->idle, &lease->link);
        if (++pool->idle_count > idle_max(pool)) {
            condemn(pool, lease_at(pool->idle.head.prev), &condemned);
        }
        parker = stir_keeper(pool, end_of(pool, lease));
    }
    pool_unlock(pool);
    if (parker != NULL) {
        skua__wake(parker);
    }
    close_leases(pool, &condemned); /* each has its place: so the pool is there */
}

static void give_back(skua_conn_pool *pool, void *thing, bool is_good)
{
    if (skua__forked()) {
        return;
    }
    pool_lock(pool);
    struct skua__lease *lease = skua__lease_take(&pool->lent, thing);
    if (lease == NULL) {
        skua__panic("%s: %p is given back, which is not lent", pool->opts.name, thing);
    }
    if (is_good && is_worth_keeping(pool, lease)) {
        pass_on(pool, lease);
    } else {
        pool_unlock(pool);
        close_lease(pool, lease);
    }
}

void skua_conn_pool_release(skua_conn_pool *pool, void *thing)
{
    if (!skua__forked()) {
        ensure_keeper(pool);
    }
    give_back(pool, thing, true);
}

void skua_conn_pool_discard(skua_conn_pool *pool, void *thing)
{
    give_back(pool, thing, false);
}

/* --- opening and looking ---------------------------------------------------------------------- */

/* A call of the user's, under the caller's deadline. */
struct user_call {
    skua_conn_pool *pool;
    void *thing;
    bool is_healthy;
};

static int call_open(void *arg)
{
    struct user_call *call = arg;
    return call->pool->opts.open(&call->thing, call->pool->opts.arg);
}

static int call_is_healthy(void *arg)
{
    struct user_call *call = arg;
    call->is_healthy = call->pool->opts.is_healthy(call->thing, call->pool->opts.arg);
    return 0;
}

static int within(skua_time deadline, skua_fn fn, struct user_call *call)
{
    return skua__deadline_ns(deadline) == SKUA__NEVER ? fn(call) : skua_within(deadline, fn, call);
}

/* The caller has a place, and opens something for it. */
static int open_thing(skua_conn_pool *pool, void **thing, skua_time deadline)
{
    struct user_call call = {.pool = pool};
    struct skua__lease *lease = skua__alloc(sizeof *lease);
    pool_lock(pool);
    const uint64_t generation = pool->generation;
    pool_unlock(pool);
    int status = lease != NULL ? within(deadline, call_open, &call) : -ENOMEM;
    pool_lock(pool);
    pool->opening--;
    if (status < 0) {
        pool->counts.failures++;
        free_place(pool);
        skua__free(lease);
        return status;
    }
    skua_require(call.thing != NULL);
    *lease = (struct skua__lease){
        .thing = call.thing, .opened_ns = skua__clock_ns(), .generation = generation};
    pool->counts.opened++;
    if (pool->is_closed) {
        pool_unlock(pool);
        close_lease(pool, lease);
        return -EPIPE;
    }
    skua__lease_put(&pool->lent, lease);
    pool->counts.acquired++;
    pool_unlock(pool);
    *thing = call.thing;
    return 0;
}

/* With the lock held: has it to be asked how it is? */
static bool is_to_be_checked(const skua_conn_pool *pool, const struct skua__lease *lease)
{
    return pool->opts.is_healthy != NULL &&
           skua__clock_ns() - lease->idle_since_ns >= pool->opts.check_ns;
}

/* An idle thing that was taken out, and whose place is the caller's. 0: it is his; 1: it is not
   good, and closed, and the place is free; < 0. */
static int check_thing(skua_conn_pool *pool, struct skua__lease *lease, void **thing,
                       skua_time deadline)
{
    struct user_call call = {.pool = pool, .thing = lease->thing};
    int status = within(deadline, call_is_healthy, &call);
    pool_lock(pool);
    pool->opening--;
    if (status == 0 && call.is_healthy && !pool->is_closed) {
        skua__lease_put(&pool->lent, lease);
        pool->counts.acquired++;
        pool_unlock(pool);
        *thing = lease->thing;
        return 0;
    }
    pool->counts.unhealthy += !call.is_healthy;
    pool_unlock(pool);
    close_lease(pool, lease);
    return status < 0 ? status : 1;
}

/* --- acquiring -------------------------------------------------------------------------------- */

enum { AGAIN = 1 }; /* of what is given below: look again from the start */

/* With the lock held: an idle thing that is young enough; what is too old is condemned. */
static struct skua__lease *take_idle(skua_conn_pool *pool, struct skua__list *condemned)
{
    const int64_t now_ns = skua__clock_ns();
    while (!skua__list_is_empty(&pool->idle)) {
        struct skua__lease *lease = lease_at(skua__list_first(&pool->idle));
        if (end_of(pool, lease) > now_ns) {
            skua__list_remove(&lease->link);
            pool->idle_count--;
            return lease;
        }
        condemn(pool, lease, condemned);
    }
    return NULL;
}

/* In line, with the lock held; leaves without. */
static int wait_in_line(skua_conn_pool *pool, void **thing, skua_time deadline)
{
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__wait_begin_for(&wait, SKUA__SOFT, "a pool");
    skua__waiter_init(&waiter, &wait, 0, NULL);
    skua__list_push_back(&pool->waiters, &waiter.link);
    pool->waiting++;
    pool->counts.waits++;
    pool_unlock(pool);
    const int cause = skua__wait_park(&wait, skua__deadline_ns(deadline));
    if (cause < 0) {
        pool_lock(pool);
        if (skua__link_is_linked(&waiter.link)) {
            skua__list_remove(&waiter.link);
            pool->waiting--;
        }
        pool_unlock(pool);
        return cause == SKUA__RECHECK ? AGAIN : cause;
    }
    switch (waiter.result) {
    case A_THING:
        *thing = ((struct skua__lease *)waiter.item)->thing;
        return 0;
    case A_PLACE:
        return open_thing(pool, thing, deadline);
    default:
        return -EPIPE;
    }
}

/* Once around. */
static int try_to_acquire(skua_conn_pool *pool, void **thing, skua_time deadline)
{
    const bool is_now = skua__is_now(deadline);
    struct skua__list condemned;
    skua__list_init(&condemned);
    pool_lock(pool);
    if (pool->is_closed) {
        pool_unlock(pool);
        return -EPIPE;
    }
    struct skua__lease *lease = take_idle(pool, &condemned);
    const bool is_checked = lease != NULL && is_to_be_checked(pool, lease);
    if (lease != NULL && is_now && is_checked) {
        skua__list_push_front(&pool->idle, &lease->link); /* it might not be quick */
        pool->idle_count++;
        lease = NULL;
    }
    int status = is_now ? -EAGAIN : AGAIN;
    if (lease != NULL && !is_checked) {
        skua__lease_put(&pool->lent, lease);
        pool->counts.acquired++;
        *thing = lease->thing;
        status = 0;
    } else if (lease != NULL || (!is_now && pool->places < pool->opts.open_max)) {
        pool->opening++;
        pool->places += lease == NULL;
        pool_unlock(pool);
        close_leases(pool, &condemned);
        return lease != NULL ? check_thing(pool, lease, thing, deadline)
                             : open_thing(pool, thing, deadline);
    } else if (!is_now && skua__list_is_empty(&condemned)) {
        return wait_in_line(pool, thing, deadline);
    }
    pool_unlock(pool);
    close_leases(pool, &condemned); /* which frees places */
    return status;
}

int skua_conn_pool_acquire(skua_conn_pool *pool, void **thing, skua_time deadline)
{
    if (!skua__forked() && skua_runtime_current() == NULL) {
        return -EPERM;
    }
    for (;;) {
        int status = skua__cancel_point();
        status = status < 0 ? status : try_to_acquire(pool, thing, deadline);
        if (status != AGAIN) {
            return status;
        }
    }
}

/* --- more, fewer, none ------------------------------------------------------------------------ */

int skua_conn_pool_resize(skua_conn_pool *pool, size_t open_max)
{
    struct skua__lease_table larger;
    struct skua__wake_list wakes;
    struct skua__list condemned;
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (skua_runtime_current() == NULL) {
        return -EPERM;
    }
    open_max = open_max != 0 ? open_max : OPEN_MAX;
    int status = skua__lease_table_init(&larger, open_max);
    if (status < 0) {
        return status;
    }
    skua__wake_list_init(&wakes);
    skua__list_init(&condemned);
    pool_lock(pool);
    skua__lease_table_move(&pool->lent, &larger);
    struct skua__lease_table before = pool->lent;
    pool->lent = larger;
    pool->opts.open_max = open_max;
    for (size_t over = pool->places > open_max ? pool->places - open_max : 0;
         over > 0 && !skua__list_is_empty(&pool->idle); over--) {
        condemn(pool, lease_at(pool->idle.head.prev), &condemned);
    }
    struct skua__parker *parker = NULL;
    while ((parker = offer_place(pool)) != NULL) {
        if (skua__wake_list_add(&wakes, parker)) {
            pool_unlock(pool);
            skua__wake_list_flush(&wakes);
            pool_lock(pool);
        }
    }
    pool_unlock(pool);
    skua__wake_list_flush(&wakes);
    skua__lease_table_fini(&before);
    close_leases(pool, &condemned);
    return 0;
}

void skua_conn_pool_renew(skua_conn_pool *pool)
{
    struct skua__list condemned;
    skua__list_init(&condemned);
    if (skua__forked()) {
        return;
    }
    pool_lock(pool);
    pool->generation++;
    condemn_all(pool, &condemned);
    pool_unlock(pool);
    close_leases(pool, &condemned);
}

/* From now on nobody gets anything. */
static void shut(skua_conn_pool *pool)
{
    struct skua__wake_list wakes;
    struct skua__list condemned;
    skua__wake_list_init(&wakes);
    skua__list_init(&condemned);
    pool_lock(pool);
    pool->is_closed = true;
    condemn_all(pool, &condemned);
    while (claim_all(&pool->waiters, &pool->waiting, CLOSED, &wakes)) {
        pool_unlock(pool);
        skua__wake_list_flush(&wakes);
        pool_lock(pool);
    }
    pool_unlock(pool);
    skua__wake_list_flush(&wakes);
    close_leases(pool, &condemned);
}

/* Until the last place is free. Entered with the lock held, leaves without. 0: look again. */
static int wait_for_last(skua_conn_pool *pool, skua_time deadline)
{
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__wait_begin_for(&wait, SKUA__SOFT, "the things of a pool");
    skua__waiter_init(&waiter, &wait, 0, NULL);
    skua__list_push_back(&pool->closers, &waiter.link);
    pool->closing++;
    pool_unlock(pool);
    const int cause = skua__wait_park(&wait, skua__deadline_ns(deadline));
    if (cause >= 0) {
        return 0;
    }
    pool_lock(pool);
    if (skua__link_is_linked(&waiter.link)) {
        skua__list_remove(&waiter.link);
        pool->closing--;
    }
    pool_unlock(pool);
    return cause == SKUA__RECHECK ? skua__cancel_point() : cause;
}

int skua_conn_pool_close(skua_conn_pool *pool, skua_time deadline)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    int status = skua__cancel_point();
    shut(pool);
    while (status == 0) {
        pool_lock(pool);
        if (pool->places == 0) {
            pool_unlock(pool);
            return 0;
        }
        if (skua__is_now(deadline)) {
            pool_unlock(pool);
            return -EAGAIN;
        }
        status = wait_for_last(pool, deadline);
    }
    return status;
}

/* --- making and unmaking -----------------------------------------------------------------------
   */

static int join_keeper(void *arg)
{
    return skua_join(arg, NULL, SKUA_FOREVER);
}

static void end_keeper(skua_conn_pool *pool)
{
    pool_lock(pool);
    skua_task *keeper = pool->keeper;
    pool->keeper = NULL;
    pool_unlock(pool);
    if (keeper != NULL) {
        skua_task_cancel(keeper);
        const int status = skua_shielded(SKUA_FOREVER, join_keeper, keeper);
        skua_require(status == 0);
        skua_task_release(keeper);
    }
}

void skua_conn_pool_destroy(skua_conn_pool *pool)
{
    if (pool == NULL || skua__forked()) {
        return;
    }
    pool_lock(pool);
    if (pool->lent.count > 0) {
        skua__panic("%s is destroyed while %zu of its things are lent", pool->opts.name,
                    pool->lent.count);
    }
    if (pool->waiting + pool->opening + pool->closing > 0) {
        skua__panic("%s is destroyed while calls of it are under way", pool->opts.name);
    }
    pool->is_closed = true;
    pool_unlock(pool);
    end_keeper(pool);
    shut(pool);
    skua_require(pool->places == 0);
    skua__lease_table_fini(&pool->lent);
    skua__free(pool);
}

int skua_conn_pool_create(skua_conn_pool **out, const skua_conn_pool_opts *opts)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (skua_runtime_current() == NULL) {
        return -EPERM;
    }
    if (opts->open == NULL || opts->close == NULL || opts->check_ns < 0 || opts->idle_ns < 0 ||
        opts->age_ns < 0) {
        return -EINVAL;
    }
    skua_conn_pool *pool = skua__alloc(sizeof *pool);
    const size_t open_max = opts->open_max != 0 ? opts->open_max : OPEN_MAX;
    if (pool == NULL || skua__lease_table_init(&pool->lent, open_max) < 0) {
        skua__free(pool);
        return -ENOMEM;
    }
    pool->opts = *opts;
    pool->opts.open_max = open_max;
    pool->opts.name = opts->name != NULL ? opts->name : "pool";
    pool->runtime = skua_runtime_current();
    skua__list_init(&pool->idle);
    skua__list_init(&pool->waiters);
    skua__list_init(&pool->closers);
    *out = pool;
    return 0;
}

void skua_conn_pool_count(skua_conn_pool *pool, skua_conn_pool_counts *out)
{
    pool_lock(pool);
    *out = pool->counts;
    out->lent = pool->lent.count;
    out->idle = pool->idle_count;
    out->opening = pool->opening;
    out->waiting = pool->waiting;
    pool_unlock(pool);
}
