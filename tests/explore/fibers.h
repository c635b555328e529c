/* tests/explore/fibers.h: fibers for models of what waits: each thread of the model is a fiber with
   a worker of its own, and runs a task. The lower doors are replaced: suspending is waiting for
   skua__ready(), and a wake-up that comes twice is a failure. The rest is the library's. */
#ifndef SKUA_TESTS_EXPLORE_FIBERS_H
#define SKUA_TESTS_EXPLORE_FIBERS_H

#include "explore.h"

#include "sched/fiber.h"
#include "sched/runtime.h"
#include "sched/task.h"
#include "sched/worker.h"

struct fibers {
    skua_runtime runtime;
    struct skua__worker *workers;
    struct skua__fiber fibers[EXPLORE_THREADS];
    struct skua_task tasks[EXPLORE_THREADS];
    _Atomic uint32_t is_ready[EXPLORE_THREADS];
};
extern struct fibers *fibers;

/* In setup: threads below `count` are fibers, the others foreign threads. */
void fibers_make(int count);

/* In finish: nobody was woken without waiting. */
void fibers_check(void);

#endif
