/* A group of tasks: when it is closed, all of them have ended. */
#include <skua/skua.h>
#include <stdio.h>

struct page {
    const char *url;
    char data[32];
};

static int fetch(void *arg)
{
    struct page *page = arg;
    int status = skua_sleep(skua_after(SKUA_SEC(1)));
    if (status == 0) {
        snprintf(page->data, sizeof page->data, "data from %s", page->url);
    }
    return status;
}

static int run(void *arg)
{
    struct page pages[] = {{"url1", ""}, {"url2", ""}, {"url3", ""}};
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    int status = 0;
    for (int i = 0; i < 3 && status == 0; i++) {
        status = skua_group_spawn(&group, fetch, &pages[i]);
    }
    status = skua_group_close(&group, status);
    for (int i = 0; i < 3 && status == 0; i++) {
        puts(pages[i].data);
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
