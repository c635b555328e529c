/* skua/local.h: task-locals: values that follow a task wherever it runs.

   A task starts with the values that its spawner had at that moment (asyncio's context variables):
   later changes on either side are not seen by the other. Forked children (skua/fork.h) belong to
   their parent's task and share its values: what one sets, all see. */
#ifndef SKUA_LOCAL_H
#define SKUA_LOCAL_H

#include <skua/base.h>

SKUA_BEGIN_DECLS

/* A key is the address of a static object; its name is for people. Two keys never clash:
     static const skua_local request_id = {"request id"}; */
typedef struct skua_local {
    const char *name;
} skua_local;

/* Bind `value` to `key` for this task and the tasks that it spawns from now on. The pointer is
   stored as it is; nobody frees what it points to. Returns 0, -ENOMEM, or -EPERM on a foreign
   thread.
   Call from: a task. Never switches. Cost: O(number of bindings). */
int skua_local_set(const skua_local *key, void *value) SKUA_MUST_CHECK;

/* The value bound to `key`, or NULL. Call from anywhere (NULL on a foreign thread); a function that
   skua_blocking() runs sees the values of the task that called it. */
void *skua_local_get(const skua_local *key);

SKUA_END_DECLS
#endif
