/* Starting servers, watching what they use, and connecting to them. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

static struct sockaddr_in local_address(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int load_listen(int type, uint16_t *port)
{
    struct sockaddr_in address = local_address(0);
    socklen_t bytes = sizeof(address);
    const int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, bytes) != 0 ||
        (type == SOCK_STREAM && listen(fd, 4096) != 0) ||
        getsockname(fd, (struct sockaddr *)&address, &bytes) != 0) {
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

int load_connect(int type, uint16_t port)
{
    const struct sockaddr_in address = local_address(port);
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    const int on = 1;
    const int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        close(fd);
        return -1;
    }
    if (type == SOCK_STREAM) {
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    return fd;
}

int load_crowd_open(load_crowd *crowd, size_t count, int type, uint16_t port)
{
    struct rlimit limit;
    enum { SPARE_FDS = 64 };
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && count + SPARE_FDS > limit.rlim_cur) {
        count = limit.rlim_cur - SPARE_FDS;
        fprintf(stderr, "only %zu connections: no more fds are allowed\n", count);
    }
    crowd->count = 0;
    crowd->fds = calloc(count, sizeof(*crowd->fds));
    while (crowd->fds != NULL && crowd->count < count) {
        const int fd = load_connect(type, port);
        if (fd < 0) {
            break;
        }
        crowd->fds[crowd->count++] = fd;
    }
    return crowd->count == count ? 0 : -1;
}

void load_crowd_close(load_crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        close(crowd->fds[i]);
    }
    free(crowd->fds);
}

static void use_processor(int index)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(index, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

/* In the child. Skua's server stands beside this program and is the one that is taken if nobody
   says otherwise. */
static void run_server(int fd, const char *mode, unsigned workers, uint16_t upstream_port)
{
    char path[PATH_MAX], workers_text[16], upstream_text[16];
    const char *server = getenv("BENCH_SERVER");
    if (server == NULL) {
        const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 32);
        char *slash = length > 0 ? memrchr(path, '/', (size_t)length) : NULL;
        if (slash == NULL) {
            _exit(126);
        }
        strcpy(slash + 1, "bench_io_skua");
        server = path;
    }
    snprintf(workers_text, sizeof(workers_text), "%u", workers);
    snprintf(upstream_text, sizeof(upstream_text), "%u", upstream_port);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (workers == 1) {
        use_processor(0);
    }
    if (fd == LOAD_SERVER_FD ? fcntl(fd, F_SETFD, 0) != 0 : dup2(fd, LOAD_SERVER_FD) < 0) {
        _exit(126);
    }
    execl(server, server, mode, workers_text, upstream_text, (char *)NULL);
    _exit(127);
}

int load_server_start(load_server *server, const char *mode, unsigned workers, int type,
                      uint16_t upstream_port)
{
    const int fd = load_listen(type, &server->port);
    if (fd < 0) {
        return -1;
    }
    server->process = fork();
    if (server->process == 0) {
        run_server(fd, mode, workers, upstream_port);
    }
    close(fd);
    if (server->process < 0 || clock_getcpuclockid(server->process, &server->clock) != 0) {
        return -1;
    }
    if (workers == 1) {
        use_processor(1);
    }
    return 0;
}

void load_server_stop(load_server *server)
{
    kill(server->process, SIGKILL);
    while (waitpid(server->process, NULL, 0) < 0 && errno == EINTR) {}
}

double load_server_cpu_ns(const load_server *server)
{
    return bench_clock_ns(server->clock);
}

double load_server_rss_bytes(const load_server *server)
{
    char path[64];
    long pages = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)server->process);
    FILE *statm = fopen(path, "r");
    if (statm == NULL || fscanf(statm, "%*s %ld", &pages) != 1) {
        pages = 0;
    }
    if (statm != NULL) {
        fclose(statm);
    }
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

load_span load_span_of(const bench_job *job)
{
    enum { LEAST_MS = 50 };
    /* The job's count is the length of a run in milliseconds. */
    const double ms = job->count < LEAST_MS ? LEAST_MS : (double)job->count;
    return (load_span){.warm_ns = ms * 0.4e6, .counted_ns = ms * 1e6};
}
