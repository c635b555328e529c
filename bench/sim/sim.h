/* sim.h: what the parts of the simulation share.

   Workers, and threads outside that hand work in, are actors. An actor does one step after the
   other; a step moves its clock by what it costs. The actor with the earliest clock goes next, so
   steps are atomic and in order. One seed gives one run. */
#ifndef SKUA_SIM_H
#define SKUA_SIM_H

#include <stdbool.h>
#include <stdint.h>

typedef int64_t sim_time; /* picoseconds */

#define SIM_NEVER INT64_MAX
#define SIM_NS(ns) ((sim_time)((ns)*1000))

enum {
    SIM_WORKERS_MAX = 256,
    SIM_AGENTS_MAX = 32,
    SIM_ACTORS_MAX = SIM_WORKERS_MAX + SIM_AGENTS_MAX,
    SIM_RING_SLOTS = 256,
    SIM_GROUPS_MAX = 64,
    SIM_DEPTH_MAX = 4096, /* private descriptors of a worker */
};

/* A row of costs.tsv each; the last two columns' names are chosen by --machine. */
#define SIM_COSTS(X)                                                                               \
    X(load)                                                                                        \
    X(rmw)                                                                                         \
    X(fence)                                                                                       \
    X(pause)                                                                                       \
    X(line_smt)                                                                                    \
    X(line_l3)                                                                                     \
    X(line_node)                                                                                   \
    X(line_remote)                                                                                 \
    X(read_hold)                                                                                   \
    X(smt_slowdown)                                                                                \
    X(switch)                                                                                      \
    X(fork)                                                                                        \
    X(publish)                                                                                     \
    X(fiber)                                                                                       \
    X(spawn)                                                                                       \
    X(finish)                                                                                      \
    X(join)                                                                                        \
    X(yield)                                                                                       \
    X(message)                                                                                     \
    X(task_lines)                                                                                  \
    X(wake_call)                                                                                   \
    X(wake_latency)                                                                                \
    X(membarrier)                                                                                  \
    X(membarrier_first)                                                                            \
    X(membarrier_each)                                                                             \
    X(interrupt)                                                                                   \
    X(submit)                                                                                      \
    X(event)                                                                                       \
    X(poll)                                                                                        \
    X(slice)                                                                                       \
    X(sched_switch)

#define SIM_COST_FIELD(name) double name##_ns;
struct sim_costs {
    SIM_COSTS(SIM_COST_FIELD)
};

/* A cache line: who has it, and until when it is on its way to somebody. Writers, and readers for a
   shorter time, are served one after the other. */
struct sim_line {
    int owner;                                 /* who wrote last */
    uint64_t sharers[SIM_ACTORS_MAX / 64 + 1]; /* who can read it at once */
    int lowest, highest;                       /* of the sharers */
    sim_time free_at;
    sim_time busy;   /* how long it was under way in all */
    sim_time waited; /* how long actors waited for their turn */
};

struct sim_task {
    int step, count; /* for the workload: where it stands, and of how much */
    int depth;
    uint64_t seed;
    int home; /* who has its memory in the cache */
    int mail;
    bool is_waiting, has_ended;
    struct sim_task *joiner, *partner, **children;
    struct sim_line *line; /* of a channel */
    sim_time born;
};

/* A function that has forked: a place on the stack of some fiber. */
struct sim_frame {
    struct sim_frame *parent;
    uint64_t seed;
    int depth;
    int stolen;     /* children that others run */
    bool is_stolen; /* runs on a fiber of its own */
    bool is_waiting;
    bool has_forked;
    int home;
};

struct sim_child {
    struct sim_frame *parent;
    uint64_t seed;
    int depth;
};

enum sim_phase {
    SIM_LOOK,   /* for the next task, in its own queues first */
    SIM_RUN,    /* a task, or a fork */
    SIM_SEARCH, /* for work of others */
    SIM_SCAN,   /* all queues, before it sleeps or after it was the last searcher */
    SIM_POLL,   /* hands the poller's events out */
    SIM_ASLEEP,
    SIM_WOKEN,
};

struct sim_worker {
    sim_time clock, interrupted;
    int index, processor, group;
    enum sim_phase phase;
    uint64_t random;
    /* The queue of tasks. */
    struct sim_task *current, *lifo;
    struct sim_task *ring[SIM_RING_SLOTS];
    uint32_t head, tail, lifo_run;
    int upkeep_in;
    sim_time since; /* when it dispatched last */
    struct sim_line head_line, tail_line;
    /* Forks: private descriptors are [low, top), public ones [first, low). */
    struct sim_frame *frame;
    struct sim_child *children;
    int first, low, top;
    bool is_poisoned;
    struct sim_line public_line, limit_line;
    /* Search and sleep. */
    uint16_t *victims, *level_end;
    int round, probe, level_begin, turn;
    bool is_searching, is_polling, is_parked, is_claimed;
    struct sim_line sleeper_line;
    /* Counted. */
    sim_time running;
    uint64_t steals, probes_failed;
};

struct sim_inject {
    struct sim_line line;
    struct sim_task **tasks;
    uint32_t first, count, capacity;
};

/* The idle word and its list. */
struct sim_idle {
    int workers, searching, parked;
    int sleepers[SIM_WORKERS_MAX]; /* latest last */
    struct sim_line word, lock;
};

struct sim {
    struct sim_costs cost;
    struct sim_worker actors[SIM_ACTORS_MAX]; /* workers, then agents */
    int workers, agents, processors, groups;
    int injects; /* inject queues: one, or one for each group */
    bool is_over;
    sim_time end;
    int idles; /* one, or one for each group */
    int searchers_max;
    struct sim_idle idle[SIM_GROUPS_MAX];
    struct sim_line membarrier, token;
    struct sim_inject inject[SIM_GROUPS_MAX];
    int token_holder, events; /* -1: the token is free; events that wait in the poller */
    uint64_t wakes, membarriers, spills, tasks;
    uint64_t random;
};

extern struct sim sim;

/* machine.c */
void sim_costs_read(const char *path, const char *machine);
void sim_cost_set(const char *assignment);
void sim_topology_parse(const char *text);
sim_time sim_transfer(const struct sim_worker *to, int from);
void sim_spend(struct sim_worker *actor, double ns);
void sim_read(struct sim_worker *actor, struct sim_line *line);
void sim_write(struct sim_worker *actor, struct sim_line *line);
void sim_unlock(struct sim_worker *actor, struct sim_line *line);
void sim_line_init(struct sim_line *line, int owner);
bool sim_processor_take(struct sim_worker *worker);
void sim_processor_leave(struct sim_worker *worker);
void sim_processors_reset(void);
uint64_t sim_random(uint64_t *state);
double sim_random_unit(uint64_t *state);
bool sim_is_sibling_busy(const struct sim_worker *worker);

/* events.c: the actor with the earliest clock first. */
void sim_schedule(int actor, sim_time when);
int sim_next(sim_time *when);

/* sched.c */
void sim_sched_init(void);
void sim_worker_step(struct sim_worker *worker);
void sim_make_ready(struct sim_worker *worker, struct sim_task *task, bool is_woken);
void sim_submit(struct sim_worker *agent, struct sim_task *task);
void sim_wake_one(struct sim_worker *actor, bool is_fenced);
void sim_poller_ring(sim_time when);

/* fork.c */
void sim_fork_step(struct sim_worker *worker);
bool sim_fork_steal(struct sim_worker *worker, struct sim_worker *victim);
void sim_fork_poison_all(struct sim_worker *worker);

/* work.c */
enum sim_result { SIM_GOES_ON, SIM_SUSPENDS, SIM_YIELDS, SIM_ENDS };
struct sim_work {
    const char *name, *what;
    bool forks;
    enum sim_result (*run)(struct sim_worker *worker, struct sim_task *task);
    void (*start)(void);
    void (*arrive)(struct sim_worker *agent);
    /* Trees: how many children a node has; what its own work costs. */
    int (*children)(uint64_t seed, int depth);
    double leaf_ns;
    int depth;
};
extern const struct sim_work *sim_work;
const struct sim_work *sim_work_find(const char *name);
uint64_t sim_child_seed(uint64_t seed, int index);
void sim_arrivals_set(double load, double service_ns);
double sim_latency_us(double percent);
struct sim_task *sim_event_task(void);

#endif
