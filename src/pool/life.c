/* What everybody in the parent may have to do with births and deaths: opening a pool's way to the
   zygote, counting processes, letting a spare take the place of a lost worker.

   Invariants
   (L1) A process is counted once, as a worker or as a spare, from the request to its loss.
   (L2) A spare never has a call. It becomes a worker under the lock, never the other way round.
   (L3) While a spare is there, the pool has as many workers as it is to have.

   Rejected: several spares (each costs a process; two deaths within the time of a fork cost the
   second one that time); a spare that is shared by pools (their settings differ). */
#include "pool/life.h"

#include "base/mem.h"
#include "base/panic.h"
#include "pool/job.h"
#include "pool/lane.h"
#include "pool/limits.h"
#include "pool/state.h"
#include "pool/zygote.h"
#include "sched/service.h"
#include "sched/task.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const uint64_t payload_max_bytes = (uint64_t)64 << 30;

/* --- opening ---------------------------------------------------------------------------------- */

static bool is_valid(const skua_pool_opts *opts)
{
    const skua_pool_limits *limits = &opts->limits;
    return opts->workers <= SKUA__WORKERS_MAX && opts->payload_max <= payload_max_bytes &&
           (opts->init == NULL || opts->init->number != 0) && opts->binding >= SKUA_POOL_UNBOUND &&
           opts->binding <= SKUA_POOL_NODES && limits->cpu_ns >= 0 && opts->nice >= -40 &&
           opts->nice <= 40;
}

/* Tell the zygote what the workers are like. */
static int send_settings(const skua_pool *pool)
{
    const struct skua__message message = {.kind = SKUA__MESSAGE_SETUP};
    const int file = skua__settings_pack(pool->life.settings);
    if (file < 0) {
        return file;
    }
    int error = skua__message_send(pool->control, &message, (const int[]){file, pool->bell}, 2);
    close(file);
    return error == -EPIPE ? -ENOTSUP : error;
}

/* What cannot be had here is said before there is anything to undo. */
static int check_limits(const skua_pool_opts *opts)
{
    if (opts->limits.sandbox && !skua__sandbox_is_there()) {
        return skua_fail(-ENOTSUP, "limits.sandbox: this kernel has no filters of system calls");
    }
    if (opts->nice < 0 && !skua__limits_may_be_nice(opts->nice)) {
        return skua_fail(-ENOTSUP, "nice below the program's own needs CAP_SYS_NICE");
    }
    if (skua__job_twice() != NULL) {
        return skua_fail(-EEXIST, "two jobs are called '%s'", skua__job_twice());
    }
    return 0;
}

static int copy_init(struct skua__life *life, const skua_pool_opts *opts)
{
    life->jobs_max = opts->jobs_per_worker_max;
    life->init_job = opts->init;
    if (opts->init == NULL || opts->init_in.bytes == 0) {
        return 0;
    }
    if (opts->init_in.bytes > life->settings->payload_max) {
        return -EINVAL;
    }
    void *copy = skua__alloc_dirty(opts->init_in.bytes);
    if (copy == NULL) {
        return -ENOMEM;
    }
    memcpy(copy, opts->init_in.data, opts->init_in.bytes);
    life->init_in = (skua_bytes){copy, opts->init_in.bytes};
    return 0;
}

static int connect_pool(skua_pool *pool)
{
    int error = skua__zygote_connect(&pool->control);
    if (error < 0) {
        return error;
    }
    pool->job_count = skua__zygote_job_count();
    const skua_job *init = pool->life.init_job;
    if (init != NULL && skua__job_is_late(init, pool->job_count)) {
        error = skua__job_prepare(init);
    }
    if (error == 0) {
        error = send_settings(pool);
    }
    if (error < 0) {
        close(pool->control);
    }
    return error;
}

int skua__life_open(skua_pool *pool, const skua_pool_opts *opts)
{
    int error = is_valid(opts) ? check_limits(opts) : -EINVAL;
    if (error == 0) {
        error = skua__settings_create(&pool->life.settings, opts);
    }
    if (error < 0) {
        return error;
    }
    pool->payload_max = (size_t)pool->life.settings->payload_max;
    memcpy(pool->name, pool->life.settings->name, sizeof pool->name);
    pool->next_id = 1;
    error = copy_init(&pool->life, opts);
    if (error == 0) {
        error = connect_pool(pool);
    }
    if (error < 0) {
        skua__life_close(pool);
    }
    return error;
}

void skua__life_close(skua_pool *pool)
{
    skua__free(pool->life.settings);
    skua__free((void *)(uintptr_t)pool->life.init_in.data);
    pool->life.settings = NULL;
    pool->life.init_in = (skua_bytes){NULL, 0};
}

/* --- places ----------------------------------------------------------------------------------- */

/* The process is a worker from now on: it gets the first place that no other one has. The zygote
   has put it where its number says. */
static void take_place(struct skua__process *process)
{
    skua_pool *pool = process->pool;
    struct skua__life *life = &pool->life;
    if (life->settings->place_count == 0) {
        return;
    }
    uint32_t place = 0;
    while (place < SKUA__WORKERS_MAX - 1 && (life->places[place / 64] >> place % 64 & 1) != 0) {
        place++;
    }
    life->places[place / 64] |= UINT64_C(1) << place % 64;
    process->life.place = place;
    process->life.has_place = true;
    if (place % life->settings->place_count != process->number % life->settings->place_count) {
        const struct skua__message message = {
            .kind = SKUA__MESSAGE_PLACE, .id = process->id, .value = (int32_t)place};
        /* If it cannot be sent the worker is in a less good place. */
        int error = skua__message_send(pool->control, &message, NULL, 0);
        (void)error;
    }
}

static void give_place(struct skua__process *process)
{
    if (process->life.has_place) {
        process->life.has_place = false;
        process->pool->life.places[process->life.place / 64] &=
            ~(UINT64_C(1) << process->life.place % 64);
    }
}

/* --- beginning -------------------------------------------------------------------------------- */

int skua__life_prepare_init(struct skua__process *process)
{
    const struct skua__life *life = &process->pool->life;
    struct skua__call *call = &process->init;
    if (life->init_job == NULL) {
        return 0;
    }
    skua__call_init(call, life->init_job, life->init_in, NULL);
    call->kind = SKUA__CALL_INIT;
    call->process = process;
    if (call->in.bytes > SKUA__IN_INLINE_BYTES) {
        call->block = skua__heap_take(&process->in, call->in.bytes);
        call->has_block = call->block != SKUA__NO_BLOCK;
        if (!call->has_block) {
            return -ENOMEM;
        }
        memcpy(skua__arena_in(&process->arena, call->block), call->in.data, call->in.bytes);
    }
    return 0;
}

/* How many workers of the pool are READY; only until it has started. */
static uint32_t count_ready(const skua_pool *pool)
{
    uint32_t count = 0;
    for (const struct skua__link *link = pool->processes.head.next; link != &pool->processes.head;
         link = link->next) {
        count += SKUA_CONTAINER(link, struct skua__process, link)->state == SKUA__PROCESS_READY;
    }
    return count;
}

/* It is there, and counted as a worker. */
static void employ(struct skua__process *process, struct skua__after *after)
{
    skua_pool *pool = process->pool;
    take_place(process);
    skua__process_welcome(process, after);
    if (!pool->started && count_ready(pool) >= pool->workers) {
        pool->started = true;
        skua__pool_notify(pool, after);
    }
}

static void be_ready(struct skua__process *process, struct skua__after *after)
{
    process->life.is_ready = true;
    if (process->life.is_spare) {
        process->state = SKUA__PROCESS_SPARE;
        skua__life_promote(process->pool, after);
    } else {
        employ(process, after);
    }
}

void skua__life_begin(struct skua__process *process, struct skua__after *after)
{
    if (process->init.job == NULL) {
        be_ready(process, after);
        return;
    }
    const bool has_room = skua__late_ready(process, process->init.job);
    skua_require(has_room); /* its ring is empty */
    skua__call_put(&process->init);
}

void skua__life_init_ended(struct skua__process *process, struct skua__after *after)
{
    skua_pool *pool = process->pool;
    struct skua__call *call = &process->init;
    if (call->answer != NULL) {
        skua__loan_end(call->answer, after);
        call->answer = NULL;
    }
    if (process->state == SKUA__PROCESS_STARTING && call->status >= 0) {
        be_ready(process, after);
    } else if (process->state == SKUA__PROCESS_STARTING) {
        process->life.init_error = call->status;
        if (!pool->started) {
            snprintf(pool->life.start_text, sizeof pool->life.start_text, "%s",
                     call->text != NULL ? call->text : "the init job failed");
        }
        skua__life_lost(process);
        process->state = SKUA__PROCESS_DOOMED;
        skua__process_kill(process);
    }
    skua__free(call->text);
    call->text = NULL;
}

/* --- ending ----------------------------------------------------------------------------------- */

void skua__life_lost(struct skua__process *process)
{
    skua_pool *pool = process->pool;
    if (process->life.is_lost) {
        return;
    }
    process->life.is_lost = true;
    give_place(process);
    if (process->is_retiring) {
        pool->life.retiring--;
    }
    if (process->life.is_spare) {
        pool->spare_count--;
    } else {
        pool->worker_count--;
        pool->life.replaced++;
    }
}

/* A spare, best one that is there; NULL: there is none. (L) */
static struct skua__process *find_spare(const skua_pool *pool)
{
    struct skua__process *found = NULL;
    for (struct skua__link *link = pool->processes.head.next; link != &pool->processes.head;
         link = link->next) {
        struct skua__process *process = SKUA_CONTAINER(link, struct skua__process, link);
        if (process->life.is_spare && !process->life.is_lost &&
            (found == NULL || process->state == SKUA__PROCESS_SPARE)) {
            found = process;
        }
    }
    return found;
}

void skua__life_promote(skua_pool *pool, struct skua__after *after)
{
    while (pool->state == SKUA__POOL_OPEN && pool->worker_count < pool->workers &&
           pool->spare_count > 0) {
        struct skua__process *spare = find_spare(pool);
        spare->life.is_spare = false;
        pool->spare_count--;
        pool->worker_count++;
        if (spare->state == SKUA__PROCESS_SPARE) {
            employ(spare, after);
        }
    }
}

/* Have the supervisor look again at how many processes there are to be. (L) */
static void nudge(skua_pool *pool)
{
    const struct skua__message message = {.kind = SKUA__MESSAGE_NUDGE};
    if (pool->control >= 0) {
        /* No room: then there are answers on their way, which wake the supervisor as well. */
        int error = skua__message_send(pool->control, &message, NULL, 0);
        (void)error;
    }
}

static void begin_to_retire(struct skua__process *process)
{
    if (!process->is_retiring) {
        process->is_retiring = true;
        process->pool->life.retiring++;
    }
}

void skua__life_wear(struct skua__process *process, uint32_t load)
{
    const uint64_t max = process->pool->life.jobs_max;
    if (max != 0 && process->completed + load >= max) {
        begin_to_retire(process);
    }
}

void skua__life_retire(skua_pool *pool, struct skua__after *after)
{
    for (struct skua__link *link = pool->processes.head.next, *next;
         pool->life.retiring > 0 && link != &pool->processes.head && !skua__after_is_full(after);
         link = next) {
        struct skua__process *process = SKUA_CONTAINER(link, struct skua__process, link);
        next = link->next;
        if (process->state == SKUA__PROCESS_READY && process->is_retiring &&
            process->granted == 0 && skua__jobring_live(&process->ring) == 0) {
            skua__process_doom(process, after, 0, NULL);
        }
    }
}

/* --- late libraries --------------------------------------------------------------------------- */

static bool was_told_of(const struct skua__process *process, const skua_job *job)
{
    for (uint32_t i = 0; i < SKUA__LATE_JOBS && i < process->life.late_count; i++) {
        if (process->life.late[i] == job->name_hash) {
            return true;
        }
    }
    return false;
}

/* Put a request that has no answer to wait for. False: there is no memory for the path. */
static bool put_load(struct skua__process *process, skua_bytes object)
{
    struct skua__request request = {.in_bytes = object.bytes,
                                    .in_block = SKUA__NO_BLOCK,
                                    .kind = SKUA__REQUEST_LOAD,
                                    .in_where = SKUA__INLINE};
    if (object.bytes > SKUA__IN_INLINE_BYTES) {
        /* The block stays: there are few libraries, and nobody waits for the answer. */
        request.in_block = skua__heap_take(&process->in, object.bytes);
        request.in_where = SKUA__BLOCK;
        if (request.in_block == SKUA__NO_BLOCK) {
            return false;
        }
        memcpy(skua__arena_in(&process->arena, request.in_block), object.data, object.bytes);
    }
    skua__jobring_put(&process->ring, &request,
                      request.in_where == SKUA__INLINE ? object.data : NULL, NULL);
    return true;
}

bool skua__late_ready(struct skua__process *process, const skua_job *job)
{
    if (!skua__job_is_late(job, process->pool->job_count) || was_told_of(process, job)) {
        return true;
    }
    const skua_bytes object = skua__job_object(job);
    if (skua__jobring_room(&process->ring) < process->granted + 2 || !put_load(process, object)) {
        return false;
    }
    process->life.late[process->life.late_count++ % SKUA__LATE_JOBS] = job->name_hash;
    return true;
}

/* --- what the program asks for ---------------------------------------------------------------- */

static bool has_calls(const skua_pool *pool)
{
    uint32_t count = pool->pending_count;
    for (size_t i = 0; i < SKUA__PRIORITIES; i++) {
        count += pool->in_rings[i];
    }
    for (const struct skua__link *link = pool->processes.head.next; link != &pool->processes.head;
         link = link->next) {
        count += SKUA_CONTAINER(link, struct skua__process, link)->granted;
    }
    return count > 0 || skua__lanes_load(pool) > 0;
}

static bool is_drained(const skua_pool *pool)
{
    return !has_calls(pool) || pool->state != SKUA__POOL_OPEN;
}

void skua__life_drained(skua_pool *pool, struct skua__after *after)
{
    if (pool->is_draining && is_drained(pool)) {
        skua__pool_notify(pool, after);
    }
}

int skua_pool_drain(skua_pool *pool, skua_time deadline)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    pool->is_draining = true;
    pool->callers++;
    skua__pool_unlock(pool);
    int result = skua__cancel_point();
    if (result == 0) {
        result = skua__pool_watch(pool, is_drained, SKUA__SOFT, deadline);
    }
    skua__pool_lock(pool);
    skua__pool_leave(pool, &after);
    skua__pool_unlock_after(pool, &after);
    return result;
}

/* Let so many processes retire, idle ones first. */
static void retire_some(skua_pool *pool, uint32_t count)
{
    for (int must_be_idle = 1; must_be_idle >= 0; must_be_idle--) {
        for (struct skua__link *link = pool->processes.head.next;
             count > 0 && link != &pool->processes.head; link = link->next) {
            struct skua__process *process = SKUA_CONTAINER(link, struct skua__process, link);
            const bool is_idle = process->state == SKUA__PROCESS_READY && process->granted == 0 &&
                                 skua__jobring_live(&process->ring) == 0;
            if (!process->life.is_spare && !process->life.is_lost && !process->is_retiring &&
                (is_idle || must_be_idle == 0)) {
                begin_to_retire(process);
                skua__process_settle(process);
                count--;
            }
        }
    }
}

int skua_pool_resize(skua_pool *pool, uint32_t workers)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (workers == 0 || workers > SKUA__WORKERS_MAX) {
        return -EINVAL;
    }
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    const int result = pool->state == SKUA__POOL_OPEN && !pool->is_draining ? 0 : -ESHUTDOWN;
    if (result == 0) {
        pool->workers = workers;
        const uint32_t staying = pool->worker_count - pool->life.retiring;
        if (staying > workers) {
            retire_some(pool, staying - workers);
        }
        skua__life_retire(pool, &after);
        skua__life_promote(pool, &after);
        nudge(pool);
    }
    skua__pool_unlock_after(pool, &after);
    return result;
}
