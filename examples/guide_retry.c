/* The examples of docs/guide/retry.md, which the tests run with
   SKUA_CLOCK=virtual. */
#include <skua/skua.h>
#include <stdio.h>
#include <string.h>

/* A server that answers the third time. */
struct server {
    int calls;
};

static int ask_server(void *arg)
{
    struct server *server = arg;
    server->calls++;
    return server->calls < 3 ? -ECONNREFUSED : 200;
}

/* A refused connection may work the next time; a wrong address will not. */
static bool is_passing(int status, void *arg)
{
    (void)arg;
    return status == -ECONNREFUSED || status == -ETIMEDOUT;
}

static int ask_again(void)
{
    struct server server = {0};
    const skua_retry_opts opts = {.attempts = 5,
                                  .base_ns = SKUA_MS(10),
                                  .cap_ns = SKUA_SEC(1),
                                  .jitter_percent = 50,
                                  .each_ns = SKUA_SEC(5),
                                  .retryable = is_passing,
                                  .deadline = skua_after(SKUA_SEC(30))};
    int status = skua_retry(ask_server, &server, &opts);
    printf("attempt %d: status %d\n", server.calls, status);
    return status;
}

/* What a task wants to know, and will know. */
struct question {
    skua_flight *flight;
    int *readings;
    int answer;
};

static int read_sensor(void *arg)
{
    struct question *question = arg;
    ++*question->readings;
    int status = skua_sleep(skua_after(SKUA_MS(50))); /* a slow device */
    question->answer = 21;
    return status;
}

static int ask_sensor(void *arg)
{
    struct question *question = arg;
    const skua_flight_call call = {.key = "sensor",
                                   .key_bytes = strlen("sensor"),
                                   .fn = read_sensor,
                                   .arg = question,
                                   .value = &question->answer,
                                   .value_bytes = sizeof question->answer};
    return skua_flight_run(question->flight, &call, skua_after(SKUA_SEC(10)));
}

enum { TASKS = 100 };

static int ask_at_once(void)
{
    skua_flight flight = {{0}};
    struct question questions[TASKS];
    skua_task *tasks[TASKS];
    int readings = 0;
    int sum = 0;
    for (int i = 0; i < TASKS; i++) {
        questions[i] = (struct question){.flight = &flight, .readings = &readings};
    }
    int status = skua_spawn_many(tasks, ask_sensor, questions, sizeof questions[0], TASKS, NULL);
    if (status < 0) {
        return status;
    }
    status = skua_gather(tasks, TASKS, NULL, SKUA_FOREVER);
    skua_task_release_all(tasks, TASKS);
    for (int i = 0; i < TASKS; i++) {
        sum += questions[i].answer;
    }
    printf("%d tasks, sum %d, readings: %d\n", TASKS, sum, readings);
    return status;
}

/* Makes the value of a key: slowly, so it is kept. */
static int look_up_length(const void *key, size_t key_bytes, void *value, void *arg)
{
    int *lookups = arg;
    int *length = value;
    ++*lookups;
    if (memchr(key, '/', key_bytes) == NULL) {
        return -ENOENT;
    }
    *length = (int)key_bytes;
    return skua_sleep(skua_after(SKUA_MS(1)));
}

static int keep_it(void)
{
    int lookups = 0;
    skua_cache *cache;
    const skua_cache_opts opts = {.fill = look_up_length,
                                  .arg = &lookups,
                                  .value_bytes = sizeof(int),
                                  .count_max = 1000,
                                  .ttl_ns = SKUA_SEC(60),
                                  .failure_ttl_ns = SKUA_SEC(5)};
    int status = skua_cache_create(&cache, &opts);
    if (status < 0) {
        return status;
    }
    const char *const keys[] = {"/home", "nowhere", "/home", "nowhere", "/"};
    for (int i = 0; i < 5; i++) {
        int length = 0;
        status = skua_cache_get(cache, keys[i], strlen(keys[i]), SKUA_ITEM(length), SKUA_FOREVER);
        printf("%s: %s %d\n", keys[i], skua_error_text(status), length);
    }
    printf("looked up: %d\n", lookups);
    skua_cache_destroy(cache);
    return 0;
}

static int run(void *arg)
{
    (void)arg;
    int status = ask_again();
    status = status < 0 ? status : ask_at_once();
    return status < 0 ? status : keep_it();
}

int main(void)
{
    int status = skua_run(NULL, run, NULL);
    if (status < 0) {
        fprintf(stderr, "%s\n", skua_error_text(status));
    }
    return status < 0;
}
