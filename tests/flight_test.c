/* Single flights: one runs, all get it, and a cancel is nobody's but its own. */
#include "tasks.h"

#include "group/flight.h"

#include <pthread.h>
#include <skua/retry.h>

enum { CROWD = 100 };

static skua_flight flight;

/* What the runners of a test share. */
static struct work {
    gate runs;    /* begun */
    gate may_end; /* so many of them */
    int status;   /* of the next one that ends */
} work;

/* A call in a task of its own. */
typedef struct caller {
    const char *key;
    int number, value, status;
    bool waits_for_cancel;
    skua_time deadline;
    gate has_begun, has_ended;
} caller;

static int work_once(void *arg)
{
    caller *self = arg;
    const int turn = atomic_fetch_add(&work.runs, 1) + 1;
    if (self->waits_for_cancel) {
        return skua_sleep(SKUA_FOREVER);
    }
    await(&work.may_end, turn);
    self->value = 1000 + self->number;
    return work.status;
}

static int call_once(void *arg)
{
    caller *self = arg;
    const skua_flight_call spec = {.key = self->key,
                                   .key_bytes = strlen(self->key),
                                   .fn = work_once,
                                   .arg = self,
                                   .value = &self->value,
                                   .value_bytes = sizeof self->value};
    atomic_store(&self->has_begun, 1);
    self->status = skua_flight_run(&flight, &spec, self->deadline);
    atomic_store(&self->has_ended, 1);
    return 0;
}

static void begin(void)
{
    memset(&flight, 0, sizeof flight);
    memset(&work, 0, sizeof work);
}

/* Nothing is left in the table. */
static void end(void)
{
    const struct skua__flight *inside = (const struct skua__flight *)(const void *)&flight;
    for (int i = 0; i < SKUA__FLIGHT_CHAINS; i++) {
        CHECK_PTR(inside->chains[i], NULL);
    }
}

static int count_followers(void)
{
    struct skua__flight *inside = (struct skua__flight *)(void *)&flight;
    int count = 0;
    skua__lock(&inside->lock, SKUA__RANK_WATCH);
    for (int i = 0; i < SKUA__FLIGHT_CHAINS; i++) {
        for (struct skua__caller *runner = inside->chains[i]; runner; runner = runner->next) {
            const struct skua__link *link = runner->followers.head.next;
            for (; link != &runner->followers.head; link = link->next) {
                count++;
            }
        }
    }
    skua__unlock(&inside->lock, SKUA__RANK_WATCH);
    return count;
}

static void await_followers(int count)
{
    while (count_followers() != count) {
        (void)skua_yield();
    }
}

static skua_task *start(caller *self, const char *key, int number)
{
    self->key = key;
    self->number = number;
    return spawn(call_once, self);
}

/* The first one runs, the others wait for it, in this order. */
static void start_crowd(skua_task *tasks[], caller callers[], int count)
{
    tasks[0] = start(&callers[0], "key", 0);
    await(&work.runs, 1);
    for (int i = 1; i < count; i++) {
        tasks[i] = start(&callers[i], "key", i);
        await_followers(i);
    }
}

/* --- one for all ------------------------------------------------------------------------------ */

static int shared_body(void *arg)
{
    static caller callers[CROWD];
    skua_task *tasks[CROWD];
    for (int status = 5; status >= -5; status -= 10) {
        begin();
        memset(callers, 0, sizeof callers);
        work.status = status;
        start_crowd(tasks, callers, CROWD);
        atomic_store(&work.may_end, 1);
        for (int i = 0; i < CROWD; i++) {
            CHECK_INT(finish(tasks[i]), 0);
            CHECK_INT(callers[i].status, status);
            CHECK_INT(callers[i].value, status >= 0 || i == 0 ? 1000 : 0);
        }
        CHECK_INT(atomic_load(&work.runs), 1);
        end();
    }
    return 0;
}

/* covers: B38 */
static void one_runs_and_all_get_it(void **state)
{
    run_on_1_2_4(shared_body);
}

static int anew_body(void *arg)
{
    caller first = {0}, second = {0};
    begin();
    atomic_store(&work.may_end, 2);
    CHECK_INT(finish(start(&first, "key", 1)), 0);
    CHECK_INT(finish(start(&second, "key", 2)), 0);
    CHECK_INT(second.value, 1002);
    CHECK_INT(atomic_load(&work.runs), 2);
    return 0;
}

static void who_comes_later_starts_anew(void **state)
{
    run_on_1_2_4(anew_body);
}

static int keys_body(void *arg)
{
    enum { KEYS = 50 };
    static caller callers[KEYS];
    static char keys[KEYS][16];
    skua_task *tasks[KEYS];
    begin();
    memset(callers, 0, sizeof callers);
    for (int i = 0; i < KEYS; i++) {
        snprintf(keys[i], sizeof keys[i], "key%d", i);
        tasks[i] = start(&callers[i], keys[i], i);
    }
    await(&work.runs, KEYS); /* all at the same time */
    atomic_store(&work.may_end, KEYS);
    for (int i = 0; i < KEYS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
        CHECK_INT(callers[i].value, 1000 + i);
    }
    end();
    return 0;
}

static void other_keys_are_other_calls(void **state)
{
    run_on_1_2_4(keys_body);
}

/* --- cancels ---------------------------------------------------------------------------------- */

static int take_over_body(void *arg)
{
    static caller callers[CROWD];
    skua_task *tasks[CROWD];
    begin();
    memset(callers, 0, sizeof callers);
    callers[0].waits_for_cancel = true;
    start_crowd(tasks, callers, CROWD);
    skua_task_cancel(tasks[0]);
    CHECK_INT(finish(tasks[0]), 0);
    CHECK_INT(callers[0].status, -ECANCELED);
    await(&work.runs, 2);
    atomic_store(&work.may_end, 2);
    for (int i = 1; i < CROWD; i++) {
        CHECK_INT(finish(tasks[i]), 0);
        CHECK_INT(callers[i].status, 0);
        CHECK_INT(callers[i].value, 1001); /* the one that had waited longest */
    }
    CHECK_INT(atomic_load(&work.runs), 2);
    end();
    return 0;
}

/* covers: B38 */
static void another_takes_over_from_a_cancelled_runner(void **state)
{
    run_on_1_2_4(take_over_body);
}

static int late_runner_body(void *arg)
{
    caller callers[3] = {{.waits_for_cancel = true, .deadline = skua_after(SKUA_MS(5))}};
    skua_task *tasks[3];
    begin();
    tasks[0] = start(&callers[0], "key", 0);
    for (int i = 1; i < 3; i++) {
        await(&work.runs, 1);
        tasks[i] = start(&callers[i], "key", i);
    }
    atomic_store(&work.may_end, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(callers[0].status, -ETIMEDOUT);
    CHECK_INT(callers[1].status, 0);
    CHECK_INT(callers[2].status, 0);
    end();
    return 0;
}

static void a_runners_deadline_is_its_own(void **state)
{
    run_on_1_2_4(late_runner_body);
}

static int leave_body(void *arg)
{
    caller callers[4] = {0};
    skua_task *tasks[4];
    begin();
    start_crowd(tasks, callers, 4);
    skua_task_cancel(tasks[2]);
    CHECK_INT(finish(tasks[2]), 0);
    CHECK_INT(callers[2].status, -ECANCELED);
    CHECK_INT(callers[2].value, 0);
    caller late = {.deadline = skua_after(0)}, now = {.deadline = SKUA_NOW};
    CHECK_INT(finish(start(&late, "key", 9)), 0);
    CHECK_INT(late.status, -ETIMEDOUT);
    CHECK_INT(finish(start(&now, "key", 9)), 0);
    CHECK_INT(now.status, -EAGAIN);
    CHECK_INT(count_followers(), 2);
    atomic_store(&work.may_end, 1);
    for (int i = 0; i < 4; i++) {
        if (i != 2) {
            CHECK_INT(finish(tasks[i]), 0);
            CHECK_INT(callers[i].value, 1000);
        }
    }
    end();
    return 0;
}

static void who_waits_may_leave(void **state)
{
    run_on_1_2_4(leave_body);
}

/* Runners are cancelled one after the other, their heirs too, until one is left. */
static int relay_body(void *arg)
{
    enum { RUNNERS = 20 };
    caller callers[RUNNERS] = {0};
    skua_task *tasks[RUNNERS];
    begin();
    for (int i = 0; i < RUNNERS - 1; i++) {
        callers[i].waits_for_cancel = true;
    }
    start_crowd(tasks, callers, RUNNERS);
    for (int i = 0; i < RUNNERS - 1; i++) {
        skua_task_cancel(tasks[i]);
        CHECK_INT(finish(tasks[i]), 0);
        CHECK_INT(callers[i].status, -ECANCELED);
    }
    atomic_store(&work.may_end, RUNNERS);
    CHECK_INT(finish(tasks[RUNNERS - 1]), 0);
    CHECK_INT(callers[RUNNERS - 1].value, 1000 + RUNNERS - 1);
    end();
    return 0;
}

static void the_last_one_runs_it_in_the_end(void **state)
{
    run_on_1_2_4(relay_body);
}

/* All are cancelled while the first one runs: whoever is claimed passes it on. */
static int all_cancelled_body(void *arg)
{
    static caller callers[CROWD];
    skua_task *tasks[CROWD];
    begin();
    memset(callers, 0, sizeof callers);
    for (int i = 0; i < CROWD; i++) {
        callers[i].waits_for_cancel = true;
    }
    start_crowd(tasks, callers, CROWD);
    for (int i = 0; i < CROWD; i++) {
        skua_task_cancel(tasks[i]);
    }
    for (int i = 0; i < CROWD; i++) {
        CHECK_INT(finish(tasks[i]), 0);
        CHECK_INT(callers[i].status, -ECANCELED);
    }
    end();
    return 0;
}

static void all_are_cancelled(void **state)
{
    run_on_1_2_4(all_cancelled_body);
}

/* --- input ------------------------------------------------------------------------------------ */

static int ask_again(void *arg)
{
    const skua_flight_call again = {.key = "key", .key_bytes = 3, .fn = return_zero};
    return skua_flight_run(&flight, &again, SKUA_FOREVER);
}

static int input_body(void *arg)
{
    begin();
    const skua_flight_call nested = {.key = "key", .key_bytes = 3, .fn = ask_again};
    CHECK_INT(skua_flight_run(&flight, &nested, SKUA_FOREVER), -EDEADLK);
    const skua_flight_call no_fn = {.key = "key", .key_bytes = 3};
    CHECK_INT(skua_flight_run(&flight, &no_fn, SKUA_FOREVER), -EINVAL);
    const skua_flight_call no_key = {.key_bytes = 3, .fn = return_zero};
    CHECK_INT(skua_flight_run(&flight, &no_key, SKUA_FOREVER), -EINVAL);
    const skua_flight_call no_value = {.fn = return_zero, .value_bytes = 3};
    CHECK_INT(skua_flight_run(&flight, &no_value, SKUA_FOREVER), -EINVAL);
    const skua_flight_call empty_key = {.fn = return_zero};
    CHECK_INT(skua_flight_run(&flight, &empty_key, SKUA_FOREVER), 0);
    const skua_flight_call sleeps = {.fn = sleep_forever};
    CHECK_INT(skua_flight_run(&flight, &sleeps, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_flight_run(&flight, &sleeps, skua_after(0)), -ETIMEDOUT);
    end();
    caller first = {0};
    skua_task *task = start(&first, "key", 0);
    await(&work.runs, 1);
    CHECK_INT(skua_flight_run(&flight, &nested, SKUA_FOREVER), -EINVAL); /* another size */
    atomic_store(&work.may_end, 1);
    CHECK_INT(finish(task), 0);
    return 0;
}

static void odd_calls(void **state)
{
    run_on_1_2_4(input_body);
}

static void *call_in_thread(void *arg)
{
    (void)call_once(arg);
    return NULL;
}

static int foreign_body(void *arg)
{
    for (int thread_runs = 0; thread_runs < 2; thread_runs++) {
        caller inside = {0}, outside = {.key = "key", .number = 1};
        skua_task *task = NULL;
        pthread_t thread;
        begin();
        if (!thread_runs) {
            task = start(&inside, "key", 0);
            await(&work.runs, 1);
        }
        CHECK_INT(pthread_create(&thread, NULL, call_in_thread, &outside), 0);
        if (thread_runs) {
            await(&work.runs, 1);
            task = start(&inside, "key", 0);
        }
        await_followers(1);
        atomic_store(&work.may_end, 1);
        CHECK_INT(finish(task), 0);
        await(&outside.has_ended, 1);
        CHECK_INT(pthread_join(thread, NULL), 0);
        CHECK_INT(inside.value, 1000 + thread_runs);
        CHECK_INT(outside.value, 1000 + thread_runs);
        end();
    }
    return 0;
}

static void with_foreign_threads(void **state)
{
    run_on_1_2_4(foreign_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_runs_and_all_get_it),
        TEST(who_comes_later_starts_anew),
        TEST(other_keys_are_other_calls),
        TEST(another_takes_over_from_a_cancelled_runner),
        TEST(a_runners_deadline_is_its_own),
        TEST(who_waits_may_leave),
        TEST(the_last_one_runs_it_in_the_end),
        TEST(all_are_cancelled),
        TEST(odd_calls),
        TEST(with_foreign_threads),
    };
    return TEST_RUN(tests);
}
