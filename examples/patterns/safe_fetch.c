/* A call whose failures, the timeout among them, become answers like any other. */
#include <skua/skua.h>
#include <stdio.h>
#include <string.h>

struct request {
    const char *url;
    char answer[32];
};

static int fetch(void *arg)
{
    struct request *request = arg;
    int seconds = strcmp(request->url, "slow") == 0 ? 10 : 1;
    int status = skua_sleep(skua_after(SKUA_SEC(seconds)));
    if (status < 0) {
        return status;
    }
    if (strcmp(request->url, "broken") == 0) {
        return -EHOSTUNREACH;
    }
    snprintf(request->answer, sizeof request->answer, "data from %s", request->url);
    return 0;
}

static int safe_fetch(void *arg)
{
    struct request *request = arg;
    int status = skua_within(skua_after(SKUA_SEC(5)), fetch, request);
    if (status == -ETIMEDOUT || status == -EHOSTUNREACH) {
        const char *error = status == -ETIMEDOUT ? "timeout" : "no such host";
        snprintf(request->answer, sizeof request->answer, "error: %s", error);
        return 0;
    }
    return status;
}

static int run(void *arg)
{
    struct request requests[] = {{"fine", ""}, {"slow", ""}, {"broken", ""}};
    int status = skua_map(safe_fetch, requests, sizeof requests[0], 3, NULL);
    for (int i = 0; i < 3 && status == 0; i++) {
        puts(requests[i].answer);
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
