/* sched/callbacks.h: callbacks and timers of a runtime. */
#ifndef SKUA_SCHED_CALLBACKS_H
#define SKUA_SCHED_CALLBACKS_H

#include "base/heap.h"
#include "base/list.h"
#include "base/lock.h"

#include <skua/runtime.h>
#include <stdbool.h>

struct skua__waiter;

/* All under the lock. */
struct skua__callbacks {
    struct skua__lock lock;
    struct skua__list soon;       /* skua_timer, in the order in which they run */
    struct skua__heap later;      /* skua_timer, by due time */
    uint64_t sequence;            /* of timers, for those that are due at once */
    bool has_task;                /* one of the runtime's tasks is at it */
    bool is_closed;               /* nothing runs any more */
    struct skua__waiter *sleeper; /* the task's, while it waits for something to do */
};

void skua__callbacks_init(struct skua__callbacks *callbacks);

/* Nothing starts any more, and the task ends. Call from anywhere, more than once if need be. */
void skua__callbacks_close(struct skua__callbacks *callbacks);

/* Drop what has not run. No task is left. */
void skua__callbacks_fini(struct skua__callbacks *callbacks);

#endif
