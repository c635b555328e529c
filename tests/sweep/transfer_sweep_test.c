/* Vectors, flags and copies, disturbed wherever they wait: every byte that went in has come out or
   is still there. In real time, since the kernel knows no other. */
#include "sweep.h"

#include <fcntl.h>
#include <skua/io.h>
#include <skua/transfer.h>
#include <stdlib.h>
#include <sys/ioctl.h>

enum { PIPE_BYTES = 4096, FILE_BYTES = 100, COPY_BYTES = 3, PARTS = 5 };

/* One end is the victim's, the other one the driver's; of those who copy, two of each. */
static int own, other, own_out, other_out, file;
static _Atomic size_t went_in, came_out;
static char much[3 * PIPE_BYTES];

static void until_back(void)
{
    while (!sweep.victim.has_returned) {
        (void)!skua_yield();
    }
}

static int inside(int fd)
{
    int bytes = 0;
    SAME(ioctl(fd, FIONREAD, &bytes), 0);
    return bytes;
}

static void write_a_byte(void)
{
    went_in++;
    SAME(write(other, "x", 1), 1);
}

static void drain_all(int fd)
{
    static char bytes[65536];
    ssize_t got;
    while ((got = read(fd, bytes, sizeof bytes)) > 0) {
        came_out += (size_t)got;
    }
}

static void drain(void)
{
    drain_all(other);
}

static void fill(int fd)
{
    ssize_t put;
    while ((put = skua_write(fd, much, sizeof much, SKUA_NOW)) > 0) {
        went_in += (size_t)put;
    }
    SAME(put, -EAGAIN);
}

/* --- pipes and pairs -------------------------------------------------------------------------- */

static void make_pipe(bool is_to_read)
{
    int ends[2];
    went_in = came_out = 0;
    SAME(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    SAME(fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES), PIPE_BYTES);
    own = ends[is_to_read ? 0 : 1];
    other = ends[is_to_read ? 1 : 0];
    SAME(skua_fd_adopt(own), 0);
}

static void make_pipe_to_read(void)
{
    make_pipe(true);
}

static void make_pipe_to_write(void)
{
    make_pipe(false);
}

static void make_full_pipe(void)
{
    make_pipe(false);
    fill(own);
}

static void make_pair(int *mine, int *driver)
{
    int ends[2];
    SAME(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    *mine = ends[0];
    *driver = ends[1];
    SAME(skua_fd_adopt(*mine), 0);
}

static void make_empty_pair(void)
{
    went_in = came_out = 0;
    make_pair(&own, &other);
}

static void make_full_pair(void)
{
    make_empty_pair();
    fill(own);
}

static void close_ends(void)
{
    skua_close(own);
    close(other);
}

static void check_read(int status)
{
    SAME(went_in, came_out + (size_t)inside(own));
    close_ends();
}

static void check_written(int status)
{
    drain();
    SAME(went_in, came_out);
    close_ends();
}

static int count_in(ssize_t status)
{
    went_in += status > 0 ? (size_t)status : 0;
    return (int)status;
}

static int count_out(ssize_t status)
{
    came_out += status > 0 ? (size_t)status : 0;
    return (int)status;
}

static int read_parts(skua_time deadline)
{
    char bytes[8];
    const struct iovec parts[] = {{bytes, 3}, {bytes + 3, 5}};
    return count_out(skua_readv(own, parts, 2, deadline));
}

static int write_parts(skua_time deadline)
{
    const struct iovec parts[] = {{much, 30}, {much, 70}};
    return count_in(skua_writev(own, parts, 2, deadline));
}

static int write_all_parts(skua_time deadline)
{
    struct iovec parts[PARTS];
    size_t written = 0;
    for (int i = 0; i < PARTS; i++) {
        parts[i] = (struct iovec){much, sizeof much / PARTS};
    }
    const int status = skua_writev_all(own, parts, PARTS, &written, deadline);
    went_in += written;
    SAME(status == 0 ? written : sizeof much / PARTS * PARTS, sizeof much / PARTS * PARTS);
    return status;
}

/* The pipe is full again, or there was no more. */
static void until_full_or_back(void)
{
    while (!sweep.victim.has_returned && inside(other) < PIPE_BYTES) {
        (void)!skua_yield();
    }
}

static int receive_some(skua_time deadline)
{
    char bytes[8];
    return count_out(skua_recv(own, bytes, sizeof bytes, 0, deadline));
}

static int send_some(skua_time deadline)
{
    return count_in(skua_send(own, much, 100, MSG_MORE, deadline));
}

/* --- from one fd to another ------------------------------------------------------------------- */

static void make_file_and_full_pair(void)
{
    char path[] = "/tmp/skua-swept-XXXXXX";
    make_full_pair();
    file = mkostemp(path, O_CLOEXEC);
    SAME(file >= 0, true);
    SAME(unlink(path), 0);
    SAME(write(file, much, FILE_BYTES), FILE_BYTES);
    SAME(skua_fd_adopt(file), 0);
}

static int send_file(skua_time deadline)
{
    off_t offset = 0;
    const int status = count_in(skua_sendfile(own, file, &offset, FILE_BYTES, deadline));
    SAME(offset, status > 0 ? status : 0);
    return status;
}

static void check_file_sent(int status)
{
    check_written(status);
    skua_close(file);
}

static void make_pipe_and_pair(void)
{
    make_pipe_to_read();
    make_pair(&own_out, &other_out);
}

static void make_pipe_and_full_pair(void)
{
    make_pipe_and_pair();
    fill(own_out);
    write_a_byte();
}

static void make_pairs(void)
{
    make_empty_pair();
    make_pair(&own_out, &other_out);
}

static int splice_some(skua_time deadline)
{
    return (int)skua_splice(own_out, own, 100, deadline);
}

static int copy_some(skua_time deadline)
{
    const skua_copy_opts opts = {.bytes = COPY_BYTES};
    uint64_t copied = 0;
    const int status = skua_copy(own_out, own, &copied, &opts, deadline);
    SAME(status == 0 ? copied : COPY_BYTES, COPY_BYTES);
    return status;
}

static void drain_out(void)
{
    drain_all(other_out);
}

static void check_moved(int status)
{
    drain_out();
    SAME(went_in, came_out + (size_t)inside(own));
    close_ends();
    skua_close(own_out);
    close(other_out);
}

/* What was written is taken, or nobody takes any more. */
static void until_taken_or_back(void)
{
    while (!sweep.victim.has_returned && inside(own) > 0) {
        (void)!skua_yield();
    }
}

/* --- the table -------------------------------------------------------------------------------- */

enum { LONE = SWEEP_REAL | SWEEP_ALONE };

static const swept entries[] = {
    {"skua_readv", make_pipe_to_read, read_parts, write_a_byte, check_read, .done = 1,
     .await = until_back, .flags = LONE},
    {"skua_writev", make_full_pipe, write_parts, drain, check_written, .done = 100,
     .await = until_back, .flags = LONE},
    {"skua_writev_all", make_pipe_to_write, write_all_parts, drain, check_written,
     .await = until_full_or_back, .flags = LONE},
    {"skua_recv", make_empty_pair, receive_some, write_a_byte, check_read, .done = 1,
     .await = until_back, .flags = LONE},
    {"skua_send", make_full_pair, send_some, drain, check_written, .done = 100, .await = until_back,
     .flags = LONE},
    {"skua_sendfile", make_file_and_full_pair, send_file, drain, check_file_sent,
     .done = FILE_BYTES, .await = until_back, .flags = LONE},
    {"skua_splice: nothing comes", make_pipe_and_pair, splice_some, write_a_byte, check_moved,
     .done = 1, .await = until_back, .flags = LONE},
    {"skua_splice: no room", make_pipe_and_full_pair, splice_some, drain_out, check_moved,
     .done = 1, .await = until_back, .flags = LONE},
    {"skua_copy", make_pairs, copy_some, write_a_byte, check_moved, .done = 0,
     .await = until_taken_or_back, .flags = LONE},
};

/* covers: B12 */
static void transfers_are_swept(void **state)
{
    sweep_table(entries, sizeof entries / sizeof entries[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(transfers_are_swept)};
    return TEST_RUN(tests);
}
