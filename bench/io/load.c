/* The load generator: it starts a server ($BENCH_SERVER; Skua's, if not set), makes it work, and
   prints what that took in the name of $BENCH_WHO. bench.h has the command line.

   One worker: the server has the first processor for itself, the load generator the second. Two:
   everything shares both. Processor time is that of the server's process alone. */
#define _GNU_SOURCE
#include "load.h"

#include <sys/resource.h>
#include <sys/socket.h>

enum {
    RUN_MS = 350,
    CROWDED_MS = 700,
    IDLE_MS = 1500,
    MOST_CONNECTIONS = 10000,
    SHORT_WIDTH = 32,
    UDP_SOCKETS = 64
};

static void put_request(const load_result *result, double values[BENCH_ROWS_MAX])
{
    values[0] = result->cpu_ns / 1e3 / result->requests;
    values[1] = result->seconds * 1e6 / result->requests;
    values[2] = result->p50_us;
    values[3] = result->p99_us;
}

static int run_crowd(const bench_job *job, int type, const char *mode, size_t count, double *values)
{
    load_server server;
    load_crowd crowd;
    load_result result = {0};
    if (load_server_start(&server, mode, job->workers, type, 0) != 0) {
        return -1;
    }
    int error = load_crowd_open(&crowd, count, type, server.port);
    if (error == 0) {
        error = load_echo(&server, &crowd, load_span_of(job), &result);
        put_request(&result, values);
    }
    load_crowd_close(&crowd);
    load_server_stop(&server);
    return error;
}

/* A crowd shrinks with the scale, but not to a few. */
static size_t crowd_of(size_t connections)
{
    const size_t scaled = bench_scaled(connections);
    return scaled > UDP_SOCKETS ? scaled : UDP_SOCKETS;
}

static int run_echo_1(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_crowd(job, SOCK_STREAM, "echo", 1, values);
}

static int run_echo_64(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_crowd(job, SOCK_STREAM, "echo", 64, values);
}

static int run_echo_1k(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_crowd(job, SOCK_STREAM, "echo", crowd_of(1000), values);
}

static int run_echo_10k(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_crowd(job, SOCK_STREAM, "echo", crowd_of(MOST_CONNECTIONS), values);
}

static int run_udp(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_crowd(job, SOCK_DGRAM, "udp", UDP_SOCKETS, values);
}

static int run_short(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    load_server server;
    load_result result = {0};
    if (load_server_start(&server, "echo", job->workers, SOCK_STREAM, 0) != 0) {
        return -1;
    }
    const int error = load_accept(&server, SHORT_WIDTH, load_span_of(job), &result);
    put_request(&result, values);
    load_server_stop(&server);
    return error;
}

static int run_proxy(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    uint16_t port = 0;
    load_server server;
    load_result result = {0};
    const int listener = load_listen(SOCK_STREAM, &port);
    if (listener < 0 || load_server_start(&server, "proxy", job->workers, SOCK_STREAM, port) != 0) {
        return -1;
    }
    const int error = load_stream(&server, listener, load_span_of(job), &result);
    const double gigabytes = result.requests / 1e9;
    values[0] = result.cpu_ns / 1e6 / gigabytes;
    values[1] = result.seconds * 1e3 / gigabytes;
    load_server_stop(&server);
    close(listener);
    return error;
}

/* Every connection has had its echo before the time begins, so that it is accepted and its first
   wait is over. */
static int run_idle(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const load_span once = {.warm_ns = 0, .counted_ns = 500e6};
    load_server server;
    load_crowd crowd;
    load_result result = {0};
    if (load_server_start(&server, "echo", job->workers, SOCK_STREAM, 0) != 0) {
        return -1;
    }
    int error = load_crowd_open(&crowd, crowd_of(MOST_CONNECTIONS), SOCK_STREAM, server.port);
    if (error == 0 && (error = load_echo(&server, &crowd, once, &result)) == 0) {
        bench_pause_us(500 * 1000);
        const double cpu_ns = load_server_cpu_ns(&server);
        bench_pause_us((long)job->count * 1000);
        values[0] = (load_server_cpu_ns(&server) - cpu_ns) / 1e6;
        values[1] = load_server_rss_bytes(&server) / (1 << 20);
    }
    load_crowd_close(&crowd);
    load_server_stop(&server);
    return error;
}

#define REQUESTS(name_, run_, ms_)                                                                 \
    {                                                                                              \
        .name = name_, .rows = {name_ "-cpu", name_ "-time", name_ "-p50", name_ "-p99"},          \
        .units = {"us", "us", "us", "us"}, .count = ms_, .cold = true, .run = run_                 \
    }

static const bench_case cases[] = {
    REQUESTS("echo-1", run_echo_1, RUN_MS),
    REQUESTS("echo-64", run_echo_64, RUN_MS),
    REQUESTS("echo-1k", run_echo_1k, RUN_MS),
    REQUESTS("echo-10k", run_echo_10k, CROWDED_MS),
    REQUESTS("short-connections", run_short, RUN_MS),
    REQUESTS("udp-64", run_udp, RUN_MS),
    {.name = "proxy",
     .rows = {"proxy-cpu", "proxy-time"},
     .units = {"ms", "ms"},
     .count = RUN_MS,
     .cold = true,
     .run = run_proxy},
    {.name = "idle-10k",
     .rows = {"idle-10k-cpu", "idle-10k-rss"},
     .units = {"ms", "MiB"},
     .count = IDLE_MS,
     .cold = true,
     .run = run_idle},
};

int main(int argc, char **argv)
{
    struct rlimit limit;
    const char *who = getenv("BENCH_WHO");
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    return bench_main(argc, argv, who != NULL ? who : "Skua", cases, BENCH_COUNT(cases));
}
