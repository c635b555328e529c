/* Runtimes: who gets to run, long computations, and what it costs. */
#include "idle_help.h"

#include "base/futex.h"
#include "sched/waiter.h"

#include <pthread.h>

/* --- fairness --------------------------------------------------------------------------------- */

static int use_a_little(void *arg)
{
    skua_task *tasks[10];
    for (int i = 0; i < 10; i++) {
        tasks[i] = spawn(return_zero, NULL);
    }
    for (int i = 0; i < 10; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    return skua_spawn(NULL, sleep_forever, NULL, NULL);
}

static int open_gate(void *arg)
{
    atomic_fetch_add((gate *)arg, 1);
    return 0;
}

static int meet_spinning(void *arg)
{
    gate *here = arg;
    atomic_fetch_add(here, 1);
    while (atomic_load(here) < 2) {
        sched_yield(); /* the processor, but not the worker */
    }
    return 0;
}

static int parallel_body(void *arg)
{
    for (int i = 0; i < 200 / TEST_SCALE; i++) {
        gate here = 0;
        skua_task *other = spawn(meet_spinning, &here);
        meet_spinning(&here);
        CHECK_INT(finish(other), 0);
    }
    return 0;
}

/* covers: D76 */
static void spinning_tasks_run_at_the_same_time(void **state)
{
    run_on(2, parallel_body);
    run_on(4, parallel_body);
}

static int yield_until(void *arg)
{
    await(arg, 1);
    return 0;
}

/* covers: B53 */
static void a_yielding_task_lets_the_inject_queue_run(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        skua_runtime *runtime;
        skua_task *yielders[8];
        gate open = 0;
        const skua_config config = {.workers = workers};
        CHECK_INT(skua_runtime_create(&runtime, &config), 0);
        for (int i = 0; i < 8; i++) {
            CHECK_INT(skua_submit(runtime, &yielders[i], yield_until, &open, NULL), 0);
        }
        CHECK_INT(skua_call(runtime, open_gate, &open, SKUA_FOREVER), 0);
        for (int i = 0; i < 8; i++) {
            CHECK_INT(finish(yielders[i]), 0);
        }
        skua_runtime_destroy(runtime);
    }
}

/* Two tasks that wake each other by turns: each wake goes to the LIFO slot. */
typedef struct table {
    struct skua__lock lock;
    struct skua__waiter *waiting;
    gate stop;
} table;

static void hit(table *table_)
{
    struct skua__waiter *other = NULL;
    skua__lock(&table_->lock, SKUA__RANK_CHAN);
    if (table_->waiting != NULL && skua__waiter_claim(table_->waiting)) {
        other = table_->waiting;
    }
    table_->waiting = NULL;
    struct skua__parker *parker = other != NULL ? other->parker : NULL;
    skua__unlock(&table_->lock, SKUA__RANK_CHAN);
    if (parker != NULL) {
        skua__wake(parker);
    }
}

static int play(void *arg)
{
    table *table_ = arg;
    while (atomic_load(&table_->stop) == 0) {
        struct skua__wait wait;
        struct skua__waiter waiter;
        hit(table_);
        skua__lock(&table_->lock, SKUA__RANK_CHAN);
        if (table_->waiting != NULL) {
            skua__unlock(&table_->lock, SKUA__RANK_CHAN);
            continue;
        }
        skua__wait_begin(&wait, SKUA__SOFT);
        skua__waiter_init(&waiter, &wait, 0, NULL);
        table_->waiting = &waiter;
        skua__unlock(&table_->lock, SKUA__RANK_CHAN);
        int cause = skua__wait_park(&wait, SKUA__NEVER);
        CHECK_INT(cause, 0);
    }
    hit(table_);
    return 0;
}

static int stop_game(void *arg)
{
    table *table_ = arg;
    for (int i = 0; i < 100; i++) {
        CHECK_INT(skua_yield(), 0);
    }
    atomic_store(&table_->stop, 1);
    return 0;
}

static int ping_pong_body(void *arg)
{
    table table_ = {.waiting = NULL};
    skua_task *players[2] = {spawn(play, &table_), spawn(play, &table_)};
    skua_task *third = spawn(stop_game, &table_);
    CHECK_INT(finish(third), 0);
    for (int i = 0; i < 2; i++) {
        while (skua_task_state(players[i]) == SKUA_RUNNING) {
            hit(&table_);
            CHECK_INT(skua_yield(), 0);
        }
        CHECK_INT(finish(players[i]), 0);
    }
    return 0;
}

/* covers: B53 */
static void two_who_wake_each_other_do_not_starve_a_third(void **state)
{
    run_on_1_2_4(ping_pong_body);
}

/* --- long computations ------------------------------------------------------------------------ */

/* Tasks that compute until two others have run: one that is ready, and one that waits for a moment.
   Were these to wait for the computations, nobody would ever end. */
struct computation {
    gate started, others_run;
};

static int compute_until_others_run(void *arg)
{
    struct computation *all = arg;
    atomic_fetch_add(&all->started, 1);
    while (atomic_load(&all->others_run) < 2) {}
    return 0;
}

static int run_meanwhile(void *arg)
{
    atomic_fetch_add(&((struct computation *)arg)->others_run, 1);
    return 0;
}

static int sleep_and_run(void *arg)
{
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(10))), 0);
    return run_meanwhile(arg);
}

static void a_ready_task_does_not_wait_for_long_computations(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        skua_runtime *runtime;
        skua_task *busy[4], *ready, *timer;
        struct computation all = {0, 0};
        const skua_config config = {.workers = workers};
        CHECK_INT(skua_runtime_create(&runtime, &config), 0);
        CHECK_INT(skua_submit(runtime, &timer, sleep_and_run, &all, NULL), 0);
        for (uint32_t i = 0; i < workers; i++) {
            CHECK_INT(skua_submit(runtime, &busy[i], compute_until_others_run, &all, NULL), 0);
        }
        await(&all.started, (int)workers);
        CHECK_INT(skua_submit(runtime, &ready, run_meanwhile, &all, NULL), 0);
        CHECK_INT(finish(ready), 0);
        CHECK_INT(finish(timer), 0);
        for (uint32_t i = 0; i < workers; i++) {
            CHECK_INT(finish(busy[i]), 0);
        }
        skua_runtime_destroy(runtime);
    }
}

/* The waker never suspends: whom it has woken stands in its worker's LIFO slot. */
typedef struct slot_case {
    gate open;
    skua_task *sleeper;
} slot_case;

static int wake_and_spin(void *arg)
{
    slot_case *one = arg;
    skua_task_cancel(one->sleeper);
    while (atomic_load(&one->open) == 0) {}
    return 0;
}

static int sleep_then_open(void *arg)
{
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    atomic_store(&((slot_case *)arg)->open, 1);
    return 0;
}

static int slot_body(void *arg)
{
    slot_case one = {.sleeper = NULL};
    one.sleeper = spawn(sleep_then_open, &one);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(1))), 0);
    CHECK_INT(call(wake_and_spin, &one), 0);
    CHECK_INT(finish(one.sleeper), 0);
    return 0;
}

/* covers: B53 */
static void a_woken_task_does_not_wait_for_who_woke_it(void **state)
{
    run_on_1_2_4(slot_body);
}

static void a_woken_task_does_not_wait_on_a_large_machine_either(void **state)
{
    run_on(40, slot_body);
}

/* The stand-in runs a long task itself; when that task sleeps, all workers have been parked for so
   long that nobody looks after timers any more. */
static int compute_then_sleep(void *arg)
{
    atomic_store((gate *)arg, 1);
    compute_for(SKUA_MS(300));
    return skua_sleep(skua_after(SKUA_MS(150)));
}

static int stand_in_body(void *arg)
{
    gate has_begun = 0;
    skua_task *task = spawn(compute_then_sleep, &has_begun);
    while (atomic_load(&has_begun) == 0) {} /* one worker: a stand-in takes the task */
    CHECK_INT(finish(task), 0);
    return 0;
}

static void a_timer_of_a_stand_in_fires(void **state)
{
    run_on(1, stand_in_body);
}

/* --- a poller --------------------------------------------------------------------------------- */

enum { POLLED = 5 };

/* Made-up events: all parked fibers become ready at one poll, as with epoll. The bell stays rung
   until a waiting poll has heard it: who interrupts may be earlier than who waits. */
typedef struct events {
    struct skua__poller poller;
    _Atomic uint32_t bell;
    gate rung, parked;
    struct skua__lock lock;
    struct skua__waiter *waiters[POLLED];
    uint32_t count;
} events;

static void events_interrupt(struct skua__poller *poller)
{
    events *all = SKUA_CONTAINER(poller, events, poller);
    atomic_store(&all->bell, 1);
    skua__futex_wake(&all->bell, 1, false);
}

static void events_poll(struct skua__poller *poller, int64_t deadline_ns)
{
    events *all = SKUA_CONTAINER(poller, events, poller);
    struct skua__wake_list list = {.count = 0};
    if (deadline_ns != 0) {
        skua__futex_wait(&all->bell, 0, deadline_ns, false);
        atomic_store(&all->bell, 0);
    }
    if (atomic_exchange(&all->rung, 0) == 0) {
        return;
    }
    skua__lock(&all->lock, SKUA__RANK_IO);
    for (uint32_t i = 0; i < all->count; i++) {
        if (skua__waiter_claim(all->waiters[i])) {
            skua__wake_list_add(&list, all->waiters[i]->parker);
        }
    }
    all->count = 0;
    skua__unlock(&all->lock, SKUA__RANK_IO);
    skua__wake_list_flush(&list);
}

static int wait_for_event(void *arg)
{
    events *all = arg;
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__lock(&all->lock, SKUA__RANK_IO);
    skua__wait_begin(&wait, SKUA__SOFT);
    skua__waiter_init(&waiter, &wait, 0, NULL);
    all->waiters[all->count++] = &waiter;
    skua__unlock(&all->lock, SKUA__RANK_IO);
    atomic_fetch_add(&all->parked, 1);
    CHECK_INT(skua__wait_park(&wait, SKUA__NEVER), 0);
    return 0;
}

static void events_of_one_poll_wake_all_their_tasks(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        skua_runtime *runtime;
        events all = {.poller = {.poll = events_poll, .interrupt = events_interrupt}};
        const skua_config config = {.workers = workers};
        CHECK_INT(skua_runtime_create(&runtime, &config), 0);
        skua__runtime_set_poller(runtime, &all.poller);
        for (int round = 0; round < 200; round++) {
            skua_task *tasks[POLLED];
            atomic_store(&all.parked, 0);
            for (int i = 0; i < POLLED; i++) {
                CHECK_INT(skua_submit(runtime, &tasks[i], wait_for_event, &all, NULL), 0);
            }
            await(&all.parked, POLLED);
            while (skua__idle_parked(&runtime->idle) < workers) { /* all of them sleep */
                CHECK_INT(skua_yield(), 0);
            }
            atomic_store(&all.rung, 1);
            events_interrupt(&all.poller);
            for (int i = 0; i < POLLED; i++) {
                CHECK_INT(finish(tasks[i]), 0);
            }
        }
        skua_runtime_destroy(runtime);
    }
}

/* --- cost ------------------------------------------------------------------------------------- */

/* This one really waits: half a second, or SKUA_IDLE_SECONDS. */
static void an_idle_runtime_uses_no_processor(void **state)
{
    enum { WORKERS = 4 };
    skua_runtime *runtime;
    const skua_config config = {.workers = WORKERS};
    const int64_t seconds = (int64_t)test_env("SKUA_IDLE_SECONDS", 0);
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    CHECK_INT(skua_submit(runtime, NULL, sleep_forever, NULL, NULL), 0);
    CHECK_INT(skua_call(runtime, use_a_little, NULL, SKUA_FOREVER), 0);
    check_idle_for(runtime, WORKERS, seconds > 0 ? SKUA_SEC(seconds) : SKUA_MS(500));
    skua_runtime_destroy(runtime);
}

static int64_t resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    CHECK(file != NULL && fscanf(file, "%ld %ld", &pages, &resident) == 2);
    fclose(file);
    return resident * (int64_t)sysconf(_SC_PAGESIZE);
}

/* The margin is for stacks that were not needed in the first round: a stand-in's, for instance. */
enum { BATCH = 1000, BATCHES = 200 / TEST_SCALE / TEST_SCALE, MARGIN_BYTES = 4 << 20 };

static int million_body(void *arg)
{
    int64_t first = 0;
    skua_task **tasks = calloc(BATCH, sizeof *tasks);
    for (int round = 0; round < 5; round++) {
        for (int batch = 0; batch < BATCHES; batch++) {
            for (int i = 0; i < BATCH; i++) {
                tasks[i] = spawn(return_zero, NULL);
            }
            for (int i = 0; i < BATCH; i++) {
                CHECK_INT(finish(tasks[i]), 0);
            }
        }
        const int64_t now = resident_bytes();
        first = round == 0 ? now : first;
        CHECK(now <= first + first / 5 + MARGIN_BYTES);
    }
    free(tasks);
    return 0;
}

static void a_million_tasks_do_not_let_memory_grow(void **state)
{
    run_on(2, million_body);
}

static int join_under_deadline(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        skua_task *task = spawn(return_zero, NULL);
        CHECK_INT(skua_join(task, NULL, skua_after(SKUA_SEC(1000) + i)), 0);
        skua_task_release(task);
    }
    return 0;
}

static int timers_body(void *arg)
{
    enum { TASKS = 150 / TEST_SCALE };
    skua_runtime *runtime = skua_runtime_current();
    for (int i = 0; i < TASKS; i += 10) {
        skua_task *tasks[10];
        for (int t = 0; t < 10; t++) {
            tasks[t] = spawn(join_under_deadline, NULL);
        }
        for (int t = 0; t < 10; t++) {
            CHECK_INT(finish(tasks[t]), 0);
        }
    }
    size_t timers = 0;
    for (uint32_t i = 0; i < runtime->worker_capacity; i++) {
        struct skua__wheel *wheel = &runtime->workers[i].wheel;
        skua__lock(&wheel->lock, SKUA__RANK_WHEEL);
        timers += wheel->count;
        skua__unlock(&wheel->lock, SKUA__RANK_WHEEL);
    }
    CHECK(timers <= 1000); /* at most one for each fiber there is */
    return 0;
}

static void long_deadlines_leave_the_wheels_small(void **state)
{
    run_on(2, timers_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(spinning_tasks_run_at_the_same_time),
        TEST(a_yielding_task_lets_the_inject_queue_run),
        TEST(two_who_wake_each_other_do_not_starve_a_third),
        TEST(a_ready_task_does_not_wait_for_long_computations),
        TEST(a_woken_task_does_not_wait_for_who_woke_it),
        TEST(an_idle_runtime_uses_no_processor),
        TEST(a_million_tasks_do_not_let_memory_grow),
        TEST(long_deadlines_leave_the_wheels_small),
        TEST(a_timer_of_a_stand_in_fires),
        TEST(a_woken_task_does_not_wait_on_a_large_machine_either),
        TEST(events_of_one_poll_wake_all_their_tasks),
    };
    return TEST_RUN(tests);
}
