/* The mutex: exclusion, order, deadlines and cancels of waiters, and who is served instead. */
#include "behaviours/virtual_runs.h"

#include <pthread.h>
#include <skua/sync.h>

static skua_mutex mutex;
static int order[16];
static int order_count;

/* A call of skua_mutex_lock() in a task of its own. */
typedef struct locker {
    int number;
    int status;
    skua_time deadline;
    gate has_ended;
} locker;

static int lock_once(void *arg)
{
    locker *self = arg;
    self->status = skua_mutex_lock(&mutex, self->deadline);
    if (self->status == 0) {
        order[order_count++] = self->number;
        skua_mutex_unlock(&mutex);
    }
    atomic_store(&self->has_ended, 1);
    return self->status;
}

static void lock_now(void)
{
    CHECK_INT(skua_mutex_lock(&mutex, SKUA_NOW), 0);
}

static bool is_free(void)
{
    static const skua_mutex zeroed;
    return memcmp(&mutex.opaque[0], &zeroed.opaque[0], sizeof zeroed.opaque[0]) == 0;
}

static void begin(void)
{
    mutex = (skua_mutex){{0}};
    order_count = 0;
}

/* The others of the test run all wait. */
static void settle(void)
{
    CHECK_INT(skua_test_settle(), 0);
}

/* Runs whose order is up to the mutex alone: nobody is waited for by counting his turns, and no
   deadline comes before all wait. */
static void run_settled(skua_fn fn)
{
    run_virtually_on(1, fn);
    run_virtually_on(2, fn);
    run_virtually_on(4, fn);
}

/* Starts a locker, and returns when it waits. Where there is one worker it is the worker's own. */
static skua_task *start_waiting(locker *self, int number)
{
    const skua_spawn_opts opts = {.pin = skua_worker_count(skua_runtime_current()) == 1};
    self->number = number;
    skua_task *task = spawn_with(lock_once, self, &opts);
    settle();
    CHECK(!atomic_load(&self->has_ended));
    return task;
}

/* --- the calls --- */

static int plain_body(void *arg)
{
    begin();
    for (int i = 0; i < 3; i++) {
        CHECK_INT(skua_mutex_lock(&mutex, SKUA_FOREVER), 0);
        locker other = {.deadline = SKUA_NOW};
        CHECK_INT(call(lock_once, &other), -EAGAIN);
        skua_mutex_unlock(&mutex);
        CHECK(is_free());
        lock_now();
        skua_mutex_unlock(&mutex);
    }
    return 0;
}

static void zeroed_is_free(void **state)
{
    run_on_1_2_4(plain_body);
}

enum { CROWD = 100, ROUNDS = 10000 / CROWD };
static struct {
    skua_mutex mutex;
    int sum, inside;
} counter;

static int count_up(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_INT(skua_mutex_lock(&counter.mutex, SKUA_FOREVER), 0);
        CHECK_INT(counter.inside++, 0);
        int sum = counter.sum;
        if (i % 4 == 0) {
            (void)skua_yield();
        }
        counter.sum = sum + 1;
        counter.inside--;
        skua_mutex_unlock(&counter.mutex);
    }
    return 0;
}

static int exclusion_body(void *arg)
{
    skua_task *tasks[CROWD];
    memset(&counter, 0, sizeof counter);
    for (int i = 0; i < CROWD; i++) {
        tasks[i] = spawn(count_up, NULL);
    }
    for (int i = 0; i < CROWD; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(counter.sum, CROWD * ROUNDS);
    return 0;
}

/* covers: A59 */
static void one_at_a_time(void **state)
{
    run_on_1_2_4(exclusion_body);
}

enum { HANDS = 8, MILLION = 1000000 / TEST_SCALE / HANDS * HANDS };

static int count_far(void *arg)
{
    for (int i = 0; i < MILLION / HANDS; i++) {
        CHECK_INT(skua_mutex_lock(&counter.mutex, SKUA_FOREVER), 0);
        counter.sum++;
        skua_mutex_unlock(&counter.mutex);
    }
    return 0;
}

static int million_body(void *arg)
{
    skua_task *tasks[HANDS];
    memset(&counter, 0, sizeof counter);
    for (int i = 0; i < HANDS; i++) {
        tasks[i] = spawn(count_far, NULL);
    }
    for (int i = 0; i < HANDS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(counter.sum, MILLION);
    return 0;
}

/* The counter is plain memory: a race, if there were one, is what the thread sanitizer reports. */
/* covers: A59 A63 */
static void a_million_increments(void **state)
{
    run_on_1_2_4(million_body);
}

/* --- order --- */

static int fifo_body(void *arg)
{
    locker lockers[5] = {0};
    skua_task *tasks[5];
    begin();
    lock_now();
    for (int i = 0; i < 5; i++) {
        tasks[i] = start_waiting(&lockers[i], i);
    }
    skua_mutex_unlock(&mutex);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(finish(tasks[i]), 0);
        CHECK_INT(order[i], i);
    }
    CHECK(is_free());
    return 0;
}

static void first_come_first_served(void **state)
{
    run_settled(fifo_body);
}

/* A task that always holds the mutex when it lets others run. */
static int greedy_body(void *arg)
{
    locker waiting = {0};
    begin();
    lock_now();
    skua_task *task = start_waiting(&waiting, 1);
    int rounds = 0;
    while (!atomic_load(&waiting.has_ended)) {
        skua_mutex_unlock(&mutex);
        CHECK_INT(skua_mutex_lock(&mutex, SKUA_FOREVER), 0);
        settle(); /* it has had its turn to try */
        CHECK(++rounds < 10);
    }
    skua_mutex_unlock(&mutex);
    CHECK_INT(finish(task), 0);
    return 0;
}

static void nobody_starves(void **state)
{
    run_settled(greedy_body);
}

/* Made fair it goes round: whoever unlocks it and comes again is the last one. */
enum { FAIR_TASKS = 3, FAIR_ROUNDS = 4 };

static int lock_in_turn(void *arg)
{
    for (int i = 0; i < FAIR_ROUNDS; i++) {
        CHECK_INT(skua_mutex_lock(&mutex, SKUA_FOREVER), 0);
        order[order_count++] = *(int *)arg;
        settle(); /* all who are to come again stand in line */
        skua_mutex_unlock(&mutex);
    }
    return 0;
}

static int fair_body(void *arg)
{
    int numbers[FAIR_TASKS];
    skua_task *tasks[FAIR_TASKS];
    begin();
    skua_mutex_init_fair(&mutex);
    lock_now();
    for (int i = 0; i < FAIR_TASKS; i++) {
        numbers[i] = i;
        tasks[i] = spawn(lock_in_turn, &numbers[i]);
        settle(); /* it waits */
    }
    skua_mutex_unlock(&mutex);
    CHECK_INT(skua_mutex_lock(&mutex, SKUA_NOW), -EAGAIN); /* handed over already */
    for (int i = 0; i < FAIR_TASKS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    for (int i = 0; i < FAIR_TASKS * FAIR_ROUNDS; i++) {
        CHECK_INT(order[i], i % FAIR_TASKS);
    }
    CHECK(is_free());
    return 0;
}

static void a_fair_one_goes_round(void **state)
{
    run_settled(fair_body);
}

static _Atomic bool is_over;

static int count_until_over(void *arg)
{
    gate *count = arg;
    while (!atomic_load(&is_over)) {
        CHECK_INT(skua_mutex_lock(&mutex, SKUA_FOREVER), 0);
        atomic_fetch_add(count, 1);
        skua_mutex_unlock(&mutex);
    }
    return 0;
}

/* Nobody waits here, but a lock counts as an operation, so others have their turns. */
static int turns_body(void *arg)
{
    gate counts[3] = {0};
    skua_task *tasks[3];
    begin();
    atomic_store(&is_over, false);
    for (int i = 0; i < 3; i++) {
        tasks[i] = spawn(count_until_over, &counts[i]);
    }
    for (int i = 0; i < 3; i++) {
        await(&counts[i], 1);
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    return 0;
}

static void locking_lets_others_run(void **state)
{
    const skua_test_opts opts = {.seeded = true, .timeout_ns = TEST_PATIENCE_NS};
    run_on(1, turns_body);
    CHECK_INT(skua_test_run(&opts, turns_body, NULL), 0); /* where no thread stands in for others */
}

/* --- deadlines and cancels --- */

static int deadline_body(void *arg)
{
    locker late = {.deadline = skua_after(SKUA_MS(2))}, patient = {.number = 2};
    begin();
    lock_now();
    skua_task *late_task = start_waiting(&late, 1);
    skua_task *patient_task = start_waiting(&patient, 2);
    CHECK_INT(finish(late_task), -ETIMEDOUT);
    locker past = {.deadline = skua_after(0)};
    CHECK_INT(call(lock_once, &past), -ETIMEDOUT);
    skua_mutex_unlock(&mutex);
    CHECK_INT(finish(patient_task), 0);
    CHECK(is_free());
    past.deadline = skua_after(0);
    CHECK_INT(call(lock_once, &past), 0); /* free: the deadline does not matter */
    return 0;
}

static void late_ones_leave(void **state)
{
    run_settled(deadline_body);
}

static int lock_and_leave(void *arg)
{
    int status = skua_mutex_lock(&mutex, SKUA_FOREVER);
    CHECK(status != 0);
    return status;
}

static int scope_body(void *arg)
{
    begin();
    lock_now();
    locker other = {0};
    skua_task *waiting = start_waiting(&other, 1);
    /* The holder is this task, so the limit must be in another one. */
    skua_task_cancel(waiting);
    CHECK_INT(finish(waiting), -ECANCELED);
    skua_mutex_unlock(&mutex);
    CHECK(is_free());
    return 0;
}

static int limited(void *arg)
{
    return skua_within(skua_after(SKUA_MS(2)), lock_and_leave, NULL);
}

static int within_body(void *arg)
{
    begin();
    lock_now();
    CHECK_INT(call(limited, NULL), -ETIMEDOUT);
    skua_mutex_unlock(&mutex);
    CHECK(is_free());
    return 0;
}

/* covers: D24 */
static void cancelled_ones_leave(void **state)
{
    run_settled(scope_body);
    run_on_1_2_4(within_body);
}

static int in_cancelled_scope(void *arg)
{
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_scope_cancel(&scope);
    CHECK_INT(skua_mutex_lock(&mutex, SKUA_FOREVER), -ECANCELED);
    CHECK_INT(skua_mutex_lock(&mutex, SKUA_NOW), -ECANCELED);
    CHECK(is_free());
    return skua_scope_close(&scope, 0);
}

static void cancelled_before(void **state)
{
    begin();
    run_on(1, in_cancelled_scope);
}

/* An unlock has woken the first of two, and then it is cancelled: it takes the mutex all the same,
   if it is still free, and the second gets it after that; if not, the second gets it anyway. */
static int woken_then_cancelled_body(void *arg)
{
    for (int relocks = 0; relocks <= 1; relocks++) {
        locker first = {0}, second = {0};
        begin();
        lock_now();
        skua_task *first_task = start_waiting(&first, 1);
        skua_task *second_task = start_waiting(&second, 2);
        skua_mutex_unlock(&mutex);
        if (relocks) {
            lock_now();
        }
        skua_task_cancel(first_task);
        CHECK_INT(finish(first_task), relocks ? -ECANCELED : 0);
        if (relocks) {
            skua_mutex_unlock(&mutex);
        }
        CHECK_INT(finish(second_task), 0);
        CHECK(is_free());
    }
    return 0;
}

/* The same with one that was woken in vain before: it is handed the mutex, or leaves without. */
static int handed_then_cancelled_body(void *arg)
{
    for (int is_early = 0; is_early <= 1; is_early++) {
        locker first = {0}, second = {0};
        begin();
        lock_now();
        skua_task *first_task = start_waiting(&first, 1);
        skua_task *second_task = start_waiting(&second, 2);
        skua_mutex_unlock(&mutex);
        lock_now();
        settle(); /* the first was woken in vain */
        if (is_early) {
            skua_task_cancel(first_task);
        }
        skua_mutex_unlock(&mutex);
        if (!is_early) {
            CHECK_INT(skua_mutex_lock(&mutex, SKUA_NOW), -EAGAIN); /* it is the first one's */
            skua_task_cancel(first_task);
        }
        CHECK_INT(finish(first_task), is_early ? -ECANCELED : 0);
        CHECK_INT(finish(second_task), 0);
        CHECK(is_free());
    }
    return 0;
}

/* All are pinned to the only worker: a stand-in, which comes when that is late, would take who was
   woken before we go on. */
static int wakes_body(void *arg)
{
    const skua_spawn_opts opts = {.pin = 1};
    CHECK_INT(finish(spawn_with(woken_then_cancelled_body, NULL, &opts)), 0);
    return finish(spawn_with(handed_then_cancelled_body, NULL, &opts));
}

static void the_wake_is_passed_on(void **state)
{
    run_virtually_on(1, wakes_body);
}

/* --- where it lives --- */

typedef struct shared {
    skua_mutex mutex;
    int users;
} shared;

static int use_and_free(void *arg)
{
    shared *object = arg;
    CHECK_INT(skua_mutex_lock(&object->mutex, SKUA_FOREVER), 0);
    bool is_last = --object->users == 0;
    skua_mutex_unlock(&object->mutex);
    if (is_last) {
        free(object);
    }
    return 0;
}

/* The last one frees it right after its unlock: no other unlock may still be at it. */
static int freed_body(void *arg)
{
    for (int round = 0; round < 2000 / TEST_SCALE; round++) {
        skua_task *tasks[4];
        shared *object = calloc(1, sizeof *object);
        CHECK(object != NULL);
        object->users = 4;
        for (int i = 0; i < 4; i++) {
            tasks[i] = spawn(use_and_free, object);
        }
        for (int i = 0; i < 4; i++) {
            CHECK_INT(finish(tasks[i]), 0);
        }
    }
    return 0;
}

static void the_last_one_frees(void **state)
{
    run_on_1_2_4(freed_body);
}

/* The holder waits for something else, and goes on perhaps elsewhere. */
static int hold_and_sleep(void *arg)
{
    for (int i = 0; i < 5; i++) {
        CHECK_INT(skua_mutex_lock(&mutex, SKUA_FOREVER), 0);
        CHECK_INT(counter.inside++, 0);
        CHECK_INT(skua_sleep(skua_after(100 * 1000)), 0);
        counter.inside--;
        skua_mutex_unlock(&mutex);
    }
    return 0;
}

static int sleepers_body(void *arg)
{
    skua_task *tasks[8];
    begin();
    counter.inside = 0;
    for (int i = 0; i < 8; i++) {
        tasks[i] = spawn(hold_and_sleep, NULL);
    }
    for (int i = 0; i < 8; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK(is_free());
    return 0;
}

/* covers: D30 */
static void held_while_waiting(void **state)
{
    run_on_1_2_4(sleepers_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(zeroed_is_free),          TEST(one_at_a_time),        TEST(a_million_increments),
        TEST(first_come_first_served), TEST(nobody_starves),       TEST(locking_lets_others_run),
        TEST(late_ones_leave),         TEST(cancelled_ones_leave), TEST(cancelled_before),
        TEST(the_wake_is_passed_on),   TEST(the_last_one_frees),   TEST(held_while_waiting),
        TEST(a_fair_one_goes_round),
    };
    return TEST_RUN(tests);
}
