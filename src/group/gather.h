/* group/gather.h: what the calls that wait for many tasks share. */
#ifndef SKUA_GROUP_GATHER_H
#define SKUA_GROUP_GATHER_H

#include <skua/task.h>

/* 0, -EINVAL (a NULL among the tasks), -EDEADLK (the caller is among them), or -ESHUTDOWN. */
int skua__check_tasks(skua_task *const tasks[], size_t count);

#endif
