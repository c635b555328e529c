/* sched/held.h: tasks whose work is done elsewhere: open, and not started until told to.

   A held task is a task like any other for everybody who has its handle: it is joined, selected,
   cancelled, counted and reported, and may be a member of a group. But it stands in no queue and
   has no fiber: two cache lines, or four. Whoever holds it says one day that it may go, and then it
   runs its function, which has only to say how the work ended.

   A cancel finds no wait to end, so the holder is told instead.

     (H1) HELD is in the flags from before the task is open until it goes; it is cleared under the
          scope's lock, under which `notice` is called: after skua__task_go() it never is.
     (H2) While HELD is set the task's argument is its record. */
#ifndef SKUA_SCHED_HELD_H
#define SKUA_SCHED_HELD_H

#include "sched/task.h"

struct skua__held {
    struct skua_task *task; /* set before anybody may call `notice` */
    void *arg;              /* of the task's function */
    /* The task was cancelled, or the deadlines that it has to keep have changed: look at both. Any
       number of times, from any thread, perhaps before skua__task_hold() has returned; under the
       locks of scopes: it must take no lock, wait for nothing, and not let the task go. Set by the
       holder. */
    void (*notice)(struct skua__held *held);
};

/* Open a task that will run fn(arg) when it goes. Returns as skua_spawn() does; `opts` may name a
   group, and has no arg_bytes. On success somebody must let it go, whatever happens. One that is
   made while the runtime ends is cancelled without a notice: look, once, afterwards.
   Call from: a task. Never switches. */
int skua__task_hold(struct skua__held *held, struct skua_task **out, skua_fn fn, void *arg,
                    const skua_spawn_opts *opts, const char *site);

/* Let it go: it is ready to run. The record may be used again, and the task may be gone, when this
   returns. Once; from any thread, under no lock above SKUA__RANK_SCOPE. */
void skua__task_go(struct skua__held *held);

static inline bool skua__held_is_cancelled(const struct skua__held *held)
{
    return skua__scope_is_cancelled(&held->task->scope);
}

/* The earliest deadline of the scopes that it is in, or SKUA__NEVER. */
static inline int64_t skua__held_deadline_ns(const struct skua__held *held, int64_t now_ns)
{
    return skua__scope_deadline(&held->task->scope, now_ns);
}

#endif
