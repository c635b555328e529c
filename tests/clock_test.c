/* tests/clock_test.c: the virtual clock and settling. */
#include "tasks.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <skua/blocking.h>
#include <skua/chan.h>
#include <skua/control.h>
#include <skua/io.h>
#include <skua/process.h>
#include <skua/select.h>
#include <skua/signal.h>
#include <skua/testing.h>

static const skua_test_opts virtually = {.virtual_clock = true};

static void run_virtually(uint32_t workers, skua_fn fn, void *arg)
{
    skua_test_opts opts = virtually;
    opts.workers = workers;
    CHECK_INT(skua_test_run(&opts, fn, arg), 0);
}

static void run_virtually_on_1_2_4(skua_fn fn)
{
    run_virtually(1, fn, NULL);
    run_virtually(2, fn, NULL);
    run_virtually(4, fn, NULL);
}

/* --- jumping ---------------------------------------------------------------------------------- */

static int sleep_long(void *arg)
{
    const skua_time start = skua_clock();
    for (int i = 0; i < 45; i++) {
        CHECK_INT(skua_sleep(skua_after(SKUA_SEC(10))), 0);
        CHECK_INT(skua_elapsed_ns(start), SKUA_SEC(10) * (i + 1));
    }
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(86400) * 400)), 0);
    CHECK_INT(skua_elapsed_ns(start), SKUA_SEC(450) + SKUA_SEC(86400) * 400);
    return 0;
}

/* covers: B19 D82 */
static void long_sleeps_pass_at_once_and_are_exact(void **state)
{
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    run_virtually_on_1_2_4(sleep_long);
    clock_gettime(CLOCK_MONOTONIC, &after);
    CHECK(after.tv_sec - before.tv_sec < 450);                         /* nobody has slept really */
    CHECK(skua_clock().ns < after.tv_sec * 1000000000 + SKUA_SEC(60)); /* the real one again */
}

typedef struct sleeper {
    int64_t ns;
    skua_time start;
    int64_t woke_after_ns;
} sleeper;

static int sleep_for(void *arg)
{
    sleeper *self = arg;
    CHECK_INT(skua_sleep(skua_after(self->ns)), 0);
    self->woke_after_ns = skua_elapsed_ns(self->start);
    return 0;
}

static int sleep_many(void *arg)
{
    enum { COUNT = 200 };
    static sleeper sleepers[COUNT];
    skua_task *tasks[COUNT];
    uint64_t random = test_seed();
    for (int i = 0; i < COUNT; i++) {
        const int64_t ns = (int64_t)(test_random(&random) >> (18 + test_random(&random) % 40)) + 1;
        sleepers[i] = (sleeper){.ns = ns, .start = skua_clock()};
        tasks[i] = spawn(sleep_for, &sleepers[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(finish(tasks[i]), 0);
        CHECK_INT(sleepers[i].woke_after_ns, sleepers[i].ns);
    }
    return 0;
}

/* covers: B19 */
static void every_sleeper_wakes_at_its_very_nanosecond(void **state)
{
    run_virtually_on_1_2_4(sleep_many);
}

static int expect_timeout(void *arg)
{
    const skua_time start = skua_clock();
    skua_chan *chan = NULL;
    CHECK_INT(skua_chan_create(&chan, sizeof(int), 1), 0);
    int item = 0;
    CHECK_INT(skua_chan_recv(chan, &item, sizeof item, skua_after(SKUA_SEC(3))), -ETIMEDOUT);
    CHECK_INT(skua_elapsed_ns(start), SKUA_SEC(3));
    CHECK_INT(skua_chan_recv(chan, &item, sizeof item, skua_after(-5)), -ETIMEDOUT);
    CHECK_INT(skua_chan_recv(chan, &item, sizeof item, start), -ETIMEDOUT);
    CHECK_INT(skua_sleep(start), 0);
    CHECK_INT(skua_elapsed_ns(start), SKUA_SEC(3)); /* the past does not move the clock */
    CHECK_INT(skua_within(skua_after(SKUA_SEC(60)), sleep_forever, NULL), -ETIMEDOUT);
    CHECK_INT(skua_elapsed_ns(start), SKUA_SEC(63));
    CHECK_INT(skua_within(start, sleep_forever, NULL), -ETIMEDOUT);
    CHECK_INT(skua_elapsed_ns(start), SKUA_SEC(63));
    skua_chan_release(chan, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

/* covers: B19 */
static void all_deadlines_follow_the_one_clock(void **state)
{
    run_virtually_on_1_2_4(expect_timeout);
}

typedef struct rival {
    skua_task *other;
    int *over;
} rival;

static int sleep_and_cancel_other(void *arg)
{
    const rival *self = arg;
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(1))), 0);
    skua_task_cancel(self->other);
    if (++*self->over == 1) {
        return 0;
    }
    return skua_sleep(skua_after(SKUA_SEC(1))); /* here the cancel is not too late */
}

static int cancel_each_other(void *arg)
{
    int over = 0, statuses[2];
    rival rivals[2] = {{NULL, &over}, {NULL, &over}};
    skua_task *tasks[2] = {spawn(sleep_and_cancel_other, &rivals[0]),
                           spawn(sleep_and_cancel_other, &rivals[1])};
    rivals[0].other = tasks[1];
    rivals[1].other = tasks[0];
    statuses[0] = status_of(tasks[0]);
    statuses[1] = status_of(tasks[1]);
    CHECK_INT(over, 2);
    CHECK_INT(statuses[0] + statuses[1], -ECANCELED);
    skua_task_release_all(tasks, 2);
    return 0;
}

static void a_cancel_is_too_late_for_a_sleep_that_is_over(void **state)
{
    run_virtually(1, cancel_each_other, NULL);
}

static int send_one(void *arg)
{
    const int item = 3;
    return skua_chan_send(arg, &item, sizeof item, SKUA_FOREVER);
}

typedef struct early {
    skua_chan *go;
    skua_time start;
} early;

static void *let_go_of_it(void *arg)
{
    early *self = arg;
    const int item = 1;
    poll(NULL, 0, 10);
    CHECK_INT(skua_elapsed_ns(self->start), 0); /* all wait, and nobody for a moment */
    CHECK_INT(skua_chan_send(self->go, &item, sizeof item, SKUA_FOREVER), 0);
    return NULL;
}

static int wait_for_thread_after_deadline(void *arg)
{
    early self = {.start = skua_clock()};
    pthread_t thread;
    int item = 0;
    CHECK_INT(skua_chan_create(&self.go, sizeof(int), 0), 0);
    skua_task *sender = spawn(send_one, self.go);
    CHECK_INT(skua_chan_recv(self.go, &item, sizeof item, skua_after(SKUA_SEC(10))), 1);
    CHECK_INT(finish(sender), 0);
    CHECK_INT(pthread_create(&thread, NULL, let_go_of_it, &self), 0);
    CHECK_INT(skua_chan_recv(self.go, &item, sizeof item, SKUA_FOREVER), 1);
    pthread_join(thread, NULL);
    skua_chan_release(self.go, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

static void the_clock_moves_only_for_those_who_wait(void **state)
{
    run_virtually_on_1_2_4(wait_for_thread_after_deadline);
}

static void note_moment(void *arg)
{
    *(skua_time *)arg = skua_clock();
}

static int call_later(void *arg)
{
    const skua_time start = skua_clock();
    skua_time called = {0};
    CHECK_INT(skua_call_later(NULL, NULL, SKUA_SEC(5), note_moment, &called), 0);
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(6))), 0);
    CHECK_INT(called.ns - start.ns, SKUA_SEC(5));
    return 0;
}

static int drain(void *arg)
{
    const skua_time start = skua_clock();
    skua_drain(NULL, skua_after(SKUA_SEC(40)));
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(60))), -ECANCELED);
    CHECK_INT(skua_elapsed_ns(start), SKUA_SEC(40));
    return 0;
}

static int drain_and_leave(void *arg)
{
    skua_drain(NULL, skua_after(SKUA_SEC(40)));
    return 0;
}

/* covers: B19 */
static void callbacks_and_drains_follow_the_clock(void **state)
{
    run_virtually_on_1_2_4(call_later);
    run_virtually_on_1_2_4(drain);
    run_virtually_on_1_2_4(drain_and_leave);
    const skua_test_opts seeded = {.seeded = true};
    CHECK_INT(skua_test_run(&seeded, call_later, NULL), 0);
    CHECK_INT(skua_test_run(&seeded, drain, NULL), 0);
}

/* --- settling --------------------------------------------------------------------------------- */

typedef struct stage {
    skua_chan *chan;
    gate steps;
} stage;

static int pass_on(void *arg)
{
    stage *stages = arg;
    int item = 0;
    CHECK_INT(skua_chan_recv(stages[0].chan, &item, sizeof item, SKUA_FOREVER), 1);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(skua_yield(), 0);
        atomic_fetch_add(&stages[0].steps, 1);
    }
    CHECK_INT(skua_chan_send(stages[1].chan, &item, sizeof item, SKUA_FOREVER), 0);
    return 0;
}

static int settle_a_chain(void *arg)
{
    enum { COUNT = 8 };
    stage stages[COUNT + 1] = {{0}};
    skua_task *tasks[COUNT];
    for (int i = 0; i <= COUNT; i++) {
        CHECK_INT(skua_chan_create(&stages[i].chan, sizeof(int), 1), 0);
    }
    for (int i = 0; i < COUNT; i++) {
        tasks[i] = spawn(pass_on, &stages[i]);
    }
    const skua_time start = skua_clock();
    CHECK_INT(skua_test_settle(), 0);
    CHECK_INT(atomic_load(&stages[0].steps), 0);
    int item = 7;
    CHECK_INT(skua_chan_send(stages[0].chan, &item, sizeof item, SKUA_FOREVER), 0);
    CHECK_INT(skua_test_settle(), 0);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(atomic_load(&stages[i].steps), 20);
        CHECK_INT(skua_task_state(tasks[i]), SKUA_DONE);
    }
    CHECK(arg != NULL || skua_elapsed_ns(start) == 0);
    item = 0;
    CHECK_INT(skua_chan_recv(stages[COUNT].chan, &item, sizeof item, SKUA_NOW), 1);
    CHECK_INT(item, 7);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    for (int i = 0; i <= COUNT; i++) {
        skua_chan_release(stages[i].chan, SKUA_SENDER | SKUA_RECEIVER);
    }
    return 0;
}

/* covers: B19 */
static void settling_waits_for_everybody_else(void **state)
{
    run_virtually_on_1_2_4(settle_a_chain);
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_test_opts really = {.workers = workers};
        CHECK_INT(skua_test_run(&really, settle_a_chain, state), 0);
    }
}

static int settle_after_cancel(void *arg)
{
    skua_task_cancel(skua_self());
    CHECK_INT(skua_test_settle(), -ECANCELED);
    return 0;
}

static int settle_in_time(void *arg)
{
    gate *ended = arg;
    const int status = skua_test_settle();
    atomic_store(ended, 1);
    return status;
}

static int keep_busy(void *arg)
{
    gate *may_stop = arg;
    while (atomic_load(may_stop) == 0) {
        CHECK_INT(skua_yield(), 0);
    }
    return 0;
}

static int settle_under_cancel(void *arg)
{
    gate may_stop = 0, ended = 0;
    skua_task *busy = spawn(keep_busy, &may_stop);
    skua_task *settler = spawn(settle_in_time, &ended);
    for (int i = 0; i < 50; i++) {
        CHECK_INT(skua_yield(), 0);
    }
    CHECK_INT(atomic_load(&ended), 0);
    skua_task_cancel(settler);
    CHECK_INT(finish(settler), -ECANCELED);
    atomic_store(&may_stop, 1);
    CHECK_INT(finish(busy), 0);
    return 0;
}

static void settling_can_be_cancelled(void **state)
{
    run_virtually_on_1_2_4(settle_after_cancel);
    run_virtually_on_1_2_4(settle_under_cancel);
    CHECK_INT(skua_test_settle(), -EINVAL);
}

/* --- by hand ---------------------------------------------------------------------------------- */

static int advance_by_hand(void *arg)
{
    const skua_time start = skua_clock();
    sleeper sleepers[3];
    skua_task *tasks[3];
    for (int i = 0; i < 3; i++) {
        sleepers[i] = (sleeper){.ns = SKUA_SEC(1) * (i + 1), .start = start};
        tasks[i] = spawn(sleep_for, &sleepers[i]);
    }
    CHECK_INT(skua_test_settle(), 0);
    CHECK_INT(skua_elapsed_ns(start), 0);
    CHECK_INT(skua_test_advance(SKUA_SEC(2)), 0);
    CHECK_INT(skua_elapsed_ns(start), SKUA_SEC(2));
    CHECK_INT(skua_task_state(tasks[0]), SKUA_DONE);
    CHECK_INT(skua_task_state(tasks[1]), SKUA_DONE);
    CHECK_INT(skua_task_state(tasks[2]), SKUA_RUNNING);
    CHECK_INT(sleepers[0].woke_after_ns, SKUA_SEC(1));
    CHECK_INT(sleepers[1].woke_after_ns, SKUA_SEC(2));
    CHECK_INT(skua_test_advance(SKUA_SEC(1) - 1), 0);
    CHECK_INT(skua_task_state(tasks[2]), SKUA_RUNNING);
    CHECK_INT(skua_test_advance(1), 0);
    CHECK_INT(skua_task_state(tasks[2]), SKUA_DONE);
    CHECK_INT(skua_test_advance(SKUA_SEC(3600)), 0);
    CHECK_INT(skua_elapsed_ns(start), SKUA_SEC(3603));
    CHECK_INT(skua_test_advance(0), -EINVAL);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    return 0;
}

/* covers: B19 */
static void the_clock_can_be_moved_by_hand(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_test_opts opts = {.workers = workers, .manual_clock = true};
        CHECK_INT(skua_test_run(&opts, advance_by_hand, NULL), 0);
    }
    CHECK_INT(skua_test_advance(1), -EINVAL);
}

/* --- what is real ----------------------------------------------------------------------------- */

static int nap_really(void *arg)
{
    poll(NULL, 0, 5);
    return 11;
}

static int sleep_a_day(void *arg)
{
    gate *woke = arg;
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(86400))), 0);
    atomic_store(woke, 1);
    return 0;
}

static int call_thread(void *arg)
{
    gate woke = 0;
    skua_task *sleeper_task = spawn(sleep_a_day, &woke);
    const skua_time start = skua_clock();
    CHECK_INT(skua_blocking(nap_really, NULL, SKUA_FOREVER), 11);
    CHECK_INT(skua_elapsed_ns(start), 0);
    CHECK_INT(atomic_load(&woke), 0);
    CHECK_INT(finish(sleeper_task), 0);
    CHECK_INT(skua_elapsed_ns(start), SKUA_SEC(86400));
    return 0;
}

static void *write_later(void *arg)
{
    const int *fd = arg;
    poll(NULL, 0, 5);
    CHECK_INT(write(*fd, "x", 1), 1);
    return NULL;
}

static int wait_for_pipe(void *arg)
{
    int ends[2];
    gate woke = 0;
    pthread_t writer;
    CHECK_INT(pipe(ends), 0);
    skua_task *sleeper_task = spawn(sleep_a_day, &woke);
    const skua_time start = skua_clock();
    CHECK_INT(pthread_create(&writer, NULL, write_later, &ends[1]), 0);
    CHECK_INT(skua_wait_fd(ends[0], SKUA_READABLE, skua_after(SKUA_SEC(5))), SKUA_READABLE);
    CHECK_INT(skua_elapsed_ns(start), 0);
    CHECK_INT(atomic_load(&woke), 0);
    CHECK_INT(finish(sleeper_task), 0);
    CHECK_INT(skua_elapsed_ns(start), SKUA_SEC(86400));
    pthread_join(writer, NULL);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* A select of something real beside something that is not: no time passes for either. */
static int select_pipe(void *arg)
{
    int ends[2];
    pthread_t writer;
    CHECK_INT(pipe(ends), 0);
    const skua_time start = skua_clock();
    CHECK_INT(pthread_create(&writer, NULL, write_later, &ends[1]), 0);
    skua_case cases[] = {SKUA_AT(skua_after(SKUA_SEC(5))), SKUA_READY(ends[0], SKUA_READABLE)};
    CHECK_INT(skua_select(cases, 2, 0, SKUA_FOREVER), 1);
    CHECK_INT(cases[1].result, SKUA_READABLE);
    CHECK_INT(skua_elapsed_ns(start), 0);
    pthread_join(writer, NULL);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static int select_process(void *arg)
{
    const char *const argv[] = {"sh", "-c", "exit 3", NULL};
    skua_process *process = NULL;
    skua_process_status status;
    const skua_time start = skua_clock();
    CHECK_INT(skua_process_start(&process, argv, NULL, SKUA_FOREVER), 0);
    skua_case cases[] = {SKUA_AT(skua_after(SKUA_SEC(5))), SKUA_EXITED(process)};
    CHECK_INT(skua_select(cases, 2, 0, SKUA_FOREVER), 1);
    CHECK_INT(skua_process_wait(process, &status, SKUA_NOW), 0);
    CHECK_INT(status.code, 3);
    CHECK_INT(skua_elapsed_ns(start), 0);
    skua_process_close(process);
    return 0;
}

static void *raise_later(void *arg)
{
    poll(NULL, 0, 5);
    CHECK_INT(raise(SIGUSR1), 0);
    return NULL;
}

static int select_signal(void *arg)
{
    skua_signal *listener = NULL;
    pthread_t raiser;
    CHECK_INT(skua_signal_open(&listener, SKUA_SIGNALS(SIGUSR1)), 0);
    const skua_time start = skua_clock();
    CHECK_INT(pthread_create(&raiser, NULL, raise_later, NULL), 0);
    skua_case cases[] = {SKUA_AT(skua_after(SKUA_SEC(5))), SKUA_SIGNALED(listener)};
    CHECK_INT(skua_select(cases, 2, 0, SKUA_FOREVER), 1);
    CHECK_INT(skua_elapsed_ns(start), 0);
    pthread_join(raiser, NULL);
    skua_signal_close(listener);
    return 0;
}

/* covers: B19 */
static void the_clock_waits_for_real_cases_of_a_select(void **state)
{
    run_virtually_on_1_2_4(select_pipe);
    run_virtually_on_1_2_4(select_process);
    run_virtually_on_1_2_4(select_signal);
}

/* covers: B19 */
static void the_clock_waits_for_real_things(void **state)
{
    run_virtually_on_1_2_4(call_thread);
    run_virtually_on_1_2_4(wait_for_pipe);
}

static void *send_later(void *arg)
{
    skua_chan *chan = arg;
    const int item = 5;
    poll(NULL, 0, 5);
    CHECK_INT(skua_chan_send(chan, &item, sizeof item, SKUA_FOREVER), 0);
    skua_test_let_clock_go();
    return NULL;
}

static void *let_go_later(void *arg)
{
    poll(NULL, 0, 5);
    skua_test_let_clock_go();
    return NULL;
}

static int receive_from_thread(void *arg)
{
    const skua_time start = skua_clock();
    skua_chan *chan = NULL;
    pthread_t thread;
    int item = 0;
    CHECK_INT(skua_chan_create(&chan, sizeof(int), 0), 0);
    skua_test_hold_clock();
    CHECK_INT(pthread_create(&thread, NULL, send_later, chan), 0);
    CHECK_INT(skua_chan_recv(chan, &item, sizeof item, skua_after(SKUA_SEC(1))), 1);
    CHECK_INT(item, 5);
    CHECK_INT(skua_elapsed_ns(start), 0);
    pthread_join(thread, NULL);
    CHECK_INT(skua_chan_recv(chan, &item, sizeof item, skua_after(SKUA_SEC(1))), -ETIMEDOUT);
    CHECK_INT(skua_elapsed_ns(start), SKUA_SEC(1));

    skua_test_hold_clock(); /* let go by a thread while every worker sleeps */
    CHECK_INT(pthread_create(&thread, NULL, let_go_later, NULL), 0);
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(1))), 0);
    CHECK_INT(skua_elapsed_ns(start), SKUA_SEC(2));
    pthread_join(thread, NULL);
    skua_chan_release(chan, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

static void a_thread_can_hold_the_clock(void **state)
{
    run_virtually_on_1_2_4(receive_from_thread);
}

static int sleep_and_open(void *arg)
{
    gate *open = arg;
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(7))), 0);
    atomic_store(open, 1);
    return 0;
}

static int block_in_place(void *arg)
{
    gate *started = arg;
    skua_block_begin();
    atomic_store(started, 1);
    poll(NULL, 0, 60); /* a stand-in comes meanwhile, and may find itself the last to be busy */
    CHECK_INT(skua_block_end(), 0);
    return 0;
}

static int sleep_beside_a_blocked_worker(void *arg)
{
    gate started = 0, open = 0;
    const skua_time start = skua_clock();
    skua_task *blocked = spawn(block_in_place, &started);
    skua_task *sleeper_task = spawn(sleep_and_open, &open);
    CHECK_INT(skua_yield(), 0);
    CHECK_INT(finish(blocked), 0);
    CHECK_INT(finish(sleeper_task), 0);
    CHECK_INT(atomic_load(&open), 1);
    CHECK_INT(skua_elapsed_ns(start), SKUA_SEC(7));
    return 0;
}

static void a_stand_in_does_not_stop_the_clock(void **state)
{
    run_virtually_on_1_2_4(sleep_beside_a_blocked_worker);
}

static int do_nothing(void *arg)
{
    return 0;
}

/* The stand-in has so little to do that it may have done it before the monitor has counted it. */
static int settle_after_a_stand_in(void *arg)
{
    for (int i = 0; i < 3; i++) {
        skua_task *other = spawn(do_nothing, NULL);
        skua_block_begin();
        poll(NULL, 0, 25);
        CHECK_INT(skua_block_end(), 0);
        CHECK_INT(skua_test_settle(), 0);
        CHECK_INT(finish(other), 0);
    }
    return 0;
}

static void a_stand_in_that_has_just_come_leaves_quiet_behind(void **state)
{
    run_virtually_on_1_2_4(settle_after_a_stand_in);
}

static int advance_for_ever(void *arg)
{
    gate *started = arg;
    atomic_store(started, 1);
    return skua_test_advance(SKUA_SEC(1000));
}

static int advance_twice(void *arg)
{
    gate started = 0;
    skua_task *other = spawn(advance_for_ever, &started);
    skua_test_hold_clock();
    CHECK_INT(skua_test_settle(), 0);
    CHECK_INT(skua_test_advance(SKUA_SEC(1)), -EBUSY);
    skua_task_cancel(other);
    CHECK_INT(finish(other), -ECANCELED);
    skua_test_let_clock_go();
    const skua_time start = skua_clock();
    CHECK_INT(skua_test_advance(SKUA_SEC(1)), 0);
    CHECK_INT(skua_elapsed_ns(start), SKUA_SEC(1));
    return 0;
}

static void only_one_moves_the_clock_at_a_time(void **state)
{
    run_virtually_on_1_2_4(advance_twice);
}

typedef struct outsider {
    skua_chan *chan;
    int64_t waited_ns;
    int result;
} outsider;

static void *wait_outside(void *arg)
{
    outsider *self = arg;
    int item = 0;
    const skua_time start = skua_clock();
    self->result = skua_chan_recv(self->chan, &item, sizeof item, skua_after(SKUA_SEC(30)));
    self->waited_ns = skua_elapsed_ns(start);
    return NULL;
}

static void *wait_outside_and_tell(void *arg)
{
    wait_outside(arg);
    const outsider *self = arg;
    const int item = 1;
    CHECK_INT(skua_chan_send(self->chan, &item, sizeof item, SKUA_FOREVER), 0);
    return NULL;
}

static int wait_for_thread(void *arg)
{
    outsider self = {0};
    pthread_t thread;
    int item = 0;
    CHECK_INT(skua_chan_create(&self.chan, sizeof(int), 0), 0);
    CHECK_INT(pthread_create(&thread, NULL, wait_outside_and_tell, &self), 0);
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(20))), 0); /* perhaps before the thread has begun */
    CHECK_INT(skua_chan_recv(self.chan, &item, sizeof item, SKUA_FOREVER), 1);
    pthread_join(thread, NULL);
    CHECK_INT(self.result, -ETIMEDOUT);
    CHECK(self.waited_ns >= SKUA_SEC(30));
    skua_chan_release(self.chan, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

/* Its deadlines are virtual too. */
static void a_thread_waits_for_virtual_moments(void **state)
{
    run_virtually_on_1_2_4(wait_for_thread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(long_sleeps_pass_at_once_and_are_exact),
        TEST(every_sleeper_wakes_at_its_very_nanosecond),
        TEST(all_deadlines_follow_the_one_clock),
        TEST(a_cancel_is_too_late_for_a_sleep_that_is_over),
        TEST(the_clock_moves_only_for_those_who_wait),
        TEST(callbacks_and_drains_follow_the_clock),
        TEST(settling_waits_for_everybody_else),
        TEST(settling_can_be_cancelled),
        TEST(the_clock_can_be_moved_by_hand),
        TEST(the_clock_waits_for_real_things),
        TEST(the_clock_waits_for_real_cases_of_a_select),
        TEST(a_thread_can_hold_the_clock),
        TEST(a_stand_in_does_not_stop_the_clock),
        TEST(a_stand_in_that_has_just_come_leaves_quiet_behind),
        TEST(only_one_moves_the_clock_at_a_time),
        TEST(a_thread_waits_for_virtual_moments),
    };
    return TEST_RUN(tests);
}
