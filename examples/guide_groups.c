/* The examples of docs/guide/groups.md, which the tests run with
   SKUA_CLOCK=virtual. */
#include <skua/skua.h>
#include <stdio.h>

/* --- a group ---------------------------------------------------------------------------------- */

struct page {
    const char *name;
    int delay_ms, bytes;
};

/* Stands for something that takes time and may fail. */
static int fetch(void *arg)
{
    struct page *page = arg;
    int status = skua_sleep(skua_after(SKUA_MS(page->delay_ms)));
    if (status < 0) {
        return status;
    }
    if (page->bytes == 0) {
        return skua_fail(-ENOENT, "no page '%s'", page->name);
    }
    return 0;
}

static int fetch_all(struct page pages[], int count)
{
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    int status = 0;
    for (int i = 0; i < count && status == 0; i++) {
        status = skua_group_spawn(&group, fetch, &pages[i]);
    }
    return skua_group_close(&group, status); /* all of them have ended here */
}

static int run_group(void *arg)
{
    struct page pages[] = {{"news", 2, 100}, {"mail", 1, 200}, {"maps", 3, 300}};
    int status = fetch_all(pages, 3);
    printf("three pages: %s\n", skua_error_text(status));
    struct page broken[] = {{"slow", 60000, 1}, {"gone", 1, 0}};
    status = fetch_all(broken, 2); /* does not take a minute */
    printf("a broken one: %s\n", skua_error_text(status));
    return 0;
}

/* --- the first that succeeds ------------------------------------------------------------------ */

static int ask_mirror(void *arg)
{
    int number = *(int *)arg;
    int status = skua_sleep(skua_after(SKUA_MS(number * 20)));
    return status < 0 ? status : number == 1 ? -EHOSTDOWN : number;
}

static int run_mirrors(void *arg)
{
    int mirrors[] = {3, 1, 2};
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_ANY_SUCCESS, skua_after(SKUA_SEC(10)));
    int status = 0;
    for (int i = 0; i < 3 && status == 0; i++) {
        status = skua_group_spawn(&group, ask_mirror, &mirrors[i]);
    }
    status = skua_group_close(&group, status);
    printf("mirror %d has answered first\n", status);
    return status;
}

/* --- a server that is ready ------------------------------------------------------------------- */

static int serve(void *arg)
{
    static int port = 4711;
    skua_started(&port); /* from here on others may connect */
    return skua_sleep(SKUA_FOREVER);
}

static int run_server(void *arg)
{
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    void *port;
    int status = skua_group_start(&group, serve, NULL, &port, skua_after(SKUA_SEC(5)));
    if (status == 0) {
        printf("the server listens at port %d\n", *(int *)port);
        skua_group_cancel(&group); /* on purpose: the close returns 0 */
    }
    return skua_group_close(&group, status);
}

/* --- members as they end ---------------------------------------------------------------------- */

static int run_join_set(void *arg)
{
    struct page pages[] = {{"late", 40, 10}, {"early", 1, 20}, {"gone", 20, 0}};
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_JOIN_SET, SKUA_FOREVER);
    int status = 0;
    for (int i = 0; i < 3 && status == 0; i++) {
        skua_spawn_opts opts = {.group = &group, .name = pages[i].name};
        status = skua_spawn(NULL, fetch, &pages[i], &opts);
    }
    skua_task *task;
    int got = 0;
    while (status == 0 && (got = skua_group_next(&group, &task, SKUA_FOREVER)) == 1) {
        const skua_error *error = skua_task_error(task);
        printf("%s: %s\n", skua_task_name(task), error != NULL ? error->text : "fetched");
        skua_task_release(task);
    }
    return skua_group_close(&group, status < 0 ? status : got);
}

/* --- errors by kind --------------------------------------------------------------------------- */

enum { HTTP = 1 };

static int answer(void *arg)
{
    int number = *(int *)arg;
    return number < 0 ? number : skua_fail(SKUA_ERR(HTTP, number), "status %d", number);
}

static int run_errors(void *arg)
{
    int answers[] = {404, -ETIMEDOUT, 500};
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_COLLECT, SKUA_FOREVER);
    int status = 0;
    for (int i = 0; i < 3 && status == 0; i++) {
        status = skua_group_spawn(&group, answer, &answers[i]);
    }
    status = skua_group_close(&group, status);
    const skua_error *errors[8];
    size_t count = skua_group_errors(&group, errors, 8);
    int http = HTTP;
    size_t of_http = skua_errors_split(errors, count, skua_error_has_class, &http);
    for (size_t i = 0; i < of_http; i++) {
        printf("http: %s\n", errors[i]->text);
    }
    for (size_t i = of_http; i < count; i++) {
        printf("other: %s\n", skua_error_text(errors[i]->code));
    }
    return 0;
}

/* --- map -------------------------------------------------------------------------------------- */

struct number {
    int value, square;
};

static int square(void *arg)
{
    struct number *number = arg;
    int status = skua_sleep(skua_after(number->value == 3 ? SKUA_SEC(60) : SKUA_US(10)));
    number->square = number->value * number->value;
    return status;
}

static int run_map(void *arg)
{
    struct number numbers[] = {{1, 0}, {2, 0}, {3, 0}, {4, 0}};
    int statuses[4];
    const skua_map_opts opts = {
        .limit = 2, .each_ns = SKUA_MS(200), .policy = SKUA_COLLECT, .statuses = statuses};
    int status = skua_map(square, numbers, sizeof numbers[0], 4, &opts);
    printf("map: %s\n", skua_error_text(status));
    for (int i = 0; i < 4; i++) {
        if (statuses[i] == 0) {
            printf("%d squared is %d\n", numbers[i].value, numbers[i].square);
        } else {
            printf("%d: %s\n", numbers[i].value, skua_error_text(statuses[i]));
        }
    }
    return 0;
}

static int run_all(void *arg)
{
    skua_fn const parts[] = {run_group, run_mirrors, run_server, run_join_set, run_errors, run_map};
    int status = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status >= 0; i++) {
        status = parts[i](arg);
    }
    return status;
}

int main(void)
{
    const skua_config config = {.workers = 1};
    int status = skua_run(&config, run_all, NULL);
    return status < 0;
}
