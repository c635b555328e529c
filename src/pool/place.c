/* Where workers run: sets of processors, found by hwloc in the parent, set by the zygote.

   Invariants
   (P1) A place lies within what the program itself may use.
   (P2) Only the zygote moves workers, and only those that it has not reaped: a process id that is
        its own child's is nobody else's.

   Memory needs no binding of its own: a worker takes it from where it runs (the policy "local"),
   which is the node that it is bound to, or the next one when that is full.

   Rejected: binding by the worker itself (a spare does not know yet whose place it will take). */
#define _GNU_SOURCE 1
#include "pool/place.h"

#include "base/mem.h"

#include <errno.h>
#include <hwloc.h>
#include <hwloc/glibc-sched.h>
#include <sched.h>
#include <stdbool.h>

/* The objects of that type, as sets of processors, those without any of ours left out. */
static uint32_t list(hwloc_topology_t topology, hwloc_obj_type_t type, cpu_set_t *places,
                     uint32_t max)
{
    cpu_set_t own;
    uint32_t count = 0;
    if (sched_getaffinity(0, sizeof own, &own) < 0) {
        return 0;
    }
    hwloc_obj_t object = NULL;
    while (count < max && (object = hwloc_get_next_obj_by_type(topology, type, object)) != NULL) {
        cpu_set_t *place = &places[count];
        CPU_ZERO(place);
        if (object->cpuset != NULL && hwloc_cpuset_to_glibc_sched_affinity(
                                          topology, object->cpuset, place, sizeof *place) == 0) {
            CPU_AND(place, place, &own);
            count += CPU_COUNT(place) > 0;
        }
    }
    return count;
}

static int list_all(cpu_set_t **places, hwloc_topology_t topology, hwloc_obj_type_t type)
{
    const int total = hwloc_get_nbobjs_by_type(topology, type);
    if (total <= 0) {
        return -ENOTSUP;
    }
    cpu_set_t *sets = skua__alloc((size_t)total * sizeof *sets);
    if (sets == NULL) {
        return -ENOMEM;
    }
    const uint32_t count = list(topology, type, sets, (uint32_t)total);
    if (count == 0) {
        skua__free(sets);
        return -ENOTSUP;
    }
    *places = sets;
    return (int)count;
}

int skua__place_list(cpu_set_t **places, skua_pool_binding binding)
{
    if (binding == SKUA_POOL_UNBOUND) {
        return 0;
    }
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0) {
        return -ENOTSUP;
    }
    int count = -ENOTSUP;
    if (hwloc_topology_load(topology) == 0 && hwloc_topology_is_thissystem(topology)) {
        const bool cores = binding == SKUA_POOL_CORES;
        count = list_all(places, topology, cores ? HWLOC_OBJ_CORE : HWLOC_OBJ_NUMANODE);
    }
    hwloc_topology_destroy(topology);
    return count;
}

void skua__place_put(pid_t pid, const cpu_set_t *place)
{
    int error = sched_setaffinity(pid, sizeof *place, place);
    (void)error; /* its processors were taken away since, or the process is dying */
}
