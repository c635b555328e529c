/* par/stop.h: how the calls of one loop, reduction or sort tell each other to leave the rest. */
#ifndef SKUA_PAR_STOP_H
#define SKUA_PAR_STOP_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "sched/worker.h"

#include <skua/task.h>
#include <stdbool.h>

/* One for all calls that belong together, in the frame of the first. What they did is published by
   their syncs; this word says only that there is no point in beginning more. */
struct skua__stop {
    _Atomic int status; /* < 0: the first failure in time */
    bool has_deadline;  /* there is one around all of it, so the clock must be read */
};

/* Call from: the first of the calls, before it forks. */
static inline struct skua__stop skua__stop_begin(void)
{
    const struct skua__fiber *fiber = skua__fiber_self();
    return (struct skua__stop){.has_deadline =
                                   fiber != NULL && skua__scope_has_deadline(fiber->scope)};
}

static inline bool skua__stop_is_set(const struct skua__stop *stop)
{
    return skua__load(&stop->status, relaxed) < 0;
}

/* `status` >= 0 is no failure, and changes nothing. */
static inline void skua__stop_note(struct skua__stop *stop, int status)
{
    int none = 0;
    if (SKUA_UNLIKELY(status < 0)) {
        (void)skua__cas(&stop->status, &none, status, relaxed, relaxed);
    }
}

static inline int skua__stop_status(const struct skua__stop *stop)
{
    return skua__load(&stop->status, relaxed);
}

/* Between two calls of the program's function: false if the rest is to be left out. Answers idle
   workers that ask for children, lets others run now and then, and notes a cancel or a deadline
   that has come. May switch. */
static inline bool skua__stop_poll(struct skua__stop *stop)
{
    if (skua__stop_is_set(stop)) {
        return false;
    }
    int status = skua_checkpoint();
    if (SKUA_UNLIKELY(stop->has_deadline) && status == 0 && skua_cancelled()) {
        status = -ECANCELED;
    }
    skua__stop_note(stop, status);
    return status == 0;
}

#endif
