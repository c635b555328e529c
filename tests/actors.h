/* tests/actors.h: tasks that end when they are told to, for the suites about waiting for many. */
#ifndef SKUA_TESTS_ACTORS_H
#define SKUA_TESTS_ACTORS_H

#include "tasks.h"

/* A task that waits for its gate and ends with its status. */
typedef struct actor {
    gate may_end;
    int status;
    gate has_ended;
} actor;

static inline int act(void *arg)
{
    actor *self = arg;
    int status = self->status;
    await(&self->may_end, 1);
    atomic_store(&self->has_ended, 1);
    return status;
}

static inline int return_arg(void *arg)
{
    return (int)(intptr_t)arg;
}

static inline void start_actors(skua_task *tasks[], actor actors[], int count)
{
    for (int i = 0; i < count; i++) {
        tasks[i] = spawn(act, &actors[i]);
    }
}

static inline void end_now(skua_task *task, actor *self)
{
    atomic_store(&self->may_end, 1);
    (void)status_of(task);
}

/* Let what was started get on, as far as it can. */
static inline void let_run(void)
{
    for (int i = 0; i < 10; i++) {
        CHECK_INT(skua_yield(), 0);
    }
}

#endif
