/* sched/task.h: the inside of skua_task. */
#ifndef SKUA_SCHED_TASK_H
#define SKUA_SCHED_TASK_H

#include "sched/runnable.h"
#include "sched/scope.h"

#include <skua/task.h>

struct skua__locals;
struct skua__start;
struct skua__waiter;
struct skua__wake_list;

/* In the flags of the root scope. Options are set by the spawner, SEEN when DONE is there. */
enum {
    SKUA__TASK_DONE = SKUA__SCOPE_TASK_BITS << 0, /* status is valid; the scope is not open */
    SKUA__TASK_SEEN = SKUA__SCOPE_TASK_BITS << 1, /* somebody has looked at a status < 0 */
    SKUA__TASK_KEEP_FPENV = SKUA__SCOPE_TASK_BITS << 2,
    SKUA__TASK_ROOMY = SKUA__SCOPE_TASK_BITS << 3, /* it is a skua__roomy_task */
    SKUA__TASK_ARG_ALLOCATED = SKUA__SCOPE_TASK_BITS << 4,
    SKUA__TASK_HELD = SKUA__SCOPE_TASK_BITS << 5,   /* it waits to be let go; sched/held.h */
    SKUA__TASK_MEMBER = SKUA__SCOPE_TASK_BITS << 8, /* of a group, and roomy; sched/member.h */
};

struct skua__error_record {
    skua_error error;
    struct skua_task *causes; /* members that have failed, one reference each; see member.h */
    char text[];
};

/* Two cache lines, since a million of them have to be cheap: what only some tasks need is in
   skua__roomy_task. Type-stable: slots come from the runtime's slabs, which visit them all when it
   ends. A slot is free when refs is 0. */
struct skua_task {
    struct skua__runnable runnable;
    /* The handles, and one of the task itself until it has ended. Changed under the scope's lock,
       except by the last holder. */
    _Atomic uint32_t refs;
    int status; /* written before DONE */
    skua_fn fn;
    void *arg;
    _Atomic(struct skua__locals *) locals; /* changed under the scope's lock */
    struct skua__error_record *error;      /* the task's own until DONE */
    struct skua__scope scope; /* the root scope; its lock guards joiners and refs too */
};

/* Names stay until the task is freed, since others may hold them. */
struct skua__task_name {
    struct skua__task_name *older;
    char text[];
};

/* A task with a name, or with a copy of its argument, or that is a member of a group. */
struct skua__roomy_task {
    struct skua_task task;
    const char *site;                       /* where it was spawned, or NULL; the program's */
    _Atomic(struct skua__task_name *) name; /* the present one, or NULL */
    /* Members: the scope has siblings, so the joiners are here, under the same lock. */
    struct skua__list joiners;
    struct skua__start *start;   /* under the group's lock */
    struct skua_task *next_kept; /* whoever keeps the ended task's */
    /* Of a member that has failed without memory for a record: the record. */
    _Alignas(16) char inline_arg[80];
};

/* For tasks with SKUA__TASK_ROOMY. */
static inline struct skua__roomy_task *skua__roomy(struct skua_task *task)
{
    return SKUA_CONTAINER(task, struct skua__roomy_task, task);
}

static inline struct skua__list *skua__task_joiners(struct skua_task *task)
{
    bool is_member = (skua__load(&task->scope.flags, relaxed) & SKUA__TASK_MEMBER) != 0;
    return SKUA_UNLIKELY(is_member) ? &skua__roomy(task)->joiners : &task->scope.joiners;
}

_Static_assert(sizeof(struct skua_task) == 2 * SKUA_CACHE_LINE, "see its comment");
_Static_assert(sizeof(struct skua__roomy_task) == 4 * SKUA_CACHE_LINE, "slots share no line");
_Static_assert(sizeof(struct skua__error_record) <=
                   sizeof((struct skua__roomy_task *)0)->inline_arg,
               "a record has to fit where the argument was");

/* Start a task of the library's own, which nobody joins: from any thread, whatever max_tasks says,
   without task-locals, also while the runtime drains. 0, -ENOMEM, or -ESHUTDOWN. */
int skua__submit_own(skua_runtime *runtime, skua_fn fn, void *arg, const skua_spawn_opts *opts);

/* Give a roomy task that name; 0 or -ENOMEM. Call from: its spawner, then the task itself. */
int skua__task_set_name(struct skua_task *task, const char *name);

/* Run the fiber's task to its end, on the fiber. Returns the fiber of its joiner, claimed and not
   woken, if there was only one; else it has woken them all, and returns NULL. */
struct skua__runnable *skua__task_run(struct skua__fiber *fiber);

/* Say on standard error that the task has failed, if it has and nobody has looked. */
void skua__task_report_unseen(const struct skua_task *task);

/* Free what hangs on the task, but not its slot. For tasks whose handles were never released. */
void skua__task_free_parts(struct skua_task *task);

/* Give the slot back: nobody refers to the task. */
void skua__task_free(struct skua_task *task);

/* End an open task that stands in no queue and has never run; `refs` is what it was opened with,
   and nobody was given any of them. */
void skua__task_abort(struct skua_task *task, uint32_t refs);

/* Mark a member done and claim its joiners into `wakes`. The task's own reference stays. */
void skua__task_finish(struct skua_task *task, struct skua__wake_list *wakes);

/* Somebody has looked at the status of the task, which has ended. */
void skua__task_mark_seen(struct skua_task *task);

/* They, linked by next_kept, have made the calling task fail with `code`. False: no memory; they
   stay the caller's. */
bool skua__task_set_causes(struct skua_task *task, int code, struct skua_task *causes);

/* Another reference, unless the task has ended or the slot is free. */
bool skua__task_try_retain(struct skua_task *task);

/* For select: put a waiter into the list of joiners, unless the task has ended (false). */
bool skua__task_link_joiner(struct skua_task *task, struct skua__waiter *waiter);
void skua__task_unlink_joiner(struct skua_task *task, struct skua__waiter *waiter);

/* The status of a task that has ended, for somebody who will do something about a failure. */
int skua__task_look(struct skua_task *task);

static inline bool skua__task_is_done(const struct skua_task *task)
{
    /* acquire: pairs with the release in finish(): what the task did is seen. */
    return (skua__load(&task->scope.flags, acquire) & SKUA__TASK_DONE) != 0;
}

#endif
