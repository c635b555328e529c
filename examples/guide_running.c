/* The examples of docs/guide/running.md. */
#include <signal.h>
#include <skua/skua.h>
#include <stdatomic.h>
#include <stdio.h>

/* --- the plain entry -------------------------------------------------------------------------- */

/* What one worker of a server does until it is told to stop. */
static int serve(void *arg)
{
    atomic_int *served = arg;
    while (!skua_stopping()) {
        int status = skua_sleep(skua_after(SKUA_MS(1))); /* a request */
        if (status < 0) {
            return status; /* the drain was over: give up what is under way */
        }
        atomic_fetch_add(served, 1);
    }
    return 0;
}

static int run_server(void *arg)
{
    atomic_int served = 0;
    skua_task *servers[3];
    for (int i = 0; i < 3; i++) {
        int status = skua_spawn(&servers[i], serve, &served, NULL);
        if (status < 0) {
            return status;
        }
    }
    raise(SIGTERM); /* stands for "kill" at a prompt */
    int failures = 0;
    for (int i = 0; i < 3; i++) {
        int status = 0;
        int joined = skua_join(servers[i], &status, SKUA_FOREVER);
        failures += joined < 0 || status < 0;
        skua_task_release(servers[i]);
    }
    printf("stopped in good order: %s\n", failures == 0 ? "yes" : "no");
    return 0;
}

static void plain_entry(void)
{
    const skua_config config = {.drain_ns = SKUA_SEC(10)};
    int status = skua_run(&config, run_server, NULL);
    printf("main returned %d, signal %d\n", status, skua_run_signal());
}

/* --- a runtime of one's own ------------------------------------------------------------------- */

static int say(void *arg)
{
    printf("%s\n", (const char *)arg);
    return 0;
}

static void say_soon(void *arg)
{
    printf("%s\n", (const char *)arg);
}

static int say_both(void *arg)
{
    skua_task *tasks[2] = {NULL, NULL};
    int status = skua_spawn(&tasks[0], say, (void *)"Task 1", NULL);
    if (status == 0) {
        status = skua_spawn(&tasks[1], say, (void *)"Task 2", NULL);
    }
    for (int i = 0; i < 2 && status == 0; i++) {
        status = skua_join(tasks[i], NULL, SKUA_FOREVER);
    }
    skua_task_release_all(tasks, 2);
    return status;
}

static int own_runtime(void)
{
    const skua_config config = {.workers = 1}; /* one worker: the order is the one of asyncio */
    skua_runtime *runtime;
    int status = skua_runtime_create(&runtime, &config);
    if (status < 0) {
        return status;
    }
    status = skua_call_soon(runtime, say_soon, (void *)"Callback");
    if (status == 0) {
        status = skua_call_later(NULL, runtime, SKUA_SEC(1), say_soon, (void *)"Delayed");
    }
    if (status == 0) {
        status = skua_call(runtime, say, (void *)"Task 1", SKUA_FOREVER);
    }
    if (status == 0) {
        status = skua_call(runtime, say_both, NULL, SKUA_FOREVER);
    }
    skua_runtime_destroy(runtime); /* at once: the timer is dropped */
    return status;
}

/* --- no more than so many --------------------------------------------------------------------- */

static int take_a_while(void *arg)
{
    return skua_sleep(skua_after(SKUA_US(100)));
}

static int spawn_many(void *arg)
{
    int refused = 0;
    for (int i = 0; i < 1000; i++) {
        int status;
        while ((status = skua_spawn(NULL, take_a_while, NULL, NULL)) == -EAGAIN &&
               (status = skua_task_room(NULL, SKUA_FOREVER)) == 0) {
            refused++; /* there was no room, and now there is */
        }
        if (status < 0) {
            return status;
        }
    }
    skua_counts counts;
    skua_runtime_counts(NULL, &counts);
    printf("%llu tasks started, no more than 100 at once; main had to wait: %s\n",
           (unsigned long long)counts.tasks_started, refused > 0 ? "yes" : "no");
    return 0;
}

static int limited(void)
{
    const skua_config config = {.max_tasks = 100};
    return skua_run(&config, spawn_many, NULL);
}

/* --- what nobody asked for -------------------------------------------------------------------- */

static void log_failure(const skua_error *error, void *log)
{
    fprintf(log, "%s: %s (%d)\n", error->task_name, error->text, error->code);
}

static int fail(void *arg)
{
    return skua_fail(-ENOENT, "no such user: %s", (const char *)arg);
}

static int forget_a_task(void *arg)
{
    const skua_spawn_opts opts = {.name = "lookup"};
    return skua_spawn(NULL, fail, (void *)"auk", &opts); /* nobody will ask */
}

static int logged(void)
{
    const skua_config config = {.on_failure = log_failure, .hook_arg = stdout};
    return skua_run(&config, forget_a_task, NULL);
}

int main(void)
{
    plain_entry();
    int status = own_runtime();
    if (status == 0) {
        status = limited();
    }
    if (status == 0) {
        status = logged();
    }
    return status == 0 ? 0 : 1;
}
