/* Far more workers than processors: 64, whatever the machine has. The kernel then stops workers at
   any point, also where the protocols are at their thinnest: a thief between its look and its
   swap, a worker that has announced its sleep, the holder of a lock. Nothing here looks at how long
   things take; all accounts must balance. The tests share SKUA_STRESS_SECONDS. */
#include "../tasks.h"

#include <pthread.h>
#include <skua/chan.h>

enum { WORKERS = 64, TESTS = 5 };

static skua_time end_of_share(void)
{
    return skua_after(SKUA_SEC(1) * (int64_t)test_env("SKUA_STRESS_SECONDS", 8) / TESTS);
}

static bool is_over(skua_time end)
{
    return skua_clock().ns >= end.ns;
}

/* Run rounds of fn(arg) on one crowd until the share is used up; at least one. */
typedef struct rounds {
    skua_fn fn;
    uint64_t random;
    skua_time end;
} rounds;

static int run_rounds(void *arg)
{
    rounds *self = arg;
    do {
        uint64_t random = test_random(&self->random);
        CHECK_INT(self->fn(&random), 0);
    } while (!is_over(self->end));
    return 0;
}

static void run_crowd(skua_fn fn)
{
    rounds self = {fn, test_seed(), end_of_share()};
    run_on_with(WORKERS, run_rounds, &self);
}

static uint32_t below(uint64_t *random, uint32_t bound)
{
    return (uint32_t)(test_random(random) % bound);
}

/* --- trees ------------------------------------------------------------------------------------ */

enum { FANOUT = 4, HEIGHT = 5, LEAVES = 1024, TREES = TEST_SCALE > 1 ? 2 : 8 };

/* `arg` points to the height; returns the number of leaves. */
static int grow(void *arg)
{
    const int height = *(const int *)arg;
    if (height == 0) {
        return 1;
    }
    skua_task *tasks[FANOUT];
    int below_this = height - 1, leaves = 0;
    for (int i = 0; i < FANOUT; i++) {
        tasks[i] = spawn(grow, &below_this);
    }
    for (int i = 0; i < FANOUT; i++) {
        leaves += finish(tasks[FANOUT - 1 - i]);
    }
    return leaves;
}

/* A tree with its root on each of some workers. */
static int grow_forest(void *arg)
{
    uint64_t *random = arg;
    skua_task *trees[TREES];
    int height = HEIGHT;
    for (int i = 0; i < TREES; i++) {
        const skua_spawn_opts opts = {.pin = 1 + below(random, WORKERS)};
        trees[i] = spawn_with(grow, &height, &opts);
    }
    for (int i = 0; i < TREES; i++) {
        CHECK_INT(finish(trees[i]), LEAVES);
    }
    return 0;
}

static void trees_have_all_their_leaves(void **state)
{
    run_crowd(grow_forest);
}

/* --- channels --------------------------------------------------------------------------------- */

enum { PRODUCERS = 16, CONSUMERS = 24, ITEMS = 500 / TEST_SCALE };

typedef struct line {
    skua_chan *chan;
    _Atomic unsigned char seen[PRODUCERS * ITEMS];
    gate got;
} line;

typedef struct producer {
    line *line;
    int first;
} producer;

static int produce(void *arg)
{
    const producer *self = arg;
    for (int i = self->first; i < self->first + ITEMS; i++) {
        int item = i;
        CHECK_INT(skua_chan_send(self->line->chan, SKUA_ITEM(item), SKUA_FOREVER), 0);
    }
    return 0;
}

static int consume(void *arg)
{
    line *shared = arg;
    int item, status;
    while ((status = skua_chan_recv(shared->chan, SKUA_ITEM(item), SKUA_FOREVER)) == 1) {
        CHECK_INT(atomic_fetch_add(&shared->seen[item], 1), 0);
        atomic_fetch_add(&shared->got, 1);
    }
    return status;
}

static int run_line(void *arg)
{
    static const size_t capacities[] = {0, 1, 64};
    static line shared;
    skua_task *makers[PRODUCERS], *takers[CONSUMERS];
    memset(&shared, 0, sizeof shared);
    CHECK_INT(skua_chan_create(&shared.chan, sizeof(int), capacities[below(arg, 3)]), 0);
    for (int i = 0; i < CONSUMERS; i++) {
        takers[i] = spawn(consume, &shared);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        producer one = {&shared, i * ITEMS};
        const skua_spawn_opts opts = {.arg_bytes = sizeof one};
        makers[i] = spawn_with(produce, &one, &opts);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        CHECK_INT(finish(makers[i]), 0);
    }
    skua_chan_close(shared.chan);
    for (int i = 0; i < CONSUMERS; i++) {
        CHECK_INT(finish(takers[i]), 0);
    }
    CHECK_INT(atomic_load(&shared.got), PRODUCERS * ITEMS);
    skua_chan_release(shared.chan, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

static void channels_deliver_each_item_once(void **state)
{
    run_crowd(run_line);
}

/* --- cancels ---------------------------------------------------------------------------------- */

enum { VICTIMS = 192 };

typedef struct prison {
    skua_chan *chan; /* nobody sends */
    gate inside, freed;
} prison;

static int wait_inside(void *arg)
{
    prison *shared = arg;
    int item, status;
    if (atomic_fetch_add(&shared->inside, 1) % 2 == 0) {
        status = skua_chan_recv(shared->chan, SKUA_ITEM(item), SKUA_FOREVER);
    } else {
        status = skua_sleep(SKUA_FOREVER);
    }
    atomic_fetch_add(&shared->freed, 1);
    return status;
}

static int cancel_one(void *arg)
{
    skua_task_cancel(*(skua_task **)arg);
    return 0;
}

/* Each is cancelled by two tasks at once, some before they wait. */
static int cancel_all(void *arg)
{
    uint64_t *random = arg;
    prison shared = {.chan = NULL};
    skua_task *victims[VICTIMS], *cancellers[2 * VICTIMS];
    CHECK_INT(skua_chan_create(&shared.chan, sizeof(int), 0), 0);
    for (int i = 0; i < VICTIMS; i++) {
        victims[i] = spawn(wait_inside, &shared);
    }
    await(&shared.inside, (int)below(random, 2) * VICTIMS / 2);
    for (int i = 0; i < 2 * VICTIMS; i++) {
        cancellers[i] = spawn(cancel_one, &victims[i / 2]);
    }
    for (int i = 0; i < 2 * VICTIMS; i++) {
        CHECK_INT(finish(cancellers[i]), 0);
    }
    for (int i = 0; i < VICTIMS; i++) {
        CHECK_INT(finish(victims[i]), -ECANCELED);
    }
    CHECK_INT(atomic_load(&shared.freed), atomic_load(&shared.inside));
    skua_chan_release(shared.chan, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

static void cancels_free_everybody_once(void **state)
{
    run_crowd(cancel_all);
}

/* --- timers ----------------------------------------------------------------------------------- */

enum { SLEEPERS = 256 };

typedef struct sleeper {
    skua_chan *chan; /* nobody sends */
    int64_t span_ns;
    bool on_chan;
} sleeper;

/* Never early, and never anything but the deadline. */
static int sleep_a_while(void *arg)
{
    const sleeper *self = arg;
    int item;
    const skua_time deadline = skua_after(self->span_ns);
    if (self->on_chan) {
        CHECK_INT(skua_chan_recv(self->chan, SKUA_ITEM(item), deadline), -ETIMEDOUT);
    } else {
        CHECK_INT(skua_sleep(deadline), 0);
    }
    CHECK(is_over(deadline));
    return 0;
}

static int sleep_all(void *arg)
{
    uint64_t *random = arg;
    skua_task *tasks[SLEEPERS];
    sleeper one = {.chan = NULL};
    const skua_spawn_opts opts = {.arg_bytes = sizeof one};
    CHECK_INT(skua_chan_create(&one.chan, sizeof(int), 0), 0);
    for (int i = 0; i < SLEEPERS; i++) {
        one.span_ns = below(random, SKUA_MS(5));
        one.on_chan = below(random, 2) == 0;
        tasks[i] = spawn_with(sleep_a_while, &one, &opts);
    }
    for (int i = 0; i < SLEEPERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    skua_chan_release(one.chan, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

static void timers_fire_once_and_never_early(void **state)
{
    run_crowd(sleep_all);
}

/* --- foreign threads -------------------------------------------------------------------------- */

enum { THREADS = 8, EACH = 400 / TEST_SCALE };

typedef struct caller {
    skua_runtime *runtime;
    uint64_t random;
    gate *runs;
} caller;

static int count_run(void *arg)
{
    atomic_fetch_add(*(gate **)arg, 1);
    return 0;
}

/* To every worker in turn, and to nobody in particular, with pauses in which workers fall asleep.
 */
static void *submit_to_all(void *arg)
{
    caller *self = arg;
    for (int i = 0; i < EACH; i++) {
        const uint32_t pin = i % 2 == 0 ? 1 + (uint32_t)i / 2 % WORKERS : 0;
        const skua_spawn_opts opts = {.arg_bytes = sizeof self->runs, .pin = pin};
        CHECK_INT(skua_submit(self->runtime, NULL, count_run, &self->runs, &opts), 0);
        if (below(&self->random, 50) == 0) {
            CHECK_INT(skua_sleep(skua_after(SKUA_US(300))), 0);
        }
    }
    return NULL;
}

static void submissions_to_a_crowd_run_once(void **state)
{
    const skua_time end = end_of_share();
    uint64_t random = test_seed();
    do {
        skua_runtime *runtime;
        pthread_t threads[THREADS];
        caller callers[THREADS];
        gate runs = 0;
        CHECK_INT(skua_runtime_create(&runtime, &(skua_config){.workers = WORKERS}), 0);
        for (int i = 0; i < THREADS; i++) {
            callers[i] = (caller){runtime, test_random(&random), &runs};
            CHECK_INT(pthread_create(&threads[i], NULL, submit_to_all, &callers[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) {
            CHECK_INT(pthread_join(threads[i], NULL), 0);
        }
        await(&runs, THREADS * EACH);
        skua_runtime_destroy(runtime);
        CHECK_INT(atomic_load(&runs), THREADS * EACH);
    } while (!is_over(end));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(trees_have_all_their_leaves),     TEST(channels_deliver_each_item_once),
        TEST(cancels_free_everybody_once),     TEST(timers_fire_once_and_never_early),
        TEST(submissions_to_a_crowd_run_once),
    };
    setenv("SKUA_TEST_SECONDS", "100", 0); /* what goes by count takes long on a busy machine */
    return TEST_RUN(tests);
}
