/* The examples of docs/guide/tasks.md. */
#include <skua/skua.h>
#include <stdio.h>

/* A task: it may block wherever it likes, and its result is >= 0, or an error. */
static int square(void *arg)
{
    const int *number = arg;
    int status = skua_sleep(skua_after(SKUA_MS(10)));
    return status < 0 ? status : *number * *number;
}

static int spawn_and_join(void)
{
    skua_task *tasks[4] = {NULL};
    int sum = 0;
    int status = 0;
    for (int i = 0; i < 4 && status == 0; i++) {
        const skua_spawn_opts opts = {.name = "square", .arg_bytes = sizeof(i)};
        status = skua_spawn(&tasks[i], square, &i, &opts); /* `i` is copied into the task */
    }
    for (int i = 0; i < 4 && status == 0; i++) {
        int result = 0;
        status = skua_join(tasks[i], &result, SKUA_FOREVER);
        sum += result;
    }
    skua_task_release_all(tasks, 4);
    printf("the squares add up to %d\n", sum);
    return status;
}

/* Fails, and says why. */
static int fail(void *arg)
{
    const char *path = arg;
    return skua_fail(-ENOENT, "no settings in %s", path);
}

static int look_at_a_failure(void)
{
    static char path[] = "/nowhere";
    skua_task *task;
    int result = 0;
    int status = skua_spawn(&task, fail, path, NULL);
    if (status < 0) {
        return status;
    }
    status = skua_join(task, &result, SKUA_FOREVER);
    if (status == 0) {
        const skua_error *error = skua_task_error(task);
        printf("it failed: %s (%s)\n", error->text, skua_error_text(result));
    }
    skua_task_release(task);
    return status;
}

static int sleep_for_long(void *arg)
{
    return skua_sleep(skua_after(SKUA_SEC(10)));
}

static int give_up_in_time(void)
{
    int status = skua_within(skua_after(SKUA_MS(20)), sleep_for_long, NULL);
    printf("after 20 ms: %s\n", skua_error_text(status));
    return status == -ETIMEDOUT ? 0 : status;
}

/* Ends when it is cancelled; what must be done in any case is done in a shield. */
static int serve(void *arg)
{
    int status = skua_sleep(SKUA_FOREVER);

    SKUA_SCOPE(shield);
    skua_shield_open(&shield, skua_after(SKUA_SEC(1)));
    int cleaned = skua_sleep(skua_after(SKUA_MS(5)));
    cleaned = skua_scope_close(&shield, cleaned);
    printf("cleaned up: %s\n", cleaned == 0 ? "yes" : skua_error_text(cleaned));
    return status;
}

static int cancel_a_task(void)
{
    skua_task *task;
    int result = 0;
    int status = skua_spawn(&task, serve, NULL, NULL);
    if (status < 0) {
        return status;
    }
    skua_task_cancel(task);
    status = skua_join(task, &result, SKUA_FOREVER);
    printf("the server ended: %s\n", skua_error_text(result));
    skua_task_release(task);
    return status;
}

static const skua_local user = {"user"};

static int greet(void *arg)
{
    printf("hello, %s\n", (const char *)skua_local_get(&user));
    return 0;
}

static int follow_a_value(void)
{
    static char ada[] = "Ada";
    static char grace[] = "Grace";
    skua_task *task;
    int status = skua_local_set(&user, ada);
    if (status == 0) {
        status = skua_spawn(&task, greet, NULL, NULL);
    }
    if (status == 0) {
        status = skua_local_set(&user, grace); /* comes too late for the task */
        int joined = skua_join(task, NULL, SKUA_FOREVER);
        status = status < 0 ? status : joined;
        skua_task_release(task);
    }
    return status;
}

/* The first task. */
static int run(void *arg)
{
    int status = spawn_and_join();
    status = status < 0 ? status : look_at_a_failure();
    status = status < 0 ? status : give_up_in_time();
    status = status < 0 ? status : cancel_a_task();
    return status < 0 ? status : follow_a_value();
}

int main(void)
{
    int status = skua_run(NULL, run, NULL);
    if (status < 0) {
        fprintf(stderr, "%s\n", skua_error_text(status));
    }
    return status < 0;
}
