/* Pools: creating, closing, and what is left of forgotten ones.

   A pool has two tasks in the runtime of its creator: the supervisor (supervise.c), which owns
   processes and fds, and the reactor (reactor.c), which takes answers. To close a pool is to shut
   down the writing half of its control socket: the zygote kills the workers, reports each death,
   and ends the socket, on which the supervisor ends. It is the same whether the program destroys
   the pool, forgets it, or dies.

   Invariants
   (O1) state goes only from OPEN to BROKEN to CLOSING, or directly.
   (O2) Only skua_pool_destroy() frees a pool, since only it knows that nobody calls any more. A
        pool whose runtime ended first is an orphan: nothing of it is left but its struct, and
        destroy may still come (a program that is being cancelled cleans up while its pools do too).
        Orphans whose destroy has not come when the process exits are reported. */
#include "base/mem.h"
#include "base/panic.h"
#include "pool/lane.h"
#include "pool/state.h"
#include "pool/zygote.h"
#include "sched/service.h"

#include <skua/io.h>
#include <skua/pool_watch.h>
#include <skua/runtime.h>
#include <skua/scope.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUEUE_DEFAULT = 1 << 20 };

static struct skua__lock orphans_lock;
static struct skua__list orphans = {{&orphans.head, &orphans.head}};

void skua__pool_notify(skua_pool *pool, struct skua__after *after)
{
    struct skua__link *link;
    while (!skua__after_is_full(after) && (link = skua__list_pop_front(&pool->watchers)) != NULL) {
        struct skua__waiter *watcher = SKUA_CONTAINER(link, struct skua__waiter, link);
        if (skua__waiter_claim(watcher)) {
            skua__wake_list_add(&after->wakes, watcher->parker);
        }
    }
}

int skua__pool_watch(skua_pool *pool, bool (*is_so)(const skua_pool *pool),
                     enum skua__wait_kind kind, skua_time deadline)
{
    int cause = 0;
    skua__pool_lock(pool);
    while (!is_so(pool) && (cause >= 0 || cause == SKUA__RECHECK)) {
        struct skua__wait wait;
        struct skua__waiter waiter;
        if (skua__is_now(deadline)) {
            cause = -EAGAIN;
            break;
        }
        skua__wait_begin_for(&wait, kind, "a process pool");
        skua__waiter_init(&waiter, &wait, 0, NULL);
        skua__list_push_back(&pool->watchers, &waiter.link);
        skua__pool_unlock(pool);
        cause = skua__wait_park_real(&wait, skua__deadline_ns(deadline));
        skua__pool_lock(pool);
        if (skua__link_is_linked(&waiter.link)) {
            skua__list_remove(&waiter.link);
        }
    }
    const bool holds = is_so(pool);
    skua__pool_unlock(pool);
    return holds || cause == SKUA__RECHECK || cause >= 0 ? 0 : cause;
}

static bool has_started(const skua_pool *pool)
{
    return pool->started || pool->start_error != 0 || pool->state != SKUA__POOL_OPEN;
}

static bool is_deserted(const skua_pool *pool)
{
    return pool->finished && pool->callers == 0;
}

/* A process's part in the end of its pool. (L) */
static void stop_process(struct skua__process *process, struct skua__after *after)
{
    if (process->state == SKUA__PROCESS_READY) {
        skua__process_drain(process, after);
    }
    if (process->state != SKUA__PROCESS_DOOMED && !skua__after_is_full(after)) {
        process->pool->stats.killed += skua__jobring_live(&process->ring) > 0;
        skua__process_doom(process, after, -ESHUTDOWN, NULL);
    }
}

/* Some of the work of stop(). (L) */
static void stop_some(skua_pool *pool, struct skua__after *after)
{
    skua__pool_dispatch(pool, after); /* which refuses all that wait */
    if (pool->state == SKUA__POOL_CLOSING) {
        for (struct skua__link *link = pool->processes.head.next;
             link != &pool->processes.head && !skua__after_is_full(after); link = link->next) {
            stop_process(SKUA_CONTAINER(link, struct skua__process, link), after);
        }
    }
}

void skua__pool_stop(skua_pool *pool, enum skua__pool_state state)
{
    struct skua__after after;
    skua__after_init(&after);
    bool is_more = true;
    while (is_more) {
        skua__pool_lock(pool);
        if (pool->state < state) {
            pool->state = state;
        }
        stop_some(pool, &after);
        is_more = skua__after_is_full(&after);
        if (!is_more) {
            skua__pool_notify(pool, &after);
            skua__pool_notify_memory(pool, &after);
            is_more = skua__after_is_full(&after);
        }
        if (!is_more && pool->state == SKUA__POOL_CLOSING && pool->control >= 0) {
            shutdown(pool->control, SHUT_WR);
        }
        skua__pool_unlock_after(pool, &after);
    }
    if (state == SKUA__POOL_CLOSING) {
        skua__elsewhere.stop(pool);
    }
}

void skua__pool_orphan(skua_pool *pool)
{
    skua__lock(&orphans_lock, SKUA__RANK_POOL);
    skua__list_push_back(&orphans, &pool->orphan);
    skua__unlock(&orphans_lock, SKUA__RANK_POOL);
}

static void adopt(skua_pool *pool)
{
    skua__lock(&orphans_lock, SKUA__RANK_POOL);
    skua__list_remove(&pool->orphan);
    skua__unlock(&orphans_lock, SKUA__RANK_POOL);
}

static void free_pool(skua_pool *pool)
{
    skua__elsewhere.detach(pool);
    skua__life_close(pool);
    skua__talk_room_fini(&pool->talk);
    skua__pool_free_loans(pool);
    skua__free(pool);
}

__attribute__((destructor)) static void report_orphans(void)
{
    struct skua__link *link;
    while (!skua__forked() && (link = skua__list_pop_front(&orphans)) != NULL) {
        skua_pool *pool = SKUA_CONTAINER(link, skua_pool, orphan);
        skua__report("pool '%s' was never destroyed; it was closed with its runtime", pool->name);
        if (pool->callers == 0 && pool->stats.loans == 0) {
            free_pool(pool);
        }
    }
}

static int open_bell(void)
{
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell < 0) {
        return -errno;
    }
    int error = skua_fd_adopt(bell);
    if (error < 0) {
        close(bell);
        return error;
    }
    return bell;
}

static int start_tasks(skua_pool *pool)
{
    const skua_spawn_opts reactor = {.name = "skua-pool-reactor"};
    const skua_spawn_opts supervisor = {.name = "skua-pool-supervisor"};
    int error = (skua_spawn)(&pool->reactor, skua__pool_react, pool, &reactor);
    if (error < 0) {
        return error;
    }
    error = (skua_spawn)(NULL, skua__pool_supervise, pool, &supervisor);
    if (error < 0) {
        SKUA_SCOPE(shield);
        skua_shield_open(&shield, SKUA_FOREVER);
        skua__pool_end_reactor(pool);
        error = skua_scope_close(&shield, error);
    }
    return error;
}

/* The pool with fds and tasks, but without workers. */
static int open_pool(skua_pool *pool, const skua_pool_opts *opts)
{
    pool->bell = open_bell();
    if (pool->bell < 0) {
        return pool->bell;
    }
    int error = skua__life_open(pool, opts);
    if (error < 0) {
        goto fail_life;
    }
    error = start_tasks(pool);
    if (error < 0) {
        goto fail_tasks;
    }
    return 0;

fail_tasks:
    close(pool->control);
    skua__life_close(pool);
fail_life:
    skua_close(pool->bell);
    return error;
}

/* Whose timer comes first; of two at one moment, any. */
static bool is_before(const struct skua__heap_node *one, const struct skua__heap_node *other)
{
    const struct skua__call *a = SKUA_CONTAINER(one, struct skua__call, timer);
    const struct skua__call *b = SKUA_CONTAINER(other, struct skua__call, timer);
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : (uintptr_t)a < (uintptr_t)b;
}

static void init_lists(skua_pool *pool)
{
    struct skua__list *const lists[] = {&pool->processes, &pool->idle,          &pool->open,
                                        &pool->busy,      &pool->fresh,         &pool->copies,
                                        &pool->lanes,     &pool->notices,       &pool->memory,
                                        &pool->watchers,  &pool->memory_waiters};
    for (size_t i = 0; i < SKUA_COUNT_OF(lists); i++) {
        skua__list_init(lists[i]);
    }
    for (size_t i = 0; i < SKUA__PRIORITIES; i++) {
        skua__list_init(&pool->pending[i]);
    }
    pool->timers.before = is_before;
}

static skua_pool *alloc_pool(const skua_pool_opts *opts)
{
    skua_pool *pool = skua__alloc(sizeof *pool);
    if (pool == NULL) {
        return NULL;
    }
    init_lists(pool);
    pool->runtime = skua_runtime_current();
    pool->workers = opts->workers;
    if (pool->workers == 0) {
        pool->workers = skua__elsewhere.share(skua_worker_count(pool->runtime));
    }
    pool->queue_max = opts->queue_max != 0 ? opts->queue_max : QUEUE_DEFAULT;
    if (skua__talk_room_init(&pool->talk, opts) < 0) {
        skua__free(pool);
        return NULL;
    }
    return pool;
}

int skua_pool_create(skua_pool **out, const skua_pool_opts *opts)
{
    static const skua_pool_opts defaults = {.workers = 0};
    opts = opts != NULL ? opts : &defaults;
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (skua_self() == NULL) {
        return -EPERM;
    }
    skua_pool *pool = alloc_pool(opts);
    if (pool == NULL) {
        return -ENOMEM;
    }
    int error = open_pool(pool, opts);
    if (error < 0) {
        skua__talk_room_fini(&pool->talk);
        skua__free(pool);
        return error;
    }
    error = skua__pool_watch(pool, has_started, SKUA__SOFT, SKUA_FOREVER);
    if (error == 0 && !pool->started) {
        error = pool->start_error != 0 ? pool->start_error : -ENOTSUP;
        if (pool->life.start_text[0] != '\0') {
            error = skua_fail(error, "%s", pool->life.start_text);
        }
    }
    if (error == 0) {
        error = skua__elsewhere.attach(pool, opts);
    }
    if (error < 0) {
        skua_pool_destroy(pool);
        return error;
    }
    *out = pool;
    return 0;
}

void skua_pool_destroy(skua_pool *pool)
{
    if (pool == NULL || skua__forked()) {
        return;
    }
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, SKUA_FOREVER);
    skua__pool_stop(pool, SKUA__POOL_CLOSING);
    int error = skua__pool_watch(pool, is_deserted, SKUA__HARD, SKUA_FOREVER);
    skua_require(error == 0);
    if (pool->stats.loans != 0) {
        skua__panic("pool '%s' is destroyed with %llu buffer%s on loan", pool->name,
                    (unsigned long long)pool->stats.loans, pool->stats.loans == 1 ? "" : "s");
    }
    adopt(pool);
    free_pool(pool);
    error = skua_scope_close(&shield, 0);
    skua_require(error == 0);
}
