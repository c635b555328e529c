/* The examples of docs/guide/limits.md, which the tests run with
   SKUA_CLOCK=virtual. */
#include <skua/skua.h>
#include <stdio.h>

/* --- so many at a time --- */

struct service {
    skua_limiter connections;
    skua_rate requests;
};

static int request(struct service *service, int number)
{
    SKUA_BORROWER(connection); /* given back on every way out */
    int status = skua_limiter_borrow(&service->connections, &connection, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    status = skua_rate_take(&service->requests, 1, SKUA_FOREVER);
    return status < 0 ? status : number * 10; /* the answer */
}

static void say_stats(struct service *service, const char *when)
{
    skua_limiter_stats stats;
    skua_limiter_get_stats(&service->connections, &stats);
    printf("%s: %zu of %zu borrowed\n", when, stats.borrowed, stats.total);
}

/* One that waits, and how a larger total lets it in. */
static int wait_for_place(void *arg)
{
    return request(arg, 7);
}

static int grow(struct service *service)
{
    SKUA_BORROWER(first);
    SKUA_BORROWER(second);
    skua_task *third;
    int status = skua_limiter_borrow(&service->connections, &first, SKUA_NOW);
    status = status < 0 ? status : skua_limiter_borrow(&service->connections, &second, SKUA_NOW);
    status = status < 0 ? status : skua_spawn(&third, wait_for_place, service, NULL);
    if (status < 0) {
        return status;
    }
    say_stats(service, "both lent");
    skua_limiter_set_total(&service->connections, 3);
    int answer = 0;
    status = skua_join(third, &answer, SKUA_FOREVER);
    skua_task_release(third);
    printf("the third was answered: %d\n", answer);
    return status;
}

/* --- once per period --- */

static int beat(int beats)
{
    skua_ticker ticker;
    const skua_time begin = skua_clock();
    int64_t ticks = 0;
    skua_ticker_init(&ticker, SKUA_MS(2), SKUA_TICK_SKIP);
    for (int i = 0; i < beats; i++) {
        int status = skua_ticker_wait(&ticker, SKUA_FOREVER);
        if (status < 0) {
            return status;
        }
        ticks += status; /* more than one if we were late */
    }
    printf("%d beats, %s\n", beats,
           skua_elapsed_ns(begin) >= ticks * SKUA_MS(2) ? "none of them early" : "too early");
    return 0;
}

static int run_all(void *arg)
{
    struct service service;
    (void)arg;
    skua_limiter_init(&service.connections, 2);
    skua_rate_init(&service.requests, 1000, 2); /* 1000 a second, two at once */
    const skua_time begin = skua_clock();
    for (int i = 0; i < 7; i++) {
        int answer = request(&service, i);
        if (answer < 0) {
            return answer;
        }
    }
    printf("7 requests took %s\n",
           skua_elapsed_ns(begin) >= SKUA_MS(5) ? "at least 5 ms" : "less than 5 ms");
    int status = grow(&service);
    return status < 0 ? status : beat(5);
}

int main(void)
{
    int status = skua_run(NULL, run_all, NULL);
    return status < 0;
}
