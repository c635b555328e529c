/* Lists of all tasks, and the report that none of them can go on. */
#include "tasks.h"

#include "mem/forked.h"
#include "sched/runtime.h"

#include <poll.h>
#include <pthread.h>
#include <skua/chan.h>
#include <skua/control.h>
#include <skua/sync.h>

/* --- dumps ------------------------------------------------------------------------------------ */

/* What skua_dump() writes. */
static char *dump_text(skua_runtime *runtime)
{
    static char text[65536];
    const int fd = memfd_create("dump", MFD_CLOEXEC);
    CHECK(fd >= 0);
    skua_dump(runtime, fd);
    const ssize_t length = pread(fd, text, sizeof text - 1, 0);
    CHECK(length >= 0);
    text[length] = '\0';
    close(fd);
    return text;
}

/* Yield until the dump says so; other tasks get there at their own pace. */
static void await_line(const char *line)
{
    const skua_time start = skua_clock();
    while (strstr(dump_text(NULL), line) == NULL) {
        CHECK_INT(skua_yield(), 0);
        if (skua_elapsed_ns(start) > SKUA_SEC(20)) {
            test_fail(__FILE__, __LINE__, "no line \"%s\" in:\n%s", line, dump_text(NULL));
        }
    }
}

typedef struct scene {
    skua_mutex mutex;
    skua_chan *chan;
    skua_task *sleeper;
    gate may_end;
} scene;

static int lock_it(void *arg)
{
    scene *own = arg;
    const int status = skua_mutex_lock(&own->mutex, SKUA_FOREVER);
    if (status == 0) {
        skua_mutex_unlock(&own->mutex);
    }
    return status;
}

static int receive(void *arg)
{
    int item;
    return skua_chan_recv(((scene *)arg)->chan, &item, sizeof item, SKUA_FOREVER);
}

static int send_one(void *arg)
{
    const int item = 1;
    return skua_chan_send(((scene *)arg)->chan, &item, sizeof item, SKUA_FOREVER);
}

static int join_the_sleeper(void *arg)
{
    int status;
    return skua_join(((scene *)arg)->sleeper, &status, SKUA_FOREVER);
}

static int compute_until_told(void *arg)
{
    while (atomic_load(&((scene *)arg)->may_end) == 0) {}
    return 0;
}

static skua_task *spawn_named(const char *name, skua_fn fn, void *arg)
{
    const skua_spawn_opts opts = {.name = name};
    return spawn_with(fn, arg, &opts);
}

static void cancel_and_finish(skua_task *task)
{
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
}

static int act_all(void *arg)
{
    scene own = {.may_end = 0};
    CHECK_INT(skua_chan_create(&own.chan, sizeof(int), 0), 0);
    CHECK_INT(skua_mutex_lock(&own.mutex, SKUA_FOREVER), 0);
    own.sleeper = spawn_named("sleeper", sleep_forever, NULL);
    skua_task *joiner = spawn_named("joiner", join_the_sleeper, &own);
    skua_task *locker = spawn_named("locker", lock_it, &own);
    skua_task *receiver = spawn_named("receiver", receive, &own);
    await_line("'main' runs on worker ");
    await_line("'sleeper' sleeps, from ");
    await_line("'joiner' waits for the end of 'sleeper', from ");
    await_line("'locker' waits for a mutex");
    await_line("'receiver' waits for a channel, to receive");
    CHECK(strstr(dump_text(NULL), "skua: runtime 'skua': 5 tasks on ") != NULL);
    cancel_and_finish(receiver);
    skua_task *sender = spawn_named("sender", send_one, &own);
    await_line("'sender' waits for a channel, to send");
    cancel_and_finish(sender);
    cancel_and_finish(locker);
    cancel_and_finish(joiner);
    cancel_and_finish(own.sleeper);
    skua_mutex_unlock(&own.mutex);
    skua_chan_release(own.chan, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

/* covers: A12 A91 B5 */
static void a_dump_tells_what_each_task_does(void **state)
{
    run_on_1_2_4(act_all);
}

/* On one worker, unless it is late and a stand-in has started the task: then another one. */
static int spawn_fresh(void *arg)
{
    bool was_seen = false;
    while (!was_seen) {
        skua_task *fresh = spawn_named("fresh", return_zero, NULL);
        was_seen = strstr(dump_text(NULL), "'fresh' is ready, and has not started") != NULL;
        CHECK_INT(finish(fresh), 0);
    }
    return 0;
}

static void a_dump_tells_what_has_not_started(void **state)
{
    run_on(1, spawn_fresh);
}

/* From a thread, while tasks come and go. */
static void *dump_often(void *arg)
{
    for (int i = 0; i < 300 / TEST_SCALE; i++) {
        CHECK(strstr(dump_text(arg), "skua: runtime 'skua'") != NULL);
    }
    return NULL;
}

static int spawn_in_waves(void *arg)
{
    gate *may_end = arg;
    while (atomic_load(may_end) == 0) {
        skua_task *tasks[20];
        for (int i = 0; i < 20; i++) {
            tasks[i] = spawn_named(i % 2 == 0 ? "even" : "odd", return_zero, NULL);
        }
        for (int i = 0; i < 20; i++) {
            CHECK_INT(finish(tasks[i]), 0);
        }
    }
    return 0;
}

static void a_dump_from_outside_disturbs_nobody(void **state)
{
    skua_runtime *runtime;
    skua_task *task;
    pthread_t thread;
    gate may_end = 0;
    const skua_config config = {.workers = 2};
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    CHECK_INT(skua_submit(runtime, &task, spawn_in_waves, &may_end, NULL), 0);
    CHECK_INT(pthread_create(&thread, NULL, dump_often, runtime), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    atomic_store(&may_end, 1);
    CHECK_INT(finish(task), 0);
    CHECK_STR(dump_text(NULL), ""); /* no runtime: nothing */
    skua_runtime_destroy(runtime);
}

static int run_beside(void *arg)
{
    scene own = {.may_end = 0};
    skua_task *task = spawn_named("runner", compute_until_told, &own);
    await_line("'runner' runs on worker ");
    skua_task_cancel(task);
    CHECK(strstr(dump_text(NULL), ", cancelled") != NULL);
    atomic_store(&own.may_end, 1);
    return finish(task);
}

static void a_dump_tells_who_runs_and_who_is_cancelled(void **state)
{
    run_on(2, run_beside);
}

static int wait_for_since(void *arg)
{
    skua_task *task = spawn_named("late", sleep_forever, NULL);
    await_line("'late' sleeps since ");
    cancel_and_finish(task);
    return 0;
}

/* covers: B9 */
static void a_debug_run_knows_since_when(void **state)
{
    setenv("SKUA_DEBUG", "1", 1);
    run_on_1_2_4(wait_for_since);
    unsetenv("SKUA_DEBUG");
}

/* --- deadlocks -------------------------------------------------------------------------------- */

typedef struct stage {
    skua_mutex first, second;
    gate reported, lines;
    char text[4096];
    void *arg;
} stage;

static void note_report(skua_report_kind kind, const char *text, void *arg)
{
    stage *own = arg;
    if (kind == SKUA_REPORT_DEADLOCK) { /* from the monitor only */
        const size_t length = strlen(own->text);
        snprintf(own->text + length, sizeof own->text - length, "%s\n", text);
        atomic_fetch_add(&own->lines, 1);
        atomic_fetch_add(&own->reported, strstr(text, "wait for each other") != NULL);
    }
}

static int lock_crosswise(void *arg)
{
    stage *own = arg;
    CHECK_INT(skua_mutex_lock(&own->second, SKUA_FOREVER), 0);
    const int status = skua_mutex_lock(&own->first, SKUA_FOREVER);
    if (status == 0) {
        skua_mutex_unlock(&own->first);
    }
    skua_mutex_unlock(&own->second);
    return status;
}

/* Main holds the first and waits for who holds the second and waits for the first. */
static int deadlock(void *arg)
{
    stage *own = arg;
    CHECK_INT(skua_mutex_lock(&own->first, SKUA_FOREVER), 0);
    skua_task *other = spawn_named("other", lock_crosswise, own);
    int status = 0;
    const int joined = skua_join(other, &status, SKUA_FOREVER);
    skua_mutex_unlock(&own->first);
    CHECK_INT(joined, -ECANCELED);
    skua_task_release(other);
    return joined;
}

/* A run that ends by itself would be no deadlock: signals cancel it, once it is reported. */
static void *end_it_when_reported(void *arg)
{
    stage *own = arg;
    await(&own->lines, 3);
    raise(SIGINT);
    raise(SIGINT);
    return NULL;
}

static void run_deadlock(bool is_debug, skua_fn fn, void *arg)
{
    stage own = {.text = "", .arg = arg};
    pthread_t thread;
    const skua_config config = {.workers = 2, .on_report = note_report, .hook_arg = &own};
    if (is_debug) {
        setenv("SKUA_DEBUG", "1", 1);
    }
    CHECK_INT(pthread_create(&thread, NULL, end_it_when_reported, &own), 0);
    CHECK_INT(skua_run(&config, fn, &own), -EINTR);
    CHECK_INT(pthread_join(thread, NULL), 0);
    unsetenv("SKUA_DEBUG");
    CHECK_INT(atomic_load(&own.reported), 1);
    CHECK(strstr(own.text, "all 2 tasks of runtime 'skua' wait for each other") != NULL);
    CHECK(strstr(own.text, "'main' waits for the end of 'other'") != NULL);
    CHECK(strstr(own.text, "'other' waits for a mutex") != NULL);
}

/* In a debug run a thread of the program does not silence it. */
/* covers: B39 */
static void a_deadlock_is_reported_in_a_debug_run(void **state)
{
    run_deadlock(true, deadlock, NULL);
}

/* A thread is late to leave the call in which it has woken somebody, until all wait for each other.
   The moment at which that would have been reported is over then. */
static void *leave_late(void *arg)
{
    skua_runtime *runtime = arg;
    poll(NULL, 0, 300);
    atomic_fetch_sub(&runtime->outsiders, 1);
    return NULL;
}

static int deadlock_beside_outsider(void *arg)
{
    skua_runtime *runtime = skua_runtime_current();
    pthread_t thread;
    atomic_fetch_add(&runtime->outsiders, 1);
    CHECK_INT(pthread_create(&thread, NULL, leave_late, runtime), 0);
    const int status = deadlock(arg);
    CHECK_INT(pthread_join(thread, NULL), 0);
    return status;
}

/* covers: B39 */
static void a_deadlock_is_reported_when_the_last_waker_is_late(void **state)
{
    run_deadlock(true, deadlock_beside_outsider, NULL);
}

/* All have been idle for about as long as the monitor waits, and then run for a moment only, which
   it does not see. */
static int deadlock_after_a_while(void *arg)
{
    CHECK_INT(skua_sleep(skua_after(*(int64_t *)((stage *)arg)->arg)), 0);
    return deadlock(arg);
}

/* covers: B39 */
static void a_deadlock_after_a_quiet_while_is_reported(void **state)
{
    for (int64_t ns = SKUA_MS(90); ns <= SKUA_MS(125); ns += SKUA_MS(5)) {
        run_deadlock(true, deadlock_after_a_while, &ns);
    }
}

static void abort_when_reported(skua_report_kind kind, const char *text, void *arg)
{
    note_report(kind, text, arg);
    const stage *own = arg;
    if (atomic_load(&((stage *)arg)->lines) == 3) {
        fprintf(stderr, "%s", own->text);
        abort();
    }
}

static void run_until_it_aborts(void *arg)
{
    skua__process_is_origin();
    stage own = {.text = ""};
    const skua_config config = {.workers = 2, .on_report = abort_when_reported, .hook_arg = &own};
    CHECK_INT(skua_run(&config, deadlock, &own), 0);
}

/* In a process where there is nothing but the runtime. */
/* covers: B39 */
static void a_deadlock_is_reported_when_nothing_can_wake(void **state)
{
    if (TEST_SCALE == 1) { /* sanitizers have threads of their own */
        test_dies(run_until_it_aborts, NULL, "and nothing can wake them:\n");
    }
}

static int wait_for_outside(void *arg)
{
    return skua_sleep(skua_after(SKUA_MS(250)));
}

static int join_who_sleeps(void *arg)
{
    return call(wait_for_outside, NULL);
}

/* covers: B39 */
static void who_sleeps_is_no_deadlock(void **state)
{
    stage own = {.text = ""};
    const skua_config config = {.workers = 2, .on_report = note_report, .hook_arg = &own};
    CHECK_INT(skua_run(&config, join_who_sleeps, &own), 0);
    CHECK_INT(atomic_load(&own.lines), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_dump_tells_what_each_task_does),
        TEST(a_dump_tells_what_has_not_started),
        TEST(a_dump_from_outside_disturbs_nobody),
        TEST(a_dump_tells_who_runs_and_who_is_cancelled),
        TEST(a_debug_run_knows_since_when),
        TEST(a_deadlock_is_reported_in_a_debug_run),
        TEST(a_deadlock_is_reported_when_the_last_waker_is_late),
        TEST(a_deadlock_after_a_quiet_while_is_reported),
        TEST(a_deadlock_is_reported_when_nothing_can_wake),
        TEST(who_sleeps_is_no_deadlock),
    };
    return TEST_RUN(tests);
}
