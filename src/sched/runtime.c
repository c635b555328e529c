/* Runtimes: starting, ending, and what all workers share.

   The end of a runtime, step by step:
     1. is_stopping is set: no new tasks; every task there is is cancelled (drain.c).
     2. The tasks end; the last one rings ended_bell. Stubborn ones are named after cleanup_ns.
     3. The services end: their threads are joined.
     4. workers_must_end is set, the workers are woken and joined, then the monitor.
     5. Memory is given back. */
#include "sched/runtime.h"

#include "base/futex.h"
#include "base/mem.h"
#include "base/panic.h"
#include "sched/dispatch.h"
#include "sched/drain.h"
#include "sched/fiber.h"
#include "sched/report.h"
#include "sched/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STAND_INS_MIN = 16,
    WORKERS_MAX = 1024,
    CLEANUP_NS_DEFAULT = 5,
    BLOCKING_THREADS_DEFAULT = 64,
    NAMED_MAX = 10, /* of the tasks whose handles were not released */
};

/* --- what workers and monitor share ----------------------------------------------------------- */

void skua__runtime_heavy_fence(const skua_runtime *runtime)
{
    if (runtime->needs_fences) {
        /* seq_cst: orders the caller's store before its load; pairs with
           skua__runtime_light_fence(). */
        skua__fence(seq_cst);
    } else {
        skua__fence_everywhere();
    }
}

bool skua__runtime_take_poll_token(skua_runtime *runtime)
{
    uint32_t is_free = 0;
    /* acquire: pairs with the release in skua__runtime_return_poll_token(): pollers follow each
       other. */
    if (skua__load(&runtime->poll_token, relaxed) != 0 ||
        !skua__cas(&runtime->poll_token, &is_free, 1, acquire, relaxed)) {
        return false;
    }
    skua__store(&runtime->poll_count, skua__load(&runtime->poll_count, relaxed) + 1, relaxed);
    return true;
}

void skua__runtime_return_poll_token(skua_runtime *runtime)
{
    /* release: orders this holder's polling before the next one's; pairs with the acquire in take.
       */
    skua__store(&runtime->poll_token, 0, release);
}

bool skua__runtime_has_work(skua_runtime *runtime)
{
    if (skua__inject_any(&runtime->injects)) {
        return true;
    }
    for (uint32_t i = 0; i < runtime->worker_capacity; i++) {
        if (skua__ring_count(&runtime->workers[i].ring) > 0) {
            return true;
        }
    }
    return false;
}

void skua__runtime_wake_sleeper(skua_runtime *runtime, struct skua__sleeper *sleeper,
                                enum skua__permit permit)
{
    bool is_polling = sleeper->is_polling; /* the sleeper may be gone once it has its permit */
    /* release: publishes what it was woken for; pairs with the acquire in take_permit(). */
    skua__store(&sleeper->permit, permit, release);
    /* One that polls may have come back by itself meanwhile, and then waits for the permit too. */
    skua__futex_wake(&sleeper->permit, 1, false);
    if (is_polling) {
        struct skua__poller *poller = skua__load(&runtime->poller, relaxed);
        poller->interrupt(poller);
    }
}

/* --- services --------------------------------------------------------------------------------- */

static int make_service(skua_runtime *runtime, enum skua__service_slot slot,
                        struct skua__service **out,
                        int (*create)(skua_runtime *runtime, struct skua__service **out))
{
    int status = 0;
    skua__lock(&runtime->service_lock, SKUA__RANK_SERVICE);
    struct skua__service *service = skua__load(&runtime->services[slot], relaxed);
    if (service == NULL) {
        status = create(runtime, &service);
    }
    if (status == 0) {
        service->runtime = runtime;
        /* release: publishes the service; pairs with the acquire in skua__service_get(). */
        skua__store(&runtime->services[slot], service, release);
        *out = service;
    }
    skua__unlock(&runtime->service_lock, SKUA__RANK_SERVICE);
    return status;
}

int skua__service_get(enum skua__service_slot slot, struct skua__service **out,
                      int (*create)(skua_runtime *runtime, struct skua__service **out))
{
    skua_runtime *runtime = skua_runtime_current();
    skua_require(runtime != NULL);
    /* acquire: pairs with the release in make_service(). */
    struct skua__service *service = skua__load(&runtime->services[slot], acquire);
    if (SKUA_UNLIKELY(service == NULL)) {
        return make_service(runtime, slot, out, create);
    }
    *out = service;
    return 0;
}

void skua__runtime_set_poller(skua_runtime *runtime, struct skua__poller *poller)
{
    /* release: publishes the poller; pairs with the acquire of those who poll. */
    skua__store(&runtime->poller, poller, release);
    /* Workers that are parked already sleep on their permits: one of them has to take the token. */
    struct skua__sleeper *sleeper = skua__idle_claim_any(&runtime->idle);
    if (sleeper != NULL) {
        skua__runtime_wake_sleeper(runtime, sleeper, SKUA__PERMIT_PLAIN);
    }
    skua__monitor_wake(runtime);
}

uint32_t skua__runtime_blocking_threads_max(const skua_runtime *runtime)
{
    return runtime->blocking_threads_max;
}

const char *skua__runtime_name(const skua_runtime *runtime)
{
    return runtime->name;
}

/* --- hooks and the process -------------------------------------------------------------------- */

static struct skua__start_hook *start_hooks;

void skua__runtime_on_start(struct skua__start_hook *hook)
{
    hook->next = start_hooks;
    start_hooks = hook;
}

static void run_start_hooks(void)
{
    for (struct skua__start_hook *hook = start_hooks; hook != NULL; hook = hook->next) {
        hook->run();
    }
}

static const char *task_name_or_null(void)
{
    skua_task *task = skua_self();
    return task != NULL ? skua_task_name(task) : NULL;
}

__attribute__((constructor)) static void let_panics_name_tasks(void)
{
    skua__panic_task_name = task_name_or_null;
}

/* --- starting --------------------------------------------------------------------------------- */

static int apply_config(skua_runtime *runtime, const skua_config *config)
{
    static const skua_config defaults;
    if (config == NULL) {
        config = &defaults;
    }
    if (config->workers > WORKERS_MAX) {
        return -EINVAL;
    }
    runtime->worker_count = config->workers > 0 ? config->workers : skua_worker_count(NULL);
    runtime->worker_capacity = 2 * runtime->worker_count + STAND_INS_MIN;
    const char *forks = getenv("SKUA_FORKS");
    runtime->takes_all_forks = forks != NULL && strcmp(forks, "always") == 0;
    const char *debug = getenv("SKUA_DEBUG");
    runtime->is_debugging = debug != NULL && strcmp(debug, "1") == 0;
    runtime->on_failure = config->on_failure;
    runtime->on_report = config->on_report;
    runtime->hook_arg = config->hook_arg;
    runtime->max_tasks = config->max_tasks;
    runtime->spawns_slowly = runtime->max_tasks != 0 || runtime->is_debugging;
    runtime->cleanup_ns =
        config->cleanup_ns > 0 ? config->cleanup_ns : SKUA_SEC(CLEANUP_NS_DEFAULT);
    runtime->blocking_threads_max =
        config->blocking_threads_max > 0 ? config->blocking_threads_max : BLOCKING_THREADS_DEFAULT;
    int stack_class = skua__stack_class(config->stack_bytes > 0 ? config->stack_bytes
                                                                : SKUA__STACK_BYTES_DEFAULT);
    if (stack_class < 0) {
        return stack_class;
    }
    runtime->stack_class = (uint32_t)stack_class;
    runtime->name = skua__alloc_string(config->name != NULL ? config->name : "skua");
    return runtime->name != NULL ? 0 : -ENOMEM;
}

static void init_worker(skua_runtime *runtime, uint32_t index)
{
    struct skua__worker *worker = &runtime->workers[index];
    worker->runtime = runtime;
    worker->index = index;
    worker->random = (runtime->director != NULL ? runtime->director->seed : 0) + index;
    worker->group = skua__topo_group(runtime->topo, index);
    worker->victims = skua__topo_victims(runtime->topo, index, &worker->victim_count);
    skua__fork_stack_init(&worker->forks);
    if (runtime->takes_all_forks) {
        skua__fork_ask(&worker->forks);
    }
    if (skua__runtime_is_virtual(runtime)) {
        skua__wheel_init_exact(&worker->wheel, skua__clock_ns());
    } else {
        skua__wheel_init(&worker->wheel, skua__clock_ns());
    }
}

static int init_shared(skua_runtime *runtime)
{
    runtime->needs_fences = !skua__fence_everywhere_prepare();
    skua__store(&runtime->cancel_at_ns, SKUA__NEVER, relaxed);
    skua__room_init(&runtime->room);
    skua__callbacks_init(&runtime->callbacks);
    skua__idle_init(&runtime->idle);
    skua__idle_init(&runtime->reserve);
    skua__stacks_init(&runtime->stacks);
    skua__slab_init(&runtime->tasks, sizeof(struct skua_task), 0);
    skua__slab_init(&runtime->forks, sizeof(struct skua__forks), 0);
    skua__slab_init(&runtime->roomy_tasks, sizeof(struct skua__roomy_task), 0);
    skua__slab_init(&runtime->timers, sizeof(struct skua__timer), 0);
    int status = skua__topo_create(&runtime->topo, runtime->worker_capacity);
    if (status == 0) {
        uint32_t groups = skua__topo_groups(runtime->topo, runtime->worker_count);
        status = skua__inject_set_init(&runtime->injects, groups, runtime->worker_count);
    }
    if (status < 0) {
        return status;
    }
    runtime->workers = skua__alloc_aligned(SKUA_CACHE_LINE,
                                           runtime->worker_capacity * sizeof(struct skua__worker));
    if (runtime->workers == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < runtime->worker_capacity; i++) {
        init_worker(runtime, i);
    }
    return 0;
}

/* The first task must not wait for memory that nobody can give back. */
static int reserve_first_stack(skua_runtime *runtime)
{
    struct skua__fiber *fiber = skua__fiber_create(runtime, runtime->stack_class);
    if (fiber == NULL) {
        return -ENOMEM;
    }
    skua__cache_fiber(&runtime->workers[0], fiber);
    return 0;
}

static void wake_all(skua_runtime *runtime, struct skua__idle *idle)
{
    struct skua__sleeper *sleeper;
    while ((sleeper = skua__idle_claim_any(idle)) != NULL) {
        skua__runtime_wake_sleeper(runtime, sleeper, SKUA__PERMIT_PLAIN);
    }
}

static void end_threads(skua_runtime *runtime, uint32_t workers_started, bool has_monitor)
{
    skua__store(&runtime->workers_must_end, true, relaxed);
    skua__runtime_heavy_fence(runtime);
    if (has_monitor) {
        skua__fetch_add(&runtime->monitor_bell, 1, relaxed);
        skua__futex_wake(&runtime->monitor_bell, 1, false);
        pthread_join(runtime->monitor, NULL);
    }
    wake_all(runtime, &runtime->idle);
    wake_all(runtime, &runtime->reserve);
    for (uint32_t i = 0; i < workers_started; i++) {
        skua__worker_join(&runtime->workers[i]);
    }
    for (uint32_t i = 0; i < skua__runtime_stand_ins(runtime); i++) {
        skua__worker_join(&runtime->workers[runtime->worker_count + i]);
    }
}

static void retire_fibers(skua_runtime *runtime)
{
    for (uint32_t stack_class = 0; stack_class < SKUA__STACK_CLASSES; stack_class++) {
        for (uint32_t i = 0; runtime->workers != NULL && i < runtime->worker_capacity; i++) {
            skua__fiber_cache_fini(&runtime->workers[i].cache[stack_class]);
        }
        skua__fiber_pool_fini(&runtime->fibers[stack_class]);
    }
}

static void free_runtime(skua_runtime *runtime)
{
    retire_fibers(runtime);
    skua__slab_fini(&runtime->tasks);
    skua__forks_fini(&runtime->forks);
    skua__slab_fini(&runtime->roomy_tasks);
    skua__slab_fini(&runtime->timers);
    skua__stacks_fini(&runtime->stacks);
    skua__inject_set_fini(&runtime->injects);
    skua__topo_destroy(runtime->topo);
    skua__free(runtime->workers);
    skua__free(runtime->name);
    skua__free(runtime);
}

static int start_threads(skua_runtime *runtime)
{
    skua__store(&runtime->workers_started, runtime->worker_count, relaxed);
    for (uint32_t i = 0; i < runtime->worker_count; i++) {
        int status = skua__worker_start(&runtime->workers[i]);
        if (status < 0) {
            end_threads(runtime, i, false);
            return status;
        }
    }
    if (pthread_create(&runtime->monitor, NULL, skua__monitor_main, runtime) != 0) {
        end_threads(runtime, runtime->worker_count, false);
        return -EAGAIN;
    }
    return 0;
}

int skua__runtime_create(skua_runtime **out, const skua_config *config,
                         struct skua__director *director)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (skua__worker_self() != NULL) {
        return -EDEADLK;
    }
    run_start_hooks();
    skua_runtime *runtime = skua__alloc_aligned(SKUA_CACHE_LINE, sizeof *runtime);
    if (runtime == NULL) {
        return -ENOMEM;
    }
    runtime->director = director;
    int status = apply_config(runtime, config);
    if (status == 0) {
        status = init_shared(runtime);
    }
    if (status == 0) {
        status = reserve_first_stack(runtime);
    }
    if (status == 0) {
        status = start_threads(runtime);
    }
    if (status < 0) {
        free_runtime(runtime);
        return status;
    }
    *out = runtime;
    return 0;
}

int skua_runtime_create(skua_runtime **out, const skua_config *config)
{
    return skua__runtime_create(out, config, NULL);
}

/* --- ending ----------------------------------------------------------------------------------- */

static void count_held(void *object, void *arg)
{
    const struct skua_task *task = object;
    uint64_t *held = arg;
    *held += skua__load(&task->refs, relaxed) != 0;
}

struct naming {
    skua_runtime *runtime;
    uint32_t left;
};

/* The task has ended, and its handles end with the runtime. */
static void end_held(void *object, void *arg)
{
    struct skua_task *task = object;
    struct naming *naming = arg;
    if (skua__load(&task->refs, relaxed) == 0) {
        return;
    }
    struct skua__director *director = naming->runtime->director;
    if (director != NULL) {
        director->handle_left(director, task);
    }
    if (naming->left > 0) {
        naming->left--;
        skua__runtime_report(naming->runtime, SKUA_REPORT_LEFT, "  not released: task '%s'",
                             skua_task_name(task));
    }
    skua__task_report_unseen(task);
    skua__task_free_parts(task);
}

static void end_handles(skua_runtime *runtime)
{
    uint64_t held = 0;
    skua__runtime_visit_tasks(runtime, count_held, &held);
    if (held > 0) {
        skua__runtime_report(runtime, SKUA_REPORT_LEFT,
                             "runtime '%s' has ended while %llu task handles were not released",
                             runtime->name, (unsigned long long)held);
        struct naming naming = {runtime, NAMED_MAX};
        skua__runtime_visit_tasks(runtime, end_held, &naming);
    }
}

/* Threads that have woken a task of ours and are about to leave: a few instructions. */
static void wait_for_outsiders(skua_runtime *runtime)
{
    /* acquire: pairs with the release in outsider_leaves(). */
    while (skua__load(&runtime->outsiders, acquire) != 0) {
        skua__thread_yield();
    }
}

static void end_service(skua_runtime *runtime, enum skua__service_slot slot)
{
    struct skua__service *service = skua__load(&runtime->services[slot], relaxed);
    if (service != NULL) {
        service->destroy(service);
    }
}

/* Nobody may be about to interrupt the poller any more when it goes. */
static void end_services(skua_runtime *runtime)
{
    end_service(runtime, SKUA__SERVICE_PROCESS);
    end_service(runtime, SKUA__SERVICE_BLOCKING);
    end_service(runtime, SKUA__SERVICE_RESOLVER); /* lookups end with the threads */
    wait_for_outsiders(runtime);
    end_service(runtime, SKUA__SERVICE_IO);
    end_service(runtime, SKUA__SERVICE_GEN);
}

void skua_runtime_destroy(skua_runtime *runtime)
{
    if (runtime == NULL || skua__forked()) {
        return;
    }
    struct skua__worker *worker = skua__worker_self();
    if (worker != NULL && worker->runtime == runtime) {
        skua__panic("a runtime cannot be destroyed by one of its own tasks");
    }
    skua__runtime_cancel_all(runtime);
    skua__runtime_await_tasks(runtime);
    /* The workers first: one of them may be polling. */
    end_threads(runtime, runtime->worker_count, true);
    end_services(runtime);
    skua__callbacks_fini(&runtime->callbacks);
    end_handles(runtime);
    free_runtime(runtime);
}

/* --- running ---------------------------------------------------------------------------------- */

int skua_call(skua_runtime *runtime, skua_fn fn, void *arg, skua_time deadline)
{
    skua_task *task;
    int result = 0;
    int status = (skua_submit)(runtime, &task, fn, arg, NULL);
    if (status < 0) {
        return status;
    }
    int joined = skua_join(task, &result, deadline);
    if (joined < 0) {
        skua_task_cancel(task);
        skua_scope shield = {{0}};
        bool is_task = skua_self() != NULL;
        if (is_task) {
            skua_shield_open(&shield, SKUA_FOREVER);
        }
        int ended = skua_join(task, &result, SKUA_FOREVER);
        skua_require(ended == 0);
        skua_scope_fini(&shield);
        result = result == -ECANCELED ? joined : result;
    }
    skua_task_release(task);
    return result;
}

skua_runtime *skua_runtime_current(void)
{
    struct skua__worker *worker = skua__worker_self();
    return worker != NULL && skua__worker_current(worker) != NULL ? worker->runtime : NULL;
}

uint32_t skua_worker_count(const skua_runtime *runtime)
{
    if (runtime != NULL) {
        return runtime->worker_count;
    }
    const char *text = getenv("SKUA_WORKERS");
    int wanted = text != NULL ? atoi(text) : 0;
    return wanted > 0 && wanted <= WORKERS_MAX ? (uint32_t)wanted : skua__topo_worker_count();
}
