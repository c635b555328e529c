/* The machine: costs, topology, cache lines, and processors that several workers share. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim sim;

/* --- costs ------------------------------------------------------------------------------------ */

static double *cost_find(const char *name)
{
#define SIM_COST_CASE(field)                                                                       \
    if (strcmp(name, #field) == 0) {                                                               \
        return &sim.cost.field##_ns;                                                               \
    }
    SIM_COSTS(SIM_COST_CASE)
    fprintf(stderr, "sim: there is no cost \"%s\"\n", name);
    exit(2);
}

void sim_costs_read(const char *path, const char *machine)
{
    char line[512], name[64];
    double here, large;
    const bool is_here = strcmp(machine, "here") == 0;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "sim: cannot open %s\n", path);
        exit(2);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] != '#' && sscanf(line, "%63s %lf %lf", name, &here, &large) == 3) {
            *cost_find(name) = is_here ? here : large;
        }
    }
    fclose(file);
}

/* "name=value": what if? */
void sim_cost_set(const char *assignment)
{
    char name[64];
    double value;
    if (sscanf(assignment, "%63[^=]=%lf", name, &value) == 2) {
        *cost_find(name) = value;
    }
}

uint64_t sim_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* In (0, 1]. */
double sim_random_unit(uint64_t *state)
{
    return (double)((sim_random(state) >> 11) + 1) / 9007199254740992.0;
}

/* --- topology --------------------------------------------------------------------------------- */

enum { LEVELS_MAX = 8 };
static struct level {
    char name[16];
    int count, below; /* how many there are in one of the level above; processors in each */
} levels[LEVELS_MAX];
static int level_count;

/* As hwloc writes made-up machines: "node:4 l3:4 core:8 pu:2", outermost first. */
void sim_topology_parse(const char *text)
{
    int used, group_below = 0;
    sim.processors = 1;
    for (level_count = 0; level_count < LEVELS_MAX; level_count++, text += used) {
        struct level *level = &levels[level_count];
        if (sscanf(text, " %15[^:]:%d%n", level->name, &level->count, &used) != 2) {
            break;
        }
        sim.processors *= level->count;
    }
    for (int i = 0, below = sim.processors; i < level_count; i++) {
        below /= levels[i].count;
        levels[i].below = below;
        const bool is_core =
            strcmp(levels[i].name, "core") == 0 || strcmp(levels[i].name, "pu") == 0;
        group_below = is_core ? group_below : below;
    }
    for (int i = 0; i < sim.workers; i++) {
        struct sim_worker *worker = &sim.actors[i];
        worker->processor = i % sim.processors;
        worker->group = group_below == 0 ? 0 : worker->processor / group_below;
        sim.groups = worker->group >= sim.groups ? worker->group + 1 : sim.groups;
    }
    for (int i = 0; i < sim.agents; i++) {
        sim.actors[sim.workers + i].processor = i * sim.processors / sim.agents;
        sim.actors[sim.workers + i].group = i % sim.groups;
    }
}

/* What a line costs between two processors: by the outermost level in which they differ. */
sim_time sim_transfer(const struct sim_worker *to, int from)
{
    const int a = to->processor, b = sim.actors[from].processor;
    for (int i = 0; i < level_count; i++) {
        if (a / levels[i].below != b / levels[i].below) {
            const char *name = levels[i].name;
            return SIM_NS(strcmp(name, "pu") == 0     ? sim.cost.line_smt_ns
                          : strcmp(name, "core") == 0 ? sim.cost.line_l3_ns
                          : strcmp(name, "l3") == 0   ? sim.cost.line_node_ns
                                                      : sim.cost.line_remote_ns);
        }
    }
    return SIM_NS(sim.cost.load_ns);
}

bool sim_is_sibling_busy(const struct sim_worker *worker)
{
    const struct level *last = &levels[level_count - 1];
    if (strcmp(last->name, "pu") != 0 || last->count < 2) {
        return false;
    }
    const int sibling = worker->index ^ 1; /* two threads to a core */
    return sibling < sim.workers && sim.actors[sibling].phase != SIM_ASLEEP;
}

/* --- lines ------------------------------------------------------------------------------------ */

void sim_line_init(struct sim_line *line, int owner)
{
    *line = (struct sim_line){.owner = owner, .lowest = owner, .highest = owner};
    line->sharers[owner / 64] = UINT64_C(1) << owner % 64;
}

void sim_spend(struct sim_worker *actor, double ns)
{
    actor->clock += SIM_NS(ns);
}

/* Waits for the line, keeps it for `held`, and is through after `through`. */
static void take_turn(struct sim_worker *actor, struct sim_line *line, sim_time held,
                      sim_time through)
{
    const sim_time begin = line->free_at > actor->clock ? line->free_at : actor->clock;
    line->waited += begin - actor->clock;
    line->busy += held;
    line->free_at = begin + held;
    actor->clock = begin + through;
}

void sim_read(struct sim_worker *actor, struct sim_line *line)
{
    const int me = actor->index;
    const uint64_t bit = UINT64_C(1) << me % 64;
    if (line->sharers[me / 64] & bit) {
        sim_spend(actor, sim.cost.load_ns);
        return;
    }
    line->sharers[me / 64] |= bit;
    line->lowest = me < line->lowest ? me : line->lowest;
    line->highest = me > line->highest ? me : line->highest;
    take_turn(actor, line, SIM_NS(sim.cost.read_hold_ns), sim_transfer(actor, line->owner));
}

/* A read-modify-write; also the taking of a lock. Who has to be told stands at either end of the
   sharers, since workers sit side by side. */
void sim_write(struct sim_worker *actor, struct sim_line *line)
{
    const int me = actor->index;
    sim_time cost = SIM_NS(sim.cost.rmw_ns);
    if (line->owner != me || line->lowest != me || line->highest != me) {
        const sim_time low = sim_transfer(actor, line->lowest);
        const sim_time high = sim_transfer(actor, line->highest);
        cost += low > high ? low : high;
    }
    take_turn(actor, line, cost, cost);
    memset(line->sharers, 0, sizeof line->sharers);
    line->sharers[me / 64] = UINT64_C(1) << me % 64;
    line->owner = line->lowest = line->highest = me;
}

/* The line was a lock's, and was kept until now. */
void sim_unlock(struct sim_worker *actor, struct sim_line *line)
{
    if (actor->clock > line->free_at) {
        line->busy += actor->clock - line->free_at;
        line->free_at = actor->clock;
    }
}

/* --- processors ------------------------------------------------------------------------------- */

static struct processor {
    int current, count;
    int waiting[SIM_WORKERS_MAX];
    sim_time slice_end;
} processors[SIM_ACTORS_MAX];

void sim_processors_reset(void)
{
    for (int i = 0; i < SIM_ACTORS_MAX; i++) {
        processors[i] = (struct processor){.current = -1};
    }
}

static void run_next(struct processor *processor, sim_time now)
{
    processor->current = -1;
    if (processor->count > 0) {
        const int next = processor->waiting[0];
        processor->count--;
        memmove(processor->waiting, processor->waiting + 1,
                (size_t)processor->count * sizeof processor->waiting[0]);
        processor->current = next;
        processor->slice_end = now + SIM_NS(sim.cost.slice_ns);
        sim_schedule(next, now + SIM_NS(sim.cost.sched_switch_ns));
    }
}

/* Before each step: true if the worker has its processor; else it was put into the processor's
   queue, and is scheduled when its turn comes. */
bool sim_processor_take(struct sim_worker *worker)
{
    struct processor *processor = &processors[worker->processor];
    if (sim.workers <= sim.processors) {
        return true;
    }
    if (processor->current < 0) {
        processor->current = worker->index;
        processor->slice_end = worker->clock + SIM_NS(sim.cost.slice_ns);
    }
    if (processor->current == worker->index &&
        (processor->count == 0 || worker->clock < processor->slice_end)) {
        return true;
    }
    processor->waiting[processor->count++] = worker->index;
    if (processor->current == worker->index) {
        run_next(processor, worker->clock);
    }
    return false;
}

void sim_processor_leave(struct sim_worker *worker)
{
    if (sim.workers > sim.processors) {
        run_next(&processors[worker->processor], worker->clock);
    }
}
