/* Files, pipes and sockets, disturbed wherever they wait: every byte that went in comes out or is
   still there, every connection that was made is accepted once, and no fd is left open. In real
   time, since the kernel knows no other. */
#include "sweep.h"

#include <netinet/in.h>
#include <skua/io.h>
#include <sys/ioctl.h>
#include <sys/un.h>

enum { PIPE_BYTES = 4096, MUCH_BYTES = 3 * PIPE_BYTES };

static int reading, writing;
static _Atomic size_t went_in, came_out;
static char much[MUCH_BYTES];

static void until_back(void)
{
    while (!sweep.victim.has_returned) {
        (void)!skua_yield();
    }
}

/* --- pipes ------------------------------------------------------------------------------------ */

static void make_pipe(void)
{
    int ends[2];
    went_in = came_out = 0;
    SAME(pipe2(ends, O_CLOEXEC), 0);
    reading = ends[0];
    writing = ends[1];
    SAME(fcntl(writing, F_SETPIPE_SZ, PIPE_BYTES), PIPE_BYTES);
}

static int in_pipe(void)
{
    int bytes = 0;
    SAME(ioctl(reading, FIONREAD, &bytes), 0);
    return bytes;
}

static void make_pipe_to_read(void)
{
    make_pipe();
    SAME(skua_fd_adopt(reading), 0);
}

static void make_pipe_to_write(void)
{
    make_pipe();
    SAME(skua_fd_adopt(writing), 0);
}

static void make_full_pipe(void)
{
    make_pipe_to_write();
    ssize_t status;
    while ((status = skua_write(writing, much, sizeof much, SKUA_NOW)) > 0) {
        went_in += (size_t)status;
    }
    SAME(status, -EAGAIN);
}

static void write_a_byte(void)
{
    went_in++;
    SAME(write(writing, "x", 1), 1);
}

static void drain(void)
{
    char bytes[PIPE_BYTES];
    if (in_pipe() > 0) {
        const ssize_t status = read(reading, bytes, sizeof bytes);
        SAME(status > 0, true);
        came_out += (size_t)status;
    }
}

static int read_some(skua_time deadline)
{
    char bytes[8];
    const ssize_t status = skua_read(reading, bytes, sizeof bytes, deadline);
    came_out += status > 0 ? (size_t)status : 0;
    return (int)status;
}

static int write_some(skua_time deadline)
{
    const ssize_t status = skua_write(writing, much, 100, deadline);
    went_in += status > 0 ? (size_t)status : 0;
    return (int)status;
}

static int write_much(skua_time deadline)
{
    size_t written = 0;
    const int status = skua_write_all(writing, much, sizeof much, &written, deadline);
    went_in += written;
    SAME(status == 0 ? written : sizeof much, sizeof much);
    return status;
}

/* The pipe is full again, or there was no more. */
static void until_full_or_back(void)
{
    while (!sweep.victim.has_returned && in_pipe() < PIPE_BYTES) {
        (void)!skua_yield();
    }
}

static int wait_readable(skua_time deadline)
{
    return skua_wait_fd(reading, SKUA_READABLE, deadline);
}

static void check_pipe_of(int adopted, int other)
{
    SAME(went_in, came_out + (size_t)in_pipe());
    skua_close(adopted);
    close(other);
}

static void check_read_pipe(int status)
{
    check_pipe_of(reading, writing);
}

static void check_written_pipe(int status)
{
    check_pipe_of(writing, reading);
}

static void check_foreign_pipe(int status)
{
    SAME(in_pipe(), went_in);
    close(reading);
    close(writing);
}

/* --- sockets ---------------------------------------------------------------------------------- */

static int listener, clients[8], client_count;
static gate accepted;
static struct sockaddr_in address;

static void make_listener(void)
{
    socklen_t bytes = sizeof address;
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    client_count = 0;
    accepted = 0;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SAME(bind(listener, (struct sockaddr *)&address, bytes), 0);
    SAME(listen(listener, 8), 0);
    SAME(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
    SAME(skua_fd_adopt(listener), 0);
}

static void come(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SAME(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    clients[client_count++] = fd;
}

static int accept_one(skua_time deadline)
{
    const int fd = skua_accept(listener, NULL, NULL, deadline);
    if (fd >= 0) {
        accepted++;
        skua_close(fd);
    }
    return fd;
}

static void each_was_accepted(int status)
{
    while (accepted < client_count) {
        SAME(accept_one(SKUA_FOREVER) >= 0, true);
    }
    SAME(accept_one(SKUA_NOW), -EAGAIN);
    while (client_count > 0) {
        close(clients[--client_count]);
    }
    skua_close(listener);
}

/* A listener whose line is full: who comes has to wait until somebody is let in. */
static struct sockaddr_un place;
static socklen_t place_bytes = sizeof(sa_family_t) + 1 + 16;

static void make_full_listener(void)
{
    place = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(place.sun_path + 1, 17, "swept%011d", (int)getpid());
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    SAME(bind(listener, (struct sockaddr *)&place, place_bytes), 0);
    SAME(listen(listener, 0), 0);
    clients[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SAME(connect(clients[0], (struct sockaddr *)&place, place_bytes), 0);
}

static void let_one_in(void)
{
    const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        close(fd);
    }
}

static int connect_one(skua_time deadline)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SAME(skua_fd_adopt(fd), 0);
    const int status = skua_connect(fd, (struct sockaddr *)&place, place_bytes, deadline);
    skua_close(fd);
    return status;
}

static void leave_listener(int status)
{
    close(clients[0]);
    close(listener);
}

/* --- files ------------------------------------------------------------------------------------ */

static void nothing(void) {}

static int open_null(skua_time deadline)
{
    const int fd = skua_open("/dev/null", O_RDONLY, 0, deadline);
    if (fd >= 0) {
        skua_close(fd);
    }
    return fd;
}

static void nothing_is_left(int status) {}

/* --- the table -------------------------------------------------------------------------------- */

enum { LONE = SWEEP_REAL | SWEEP_ALONE };

static const swept entries[] = {
    {"skua_read", make_pipe_to_read, read_some, write_a_byte, check_read_pipe, .done = 1,
     .await = until_back, .flags = LONE},
    {"skua_write", make_full_pipe, write_some, drain, check_written_pipe, .done = 100,
     .await = until_back, .flags = LONE},
    {"skua_write_all", make_pipe_to_write, write_much, drain, check_written_pipe,
     .await = until_full_or_back, .flags = LONE},
    {"skua_wait_fd", make_pipe, wait_readable, write_a_byte, check_foreign_pipe,
     .done = SKUA_READABLE, .await = until_back, .flags = LONE},
    {"skua_accept", make_listener, accept_one, come, each_was_accepted, .done = SWEEP_FINE,
     .await = until_back, .flags = LONE},
    {"skua_connect", make_full_listener, connect_one, let_one_in, leave_listener, .done = 0,
     .await = until_back, .flags = LONE},
    {"skua_open", nothing, open_null, nothing, nothing_is_left, .done = SWEEP_FINE,
     .await = until_back, .flags = LONE | SWEEP_NO_DEADLINE | SWEEP_AWAITS},
};

/* covers: B12 */
static void io_is_swept(void **state)
{
    sweep_table(entries, sizeof entries / sizeof entries[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(io_is_swept)};
    return TEST_RUN(tests);
}
