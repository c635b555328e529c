/* Blocking in place: a task says that it is about to block its worker's thread, so that others take
   its ready tasks at once, and a stand-in comes if there is nobody. */
#include "sched/runtime.h"
#include "sched/worker.h"

#include <errno.h>
#include <skua/scope.h>
#include <skua/task.h>

bool skua__worker_is_blocked(const struct skua__worker *worker)
{
    uint32_t tick = skua__load(&worker->tick_seen, relaxed);
    return skua__load(&worker->blocked_tick, relaxed) == tick + 1;
}

void skua_block_begin(void)
{
    struct skua__worker *worker = skua__worker_self();
    struct skua__fiber *fiber = skua__fiber_self();
    if (fiber == NULL || skua__forked()) {
        return;
    }
    skua_runtime *runtime = worker->runtime;
    if (skua__fork_has_private(&worker->forks)) {
        skua__fork_promote(worker, fiber);
    }
    skua__worker_expose_woken(worker);
    skua__store(&worker->blocked_tick, worker->tick + 1, relaxed);
    if (skua__ring_count(&worker->ring) > 0 || skua__inject_any(&runtime->injects)) {
        skua__runtime_light_fence(runtime);
        skua__wake_worker(runtime, false);
        if (skua__idle_parked(&runtime->idle) == 0) {
            skua__monitor_ring(runtime);
        }
    }
}

int skua_block_end(void)
{
    struct skua__worker *worker = skua__worker_self();
    struct skua__fiber *fiber = skua__fiber_self();
    if (fiber == NULL || skua__forked()) {
        return 0;
    }
    skua__store(&worker->blocked_tick, 0, relaxed);
    if (skua__ring_count(&worker->ring) > 0 || skua__inject_any(&worker->runtime->injects) ||
        skua__load(&worker->runtime->stand_ins_wanted, relaxed)) {
        skua__fiber_yield(fiber);
    }
    return skua_cancelled() ? -ECANCELED : 0;
}
