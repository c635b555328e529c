/* Moving bytes: vectors, flags, half-close, and single steps from one fd to another. */
#include "base/mem.h"
#include "transfer_help.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* --- several buffers --- */

static void fill_random(unsigned char *data, size_t bytes)
{
    uint64_t random = test_seed();
    for (size_t i = 0; i < bytes; i++) {
        data[i] = (unsigned char)test_random(&random);
    }
}

static void move_three(int from, int to)
{
    char a[3] = "", b[1] = "", c[8] = "";
    char ab[] = "ab", rest[] = "cdefg";
    const struct iovec out[] = {{ab, 2}, {NULL, 0}, {rest, 5}};
    const struct iovec in[] = {{a, 3}, {b, 1}, {NULL, 0}, {c, 8}};
    CHECK_INT(skua_writev(to, out, 3, SKUA_FOREVER), 7);
    CHECK_INT(skua_readv(from, in, 4, SKUA_FOREVER), 7);
    CHECK_INT(memcmp(a, "abc", 3), 0);
    CHECK_INT(b[0], 'd');
    CHECK_INT(memcmp(c, "efg", 3), 0);
}

static int move_vectors(void *arg)
{
    int ends[2];
    struct iovec part = {.iov_base = &part, .iov_len = 1};
    open_pair(ends);
    move_three(ends[0], ends[1]);
    CHECK_INT(skua_readv(ends[0], &part, 1, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_readv(ends[0], &part, 1, skua_after(SKUA_US(100))), -ETIMEDOUT);
    CHECK_INT(skua_writev(ends[0], &part, 0, SKUA_NOW), 0);
    CHECK_INT(skua_writev(ends[0], NULL, 1, SKUA_NOW), -EINVAL);
    CHECK_INT(skua_writev(ends[0], &part, -1, SKUA_NOW), -EINVAL);
    CHECK_INT(skua_writev_all(ends[0], NULL, 1, NULL, SKUA_NOW), -EINVAL);
    CHECK_INT(skua_writev_all(ends[0], NULL, 0, NULL, SKUA_NOW), 0);
    CHECK_INT(skua_readv(9999, &part, 1, SKUA_NOW), -EBADF);
    skua_close(ends[1]);
    CHECK_INT(skua_writev(ends[0], &part, 1, SKUA_FOREVER), -EPIPE); /* and no SIGPIPE */
    CHECK_INT(skua_readv(ends[0], &part, 1, SKUA_FOREVER), 0);
    skua_close(ends[0]);
    open_pipe(ends);
    move_three(ends[0], ends[1]);
    close_both(ends);
    return 0;
}

/* covers: A72 */
static void several_buffers_are_one_transfer(void **state)
{
    run(move_vectors, NULL);
}

static int vectors_of_a_file(void *arg)
{
    char path[64];
    const int fd = open_temp(path);
    char ab[] = "ab", rest[] = "cdefg";
    const struct iovec out[] = {{ab, 2}, {rest, 5}};
    char a[4], b[8];
    const struct iovec in[] = {{a, 4}, {b, 8}};
    CHECK_INT(skua_writev_all(fd, out, 2, NULL, SKUA_FOREVER), 0);
    CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
    CHECK_INT(skua_readv(fd, in, 2, SKUA_FOREVER), 7);
    CHECK_INT(memcmp(a, "abcd", 4), 0);
    CHECK_INT(memcmp(b, "efg", 3), 0);
    CHECK_INT(skua_readv(fd, in, 2, SKUA_FOREVER), 0);
    skua_close(fd);
    return 0;
}

static void files_take_vectors_too(void **state)
{
    run(vectors_of_a_file, NULL);
}

enum { COLD_BYTES = 40000 };

/* What the page cache does not have is not read in place. */
static int vectors_of_a_cold_file(void *arg)
{
    char path[64];
    static char out[COLD_BYTES], in[COLD_BYTES];
    const int fd = open_temp(path);
    for (size_t i = 0; i < sizeof out; i++) {
        out[i] = (char)(i / 7);
    }
    const struct iovec to[] = {{in, 10}, {in + 10, 20000}, {in + 20010, COLD_BYTES - 20010}};
    CHECK_INT(skua_write_all(fd, out, sizeof out, NULL, SKUA_FOREVER), 0);
    CHECK_INT(fsync(fd), 0);
    CHECK_INT(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
    for (size_t at = 0; at < COLD_BYTES;) {
        const struct iovec rest[] = {{in + at, (COLD_BYTES - at) / 2},
                                     {in + at + (COLD_BYTES - at) / 2, (COLD_BYTES - at + 1) / 2}};
        const ssize_t got = skua_readv(fd, at == 0 ? to : rest, at == 0 ? 3 : 2, SKUA_FOREVER);
        CHECK(got > 0);
        at += (size_t)got;
    }
    CHECK_INT(memcmp(in, out, COLD_BYTES), 0);
    skua_close(fd);
    return 0;
}

static void cold_files_take_vectors_too(void **state)
{
    run(vectors_of_a_cold_file, NULL);
}

enum { PARTS = 3000, PARTS_BYTES = PARTS / 50 * 1225 };

struct many_parts {
    int fd;
    unsigned char *data;
    struct iovec parts[PARTS];
    size_t written;
};

static int write_parts(void *arg)
{
    struct many_parts *many = arg;
    return skua_writev_all(many->fd, many->parts, PARTS, &many->written, SKUA_FOREVER);
}

/* More parts than one call takes, of 0 to 49 bytes, through a socket that takes little at once. */
static int send_parts(void *arg)
{
    int ends[2];
    static struct many_parts many;
    static unsigned char got_back[PARTS_BYTES];
    const int little = 4096;
    many.data = malloc(PARTS_BYTES);
    fill_random(many.data, PARTS_BYTES);
    size_t at = 0;
    for (int i = 0; i < PARTS; i++) {
        many.parts[i] = (struct iovec){many.data + at, (size_t)i % 50};
        at += (size_t)i % 50;
    }
    CHECK_INT(at, PARTS_BYTES);
    open_pair(ends);
    CHECK_INT(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &little, sizeof little), 0);
    many.fd = ends[1];
    skua_task *writer = spawn(write_parts, &many);
    for (at = 0; at < PARTS_BYTES;) {
        const struct iovec part = {got_back + at, 1 + at % 300};
        const ssize_t got = skua_readv(ends[0], &part, 1, SKUA_FOREVER);
        CHECK(got > 0);
        at += (size_t)got;
    }
    CHECK_INT(join(writer), 0);
    CHECK_INT(many.written, PARTS_BYTES);
    CHECK_INT(memcmp(got_back, many.data, PARTS_BYTES), 0);

    writer = spawn(write_parts, &many); /* and one that does not get through */
    while (!has_waiter(ends[1], 1)) {
        skua_yield();
    }
    skua_task_cancel(writer);
    CHECK_INT(join(writer), -ECANCELED);
    CHECK(many.written > 0 && many.written < PARTS_BYTES);
    drain(ends[0], many.written);
    CHECK_INT(skua_read(ends[0], got_back, 1, SKUA_NOW), -EAGAIN);
    close_both(ends);
    free(many.data);
    return 0;
}

static void all_parts_are_written_or_counted(void **state)
{
    run(send_parts, NULL);
}

/* --- flags and half-close --- */

static int use_flags(void *arg)
{
    int ends[2];
    char bytes[4] = "";
    open_pair(ends);
    CHECK_INT(skua_send(ends[1], "abc", 3, MSG_MORE, SKUA_FOREVER), 3);
    CHECK_INT(skua_recv(ends[0], bytes, 2, MSG_PEEK, SKUA_FOREVER), 2);
    CHECK_INT(memcmp(bytes, "ab", 2), 0);
    CHECK_INT(skua_recv(ends[0], bytes, sizeof bytes, 0, SKUA_FOREVER), 3);
    CHECK_INT(memcmp(bytes, "abc", 3), 0);
    CHECK_INT(skua_recv(ends[0], bytes, 1, MSG_PEEK, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_recv(ends[0], bytes, 1, 0, skua_after(SKUA_US(100))), -ETIMEDOUT);
    CHECK_INT(skua_recv(ends[0], bytes, 1, MSG_WAITALL, SKUA_NOW), -EINVAL);
    CHECK_INT(skua_recv(ends[0], bytes, 1, MSG_TRUNC, SKUA_NOW), -EINVAL);
    close_both(ends);
    open_pipe(ends);
    CHECK_INT(skua_recv(ends[0], bytes, 1, 0, SKUA_FOREVER), -ENOTSOCK);
    CHECK_INT(skua_send(ends[1], bytes, 1, 0, SKUA_FOREVER), -ENOTSOCK);
    CHECK_INT(skua_shutdown(ends[1], SHUT_WR), -ENOTSOCK);
    close_both(ends);
    return 0;
}

static void sockets_take_flags(void **state)
{
    run(use_flags, NULL);
}

static int close_half(void *arg)
{
    int ends[2];
    char byte;
    open_pair(ends);
    struct one_byte reader = {.fd = ends[0]};
    skua_task *task = park_reader(&reader);
    CHECK_INT(skua_shutdown(ends[1], SHUT_WR), 0);
    CHECK_INT(join(task), 0); /* the end */
    CHECK_INT(skua_write(ends[1], "x", 1, SKUA_FOREVER), -EPIPE);
    CHECK_INT(skua_write(ends[0], "y", 1, SKUA_FOREVER), 1);
    CHECK_INT(skua_read(ends[1], &byte, 1, SKUA_FOREVER), 1);
    CHECK_INT(byte, 'y');
    reader.fd = ends[1];
    task = park_reader(&reader); /* a reader of the side itself */
    CHECK_INT(skua_shutdown(ends[1], SHUT_RD), 0);
    CHECK_INT(join(task), 0);
    CHECK_INT(skua_shutdown(ends[1], 77), -EINVAL);
    close_both(ends);
    CHECK_INT(skua_shutdown(ends[1], SHUT_WR), -EBADF);
    return 0;
}

/* covers: A72 */
static void one_half_can_be_closed(void **state)
{
    run(close_half, NULL);
}

/* --- from one fd to another --- */

static int send_file(void *arg)
{
    int ends[2];
    char path[64];
    const int file = open_temp(path);
    write_file(file, BULK);
    for (int round = 0; round < 3; round++) {
        open_pair(ends);
        struct sink sink = {.fd = ends[1], .is_slow = round == 2};
        skua_task *reader = spawn(swallow, &sink);
        off_t offset = 1000;
        ssize_t put = 1;
        while (put > 0) {
            put = skua_sendfile(ends[0], file, round == 0 ? NULL : &offset, BULK, SKUA_FOREVER);
            CHECK(put >= 0 && put <= 256 * 1024);
        }
        skua_close(ends[0]);
        CHECK_INT(join(reader), 0);
        check_came(&sink, round == 0 ? 0 : 1000, round == 0 ? BULK : BULK - 1000);
        CHECK_INT(round == 0 ? BULK : offset, BULK);
        CHECK_INT(lseek(file, 0, SEEK_CUR), BULK); /* only the first round has moved it */
        skua_close(ends[1]);
    }
    skua_close(file);
    return 0;
}

/* covers: A72 */
static void a_file_is_sent(void **state)
{
    run(send_file, NULL);
}

static int sendfile_fails(void *arg)
{
    int ends[2], others[2];
    char path[64];
    off_t offset = 0, before = -1;
    const int file = open_temp(path);
    write_file(file, 10);
    open_pair(ends);
    open_pair(others);
    CHECK_INT(skua_sendfile(ends[0], others[0], NULL, 1, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_sendfile(ends[0], 9999, NULL, 1, SKUA_FOREVER), -EBADF);
    CHECK_INT(skua_sendfile(9999, file, NULL, 1, SKUA_FOREVER), -EBADF);
    CHECK_INT(skua_sendfile(ends[0], file, &before, 1, SKUA_FOREVER), -EINVAL);
    const size_t filled = fill(ends[0]);
    CHECK_INT(skua_sendfile(ends[0], file, &offset, 5, skua_after(SKUA_US(100))), -ETIMEDOUT);
    drain(ends[1], filled);
    skua_close(ends[1]);
    CHECK_INT(skua_sendfile(ends[0], file, &offset, 5, SKUA_FOREVER), -EPIPE); /* no SIGPIPE */
    CHECK_INT(offset, 0);
    skua_close(ends[0]);
    close_both(others);
    skua_close(file);
    return 0;
}

static void sendfile_says_what_is_wrong(void **state)
{
    run(sendfile_fails, NULL);
}

static _Atomic int signals_seen;

static void see_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals_seen, 1);
}

static void *break_pipes_on_thread(void *arg)
{
    const bool is_blocked = arg != NULL;
    int ends[2], pipes[2];
    sigset_t pipe_signal, pending;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_INT(pipe(pipes), 0);
    CHECK_INT(write(pipes[1], "x", 1), 1);
    close(ends[1]);
    if (is_blocked) {
        CHECK_INT(pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL), 0);
        CHECK_INT(pthread_kill(pthread_self(), SIGPIPE), 0);
    }
    CHECK_INT(skua_splice(ends[0], pipes[0], 1, SKUA_FOREVER), -EPIPE);
    CHECK_INT(sigpending(&pending), 0);
    CHECK_INT(sigismember(&pending, SIGPIPE), is_blocked); /* the program's own stays */
    close(ends[0]);
    close(pipes[0]);
    close(pipes[1]);
    return NULL;
}

static void a_broken_connection_raises_no_signal(void **state)
{
    pthread_t thread;
    void (*before)(int) = signal(SIGPIPE, see_signal);
    for (uintptr_t is_blocked = 0; is_blocked < 2; is_blocked++) {
        CHECK_INT(pthread_create(&thread, NULL, break_pipes_on_thread, (void *)is_blocked), 0);
        CHECK_INT(pthread_join(thread, NULL), 0);
    }
    run(sendfile_fails, NULL);
    CHECK_INT(atomic_load(&signals_seen), 0);
    CHECK(signal(SIGPIPE, before) == see_signal);
}

struct splice_arg {
    int out, in;
    ssize_t result;
};

static int splice_one(void *arg)
{
    struct splice_arg *one = arg;
    return (int)skua_splice(one->out, one->in, 100, SKUA_FOREVER);
}

/* Waits for the side that is not ready, whichever it is. */
static int splice_both_ways(void *arg)
{
    int pipes[2], ends[2];
    char bytes[8];
    open_pipe(pipes);
    open_pair(ends);
    struct splice_arg to_pipe = {.out = pipes[1], .in = ends[0]};
    skua_task *task = spawn(splice_one, &to_pipe);
    while (!has_waiter(ends[0], 0)) {
        skua_yield();
    }
    CHECK_INT(skua_write(ends[1], "abc", 3, SKUA_FOREVER), 3);
    CHECK_INT(join(task), 3);
    const size_t filled = fill(ends[0]);
    struct splice_arg to_socket = {.out = ends[0], .in = pipes[0]};
    task = spawn(splice_one, &to_socket);
    while (!has_waiter(ends[0], 1)) {
        skua_yield();
    }
    drain(ends[1], filled);
    CHECK_INT(join(task), 3);
    CHECK_INT(skua_read(ends[1], bytes, sizeof bytes, SKUA_FOREVER), 3);
    CHECK_INT(memcmp(bytes, "abc", 3), 0);
    CHECK_INT(skua_splice(ends[0], pipes[0], 1, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_splice(ends[0], pipes[0], 1, skua_after(SKUA_US(100))), -ETIMEDOUT);
    CHECK_INT(skua_splice(ends[0], ends[1], 1, SKUA_NOW), -EINVAL);
    CHECK_INT(skua_splice(ends[0], 9999, 1, SKUA_NOW), -EBADF);
    CHECK_INT(skua_splice(9999, ends[0], 1, SKUA_NOW), -EBADF);
    task = spawn(splice_one, &to_socket);
    while (!has_waiter(pipes[0], 0)) {
        skua_yield();
    }
    skua_task_cancel(task);
    CHECK_INT(join(task), -ECANCELED);
    task = spawn(splice_one, &to_socket);
    while (!has_waiter(pipes[0], 0)) {
        skua_yield();
    }
    skua_close(pipes[0]);
    CHECK_INT(join(task), -EBADF);
    skua_close(pipes[1]);
    close_both(ends);
    return 0;
}

static void splice_waits_for_either_side(void **state)
{
    run(splice_both_ways, NULL);
}

int main(void)
{
    fill_sent();
    const struct CMUnitTest tests[] = {
        TEST(several_buffers_are_one_transfer),
        TEST(files_take_vectors_too),
        TEST(cold_files_take_vectors_too),
        TEST(all_parts_are_written_or_counted),
        TEST(sockets_take_flags),
        TEST(one_half_can_be_closed),
        TEST(a_file_is_sent),
        TEST(sendfile_says_what_is_wrong),
        TEST(a_broken_connection_raises_no_signal),
        TEST(splice_waits_for_either_side),
    };
    return TEST_RUN(tests);
}
