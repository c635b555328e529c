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
#include "pool/job.h"
#include "pool/state.h"
#include "pool/zygote.h"

#include <string.h>
#include <unistd.h>

static const uint64_t payload_max_bytes = (uint64_t)64 << 30;

static bool is_valid(const skua_pool_opts *opts)
{
    const skua_pool_limits *limits = &opts->limits;
    return opts->workers <= SKUA__WORKERS_MAX && opts->payload_max <= payload_max_bytes &&
           opts->binding >= SKUA_POOL_UNBOUND && opts->binding <= SKUA_POOL_NODES &&
           limits->cpu_ns >= 0 && opts->nice >= -40 && opts->nice <= 40;
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

int skua__life_open(skua_pool *pool, const skua_pool_opts *opts)
{
    if (!is_valid(opts)) {
        return -EINVAL;
    }
    if (skua__job_twice() != NULL) {
        return skua_fail(-EEXIST, "two jobs are called '%s'", skua__job_twice());
    }
    int error = skua__settings_create(&pool->life.settings, opts);
    if (error < 0) {
        return error;
    }
    pool->payload_max = (size_t)pool->life.settings->payload_max;
    memcpy(pool->name, pool->life.settings->name, sizeof pool->name);
    error = skua__zygote_connect(&pool->control);
    if (error == 0) {
        error = send_settings(pool);
        if (error < 0) {
            close(pool->control);
        }
    }
    if (error < 0) {
        skua__life_close(pool);
    }
    pool->next_id = 1;
    pool->job_count = skua__zygote_job_count();
    return error;
}

void skua__life_close(skua_pool *pool)
{
    skua__free(pool->life.settings);
    pool->life.settings = NULL;
}

void skua__life_lost(struct skua__process *process)
{
    skua_pool *pool = process->pool;
    if (process->life.is_lost) {
        return;
    }
    process->life.is_lost = true;
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
            skua__process_welcome(spare, after);
        }
    }
}

void skua__life_nudge(skua_pool *pool)
{
    const struct skua__message message = {.kind = SKUA__MESSAGE_NUDGE};
    skua__pool_lock(pool);
    if (pool->control >= 0 && pool->state == SKUA__POOL_OPEN) {
        /* No room: then there are answers on their way, which wake the supervisor as well. */
        int error = skua__message_send(pool->control, &message, NULL, 0);
        (void)error;
    }
    skua__pool_unlock(pool);
}
