/* Forks: one fiber forks, waits and syncs; other workers, in their real loop, ask for children,
   take them, run them, and park. Each child runs once, and its sync sees what it did; a child whose
   parent waits is run by others (promotion); and nobody parks without having asked.

   The forking fiber stays on the first worker; while it waits, that worker does nothing else. A
   child that was taken runs on the taker's own stack.

   Sources: sched/fork.c sched/deque.c sched/idle.c sched/ring.c sched/inject.c sched/runtime.c
     sched/scope.c sched/waiter.c sched/wheel.c sched/fiber_cache.c sched/defer.c
   Mutates: sched/fork.c(queue_forks answer unqueue skua__fork_run is_done wait_for) */
#include "explore.h"

#include "sched/defer.h"
#include "sched/worker.c"

enum { WORKERS = 3, CHILDREN = 3, FORKS = 3 };

enum { NOTE_TAKEN, NOTE_OWN, NOTE_WAITED };

struct work {
    skua_child child;
    int input, output;
    int times_run;
    bool gives_signal; /* to the parent, which waits for it */
    bool defers;
    int times_deferred; /* what it deferred has run so often */
};

struct shared {
    skua_runtime runtime;
    struct skua__worker *workers;
    struct skua__fiber parent;
    struct skua__fiber takers[WORKERS];
    struct skua_task task;
    struct skua__forks forks[FORKS];
    bool is_forks_used[FORKS];
    _Atomic uint32_t parent_is_ready;
    struct work work[CHILDREN];
    struct skua__lock signal_lock;
    struct skua__waiter *signal_waiter;
    bool signal;
};
static struct shared *shared;

/* --- doors ------------------------------------------------------------------------------------ */

/* A taken child runs here and now; the parent goes on in its own thread. */
void skua__fiber_switch(struct skua__worker *worker, struct skua__fiber *from,
                        struct skua__fiber *to)
{
    if (to == &shared->parent) {
        /* release: publishes like the queue; pairs with the acquire in suspend. */
        uint32_t before = skua__exchange(&shared->parent_is_ready, 1, release);
        EXPLORE_CHECK(before == 0);
        return;
    }
    skua__store(&worker->current, to, relaxed);
    struct skua__runnable *woken = skua__fork_run(to);
    skua__store(&worker->current, NULL, relaxed);
    if (woken != NULL) {
        skua__ready(woken, SKUA__READY_WOKEN);
    }
}

void skua__fiber_suspend(struct skua__fiber *self)
{
    EXPLORE_CHECK(self == &shared->parent);
    struct skua__worker *worker = skua__worker_self();
    if (skua__fork_has_private(&worker->forks) || self->forks != NULL) {
        skua__fork_promote(worker, self);
    }
    explore_note(NOTE_WAITED);
    explore_wait_while(&shared->parent_is_ready, 0);
    /* acquire: pairs with the release in skua__fiber_switch(). */
    skua__exchange(&shared->parent_is_ready, 0, acquire);
}

void skua__fiber_yield(struct skua__fiber *self) {}

struct skua__fiber *skua__fiber_create(skua_runtime *runtime, uint32_t stack_class)
{
    return &shared->takers[skua__worker_self()->index];
}

bool skua__fiber_give(struct skua__worker *worker, struct skua__fiber *fiber,
                      struct skua__runnable *runnable)
{
    return skua__fork_take(worker, runnable, fiber);
}

void *skua__slab_take_slow(struct skua__slab *slab, struct skua__slab_cache *cache)
{
    for (int i = 0; i < FORKS; i++) {
        if (!shared->is_forks_used[i]) {
            shared->is_forks_used[i] = true;
            return &shared->forks[i];
        }
    }
    return NULL;
}

void skua__slab_return_slow(struct skua__slab *slab, struct skua__slab_cache *cache, void *object)
{
    shared->is_forks_used[(struct skua__forks *)object - shared->forks] = false;
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
void skua__monitor_ring(skua_runtime *runtime) {}
void skua__sanitize_thread(struct skua__sanitize *context) {}
void skua__stack_check(const struct skua__stack *stack) {}

void skua__fiber_check_locks(const struct skua__fiber *self) {}

skua_time skua_after(int64_t duration_ns)
{
    return skua_time_at(skua__clock_ns() + duration_ns);
}

skua_task *skua_self(void)
{
    return &shared->task;
}

const char *skua_task_name(const skua_task *task)
{
    return "task";
}

static void become(int thread)
{
    skua__current_worker = &shared->workers[thread];
    skua__fork_line = &shared->workers[thread].forks.line;
}

/* --- making ----------------------------------------------------------------------------------- */

static const uint32_t victims[WORKERS][WORKERS - 1] = {{1, 2}, {0, 2}, {0, 1}};

static void make(uint32_t workers)
{
    shared = explore_alloc(sizeof *shared);
    skua_runtime *runtime = &shared->runtime;
    shared->workers = explore_alloc(workers * sizeof shared->workers[0]);
    runtime->workers = shared->workers;
    runtime->worker_count = runtime->worker_capacity = workers;
    skua__store(&runtime->workers_started, workers, relaxed);
    skua__idle_init(&runtime->idle);
    EXPLORE_CHECK(skua__inject_set_init(&runtime->injects, 1, workers) == 0);
    for (uint32_t i = 0; i < workers; i++) {
        struct skua__worker *worker = &shared->workers[i];
        worker->runtime = runtime;
        worker->index = i;
        worker->victims = victims[i];
        worker->victim_count = workers - 1;
        worker->upkeep_in = 1000;
        worker->budget = INT32_MAX;
        worker->errno_place = explore_alloc(sizeof(int));
        skua__fork_stack_init(&worker->forks);
        skua__store(&worker->wheel.next_ns, SKUA__NEVER, relaxed);
        shared->takers[i].runnable.runtime = runtime;
    }
    struct skua__fiber *parent = &shared->parent;
    parent->runnable.runtime = runtime;
    parent->runnable.kind = SKUA__RUNNABLE_FIBER;
    parent->scope = &shared->task.scope;
    skua__scope_init_root(&shared->task.scope);
    skua__store(&shared->task.scope.flags, SKUA__SCOPE_OPEN, relaxed);
    skua__store(&shared->task.scope.fiber, parent, relaxed);
    skua__store(&parent->task, &shared->task, relaxed);
    skua__store(&shared->workers[0].current, parent, relaxed);
    explore_on_switch = become;
    for (int i = 0; i < CHILDREN; i++) {
        shared->work[i].input = 10 + i;
    }
}

static void setup_two(void)
{
    make(2);
}

static void setup_three(void)
{
    make(3);
}

static void setup_defer(void)
{
    make(2);
    shared->work[0].defers = true;
}

static void setup_signal(void)
{
    make(2);
    shared->work[0].gives_signal = true;
}

static void setup_second_signal(void)
{
    make(2);
    shared->work[1].gives_signal = true;
}

/* --- a signal that the parent waits for ------------------------------------------------------- */

static void give_signal(void)
{
    struct skua__parker *wake = NULL;
    skua__lock(&shared->signal_lock, SKUA__RANK_CHAN);
    shared->signal = true;
    if (shared->signal_waiter != NULL && skua__waiter_claim(shared->signal_waiter)) {
        wake = shared->signal_waiter->parker;
    }
    skua__unlock(&shared->signal_lock, SKUA__RANK_CHAN);
    if (wake != NULL) {
        skua__wake(wake);
    }
}

static void wait_for_signal(void)
{
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__lock(&shared->signal_lock, SKUA__RANK_CHAN);
    if (shared->signal) {
        skua__unlock(&shared->signal_lock, SKUA__RANK_CHAN);
        return;
    }
    skua__wait_begin(&wait, SKUA__HARD);
    skua__waiter_init(&waiter, &wait, 0, NULL);
    shared->signal_waiter = &waiter;
    skua__unlock(&shared->signal_lock, SKUA__RANK_CHAN);
    EXPLORE_CHECK(skua__wait_park(&wait, SKUA__NEVER) == 0);
}

/* --- the threads ------------------------------------------------------------------------------ */

static void count_deferred(void *arg)
{
    ((struct work *)arg)->times_deferred++;
}

static int child_main(void *arg)
{
    struct work *work = arg;
    explore_note(explore_self() == 0 ? NOTE_OWN : NOTE_TAKEN);
    work->times_run++;
    EXPLORE_CHECK(work->times_run == 1);
    work->output = work->input + 1;
    if (work->gives_signal) {
        give_signal();
    }
    EXPLORE_CHECK(!work->defers || skua_defer(count_deferred, work) == 0);
    return 100 + work->input;
}

static void fork_child(int number)
{
    struct work *work = &shared->work[number];
    work->input = 20 + number;
    skua_fork(&work->child, child_main, work);
}

static void sync_child(int number)
{
    struct work *work = &shared->work[number];
    EXPLORE_CHECK(skua_sync(&work->child) == 120 + number);
    EXPLORE_CHECK(work->times_run == 1);
    EXPLORE_CHECK(work->output == 21 + number);
}

static void forks_one(void)
{
    fork_child(0);
    sync_child(0);
}

/* What the child deferred is the parent's after the sync, whoever ran the child. */
static void forks_one_that_defers(void)
{
    fork_child(0);
    sync_child(0);
    EXPLORE_CHECK(shared->work[0].times_deferred == 0);
    skua__defers_run(&shared->parent, &shared->task.scope);
    EXPLORE_CHECK(shared->work[0].times_deferred == 1);
    EXPLORE_CHECK(shared->parent.defers == NULL);
}

static void forks_two(void)
{
    fork_child(0);
    fork_child(1);
    sync_child(1);
    sync_child(0);
}

static void forks_and_waits(void)
{
    fork_child(0);
    wait_for_signal();
    sync_child(0);
}

static void forks_two_and_waits(void)
{
    fork_child(0);
    fork_child(1);
    wait_for_signal();
    sync_child(1);
    sync_child(0);
}

/* Forks and syncs, and then computes for ever, with a child that nobody else may know of. */
static void forks_and_is_stuck(void)
{
    fork_child(0);
    sync_child(0);
    fork_child(1);
}

static void worker(void)
{
    worker_main(skua__worker_self());
}

/* --- the ends --------------------------------------------------------------------------------- */

/* F6: whoever is parked has asked all others, unless they have public children. */
static void check_asked(void)
{
    struct skua__fork_line *line = &shared->workers[0].forks.line;
    struct skua__forks *forks = shared->parent.forks;
    bool has_public = forks != NULL && skua__deque_count(&forks->deque) > 0;
    EXPLORE_CHECK(skua__idle_parked(&shared->runtime.idle) > 0);
    EXPLORE_CHECK(line->limit == NULL || has_public);
    EXPLORE_CHECK(!has_public); /* somebody is parked, who would have taken it */
}

static void finish(void)
{
    EXPLORE_CHECK(shared->task.scope.children.head.next == &shared->task.scope.children.head);
    EXPLORE_CHECK(!skua__fork_has_private(&shared->workers[0].forks));
    for (int i = 0; i < CHILDREN; i++) {
        EXPLORE_CHECK(shared->work[i].times_run == (shared->work[i].input >= 20));
    }
    EXPLORE_CHECK(shared->parent.parker.word == 0 ||
                  (shared->parent.parker.word & SKUA__STATE_MASK) == SKUA__STATE_CLAIMED);
}

static void explore_forks(const char *name, void (*setup)(void), void (*finished)(void),
                          void (*parent)(void), void (*third)(void))
{
    explore(&(const struct explore_model){.name = name,
                                          .setup = setup,
                                          .finish = finished,
                                          .threads = {parent, worker, third},
                                          .preemptions_less = third != NULL,
                                          .bounds_stale_reads = true,
                                          .ends_asleep = true});
}

/* covers: B37 */
int main(void)
{
    explore_forks("fork: one", setup_two, finish, forks_one, NULL);
    EXPLORE_CHECK(explore_happened(NOTE_TAKEN) > 0 && explore_happened(NOTE_OWN) > 0 &&
                  explore_happened(NOTE_WAITED) > 0);
    explore_forks("fork: one that defers", setup_defer, finish, forks_one_that_defers, NULL);
    explore_forks("fork: two", setup_two, finish, forks_two, NULL);
    explore_forks("fork: promotion", setup_signal, finish, forks_and_waits, NULL);
    explore_forks("fork: promotion of two", setup_signal, finish, forks_two_and_waits, NULL);
    explore_forks("fork: promotion of the second", setup_second_signal, finish, forks_two_and_waits,
                  NULL);
    explore_forks("fork: asking", setup_two, check_asked, forks_and_is_stuck, NULL);
    explore_forks("fork: two takers", setup_three, finish, forks_two, worker);
    return 0;
}
