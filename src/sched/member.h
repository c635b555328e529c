/* sched/member.h: tasks that belong to a scope of another task: the members of a group.

   The set is a scope with a count. A member's root scope stands among the scope's children: so a
   cancel is pushed down to it and deadlines are pulled through its chain by what scopes have
   anyway. What the end of a member means is decided by a function of the room above. */
#ifndef SKUA_SCHED_MEMBER_H
#define SKUA_SCHED_MEMBER_H

#include "sched/task.h"
#include "sched/waiter.h"

struct skua__start; /* whoever waits until the member says that it is ready; the room above's */

/* The end of one member, while it is told to the set. */
struct skua__member_end {
    struct skua__wake_list wakes; /* claimed; woken when the lock has been given back */
    bool is_kept;                 /* the task's own reference belongs to the set now */
    bool is_reported;             /* a failure is to be said, if nobody has looked at it */
    struct skua_task *dropped;    /* to be released, or NULL */
};

struct skua__members {
    struct skua__scope scope; /* the first: an open skua_scope. Its lock guards the rest */
    /* Constant while the scope is open. Called under the lock, when the task is done and not among
       the members any more. */
    void (*ended)(struct skua__members *members, struct skua_task *task,
                  struct skua__member_end *end);
    skua_runtime *runtime;
    struct skua__list waiters; /* for room */
    _Atomic uint32_t alive;    /* written under the lock */
    bool is_shut;              /* takes no new members, since it has been ended by one */
    bool is_closed;            /* takes none, since nobody will wait for them */
};

/* For the owner, before it opens the scope. */
void skua__members_init(struct skua__members *members, skua_runtime *runtime,
                        void (*ended)(struct skua__members *members, struct skua_task *task,
                                      struct skua__member_end *end));

/* Start fn(arg) as a member; else like skua_spawn(). In spawn.c. */
struct skua__birth {
    const char *site;          /* where in the program, or NULL */
    struct skua__start *start; /* who waits until it is ready, or NULL */
};
int skua__member_spawn(struct skua__members *members, struct skua_task **out, skua_fn fn, void *arg,
                       const struct skua__birth *birth);

/* Take the lock, to add members. -ECANCELED or -EPERM, without the lock: it takes none. */
int skua__members_lock(struct skua__members *members, const skua_runtime *runtime);
void skua__members_unlock(struct skua__members *members);

/* A task that is about to be opened becomes a member. Under the lock. */
void skua__members_add(struct skua__members *members, struct skua_task *task,
                       struct skua__start *start);

/* Wait until fewer than `limit` are alive. 0, -EAGAIN, -ETIMEDOUT, -ECANCELED. */
int skua__members_wait(struct skua__members *members, size_t limit, enum skua__wait_kind kind,
                       skua_time deadline);

/* For the owner, whose wait this is: wait until none is alive, and take none from then on. */
void skua__members_close(struct skua__members *members);

/* Cancel all that is inside, for a reason < 0, and take no new members. Under the lock; what is
   claimed goes to `wakes`. */
void skua__members_shut(struct skua__members *members, int reason, struct skua__wake_list *wakes);

/* The task, a member, has come to its end: tell the set, joiners and waiters, and give the task's
   own reference away. Returns like skua__task_run(). */
struct skua__runnable *skua__member_end(struct skua_task *task);

/* The set that the running member belongs to. */
static inline struct skua__members *skua__members_of(const struct skua_task *task)
{
    return SKUA_CONTAINER(task->scope.parent, struct skua__members, scope);
}

static inline bool skua__task_is_member(const struct skua_task *task)
{
    return (skua__load(&task->scope.flags, relaxed) & SKUA__TASK_MEMBER) != 0;
}

/* --- failures --------------------------------------------------------------------------------- */

/* A list of members that have ended, linked by skua__roomy_task.next_kept, with a reference to
   each. */
struct skua__kept {
    struct skua_task *first, *last;
    size_t count;
};

void skua__kept_add(struct skua__kept *kept, struct skua_task *task);

/* Takes the oldest out, or gives NULL. */
struct skua_task *skua__kept_take(struct skua__kept *kept);

void skua__kept_release(struct skua__kept *kept);

/* The error of a task that has failed and is kept; never NULL. */
const skua_error *skua__kept_error(struct skua_task *task);

/* They are the causes of the calling task's failure, if it ends with `code`. On a foreign thread,
   and without memory, they are released. */
void skua__task_adopt_causes(int code, struct skua__kept *causes);

#endif
