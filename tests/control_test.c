/* Callbacks and timers of a runtime. */
#include "tasks.h"

#include <malloc.h>
#include <pthread.h>
#include <skua/control.h>

typedef struct book {
    gate begun, count;
    int order[100];
} book;

/* Callbacks have only their argument: what to note, and where. */
typedef struct entry {
    book *notes;
    int value;
} entry;

static void take_note(void *arg)
{
    const entry *note = arg;
    note->notes->order[atomic_fetch_add(&note->notes->begun, 1)] = note->value;
    atomic_fetch_add(&note->notes->count, 1);
}

static book *fresh_notes(void)
{
    static book all;
    memset(&all, 0, sizeof all);
    return &all;
}

static skua_runtime *create(uint32_t workers)
{
    skua_runtime *runtime = NULL;
    const skua_config config = {.workers = workers};
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    return runtime;
}

static uint64_t alive(skua_runtime *runtime)
{
    skua_counts counts;
    skua_runtime_counts(runtime, &counts);
    return counts.tasks_alive;
}

/* --- call_soon -------------------------------------------------------------------------------- */

/* covers: A4 */
static void callbacks_of_one_thread_run_in_order(void **state)
{
    enum { CALLS = 100 };
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        book *all = fresh_notes();
        entry calls[CALLS];
        skua_runtime *runtime = create(workers);
        for (int i = 0; i < CALLS; i++) {
            calls[i] = (entry){all, i};
            CHECK_INT(skua_call_soon(runtime, take_note, &calls[i]), 0);
        }
        await(&all->count, CALLS);
        for (int i = 0; i < CALLS; i++) {
            CHECK_INT(all->order[i], i);
        }
        CHECK_INT(skua_runtime_wait(runtime, SKUA_FOREVER), 0);
        skua_runtime_destroy(runtime);
    }
}

enum { THREADS = 8, CALLS_EACH = 25000 / TEST_SCALE };

typedef struct many {
    skua_runtime *runtime;
    int last[THREADS]; /* without atomics: callbacks do not run at the same time */
    int total;
    gate is_done;
} many;

typedef struct one_of_many {
    many *many;
    int thread;
} one_of_many;

static void count_one(void *arg)
{
    one_of_many *own = arg;
    own->many->last[own->thread]++;
    if (++own->many->total == THREADS * CALLS_EACH) {
        atomic_store(&own->many->is_done, 1);
    }
}

static void *call_many(void *arg)
{
    one_of_many *own = arg;
    for (int i = 0; i < CALLS_EACH; i++) {
        CHECK_INT(skua_call_soon(own->many->runtime, count_one, own), 0);
    }
    return NULL;
}

/* covers: A4 */
static void callbacks_of_many_threads_run_once_each(void **state)
{
    many all = {.runtime = create(2)};
    one_of_many own[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        own[i] = (one_of_many){.many = &all, .thread = i};
        CHECK_INT(pthread_create(&threads[i], NULL, call_many, &own[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    await(&all.is_done, 1);
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(all.last[i], CALLS_EACH);
    }
    skua_runtime_destroy(all.runtime);
}

typedef struct long_chain {
    int left;
    gate is_done;
} long_chain;

static void call_again(void *arg)
{
    long_chain *chain = arg;
    if (--chain->left > 0) {
        CHECK_INT(skua_call_soon(NULL, call_again, chain), 0);
    } else {
        atomic_store(&chain->is_done, 1);
    }
}

static int count_turns(void *arg)
{
    long_chain *chain = arg;
    int turns = 0;
    while (atomic_load(&chain->is_done) == 0) {
        turns++;
        CHECK_INT(skua_yield(), 0);
    }
    return turns;
}

/* A chain of callbacks leaves the only worker to others now and then. The counter may be late, if
   it is another thread that was to run it: in one of many chains it is not. */
static int chain_callbacks(void *arg)
{
    int turns = 0;
    for (int round = 0; round < 100 && turns < 10; round++) {
        long_chain chain = {.left = 10000};
        skua_task *counter = spawn(count_turns, &chain);
        CHECK_INT(skua_call_soon(NULL, call_again, &chain), 0);
        turns = finish(counter);
    }
    CHECK(turns >= 10);
    return 0;
}

static void callbacks_call_callbacks(void **state)
{
    run_on_1_2_4(chain_callbacks);
}

static void must_not_run(void *arg)
{
    test_fail(__FILE__, __LINE__, "a callback ran that was dropped");
}

/* Behind a callback that takes its time, until the runtime is cancelled. */
static void wait_until_cancelled(void *arg)
{
    atomic_store((gate *)arg, 1);
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
}

static void the_end_drops_what_has_not_started(void **state)
{
    for (uint32_t workers = 1; workers <= 2; workers++) {
        skua_runtime *runtime = create(workers);
        skua_timer *timer;
        gate has_started = 0;
        CHECK_INT(skua_call_soon(runtime, wait_until_cancelled, &has_started), 0);
        CHECK_INT(skua_call_soon(runtime, must_not_run, NULL), 0);
        CHECK_INT(skua_call_later(&timer, runtime, SKUA_SEC(100), must_not_run, NULL), 0);
        CHECK_INT(skua_call_later(NULL, runtime, 0, must_not_run, NULL), 0);
        await(&has_started, 1);
        skua_drain(runtime, SKUA_NOW);
        CHECK_INT(skua_call_soon(runtime, must_not_run, NULL), -ESHUTDOWN);
        CHECK_INT(skua_call_later(NULL, runtime, 0, must_not_run, NULL), -ESHUTDOWN);
        skua_runtime_destroy(runtime);
        CHECK(skua_timer_cancel(timer)); /* the handle outlives the runtime */
    }
}

static void bad_calls_are_refused(void **state)
{
    skua_timer *untouched = (skua_timer *)(uintptr_t)8, *timer = untouched;
    CHECK_INT(skua_call_soon(NULL, must_not_run, NULL), -EPERM);
    CHECK_INT(skua_call_later(&timer, NULL, 0, must_not_run, NULL), -EPERM);
    skua_runtime *runtime = create(1);
    CHECK_INT(skua_call_soon(runtime, NULL, NULL), -EINVAL);
    CHECK_INT(skua_call_later(&timer, runtime, 0, NULL, NULL), -EINVAL);
    CHECK_PTR(timer, untouched);
    CHECK(!skua_timer_cancel(NULL));
    skua_timer_release(NULL);
    skua_runtime_destroy(runtime);
}

/* --- timers ----------------------------------------------------------------------------------- */

typedef struct alarm_clock {
    skua_time armed, rung;
    gate count;
} alarm_clock;

static void ring(void *arg)
{
    alarm_clock *clock = arg;
    clock->rung = skua_clock();
    atomic_fetch_add(&clock->count, 1);
}

/* covers: A5 */
static void a_timer_fires_once_and_never_early(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        skua_runtime *runtime = create(workers);
        for (int64_t delay_ns = 0; delay_ns <= SKUA_MS(3); delay_ns += SKUA_US(300)) {
            alarm_clock clock = {.armed = skua_clock()};
            skua_timer *timer;
            CHECK_INT(skua_call_later(&timer, runtime, delay_ns, ring, &clock), 0);
            await(&clock.count, 1);
            CHECK(clock.rung.ns - clock.armed.ns >= delay_ns);
            CHECK(!skua_timer_cancel(timer));
            CHECK_INT(atomic_load(&clock.count), 1);
        }
        skua_runtime_destroy(runtime);
    }
}

/* In a callback, so that none of them can run before all are armed; and so far apart that they are
   in order however long that takes. */
static void arm_backwards(void *arg)
{
    entry *notes = arg;
    for (int i = 0; i < 10; i++) {
        CHECK_INT(skua_call_later(NULL, NULL, -SKUA_SEC(3) * i, take_note, &notes[i]), 0);
    }
}

/* covers: A5 D71 */
static void the_most_overdue_comes_first(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        skua_runtime *runtime = create(workers);
        book *all = fresh_notes();
        entry ten[10];
        for (int i = 0; i < 10; i++) {
            ten[i] = (entry){all, i};
        }
        CHECK_INT(skua_call_soon(runtime, arm_backwards, ten), 0);
        await(&all->count, 10);
        for (int i = 0; i < 10; i++) {
            CHECK_INT(all->order[i], 9 - i);
        }
        skua_runtime_destroy(runtime);
    }
}

static void an_earlier_timer_overtakes(void **state)
{
    skua_runtime *runtime = create(2);
    book *all = fresh_notes();
    entry notes[] = {{all, 0}, {all, 1}};
    skua_timer *late;
    CHECK_INT(skua_call_later(&late, runtime, SKUA_SEC(100), take_note, &notes[0]), 0);
    CHECK_INT(skua_call_later(NULL, runtime, SKUA_MS(2), take_note, &notes[1]), 0);
    await(&all->count, 1);
    CHECK_INT(all->order[0], 1);
    CHECK(skua_timer_cancel(late));
    while (alive(runtime) > 0) { /* with the last timer the task goes */
        CHECK_INT(skua_yield(), 0);
    }
    skua_runtime_destroy(runtime);
}

/* covers: A5 */
static void a_cancelled_timer_never_fires(void **state)
{
    uint64_t random = test_seed();
    skua_runtime *runtime = create(2);
    int cancelled = 0;
    alarm_clock clock = {.count = 0};
    for (int i = 0; i < 2000; i++) {
        skua_timer *timer;
        const int64_t delay_ns = SKUA_US(1) * (int64_t)(test_random(&random) % 200);
        CHECK_INT(skua_call_later(&timer, runtime, delay_ns, ring, &clock), 0);
        compute_for(SKUA_US(1) * (int64_t)(test_random(&random) % 100));
        cancelled += skua_timer_cancel(timer);
    }
    CHECK_INT(skua_runtime_wait(runtime, SKUA_FOREVER), 0);
    while (alive(runtime) > 0) {
        CHECK_INT(skua_yield(), 0);
    }
    CHECK_INT(atomic_load(&clock.count), 2000 - cancelled);
    skua_runtime_destroy(runtime);
}

typedef struct self_cancel {
    _Atomic(skua_timer *) timer;
    gate is_done;
} self_cancel;

static void cancel_itself(void *arg)
{
    self_cancel *own = arg;
    while (atomic_load(&own->timer) == NULL) {}
    CHECK(!skua_timer_cancel(atomic_load(&own->timer)));
    atomic_store(&own->is_done, 1);
}

static void a_callback_cancels_its_own_timer_in_vain(void **state)
{
    skua_runtime *runtime = create(2);
    self_cancel own = {.is_done = 0};
    skua_timer *timer;
    CHECK_INT(skua_call_later(&timer, runtime, 0, cancel_itself, &own), 0);
    atomic_store(&own.timer, timer);
    await(&own.is_done, 1);
    skua_runtime_destroy(runtime);
}

static void a_released_handle_lets_it_run(void **state)
{
    skua_runtime *runtime = create(1);
    alarm_clock clock = {.count = 0};
    skua_timer *timer;
    CHECK_INT(skua_call_later(&timer, runtime, SKUA_MS(1), ring, &clock), 0);
    skua_timer_release(timer);
    await(&clock.count, 1);
    skua_runtime_destroy(runtime);
}

static size_t bytes_in_use(void)
{
    return mallinfo2().uordblks;
}

/* covers: A5 */
static void many_timers_leave_nothing(void **state)
{
    enum { TIMERS = 250000 / TEST_SCALE / TEST_SCALE };
    skua_runtime *runtime = create(2);
    skua_timer **timers = calloc(TIMERS, sizeof *timers);
    uint64_t random = test_seed();
    const size_t before = bytes_in_use();
    for (size_t i = 0; i < TIMERS; i++) { /* so late that none fires before it is cancelled */
        const int64_t delay_ns = SKUA_SEC(3600) + (int64_t)(test_random(&random) >> 30);
        CHECK_INT(skua_call_later(&timers[i], runtime, delay_ns, must_not_run, NULL), 0);
    }
    for (size_t i = 0; i < TIMERS; i++) { /* in another order */
        const size_t other = i + test_random(&random) % (TIMERS - i);
        skua_timer *timer = timers[other];
        timers[other] = timers[i];
        CHECK(skua_timer_cancel(timer));
    }
    while (alive(runtime) > 0) {
        CHECK_INT(skua_yield(), 0);
    }
    if (TEST_SCALE == 1) { /* sanitizers have allocators of their own */
        CHECK(bytes_in_use() < before + 100 * 1000);
    }
    free(timers);
    skua_runtime_destroy(runtime);
}

/* --- the loop demo ---------------------------------------------------------------------------- */

static int return_number(void *arg)
{
    take_note(arg);
    return 0;
}

static int gather_two(void *arg)
{
    entry *notes = arg;
    skua_task *first = spawn(return_number, &notes[0]);
    skua_task *second = spawn(return_number, &notes[1]); /* a stand-in may run it first */
    return finish(first) + finish(second);
}

/* covers: A3 A5 */
static void a_loop_with_an_armed_timer_ends_at_once(void **state)
{
    const skua_time start = skua_clock();
    skua_runtime *runtime = create(1);
    book *all = fresh_notes();
    entry notes[] = {{all, 0}, {all, 1}, {all, 2}, {all, 3}};
    CHECK_INT(skua_call_soon(runtime, take_note, &notes[0]), 0);
    CHECK_INT(skua_call_later(NULL, runtime, SKUA_SEC(20), take_note, &notes[3]), 0);
    await(&all->count, 1);
    CHECK_INT(skua_call(runtime, return_number, &notes[1], SKUA_FOREVER), 0);
    CHECK_INT(skua_call(runtime, gather_two, &notes[1], SKUA_FOREVER), 0);
    skua_runtime_destroy(runtime);
    CHECK_INT(atomic_load(&all->count), 4);
    CHECK_INT(all->order[0], 0); /* Callback, Task 1, Task 1, Task 2 */
    CHECK_INT(all->order[1], 1);
    CHECK_INT(all->order[2] + all->order[3], 1 + 2);
    CHECK(skua_elapsed_ns(start) < SKUA_SEC(10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(callbacks_of_one_thread_run_in_order),
        TEST(callbacks_of_many_threads_run_once_each),
        TEST(callbacks_call_callbacks),
        TEST(the_end_drops_what_has_not_started),
        TEST(bad_calls_are_refused),
        TEST(a_timer_fires_once_and_never_early),
        TEST(the_most_overdue_comes_first),
        TEST(an_earlier_timer_overtakes),
        TEST(a_cancelled_timer_never_fires),
        TEST(a_callback_cancels_its_own_timer_in_vain),
        TEST(a_released_handle_lets_it_run),
        TEST(many_timers_leave_nothing),
        TEST(a_loop_with_an_armed_timer_ends_at_once),
    };
    return TEST_RUN(tests);
}
