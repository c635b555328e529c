/* Try again, with pauses that double up to a cap. */
#include <skua/skua.h>
#include <stdio.h>

static int call_flaky(void *arg)
{
    int *calls = arg;
    ++*calls;
    return *calls < 5 ? -ECONNREFUSED : 0;
}

static bool is_retryable(int status, void *arg)
{
    const int *calls = arg;
    double pauses_s[] = {1, 2, 3, 3, 3};
    if (status != -ECONNREFUSED) {
        return false;
    }
    printf("attempt %d failed: no answer %d, again in %.1f s\n", *calls, *calls,
           pauses_s[*calls - 1]);
    return true;
}

static int run(void *arg)
{
    skua_time started = skua_clock();
    int calls = 0;
    const skua_retry_opts opts = {
        .attempts = 6, .base_ns = SKUA_SEC(1), .cap_ns = SKUA_SEC(3), .retryable = is_retryable};
    int status = skua_retry(call_flaky, &calls, &opts);
    if (status == 0) {
        puts("answer");
    }
    printf("after %.1f s\n", skua_elapsed_ns(started) / 1e9);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
