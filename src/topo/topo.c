/* Which processors there are for us, and in which order a worker looks at the others.

   Two processors are as near as their lowest common ancestor in hwloc's tree is deep: hardware
   threads of one core, then cores that share a cache, then a NUMA node, then the machine. Nothing
   here knows the names of those levels, so that it also holds on machines with more of them.

   (T1) The victims of a worker are all the others, each once.
   (T2) They come in order of distance; those of one distance are a level.
   (T3) Inside a level they start behind the worker itself and wrap around, so that not all workers
        begin with the same victim.

   (T4) Groups are numbered in the order of their first workers, without gaps.

   The tables are made once and constant from then on: any thread may read them.

   (T5) What hwloc says of this machine is read once in the life of a process, since that takes some
        ten milliseconds, and only looked at afterwards. What the process may use of it is read each
        time. A machine that the environment makes up is not kept.

   hwloc_distrib() was not taken to place the workers: it spreads them as far apart as possible,
   whereas workers that pass tasks to each other want to be near. */
#define _GNU_SOURCE 1
#include "topo/topo.h"

#include "base/compiler.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/panic.h"

#include <errno.h>
#include <hwloc.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    CPUS_MAX = 8192,   /* as many as Linux can be configured for */
    HWLOC_FROM = 3,    /* workers; two or fewer have nothing to choose */
    DEPTH_UNKNOWN = 0, /* all at the same distance */
    GROUP_MIN = 8,     /* processors; fewer gain nothing */
    GROUP_MAX = 32,    /* more want to be split, if there is a way */
};

struct skua__topo {
    uint32_t workers;
    uint32_t *victims;    /* workers rows of workers - 1 */
    uint32_t *level_ends; /* beside each victim, the end of its level */
    uint32_t *groups;     /* of each worker */
    uint32_t group_count;
    uint32_t cpu_count;   /* 0 where there is one group */
    uint32_t *cpu_groups; /* of each processor, by the kernel's number */
};

/* What hwloc says, while the tables are being made. */
struct machine {
    hwloc_topology_t topology; /* NULL: hwloc has failed */
    bool is_kept;
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

/* Of this machine (T5). */
static struct {
    struct skua__lock lock;
    hwloc_topology_t topology;
} kept;

__attribute__((destructor)) static void forget_machine(void)
{
    if (kept.topology != NULL) {
        hwloc_topology_destroy(kept.topology);
    }
}

/* NULL where hwloc fails. */
static hwloc_topology_t topology_load(void)
{
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0) {
        return NULL;
    }
    hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
    if (hwloc_topology_load(topology) == 0 &&
        hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU) > 0) {
        return topology;
    }
    hwloc_topology_destroy(topology);
    return NULL;
}

static hwloc_topology_t topology_kept(void)
{
    skua__lock(&kept.lock, SKUA__RANK_MEM);
    if (kept.topology == NULL) {
        kept.topology = topology_load();
    }
    hwloc_topology_t topology = kept.topology;
    skua__unlock(&kept.lock, SKUA__RANK_MEM);
    return topology;
}

/* Leaves count at 0 where hwloc cannot be had; -ENOMEM only for memory of ours. */
static int machine_open(struct machine *machine)
{
    const bool is_made_up = getenv("HWLOC_SYNTHETIC") != NULL || getenv("HWLOC_XMLFILE") != NULL;
    *machine = (struct machine){.is_kept = !is_made_up};
    machine->topology = is_made_up ? topology_load() : topology_kept();
    if (machine->topology == NULL) {
        return 0;
    }
    const int total = hwloc_get_nbobjs_by_type(machine->topology, HWLOC_OBJ_PU);
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
    if (machine->topology != NULL && !machine->is_kept) {
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

static uint32_t usable_below(const struct machine *machine, hwloc_obj_t above)
{
    uint32_t usable = 0;
    for (uint32_t i = 0; i < machine->count; i++) {
        usable += hwloc_bitmap_isset(above->cpuset, machine->processors[i]->os_index) != 0;
    }
    return usable;
}

/* What the processors of a group have in common: the smallest set of enough, or, if the next larger
   one would be too large, of somewhat fewer. */
static hwloc_obj_t group_object(const struct machine *machine, uint32_t processor)
{
    hwloc_obj_t above = machine->processors[processor], below = above;
    while (above->parent != NULL && usable_below(machine, above) < GROUP_MIN) {
        below = above;
        above = above->parent;
    }
    bool is_too_large = usable_below(machine, above) > GROUP_MAX;
    return is_too_large && usable_below(machine, below) >= GROUP_MIN / 2 ? below : above;
}

/* Workers sit in topology order, so the next one is in the same group or in a new one, until they
   wrap around. */
static void fill_groups(struct skua__topo *topo, const struct machine *machine)
{
    hwloc_obj_t before = NULL;
    topo->group_count = 1;
    for (uint32_t worker = 0; worker < topo->workers && machine->count > 0; worker++) {
        if (worker >= machine->count) {
            topo->groups[worker] = topo->groups[worker - machine->count];
            continue;
        }
        hwloc_obj_t object = group_object(machine, worker);
        topo->group_count += before != NULL && object != before;
        topo->groups[worker] = topo->group_count - 1;
        before = object;
    }
}

/* Which group a thread is near to that runs on some processor. */
static int fill_cpu_groups(struct skua__topo *topo, const struct machine *machine)
{
    if (topo->group_count == 1) {
        return 0;
    }
    topo->cpu_groups = skua__alloc(CPUS_MAX * sizeof *topo->cpu_groups);
    if (topo->cpu_groups == NULL) {
        return -ENOMEM;
    }
    topo->cpu_count = CPUS_MAX;
    for (uint32_t i = 0; i < machine->count && i < topo->workers; i++) {
        uint32_t cpu = machine->processors[i]->os_index;
        if (cpu < CPUS_MAX) {
            topo->cpu_groups[cpu] = topo->groups[i];
        }
    }
    return 0;
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
    if (status == 0) {
        fill_groups(topo, &machine);
        status = fill_cpu_groups(topo, &machine);
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
    topo->groups = skua__alloc(workers * sizeof *topo->groups);
    bool has_memory = topo->victims != NULL && topo->level_ends != NULL && topo->groups != NULL;
    int status = has_memory ? fill_tables(topo) : -ENOMEM;
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
        skua__free(topo->groups);
        skua__free(topo->cpu_groups);
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

uint32_t skua__topo_groups(const struct skua__topo *topo, uint32_t workers)
{
    uint32_t last = 0;
    for (uint32_t worker = 0; worker < workers && worker < topo->workers; worker++) {
        last = topo->groups[worker] > last ? topo->groups[worker] : last;
    }
    return last + 1;
}

uint32_t skua__topo_group(const struct skua__topo *topo, uint32_t worker)
{
    skua_assert(worker < topo->workers);
    return topo->groups[worker];
}

uint32_t skua__topo_group_here(const struct skua__topo *topo)
{
    if (SKUA_LIKELY(topo->group_count == 1)) {
        return 0;
    }
    int cpu = sched_getcpu();
    return cpu >= 0 && (uint32_t)cpu < topo->cpu_count ? topo->cpu_groups[cpu] : 0;
}
