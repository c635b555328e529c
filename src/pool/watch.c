/* What a pool is doing, for display: numbers that are counted as it works, and those that are found
   by looking. */
#include "pool/lane.h"
#include "pool/state.h"
#include "sched/service.h"

#include <string.h>

/* Calls that the process has. */
static uint32_t load_of(const struct skua__process *process)
{
    return skua__jobring_live(&process->ring) + process->granted;
}

static void count_processes(const skua_pool *pool, skua_pool_stats *stats)
{
    for (struct skua__link *link = pool->processes.head.next; link != &pool->processes.head;
         link = link->next) {
        const struct skua__process *process = SKUA_CONTAINER(link, struct skua__process, link);
        if (process->state == SKUA__PROCESS_READY) {
            const uint32_t load = load_of(process);
            stats->workers++;
            stats->busy += load > 0;
            stats->running += load;
        } else if (process->state == SKUA__PROCESS_SPARE) {
            stats->spares++;
        }
    }
    stats->running += skua__lanes_load(pool);
}

void skua_pool_stats_get(const skua_pool *pool, skua_pool_stats *stats)
{
    *stats = (skua_pool_stats){.workers = 0};
    if (skua__forked()) {
        return;
    }
    skua_pool *mutable = (skua_pool *)(uintptr_t)pool; /* only its lock changes */
    skua__pool_lock(mutable);
    *stats = pool->stats;
    stats->queued = pool->pending_count;
    stats->replaced = pool->life.replaced;
    stats->log_lost = pool->talk.log_lost;
    count_processes(pool, stats);
    skua__pool_unlock(mutable);
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
        if (process->state == SKUA__PROCESS_READY) {
            if (alive < count) {
                pids[alive] = process->pid;
            }
            alive++;
        }
    }
    skua__pool_unlock(mutable);
    return alive;
}

void skua__pool_times(skua_pool *pool, int64_t *run_ns, int64_t *busy_ns)
{
    int64_t sum = 0;
    int64_t count = 0;
    skua__pool_lock(pool);
    for (struct skua__link *link = pool->processes.head.next; link != &pool->processes.head;
         link = link->next) {
        const struct skua__process *process = SKUA_CONTAINER(link, struct skua__process, link);
        if (process->run_ns >= 0) {
            sum += process->run_ns;
            count++;
        }
    }
    *busy_ns = pool->busy_ns;
    skua__pool_unlock(pool);
    *run_ns = count > 0 ? sum / count + 1 : 0;
}
