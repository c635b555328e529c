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

static struct skua__lock orphans_lock;
static struct skua__list orphans = {{&orphans.head, &orphans.head}};

void skua__pool_notify(skua_pool *pool, struct skua__after *after)
{
    struct skua__waiter *watcher = pool->watcher;
    pool->watcher = NULL;
    if (watcher != NULL && skua__waiter_claim(watcher)) {
        skua__wake_list_add(&after->wakes, watcher->parker);
    }
}

/* Wait until `is_so(pool)`, which notify() tells of. Returns 0, or -ECANCELED (soft waits). */
static int watch(skua_pool *pool, bool (*is_so)(const skua_pool *pool), enum skua__wait_kind kind)
{
    int cause = 0;
    skua__pool_lock(pool);
    while (!is_so(pool) && (cause >= 0 || cause == SKUA__RECHECK)) {
        struct skua__wait wait;
        struct skua__waiter waiter;
        skua__wait_begin_for(&wait, kind, "a process pool");
        skua__waiter_init(&waiter, &wait, 0, NULL);
        pool->watcher = &waiter;
        skua__pool_unlock(pool);
        cause = skua__wait_park_real(&wait, SKUA__NEVER);
        skua__pool_lock(pool);
        pool->watcher = NULL;
    }
    skua__pool_unlock(pool);
    return cause < 0 && cause != SKUA__RECHECK ? cause : 0;
}

static bool has_started(const skua_pool *pool)
{
    return pool->started || pool->start_error != 0 || pool->state != SKUA__POOL_OPEN;
}

static bool is_deserted(const skua_pool *pool)
{
    return pool->finished && pool->callers == 0;
}

/* A process's part in the end of its pool. */
static void stop_process(struct skua__process *process, struct skua__after *after)
{
    skua__process_take(process, after);
    struct skua__call *call = process->call;
    if (process->state != SKUA__PROCESS_DOOMED) {
        skua__process_doom(process);
    }
    if (call != NULL && call->state == SKUA__CALL_RUNNING) {
        skua__call_fail(call, after, -ESHUTDOWN, NULL);
    }
}

/* Some of the work of stop(). True: there is more. (L) */
static bool stop_some(skua_pool *pool, struct skua__after *after)
{
    while (!skua__after_is_full(after)) {
        struct skua__link *link = skua__list_pop_front(&pool->pending);
        if (link == NULL) {
            break;
        }
        struct skua__call *call = SKUA_CONTAINER(link, struct skua__call, link);
        const bool is_closing = pool->state == SKUA__POOL_CLOSING;
        skua__call_fail(call, after, is_closing ? -ESHUTDOWN : -EOWNERDEAD,
                        is_closing ? NULL : "job '%s': the zygote was killed", call->job->name);
    }
    if (pool->state == SKUA__POOL_CLOSING) {
        for (struct skua__link *link = pool->processes.head.next;
             link != &pool->processes.head && !skua__after_is_full(after); link = link->next) {
            stop_process(SKUA_CONTAINER(link, struct skua__process, link), after);
        }
    }
    return skua__after_is_full(after);
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
        is_more = stop_some(pool, &after);
        if (!is_more) {
            skua__pool_notify(pool, &after);
        }
        if (pool->state == SKUA__POOL_CLOSING && pool->control >= 0) {
            shutdown(pool->control, SHUT_WR);
        }
        skua__pool_unlock(pool);
        skua__after_flush(&after);
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

__attribute__((destructor)) static void report_orphans(void)
{
    struct skua__link *link;
    while (!skua__forked() && (link = skua__list_pop_front(&orphans)) != NULL) {
        skua_pool *pool = SKUA_CONTAINER(link, skua_pool, orphan);
        skua__report("pool '%s' was never destroyed; it was closed with its runtime", pool->name);
        if (pool->callers == 0 && pool->loans == 0) {
            skua__life_close(pool);
            skua__free(pool);
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

static skua_pool *alloc_pool(const skua_pool_opts *opts)
{
    skua_pool *pool = skua__alloc(sizeof *pool);
    if (pool == NULL) {
        return NULL;
    }
    skua__list_init(&pool->processes);
    skua__list_init(&pool->idle);
    skua__list_init(&pool->pending);
    pool->workers = opts->workers;
    if (pool->workers == 0) {
        pool->workers = skua_worker_count(skua_runtime_current());
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
        skua__free(pool);
        return error;
    }
    error = watch(pool, has_started, SKUA__SOFT);
    if (error == 0 && !pool->started) {
        error = pool->start_error != 0 ? pool->start_error : -ENOTSUP;
        if (pool->life.start_text[0] != '\0') {
            error = skua_fail(error, "%s", pool->life.start_text);
        }
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
    int error = watch(pool, is_deserted, SKUA__HARD);
    skua_require(error == 0);
    if (pool->loans != 0) {
        skua__panic("pool '%s' is destroyed with %u answers on loan", pool->name, pool->loans);
    }
    adopt(pool);
    skua__life_close(pool);
    skua__free(pool);
    error = skua_scope_close(&shield, 0);
    skua_require(error == 0);
}

size_t skua_pool_pids(const skua_pool *pool, pid_t pids[], size_t count)
{
    if (skua__forked()) {
        return 0;
    }
    skua_pool *mutable = (skua_pool *)(uintptr_t)pool; /* only its lock changes */
    size_t alive = 0;
    skua__pool_lock(mutable);
    for (struct skua__link *link = pool->processes.head.next; link != &pool->processes.head;
         link = link->next) {
        const struct skua__process *process = SKUA_CONTAINER(link, struct skua__process, link);
        if (process->pidfd >= 0 && process->state != SKUA__PROCESS_DOOMED &&
            process->state != SKUA__PROCESS_SPARE) {
            if (alive < count) {
                pids[alive] = process->pid;
            }
            alive++;
        }
    }
    skua__pool_unlock(mutable);
    return alive;
}
