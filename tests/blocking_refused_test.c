/* No thread for the blocking pool is to be had, while calls have been promised one. */
#define _GNU_SOURCE 1
#include "tasks.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <skua/blocking.h>

static gate is_failing, has_tried, has_promise, may_return;
static gate staying; /* threads that are taken */

/* The library's threads: it calls this instead of libc's. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*main)(void *),
                   void *arg)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    if (atomic_load(&is_failing) == 0) {
        return real(thread, attributes, main, arg);
    }
    atomic_store(&has_tried, 1);
    for (int i = 0; i < 2000 && atomic_load(&has_promise) == 0; i++) {
        poll(NULL, 0, 1);
    }
    poll(NULL, 0, 20); /* until it is parked; if not yet, there is less to be seen */
    return EAGAIN;
}

static int stay(void *arg)
{
    atomic_fetch_add(&staying, 1);
    while (atomic_load(&may_return) == 0) {
        poll(NULL, 0, 1);
    }
    return 0;
}

static int do_nothing(void *arg)
{
    return 0;
}

static int call_stay(void *arg)
{
    return skua_blocking(stay, NULL, SKUA_FOREVER);
}

static int call_nothing(void *arg)
{
    return skua_blocking(do_nothing, NULL, SKUA_FOREVER);
}

static int call_with_promise(void *arg)
{
    while (atomic_load(&has_tried) == 0) {
        CHECK_INT(skua_yield(), 0);
    }
    atomic_store(&has_promise, 1);
    return skua_blocking(do_nothing, NULL, skua_after(SKUA_MS(60)));
}

static int promise_and_fail(void *arg)
{
    skua_task *first = spawn(call_stay, NULL);
    skua_task *second = spawn(call_stay, NULL);
    while (atomic_load(&staying) < 2) { /* so no thread is idle, and the third call wants one */
        CHECK_INT(skua_yield(), 0);
    }
    atomic_store(&is_failing, 1);
    skua_task *promised = spawn(call_with_promise, NULL);
    skua_task *third = spawn(call_nothing, NULL);
    CHECK_INT(finish(promised), -ETIMEDOUT);
    atomic_store(&is_failing, 0);
    atomic_store(&may_return, 1);
    CHECK_INT(finish(first), 0);
    CHECK_INT(finish(second), 0);
    CHECK_INT(finish(third), 0);
    return 0;
}

static void a_promise_that_is_taken_back_leaves_the_deadline(void **state)
{
    const skua_config config = {.workers = 4};
    CHECK_INT(skua_run(&config, promise_and_fail, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_promise_that_is_taken_back_leaves_the_deadline),
    };
    return TEST_RUN(tests);
}
