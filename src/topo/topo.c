/* Which processors there are for us, and in which order a worker looks at the others.

   Two processors are as near as their lowest common ancestor in hwloc's tree is deep: hardware
   threads of one core, then cores that share a cache, then a NUMA node, then the machine. Nothing
   here knows the names of those levels, so that it also holds on machines with more of them.

   (T1) The victims of a worker are all the others, each once.
   (T2) They come in order of distance; those of one distance are a level.
   (T3) Inside a level they start behind the worker itself and wrap around, so that not all workers
        begin with the same victim.

   The tables are made once and constant from then on: any thread may read them.

   hwloc_distrib() was not taken to place the workers: it spreads them as far apart as possible,
   whereas workers that pass tasks to each other want to be near. */
#define _GNU_SOURCE 1
#include "topo/topo.h"

#include "base/compiler.h"
#include "base/mem.h"
#include "base/panic.h"

#include <errno.h>
#include <hwloc.h>
#include <sched.h>
#include <unistd.h>

enum {
    CPUS_MAX = 8192,   /* as many as Linux can be configured for */
    HWLOC_FROM = 3,    /* workers; two or fewer have nothing to choose */
    DEPTH_UNKNOWN = 0, /* all at the same distance */
};

struct skua__topo {
    uint32_t workers;
    uint32_t *victims;    /* workers rows of workers - 1 */
    uint32_t *level_ends; /* beside each victim, the end of its level */
};

/* What hwloc says, while the tables are being made. */
struct machine {
    hwloc_topology_t topology;
    hwloc_obj_t *processors; /* the usable ones in topology order */
    uint32_t count;          /* 0: hwloc has failed */
};

typedef struct cpu_mask {
    cpu_set_t words[CPUS_MAX / CPU_SETSIZE];
} cpu_mask;

static bool affinity_read(cpu_mask *mask)
{
    *mask = (cpu_mask){0};
    return sched_getaffinity(0, sizeof mask->words, mask->words) == 0;
}

static bool affinity_has(const cpu_mask *mask, unsigned cpu)
{
    return cpu < CPUS_MAX && CPU_ISSET_S(cpu, sizeof mask->words, mask->words);
}

uint32_t skua__topo_worker_count(void)
{
    cpu_mask mask;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    int usable = affinity_read(&mask) ? CPU_COUNT_S(sizeof mask.words, mask.words) : (int)online;
    uint32_t count = usable > 0 ? (uint32_t)usable : 1;
    uint32_t quota = skua__topo_quota("/sys/fs/cgroup", "/proc/self/cgroup");
    return quota > 0 && quota < count ? quota : count;
}

/* A synthetic or imported topology is not this machine: its processors are all usable. */
static void choose_processors(struct machine *machine)
{
    cpu_mask mask;
    bool here = hwloc_topology_is_thissystem(machine->topology) && affinity_read(&mask);
    hwloc_obj_t processor = NULL;
    for (;;) {
        processor = hwloc_get_next_obj_by_type(machine->topology, HWLOC_OBJ_PU, processor);
        if (processor == NULL) {
            return;
        }
        if (!here || affinity_has(&mask, processor->os_index)) {
            machine->processors[machine->count++] = processor;
        }
    }
}

/* Leaves count at 0 where hwloc cannot be had; -ENOMEM only for memory of ours. */
static int machine_open(struct machine *machine)
{
    *machine = (struct machine){0};
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0) {
        return 0;
    }
    machine->topology = topology;
    hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
    int total = 0;
    if (hwloc_topology_load(topology) == 0) {
        total = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
    }
    if (total <= 0) {
        return 0;
    }
    machine->processors = skua__alloc((size_t)total * sizeof *machine->processors);
    if (machine->processors == NULL) {
        return -ENOMEM;
    }
    choose_processors(machine);
    return 0;
}

static void machine_close(struct machine *machine)
{
    skua__free(machine->processors);
    if (machine->topology != NULL) {
        hwloc_topology_destroy(machine->topology);
    }
}

/* How deep the common ancestor of two workers' processors lies: more is nearer. */
static int nearness(const struct machine *machine, uint32_t a, uint32_t b)
{
    if (machine->count == 0) {
        return DEPTH_UNKNOWN;
    }
    hwloc_obj_t one = machine->processors[a % machine->count];
    hwloc_obj_t other = machine->processors[b % machine->count];
    return one == other ? one->depth
                        : hwloc_get_common_ancestor_obj(machine->topology, one, other)->depth;
}

/* One level of a worker's row: all others of that depth, from the one behind it on. Returns where
   the next level starts. */
static uint32_t fill_level(struct skua__topo *topo, uint32_t worker, const int *depths, int depth,
                           uint32_t start)
{
    size_t row = (size_t)worker * (topo->workers - 1);
    uint32_t end = start;
    for (uint32_t step = 1; step < topo->workers; step++) {
        uint32_t other = (worker + step) % topo->workers;
        if (depths[other] == depth) {
            topo->victims[row + end++] = other;
        }
    }
    for (uint32_t i = start; i < end; i++) {
        topo->level_ends[row + i] = end;
    }
    return end;
}

static void fill_row(struct skua__topo *topo, const struct machine *machine, uint32_t worker,
                     int *depths)
{
    int deepest = DEPTH_UNKNOWN;
    for (uint32_t other = 0; other < topo->workers; other++) {
        depths[other] = nearness(machine, worker, other);
        deepest = depths[other] > deepest ? depths[other] : deepest;
    }
    uint32_t filled = 0;
    for (int depth = deepest; depth >= 0; depth--) {
        filled = fill_level(topo, worker, depths, depth, filled);
    }
    skua_require(filled == topo->workers - 1); /* (T1) */
}

static int fill_tables(struct skua__topo *topo)
{
    struct machine machine = {0};
    int *depths = skua__alloc(topo->workers * sizeof *depths);
    int status = depths == NULL ? -ENOMEM : 0;
    if (status == 0 && topo->workers >= HWLOC_FROM) {
        status = machine_open(&machine);
    }
    for (uint32_t worker = 0; status == 0 && worker < topo->workers; worker++) {
        fill_row(topo, &machine, worker, depths);
    }
    machine_close(&machine);
    skua__free(depths);
    return status;
}

int skua__topo_create(struct skua__topo **out, uint32_t workers)
{
    skua_require(workers > 0);
    struct skua__topo *topo = skua__alloc(sizeof *topo);
    if (topo == NULL) {
        return -ENOMEM;
    }
    size_t entries = (size_t)workers * workers; /* never 0, unlike workers - 1 */
    topo->workers = workers;
    topo->victims = skua__alloc(entries * sizeof *topo->victims);
    topo->level_ends = skua__alloc(entries * sizeof *topo->level_ends);
    int status = topo->victims == NULL || topo->level_ends == NULL ? -ENOMEM : fill_tables(topo);
    if (status != 0) {
        skua__topo_destroy(topo);
        return status;
    }
    *out = topo;
    return 0;
}

void skua__topo_destroy(struct skua__topo *topo)
{
    if (topo != NULL) {
        skua__free(topo->victims);
        skua__free(topo->level_ends);
        skua__free(topo);
    }
}

const uint32_t *skua__topo_victims(const struct skua__topo *topo, uint32_t worker, uint32_t *count)
{
    skua_assert(worker < topo->workers);
    *count = topo->workers - 1;
    return topo->victims + (size_t)worker * (topo->workers - 1);
}

uint32_t skua__topo_level_end(const struct skua__topo *topo, uint32_t worker, uint32_t from)
{
    skua_assert(worker < topo->workers && from < topo->workers - 1);
    return topo->level_ends[(size_t)worker * (topo->workers - 1) + from];
}
