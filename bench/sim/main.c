/* A simulation of the scheduler on machines that are not at hand.

       sim [options] WORKLOAD...          a line for each workload and number of workers

       -t TOPOLOGY    as hwloc writes made-up ones; default "node:4 l3:4 core:16"
       -w 1,2,4,...   how many workers; default the powers of two up to 256
       -m here|large  which column of the costs
       -f FILE        the table of costs
       -c NAME=NS     what if a cost were another one? Any number of times
       -g             one inject queue for each L3 instead of a single one
       -i             one idle word and list for each L3, which is not built
       -n COUNT       at most so many searchers for an idle word; default half of the awake ones
       -l LOAD        of serve and events: a share of what the workers can do; default 0.6
       -u NS          mean time of a request; default 20,000
       -d DEPTH       of fib (30), for (20) and skynet (5): larger problems
       -s SEED

   What it counts as work is what one worker needs for the same, without the scheduler's searching
   and sleeping: the speed-up is against the simulated run with one worker. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *topology = "node:4 l3:4 core:16";
static bool has_inject_groups, has_idle_groups;
static double load = 0.6, service_ns = 20000;
static uint64_t seed = 1;
static int searchers_max = SIM_WORKERS_MAX;
static int depth; /* of trees, where it is not the workload's own */

static void reset(int workers)
{
    const struct sim_costs cost = sim.cost;
    struct sim_worker *actors = sim.actors;
    for (int i = 0; i < SIM_ACTORS_MAX; i++) {
        uint16_t *victims = actors[i].victims, *level_end = actors[i].level_end;
        struct sim_child *children = actors[i].children;
        actors[i] = (struct sim_worker){.index = i, .victims = victims, .level_end = level_end};
        actors[i].children = children != NULL ? children : calloc(SIM_DEPTH_MAX, sizeof *children);
    }
    for (int i = 0; i < SIM_GROUPS_MAX; i++) {
        free(sim.inject[i].tasks);
    }
    const size_t kept = sizeof sim.cost + sizeof sim.actors;
    memset((char *)&sim + kept, 0, sizeof sim - kept);
    sim.cost = cost;
    sim.workers = workers;
    sim.agents = sim_work->arrive != NULL ? (workers + 7) / 8 : 0;
    sim.random = seed;
    for (sim_time when; sim_next(&when) >= 0;) {} /* what the last run has left */
    sim_topology_parse(topology);
    sim.injects = has_inject_groups ? sim.groups : 1;
    sim.searchers_max = searchers_max;
    sim.idles = has_idle_groups ? sim.groups : 1;
    sim_processors_reset();
    sim_sched_init();
}

static void run(int workers)
{
    reset(workers);
    if (sim.agents > 0) {
        sim_arrivals_set(load, service_ns);
    }
    sim_work->start();
    if (sim_work->forks || sim.actors[0].current != NULL) {
        sim_schedule(0, 0);
    }
    sim_time when;
    for (int actor; !sim.is_over && (actor = sim_next(&when)) >= 0;) {
        struct sim_worker *worker = &sim.actors[actor];
        worker->clock = when + worker->interrupted;
        worker->interrupted = 0;
        if (actor >= sim.workers) {
            sim_work->arrive(worker);
        } else if (sim_processor_take(worker)) {
            sim_worker_step(worker);
        }
    }
    if (!sim.is_over) {
        fprintf(stderr, "sim: %s with %d workers has come to a stand\n", sim_work->name, workers);
        exit(1);
    }
}

/* The line that was longest on its way. */
static const struct sim_line *hottest(const char **name)
{
    const struct sim_line *hot = &sim.idle[0].word;
    *name = "idle-word";
#define TRY(line, text)                                                                            \
    if ((line)->busy > hot->busy) {                                                                \
        hot = (line);                                                                              \
        *name = text;                                                                              \
    }
    for (int i = 0; i < sim.idles; i++) {
        TRY(&sim.idle[i].word, "idle-word")
        TRY(&sim.idle[i].lock, "idle-lock")
    }
    TRY(&sim.membarrier, "membarrier")
    TRY(&sim.token, "poll-token")
    for (int i = 0; i < sim.injects; i++) {
        TRY(&sim.inject[i].line, "inject")
    }
    for (int i = 0; i < sim.workers; i++) {
        TRY(&sim.actors[i].head_line, "ring-head")
        TRY(&sim.actors[i].tail_line, "ring-tail")
        TRY(&sim.actors[i].public_line, "deque")
        TRY(&sim.actors[i].limit_line, "limit")
    }
    return hot;
}

static void print_header(void)
{
    printf(
        "work\tworkers\tinjects\tidles\ttime_us\tspeedup\tutilisation\ttasks\tns_per_task\tsteals\t"
        "probes_failed\twakes\tmembarriers\tspills\thot_line\thot_share\tlock_wait\tp50_us\t"
        "p99_us\n");
}

static void print_row(double alone_us)
{
    const char *name;
    const struct sim_line *hot = hottest(&name);
    const double time_us = (double)sim.end / 1e6, all = (double)sim.end * sim.workers;
    double running = 0, waited = 0;
    uint64_t steals = 0, failed = 0;
    for (int i = 0; i < sim.workers; i++) {
        running += (double)sim.actors[i].running;
        steals += sim.actors[i].steals;
        failed += sim.actors[i].probes_failed;
    }
    for (int i = 0; i < sim.idles; i++) {
        waited += (double)(sim.idle[i].lock.waited + sim.idle[i].word.waited);
    }
    for (int i = 0; i < sim.injects; i++) {
        waited += (double)sim.inject[i].line.waited;
    }
    const double hot_share = (double)hot->busy / (double)sim.end;
    printf("%s\t%d\t%d\t%d\t%.1f\t%.2f\t%.3f\t%llu\t%.1f\t%llu\t%llu\t%llu\t%llu\t%llu\t%s\t%.3f\t"
           "%.4f\t%.1f\t%.1f\n",
           sim_work->name, sim.workers, sim.injects, sim.idles, time_us, alone_us / time_us,
           running / all, (unsigned long long)sim.tasks, time_us * 1e3 / (double)sim.tasks,
           (unsigned long long)steals, (unsigned long long)failed, (unsigned long long)sim.wakes,
           (unsigned long long)sim.membarriers, (unsigned long long)sim.spills, name, hot_share,
           waited / all, sim_latency_us(50), sim_latency_us(99));
    fflush(stdout);
}

/* As much work with one worker; requests come at their own pace. */
static double alone_us(void)
{
    if (sim_work->arrive != NULL) {
        return 0;
    }
    run(1);
    return (double)sim.end / 1e6;
}

int main(int argc, char **argv)
{
    const char *costs = "bench/sim/costs.tsv", *machine = "large";
    const char *workers = "1,2,4,8,16,32,64,128,256", *changes[16];
    int change_count = 0;
    for (int option; (option = getopt(argc, argv, "t:w:m:f:c:gin:l:u:d:s:")) != -1;) {
        switch (option) {
        case 't':
            topology = optarg;
            break;
        case 'w':
            workers = optarg;
            break;
        case 'm':
            machine = optarg;
            break;
        case 'f':
            costs = optarg;
            break;
        case 'c':
            changes[change_count++ % 16] = optarg;
            break;
        case 'g':
            has_inject_groups = true;
            break;
        case 'i':
            has_idle_groups = true;
            break;
        case 'n':
            searchers_max = (int)strtol(optarg, NULL, 10);
            break;
        case 'l':
            load = strtod(optarg, NULL);
            break;
        case 'u':
            service_ns = strtod(optarg, NULL);
            break;
        case 'd':
            depth = (int)strtol(optarg, NULL, 10);
            break;
        case 's':
            seed = strtoull(optarg, NULL, 10);
            break;
        default:
            return 2;
        }
    }
    sim_costs_read(costs, machine);
    for (int i = 0; i < change_count && i < 16; i++) {
        sim_cost_set(changes[i]);
    }
    print_header();
    for (int i = optind; i < argc; i++) {
        struct sim_work work = *sim_work_find(argv[i]);
        work.depth = depth > 0 ? depth : work.depth;
        sim_work = &work;
        const double alone = alone_us();
        char *end;
        for (const char *at = workers; *at != '\0'; at = *end == ',' ? end + 1 : end) {
            const int count = (int)strtol(at, &end, 10);
            if (count < 1 || count > SIM_WORKERS_MAX) {
                return 2;
            }
            run(count);
            print_row(alone);
        }
    }
    return 0;
}
