/* Each of many calls has a timeout of its own; one that is late costs only its own result. */
#include <skua/skua.h>
#include <stdio.h>

struct request {
    int seconds;
    char result[32];
};

static int fetch(void *arg)
{
    struct request *request = arg;
    int status = skua_sleep(skua_after(SKUA_SEC(request->seconds)));
    if (status == 0) {
        snprintf(request->result, sizeof request->result, "fetched in %d s", request->seconds);
    }
    return status;
}

static int fetch_or_none(void *arg)
{
    return skua_move_on(skua_after(SKUA_SEC(5)), fetch, arg);
}

static int run(void *arg)
{
    struct request requests[] = {{1, "None"}, {9, "None"}, {2, "None"}, {7, "None"}, {3, "None"}};
    int status = skua_map(fetch_or_none, requests, sizeof requests[0], 5, NULL);
    for (int i = 0; i < 5 && status == 0; i++) {
        puts(requests[i].result);
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
