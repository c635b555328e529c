/* The plain entry: skua_run(), and what it does with SIGINT and SIGTERM.

   The handler touches only what is static, since the run that it interrupts may end at any moment:
   it counts, rings `bell`, and goes. The thread that called skua_run() sleeps on that bell, which
   the end of the main task rings too, and does what there is to do: the first signal drains, the
   second cancels. The third is given back to the kernel by the handler itself, so that it works
   also when that thread is busy taking the runtime down.

     (G1) `received` counts the signals since handlers were installed; a run takes those for its own
          that came after it had begun. Several runs at once all heed the same signals.
     (G2) Handlers are installed by the first of several runs and removed by the last, under the
          lock, and only where the action was the default one and is ours still.
     (G3) Nothing but atomics and system calls happens in the handler, and errno is kept.

   Rejected: a thread that waits for signals (one more thread for each run, and every other thread
   would have to block them, which programs that the tasks start would inherit); signalfd (the
   same). */
#define _GNU_SOURCE 1
#include "sched/signals.h"
#include "base/futex.h"
#include "base/lock.h"
#include "mem/forked.h"
#include "sched/runtime.h"

#include <limits.h>
#include <signal.h>
#include <skua/control.h>
#include <stdlib.h>
#include <string.h>

enum { DRAIN_SECONDS_DEFAULT = 1, SIGNALS_TO_CANCEL = 2, SIGNALS_TO_DIE = 3 };

static const int numbers[] = {SIGINT, SIGTERM};
enum { NUMBERS = sizeof numbers / sizeof numbers[0] };

static _Atomic uint32_t bell, received;
static _Atomic int latest;

/* Under the lock. */
static struct skua__lock installed_lock;
static uint32_t users;
static bool is_installed[NUMBERS];

/* --- the handler ------------------------------------------------------------------------------ */

static void ring(void)
{
    /* release: publishes what it is rung for; pairs with the acquire in await_main(). */
    skua__fetch_add(&bell, 1, release);
    skua__futex_wake(&bell, INT_MAX, false);
}

static void on_signal(int number)
{
    int saved_errno = errno;
    skua__store(&latest, number, relaxed);
    /* In a child that the program has forked there is nobody whom the bell could wake. */
    if (skua__process_is_forked() || skua__fetch_add(&received, 1, relaxed) + 1 >= SIGNALS_TO_DIE) {
        signal(number, SIG_DFL);
        raise(number); /* delivered when the handler returns */
    }
    ring();
    errno = saved_errno;
}

static void install(void)
{
    skua__store(&received, 0, relaxed);
    for (int i = 0; i < NUMBERS; i++) {
        struct sigaction present, ours = {.sa_handler = on_signal};
        ours.sa_flags = SA_RESTART | SA_ONSTACK;
        sigaction(numbers[i], NULL, &present);
        is_installed[i] = (present.sa_flags & SA_SIGINFO) == 0 && present.sa_handler == SIG_DFL;
        if (is_installed[i]) {
            sigaction(numbers[i], &ours, NULL);
        }
    }
}

static void uninstall(void)
{
    for (int i = 0; i < NUMBERS; i++) {
        struct sigaction present;
        sigaction(numbers[i], NULL, &present);
        if (is_installed[i] && skua__run_has_handler(&present)) {
            signal(numbers[i], SIG_DFL);
        }
    }
}

/* Returns how many signals had come before: with the first run's handlers, none. */
static uint32_t use_handlers(void)
{
    uint32_t before = 0;
    skua__lock(&installed_lock, SKUA__RANK_SERVICE);
    if (users++ == 0) {
        install();
    } else {
        before = skua__load(&received, relaxed);
    }
    skua__unlock(&installed_lock, SKUA__RANK_SERVICE);
    return before;
}

static void leave_handlers(void)
{
    skua__lock(&installed_lock, SKUA__RANK_SERVICE);
    if (--users == 0) {
        uninstall();
    }
    skua__unlock(&installed_lock, SKUA__RANK_SERVICE);
}

bool skua__run_has_handler(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) == 0 && action->sa_handler == on_signal;
}

bool skua__run_heeds_signals(void)
{
    skua__lock(&installed_lock, SKUA__RANK_SERVICE);
    bool is_used = users > 0;
    skua__unlock(&installed_lock, SKUA__RANK_SERVICE);
    return is_used;
}

int skua_run_signal(void)
{
    return skua__load(&latest, relaxed);
}

/* --- running ---------------------------------------------------------------------------------- */

/* One skua_run(), in its frame. */
struct run {
    skua_fn fn;
    void *arg;
    skua_runtime *runtime;
    int64_t drain_ns;
    bool heeds_signals;
    uint32_t signals_before; /* of other runs (G1) */
    uint32_t signals_heeded;
    _Atomic bool has_ended;
};

static int run_main(void *arg)
{
    struct run *run = arg;
    int status = run->fn(run->arg);
    skua__store(&run->has_ended, true, relaxed); /* published by the bell */
    ring();
    return status;
}

static void heed_signals(struct run *run)
{
    uint32_t count = skua__load(&received, relaxed) - run->signals_before;
    if (!run->heeds_signals || count <= run->signals_heeded) {
        return;
    }
    bool is_at_once = count >= SIGNALS_TO_CANCEL || run->drain_ns < 0;
    run->signals_heeded = count;
    skua_drain(run->runtime, is_at_once ? SKUA_NOW : skua_after(run->drain_ns));
}

static void await_main(struct run *run)
{
    for (;;) {
        /* acquire: pairs with the release in ring(). */
        uint32_t rung = skua__load(&bell, acquire);
        if (skua__load(&run->has_ended, relaxed)) {
            return;
        }
        heed_signals(run);
        skua__futex_wait(&bell, rung, SKUA__NEVER, false);
    }
}

static int run_to_end(struct run *run)
{
    skua_task *task;
    int result = 0;
    const skua_spawn_opts opts = {.name = "main"};
    int status = (skua_submit)(run->runtime, &task, run_main, run, &opts);
    if (status == 0) {
        await_main(run);
        status = skua_join(task, &result, SKUA_FOREVER);
        skua_task_release(task);
    }
    if (status < 0) {
        return status;
    }
    return result == -ECANCELED && run->signals_heeded > 0 ? -EINTR : result;
}

static void begin(struct run *run, const skua_config *config)
{
    run->drain_ns = config != NULL ? config->drain_ns : 0;
    if (run->drain_ns == 0) {
        run->drain_ns = SKUA_SEC(DRAIN_SECONDS_DEFAULT);
    }
    run->heeds_signals = config == NULL || !config->leave_signals;
    if (run->heeds_signals) {
        run->signals_before = use_handlers();
    }
    skua__store(&run->runtime->is_alone, true, relaxed);
}

int (*skua__run_virtually)(const skua_config *config, skua_fn fn, void *arg);

int skua_run(const skua_config *config, skua_fn main_fn, void *arg)
{
    if (main_fn == NULL) {
        return -EINVAL;
    }
    const char *clock = getenv("SKUA_CLOCK");
    if (skua__run_virtually != NULL && clock != NULL && strcmp(clock, "virtual") == 0) {
        return skua__run_virtually(config, main_fn, arg);
    }
    struct run run = {.fn = main_fn, .arg = arg};
    int status = skua_runtime_create(&run.runtime, config);
    if (status < 0) {
        return status;
    }
    begin(&run, config);
    status = run_to_end(&run);
    skua_runtime_destroy(run.runtime);
    if (run.heeds_signals) {
        leave_handlers();
    }
    return status;
}
