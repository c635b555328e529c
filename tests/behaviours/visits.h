/* tests/behaviours/visits.h: one call in a task, and the moment when it returned. */
#ifndef SKUA_TESTS_VISITS_H
#define SKUA_TESTS_VISITS_H

#include "schedules.h"

typedef struct visit {
    skua_time deadline, end;
    int status, stay_ms;
    size_t amount;
    skua_task *task;
} visit;

static inline void end_visit(visit *self, int status)
{
    self->status = status;
    self->end = skua_clock();
}

/* Starts it, and returns when it waits. */
static inline void start_waiting(visit *self, skua_fn fn)
{
    self->task = spawn(fn, self);
    settle();
}

static inline void check_ended_at(visit *self, int status, skua_time begin, int64_t ms)
{
    CHECK_INT(finish(self->task), status);
    CHECK_INT(self->end.ns - begin.ns, SKUA_MS(ms));
}

#endif
