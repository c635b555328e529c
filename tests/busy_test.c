/* Workers that are all kept by tasks which never suspend: everybody else is served all the same.
   The tasks spin until the thing that they keep waiting has happened, so that without service
   nothing ends. */
#include "test.h"

#include <skua/skua.h>
#include <stdatomic.h>

enum { HOGS_MAX = 4 };

static atomic_int hogs_running;
static atomic_bool was_served;

static int hog(void *arg)
{
    atomic_fetch_add(&hogs_running, 1);
    while (!atomic_load(&was_served)) {}
    return 0;
}

static int wait_for_byte(void *arg)
{
    int fd = *(int *)arg;
    char byte;
    ssize_t got = skua_read(fd, &byte, 1, SKUA_FOREVER);
    atomic_store(&was_served, true);
    return (int)got;
}

static int wait_for_time(void *arg)
{
    int status = skua_sleep(skua_after(SKUA_MS(30)));
    atomic_store(&was_served, true);
    return status;
}

static int just_run(void *arg)
{
    atomic_store(&was_served, true);
    return 0;
}

/* Starts a hog on each worker and comes back when all have begun; run by a foreign thread. */
static void keep_all_workers_busy(skua_runtime *runtime, skua_task *tasks[], int count)
{
    atomic_store(&hogs_running, 0);
    for (int i = 0; i < count; i++) {
        CHECK_INT(skua_submit(runtime, &tasks[i], hog, NULL, NULL), 0);
    }
    while (atomic_load(&hogs_running) < count) {
        CHECK_INT(skua_yield(), 0);
    }
}

static void end_all(skua_task *tasks[], int count)
{
    for (int i = 0; i < count; i++) {
        CHECK_INT(skua_join(tasks[i], NULL, SKUA_FOREVER), 0);
        skua_task_release(tasks[i]);
    }
}

static int adopt(void *arg)
{
    return skua_fd_adopt(*(int *)arg);
}

static int close_adopted(void *arg)
{
    skua_close(*(int *)arg);
    return 0;
}

/* covers: A68 */
static void an_fd_is_served_while_all_workers_compute(void **state)
{
    for (uint32_t workers = 1; workers <= HOGS_MAX; workers *= 2) {
        const skua_config config = {.workers = workers};
        skua_runtime *runtime;
        skua_task *reader, *hogs[HOGS_MAX];
        int ends[2], got;
        atomic_store(&was_served, false);
        CHECK_INT(pipe(ends), 0);
        CHECK_INT(skua_runtime_create(&runtime, &config), 0);
        CHECK_INT(skua_call(runtime, adopt, &ends[0], SKUA_FOREVER), 0);
        CHECK_INT(skua_submit(runtime, &reader, wait_for_byte, &ends[0], NULL), 0);
        keep_all_workers_busy(runtime, hogs, (int)workers);
        CHECK_INT(write(ends[1], "x", 1), 1);
        CHECK_INT(skua_join(reader, &got, SKUA_FOREVER), 0);
        CHECK_INT(got, 1);
        end_all(hogs, (int)workers);
        CHECK_INT(skua_call(runtime, close_adopted, &ends[0], SKUA_FOREVER), 0);
        close(ends[1]);
        skua_task_release(reader);
        skua_runtime_destroy(runtime);
    }
}

static void serve_while_busy(skua_fn fn)
{
    for (uint32_t workers = 1; workers <= HOGS_MAX; workers *= 2) {
        const skua_config config = {.workers = workers};
        skua_runtime *runtime;
        skua_task *served, *hogs[HOGS_MAX];
        atomic_store(&was_served, false); /* before it can be: a moment may come early */
        CHECK_INT(skua_runtime_create(&runtime, &config), 0);
        if (fn == wait_for_time) {
            CHECK_INT(skua_submit(runtime, &served, fn, NULL, NULL), 0);
        }
        keep_all_workers_busy(runtime, hogs, (int)workers);
        if (fn != wait_for_time) {
            CHECK_INT(skua_submit(runtime, &served, fn, NULL, NULL), 0);
        }
        CHECK_INT(skua_join(served, NULL, SKUA_FOREVER), 0);
        end_all(hogs, (int)workers);
        skua_task_release(served);
        skua_runtime_destroy(runtime);
    }
}

/* covers: A68 */
static void a_timer_fires_while_all_workers_compute(void **state)
{
    serve_while_busy(wait_for_time);
}

/* covers: A68 */
static void a_new_task_runs_while_all_workers_compute(void **state)
{
    serve_while_busy(just_run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_fd_is_served_while_all_workers_compute),
        TEST(a_timer_fires_while_all_workers_compute),
        TEST(a_new_task_runs_while_all_workers_compute),
    };
    return TEST_RUN(tests);
}
