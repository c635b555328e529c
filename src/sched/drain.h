/* sched/drain.h: how the tasks of a runtime come to their end. */
#ifndef SKUA_SCHED_DRAIN_H
#define SKUA_SCHED_DRAIN_H

#include <skua/runtime.h>
#include <stdint.h>

/* skua_stopping() asks: is new work refused. Who asks after having begun to use a service sees it,
   or is told by the service's drain(). */
bool skua__runtime_is_draining(const skua_runtime *runtime);

/* No more spawns, and every task there is is cancelled. Call from anywhere, also twice. */
void skua__runtime_cancel_all(skua_runtime *runtime);

/* Does so if the moment has come. Returns when it will come, or SKUA__NEVER. */
int64_t skua__runtime_end_drain(skua_runtime *runtime, int64_t now_ns);

/* After skua__runtime_cancel_all(): wait until no task is left, naming the stubborn ones. */
void skua__runtime_await_tasks(skua_runtime *runtime);

/* Tasks that have not ended. Exact when it is 0. */
uint64_t skua__runtime_live_tasks(skua_runtime *runtime);

/* Call visit(task, arg) for all tasks there are, with those that have ended, and free slots. */
void skua__runtime_visit_tasks(skua_runtime *runtime, void (*visit)(void *task, void *arg),
                               void *arg);

#endif
