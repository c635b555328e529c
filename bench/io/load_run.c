/* The kinds of load: echo, short connections, a stream. One thread, one epoll set, edge-triggered
   where the sockets stay: what the client costs is the same for all servers. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS_MAX = 512, SAMPLES_MAX = 4 << 20, PATIENCE_MS = 10000 };

/* What is being counted, and since when. */
typedef struct tally {
    const load_server *server;
    load_span span;
    double began_ns;
    double counting_ns; /* 0: warming up */
    double cpu_ns;
    size_t requests;
    size_t samples;
    float *late_us;
} tally;

static int tally_init(tally *self, const load_server *server, load_span span)
{
    *self = (tally){.server = server, .span = span, .began_ns = bench_now_ns()};
    self->late_us = malloc(SAMPLES_MAX * sizeof(*self->late_us));
    return self->late_us == NULL ? -1 : 0;
}

/* False: the time is over. */
static bool tally_goes_on(tally *self, double now)
{
    if (self->counting_ns == 0) {
        if (now - self->began_ns >= self->span.warm_ns) {
            self->counting_ns = now;
            self->cpu_ns = load_server_cpu_ns(self->server);
            self->requests = self->samples = 0;
        }
        return true;
    }
    return now - self->counting_ns < self->span.counted_ns;
}

static void tally_add(tally *self, double late_ns)
{
    self->requests++;
    if (self->samples < SAMPLES_MAX) {
        self->late_us[self->samples++] = (float)(late_ns / 1e3);
    }
}

static int compare_floats(const void *left, const void *right)
{
    const float a = *(const float *)left;
    const float b = *(const float *)right;
    return (a > b) - (a < b);
}

static void tally_end(tally *self, load_result *result)
{
    result->cpu_ns = load_server_cpu_ns(self->server) - self->cpu_ns;
    result->seconds = (bench_now_ns() - self->counting_ns) / 1e9;
    result->requests = (double)self->requests;
    if (self->samples > 0) {
        qsort(self->late_us, self->samples, sizeof(*self->late_us), compare_floats);
        result->p50_us = self->late_us[self->samples / 2];
        result->p99_us = self->late_us[self->samples - 1 - self->samples / 100];
    }
    free(self->late_us);
}

/* One socket and the message on its way. */
typedef struct talker {
    int fd;
    size_t got;
    double sent_ns;
} talker;

static bool talker_send(talker *self, double now)
{
    static const char message[LOAD_MESSAGE_BYTES] = "a message of sixty-four bytes";
    self->got = 0;
    self->sent_ns = now;
    return send(self->fd, message, sizeof(message), MSG_NOSIGNAL) == (ssize_t)sizeof(message);
}

/* 1: the echo is complete; 0: not yet; -1: failed. */
static int talker_receive(talker *self)
{
    char message[LOAD_MESSAGE_BYTES];
    const ssize_t got = recv(self->fd, message, sizeof(message) - self->got, 0);
    if (got <= 0) {
        return got < 0 && errno == EAGAIN ? 0 : -1;
    }
    self->got += (size_t)got;
    return self->got == sizeof(message);
}

static int watch(int queue, talker *self)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = self};
    return epoll_ctl(queue, EPOLL_CTL_ADD, self->fd, &event);
}

static int echo_all(int queue, talker *talkers, size_t count, tally *score)
{
    struct epoll_event events[EVENTS_MAX];
    double now = bench_now_ns();
    for (size_t i = 0; i < count; i++) {
        if (watch(queue, &talkers[i]) != 0 || !talker_send(&talkers[i], bench_now_ns())) {
            return -1;
        }
    }
    while (tally_goes_on(score, now)) {
        const int ready = epoll_wait(queue, events, EVENTS_MAX, PATIENCE_MS);
        if (ready <= 0) {
            return -1;
        }
        for (int i = 0; i < ready; i++) {
            talker *one = events[i].data.ptr;
            const int done = talker_receive(one);
            now = bench_now_ns();
            if (done > 0) {
                tally_add(score, now - one->sent_ns);
            }
            if (done < 0 || (done > 0 && !talker_send(one, now))) {
                return -1;
            }
        }
    }
    return 0;
}

int load_echo(const load_server *server, const load_crowd *crowd, load_span span,
              load_result *result)
{
    tally score;
    const int queue = epoll_create1(EPOLL_CLOEXEC);
    talker *talkers = calloc(crowd->count, sizeof(*talkers));
    if (queue < 0 || talkers == NULL || tally_init(&score, server, span) != 0) {
        return -1;
    }
    for (size_t i = 0; i < crowd->count; i++) {
        talkers[i].fd = crowd->fds[i];
    }
    const int error = echo_all(queue, talkers, crowd->count, &score);
    tally_end(&score, result);
    free(talkers);
    close(queue);
    return error;
}

/* Open the talker's next connection; its one message goes out at once. */
static bool talker_begin(talker *self, int queue, uint16_t port)
{
    self->sent_ns = bench_now_ns();
    self->fd = load_connect(SOCK_STREAM, port);
    return self->fd >= 0 && watch(queue, self) == 0 && talker_send(self, self->sent_ns);
}

static int accept_all(int queue, talker *talkers, size_t width, tally *score)
{
    struct epoll_event events[EVENTS_MAX];
    double now = bench_now_ns();
    for (size_t i = 0; i < width; i++) {
        if (!talker_begin(&talkers[i], queue, score->server->port)) {
            return -1;
        }
    }
    while (tally_goes_on(score, now)) {
        const int ready = epoll_wait(queue, events, EVENTS_MAX, PATIENCE_MS);
        if (ready <= 0) {
            return -1;
        }
        for (int i = 0; i < ready; i++) {
            talker *one = events[i].data.ptr;
            const int done = talker_receive(one);
            now = bench_now_ns();
            if (done > 0) {
                tally_add(score, now - one->sent_ns);
                close(one->fd);
            }
            if (done < 0 || (done > 0 && !talker_begin(one, queue, score->server->port))) {
                return -1;
            }
        }
    }
    return 0;
}

int load_accept(const load_server *server, size_t width, load_span span, load_result *result)
{
    tally score;
    const int queue = epoll_create1(EPOLL_CLOEXEC);
    talker *talkers = calloc(width, sizeof(*talkers));
    if (queue < 0 || talkers == NULL || tally_init(&score, server, span) != 0) {
        return -1;
    }
    const int error = accept_all(queue, talkers, width, &score);
    tally_end(&score, result);
    for (size_t i = 0; i < width; i++) {
        close(talkers[i].fd);
    }
    free(talkers);
    close(queue);
    return error;
}

enum { STREAM_BYTES = 256 * 1024 };

/* Move what goes through at the moment: what was read, or -1. */
static ssize_t pump(int to, int from, char *buffer)
{
    if (send(to, buffer, STREAM_BYTES, MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
        return -1;
    }
    const ssize_t got = recv(from, buffer, STREAM_BYTES, 0);
    return got > 0 ? got : got < 0 && errno == EAGAIN ? 0 : -1;
}

static int stream_all(int queue, int to, int from, tally *score)
{
    static char buffer[STREAM_BYTES];
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    struct epoll_event out = {.events = EPOLLOUT | EPOLLET};
    struct epoll_event events[2];
    double now = bench_now_ns();
    if (epoll_ctl(queue, EPOLL_CTL_ADD, from, &event) != 0 ||
        epoll_ctl(queue, EPOLL_CTL_ADD, to, &out) != 0) {
        return -1;
    }
    while (tally_goes_on(score, now)) {
        const ssize_t got = pump(to, from, buffer);
        if (got < 0 || (got == 0 && epoll_wait(queue, events, 2, PATIENCE_MS) <= 0)) {
            return -1;
        }
        now = bench_now_ns();
        score->requests += (size_t)got;
    }
    return 0;
}

int load_stream(const load_server *server, int listener, load_span span, load_result *result)
{
    tally score;
    const int queue = epoll_create1(EPOLL_CLOEXEC);
    const int to = load_connect(SOCK_STREAM, server->port);
    const int from = to < 0 ? -1 : accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (queue < 0 || from < 0 || tally_init(&score, server, span) != 0) {
        return -1;
    }
    const int error = stream_all(queue, to, from, &score);
    tally_end(&score, result);
    close(to);
    close(from);
    close(queue);
    return error;
}
