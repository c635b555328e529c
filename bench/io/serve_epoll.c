/* The reference: servers as one writes them by hand on epoll, without anything in between.

       serve_epoll echo|udp|proxy THREADS UPSTREAM_PORT        fd 3 is the socket

   Each thread has an epoll set of its own. The first one accepts and deals the connections out in
   turn. Edge-triggered, registered once; a message is one read and one write, and nothing is read
   again after a read that did not fill the buffer. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SOCKET = 3,
    EVENTS_MAX = 1024,
    THREADS_MAX = 64,
    MESSAGE_BYTES = 1024,
    PROXY_BYTES = 64 * 1024
};

static int queues[THREADS_MAX];
static unsigned threads;

static void set_nonblocking(int fd)
{
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        abort();
    }
}

static void watch(int queue, int fd, uint32_t bits, uint64_t key)
{
    struct epoll_event event = {.events = bits, .data.u64 = key};
    if (epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event) != 0) {
        abort();
    }
}

static void accept_all(void)
{
    static unsigned turn;
    const int on = 1;
    int fd;
    while ((fd = accept4(SOCKET, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        watch(queues[turn++ % threads], fd, EPOLLIN | EPOLLRDHUP | EPOLLET, (uint64_t)fd);
    }
}

static void echo(int fd)
{
    char buffer[MESSAGE_BYTES];
    ssize_t got;
    do {
        got = recv(fd, buffer, sizeof(buffer), 0);
        if (got == 0 || (got < 0 && errno != EAGAIN) ||
            (got > 0 && send(fd, buffer, (size_t)got, MSG_NOSIGNAL) != got)) {
            close(fd); /* the peer sends no more than fits */
            return;
        }
    } while (got == (ssize_t)sizeof(buffer));
}

static void *echo_main(void *arg)
{
    const int queue = *(int *)arg;
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        const int count = epoll_wait(queue, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            const int fd = (int)events[i].data.u64;
            if (fd == SOCKET) {
                accept_all();
            } else {
                echo(fd);
            }
        }
    }
    return NULL;
}

static void serve_echo(void)
{
    pthread_t thread;
    for (unsigned i = 0; i < threads; i++) {
        queues[i] = epoll_create1(EPOLL_CLOEXEC);
    }
    watch(queues[0], SOCKET, EPOLLIN, SOCKET);
    for (unsigned i = 1; i < threads; i++) {
        pthread_create(&thread, NULL, echo_main, &queues[i]);
    }
    echo_main(&queues[0]);
}

static void *udp_main(void *arg)
{
    (void)arg;
    struct epoll_event event;
    const int queue = epoll_create1(EPOLL_CLOEXEC);
    watch(queue, SOCKET, EPOLLIN | EPOLLET, SOCKET);
    for (;;) {
        char buffer[MESSAGE_BYTES];
        struct sockaddr_in from;
        socklen_t from_bytes = sizeof(from);
        const ssize_t got = recvfrom(SOCKET, buffer, sizeof(buffer), MSG_DONTWAIT,
                                     (struct sockaddr *)&from, &from_bytes);
        if (got < 0) {
            epoll_wait(queue, &event, 1, -1);
        } else {
            sendto(SOCKET, buffer, (size_t)got, MSG_DONTWAIT, (struct sockaddr *)&from, from_bytes);
        }
    }
    return NULL;
}

/* One direction of a proxied connection: what has been read and not written yet. */
struct half {
    int from, to;
    size_t begin, end;
    char bytes[PROXY_BYTES];
};

/* Move bytes until the kernel says EAGAIN. False: the connection is over. */
static int move_half(struct half *half)
{
    for (;;) {
        while (half->begin < half->end) {
            const ssize_t put =
                send(half->to, half->bytes + half->begin, half->end - half->begin, MSG_NOSIGNAL);
            if (put < 0) {
                return errno == EAGAIN;
            }
            half->begin += (size_t)put;
        }
        const ssize_t got = recv(half->from, half->bytes, sizeof(half->bytes), 0);
        if (got <= 0) {
            return got < 0 && errno == EAGAIN;
        }
        half->begin = 0;
        half->end = (size_t)got;
    }
}

static int connect_upstream(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        abort();
    }
    return fd;
}

/* One connection is all that is measured. */
static void serve_proxy(uint16_t port)
{
    struct epoll_event events[4];
    struct half *halves = calloc(2, sizeof(*halves));
    const int queue = epoll_create1(EPOLL_CLOEXEC);
    const int near = accept4(SOCKET, NULL, NULL, SOCK_CLOEXEC);
    const int far = connect_upstream(port);
    halves[0].from = halves[1].to = near;
    halves[0].to = halves[1].from = far;
    const int fds[] = {near, far};
    for (int i = 0; i < 2; i++) {
        const int on = 1;
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        set_nonblocking(fds[i]);
        watch(queue, fds[i], EPOLLIN | EPOLLOUT | EPOLLET, 0);
    }
    while (move_half(&halves[0]) && move_half(&halves[1])) {
        epoll_wait(queue, events, 4, -1);
    }
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        return 2;
    }
    threads = (unsigned)atoi(argv[2]);
    threads = threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : threads;
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(argv[1], "echo") == 0) {
        set_nonblocking(SOCKET);
        serve_echo();
    } else if (strcmp(argv[1], "udp") == 0) {
        pthread_t thread;
        for (unsigned i = 1; i < threads; i++) {
            pthread_create(&thread, NULL, udp_main, NULL);
        }
        udp_main(NULL);
    } else if (strcmp(argv[1], "proxy") == 0) {
        serve_proxy((uint16_t)atoi(argv[3]));
    }
    return 2;
}
