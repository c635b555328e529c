/* sched/local.h: the bindings of task-locals, as tasks share them. */
#ifndef SKUA_SCHED_LOCAL_H
#define SKUA_SCHED_LOCAL_H

#include <skua/local.h>

/* An immutable set of bindings with a count of the tasks that use it; NULL is the empty set. */
struct skua__locals;

/* Another reference, and one less. Not for NULL: most tasks have none, and see so by themselves. */
struct skua__locals *skua__locals_retain(struct skua__locals *locals);
void skua__locals_release(struct skua__locals *locals);

#endif
