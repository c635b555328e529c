/* Waiting for many under load: tasks end while others gather them, wait for some of them and take
   them as they come, each with deadlines and cancels at any moment; and calls for the same keys
   whose runners are cancelled. Each end is seen exactly once, and nobody is served a stranger's
   cancel. The rounds go on for SKUA_STRESS_SECONDS, shared by the tests. */
#include "../tasks.h"

#include <pthread.h>
#include <skua/gather.h>
#include <skua/retry.h>

enum { TESTS = 3, ENDERS = 60, WATCHERS = 12, CALLERS = 40, KEYS = 3 };

static skua_time end_of_test(void)
{
    return skua_after(SKUA_SEC(1) * (int64_t)test_env("SKUA_STRESS_SECONDS", 8) / TESTS);
}

static uint32_t below(uint64_t *random, uint32_t bound)
{
    return (uint32_t)(test_random(random) % bound);
}

static skua_time some_deadline(uint64_t *random)
{
    switch (below(random, 4)) {
    case 0:
        return SKUA_NOW;
    case 1:
        return skua_after(SKUA_US(below(random, 200)));
    default:
        return SKUA_FOREVER;
    }
}

static bool is_passing(ssize_t status)
{
    return status == -EAGAIN || status == -ETIMEDOUT;
}

/* --- tasks that end --------------------------------------------------------------------------- */

typedef struct ender {
    uint32_t yields, sleep_us;
    int status;
} ender;

static int end_some_time(void *arg)
{
    const ender *self = arg;
    for (uint32_t i = 0; i < self->yields; i++) {
        (void)skua_yield();
    }
    if (self->sleep_us > 0) {
        CHECK_INT(skua_sleep(skua_after(SKUA_US(self->sleep_us))), 0);
    }
    return self->status;
}

/* Who watches some of them, with references of its own, perhaps more than once each. */
typedef struct watcher {
    uint64_t random;
    size_t count;
    skua_task *tasks[ENDERS];
    int wanted[ENDERS]; /* their statuses */
    bool was_cancelled;
} watcher;

static void check_statuses(const watcher *self, const int statuses[], bool all)
{
    for (size_t i = 0; i < self->count; i++) {
        CHECK(statuses[i] == self->wanted[i] || (!all && statuses[i] == -EINPROGRESS));
    }
}

static int gather_statuses(watcher *self)
{
    int statuses[ENDERS], status;
    do {
        status = skua_gather(self->tasks, self->count, statuses, some_deadline(&self->random));
        check_statuses(self, statuses, status == 0);
    } while (is_passing(status));
    return status;
}

static int gather_failure(watcher *self)
{
    bool may_fail = false;
    for (size_t i = 0; i < self->count; i++) {
        may_fail = may_fail || self->wanted[i] < 0;
    }
    int status;
    do {
        status = skua_gather(self->tasks, self->count, NULL, some_deadline(&self->random));
    } while (is_passing(status));
    CHECK(status == -ECANCELED || (status == -EIO) == may_fail);
    return status == -ECANCELED ? status : 0;
}

static int wait_for_some(watcher *self)
{
    bool done[ENDERS] = {false}, before[ENDERS];
    ssize_t count = 0;
    while (count >= 0 && count < (ssize_t)self->count) {
        memcpy(before, done, sizeof done);
        const skua_until until = (skua_until)below(&self->random, 3);
        count = skua_wait(self->tasks, self->count, until, done, some_deadline(&self->random));
        ssize_t seen = 0;
        for (size_t i = 0; i < self->count; i++) {
            CHECK(done[i] || !before[i]);
            CHECK(!done[i] || skua_task_state(self->tasks[i]) != SKUA_RUNNING);
            seen += done[i];
        }
        CHECK(count == seen || count == -ECANCELED);
        (void)skua_yield();
    }
    return count < 0 ? (int)count : 0;
}

/* The first place of the i-th task. */
static size_t first_of(const watcher *self, size_t i)
{
    size_t first = 0;
    while (self->tasks[first] != self->tasks[i]) {
        first++;
    }
    return first;
}

/* Gives its references back as the tasks come, and now and then goes away in the middle. */
static int take_as_they_come(watcher *self)
{
    skua_as_completed *completed = NULL;
    bool seen[ENDERS] = {false};
    size_t left = 0;
    for (size_t i = 0; i < self->count; i++) {
        left += first_of(self, i) == i;
    }
    CHECK_INT(skua_as_completed_create(&completed, self->tasks, self->count), 0);
    int status = 1;
    while ((status == 1 || is_passing(status)) && below(&self->random, 100) > 0) {
        skua_task *task = NULL;
        size_t index;
        status = skua_as_completed_next(completed, &task, &index, some_deadline(&self->random));
        if (status == 1) {
            CHECK(!seen[index] && first_of(self, index) == index);
            CHECK_PTR(task, self->tasks[index]);
            int got = 0;
            const int joined = skua_join(task, &got, SKUA_NOW);
            CHECK(joined == -ECANCELED || (joined == 0 && got == self->wanted[index]));
            seen[index] = true;
            left--;
        }
    }
    CHECK(status != 0 || left == 0);
    skua_as_completed_destroy(completed);
    return status == -ECANCELED ? status : 0;
}

static int watch_some(void *arg)
{
    static int (*const ways[])(watcher *) = {gather_statuses, gather_failure, wait_for_some,
                                             take_as_they_come};
    watcher *self = arg;
    const int status = ways[below(&self->random, 4)](self);
    skua_task_release_all(self->tasks, self->count);
    return status;
}

static void *watch_in_thread(void *arg)
{
    CHECK_INT(watch_some(arg), 0);
    return NULL;
}

/* One round: all start, some watchers are cancelled, all end. */
typedef struct storm {
    uint64_t random;
    ender enders[ENDERS];
    watcher watchers[WATCHERS];
    skua_task *ending[ENDERS], *watching[WATCHERS];
} storm;

static void start_enders(storm *self)
{
    for (int i = 0; i < ENDERS; i++) {
        ender *one = &self->enders[i];
        *one = (ender){.yields = below(&self->random, 20),
                       .sleep_us = below(&self->random, 3) == 0 ? below(&self->random, 300) : 0,
                       .status = below(&self->random, 10) == 0 ? -EIO : i};
        self->ending[i] = spawn(end_some_time, one);
    }
}

static void fill_watcher(storm *self, watcher *one)
{
    one->random = test_random(&self->random);
    one->count = below(&self->random, ENDERS) + 1;
    for (size_t i = 0; i < one->count; i++) {
        const uint32_t which = below(&self->random, ENDERS);
        one->tasks[i] = skua_task_retain(self->ending[which]);
        one->wanted[i] = self->enders[which].status;
    }
}

static int storm_once(void *arg)
{
    storm *self = arg;
    watcher outside;
    pthread_t thread;
    start_enders(self);
    fill_watcher(self, &outside);
    CHECK_INT(pthread_create(&thread, NULL, watch_in_thread, &outside), 0);
    for (int i = 0; i < WATCHERS; i++) {
        fill_watcher(self, &self->watchers[i]);
        self->watching[i] = spawn(watch_some, &self->watchers[i]);
    }
    for (int i = 0; i < WATCHERS; i++) {
        self->watchers[i].was_cancelled = below(&self->random, 3) == 0;
        if (self->watchers[i].was_cancelled) {
            (void)skua_yield();
            skua_task_cancel(self->watching[i]);
        }
    }
    for (int i = 0; i < WATCHERS; i++) {
        const int status = finish(self->watching[i]);
        CHECK(status == 0 || (status == -ECANCELED && self->watchers[i].was_cancelled));
    }
    for (int i = 0; i < ENDERS; i++) {
        CHECK_INT(finish(self->ending[i]), self->enders[i].status);
    }
    CHECK_INT(pthread_join(thread, NULL), 0);
    return 0;
}

static int storms(void *arg)
{
    for (int round = 0; round < 20 / TEST_SCALE; round++) {
        CHECK_INT(storm_once(arg), 0);
    }
    return 0;
}

static void tasks_end_while_others_watch(void **state)
{
    static storm self;
    self.random = test_seed();
    const skua_time end = end_of_test();
    do {
        run_on_with(1u << below(&self.random, 3), storms, &self);
    } while (skua_clock().ns < end.ns);
}

/* --- calls for the same keys ------------------------------------------------------------------ */

static skua_flight flight;
static _Atomic int running[KEYS];

typedef struct caller {
    uint64_t random;
    uint32_t key;
    bool may_be_cancelled;
    int value;
} caller;

/* Alone for its key; fails only when it is cancelled or late. */
static int work(void *arg)
{
    caller *self = arg;
    int status = 0;
    CHECK_INT(atomic_fetch_add(&running[self->key], 1), 0);
    for (uint32_t i = below(&self->random, 5); i > 0 && status == 0; i--) {
        status = below(&self->random, 2) == 0 ? skua_sleep(skua_after(SKUA_US(20))) : skua_yield();
    }
    self->value = status == 0 ? (int)self->key : -1;
    CHECK_INT(atomic_fetch_sub(&running[self->key], 1), 1);
    return status;
}

static int call_often(void *arg)
{
    caller *self = arg;
    for (int i = 0; i < 50; i++) {
        self->key = below(&self->random, KEYS);
        self->value = -1;
        const skua_flight_call call_of_key = {.key = &self->key,
                                              .key_bytes = sizeof self->key,
                                              .fn = work,
                                              .arg = self,
                                              .value = &self->value,
                                              .value_bytes = sizeof self->value};
        const int status = skua_flight_run(&flight, &call_of_key, some_deadline(&self->random));
        CHECK(status != 0 || self->value == (int)self->key);
        CHECK(status == 0 || is_passing(status) ||
              (status == -ECANCELED && self->may_be_cancelled));
        if (status == -ECANCELED) {
            break;
        }
    }
    return 0;
}

static void check_idle(void)
{
    static const skua_flight zeroed;
    CHECK_INT(memcmp(&flight.opaque[2], &zeroed.opaque[2], sizeof flight - 2 * sizeof(uint64_t)),
              0);
}

static int flights(void *arg)
{
    uint64_t *random = arg;
    caller callers[CALLERS];
    skua_task *tasks[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (caller){.random = test_random(random), .may_be_cancelled = i % 2 == 0};
        tasks[i] = spawn(call_often, &callers[i]);
    }
    for (int i = 0; i < CALLERS; i += 2) {
        for (uint32_t j = below(random, 20); j > 0; j--) {
            (void)skua_yield();
        }
        skua_task_cancel(tasks[i]);
    }
    for (int i = 0; i < CALLERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    check_idle();
    return 0;
}

static void runners_are_cancelled_at_any_moment(void **state)
{
    uint64_t random = test_seed();
    const skua_time end = end_of_test();
    do {
        run_on_with(1u << below(&random, 3), flights, &random);
    } while (skua_clock().ns < end.ns);
}

/* --- values with owners ----------------------------------------------------------------------- */

static _Atomic long owners;
static skua_cache *cache;

static int fill(const void *key, size_t key_bytes, void *value, void *arg)
{
    const int status = *(const uint32_t *)key % 2 == 0 ? skua_sleep(skua_after(SKUA_US(20))) : 0;
    if (status == 0) {
        *(uint32_t *)value = *(const uint32_t *)key;
        atomic_fetch_add(&owners, 1);
    }
    return status;
}

static void retain(void *value, void *arg)
{
    atomic_fetch_add(&owners, 1);
}

static void drop(void *value, void *arg)
{
    atomic_fetch_sub(&owners, 1);
}

static int use_cache(void *arg)
{
    caller *self = arg;
    for (int i = 0; i < 100; i++) {
        const uint32_t key = below(&self->random, 12);
        uint32_t value = 99;
        const uint32_t what = below(&self->random, 20);
        if (what == 0) {
            skua_cache_forget(cache, &key, sizeof key);
        } else if (what == 1) {
            atomic_fetch_add(&owners, 1);
            CHECK_INT(skua_cache_put(cache, &key, sizeof key, &key, sizeof key), 0);
        } else if (what == 2 && below(&self->random, 10) == 0) {
            skua_cache_clear(cache);
        }
        const int status = skua_cache_get(cache, &key, sizeof key, &value, sizeof value,
                                          some_deadline(&self->random));
        CHECK_INT(value, status == 0 ? key : 99);
        CHECK(status == 0 || is_passing(status) ||
              (status == -ECANCELED && self->may_be_cancelled));
        if (status == 0) {
            drop(&value, NULL); /* this copy is ours */
        }
    }
    return 0;
}

static int cache_storm(void *arg)
{
    uint64_t *random = arg;
    const skua_cache_opts opts = {.fill = fill,
                                  .value_bytes = sizeof(uint32_t),
                                  .count_max = 1 + below(random, 10),
                                  .ttl_ns = below(random, 2) == 0 ? SKUA_US(100) : 0,
                                  .retain = retain,
                                  .drop = drop};
    caller callers[CALLERS];
    skua_task *tasks[CALLERS];
    CHECK_INT(skua_cache_create(&cache, &opts), 0);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (caller){.random = test_random(random), .may_be_cancelled = i % 4 == 0};
        tasks[i] = spawn(use_cache, &callers[i]);
    }
    for (int i = 0; i < CALLERS; i += 4) {
        (void)skua_yield();
        skua_task_cancel(tasks[i]);
    }
    for (int i = 0; i < CALLERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    skua_cache_destroy(cache);
    CHECK_INT(atomic_load(&owners), 0);
    return 0;
}

static void every_value_is_dropped_once(void **state)
{
    uint64_t random = test_seed();
    const skua_time end = end_of_test();
    do {
        run_on_with(1u << below(&random, 3), cache_storm, &random);
    } while (skua_clock().ns < end.ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tasks_end_while_others_watch),
        TEST(runners_are_cancelled_at_any_moment),
        TEST(every_value_is_dropped_once),
    };
    return TEST_RUN(tests);
}
