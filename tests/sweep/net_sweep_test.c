/* Connections, datagrams and passed fds, disturbed wherever they wait: every datagram that was sent
   is received once, and no fd is left open. In real time, since the kernel knows no other. */
#include "sweep.h"

#include <skua/blocking.h>
#include <skua/io.h>
#include <skua/net.h>

enum { DATAGRAM_BYTES = 100 };

static int own, other, listener, client;
static gate went_in, came_out; /* datagrams */
static skua_address place;
static char name[64];
static char buffer[DATAGRAM_BYTES], letter[DATAGRAM_BYTES]; /* for what comes; for what goes */

static void until_back(void)
{
    while (!sweep.victim.has_returned) {
        (void)!skua_yield();
    }
}

/* --- connecting ------------------------------------------------------------------------------- */

/* A listener whose line is full: who comes has to wait until somebody is let in. */
static void make_full_listener(void)
{
    snprintf(name, sizeof name, "@skua-swept-%d", (int)getpid());
    SAME(skua_address_parse(name, &place), 0);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    SAME(bind(listener, &place.any, place.bytes), 0);
    SAME(listen(listener, 0), 0);
    client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SAME(connect(client, &place.any, place.bytes), 0);
}

static void let_one_in(void)
{
    const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        close(fd);
    }
}

static int close_it(int fd)
{
    if (fd >= 0) {
        skua_close(fd);
    }
    return fd;
}

static int connect_to_place(skua_time deadline)
{
    return close_it(skua_tcp_connect_to(&place, NULL, deadline));
}

static int connect_to_name(skua_time deadline)
{
    return close_it(skua_unix_connect(name, NULL, deadline));
}

static void leave_listener(int status)
{
    close(client);
    close(listener);
}

/* --- datagrams -------------------------------------------------------------------------------- */

static void make_pair_of(int type)
{
    int ends[2];
    went_in = came_out = 0;
    SAME(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    own = ends[0];
    other = ends[1];
    SAME(skua_fd_adopt(own), 0);
}

static void make_pair(void)
{
    make_pair_of(SOCK_DGRAM);
}

static void make_full_pair(void)
{
    make_pair_of(SOCK_DGRAM);
    while (skua_write(own, letter, sizeof letter, SKUA_NOW) > 0) {
        went_in++;
    }
}

/* Not connected to the one whose queue is full, so no event tells of room. */
static void make_full_receiver(void)
{
    went_in = came_out = 0;
    snprintf(name, sizeof name, "@skua-swept-%d", (int)getpid());
    SAME(skua_address_parse(name, &place), 0);
    other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    own = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    SAME(bind(other, &place.any, place.bytes), 0);
    SAME(skua_fd_adopt(own), 0);
    while (skua_send_to(own, letter, sizeof letter, &place, SKUA_NOW) > 0) {
        went_in++;
    }
}

static void send_one(void)
{
    went_in++;
    SAME(send(other, letter, sizeof letter, 0), DATAGRAM_BYTES);
}

static void drain(void)
{
    while (recv(other, buffer, sizeof buffer, 0) > 0) {
        came_out++;
    }
}

static int receive(skua_time deadline)
{
    const ssize_t got = skua_recv_from(own, buffer, sizeof buffer, NULL, deadline);
    came_out += got > 0;
    return (int)got;
}

static int receive_many(skua_time deadline)
{
    skua_datagram datagrams[2] = {{.buffer = buffer, .bytes = sizeof buffer},
                                  {.buffer = buffer, .bytes = sizeof buffer}};
    const int got = skua_recv_many(own, datagrams, 2, deadline);
    came_out += got > 0 ? got : 0;
    return got;
}

static int send_to_peer(skua_time deadline)
{
    const ssize_t put = skua_send_to(own, letter, sizeof letter, NULL, deadline);
    went_in += put > 0;
    return (int)put;
}

static int send_to_place(skua_time deadline)
{
    const ssize_t put = skua_send_to(own, letter, sizeof letter, &place, deadline);
    went_in += put > 0;
    return (int)put;
}

static int send_many(skua_time deadline)
{
    const skua_datagram datagrams[2] = {{.buffer = letter, .bytes = sizeof letter},
                                        {.buffer = letter, .bytes = sizeof letter}};
    const int put = skua_send_many(own, datagrams, 2, deadline);
    went_in += put > 0 ? put : 0;
    return put;
}

static void check_received(int status)
{
    while (receive(SKUA_NOW) > 0) {}
    SAME(went_in, came_out);
    skua_close(own);
    close(other);
}

static void check_sent(int status)
{
    drain();
    SAME(went_in, came_out);
    skua_close(own);
    close(other);
}

/* --- fds -------------------------------------------------------------------------------------- */

static void make_records(void)
{
    make_pair_of(SOCK_SEQPACKET);
}

static void make_full_records(void)
{
    make_records();
    while (skua_write(own, letter, sizeof letter, SKUA_NOW) > 0) {
        went_in++;
    }
}

/* By a foreign thread's rules: the call would want an adopted fd. */
static int send_fd(void *arg)
{
    const int fds[] = {other};
    return (int)skua_send_fds(other, letter, sizeof letter, fds, 1, SKUA_NOW);
}

static void send_one_with_fd(void)
{
    went_in++;
    SAME(skua_blocking(send_fd, NULL, SKUA_FOREVER), DATAGRAM_BYTES);
}

static int receive_fd(skua_time deadline)
{
    int fds[2], count = 2;
    const ssize_t got = skua_recv_fds(own, buffer, sizeof buffer, fds, &count, deadline);
    came_out += got > 0;
    SAME(count, got > 0 ? 1 : 0);
    if (count == 1) {
        skua_close(fds[0]);
    }
    return (int)got;
}

static int send_own_fd(skua_time deadline)
{
    const ssize_t put = skua_send_fds(own, letter, sizeof letter, &own, 1, deadline);
    went_in += put > 0;
    return (int)put;
}

/* --- the table -------------------------------------------------------------------------------- */

enum { LONE = SWEEP_REAL | SWEEP_ALONE };

static const swept entries[] = {
    {"skua_tcp_connect_to", make_full_listener, connect_to_place, let_one_in, leave_listener,
     .done = SWEEP_FINE, .await = until_back, .flags = LONE},
    {"skua_unix_connect", make_full_listener, connect_to_name, let_one_in, leave_listener,
     .done = SWEEP_FINE, .await = until_back, .flags = LONE},
    {"skua_recv_from", make_pair, receive, send_one, check_received, .done = DATAGRAM_BYTES,
     .await = until_back, .flags = LONE},
    {"skua_recv_many", make_pair, receive_many, send_one, check_received, .done = 1,
     .await = until_back, .flags = LONE},
    {"skua_send_to", make_full_pair, send_to_peer, drain, check_sent, .done = DATAGRAM_BYTES,
     .await = until_back, .flags = LONE},
    {"skua_send_to: not connected", make_full_receiver, send_to_place, drain, check_sent,
     .done = DATAGRAM_BYTES, .await = until_back, .flags = LONE},
    {"skua_send_many", make_full_pair, send_many, drain, check_sent, .done = SWEEP_FINE,
     .await = until_back, .flags = LONE},
    {"skua_recv_fds", make_records, receive_fd, send_one_with_fd, check_received,
     .done = DATAGRAM_BYTES, .await = until_back, .flags = LONE},
    {"skua_send_fds", make_full_records, send_own_fd, drain, check_sent, .done = DATAGRAM_BYTES,
     .await = until_back, .flags = LONE},
};

/* covers: B12 */
static void sockets_are_swept(void **state)
{
    sweep_table(entries, sizeof entries / sizeof entries[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(sockets_are_swept)};
    return TEST_RUN(tests);
}
