/* sched/local.h: the bindings of task-locals, as tasks share them. */
#ifndef SKUA_SCHED_LOCAL_H
#define SKUA_SCHED_LOCAL_H

#include <skua/local.h>
#include <skua/task.h>

/* A set of bindings with a count of the tasks that use it; NULL is the empty set. */
struct skua__locals;

/* The task's set as it is now, with a reference. Call from: the task, or one of its forked
   children. */
struct skua__locals *skua__locals_of(skua_task *task);

/* One reference less. Not for NULL: most tasks have none, and see so by themselves. */
void skua__locals_release(struct skua__locals *locals);

/* From now on the calling thread, a foreign one, reads the locals of `task`, which waits for it
   until it has said NULL again. And whose they are now, or NULL. In worker.c, with all that belongs
   to a thread. */
void skua__locals_lend(skua_task *task);
skua_task *skua__locals_lender(void);

#endif
