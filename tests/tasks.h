/* tests/tasks.h: what the suites of the scheduler share: short words for runs, spawns and joins
   that must succeed, and for what the library says on standard error. */
#ifndef SKUA_TESTS_TASKS_H
#define SKUA_TESTS_TASKS_H

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <skua/local.h>
#include <skua/runtime.h>
#include <skua/scope.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

typedef _Atomic int gate;

/* Run fn(arg) as the main task on so many workers; it must return 0. */
static inline void run_on_with(uint32_t workers, skua_fn fn, void *arg)
{
    const skua_config config = {.workers = workers};
    CHECK_INT(skua_run(&config, fn, arg), 0);
}

static inline void run_on(uint32_t workers, skua_fn fn)
{
    run_on_with(workers, fn, NULL);
}

static inline void run_on_1_2_4(skua_fn fn)
{
    run_on(1, fn);
    run_on(2, fn);
    run_on(4, fn);
}

static inline skua_task *spawn_with(skua_fn fn, void *arg, const skua_spawn_opts *opts)
{
    skua_task *task = NULL;
    CHECK_INT(skua_spawn(&task, fn, arg, opts), 0);
    CHECK(task != NULL);
    return task;
}

static inline skua_task *spawn(skua_fn fn, void *arg)
{
    return spawn_with(fn, arg, NULL);
}

/* Wait for the end; the reference stays. */
static inline int status_of(skua_task *task)
{
    int status = 12345;
    CHECK_INT(skua_join(task, &status, SKUA_FOREVER), 0);
    return status;
}

/* Wait for the end and give the reference back. */
static inline int finish(skua_task *task)
{
    int status = status_of(task);
    skua_task_release(task);
    return status;
}

static inline int call(skua_fn fn, void *arg)
{
    return finish(spawn(fn, arg));
}

/* Wait until others have opened the gate so far; from tasks and foreign threads, also cancelled
   ones. */
static inline void await(gate *open, int count)
{
    while (atomic_load(open) < count) {
        int status = skua_yield();
        (void)status;
    }
}

/* Keep the processor, as a computation does. */
static inline void compute_for(int64_t ns)
{
    const skua_time start = skua_clock();
    while (skua_elapsed_ns(start) < ns) {}
}

/* Task functions that many tests need. */
static inline int return_zero(void *arg)
{
    return 0;
}

static inline int sleep_forever(void *arg)
{
    return skua_sleep(SKUA_FOREVER);
}

/* Standard error of this process, caught in a file. A check that fails meanwhile still speaks. */
struct said {
    int fd, saved;
    char text[16384];
};

static struct said *said_now;

static inline const char *said_end(struct said *caught)
{
    fflush(stderr);
    dup2(caught->saved, STDERR_FILENO);
    const ssize_t got = pread(caught->fd, caught->text, sizeof caught->text - 1, 0);
    caught->text[got > 0 ? got : 0] = '\0';
    close(caught->fd);
    close(caught->saved);
    signal(SIGABRT, SIG_DFL);
    return caught->text;
}

static inline void said_abort(int number)
{
    const char *text = said_end(said_now);
    if (write(STDERR_FILENO, text, strlen(text)) < 0) {
        _exit(1);
    }
}

static inline void said_begin(struct said *caught)
{
    fflush(stderr);
    caught->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    caught->fd = memfd_create("said", MFD_CLOEXEC);
    CHECK(caught->saved >= 0 && caught->fd >= 0);
    /* Unlike other files a memfd has no lock around its position: without this, two threads that
       speak at once may write one line over the other. */
    CHECK_INT(fcntl(caught->fd, F_SETFL, O_APPEND), 0);
    said_now = caught;
    signal(SIGABRT, said_abort);
    CHECK(dup2(caught->fd, STDERR_FILENO) >= 0);
}

/* Whether that was said by now; for those who wait until it is. */
static inline bool said_has(const struct said *caught, const char *part)
{
    char text[sizeof caught->text];
    const ssize_t got = pread(caught->fd, text, sizeof text - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    return strstr(text, part) != NULL;
}

static inline int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part)) {
        count++;
    }
    return count;
}

#endif
