/* tests/sync_help.h: what the suites of sync.h, meet.h and limit.h share: calls in tasks and
   threads of their own, and how many stand in a line. */
#ifndef SKUA_TESTS_SYNC_HELP_H
#define SKUA_TESTS_SYNC_HELP_H

#include "sync/queue.h"
#include "tasks.h"

#include <pthread.h>

/* One call in a task of its own: wait(object, amount, deadline). */
typedef struct caller {
    int (*wait)(void *object, size_t amount, skua_time deadline);
    void *object;
    size_t amount;
    skua_time deadline;
    int status;
    gate has_ended;
    skua_task *task;
} caller;

/* In the order in which their calls returned. */
static int order_of_ends[64];
static gate ends_count;

static inline int run_caller(void *arg)
{
    caller *self = arg;
    self->status = self->wait(self->object, self->amount, self->deadline);
    order_of_ends[atomic_fetch_add(&ends_count, 1) % 64] = (int)self->amount;
    atomic_store(&self->has_ended, 1);
    return self->status;
}

/* Every object here begins with its line, or with a gate, which begins with one. */
static inline size_t waiting_at(void *object)
{
    struct skua__queue *queue = object;
    skua__queue_lock(queue);
    size_t count = queue->count;
    skua__queue_unlock(queue);
    return count;
}

static inline void await_waiting(void *object, size_t count)
{
    while (waiting_at(object) != count) {
        (void)!skua_yield();
    }
}

static inline void start(caller *self)
{
    atomic_store(&self->has_ended, 0);
    self->task = spawn(run_caller, self);
}

/* Starts it, and returns when it stands in the line. */
static inline void start_waiting(caller *self)
{
    size_t before = waiting_at(self->object);
    start(self);
    await_waiting(self->object, before + 1);
}

static inline int finish_caller(caller *self)
{
    return finish(self->task);
}

/* The same on a thread that Skua did not start. */
static inline void *thread_of_caller(void *arg)
{
    run_caller(arg);
    return NULL;
}

/* A cancel that comes when nobody can have been served yet; and the status of the call. */
static inline int cancel_and_finish(caller *self)
{
    skua_task_cancel(self->task);
    return finish(self->task);
}

#endif
