/* topo/topo.h: which processors this process may use, and how far they are from each other.

   hwloc tells the topology; the affinity mask and the cgroup's CPU quota (v1 and v2, the tightest
   of all levels, rounded down) say how much of it is ours. */
#ifndef SKUA_TOPO_H
#define SKUA_TOPO_H

#include <stdbool.h>
#include <stdint.h>

/* How many workers make sense: the usable cores (hardware threads count as what the affinity mask
   allows) limited by the quota, at least 1. Cost: reads some files; no hwloc. */
uint32_t skua__topo_worker_count(void);

/* The quota alone, for tests: whole CPUs allowed by the cgroup tree below `root` ("/sys/fs/cgroup")
   for the process whose cgroup lines are in `self` ("/proc/self/cgroup"); 0: no limit. */
uint32_t skua__topo_quota(const char *root, const char *self);

struct skua__topo;

/* The order of victims for `workers` workers that are spread over the usable processors (compact:
   worker i on the i-th processor in topology order, wrapping around). Honours hwloc's
   HWLOC_SYNTHETIC. Returns 0 or -ENOMEM; where hwloc fails all are at the same distance. */
int skua__topo_create(struct skua__topo **out, uint32_t workers);
void skua__topo_destroy(struct skua__topo *topo);

/* All other workers, nearest first; *count = workers - 1. Lives as long as topo. */
const uint32_t *skua__topo_victims(const struct skua__topo *topo, uint32_t worker, uint32_t *count);

/* How many leading entries of the list of victims are at the same distance as entry `from`: the end
   of its level, for rotating the start inside a level. */
uint32_t skua__topo_level_end(const struct skua__topo *topo, uint32_t worker, uint32_t from);

/* Groups of neighbours: of the sets of processors that share a cache or a node, the smallest that
   have at least eight, since fewer gain nothing from a queue of their own; or at least four, where
   the next larger set has more than 32. A worker is in the group of its processor. The groups of
   the first `workers` workers are numbered from 0 without gaps; on a small machine there is one. */
uint32_t skua__topo_groups(const struct skua__topo *topo, uint32_t workers);
uint32_t skua__topo_group(const struct skua__topo *topo, uint32_t worker);

/* The group of the processor that the calling thread runs on now, or any. Costs a test where there
   is one group, else what sched_getcpu() costs. */
uint32_t skua__topo_group_here(const struct skua__topo *topo);

#endif
