/* Connections: accept, connect, and what peers do to us. */
#define _GNU_SOURCE 1
#include "io_help.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr *listen_on(int *listener, struct sockaddr_in *address, int backlog)
{
    socklen_t bytes = sizeof *address;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    *listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(*listener >= 0);
    CHECK_INT(bind(*listener, (struct sockaddr *)address, bytes), 0);
    CHECK_INT(listen(*listener, backlog), 0);
    CHECK_INT(getsockname(*listener, (struct sockaddr *)address, &bytes), 0);
    CHECK_INT(skua_fd_adopt(*listener), 0);
    return (struct sockaddr *)address;
}

static int new_socket(int family)
{
    const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_INT(skua_fd_adopt(fd), 0);
    return fd;
}

/* Both ends of a TCP connection. */
static void open_tcp(int ends[2])
{
    struct sockaddr_in address;
    int listener;
    struct sockaddr *const to = listen_on(&listener, &address, 1);
    ends[0] = new_socket(AF_INET);
    CHECK_INT(skua_connect(ends[0], to, sizeof address, SKUA_FOREVER), 0);
    ends[1] = skua_accept(listener, NULL, NULL, SKUA_FOREVER);
    CHECK(ends[1] >= 0);
    skua_close(listener);
}

enum { ECHO_CONNECTIONS = 100, ECHO_MESSAGES = 100 / TEST_SCALE, ECHO_BYTES_MAX = 3000 };

struct echo {
    struct sockaddr_in address;
    int listener;
};

static int echo_back(void *arg)
{
    const int fd = *(int *)arg;
    char buffer[700];
    ssize_t got;
    while ((got = skua_read(fd, buffer, sizeof buffer, SKUA_FOREVER)) > 0) {
        CHECK_INT(skua_write_all(fd, buffer, (size_t)got, NULL, SKUA_FOREVER), 0);
    }
    skua_close(fd);
    return (int)got;
}

static int echo_server(void *arg)
{
    struct echo *echo = arg;
    skua_task *tasks[ECHO_CONNECTIONS];
    const skua_spawn_opts opts = {.arg_bytes = sizeof(int)};
    for (int i = 0; i < ECHO_CONNECTIONS; i++) {
        struct sockaddr_in from;
        socklen_t bytes = sizeof from;
        int fd = skua_accept(echo->listener, (struct sockaddr *)&from, &bytes, SKUA_FOREVER);
        CHECK(fd >= 0);
        CHECK_INT(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
        CHECK_INT(skua_spawn(&tasks[i], echo_back, &fd, &opts), 0);
    }
    for (int i = 0; i < ECHO_CONNECTIONS; i++) {
        CHECK_INT(join(tasks[i]), 0);
    }
    return 0;
}

/* Sends `bytes` in random pieces and reads them back in others. */
static void exchange(int fd, uint64_t *random, size_t bytes)
{
    unsigned char out[ECHO_BYTES_MAX], in[ECHO_BYTES_MAX];
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (unsigned char)test_random(random);
    }
    for (size_t at = 0; at < bytes;) {
        const size_t piece = 1 + test_random(random) % (bytes - at);
        CHECK_INT(skua_write_all(fd, out + at, piece, NULL, SKUA_FOREVER), 0);
        at += piece;
    }
    for (size_t at = 0; at < bytes;) {
        const size_t piece = 1 + test_random(random) % (bytes - at);
        const ssize_t got = skua_read(fd, in + at, piece, SKUA_FOREVER);
        CHECK(got > 0);
        at += (size_t)got;
    }
    CHECK_INT(memcmp(in, out, bytes), 0);
}

static int echo_client(void *arg)
{
    struct echo *echo = arg;
    uint64_t random = test_seed() ^ (uintptr_t)&random;
    char byte;
    const int fd = new_socket(AF_INET);
    CHECK_INT(
        skua_connect(fd, (struct sockaddr *)&echo->address, sizeof echo->address, SKUA_FOREVER), 0);
    for (int i = 0; i < ECHO_MESSAGES; i++) {
        exchange(fd, &random, 1 + test_random(&random) % ECHO_BYTES_MAX);
    }
    CHECK_INT(shutdown(fd, SHUT_WR), 0);
    CHECK_INT(skua_read(fd, &byte, 1, SKUA_FOREVER), 0);
    skua_close(fd);
    return 0;
}

static int echo_all(void *arg)
{
    struct echo echo;
    skua_task *clients[ECHO_CONNECTIONS];
    listen_on(&echo.listener, &echo.address, ECHO_CONNECTIONS);
    skua_task *server = spawn(echo_server, &echo);
    for (int i = 0; i < ECHO_CONNECTIONS; i++) {
        clients[i] = spawn(echo_client, &echo);
    }
    for (int i = 0; i < ECHO_CONNECTIONS; i++) {
        CHECK_INT(join(clients[i]), 0);
    }
    CHECK_INT(join(server), 0);
    skua_close(echo.listener);
    return 0;
}

/* covers: A72 */
static void a_hundred_connections_echo_every_byte(void **state)
{
    run(echo_all, NULL);
}

static int connect_to_nobody(void *arg)
{
    struct sockaddr_in address;
    int listener;
    struct sockaddr *to = listen_on(&listener, &address, 1);
    CHECK_INT(skua_accept(listener, NULL, NULL, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_accept(listener, NULL, NULL, skua_after(SKUA_US(100))), -ETIMEDOUT);
    skua_close(listener);
    const int fd = new_socket(AF_INET);
    CHECK_INT(skua_connect(fd, to, sizeof address, SKUA_FOREVER), -ECONNREFUSED);
    skua_close(fd);
    return 0;
}

static void nobody_listens(void **state)
{
    run(connect_to_nobody, NULL);
}

static int connect_to_silence(void *arg)
{
    struct sockaddr_in address;
    int listener, fds[16];
    struct sockaddr *to = listen_on(&listener, &address, 0);
    int count = 0, status = 0;
    while (status == 0 && count < 16) { /* the backlog is soon full, then SYNs are dropped */
        fds[count] = new_socket(AF_INET);
        status = skua_connect(fds[count++], to, sizeof address, skua_after(SKUA_MS(20)));
    }
    CHECK_INT(status, -ETIMEDOUT);
    while (count > 0) {
        skua_close(fds[--count]);
    }
    skua_close(listener);
    return 0;
}

/* covers: A43 A72 */
static void a_connect_times_out(void **state)
{
    run(connect_to_silence, NULL);
}

static int accept_later(void *arg)
{
    const int listener = *(int *)arg;
    for (int i = 0; i < 2; i++) {
        const int fd = skua_accept(listener, NULL, NULL, SKUA_FOREVER);
        CHECK(fd >= 0);
        skua_close(fd);
    }
    return 0;
}

/* A unix socket refuses with EAGAIN while the backlog is full; the caller waits all the same. */
static int connect_to_full(void *arg)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const socklen_t bytes = offsetof(struct sockaddr_un, sun_path) + 32;
    snprintf(address.sun_path + 1, 31, "skua-io-test-%d", (int)getpid());
    int listener = new_socket(AF_UNIX);
    CHECK_INT(bind(listener, (struct sockaddr *)&address, bytes), 0);
    CHECK_INT(listen(listener, 0), 0);
    const int first = new_socket(AF_UNIX), second = new_socket(AF_UNIX);
    struct sockaddr *to = (struct sockaddr *)&address;
    CHECK_INT(skua_connect(first, to, bytes, SKUA_FOREVER), 0);
    CHECK_INT(skua_connect(second, to, bytes, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_connect(second, to, bytes, skua_after(SKUA_MS(3))), -ETIMEDOUT);
    skua_task *acceptor = spawn(accept_later, &listener);
    CHECK_INT(skua_connect(second, to, bytes, SKUA_FOREVER), 0);
    CHECK_INT(join(acceptor), 0);
    skua_close(first);
    skua_close(second);
    skua_close(listener);
    return 0;
}

static void a_full_backlog_is_waited_for(void **state)
{
    run(connect_to_full, NULL);
}

static int reset_connection(void *arg)
{
    int ends[2];
    char byte;
    open_tcp(ends);
    struct one_byte reader = {.fd = ends[0]};
    skua_task *task = park_reader(&reader);
    const struct linger at_once = {.l_onoff = 1};
    CHECK_INT(setsockopt(ends[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    skua_close(ends[1]);
    CHECK_INT(join(task), -ECONNRESET);
    CHECK_INT(skua_read(ends[0], &byte, 1, SKUA_FOREVER), 0);
    CHECK_INT(skua_write(ends[0], "x", 1, SKUA_FOREVER), -EPIPE); /* and no SIGPIPE */
    skua_close(ends[0]);
    return 0;
}

static void a_reset_reaches_the_reader(void **state)
{
    run(reset_connection, NULL);
}

static int close_half(void *arg)
{
    int ends[2];
    char byte;
    open_tcp(ends);
    struct one_byte reader = {.fd = ends[1]};
    skua_task *task = park_reader(&reader);
    CHECK_INT(shutdown(ends[0], SHUT_WR), 0);
    CHECK_INT(join(task), 0);
    CHECK_INT(skua_read(ends[1], &byte, 1, SKUA_FOREVER), 0);
    CHECK_INT(skua_write(ends[1], "b", 1, SKUA_FOREVER), 1);
    CHECK_INT(skua_read(ends[0], &byte, 1, SKUA_FOREVER), 1);
    CHECK_INT(byte, 'b');
    close_both(ends);
    return 0;
}

/* covers: A72 */
static void a_half_closed_connection_works_the_other_way(void **state)
{
    run(close_half, NULL);
}

static int accept_without_fds(void *arg)
{
    struct sockaddr_in address;
    struct rlimit before, tight;
    int listener;
    struct sockaddr *const to = listen_on(&listener, &address, 1);
    const int client = new_socket(AF_INET);
    CHECK_INT(skua_connect(client, to, sizeof address, SKUA_FOREVER), 0);
    CHECK_INT(skua_wait_fd(listener, SKUA_READABLE, SKUA_FOREVER), SKUA_READABLE);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = (struct rlimit){.rlim_cur = (rlim_t)client + 1, .rlim_max = before.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &tight), 0);
    CHECK_INT(skua_accept(listener, NULL, NULL, SKUA_FOREVER), -EMFILE);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    const int fd = skua_accept(listener, NULL, NULL, SKUA_FOREVER);
    CHECK(fd >= 0); /* it is still there */
    skua_close(fd);
    skua_close(client);
    skua_close(listener);
    return 0;
}

static void accept_says_when_there_are_no_fds(void **state)
{
    run(accept_without_fds, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hundred_connections_echo_every_byte),
        TEST(nobody_listens),
        TEST(a_connect_times_out),
        TEST(a_full_backlog_is_waited_for),
        TEST(a_reset_reaches_the_reader),
        TEST(a_half_closed_connection_works_the_other_way),
        TEST(accept_says_when_there_are_no_fds),
    };
    return TEST_RUN(tests);
}
