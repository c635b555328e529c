/* A stand-in worker that runs before the monitor, which has started it, comes to its next line. */
#define _GNU_SOURCE 1
#include "tasks.h"

#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <skua/testing.h>

static gate stand_ins, has_begun, has_ended;

/* The library's threads: it calls this instead of libc's. The monitor is late by as long as what it
   has started runs. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*main)(void *),
                   void *arg)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = NULL;
    char name[16] = "";
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    const int error = real(thread, attributes, main, arg);
    pthread_getname_np(pthread_self(), name, sizeof name);
    if (error == 0 && strcmp(name, "skua-monitor") == 0) {
        atomic_fetch_add(&stand_ins, 1);
        while (atomic_load(&has_ended) == 0) {
            poll(NULL, 0, 1);
        }
    }
    return error;
}

/* Long enough for whoever takes it for parked. */
static int keep_on(void *arg)
{
    atomic_store(&has_begun, 1);
    poll(NULL, 0, 50);
    atomic_store(&has_ended, 1);
    return 0;
}

/* Keeps the one worker until somebody else has taken the task. */
static int be_stuck_and_settle(void *arg)
{
    skua_task *task = spawn(keep_on, NULL);
    while (atomic_load(&has_begun) == 0) {
        poll(NULL, 0, 1);
    }
    CHECK_INT(skua_test_settle(), 0);
    CHECK_INT(atomic_load(&has_ended), 1);
    CHECK_INT(finish(task), 0);
    return 0;
}

static void nothing_is_quiet_while_a_new_stand_in_runs(void **state)
{
    const skua_test_opts opts = {.virtual_clock = true, .workers = 1};
    CHECK_INT(skua_test_run(&opts, be_stuck_and_settle, NULL), 0);
    CHECK(atomic_load(&stand_ins) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(nothing_is_quiet_while_a_new_stand_in_runs)};
    return TEST_RUN(tests);
}
