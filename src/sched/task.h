/* sched/task.h: the inside of skua_task. */
#ifndef SKUA_SCHED_TASK_H
#define SKUA_SCHED_TASK_H

#include "sched/runnable.h"
#include "sched/scope.h"

#include <skua/task.h>

struct skua__locals;
struct skua__waiter;

enum { SKUA__TASK_INLINE_ARG_BYTES = 48 };

/* flags */
enum {
    SKUA__TASK_DONE = 1 << 0, /* status is valid */
    SKUA__TASK_SEEN = 1 << 1, /* somebody has looked at the status */
    SKUA__TASK_KEEP_FPENV = 1 << 2,
    SKUA__TASK_ARG_ALLOCATED = 1 << 3,
};

struct skua__error_record {
    skua_error error;
    char text[];
};

/* Type-stable: slots come from the runtime's slab, which visits them all when it ends. A slot is
   free when refs is 0. */
struct skua_task {
    struct skua__runnable runnable;
    _Atomic uint32_t refs;  /* the handles, and one of the task itself until it has ended */
    _Atomic uint16_t flags; /* written by the spawner, then by the task's end */
    _Atomic bool is_seen;   /* somebody has looked at the status */
    int status;             /* written before DONE */
    uint32_t stack_class;
    skua_fn fn;
    void *arg;
    struct skua__scope scope; /* the root scope; its lock guards joiners too */
    struct skua__list joiners;
    _Atomic(struct skua__locals *) locals; /* changed under the scope's lock */
    char *name;
    struct skua__error_record *error; /* the task's own until DONE */
    _Alignas(16) char inline_arg[SKUA__TASK_INLINE_ARG_BYTES];
};

/* Run the fiber's task to its end, on the fiber. */
void skua__task_run(struct skua__fiber *fiber);

/* Say on standard error that the task has failed, if it has and nobody has looked. */
void skua__task_report_unseen(const struct skua_task *task);

/* Free what hangs on the task, but not its slot. For tasks whose handles were never released. */
void skua__task_free_parts(struct skua_task *task);

/* Another reference, unless the slot is free. */
bool skua__task_try_retain(struct skua_task *task);

/* For select: put a waiter into the list of joiners, unless the task has ended (false). */
bool skua__task_link_joiner(struct skua_task *task, struct skua__waiter *waiter);
void skua__task_unlink_joiner(struct skua_task *task, struct skua__waiter *waiter);

static inline bool skua__task_is_done(const struct skua_task *task)
{
    /* acquire: pairs with the release in task_end(): what the task did is seen. */
    return (skua__load(&task->flags, acquire) & SKUA__TASK_DONE) != 0;
}

#endif
