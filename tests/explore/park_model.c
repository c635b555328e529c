/* Parking and waking: the real loop of the workers, with everything that they look at. A submission
   must never stay in a queue while all who could run it sleep for good.

   Nothing runs on stacks of its own here: "running" a fiber counts it. A thread of the model is a
   worker, or somebody from outside.

   Sources: sched/idle.c sched/ring.c sched/inject.c sched/runtime.c sched/fork.c
     sched/fiber_cache.c
   Mutates: sched/idle.c sched/idle.h
     sched/worker.c(lifo_put lifo_take ready_inject ready_pinned skua__ready take_permit may_sleep)
     sched/runtime.c(skua__runtime_heavy_fence skua__runtime_wake_sleeper) */
#include "explore.h"

#include "sched/worker.c"

enum { WORKERS = 3, FIBERS = 3 };

struct shared {
    skua_runtime runtime;
    struct skua__worker *workers;
    struct skua__fiber fibers[FIBERS];
    int payload[FIBERS];
    int times_run[FIBERS];
};
static struct shared *shared;
static int worker_of_thread[EXPLORE_THREADS]; /* -1: somebody from outside */
static int submitted;
static bool fibers_are_endless;

/* --- doors ------------------------------------------------------------------------------------ */

void skua__fiber_switch(struct skua__worker *worker, struct skua__fiber *from,
                        struct skua__fiber *to)
{
    long number = to - shared->fibers;
    EXPLORE_CHECK(shared->payload[number] == 100 + (int)number);
    shared->times_run[number]++;
    EXPLORE_CHECK(shared->times_run[number] == 1);
    EXPLORE_CHECK(to->runnable.pin == 0 || to->runnable.pin == worker->index + 1);
    explore_note(worker->index);
    if (fibers_are_endless) {
        static _Atomic uint32_t never_rung;
        skua__futex_wait(&never_rung, 0, SKUA__NEVER, false);
    }
}

uint32_t skua__topo_level_end(const struct skua__topo *topo, uint32_t worker, uint32_t begin)
{
    return shared->workers[worker].victim_count;
}

uint32_t skua__topo_group_here(const struct skua__topo *topo)
{
    return 0;
}

void skua__monitor_wake(skua_runtime *runtime) {}
void skua__sanitize_thread(struct skua__sanitize *context) {}

size_t skua__wheel_run(struct skua__wheel *wheel, int64_t now_ns)
{
    return 0;
}

struct skua__fiber *skua__fiber_create(skua_runtime *runtime, uint32_t stack_class)
{
    return NULL;
}

void skua__monitor_ring(skua_runtime *runtime) {}

bool skua__fiber_give(struct skua__worker *worker, struct skua__fiber *fiber,
                      struct skua__runnable *runnable)
{
    return false;
}

skua_task *skua_self(void)
{
    return NULL;
}

const char *skua_task_name(const skua_task *task)
{
    return "task";
}

static void become(int thread)
{
    int worker = worker_of_thread[thread];
    skua__current_worker = worker >= 0 ? &shared->workers[worker] : NULL;
}

/* --- making ----------------------------------------------------------------------------------- */

static const uint32_t victims[WORKERS][WORKERS - 1] = {{1, 2}, {0, 2}, {0, 1}};

static void make(uint32_t workers, const int of_thread[EXPLORE_THREADS])
{
    shared = explore_alloc(sizeof *shared);
    skua_runtime *runtime = &shared->runtime;
    runtime->workers = shared->workers = explore_alloc(workers * sizeof shared->workers[0]);
    runtime->worker_count = runtime->worker_capacity = workers;
    skua__store(&runtime->workers_started, workers, relaxed);
    skua__idle_init(&runtime->idle);
    EXPLORE_CHECK(skua__inject_set_init(&runtime->injects, 1, workers) == 0);
    skua__idle_init(&runtime->reserve);
    for (uint32_t i = 0; i < workers; i++) {
        struct skua__worker *worker = &shared->workers[i];
        worker->runtime = runtime;
        worker->index = i;
        worker->victims = victims[i];
        worker->victim_count = workers - 1;
        worker->upkeep_in = 1000;
        skua__fork_stack_init(&worker->forks);
        skua__store(&worker->wheel.next_ns, SKUA__NEVER, relaxed);
    }
    for (int i = 0; i < FIBERS; i++) {
        shared->fibers[i].runnable.runtime = runtime;
        shared->fibers[i].runnable.kind = SKUA__RUNNABLE_FIBER;
    }
    memcpy(worker_of_thread, of_thread, sizeof worker_of_thread);
    explore_on_switch = become;
    submitted = 0;
    fibers_are_endless = false;
}

static void submit(int number, uint32_t pin, enum skua__ready_kind kind)
{
    shared->payload[number] = 100 + number;
    shared->fibers[number].runnable.pin = pin;
    submitted |= 1 << number;
    skua__ready(&shared->fibers[number].runnable, kind);
}

static void run_worker(void)
{
    worker_main(skua__worker_self());
}

/* All sleep now: what was submitted has been run, and the counts agree with the list. */
static void finish(void)
{
    uint32_t parked = 0;
    for (int i = 0; i < FIBERS; i++) {
        EXPLORE_CHECK(shared->times_run[i] == (submitted >> i & 1));
    }
    struct skua__idle *idle = &shared->runtime.idle;
    for (struct skua__link *link = idle->parked.head.next; link != &idle->parked.head;
         link = link->next) {
        parked++;
    }
    EXPLORE_CHECK(skua__idle_parked(idle) == parked);
    EXPLORE_CHECK(skua__idle_searching(idle) == 0);
}

static void explore_less(const char *name, int less, void (*setup)(void), void (*first)(void),
                         void (*second)(void), void (*third)(void))
{
    explore(&(const struct explore_model){.name = name,
                                          .setup = setup,
                                          .finish = finish,
                                          .threads = {first, second, third},
                                          .preemptions_less = less,
                                          .bounds_stale_reads = true,
                                          .ends_asleep = true});
}

static void explore_parking(const char *name, void (*setup)(void), void (*first)(void),
                            void (*second)(void), void (*third)(void))
{
    explore_less(name, 0, setup, first, second, third);
}

/* --- a worker submits and then computes for ever ---------------------------------------------- */

static void setup_two(void)
{
    make(2, (const int[EXPLORE_THREADS]){0, 1});
}

static void spawns_and_is_stuck(void)
{
    submit(0, 0, SKUA__READY_SPAWNED);
}

static void spawns_two_and_is_stuck(void)
{
    submit(0, 0, SKUA__READY_SPAWNED);
    submit(1, 0, SKUA__READY_SPAWNED);
}

/* What the slot held goes to the ring, where others find it; the slot itself is the owner's, who
   comes back to it. */
static void wakes_two_and_goes_on(void)
{
    submit(0, 0, SKUA__READY_WOKEN);
    submit(1, 0, SKUA__READY_WOKEN);
    run_worker();
}

static void setup_three(void)
{
    make(3, (const int[EXPLORE_THREADS]){0, 1, 2});
}

static void setup_endless(void)
{
    setup_three();
    fibers_are_endless = true;
}

/* --- somebody from outside -------------------------------------------------------------------- */

static void setup_outsider(void)
{
    make(2, (const int[EXPLORE_THREADS]){-1, 0, 1});
}

static void setup_outsider_and_one(void)
{
    make(1, (const int[EXPLORE_THREADS]){-1, 0});
}

static void submits(void)
{
    submit(0, 0, SKUA__READY_SPAWNED);
}

static void submits_two(void)
{
    submit(0, 0, SKUA__READY_SPAWNED);
    submit(1, 2, SKUA__READY_SPAWNED);
}

static void submits_pinned(void)
{
    submit(0, 1, SKUA__READY_SPAWNED);
}

/* covers: B37 */
int main(void)
{
    explore_parking("park: a stuck worker has spawned", setup_two, spawns_and_is_stuck, run_worker,
                    NULL);
    explore_parking("park: a stuck worker has spawned two", setup_two, spawns_two_and_is_stuck,
                    run_worker, NULL);
    explore_parking("park: a worker wakes two", setup_two, wakes_two_and_goes_on, run_worker, NULL);
    explore_parking("park: one for two thieves", setup_three, spawns_and_is_stuck, run_worker,
                    run_worker);
    explore_parking("park: two endless tasks", setup_endless, spawns_two_and_is_stuck, run_worker,
                    run_worker);
    explore_parking("park: from outside, one worker", setup_outsider_and_one, submits, run_worker,
                    NULL);
    explore_parking("park: from outside", setup_outsider, submits, run_worker, run_worker);
    explore_parking("park: from outside, pinned", setup_outsider_and_one, submits_pinned,
                    run_worker, NULL);
    explore_less("park: from outside, two", 1, setup_outsider, submits_two, run_worker, run_worker);
    return 0;
}
