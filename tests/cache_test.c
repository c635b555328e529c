/* The cache: what is kept, for how long, how often it is made, and who owns it. */
#include "tasks.h"

#include <pthread.h>
#include <skua/retry.h>
#include <sys/wait.h>

enum { CROWD = 100 };

/* What the fills of a test do and count. The value of a key is its length, and which fill it was.
   */
typedef struct value {
    size_t length;
    int turn;
} value;

static struct source {
    gate fills; /* begun */
    gate may_end;
    gate retained, dropped;
    int status;
    bool sleeps, waits; /* the first one */
    bool yields;        /* every other one */
} source;

static int fill(const void *key, size_t key_bytes, void *out, void *arg)
{
    struct source *self = arg;
    value *made = out;
    CHECK_INT(made->length, 0); /* zeroed */
    const int turn = atomic_fetch_add(&self->fills, 1) + 1;
    if (self->sleeps && turn == 1) {
        return skua_sleep(SKUA_FOREVER);
    }
    if (self->waits && turn == 1) {
        await(&self->may_end, 1);
    }
    if (self->yields && turn % 2 == 0) {
        (void)skua_yield();
    }
    *made = (value){.length = key_bytes, .turn = turn};
    return self->status;
}

static void count_retain(void *copy, void *arg)
{
    CHECK(((value *)copy)->turn > 0);
    atomic_fetch_add(&((struct source *)arg)->retained, 1);
}

static void count_drop(void *copy, void *arg)
{
    CHECK(((value *)copy)->turn > 0);
    atomic_fetch_add(&((struct source *)arg)->dropped, 1);
}

static skua_cache *make_with(skua_cache_opts opts)
{
    skua_cache *cache = NULL;
    memset(&source, 0, sizeof source);
    opts.fill = fill;
    opts.arg = &source;
    opts.value_bytes = sizeof(value);
    CHECK_INT(skua_cache_create(&cache, &opts), 0);
    return cache;
}

static skua_cache *make(void)
{
    return make_with((skua_cache_opts){0});
}

static int get(skua_cache *cache, const char *key, value *out)
{
    return skua_cache_get(cache, key, strlen(key), out, sizeof *out, SKUA_FOREVER);
}

/* Which fill has made the value that is there. */
static int turn_of(skua_cache *cache, const char *key)
{
    value got = {0};
    CHECK_INT(get(cache, key, &got), 0);
    CHECK_INT(got.length, strlen(key));
    return got.turn;
}

static bool is_kept(skua_cache *cache, const char *key)
{
    value got;
    const int status = skua_cache_get(cache, key, strlen(key), &got, sizeof got, SKUA_NOW);
    CHECK(status == 0 || status == -EAGAIN);
    return status == 0;
}

static skua_cache_counts counts_of(skua_cache *cache)
{
    skua_cache_counts counts;
    skua_cache_count(cache, &counts);
    return counts;
}

/* A get in a task of its own. */
typedef struct asker {
    skua_cache *cache;
    value got;
    int status;
    skua_time deadline;
    gate has_begun, has_ended;
} asker;

static int ask(void *arg)
{
    asker *self = arg;
    atomic_store(&self->has_begun, 1);
    self->status =
        skua_cache_get(self->cache, "key", 3, &self->got, sizeof self->got, self->deadline);
    atomic_store(&self->has_ended, 1);
    return 0;
}

/* --- kept ------------------------------------------------------------------------------------- */

static int kept_body(void *arg)
{
    skua_cache *cache = make();
    CHECK(!is_kept(cache, "one"));
    CHECK_INT(turn_of(cache, "one"), 1);
    CHECK_INT(turn_of(cache, "three"), 2);
    CHECK_INT(turn_of(cache, "one"), 1);
    CHECK_INT(turn_of(cache, ""), 3);
    CHECK_INT(turn_of(cache, ""), 3);
    skua_cache_forget(cache, "one", 3);
    skua_cache_forget(cache, "never", 5);
    CHECK(!is_kept(cache, "one") && is_kept(cache, "three"));
    CHECK_INT(turn_of(cache, "one"), 4);
    const value mine = {.length = 5, .turn = 77};
    CHECK_INT(skua_cache_put(cache, "three", 5, &mine, sizeof mine), 0);
    CHECK_INT(turn_of(cache, "three"), 77);
    skua_cache_counts counts = counts_of(cache);
    CHECK_INT(counts.kept, 3);
    CHECK_INT(counts.fills, 4);
    CHECK_INT(counts.hits, 4);
    skua_cache_clear(cache);
    CHECK_INT(counts_of(cache).kept, 0);
    CHECK(!is_kept(cache, "one") && !is_kept(cache, "three"));
    skua_cache_destroy(cache);
    skua_cache_destroy(NULL);
    return 0;
}

static void what_was_made_is_kept(void **state)
{
    run_on_1_2_4(kept_body);
}

static int misses_body(void *arg)
{
    static asker askers[CROWD];
    skua_task *tasks[CROWD];
    skua_cache *cache = make();
    source.waits = true;
    memset(askers, 0, sizeof askers);
    for (int i = 0; i < CROWD; i++) {
        askers[i].cache = cache;
        tasks[i] = spawn(ask, &askers[i]);
    }
    for (int i = 0; i < CROWD; i++) {
        await(&askers[i].has_begun, 1);
    }
    atomic_store(&source.may_end, 1);
    for (int i = 0; i < CROWD; i++) {
        CHECK_INT(finish(tasks[i]), 0);
        CHECK_INT(askers[i].status, 0);
        CHECK_INT(askers[i].got.turn, 1);
    }
    CHECK_INT(atomic_load(&source.fills), 1);
    const skua_cache_counts counts = counts_of(cache);
    CHECK_INT(counts.fills, 1);
    CHECK_INT(counts.hits + counts.shared, CROWD - 1);
    skua_cache_destroy(cache);
    return 0;
}

/* covers: A83 */
static void a_hundred_misses_are_one_fill(void **state)
{
    run_on_1_2_4(misses_body);
}

static int eviction_body(void *arg)
{
    skua_cache *cache = make_with((skua_cache_opts){.count_max = 3});
    CHECK_INT(turn_of(cache, "a"), 1);
    CHECK_INT(turn_of(cache, "b"), 2);
    CHECK_INT(turn_of(cache, "c"), 3);
    CHECK_INT(turn_of(cache, "a"), 1); /* used: b is the oldest now */
    CHECK_INT(turn_of(cache, "d"), 4);
    CHECK(is_kept(cache, "a") && !is_kept(cache, "b") && is_kept(cache, "c"));
    CHECK_INT(counts_of(cache).kept, 3);
    CHECK_INT(counts_of(cache).evictions, 1);
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        (void)turn_of(cache, key);
        CHECK_INT(counts_of(cache).kept, 3);
    }
    CHECK(is_kept(cache, "999") && is_kept(cache, "997") && !is_kept(cache, "996"));
    skua_cache_destroy(cache);
    return 0;
}

static void the_least_recently_used_goes(void **state)
{
    run_on_1_2_4(eviction_body);
}

static int many_body(void *arg)
{
    enum { KEYS = 5000 };
    skua_cache *cache = make_with((skua_cache_opts){.count_max = KEYS});
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < KEYS; i++) {
            char key[16];
            snprintf(key, sizeof key, "%d", i);
            CHECK_INT(turn_of(cache, key), i + 1);
        }
    }
    skua_cache_destroy(cache);
    return 0;
}

static void many_keys(void **state)
{
    run_on(2, many_body);
}

static int age_body(void *arg)
{
    skua_cache *cache = make_with((skua_cache_opts){.ttl_ns = SKUA_MS(2)});
    skua_cache *old = make_with((skua_cache_opts){.ttl_ns = SKUA_SEC(3600)});
    const skua_time start = skua_clock();
    int turn = turn_of(cache, "key");
    while (is_kept(cache, "key")) {
        CHECK_INT(skua_sleep(skua_after(SKUA_US(100))), 0);
    }
    CHECK(skua_elapsed_ns(start) >= SKUA_MS(2));
    CHECK_INT(counts_of(cache).kept, 0);
    CHECK_INT(turn_of(cache, "key"), turn + 1);
    turn = turn_of(old, "key");
    CHECK_INT(turn_of(old, "key"), turn);
    skua_cache_destroy(cache);
    skua_cache_destroy(old);
    return 0;
}

static void values_age(void **state)
{
    run_on_1_2_4(age_body);
}

/* --- failures --------------------------------------------------------------------------------- */

static int failures_body(void *arg)
{
    skua_cache *plain = make();
    value got = {.length = 9};
    source.status = -ENOENT;
    CHECK_INT(get(plain, "key", &got), -ENOENT);
    CHECK_INT(get(plain, "key", &got), -ENOENT);
    CHECK_INT(got.length, 9);
    CHECK_INT(atomic_load(&source.fills), 2);
    skua_cache_destroy(plain);
    skua_cache *kept = make_with((skua_cache_opts){.failure_ttl_ns = SKUA_SEC(3600)});
    source.status = -ENOENT;
    CHECK_INT(get(kept, "key", &got), -ENOENT);
    CHECK_INT(get(kept, "key", &got), -ENOENT);
    CHECK_INT(atomic_load(&source.fills), 1);
    skua_cache_forget(kept, "key", 3);
    source.status = 0;
    CHECK_INT(turn_of(kept, "key"), 2);
    skua_cache_destroy(kept);
    return 0;
}

static void failures_are_kept_on_demand(void **state)
{
    run_on_1_2_4(failures_body);
}

static int cancel_body(void *arg)
{
    asker first = {.cache = make_with((skua_cache_opts){.failure_ttl_ns = SKUA_SEC(3600)})};
    asker second = {.cache = first.cache}, late = {.cache = first.cache};
    source.sleeps = true;
    skua_task *filling = spawn(ask, &first);
    await(&source.fills, 1);
    late.deadline = skua_after(SKUA_MS(1));
    CHECK_INT(call(ask, &late), 0);
    CHECK_INT(late.status, -ETIMEDOUT);
    skua_task *waiting = spawn(ask, &second);
    await(&second.has_begun, 1);
    skua_task_cancel(filling);
    CHECK_INT(finish(filling), 0);
    CHECK_INT(first.status, -ECANCELED);
    CHECK_INT(finish(waiting), 0);
    CHECK_INT(second.status, 0);
    CHECK_INT(second.got.turn, 2);
    CHECK_INT(turn_of(first.cache, "key"), 2); /* the cancel is not kept as a failure */
    skua_cache_destroy(first.cache);
    return 0;
}

static void a_cancelled_fill_fails_nobody_else(void **state)
{
    run_on_1_2_4(cancel_body);
}

/* --- forgetting while it is made -------------------------------------------------------------- */

static void forget_it(skua_cache *cache)
{
    skua_cache_forget(cache, "key", 3);
}

static void put_it(skua_cache *cache)
{
    const value mine = {.length = 3, .turn = 77};
    CHECK_INT(skua_cache_put(cache, "key", 3, &mine, sizeof mine), 0);
}

static int detached_body(void *arg)
{
    static void (*const ways[])(skua_cache *) = {forget_it, skua_cache_clear, put_it};
    static const int later[] = {2, 2, 77};
    for (int way = 0; way < 3; way++) {
        asker first = {.cache = make()};
        source.waits = true;
        skua_task *filling = spawn(ask, &first);
        await(&source.fills, 1);
        ways[way](first.cache);
        CHECK_INT(turn_of(first.cache, "key"), later[way]);
        atomic_store(&source.may_end, 1);
        CHECK_INT(finish(filling), 0);
        CHECK_INT(first.got.turn, 1);                       /* for who had asked before, ... */
        CHECK_INT(turn_of(first.cache, "key"), later[way]); /* ... and for nobody else */
        skua_cache_destroy(first.cache);
    }
    return 0;
}

static void what_was_forgotten_meanwhile_is_not_kept(void **state)
{
    run_on_1_2_4(detached_body);
}

/* --- owners ----------------------------------------------------------------------------------- */

static int owners_body(void *arg)
{
    static asker askers[CROWD];
    skua_task *tasks[CROWD];
    skua_cache *cache =
        make_with((skua_cache_opts){.count_max = 2, .retain = count_retain, .drop = count_drop});
    memset(askers, 0, sizeof askers);
    for (int i = 0; i < CROWD; i++) {
        askers[i].cache = cache;
        tasks[i] = spawn(ask, &askers[i]);
    }
    for (int i = 0; i < CROWD; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(atomic_load(&source.retained), CROWD); /* one for each copy */
    CHECK_INT(atomic_load(&source.dropped), 0);
    (void)turn_of(cache, "a");
    (void)turn_of(cache, "b");
    CHECK_INT(atomic_load(&source.dropped), 1);
    source.status = -EIO;
    value got;
    CHECK_INT(get(cache, "c", &got), -EIO); /* no value, so nothing to drop */
    CHECK_INT(atomic_load(&source.dropped), 1);
    put_it(cache);
    CHECK_INT(atomic_load(&source.dropped), 2);
    put_it(cache);
    CHECK_INT(atomic_load(&source.dropped), 3);
    skua_cache_forget(cache, "key", 3);
    CHECK_INT(atomic_load(&source.dropped), 4);
    skua_cache_destroy(cache);
    CHECK_INT(atomic_load(&source.dropped), 5);
    CHECK_INT(atomic_load(&source.retained), CROWD + 2);
    return 0;
}

static void each_copy_has_an_owner(void **state)
{
    run_on_1_2_4(owners_body);
}

/* --- threads ---------------------------------------------------------------------------------- */

static void *ask_in_thread(void *arg)
{
    (void)ask(arg);
    return NULL;
}

static int foreign_body(void *arg)
{
    asker inside = {.cache = make()}, outside = {.cache = inside.cache};
    pthread_t thread;
    source.waits = true;
    CHECK_INT(pthread_create(&thread, NULL, ask_in_thread, &outside), 0);
    await(&source.fills, 1);
    skua_task *task = spawn(ask, &inside);
    await(&inside.has_begun, 1);
    atomic_store(&source.may_end, 1);
    CHECK_INT(finish(task), 0);
    await(&outside.has_ended, 1);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(inside.got.turn + outside.got.turn, 2);
    skua_cache_destroy(inside.cache);
    return 0;
}

static void with_foreign_threads(void **state)
{
    run_on_1_2_4(foreign_body);
}

/* A few keys more than there is room for, asked for, forgotten and put by all. */
static int storm(void *arg)
{
    skua_cache *cache = arg;
    uint64_t random = test_seed() ^ (uintptr_t)&cache;
    for (int i = 0; i < 1000; i++) {
        char key[16] = "k";
        value got = {0}, mine = {.turn = 1};
        key[1] = (char)('a' + test_random(&random) % 12);
        const uint64_t what = test_random(&random) % 16;
        mine.length = 2;
        if (what == 0) {
            skua_cache_forget(cache, key, 2);
        } else if (what == 1) {
            CHECK_INT(skua_cache_put(cache, key, 2, &mine, sizeof mine), 0);
        } else if (what == 2 && i % 100 == 0) {
            skua_cache_clear(cache);
        } else {
            CHECK_INT(get(cache, key, &got), 0);
            CHECK_INT(got.length, 2);
        }
        if (what % 4 == 0) {
            (void)skua_yield();
        }
    }
    return 0;
}

static int storm_body(void *arg)
{
    enum { TASKS = 20 };
    skua_task *tasks[TASKS];
    skua_cache *cache =
        make_with((skua_cache_opts){.count_max = 8, .retain = count_retain, .drop = count_drop});
    source.yields = true;
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = spawn(storm, cache);
    }
    for (int i = 0; i < TASKS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    const skua_cache_counts counts = counts_of(cache);
    CHECK(counts.kept <= 8);
    CHECK_INT(counts.hits + counts.fills + counts.shared, atomic_load(&source.retained));
    skua_cache_destroy(cache);
    return 0;
}

static void a_storm(void **state)
{
    run_on_1_2_4(storm_body);
}

/* --- input ------------------------------------------------------------------------------------ */

static int fill_by_asking(const void *key, size_t key_bytes, void *out, void *arg)
{
    return skua_cache_get(*(skua_cache **)arg, key, key_bytes, out, sizeof(value), SKUA_FOREVER);
}

static int input_body(void *arg)
{
    skua_cache *untouched = (skua_cache *)(uintptr_t)8, *cache = untouched;
    const skua_cache_opts bad[] = {
        {.value_bytes = 4},
        {.fill = fill},
        {.fill = fill, .value_bytes = 4, .ttl_ns = -1},
        {.fill = fill, .value_bytes = 4, .failure_ttl_ns = -1},
        {.fill = fill, .value_bytes = 4, .drop = count_drop},
        {.fill = fill, .value_bytes = 4, .retain = count_retain},
    };
    for (int i = 0; i < 6; i++) {
        CHECK_INT(skua_cache_create(&cache, &bad[i]), -EINVAL);
    }
    CHECK_INT(skua_cache_create(&cache, NULL), -EINVAL);
    CHECK_PTR(cache, untouched);
    const skua_cache_opts opts = {
        .fill = fill_by_asking, .arg = &cache, .value_bytes = sizeof(value)};
    CHECK_INT(skua_cache_create(&cache, &opts), 0);
    value got;
    CHECK_INT(get(cache, "key", &got), -EDEADLK);
    skua_cache_destroy(cache);
    return 0;
}

static void odd_arguments(void **state)
{
    run_on_1_2_4(input_body);
}

/* A call of each, none of which may touch the lock. */
static int refusals(skua_cache *cache)
{
    value got = {0};
    skua_cache *another;
    const skua_cache_opts opts = {.fill = fill, .value_bytes = 4};
    skua_flight flight = {{0}};
    const skua_flight_call one = {.fn = return_zero};
    int refused = get(cache, "key", &got) == -ESHUTDOWN;
    refused += skua_cache_put(cache, "key", 3, &got, sizeof got) == -ESHUTDOWN;
    refused += skua_cache_create(&another, &opts) == -ESHUTDOWN;
    refused += skua_flight_run(&flight, &one, SKUA_FOREVER) == -ESHUTDOWN;
    refused += skua_retry(return_zero, NULL, NULL) == -ESHUTDOWN;
    skua_cache_forget(cache, "key", 3);
    skua_cache_clear(cache);
    refused += counts_of(cache).kept == 0;
    skua_cache_destroy(cache);
    return refused;
}

static void in_a_forked_child(void **state)
{
    skua_cache *cache = make();
    int status;
    CHECK_INT(turn_of(cache, "key"), 1); /* on a foreign thread */
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20 * TEST_SCALE);
        _exit(refusals(cache));
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 6);
    CHECK_INT(turn_of(cache, "key"), 1);
    skua_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_made_is_kept),
        TEST(a_hundred_misses_are_one_fill),
        TEST(the_least_recently_used_goes),
        TEST(many_keys),
        TEST(values_age),
        TEST(failures_are_kept_on_demand),
        TEST(a_cancelled_fill_fails_nobody_else),
        TEST(what_was_forgotten_meanwhile_is_not_kept),
        TEST(each_copy_has_an_owner),
        TEST(with_foreign_threads),
        TEST(a_storm),
        TEST(odd_arguments),
        TEST(in_a_forked_child),
    };
    return TEST_RUN(tests);
}
