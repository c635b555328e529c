/* The scheduler under load: programs made of everything that tasks can do, by seed, with accounts
   that must balance; forwarding chains; runtimes that come and go; millions of tasks and hundreds
   of thousands of submissions. What goes by time shares SKUA_STRESS_SECONDS. */
#include "../idle_help.h"

#include <pthread.h>
#include <skua/chan.h>

enum { SHARES = 2, SCALE_SQUARED = TEST_SCALE * TEST_SCALE };

static uint64_t stress_seconds(void)
{
    return test_env("SKUA_STRESS_SECONDS", 4);
}

static skua_time end_of_share(void)
{
    return skua_after(SKUA_SEC(1) * (int64_t)stress_seconds() / SHARES);
}

static bool is_over(skua_time end)
{
    return skua_clock().ns >= end.ns;
}

static uint32_t below(uint64_t *random, uint32_t bound)
{
    return (uint32_t)(test_random(random) % bound);
}

/* --- mixed programs --------------------------------------------------------------------------- */

enum { STEPS = 8, CHILDREN = 4, DEPTH = 4, VALUES = 30000 };

typedef struct accounts {
    gate launched, started, ended, is_ending;
} accounts;

/* What a task is told: its own stream of random numbers. The large form is allocated by spawn. */
typedef struct plan {
    accounts *all;
    uint64_t random;
    int depth, value;
} plan;

typedef struct large_plan {
    plan plan;
    char ballast[200];
} large_plan;

/* What its parent knows of it. */
typedef struct child {
    skua_task *task;
    int value;
    bool was_cancelled;
} child;

typedef struct family {
    accounts *all;
    uint64_t random;
    int depth;
    int count;
    child children[CHILDREN];
} family;

static int follow(void *arg);

/* Some milliseconds at most, mostly microseconds, sometimes over already. */
static skua_time soon(uint64_t *random)
{
    static const int64_t spans_ns[] = {0, SKUA_US(1), SKUA_US(30), SKUA_US(300), SKUA_MS(2)};
    return skua_after(spans_ns[below(random, 5)]);
}

/* A call may give 0, or `otherwise` (0: nothing else), or -ECANCELED if that is still true. */
static void check_status(int status, int otherwise)
{
    if (status == -ECANCELED) {
        CHECK(skua_cancelled());
    } else if (status != 0) {
        CHECK_INT(status, otherwise);
    }
}

static skua_spawn_opts draw_options(uint64_t *random)
{
    skua_spawn_opts opts = {.keep_fpenv = below(random, 8) == 0};
    opts.name = below(random, 4) == 0 ? "named" : NULL;
    opts.pin = below(random, 3) == 0 ? 1 + below(random, 8) : 0;
    opts.arg_bytes = below(random, 4) == 0 ? sizeof(large_plan) : sizeof(plan);
    return opts;
}

/* From a task (`runtime` NULL) or a thread. */
static skua_task *launch(skua_runtime *runtime, const plan *told, uint64_t *random)
{
    const large_plan large = {.plan = *told};
    const skua_spawn_opts opts = draw_options(random);
    void *arg = (void *)(uintptr_t)&large;
    skua_task *task = NULL;
    const int status = runtime ? skua_submit(runtime, &task, follow, arg, &opts)
                               : skua_spawn(&task, follow, arg, &opts);
    if (status != 0) {
        CHECK_INT(status, -ESHUTDOWN);
        return NULL;
    }
    atomic_fetch_add(&told->all->launched, 1);
    return task;
}

static plan draw_plan(accounts *all, uint64_t *random, int depth)
{
    return (plan){all, test_random(random), depth, (int)below(random, VALUES)};
}

/* Its own value, unless it was cancelled: by us, or by the end of the runtime. */
static void check_child(const accounts *all, const child *one, int status)
{
    if (status != -ECANCELED || !(one->was_cancelled || atomic_load(&all->is_ending))) {
        CHECK_INT(status, one->value);
    }
}

static void have_child(family *own)
{
    if (own->count == CHILDREN || own->depth == DEPTH) {
        return;
    }
    const plan told = draw_plan(own->all, &own->random, own->depth + 1);
    skua_task *task = launch(NULL, &told, &own->random);
    if (task == NULL) {
        return;
    }
    if (below(&own->random, 4) == 0) {
        skua_task_release(task);
    } else {
        own->children[own->count++] = (child){.task = task, .value = told.value};
    }
}

static void try_join(family *own)
{
    if (own->count > 0) {
        const child *one = &own->children[below(&own->random, (uint32_t)own->count)];
        const bool now = below(&own->random, 4) == 0;
        int status = -1;
        int joined = skua_join(one->task, &status, now ? SKUA_NOW : soon(&own->random));
        check_status(joined, now ? -EAGAIN : -ETIMEDOUT);
        if (joined == 0) {
            check_child(own->all, one, status);
        }
    }
}

static void cancel_child(family *own)
{
    if (own->count > 0) {
        child *one = &own->children[below(&own->random, (uint32_t)own->count)];
        one->was_cancelled = true;
        skua_task_cancel(one->task);
    }
}

/* Under `depth` further deadlines. */
typedef struct nest {
    uint64_t *random;
    uint32_t depth;
} nest;

static int sleep_in_nest(void *arg)
{
    nest *inner = arg;
    if (inner->depth > 0) {
        inner->depth--;
        return skua_within(soon(inner->random), sleep_in_nest, inner);
    }
    return skua_sleep(below(inner->random, 2) ? SKUA_FOREVER : soon(inner->random));
}

static void nest_deadlines(family *own)
{
    nest outer = {&own->random, below(&own->random, 3)};
    check_status(skua_within(soon(&own->random), sleep_in_nest, &outer), -ETIMEDOUT);
}

static void cancel_own_scope(family *own)
{
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, soon(&own->random));
    if (below(&own->random, 2)) {
        skua_scope_cancel(&scope);
    }
    const int status = skua_sleep(skua_after(SKUA_US(20)));
    check_status(skua_scope_close(&scope, status), -ETIMEDOUT);
}

static void take_shield(family *own)
{
    SKUA_SCOPE(shield);
    const bool for_ever = below(&own->random, 2);
    skua_shield_open(&shield, for_ever ? SKUA_FOREVER : soon(&own->random));
    const int slept = skua_sleep(soon(&own->random));
    CHECK(slept == 0 || (slept == -ECANCELED && !for_ever));
    const int status = skua_scope_close(&shield, slept);
    check_status(status, 0);
}

static void take_step(family *own)
{
    switch (below(&own->random, 12)) {
    case 0:
        check_status(skua_yield(), 0);
        break;
    case 1:
        check_status(skua_sleep(soon(&own->random)), 0);
        break;
    case 2:
        check_status(skua_checkpoint(), 0);
        break;
    case 3:
        compute_for(SKUA_US(20));
        break;
    case 4:
        try_join(own);
        break;
    case 5:
        cancel_child(own);
        break;
    case 6:
        nest_deadlines(own);
        break;
    case 7:
        take_shield(own);
        break;
    case 8:
        cancel_own_scope(own);
        break;
    default:
        have_child(own);
    }
}

/* Under a shield: whoever is cancelled still waits for its children, but cancels them first. */
static void end_family(family *own, bool is_cancelled)
{
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, SKUA_FOREVER);
    for (int i = 0; i < own->count; i++) {
        child *one = &own->children[i];
        if (is_cancelled) {
            one->was_cancelled = true;
            skua_task_cancel(one->task);
        }
        check_child(own->all, one, finish(one->task));
    }
}

/* Returns its value, or -ECANCELED if it was cancelled. */
static int follow(void *arg)
{
    const plan *told = arg;
    family own = {.all = told->all, .random = told->random, .depth = told->depth};
    atomic_fetch_add(&own.all->started, 1);
    for (int step = 0; step < STEPS && !skua_cancelled(); step++) {
        take_step(&own);
    }
    const bool is_cancelled = skua_cancelled();
    end_family(&own, is_cancelled);
    const int value = told->value;
    atomic_fetch_add(&own.all->ended, 1);
    return is_cancelled ? -ECANCELED : value;
}

typedef struct outsider {
    skua_runtime *runtime;
    accounts *all;
    uint64_t random;
    int count;
} outsider;

/* Submits, joins under deadlines, cancels, and leaves some to themselves. */
static void *submit_and_meddle(void *arg)
{
    outsider *self = arg;
    for (int i = 0; i < self->count; i++) {
        const plan told = draw_plan(self->all, &self->random, 0);
        child one = {launch(self->runtime, &told, &self->random), told.value, false};
        int status = -1;
        if (below(&self->random, 3) == 0) {
            one.was_cancelled = true;
            skua_task_cancel(one.task);
        }
        const int joined = skua_join(one.task, &status, soon(&self->random));
        CHECK(joined == 0 || joined == -ETIMEDOUT);
        if (joined == -ETIMEDOUT) {
            status = status_of(one.task);
        }
        check_child(self->all, &one, status);
        skua_task_release(one.task);
    }
    return NULL;
}

/* Runtimes come and go beside the others, and end with their tasks still under way. */
static void *come_and_go(void *arg)
{
    outsider *self = arg;
    for (int i = 0; i < self->count; i++) {
        skua_runtime *runtime;
        const skua_config config = {.workers = 1 + below(&self->random, 3)};
        CHECK_INT(skua_runtime_create(&runtime, &config), 0);
        for (uint32_t left = below(&self->random, 8); left > 0; left--) {
            const plan told = draw_plan(self->all, &self->random, DEPTH);
            skua_task_release(launch(runtime, &told, &self->random));
        }
        skua_runtime_destroy(runtime);
    }
    return NULL;
}

static void run_program(uint64_t *random)
{
    enum { THREADS = 4 };
    static void *(*const bodies[THREADS])(void *) = {submit_and_meddle, submit_and_meddle,
                                                     submit_and_meddle, come_and_go};
    skua_runtime *runtime;
    const skua_config config = {.workers = 1 + below(random, 4)};
    accounts all = {0};
    outsider outsiders[THREADS];
    pthread_t threads[THREADS];
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    for (int i = 0; i < THREADS; i++) {
        outsiders[i] = (outsider){runtime, &all, test_random(random), 20};
        CHECK_INT(pthread_create(&threads[i], NULL, bodies[i], &outsiders[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    atomic_store(&all.is_ending, 1);
    skua_runtime_destroy(runtime); /* detached tasks are still under way */
    CHECK_INT(atomic_load(&all.started), atomic_load(&all.launched));
    CHECK_INT(atomic_load(&all.ended), atomic_load(&all.launched));
}

static void mixed_programs_balance(void **state)
{
    const skua_time end = end_of_share();
    uint64_t random = test_seed();
    do {
        run_program(&random);
    } while (!is_over(end));
}

/* --- tokio's many_multishot_futures ----------------------------------------------------------- */

enum { TRACKS = 50 / TEST_SCALE, CHAIN = 200, CYCLES = 5 };

typedef struct forwarder {
    skua_chan *from, *to;
} forwarder;

static int forward(void *arg)
{
    const forwarder *self = arg;
    for (int cycle = 0; cycle < CYCLES; cycle++) {
        int item = -1;
        CHECK_INT(skua_chan_recv(self->from, SKUA_ITEM(item), SKUA_FOREVER), 1);
        CHECK_INT(skua_chan_send(self->to, SKUA_ITEM(item), SKUA_FOREVER), 0);
    }
    skua_chan_release(self->from, SKUA_RECEIVER);
    skua_chan_release(self->to, SKUA_SENDER);
    return 0;
}

static int run_track(void *arg)
{
    const int number = *(int *)arg;
    skua_chan *first = NULL, *last = NULL;
    CHECK_INT(skua_chan_create(&first, sizeof(int), (size_t)number % 3), 0);
    last = first;
    for (int i = 0; i < CHAIN; i++) {
        forwarder next = {.from = last};
        const skua_spawn_opts opts = {.arg_bytes = sizeof next};
        CHECK_INT(skua_chan_create(&next.to, sizeof(int), (size_t)number % 3), 0);
        last = next.to;
        CHECK_INT(skua_spawn(NULL, forward, &next, &opts), 0);
    }
    for (int cycle = 0; cycle < CYCLES; cycle++) {
        int item = 1000 * number + cycle, got = -1;
        CHECK_INT(skua_chan_send(first, SKUA_ITEM(item), SKUA_FOREVER), 0);
        CHECK_INT(skua_chan_recv(last, SKUA_ITEM(got), SKUA_FOREVER), 1);
        CHECK_INT(got, item);
    }
    skua_chan_release(first, SKUA_SENDER);
    skua_chan_release(last, SKUA_RECEIVER);
    return 0;
}

static int run_tracks(void *arg)
{
    skua_task *tracks[TRACKS];
    for (int i = 0; i < TRACKS; i++) {
        const skua_spawn_opts opts = {.arg_bytes = sizeof i};
        tracks[i] = spawn_with(run_track, &i, &opts);
    }
    for (int i = 0; i < TRACKS; i++) {
        CHECK_INT(finish(tracks[i]), 0);
    }
    return 0;
}

static void chains_deliver_every_message(void **state)
{
    const skua_time end = end_of_share();
    uint32_t workers = 4;
    do {
        run_on(workers, run_tracks);
        workers = 1 + workers % 4;
    } while (!is_over(end));
}

/* --- tokio's drop_threadpool_drops_futures ---------------------------------------------------- */

static int never_ready(void *arg)
{
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    atomic_fetch_add((gate *)arg, 1);
    return -ECANCELED;
}

static int wait_for_nothing(void *arg)
{
    skua_chan *chan;
    int item;
    CHECK_INT(skua_chan_create(&chan, sizeof item, 0), 0);
    CHECK_INT(skua_chan_recv(chan, SKUA_ITEM(item), SKUA_FOREVER), -ECANCELED);
    skua_chan_release(chan, SKUA_SENDER | SKUA_RECEIVER);
    atomic_fetch_add((gate *)arg, 1);
    return -ECANCELED;
}

static void create_leave_and_destroy(uint32_t workers, skua_fn fn, uint32_t pin)
{
    skua_runtime *runtime;
    gate cleaned = 0;
    const skua_config config = {.workers = workers};
    const skua_spawn_opts opts = {.pin = pin};
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    CHECK_INT(skua_submit(runtime, NULL, fn, &cleaned, &opts), 0);
    skua_runtime_destroy(runtime);
    CHECK_INT(atomic_load(&cleaned), 1);
}

static void a_runtime_that_ends_ends_its_tasks_once(void **state)
{
    enum { ROUNDS = 1000 / SCALE_SQUARED };
    create_leave_and_destroy(4, never_ready, 0);
    const int threads = test_settle(test_threads, 1), fds = test_fds(), maps = test_maps();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        create_leave_and_destroy(1 + i % 4, i % 2 ? never_ready : wait_for_nothing, i % 3);
    }
    CHECK_INT(test_settle(test_threads, threads), threads);
    CHECK_INT(test_fds(), fds);
    if (TEST_SCALE == 1) {
        CHECK(test_maps() <= maps + ROUNDS / 10); /* malloc's own arenas, stacks that it keeps */
    }
}

/* --- many ------------------------------------------------------------------------------------- */

static int64_t resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    CHECK(file != NULL && fscanf(file, "%ld %ld", &pages, &resident) == 2);
    fclose(file);
    return resident * (int64_t)sysconf(_SC_PAGESIZE);
}

enum { LEAVES = 100, BRANCHES = 100, TREES = 100 / SCALE_SQUARED };

static int spawn_leaves(void *arg)
{
    skua_task *tasks[LEAVES];
    for (int i = 0; i < LEAVES; i++) {
        tasks[i] = spawn(return_zero, NULL);
    }
    for (int i = 0; i < LEAVES; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    return LEAVES;
}

static int spawn_trees(void *arg)
{
    skua_task *branches[BRANCHES];
    int sum = 0;
    for (int tree = 0; tree < TREES; tree++) {
        for (int i = 0; i < BRANCHES; i++) {
            branches[i] = spawn(spawn_leaves, NULL);
        }
        for (int i = 0; i < BRANCHES; i++) {
            sum += finish(branches[i]);
        }
    }
    return sum;
}

static int five_times(void *arg)
{
    int64_t first = 0;
    for (int round = 0; round < 5; round++) {
        CHECK_INT(call(spawn_trees, NULL), LEAVES * BRANCHES * TREES);
        const int64_t now = resident_bytes();
        first = round == 0 ? now : first;
        /* Sanitizers keep what they like, and a stand-in has stacks of its own. */
        CHECK(TEST_SCALE > 1 || now <= first + first / 5 + (16 << 20));
    }
    return 0;
}

static void a_million_tasks_in_trees_five_times_take_no_more_memory(void **state)
{
    run_on(4, five_times);
}

enum { THREADS = 8, EACH = 100000 / SCALE_SQUARED };

typedef struct submitter {
    skua_runtime *runtime;
    _Atomic unsigned char *runs;
    gate *total;
    uint64_t random;
    int first;
} submitter;

typedef struct submission {
    _Atomic unsigned char *runs;
    gate *total;
} submission;

static int count_run(void *arg)
{
    const submission *one = arg;
    atomic_fetch_add(one->runs, 1);
    atomic_fetch_add(one->total, 1);
    return 0;
}

/* In bursts with pauses, in which workers fall asleep; every tenth is pinned. */
static void *submit_bursts(void *arg)
{
    submitter *self = arg;
    for (int i = 0; i < EACH; i++) {
        const submission one = {&self->runs[self->first + i], self->total};
        const uint32_t pin = below(&self->random, 10) == 0 ? 1 + below(&self->random, 4) : 0;
        const skua_spawn_opts opts = {.arg_bytes = sizeof one, .pin = pin};
        void *copied = (void *)(uintptr_t)&one;
        CHECK_INT(skua_submit(self->runtime, NULL, count_run, copied, &opts), 0);
        if (below(&self->random, 1000) == 0) {
            CHECK_INT(skua_sleep(skua_after(SKUA_US(200))), 0);
        }
    }
    return NULL;
}

static void submissions_in_bursts_run_once(void **state)
{
    skua_runtime *runtime;
    const skua_config config = {.workers = 4};
    pthread_t threads[THREADS];
    submitter submitters[THREADS];
    gate total = 0;
    uint64_t random = test_seed();
    _Atomic unsigned char *runs = calloc(THREADS, EACH);
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    for (int i = 0; i < THREADS; i++) {
        submitters[i] = (submitter){runtime, runs, &total, test_random(&random), i * EACH};
        CHECK_INT(pthread_create(&threads[i], NULL, submit_bursts, &submitters[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    await(&total, THREADS * EACH);
    skua_runtime_destroy(runtime);
    for (int i = 0; i < THREADS * EACH; i++) {
        CHECK_INT(atomic_load(&runs[i]), 1);
    }
    free(runs);
}

/* --- nothing ---------------------------------------------------------------------------------- */

/* After a lot of work: 10 s in the long form, else 1 s; SKUA_IDLE_SECONDS tells otherwise. */
static void an_idle_runtime_uses_no_processor(void **state)
{
    enum { WORKERS = 4 };
    skua_runtime *runtime;
    const skua_config config = {.workers = WORKERS};
    const uint64_t seconds = test_env("SKUA_IDLE_SECONDS", stress_seconds() >= 60 ? 10 : 1);
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    CHECK_INT(skua_call(runtime, spawn_leaves, NULL, SKUA_FOREVER), LEAVES);
    CHECK_INT(skua_submit(runtime, NULL, sleep_forever, NULL, NULL), 0);
    check_idle_for(runtime, WORKERS, SKUA_SEC((int64_t)seconds));
    skua_runtime_destroy(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mixed_programs_balance),
        TEST(chains_deliver_every_message),
        TEST(a_runtime_that_ends_ends_its_tasks_once),
        TEST(a_million_tasks_in_trees_five_times_take_no_more_memory),
        TEST(submissions_in_bursts_run_once),
        TEST(an_idle_runtime_uses_no_processor),
    };
    setenv("SKUA_TEST_SECONDS", "100", 0); /* what goes by count takes long on a busy machine */
    return TEST_RUN(tests);
}
