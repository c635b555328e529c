/* What the program is told: failures that nobody looked at, other reports, and counts. */
#include "tasks.h"

#include <poll.h>
#include <skua/control.h>
#include <skua/io.h>

/* What the hooks were told; they may run on several threads at once. */
typedef struct told {
    gate failures, reports[SKUA_REPORT_DEADLOCK + 1];
    gate lock;
    skua_error last;
    char name[64], text[256], report[4096];
} told;

static void told_lock(told *all)
{
    while (atomic_exchange(&all->lock, 1) != 0) {}
}

static void note_failure(const skua_error *error, void *arg)
{
    told *all = arg;
    told_lock(all);
    all->last = *error;
    snprintf(all->name, sizeof all->name, "%s", error->task_name);
    snprintf(all->text, sizeof all->text, "%s", error->text);
    atomic_store(&all->lock, 0);
    atomic_fetch_add(&all->failures, 1);
}

static void note_report(skua_report_kind kind, const char *text, void *arg)
{
    told *all = arg;
    told_lock(all);
    const size_t length = strlen(all->report);
    snprintf(all->report + length, sizeof all->report - length, "%s\n", text);
    atomic_store(&all->lock, 0);
    atomic_fetch_add(&all->reports[kind], 1);
}

static skua_config config_of(told *all, uint32_t workers)
{
    return (skua_config){.workers = workers,
                         .name = "told",
                         .on_failure = note_failure,
                         .on_report = note_report,
                         .hook_arg = all};
}

static uint64_t failures_unseen(void)
{
    skua_counts counts;
    skua_runtime_counts(NULL, &counts);
    return counts.failures_unseen;
}

/* --- failures --------------------------------------------------------------------------------- */

static int fail_with_text(void *arg)
{
    return skua_fail(-EIO, "reading %s", "the file");
}

static int fail_plainly(void *arg)
{
    return -ENOENT;
}

static int detach_one(void *arg)
{
    told *all = arg;
    const skua_spawn_opts opts = {.name = "reader"};
    CHECK_INT(skua_spawn(NULL, fail_with_text, NULL, &opts), 0);
    while (atomic_load(&all->failures) == 0) { /* when it ends, not at some later time */
        CHECK_INT(skua_yield(), 0);
    }
    CHECK_STR(all->name, "reader");
    CHECK_STR(all->text, "reading the file");
    CHECK_INT(all->last.code, -EIO);
    CHECK(strstr(all->last.file, "hooks_test.c") != NULL);
    CHECK(all->last.line > 0);
    CHECK(strstr(all->last.task_site, "hooks_test.c:") != NULL);
    CHECK_INT(failures_unseen(), 1);
    return 0;
}

/* covers: A15 */
static void a_detached_failure_is_told_when_it_ends(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        told all = {0};
        const skua_config config = config_of(&all, workers);
        CHECK_INT(skua_run(&config, detach_one, &all), 0);
        CHECK_INT(atomic_load(&all.failures), 1);
    }
}

static int release_one(void *arg)
{
    told *all = arg;
    skua_task *task = spawn(fail_plainly, NULL);
    while (skua_task_state(task) == SKUA_RUNNING) {
        CHECK_INT(skua_yield(), 0);
    }
    CHECK_INT(atomic_load(&all->failures), 0);
    skua_task_release(task);
    while (atomic_load(&all->failures) == 0) {
        CHECK_INT(skua_yield(), 0);
    }
    CHECK_INT(all->last.code, -ENOENT);
    CHECK_STR(all->text, "");
    return 0;
}

/* covers: A15 */
static void a_failure_is_told_when_its_handle_is_released(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        told all = {0};
        const skua_config config = config_of(&all, workers);
        CHECK_INT(skua_run(&config, release_one, &all), 0);
        CHECK_INT(atomic_load(&all.failures), 1);
    }
}

static int look_at_all(void *arg)
{
    skua_task *joined = spawn(fail_plainly, NULL), *asked = spawn(fail_plainly, NULL);
    CHECK_INT(finish(joined), -ENOENT);
    while (skua_task_state(asked) == SKUA_RUNNING) {
        CHECK_INT(skua_yield(), 0);
    }
    CHECK(skua_task_error(asked) != NULL);
    skua_task_release(asked);
    skua_task *cancelled = spawn(sleep_forever, NULL);
    skua_task_cancel(cancelled);
    skua_task_release(cancelled);
    CHECK_INT(failures_unseen(), 0);
    return 0;
}

/* covers: A15 */
static void who_looks_is_not_told(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        told all = {0};
        const skua_config config = config_of(&all, workers);
        CHECK_INT(skua_run(&config, look_at_all, &all), 0);
        CHECK_INT(atomic_load(&all.failures), 0);
    }
}

static int detach_with_text(void *arg)
{
    const skua_spawn_opts opts = {.name = "reader"};
    return skua_spawn(NULL, fail_with_text, NULL, &opts);
}

/* covers: A15 */
static void without_a_hook_it_is_printed(void **state)
{
    struct said said;
    said_begin(&said);
    run_on(2, detach_with_text);
    const char *text = said_end(&said);
    CHECK_INT(count_of(text, "skua: "), 1);
    CHECK(strstr(text, "task 'reader' of ") != NULL); /* where it was spawned */
    CHECK(strstr(text, " failed and nobody has asked for its status: -5") != NULL);
    CHECK(strstr(text, "reading the file") != NULL);
    CHECK(strstr(text, "hooks_test.c:") != NULL);
}

/* --- other reports ---------------------------------------------------------------------------- */

static int keep_handles(void *arg)
{
    const skua_spawn_opts opts = {.name = "kept"};
    for (int i = 0; i < 3; i++) {
        CHECK_INT(status_of(spawn_with(return_zero, NULL, &opts)), 0);
    }
    return 0;
}

/* covers: A16 A49 */
static void handles_that_were_not_released_are_named(void **state)
{
    told all = {0};
    const skua_config config = config_of(&all, 2);
    CHECK_INT(skua_run(&config, keep_handles, &all), 0);
    CHECK_INT(atomic_load(&all.reports[SKUA_REPORT_LEFT]), 4);
    CHECK(strstr(all.report, "runtime 'told' has ended while 3 task handles") != NULL);
    CHECK_INT(count_of(all.report, "not released: task 'kept'"), 3);
}

static int ignore_until_told(void *arg)
{
    await(&((told *)arg)->reports[SKUA_REPORT_STUBBORN], 2);
    return 0;
}

static int leave_a_mule(void *arg)
{
    const skua_spawn_opts opts = {.name = "mule"};
    return skua_spawn(NULL, ignore_until_told, arg, &opts);
}

static void stubborn_tasks_are_told(void **state)
{
    told all = {0};
    skua_config config = config_of(&all, 2);
    config.cleanup_ns = SKUA_MS(10);
    CHECK_INT(skua_run(&config, leave_a_mule, &all), 0);
    CHECK_INT(atomic_load(&all.reports[SKUA_REPORT_STUBBORN]), 2);
    CHECK(strstr(all.report, "mule") != NULL);
}

/* At most for a second: if the stand-in came early, and they run on it, they harm nobody. */
static int block_until_told(void *arg)
{
    told *all = arg;
    const skua_time start = skua_clock();
    while (atomic_load(&all->reports[SKUA_REPORT_STUCK]) == 0 &&
           skua_elapsed_ns(start) < SKUA_SEC(1)) {
        poll(NULL, 0, 20);
    }
    return 0;
}

static int keep_workers(void *arg)
{
    const skua_spawn_opts opts = {.name = "hog"};
    skua_task *hogs[2];
    gate ran = 0;
    for (int i = 0; i < 2; i++) {
        hogs[i] = spawn_with(block_until_told, arg, &opts);
    }
    while (skua_task_state(hogs[0]) == SKUA_RUNNING || skua_task_state(hogs[1]) == SKUA_RUNNING) {
        CHECK_INT(skua_yield(), 0); /* others go on: main is one of them */
        atomic_fetch_add(&ran, 1);
    }
    CHECK(atomic_load(&ran) > 0);
    return finish(hogs[0]) + finish(hogs[1]);
}

static int keep_both_workers(void *arg)
{
    told *all = arg;
    while (atomic_load(&all->reports[SKUA_REPORT_STUCK]) == 0) {
        CHECK_INT(keep_workers(arg), 0);
    }
    return 0;
}

/* covers: A68 */
static void a_task_that_keeps_its_worker_is_told(void **state)
{
    told all = {0};
    const skua_config config = config_of(&all, 2);
    CHECK_INT(skua_run(&config, keep_both_workers, &all), 0);
    CHECK(strstr(all.report, "task 'hog' has blocked") != NULL);
}

/* A report of a room that knows no runtime goes to the one whose worker speaks. */
static int ignore_a_thousand(void *arg)
{
    skua_task_cancel(skua_self());
    for (int i = 0; i < 1001; i++) {
        CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    }
    return 0;
}

/* covers: A92 */
static void reports_go_to_the_log_of_the_program(void **state)
{
    told all = {0};
    struct said said;
    const skua_config config = config_of(&all, 2);
    said_begin(&said);
    CHECK_INT(skua_run(&config, ignore_a_thousand, &all), 0);
    CHECK_STR(said_end(&said), "");
    CHECK_INT(atomic_load(&all.reports[SKUA_REPORT_STUBBORN]), 1);
    CHECK(strstr(all.report, "has ignored 1000 results") != NULL);
}

static int swallow_a_cancel(void *arg)
{
    skua_task_cancel(skua_self());
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    return 3;
}

static int count_swallowed(void *arg)
{
    const skua_spawn_opts opts = {.name = "glutton"};
    skua_task *task = spawn_with(swallow_a_cancel, NULL, &opts);
    CHECK_INT(status_of(task), 3);
    CHECK_INT(skua_task_state(task), SKUA_DONE); /* not cancelled */
    skua_task_release(task);
    skua_counts counts;
    skua_runtime_counts(NULL, &counts);
    CHECK_INT(counts.cancels_swallowed, 1);
    return 0;
}

/* covers: A34 */
static void a_swallowed_cancel_is_counted_and_told_in_debug_runs(void **state)
{
    for (int is_debug = 0; is_debug <= 1; is_debug++) {
        told all = {0};
        const skua_config config = config_of(&all, 2);
        setenv("SKUA_DEBUG", is_debug ? "1" : "0", 1);
        CHECK_INT(skua_run(&config, count_swallowed, &all), 0);
        unsetenv("SKUA_DEBUG");
        CHECK_INT(atomic_load(&all.reports[SKUA_REPORT_SWALLOWED]), is_debug);
        CHECK_INT(strstr(all.report, "glutton") != NULL, is_debug);
    }
}

/* An fd that Skua has seen and that nobody has closed. */
static int leave_an_fd_open(void *arg)
{
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    CHECK(skua_fd_adopt(ends[0]) >= 0);
    close(ends[1]);
    *(int *)arg = ends[0];
    return 0;
}

/* covers: A49 */
static void an_open_fd_is_told_at_the_end(void **state)
{
    told all = {0};
    int fd = -1;
    skua_config config = config_of(&all, 2);
    CHECK_INT(skua_run(&config, leave_an_fd_open, &fd), 0);
    CHECK_INT(atomic_load(&all.reports[SKUA_REPORT_LEFT]), 1);
    CHECK(strstr(all.report, "file descriptor is still open") != NULL);
    close(fd);
}

/* --- counts ----------------------------------------------------------------------------------- */

static int count_tasks(void *arg)
{
    skua_counts before, after;
    skua_runtime_counts(NULL, &before);
    CHECK_INT(before.tasks_started - before.tasks_ended, before.tasks_alive);
    CHECK_INT(before.tasks_alive, 1);
    skua_task *sleepers[10];
    for (int i = 0; i < 10; i++) {
        sleepers[i] = spawn(sleep_forever, NULL);
        CHECK_INT(call(return_zero, NULL), 0);
    }
    do {
        CHECK_INT(skua_yield(), 0);
        skua_runtime_counts(NULL, &after);
    } while (after.tasks_alive > 11); /* an end is counted after the join has seen it */
    CHECK_INT(after.tasks_started, before.tasks_started + 20);
    CHECK_INT(after.tasks_alive, 11);
    CHECK_INT(after.tasks_ended, before.tasks_ended + 10);
    for (int i = 0; i < 10; i++) {
        skua_task_cancel(sleepers[i]);
        CHECK_INT(finish(sleepers[i]), -ECANCELED);
    }
    return 0;
}

static void tasks_are_counted(void **state)
{
    run_on_1_2_4(count_tasks);
    skua_counts counts = {.tasks_alive = 1};
    skua_runtime_counts(NULL, &counts); /* no runtime, no tasks */
    CHECK_INT(counts.tasks_alive, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_detached_failure_is_told_when_it_ends),
        TEST(a_failure_is_told_when_its_handle_is_released),
        TEST(who_looks_is_not_told),
        TEST(without_a_hook_it_is_printed),
        TEST(handles_that_were_not_released_are_named),
        TEST(stubborn_tasks_are_told),
        TEST(a_task_that_keeps_its_worker_is_told),
        TEST(reports_go_to_the_log_of_the_program),
        TEST(a_swallowed_cancel_is_counted_and_told_in_debug_runs),
        TEST(an_open_fd_is_told_at_the_end),
        TEST(tasks_are_counted),
    };
    return TEST_RUN(tests);
}
