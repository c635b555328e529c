/* One test run: a runtime with the kit as its director, a watchdog, and a look at what is left.

   Threads: the caller's, which waits; the runtime's; the watchdog's. The run is the process's only
   one (is_taken). At its end the main task cancels what still runs by itself, inside of the
   schedule: a foreign thread would do that at a moment of its own. */
#include "base/clock.h"
#include "base/futex.h"
#include "base/mem.h"
#include "base/panic.h"
#include "base/random.h"
#include "sched/drain.h"
#include "testing/kit.h"

#include <pthread.h>
#include <skua/control.h>
#include <stdlib.h>
#include <unistd.h>

#define TIMEOUT_NS_DEFAULT SKUA_SEC(20)

struct run {
    struct skua__kit *kit;
    const skua_config *config; /* NULL: that of a test */
    const skua_test_opts *opts;
    skua_fn fn;
    void *arg;
};

/* --- the watchdog ----------------------------------------------------------------------------- */

static void tell_seed(const struct skua__kit *kit)
{
    if (kit->director.is_seeded) {
        skua__report("%s: SKUA_SEED=%llu repeats this schedule", kit->name,
                     (unsigned long long)skua_test_seed());
    }
}

static void set_runtime(struct skua__kit *kit, skua_runtime *runtime)
{
    skua__lock(&kit->lock, SKUA__RANK_DIRECTOR);
    kit->runtime = runtime;
    skua__unlock(&kit->lock, SKUA__RANK_DIRECTOR);
}

static skua_runtime *get_runtime(struct skua__kit *kit)
{
    skua__lock(&kit->lock, SKUA__RANK_DIRECTOR);
    skua_runtime *runtime = kit->runtime;
    skua__unlock(&kit->lock, SKUA__RANK_DIRECTOR);
    return runtime;
}

static void *watch(void *arg)
{
    struct skua__kit *kit = arg;
    int64_t until = skua__clock_real_ns() + kit->timeout_ns;
    while (skua__load(&kit->watch_bell, relaxed) == 0) {
        if (skua__clock_real_ns() >= until) {
            skua__report("%s: hang: it has not ended after %lld ms", kit->name,
                         (long long)(kit->timeout_ns / SKUA_MS(1)));
            skua_runtime *runtime = get_runtime(kit);
            if (runtime != NULL) {
                skua_dump(runtime, STDERR_FILENO);
            }
            tell_seed(kit);
            abort();
        }
        skua__futex_wait(&kit->watch_bell, 0, until, false);
    }
    return NULL;
}

static void end_watch(struct skua__kit *kit, pthread_t watchdog)
{
    skua__store(&kit->watch_bell, 1, relaxed);
    skua__futex_wake(&kit->watch_bell, 1, false);
    pthread_join(watchdog, NULL);
}

/* --- the main task ---------------------------------------------------------------------------- */

static void handle_left(struct skua__director *director, const skua_task *task)
{
    struct skua__kit *kit = SKUA_CONTAINER(director, struct skua__kit, director);
    (void)task; /* the runtime names it */
    kit->leaks++;
}

static int run_main(void *arg)
{
    const struct run *run = arg;
    struct skua__kit *kit = run->kit;
    skua__kit_set_subject(kit, skua_self());
    if (run->opts->fail_nth_alloc > 0) {
        skua__store(&skua__alloc_budget, (int64_t)run->opts->fail_nth_alloc - 1, relaxed);
    }
    int status = run->fn(run->arg);
    skua__store(&skua__alloc_budget, -1, relaxed);
    skua__kit_set_subject(kit, NULL);
    skua_runtime *runtime = skua_runtime_current();
    /* Who drains has asked for the end of what is left, and a task of the library sees to it. */
    if (!run->opts->allow_leaks && !skua__runtime_is_draining(runtime)) {
        kit->leaks += skua__report_running_tasks(kit);
    }
    kit->is_ending = true;
    skua__runtime_cancel_all(runtime);
    return status;
}

/* The runtime is there: what runs in it, until it is gone. */
static int run_in(skua_runtime *runtime, struct run *run)
{
    skua_task *task = NULL;
    int result = 0;
    const skua_spawn_opts opts = {.name = "main"};
    int status = skua_submit(runtime, &task, run_main, run, &opts);
    if (status == 0) {
        status = skua_join(task, &result, SKUA_FOREVER);
        skua_task_release(task);
    }
    return status < 0 ? status : result;
}

static int run_watched(struct run *run)
{
    struct skua__kit *kit = run->kit;
    skua_runtime *runtime = NULL;
    const skua_config of_test = {.workers = run->opts->workers > 0 ? run->opts->workers : 1,
                                 .name = "test"};
    const skua_config *config = run->config != NULL ? run->config : &of_test;
    int status = skua__runtime_create(&runtime, config, &kit->director);
    if (status < 0) {
        return status;
    }
    set_runtime(kit, runtime);
    pthread_t watchdog;
    skua__store(&kit->watch_bell, 0, relaxed);
    bool is_watched = kit->timeout_ns > 0 && pthread_create(&watchdog, NULL, watch, kit) == 0;
    status = run_in(runtime, run);
    set_runtime(kit, NULL);
    skua_runtime_destroy(runtime);
    if (is_watched) {
        end_watch(kit, watchdog);
    }
    return status;
}

/* --- options ---------------------------------------------------------------------------------- */

static uint64_t choose_seed(const skua_test_opts *opts)
{
    const char *text = getenv("SKUA_SEED");
    if (opts->seed != 0) {
        return opts->seed;
    }
    if (text != NULL && *text != '\0') {
        return strtoull(text, NULL, 0);
    }
    uint64_t state = (uint64_t)skua__clock_real_ns() ^ (uint64_t)getpid() << 32;
    return skua__random_next(&state) >> 32; /* short enough to be typed */
}

static int begin(struct skua__kit *kit, const skua_test_opts *opts)
{
    if (opts->seeded && opts->workers > 1) {
        return -EINVAL;
    }
    /* acquire: pairs with the release in end(): runs follow each other. */
    if (skua__exchange(&kit->is_taken, true, acquire)) {
        return -EBUSY;
    }
    kit->name = opts->name != NULL ? opts->name : "test";
    kit->timeout_ns = opts->timeout_ns == 0 ? TIMEOUT_NS_DEFAULT : opts->timeout_ns;
    kit->is_manual = opts->manual_clock;
    kit->leaks = 0;
    kit->director.handle_left = handle_left;
    skua__kit_failures_begin(kit);
    skua__kit_schedule_begin(kit, opts->seeded, choose_seed(opts));
    skua__kit_clock_begin(kit, opts->virtual_clock || opts->manual_clock || opts->seeded);
    return 0;
}

static void end(struct skua__kit *kit)
{
    skua__kit_clock_end(kit);
    /* release: orders all of this run before the next; pairs with the acquire in begin(). */
    skua__store(&kit->is_taken, false, release);
}

static int run_test(struct run *run)
{
    static struct skua__belongings before; /* one run at a time */
    struct skua__kit *kit = run->kit;
    if (run->fn == NULL) {
        return -EINVAL;
    }
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    int status = begin(kit, run->opts);
    if (status < 0) {
        return status;
    }
    if (!run->opts->allow_leaks) {
        skua__belongings_note(&before);
    }
    status = run_watched(run);
    if (!run->opts->allow_leaks) {
        kit->leaks += skua__belongings_report_new(&before, kit->name);
    }
    if (skua__kit_has_failed(kit)) {
        status = SKUA_TEST_FAILED;
    } else if (status >= 0 && kit->leaks > 0) {
        status = -ENOTEMPTY;
    }
    if (status < 0) {
        tell_seed(kit);
    }
    end(kit);
    return status;
}

int skua_test_run(const skua_test_opts *opts, skua_fn fn, void *arg)
{
    static const skua_test_opts defaults;
    struct run run = {
        .kit = &skua__kit, .opts = opts != NULL ? opts : &defaults, .fn = fn, .arg = arg};
    return run_test(&run);
}

/* --- programs on the virtual clock ------------------------------------------------------------ */

/* skua_run() with SKUA_CLOCK=virtual in the environment. */
static int run_program(const skua_config *config, skua_fn fn, void *arg)
{
    static const skua_config defaults;
    const skua_test_opts opts = {.virtual_clock = true, .allow_leaks = true, .name = "skua_run"};
    struct run run = {.kit = &skua__kit,
                      .config = config != NULL ? config : &defaults,
                      .opts = &opts,
                      .fn = fn,
                      .arg = arg};
    return run_test(&run);
}

__attribute__((constructor)) static void offer_virtual_clock(void)
{
    skua__run_virtually = run_program;
}
