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

static int run(void *arg)
{
    struct request requests[] = {{1, "None"}, {9, "None"}, {2, "None"}, {7, "None"}, {3, "None"}};
    const skua_map_opts opts = {.each_ns = SKUA_SEC(5), .policy = SKUA_COLLECT};
    int status = skua_map(fetch, requests, sizeof requests[0], 5, &opts);
    for (int i = 0; i < 5; i++) {
        puts(requests[i].result);
    }
    return status == -ETIMEDOUT ? 0 : status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
