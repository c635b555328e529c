/* The scheduler as src/sched has it: LIFO slot, ring, inject queue, search in order of distance, at
   most one worker woken for a submission, one more by the last searcher that finds something, and
   a heavy fence by the last one that parks.

   Long steps are cut (SIM_SCAN, SIM_POLL, PROBES at a time): within a step the clock runs ahead of
   the others, and what a step does to a line counts as done at that moment. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

enum {
    UPKEEP_TICKS = 61,
    LIFO_RUN_MAX = 3,
    INJECT_BATCH = 32,
    SEARCH_SWEEPS = 24,
    SEARCH_PAUSES = 32,
    STAND_INS_MIN = 16,
    POLL_BATCH = 64,
    PROBES = 8, /* in one step */
    WATCHED_MAX = 64,
};

/* --- queues ----------------------------------------------------------------------------------- */

static uint32_t ring_count(const struct sim_worker *worker)
{
    return worker->tail - worker->head;
}

static void inject_push(struct sim_worker *actor, int group, struct sim_task **tasks,
                        uint32_t count)
{
    struct sim_inject *inject = &sim.inject[group];
    sim_write(actor, &inject->line);
    if (inject->count + count > inject->capacity) {
        const uint32_t capacity = 2 * (inject->capacity + count);
        struct sim_task **larger = calloc(capacity, sizeof *larger);
        for (uint32_t i = 0; i < inject->count; i++) {
            larger[i] = inject->tasks[(inject->first + i) % inject->capacity];
        }
        free(inject->tasks);
        *inject = (struct sim_inject){inject->line, larger, 0, inject->count, capacity};
    }
    for (uint32_t i = 0; i < count; i++) {
        inject->tasks[(inject->first + inject->count++) % inject->capacity] = tasks[i];
    }
    sim_unlock(actor, &inject->line);
}

static void ring_put(struct sim_worker *worker, struct sim_task *task)
{
    struct sim_task *half[SIM_RING_SLOTS / 2];
    if (ring_count(worker) == SIM_RING_SLOTS) {
        sim_write(worker, &worker->head_line);
        for (int i = 0; i < SIM_RING_SLOTS / 2; i++) {
            half[i] = worker->ring[worker->head++ % SIM_RING_SLOTS];
        }
        sim_spend(worker, SIM_RING_SLOTS / 2 * sim.cost.load_ns);
        inject_push(worker, worker->group % sim.injects, half, SIM_RING_SLOTS / 2);
        sim.spills++;
    }
    sim_read(worker, &worker->head_line);
    worker->ring[worker->tail++ % SIM_RING_SLOTS] = task;
    if (worker->tail_line.lowest != worker->index || worker->tail_line.highest != worker->index) {
        sim_write(worker, &worker->tail_line);
    }
}

static struct sim_task *ring_take(struct sim_worker *worker)
{
    if (ring_count(worker) == 0) {
        return NULL;
    }
    sim_write(worker, &worker->head_line);
    return worker->ring[worker->head++ % SIM_RING_SLOTS];
}

/* Its share of one group's queue: the links lead from task to task, so each is a miss under the
   lock. */
static struct sim_task *take_from_group(struct sim_worker *worker, int group)
{
    struct sim_inject *inject = &sim.inject[group];
    sim_read(worker, &inject->line);
    if (inject->count == 0) {
        return NULL;
    }
    sim_write(worker, &inject->line);
    const uint32_t workers = (uint32_t)((sim.workers + sim.injects - 1) / sim.injects);
    const uint32_t room = SIM_RING_SLOTS - ring_count(worker);
    uint32_t share = inject->count / workers + 1;
    share = share < INJECT_BATCH ? share : INJECT_BATCH;
    share = share < room ? share : 1;
    struct sim_task *taken = NULL;
    for (uint32_t i = 0; i < share && inject->count > 0; i++, inject->count--) {
        struct sim_task *task = inject->tasks[inject->first++ % inject->capacity];
        worker->clock += sim_transfer(worker, task->home);
        if (taken == NULL) {
            taken = task;
        } else {
            worker->ring[worker->tail++ % SIM_RING_SLOTS] = task;
        }
    }
    sim_unlock(worker, &inject->line);
    return taken;
}

static struct sim_task *take_from_inject(struct sim_worker *worker)
{
    struct sim_task *taken = NULL;
    for (int i = 0; taken == NULL && i < sim.injects; i++) {
        taken = take_from_group(worker, (worker->group + i) % sim.injects);
    }
    return taken;
}

static struct sim_task *take_lifo_or_ring(struct sim_worker *worker)
{
    struct sim_task *task = worker->lifo;
    if (task == NULL) {
        worker->lifo_run = 0;
        return ring_take(worker);
    }
    worker->lifo = NULL;
    sim_spend(worker, sim.cost.rmw_ns);
    if (++worker->lifo_run > LIFO_RUN_MAX && ring_count(worker) > 0) {
        worker->lifo_run = 0;
        ring_put(worker, task);
        task = ring_take(worker);
    }
    return task;
}

/* --- waking ----------------------------------------------------------------------------------- */

static struct sim_idle *idle_of(const struct sim_worker *worker)
{
    return &sim.idle[worker->group % sim.idles];
}

static void sleeper_remove(struct sim_worker *worker)
{
    struct sim_idle *idle = idle_of(worker);
    int at = 0;
    while (idle->sleepers[at] != worker->index) {
        at++;
    }
    idle->parked--;
    memmove(&idle->sleepers[at], &idle->sleepers[at + 1],
            (size_t)(idle->parked - at) * sizeof idle->sleepers[0]);
    worker->is_parked = false;
}

/* The latest that does not poll, else the latest. */
static struct sim_worker *choose(const struct sim_idle *idle)
{
    for (int i = idle->parked - 1; i >= 0; i--) {
        if (!sim.actors[idle->sleepers[i]].is_polling) {
            return &sim.actors[idle->sleepers[i]];
        }
    }
    return &sim.actors[idle->sleepers[idle->parked - 1]];
}

/* Whose list to take one from: the own group's, or, if all of those are awake, the next one's in
   which somebody sleeps and nobody searches. NULL: nobody need be woken. */
static struct sim_idle *idle_to_wake(struct sim_worker *actor, bool is_fenced)
{
    for (int i = 0; i < sim.idles; i++) {
        struct sim_idle *idle = &sim.idle[(actor->group + i) % sim.idles];
        sim_read(actor, &idle->word);
        if (idle->parked > 0 && idle->searching == 0) {
            return idle;
        }
        if (idle->searching > 0) {
            sim_spend(actor, is_fenced || idle->parked == 0 ? 0 : sim.cost.fence_ns);
            return NULL;
        }
    }
    return NULL;
}

void sim_wake_one(struct sim_worker *actor, bool is_fenced)
{
    struct sim_idle *idle = idle_to_wake(actor, is_fenced);
    if (idle == NULL) {
        return;
    }
    sim_write(actor, &idle->lock);
    struct sim_worker *woken = choose(idle);
    sleeper_remove(woken);
    sim_write(actor, &woken->sleeper_line);
    sim_write(actor, &idle->word);
    sim_unlock(actor, &idle->lock);
    idle->searching++;
    sim.wakes++;
    woken->is_claimed = true;
    if (woken->phase == SIM_ASLEEP) {
        woken->phase = SIM_WOKEN;
        sim_schedule(woken->index, actor->clock + SIM_NS(sim.cost.wake_latency_ns));
    }
    sim_spend(actor, sim.cost.wake_call_ns);
}

void sim_make_ready(struct sim_worker *worker, struct sim_task *task, bool is_woken)
{
    if (is_woken) {
        struct sim_task *before = worker->lifo;
        worker->lifo = task;
        if (before == NULL) {
            return;
        }
        sim_spend(worker, sim.cost.rmw_ns);
        task = before;
    }
    ring_put(worker, task);
    sim_wake_one(worker, false);
}

void sim_submit(struct sim_worker *agent, struct sim_task *task)
{
    inject_push(agent, agent->group % sim.injects, &task, 1);
    sim_spend(agent, sim.cost.fence_ns);
    sim_wake_one(agent, true);
}

/* An event has come: the one that sleeps in the poller wakes up. */
void sim_poller_ring(sim_time when)
{
    sim.events++;
    struct sim_worker *holder = sim.token_holder >= 0 ? &sim.actors[sim.token_holder] : NULL;
    if (holder != NULL && holder->phase == SIM_ASLEEP) {
        holder->phase = SIM_WOKEN;
        sim_schedule(holder->index, when + SIM_NS(sim.cost.wake_latency_ns));
    }
}

/* --- running ---------------------------------------------------------------------------------- */

static void start(struct sim_worker *worker, struct sim_task *task)
{
    if (task->home != worker->index) {
        worker->clock += (sim_time)sim.cost.task_lines_ns * sim_transfer(worker, task->home);
        task->home = worker->index;
    }
    sim_spend(worker, sim.cost.switch_ns);
    worker->current = task;
    worker->since = worker->clock;
    worker->phase = SIM_RUN;
}

static void run_step(struct sim_worker *worker)
{
    struct sim_task *task = worker->current;
    if (sim_work->forks) {
        sim_fork_step(worker);
        return;
    }
    const enum sim_result result = sim_work->run(worker, task);
    if (result != SIM_GOES_ON) {
        worker->current = NULL;
        worker->phase = SIM_LOOK;
    }
    if (result == SIM_YIELDS) {
        ring_put(worker, task);
    }
}

/* The token, if it is free. */
static bool poll_begin(struct sim_worker *worker)
{
    if (sim_work->arrive == NULL || sim_work->depth == 0) {
        return false; /* there is no poller */
    }
    sim_read(worker, &sim.token);
    if (sim.token_holder >= 0) {
        return false;
    }
    sim_write(worker, &sim.token);
    sim.token_holder = worker->index;
    return true;
}

static void poll_end(struct sim_worker *worker)
{
    sim_write(worker, &sim.token);
    sim.token_holder = -1;
    worker->phase = SIM_LOOK;
}

static bool poll_without_waiting(struct sim_worker *worker)
{
    if (!poll_begin(worker)) {
        return false;
    }
    sim_spend(worker, sim.cost.poll_ns);
    worker->round = 0;
    worker->phase = SIM_POLL;
    return true;
}

/* One event a step. */
static void poll_step(struct sim_worker *worker)
{
    if (sim.events == 0 || worker->round++ == POLL_BATCH) {
        poll_end(worker);
        return;
    }
    sim.events--;
    sim_spend(worker, sim.cost.event_ns);
    sim_make_ready(worker, sim_event_task(), true);
}

static void park(struct sim_worker *worker);

static void search_begin(struct sim_worker *worker)
{
    struct sim_idle *idle = idle_of(worker);
    sim_read(worker, &idle->word);
    worker->round = worker->probe = 0;
    if (sim.workers == 1 || 2 * idle->searching >= idle->workers - idle->parked ||
        idle->searching >= sim.searchers_max) {
        park(worker);
        return;
    }
    sim_write(worker, &idle->word);
    idle->searching++;
    worker->is_searching = true;
    worker->phase = SIM_SEARCH;
}

static void look_step(struct sim_worker *worker)
{
    struct sim_task *task = NULL;
    worker->since = worker->clock;
    if (--worker->upkeep_in <= 0) {
        worker->upkeep_in = UPKEEP_TICKS;
        if (poll_without_waiting(worker)) {
            return;
        }
        task = take_from_inject(worker);
    }
    task = task != NULL ? task : take_lifo_or_ring(worker);
    task = task != NULL ? task : take_from_inject(worker);
    if (task != NULL) {
        start(worker, task);
    } else if (sim.events == 0 || !poll_without_waiting(worker)) {
        search_begin(worker);
    }
}

/* --- searching -------------------------------------------------------------------------------- */

/* Found something. The last searcher looks whether there is more. */
static void search_end(struct sim_worker *worker)
{
    struct sim_idle *idle = idle_of(worker);
    sim_write(worker, &idle->word);
    sim_spend(worker, sim.cost.fence_ns);
    worker->is_searching = false;
    if (--idle->searching == 0) {
        worker->probe = 0;
        worker->phase = SIM_SCAN;
    }
}

static struct sim_task *steal_tasks(struct sim_worker *worker, struct sim_worker *victim)
{
    sim_read(worker, &victim->head_line);
    sim_read(worker, &victim->tail_line);
    uint32_t count = ring_count(victim);
    if (count == 0) {
        return NULL;
    }
    count -= count / 2;
    worker->clock += (sim_time)(count / 8 + 1) * sim_transfer(worker, victim->index);
    sim_write(worker, &victim->head_line);
    struct sim_task *first = victim->ring[victim->head++ % SIM_RING_SLOTS];
    for (uint32_t i = 1; i < count; i++) {
        worker->ring[worker->tail++ % SIM_RING_SLOTS] =
            victim->ring[victim->head++ % SIM_RING_SLOTS];
    }
    return first;
}

/* The slot of a worker that has run one task for long. */
static struct sim_task *steal_stale_lifo(struct sim_worker *worker)
{
    for (int i = 0; i < sim.workers - 1 && i < WATCHED_MAX; i++) {
        struct sim_worker *victim = &sim.actors[worker->victims[i]];
        const double patience_ns = 8 * SEARCH_PAUSES * sim.cost.pause_ns;
        sim_spend(worker, sim.cost.load_ns);
        if (victim->lifo != NULL && victim->phase == SIM_RUN &&
            worker->clock - victim->since > SIM_NS(patience_ns)) {
            struct sim_task *task = victim->lifo;
            victim->lifo = NULL;
            worker->clock += sim_transfer(worker, victim->index);
            return task;
        }
    }
    return NULL;
}

/* The next victim: the levels one after the other, from a random place in each. */
static struct sim_worker *next_victim(struct sim_worker *worker)
{
    if (worker->probe == 0 || worker->probe == worker->level_end[worker->level_begin]) {
        worker->level_begin = worker->probe;
        const uint64_t size = worker->level_end[worker->probe] - (uint64_t)worker->probe;
        worker->turn = (int)(sim_random(&worker->random) % size);
    }
    const int begin = worker->level_begin, size = worker->level_end[begin] - begin;
    const int at = begin + (worker->turn + worker->probe - begin) % size;
    worker->probe++;
    return &sim.actors[worker->victims[at]];
}

static bool probe(struct sim_worker *worker, struct sim_worker *victim)
{
    if (sim_work->forks) {
        if (!sim_fork_steal(worker, victim)) {
            return false;
        }
        search_end(worker);
        return true;
    }
    struct sim_task *task = steal_tasks(worker, victim);
    if (task == NULL) {
        return false;
    }
    start(worker, task);
    search_end(worker);
    return true;
}

static void found(struct sim_worker *worker, struct sim_task *task)
{
    start(worker, task);
    search_end(worker);
}

static void search_step(struct sim_worker *worker)
{
    struct sim_task *task = worker->probe == 0 ? take_from_inject(worker) : NULL;
    if (task != NULL) {
        found(worker, task);
        return;
    }
    for (int i = 0; i < PROBES && worker->probe < sim.workers - 1; i++) {
        if (probe(worker, next_victim(worker))) {
            worker->steals++;
            return;
        }
        worker->probes_failed++;
    }
    if (worker->probe < sim.workers - 1) {
        return;
    }
    if (worker->round % 8 == 7 && (task = steal_stale_lifo(worker)) != NULL) {
        found(worker, task);
        return;
    }
    sim_spend(worker, SEARCH_PAUSES * sim.cost.pause_ns);
    worker->probe = 0;
    if (++worker->round == SEARCH_SWEEPS) {
        park(worker);
    }
}

/* --- parking ---------------------------------------------------------------------------------- */

static void heavy_fence(struct sim_worker *worker)
{
    int running = 0;
    for (int i = 0; i < sim.workers; i++) {
        struct sim_worker *other = &sim.actors[i];
        if (other != worker && other->phase != SIM_ASLEEP && running < sim.processors - 1) {
            other->interrupted += SIM_NS(sim.cost.interrupt_ns);
            running++;
        }
    }
    const double more =
        running > 0 ? sim.cost.membarrier_first_ns + (running - 1) * sim.cost.membarrier_each_ns
                    : 0;
    sim_write(worker, &sim.membarrier); /* the kernel lets one at a time */
    sim_spend(worker, sim.cost.membarrier_ns + more);
    sim_unlock(worker, &sim.membarrier);
    sim.membarriers++;
}

static void sleep(struct sim_worker *worker)
{
    worker->phase = SIM_ASLEEP;
    if (worker->is_polling && sim.events > 0) {
        worker->phase = SIM_WOKEN;
        sim_schedule(worker->index, worker->clock);
    }
    sim_processor_leave(worker);
}

static void park(struct sim_worker *worker)
{
    if (sim_work->forks) {
        sim_fork_poison_all(worker);
    }
    struct sim_idle *idle = idle_of(worker);
    worker->is_polling = poll_begin(worker);
    sim_write(worker, &idle->lock);
    sim_write(worker, &worker->sleeper_line);
    sim_write(worker, &idle->word);
    sim_unlock(worker, &idle->lock);
    idle->searching -= worker->is_searching;
    idle->sleepers[idle->parked++] = worker->index;
    worker->is_searching = worker->is_claimed = false;
    worker->is_parked = true;
    sim_spend(worker, sim.cost.fence_ns);
    if (idle->searching > 0 || sim.workers == 1) {
        sleep(worker);
        return;
    }
    heavy_fence(worker);
    worker->probe = 0;
    worker->phase = SIM_SCAN;
}

/* Awake again, as a searcher or not. */
static void unpark(struct sim_worker *worker, bool as_searcher)
{
    struct sim_idle *idle = idle_of(worker);
    sim_write(worker, &idle->lock);
    if (worker->is_parked) {
        sleeper_remove(worker);
        sim_write(worker, &idle->word);
        idle->searching += as_searcher;
        worker->is_searching = as_searcher;
    } else {
        worker->is_searching = true; /* as who claimed it has counted */
    }
    sim_unlock(worker, &idle->lock);
    sim_spend(worker, sim.cost.fence_ns);
    worker->is_claimed = false;
    worker->round = worker->probe = 0;
    worker->phase = worker->is_searching ? SIM_SEARCH : SIM_LOOK;
    if (worker->is_polling) {
        worker->is_polling = false;
        poll_end(worker);
        worker->phase = worker->is_searching ? SIM_SEARCH : SIM_LOOK;
    }
}

static bool has_work(struct sim_worker *worker, const struct sim_worker *other)
{
    if (sim_work->forks) {
        sim_read(worker, (struct sim_line *)&other->public_line);
        return other->low > other->first;
    }
    sim_read(worker, (struct sim_line *)&other->head_line);
    sim_read(worker, (struct sim_line *)&other->tail_line);
    return ring_count(other) > 0;
}

static void scan_end(struct sim_worker *worker, bool is_found)
{
    if (worker->is_parked || worker->is_claimed) {
        if (is_found || worker->is_claimed) {
            unpark(worker, true);
        } else {
            sleep(worker);
        }
        return;
    }
    worker->phase = SIM_RUN;
    if (is_found) {
        sim_wake_one(worker, true);
    }
}

static void scan_step(struct sim_worker *worker)
{
    bool is_found = worker->is_claimed;
    for (int i = 0; worker->probe == 0 && i < sim.injects; i++) {
        sim_read(worker, &sim.inject[i].line);
        is_found = is_found || sim.inject[i].count > 0;
    }
    for (int i = 0; i < PROBES && worker->probe < sim.workers && !is_found; i++) {
        is_found = has_work(worker, &sim.actors[worker->probe++]);
    }
    if (worker->probe == sim.workers && !is_found) {
        sim_spend(worker, 2 * (sim.workers + STAND_INS_MIN) * sim.cost.load_ns);
    }
    if (is_found || worker->probe == sim.workers) {
        scan_end(worker, is_found);
    }
}

static void woken_step(struct sim_worker *worker)
{
    const bool was_polling = worker->is_polling;
    unpark(worker, false);
    if (was_polling && !worker->is_searching && sim.events > 0) {
        poll_without_waiting(worker);
    } else if (worker->is_searching && worker->lifo != NULL) {
        found(worker, take_lifo_or_ring(worker));
    }
}

/* --- the loop --------------------------------------------------------------------------------- */

void sim_worker_step(struct sim_worker *worker)
{
    static void (*const steps[])(struct sim_worker *) = {
        [SIM_LOOK] = look_step, [SIM_RUN] = run_step,   [SIM_SEARCH] = search_step,
        [SIM_SCAN] = scan_step, [SIM_POLL] = poll_step, [SIM_WOKEN] = woken_step,
    };
    const bool was_running = worker->phase == SIM_RUN;
    const sim_time before = worker->clock;
    steps[worker->phase](worker);
    if (sim_is_sibling_busy(worker)) {
        worker->clock +=
            (sim_time)((double)(worker->clock - before) * (sim.cost.smt_slowdown_ns - 1));
    }
    worker->running += was_running ? worker->clock - before : 0;
    if (worker->phase != SIM_ASLEEP && worker->phase != SIM_WOKEN) {
        sim_schedule(worker->index, worker->clock);
    }
}

/* --- the start -------------------------------------------------------------------------------- */

/* All others, the nearest first; those of one distance from the worker itself on. */
static void order_victims(struct sim_worker *worker)
{
    const int others = sim.workers - 1;
    worker->victims = realloc(worker->victims, (size_t)sim.workers * sizeof *worker->victims);
    worker->level_end = realloc(worker->level_end, (size_t)sim.workers * sizeof *worker->level_end);
    const double levels_ns[] = {sim.cost.load_ns, sim.cost.line_smt_ns, sim.cost.line_l3_ns,
                                sim.cost.line_node_ns, sim.cost.line_remote_ns};
    int count = 0;
    for (int level = 0; level < 5 && count < others; level++) {
        const int begin = count;
        const bool is_new = level == 0 || levels_ns[level] != levels_ns[level - 1];
        for (int step = 1; is_new && step < sim.workers; step++) {
            const int other = (worker->index + step) % sim.workers;
            if (sim_transfer(worker, other) == SIM_NS(levels_ns[level])) {
                worker->victims[count++] = (uint16_t)other;
            }
        }
        for (int i = begin; i < count; i++) {
            worker->level_end[i] = (uint16_t)count;
        }
    }
}

void sim_sched_init(void)
{
    for (int i = 0; i < sim.idles; i++) {
        sim_line_init(&sim.idle[i].word, 0);
        sim_line_init(&sim.idle[i].lock, 0);
    }
    sim_line_init(&sim.membarrier, 0);
    sim_line_init(&sim.token, 0);
    sim.token_holder = -1;
    for (int i = 0; i < sim.injects; i++) {
        sim_line_init(&sim.inject[i].line, 0);
    }
    for (int i = 0; i < sim.workers + sim.agents; i++) {
        struct sim_worker *worker = &sim.actors[i];
        sim_line_init(&worker->head_line, i);
        sim_line_init(&worker->tail_line, i);
        sim_line_init(&worker->public_line, i);
        sim_line_init(&worker->limit_line, i);
        sim_line_init(&worker->sleeper_line, i);
        worker->random = sim_random(&sim.random);
        worker->upkeep_in = UPKEEP_TICKS;
    }
    for (int i = 0; i < sim.workers; i++) {
        struct sim_worker *worker = &sim.actors[i];
        order_victims(worker);
        idle_of(worker)->workers++;
        if (i > 0) { /* worker 0 has the work; all others sleep */
            worker->phase = SIM_ASLEEP;
            worker->is_parked = true;
            idle_of(worker)->sleepers[idle_of(worker)->parked++] = i;
        }
    }
}
