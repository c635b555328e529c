/* The workloads. */
#include "sim.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct sim_work *sim_work;

/* --- trees ------------------------------------------------------------------------------------ */

uint64_t sim_child_seed(uint64_t seed, int index)
{
    uint64_t state = seed + (uint64_t)index;
    return sim_random(&state);
}

/* fib(n) calls fib(n - 1) and fib(n - 2); below LEAF it is one piece. */
static int fib_children(uint64_t seed, int depth)
{
    (void)seed;
    return depth >= 2 ? 2 : 0;
}

/* A loop that is cut into ranges, not quite in halves. */
static int range_children(uint64_t seed, int depth)
{
    (void)seed;
    return depth >= 2 ? 2 : 0;
}

/* Unbalanced: below the root one node in eight has eight children, by chance: just so few that the
   branches end some time. */
static int uts_children(uint64_t seed, int depth)
{
    if (depth == sim_work->depth) {
        return 2000;
    }
    return depth > 0 && (seed >> 20) % 1000 < 124 ? 8 : 0;
}

static int tens(uint64_t seed, int depth)
{
    (void)seed;
    return depth > 0 ? 10 : 0;
}

static int all_at_once(uint64_t seed, int depth)
{
    (void)seed;
    return depth > 0 ? 40000 : 0;
}

static struct sim_task *task_create(const struct sim_worker *worker)
{
    struct sim_task *task = calloc(1, sizeof *task);
    task->home = worker->index;
    sim.tasks++;
    return task;
}

static void end_all(const struct sim_worker *worker)
{
    sim.is_over = true;
    sim.end = worker->clock;
}

static enum sim_result task_end(struct sim_worker *worker, struct sim_task *task)
{
    task->has_ended = true;
    free(task->children);
    sim_spend(worker, sim.cost.finish_ns + 2 * sim.cost.rmw_ns);
    if (task->joiner != NULL && task->is_waiting) {
        sim_make_ready(worker, task->joiner, true);
    } else if (task->joiner == NULL) {
        end_all(worker);
    }
    return SIM_ENDS;
}

/* Spawns its children, then joins them in order. `mail` counts those that were joined. */
static enum sim_result tree_run(struct sim_worker *worker, struct sim_task *task)
{
    if (task->step == 0) {
        task->count = sim_work->children(task->seed, task->depth);
        task->children = calloc((size_t)task->count + 1, sizeof(struct sim_task *));
        sim_spend(worker, task->count == 0 ? sim_work->leaf_ns : 0);
    }
    if (task->step < task->count) {
        struct sim_task *child = task_create(worker);
        child->joiner = task;
        child->depth = task->depth - 1;
        child->seed = sim_child_seed(task->seed, task->step);
        task->children[task->step++] = child;
        sim_spend(worker, sim.cost.spawn_ns);
        sim_make_ready(worker, child, false);
        return SIM_GOES_ON;
    }
    task->step++;
    if (task->mail == task->count) {
        return task_end(worker, task);
    }
    struct sim_task *child = task->children[task->mail];
    if (!child->has_ended) {
        child->is_waiting = true;
        sim_spend(worker, sim.cost.switch_ns + 2 * sim.cost.rmw_ns);
        return SIM_SUSPENDS;
    }
    worker->clock += sim_transfer(worker, child->home);
    sim_spend(worker, sim.cost.join_ns + 2 * sim.cost.rmw_ns);
    task->mail++;
    free(child);
    return SIM_GOES_ON;
}

static void tree_start(void)
{
    struct sim_worker *first = &sim.actors[0];
    if (sim_work->forks) {
        first->frame = calloc(1, sizeof *first->frame);
        first->frame->depth = sim_work->depth;
        first->is_poisoned = sim.workers > 1;
    } else {
        first->current = task_create(first);
        first->current->depth = sim_work->depth;
    }
    first->phase = SIM_RUN;
}

/* --- tasks that go on ------------------------------------------------------------------------- */

enum { YIELDERS = 8, TURNS = 20000, MESSAGES = 20000, IS_MAIN = -1 };
static int running;

static enum sim_result one_less(struct sim_worker *worker)
{
    if (--running == 0) {
        end_all(worker);
    }
    return SIM_ENDS;
}

/* The main task is worker 0's: it spawns `count` more, and does not wait. */
static void spawn_start(int count)
{
    struct sim_worker *first = &sim.actors[0];
    first->current = task_create(first);
    first->current->count = running = count;
    first->current->depth = IS_MAIN;
    first->phase = SIM_RUN;
}

static enum sim_result main_run(struct sim_worker *worker, struct sim_task *main_task)
{
    if (main_task->step == main_task->count) {
        return SIM_ENDS;
    }
    struct sim_task *task = task_create(worker);
    if (main_task->step++ % 2 == 1) {
        task->partner = main_task->partner;
        task->partner->partner = task;
        task->line = task->partner->line;
    } else {
        main_task->partner = task;
        task->line = malloc(sizeof *task->line);
        sim_line_init(task->line, worker->index);
        task->mail = 1; /* begins */
    }
    sim_spend(worker, sim.cost.spawn_ns);
    sim_make_ready(worker, task, false);
    return SIM_GOES_ON;
}

static enum sim_result yield_run(struct sim_worker *worker, struct sim_task *task)
{
    if (task->depth == IS_MAIN) {
        return main_run(worker, task);
    }
    sim_spend(worker, sim.cost.yield_ns);
    return task->step++ < TURNS ? SIM_YIELDS : one_less(worker);
}

static void yield_start(void)
{
    spawn_start(YIELDERS);
    sim.tasks = YIELDERS * TURNS;
}

/* Takes what came, and sends it back; who waits is handed its item. */
static enum sim_result pair_run(struct sim_worker *worker, struct sim_task *task)
{
    struct sim_task *other = task->partner;
    if (task->depth == IS_MAIN) {
        return main_run(worker, task);
    }
    if (other == NULL) {
        return SIM_YIELDS; /* is not born yet */
    }
    sim_write(worker, task->line);
    if (task->mail == 0) {
        task->is_waiting = true;
        sim_spend(worker, sim.cost.switch_ns + sim.cost.rmw_ns);
        return SIM_SUSPENDS;
    }
    task->mail--;
    other->mail++;
    sim_spend(worker, sim.cost.message_ns + 2 * sim.cost.rmw_ns);
    if (other->is_waiting) {
        other->is_waiting = false;
        sim_make_ready(worker, other, true);
    }
    return task->step++ < MESSAGES ? SIM_GOES_ON : one_less(worker);
}

static void pairs_start(void)
{
    spawn_start(2 * sim.workers);
    sim.tasks = (uint64_t)running * MESSAGES;
}

/* --- requests -------------------------------------------------------------------------------- */

enum { REQUESTS = 60000 };
static double mean_gap_ns, mean_service_ns;
static double latency_us[REQUESTS];
static struct sim_task *waiting[REQUESTS];
static int sent, served, taken;

void sim_arrivals_set(double load, double service_ns)
{
    mean_service_ns = service_ns;
    mean_gap_ns = service_ns / load / sim.workers * sim.agents;
}

static enum sim_result request_run(struct sim_worker *worker, struct sim_task *task)
{
    sim_spend(worker, -log(sim_random_unit(&task->seed)) * mean_service_ns);
    sim_spend(worker, sim.cost.finish_ns + 2 * sim.cost.rmw_ns);
    latency_us[served++] = (double)(worker->clock - task->born) / 1e6;
    free(task);
    if (served == REQUESTS) {
        end_all(worker);
    }
    return SIM_ENDS;
}

static struct sim_task *request_create(struct sim_worker *agent)
{
    struct sim_task *task = task_create(agent);
    task->born = agent->clock;
    task->seed = sim_random(&sim.random);
    return task;
}

/* One thread after the other hands requests in, at random times. */
static void next_arrival(struct sim_worker *agent, sim_time due)
{
    if (++sent < REQUESTS) {
        const sim_time next = due + SIM_NS(-log(sim_random_unit(&agent->random)) * mean_gap_ns);
        agent->since = next;
        sim_schedule(agent->index, next > agent->clock ? next : agent->clock);
    }
}

static void submit_arrive(struct sim_worker *agent)
{
    const sim_time due = agent->since;
    struct sim_task *task = request_create(agent);
    task->born = due;
    sim_spend(agent, sim.cost.submit_ns);
    sim_submit(agent, task);
    next_arrival(agent, due);
}

static void event_arrive(struct sim_worker *agent)
{
    const sim_time due = agent->since;
    waiting[sent] = request_create(agent);
    sim_poller_ring(agent->clock);
    next_arrival(agent, due);
}

struct sim_task *sim_event_task(void)
{
    return waiting[taken++];
}

static void requests_start(void)
{
    sent = served = taken = 0;
    for (int i = 0; i < sim.agents; i++) {
        sim_schedule(sim.workers + i, 0);
    }
    sim_schedule(0, 0);
}

static int compare(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double sim_latency_us(double percent)
{
    if (sim_work->arrive == NULL || served == 0) {
        return 0;
    }
    qsort(latency_us, (size_t)served, sizeof latency_us[0], compare);
    return latency_us[(int)(served * percent / 100)];
}

/* --- the table -------------------------------------------------------------------------------- */

static const struct sim_work works[] = {
    {"fib", "fib(38), forked; below 8 in one piece", true, tree_run, tree_start, NULL, fib_children,
     67 * 2.4, 30},
    {"uts", "unbalanced tree, forked; 500 ns a node", true, tree_run, tree_start, NULL,
     uts_children, 500, 1000},
    {"for", "parallel loop, forked; pieces of 20 us", true, tree_run, tree_start, NULL,
     range_children, 20000, 20},
    {"skynet", "10^5 leaves of 1 us, spawned ten by ten", false, tree_run, tree_start, NULL, tens,
     1000, 5},
    {"storm", "one task spawns 40,000 of 5 us, joins them", false, tree_run, tree_start, NULL,
     all_at_once, 5000, 1},
    {"storm0", "one task spawns 40,000 empty ones, joins them", false, tree_run, tree_start, NULL,
     all_at_once, 0, 1},
    {"yield", "eight tasks take turns", false, yield_run, yield_start, NULL, NULL, 0, 0},
    {"pairs", "a pair of tasks for each worker plays ping-pong", false, pair_run, pairs_start, NULL,
     NULL, 0, 0},
    {"serve", "requests of 20 us, from threads", false, request_run, requests_start, submit_arrive,
     NULL, 0, 0},
    {"events", "requests of 20 us, from the poller", false, request_run, requests_start,
     event_arrive, NULL, 0, 1},
};

const struct sim_work *sim_work_find(const char *name)
{
    for (unsigned i = 0; i < sizeof works / sizeof works[0]; i++) {
        if (strcmp(works[i].name, name) == 0) {
            return &works[i];
        }
    }
    for (unsigned i = 0; i < sizeof works / sizeof works[0]; i++) {
        fprintf(stderr, "%-8s %s\n", works[i].name, works[i].what);
    }
    exit(2);
}
