/* After a transfer that came out short: the next one waits without asking the kernel, and still
   nothing is missed, neither bytes nor ends nor errors. */
#define _GNU_SOURCE 1
#include "io_help.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* The library's tries to receive: it calls this instead of libc's. */
static _Atomic size_t receives;

ssize_t recv(int fd, void *buffer, size_t bytes, int flags)
{
    atomic_fetch_add(&receives, 1);
    return syscall(SYS_recvfrom, fd, buffer, bytes, flags, NULL, NULL);
}

/* Both ends of a TCP connection: [0] adopted, [1] a plain blocking one. */
static void open_tcp(int ends[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof address;
    const int on = 1;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(listener, (struct sockaddr *)&address, bytes), 0);
    CHECK_INT(listen(listener, 1), 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
    ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(ends[1], (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(setsockopt(ends[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    ends[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(ends[0] >= 0);
    CHECK_INT(skua_fd_adopt(ends[0]), 0);
    close(listener);
}

static void close_tcp(const int ends[2])
{
    skua_close(ends[0]);
    close(ends[1]);
}

static void put(int fd, const char *text, int flags)
{
    CHECK_INT(send(fd, text, strlen(text), flags), (long long)strlen(text));
}

/* Read what there is, into a buffer that it does not fill. */
static void expect(int fd, const char *text)
{
    char buffer[64] = "";
    CHECK_INT(skua_read(fd, buffer, sizeof buffer - 1, SKUA_FOREVER), (long long)strlen(text));
    CHECK_STR(buffer, text);
}

static int read_end(void *fd)
{
    char byte;
    return (int)skua_read(*(int *)fd, &byte, 1, SKUA_FOREVER);
}

/* Wait for a reader that has nothing to read. */
static skua_task *park_at_end(int *fd)
{
    skua_task *task = spawn(read_end, fd);
    while (!has_waiter(*fd, 0)) {
        skua_yield();
    }
    return task;
}

enum { MESSAGES = 200 };

static int answer_all(void *arg)
{
    const int fd = *(const int *)arg;
    char buffer[64];
    ssize_t got;
    while ((got = skua_read(fd, buffer, sizeof buffer, SKUA_FOREVER)) > 0) {
        CHECK_INT(skua_write_all(fd, buffer, (size_t)got, NULL, SKUA_FOREVER), 0);
    }
    return (int)got;
}

static int ask_all(void *fd)
{
    for (int i = 0; i < MESSAGES; i++) {
        char buffer[8];
        put(*(int *)fd, "question", 0);
        CHECK_INT(read(*(int *)fd, buffer, sizeof buffer), sizeof buffer);
    }
    return shutdown(*(int *)fd, SHUT_WR);
}

static int count_receives(void *arg)
{
    int ends[2];
    (void)arg;
    open_tcp(ends);
    atomic_store(&receives, 0);
    skua_task *server = spawn(answer_all, &ends[0]);
    CHECK_INT(skua_blocking(ask_all, &ends[1], SKUA_FOREVER), 0);
    CHECK_INT(join(server), 0);
    /* One a message, the end, and a few that an event of something else may have called for. */
    const size_t tries = atomic_load(&receives);
    CHECK(tries > MESSAGES && tries < MESSAGES + MESSAGES / 10);
    close_tcp(ends);
    return 0;
}

/* covers: A72 */
static void a_message_costs_one_read(void **state)
{
    (void)state;
    run(count_receives, NULL);
}

static int read_last(void *fd)
{
    expect(*(int *)fd, "last");
    CHECK_INT(read_end(fd), 0);
    return read_end(fd);
}

/* The end comes with the last bytes, in one segment and so in one event, which wakes the reader. */
static int end_with_bytes(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        int ends[2];
        open_tcp(ends);
        put(ends[1], "last", 0);
        expect(ends[0], "last");
        skua_task *reader = spawn(read_last, &ends[0]);
        while (i % 2 == 0 && !has_waiter(ends[0], 0)) {
            skua_yield();
        }
        put(ends[1], "last", MSG_MORE);
        CHECK_INT(shutdown(ends[1], SHUT_WR), 0);
        CHECK_INT(join(reader), 0);
        close_tcp(ends);
    }
    return 0;
}

/* The end comes while a reader is parked, or about to be. */
static int end_after_bytes(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        int ends[2];
        open_tcp(ends);
        put(ends[1], "last", 0);
        expect(ends[0], "last");
        skua_task *reader = i % 2 == 0 ? park_at_end(&ends[0]) : spawn(read_end, &ends[0]);
        CHECK_INT(shutdown(ends[1], SHUT_WR), 0);
        CHECK_INT(join(reader), 0);
        close_tcp(ends);
    }
    return 0;
}

/* covers: A72 */
static void ends_are_seen(void **state)
{
    (void)state;
    run(end_with_bytes, NULL);
    run(end_after_bytes, NULL);
}

static void reset(int fd)
{
    const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    close(fd);
}

static int be_reset(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) {
        int ends[2];
        open_tcp(ends);
        put(ends[1], "last", 0);
        expect(ends[0], "last");
        skua_task *reader = i % 2 == 0 ? park_at_end(&ends[0]) : spawn(read_end, &ends[0]);
        reset(ends[1]);
        CHECK_INT(join(reader), -ECONNRESET);
        skua_close(ends[0]);
    }
    return 0;
}

/* covers: A72 */
static void resets_are_seen(void **state)
{
    (void)state;
    run(be_reset, NULL);
}

/* A read stops before urgent data, and passes over it: short, though there is more. */
static int pass_urgent(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) {
        int ends[2];
        open_tcp(ends);
        if (i % 2 == 0) {
            put(ends[1], "first", 0);
            expect(ends[0], "first"); /* so that the fd is known to tell */
        }
        put(ends[1], "before", 0);
        put(ends[1], "!", MSG_OOB);
        put(ends[1], "after", 0);
        char all[16] = "";
        for (size_t got = 0; got < strlen("beforeafter");) {
            const ssize_t more = skua_read(ends[0], all + got, sizeof all - got, SKUA_FOREVER);
            CHECK(more > 0);
            got += (size_t)more;
        }
        CHECK_STR(all, "beforeafter");
        close_tcp(ends);
    }
    return 0;
}

static void urgent_data_is_no_end(void **state)
{
    (void)state;
    run(pass_urgent, NULL);
}

/* Put, and wait until it has come through: on a busy machine the kernel does that later. Asks the
   kernel past the library, which is none the wiser. */
static void put_through(int from, int to, const char *text)
{
    struct pollfd readable = {.fd = to, .events = POLLIN};
    put(from, text, 0);
    CHECK_INT(poll(&readable, 1, -1), 1);
}

/* Bytes whose event nobody has picked up: with one worker nobody looks while we do not wait. */
static int read_unannounced(void *arg)
{
    int ends[2];
    char buffer[64];
    (void)arg;
    open_tcp(ends);
    put(ends[1], "one", 0);
    expect(ends[0], "one");
    put_through(ends[1], ends[0], "two");
    CHECK_INT(skua_read(ends[0], buffer, sizeof buffer, SKUA_NOW), 3);
    put_through(ends[1], ends[0], "three");
    CHECK_INT(skua_read(ends[0], buffer, sizeof buffer, skua_after(0)), 5);
    CHECK_INT(skua_read(ends[0], buffer, sizeof buffer, skua_after(0)), -ETIMEDOUT);
    CHECK_INT(skua_read(ends[0], buffer, sizeof buffer, SKUA_NOW), -EAGAIN);
    put(ends[1], "four", 0);
    expect(ends[0], "four");
    close_tcp(ends);
    return 0;
}

static void a_deadline_does_not_hide_bytes(void **state)
{
    const skua_config config = {.workers = 1};
    (void)state;
    CHECK_INT(skua_run(&config, read_unannounced, NULL), 0);
}

/* What a closed connection has left says nothing about the next one of that number. */
static int reuse_number(void *arg)
{
    int ends[2];
    (void)arg;
    open_tcp(ends);
    put(ends[1], "one", 0);
    expect(ends[0], "one");
    for (int i = 0; i < 100; i++) {
        const int number = ends[0];
        close_tcp(ends);
        open_tcp(ends);
        put(ends[1], "two", 0);
        expect(ends[0], "two");
        CHECK_INT(ends[0], number);
    }
    close_tcp(ends);
    return 0;
}

static void a_number_is_reused(void **state)
{
    (void)state;
    run(reuse_number, NULL);
}

/* Unix sockets stop reading behind a message with an fd. */
static int pass_fds(void *arg)
{
    int ends[2];
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t) "with", .iov_len = 4};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    (void)arg;
    open_pair(ends);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(header), &ends[1], sizeof(int));
    CHECK_INT(sendmsg(ends[1], &message, 0), 4);
    put(ends[1], "without", 0);
    expect(ends[0], "with");
    expect(ends[0], "without");
    close_both(ends);
    return 0;
}

static void unix_sockets_always_try(void **state)
{
    (void)state;
    run(pass_fds, NULL);
}

enum { STREAM_BYTES = 300 * 1000 };

struct stream {
    int fd;
    uint64_t random;
};

static unsigned char byte_at(size_t position)
{
    return (unsigned char)(position * 31 + position / 251);
}

/* In random pieces, as fast as they go. */
static int write_stream(void *arg)
{
    struct stream *stream = arg;
    unsigned char piece[5000];
    for (size_t at = 0; at < STREAM_BYTES;) {
        size_t bytes = 1 + test_random(&stream->random) % sizeof piece;
        bytes = bytes < STREAM_BYTES - at ? bytes : STREAM_BYTES - at;
        for (size_t i = 0; i < bytes; i++) {
            piece[i] = byte_at(at + i);
        }
        CHECK_INT(skua_write_all(stream->fd, piece, bytes, NULL, SKUA_FOREVER), 0);
        at += bytes;
        if (test_random(&stream->random) % 4 == 0) {
            skua_yield();
        }
    }
    return 0;
}

static int stream_random_pieces(void *arg)
{
    int ends[2];
    uint64_t random = test_seed();
    (void)arg;
    open_tcp(ends);
    CHECK_INT(skua_fd_adopt(ends[1]), 0);
    struct stream stream = {.fd = ends[1], .random = test_random(&random)};
    skua_task *writer = spawn(write_stream, &stream);
    unsigned char piece[7000];
    for (size_t at = 0; at < STREAM_BYTES;) {
        const size_t room = 1 + test_random(&random) % sizeof piece;
        const ssize_t got = skua_read(ends[0], piece, room, SKUA_FOREVER);
        CHECK(got > 0);
        for (ssize_t i = 0; i < got; i++) {
            CHECK_INT(piece[i], byte_at(at + (size_t)i));
        }
        at += (size_t)got;
    }
    CHECK_INT(join(writer), 0);
    skua_close(ends[1]);
    CHECK_INT(read_end(&ends[0]), 0);
    skua_close(ends[0]);
    return 0;
}

/* covers: A72 */
static void any_pieces_arrive(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_config config = {.workers = workers};
        CHECK_INT(skua_run(&config, stream_random_pieces, NULL), 0);
    }
}

/* A write that went in by half waits for room, and goes on when there is some. */
static int write_into_full(void *arg)
{
    int ends[2];
    (void)arg;
    open_tcp(ends);
    CHECK_INT(skua_fd_adopt(ends[1]), 0);
    const size_t filled = fill(ends[0]);
    struct one_byte one = {.fd = ends[0], .deadline = SKUA_FOREVER};
    skua_task *writer = park_writer(&one);
    drain(ends[1], filled + 1);
    CHECK_INT(join(writer), 1);
    close_both(ends);
    return 0;
}

/* covers: A72 */
static void room_is_noticed(void **state)
{
    (void)state;
    run(write_into_full, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_costs_one_read), TEST(ends_are_seen),
        TEST(resets_are_seen),          TEST(urgent_data_is_no_end),
        TEST(a_number_is_reused),       TEST(a_deadline_does_not_hide_bytes),
        TEST(unix_sockets_always_try),  TEST(any_pieces_arrive),
        TEST(room_is_noticed),
    };
    return TEST_RUN(tests);
}
