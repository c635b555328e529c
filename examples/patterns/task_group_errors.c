/* A group that fails cancels the rest; all of its failures are there, to be handled by kind. */
#include <skua/skua.h>
#include <stdio.h>
#include <stdlib.h>

enum { HTTP = 1 };

struct page {
    const char *url;
    int status;
};

static int fetch(void *arg)
{
    struct page *page = arg;
    int status = skua_sleep(skua_after(SKUA_SEC(1)));
    if (status == 0 && page->status < 0) {
        return page->status;
    }
    if (status == 0) {
        status = skua_sleep(skua_after(SKUA_SEC(100)));
    }
    if (status == -ECANCELED) {
        printf("%s is cancelled\n", page->url);
    }
    return status;
}

static int fetch_all(skua_group *group, struct page pages[], int count)
{
    skua_group_open(group, SKUA_FAIL_FAST, SKUA_FOREVER);
    int status = 0;
    for (int i = 0; i < count && status == 0; i++) {
        status = skua_group_spawn(group, fetch, &pages[i]);
    }
    return skua_group_close(group, status);
}

static int compare(const void *a, const void *b)
{
    const skua_error *const *first = a, *const *second = b;
    return skua_error_detail((*first)->code) - skua_error_detail((*second)->code);
}

static int run(void *arg)
{
    struct page pages[] = {{"one", SKUA_ERR(HTTP, 404)},
                           {"two", SKUA_ERR(HTTP, 500)},
                           {"three", -ETIMEDOUT},
                           {"four", 0}};
    SKUA_GROUP(group);
    int status = fetch_all(&group, pages, 4);
    const skua_error *errors[4];
    size_t count = skua_group_errors(&group, errors, 4);
    if (count == 0) {
        return status;
    }
    size_t http = skua_errors_split(errors, count, skua_error_has_class, &(int){HTTP});
    size_t late =
        skua_errors_split(errors + http, count - http, skua_error_has_code, &(int){-ETIMEDOUT});
    qsort(errors, http, sizeof errors[0], compare);
    printf("http:");
    for (size_t i = 0; i < http; i++) {
        printf(" %d", skua_error_detail(errors[i]->code));
    }
    puts("");
    if (late > 0) {
        puts("timeout: too late");
    }
    return http + late < count ? errors[http + late]->code : 0;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
