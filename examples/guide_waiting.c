/* The examples of docs/guide/waiting.md, which the tests run with
   SKUA_CLOCK=virtual. */
#include <skua/skua.h>
#include <stdio.h>

enum { PAGES = 3 };

/* A page that takes a while to come, and has a size, or does not exist. */
struct page {
    const char *name;
    int after_ms;
    int result;
};

static int fetch(void *arg)
{
    const struct page *page = arg;
    int status = skua_sleep(skua_after(SKUA_MS(page->after_ms)));
    return status < 0 ? status : page->result;
}

/* All or none. */
static int fetch_all(skua_task *tasks[], struct page pages[])
{
    return skua_spawn_many(tasks, fetch, pages, sizeof(struct page), PAGES, NULL);
}

static int add_up(void)
{
    struct page pages[PAGES] = {{"index", 200, 100}, {"news", 10, 20}, {"about", 100, 3}};
    skua_task *tasks[PAGES];
    int sizes[PAGES];
    int status = fetch_all(tasks, pages);
    if (status < 0) {
        return status;
    }
    status = skua_gather(tasks, PAGES, sizes, SKUA_FOREVER);
    for (int i = 0; i < PAGES && status == 0; i++) {
        printf("%s has %d bytes\n", pages[i].name, sizes[i]);
    }
    skua_task_release_all(tasks, PAGES);
    return status;
}

static int fail_early(void)
{
    struct page pages[PAGES] = {{"index", 200, 100}, {"lost", 10, -ENOENT}, {"about", 100, 3}};
    skua_task *tasks[PAGES];
    int status = fetch_all(tasks, pages);
    if (status < 0) {
        return status;
    }
    status = skua_gather(tasks, PAGES, NULL, SKUA_FOREVER);
    printf("one failed: %s\n", skua_error_text(status));
    printf("index is %s\n", skua_task_state(tasks[0]) == SKUA_RUNNING ? "on its way" : "there");
    status = skua_gather(&tasks[0], 1, NULL, SKUA_FOREVER);
    skua_task_release_all(tasks, PAGES);
    return status;
}

/* The first mirror that answers will do. */
static int take_the_fastest(void)
{
    struct page mirrors[PAGES] = {{"here", 10, 1}, {"there", 2000, 1}, {"far away", 5000, 1}};
    skua_task *tasks[PAGES];
    bool done[PAGES];
    int status = fetch_all(tasks, mirrors);
    if (status < 0) {
        return status;
    }
    ssize_t ended = skua_wait(tasks, PAGES, SKUA_FIRST_DONE, done, skua_after(SKUA_SEC(30)));
    for (int i = 0; i < PAGES && ended >= 0; i++) {
        printf("%s: %s\n", mirrors[i].name, done[i] ? "answered" : "not needed");
        if (!done[i]) {
            skua_task_cancel(tasks[i]); /* it would run on */
        }
    }
    skua_task_release_all(tasks, PAGES);
    return ended < 0 ? (int)ended : 0;
}

static int show_as_they_come(void)
{
    struct page pages[PAGES] = {{"index", 200, 100}, {"news", 10, 20}, {"about", 100, 3}};
    skua_task *tasks[PAGES];
    skua_as_completed *completed = NULL;
    int status = fetch_all(tasks, pages);
    if (status < 0) {
        return status;
    }
    status = skua_as_completed_create(&completed, tasks, PAGES);
    while (status >= 0) {
        skua_task *task;
        size_t index;
        status = skua_as_completed_next(completed, &task, &index, skua_after(SKUA_SEC(30)));
        if (status <= 0) {
            break; /* 0: that were all */
        }
        printf("%s is there\n", pages[index].name);
    }
    skua_as_completed_destroy(completed);
    skua_task_release_all(tasks, PAGES);
    return status;
}

static int run(void *arg)
{
    (void)arg;
    int status = add_up();
    status = status < 0 ? status : fail_early();
    status = status < 0 ? status : take_the_fastest();
    return status < 0 ? status : show_as_they_come();
}

int main(void)
{
    int status = skua_run(NULL, run, NULL);
    if (status < 0) {
        fprintf(stderr, "%s\n", skua_error_text(status));
    }
    return status < 0;
}
