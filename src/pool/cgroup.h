/* pool/cgroup.h: control groups (version 2) for workers: memory and number of processes.

   A pool has a folder of its own beside the program's processes, and in it each worker has one.
   Control groups with limits may be made only where the program's own group was delegated to it, or
   where its parent was; see skua__cgroup_find(). */
#ifndef SKUA_POOL_CGROUP_H
#define SKUA_POOL_CGROUP_H

#include "base/compiler.h"
#include "pool/settings.h"

#include <stdbool.h>
#include <sys/types.h>

/* Parent: where a pool may make its folder: that of the program's own group or of its parent,
   whichever hands the controllers memory and pids (as needed) on to its children, or can be made
   to. `mounts` and `groups` are "/proc/self/mountinfo" and "/proc/self/cgroup", or files like them.
   Returns 0 with the path, or -ENOTSUP. */
int skua__cgroup_find(char path[], size_t path_bytes, const char *mounts, const char *groups,
                      const skua_pool_limits *limits) SKUA_MUST_CHECK;

/* Zygote: make the pool's folder, and have it hand the controllers on. Removes those that earlier
   programs have left behind. Returns 0 or a negative errno. */
int skua__cgroup_open(const struct skua__settings *settings) SKUA_MUST_CHECK;

/* Zygote: a folder for worker `id`, with its limits. Returns 0 or a negative errno. */
int skua__cgroup_make(const struct skua__settings *settings, uint32_t id) SKUA_MUST_CHECK;

/* Worker: enter that folder, before anything is used. Returns 0 or a negative errno. */
int skua__cgroup_enter(const struct skua__settings *settings, uint32_t id) SKUA_MUST_CHECK;

/* Zygote: worker `id` is dead and reaped. Kills what it has left there and removes the folder.
   Returns true if the group ran out of memory and something was killed for it. */
bool skua__cgroup_remove(const struct skua__settings *settings, uint32_t id);

/* Whoever sees the end of the pool: remove its folder and what is in it. */
void skua__cgroup_close(const struct skua__settings *settings);

#endif
