/* File descriptors through Unix sockets: all of them arrive, or none stays open. */
#include "base/mem.h"
#include "net_help.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

/* So many write ends of one pipe. */
static void open_copies(int pipe_end, int fds[], int count)
{
    for (int i = 0; i < count; i++) {
        fds[i] = fcntl(pipe_end, F_DUPFD_CLOEXEC, 0);
        CHECK(fds[i] >= 0);
    }
}

static void close_all(const int fds[], int count, void (*close_one)(int fd))
{
    for (int i = 0; i < count; i++) {
        close_one(fds[i]);
    }
}

static void close_plain(int fd)
{
    CHECK_INT(close(fd), 0);
}

static void pass(int type, int count)
{
    int ends[2], pipes[2], given[SKUA_FDS_MAX], got[SKUA_FDS_MAX], room = SKUA_FDS_MAX;
    char bytes[8];
    CHECK_INT(skua_socket_pair(ends, type), 0);
    open_pipe(pipes);
    open_copies(pipes[1], given, count);
    CHECK_INT(skua_send_fds(ends[0], "abc", 3, given, count, SKUA_FOREVER), 3);
    close_all(given, count, close_plain); /* the kernel has its own */
    CHECK_INT(skua_recv_fds(ends[1], bytes, sizeof bytes, got, &room, SKUA_FOREVER), 3);
    CHECK_INT(memcmp(bytes, "abc", 3), 0);
    CHECK_INT(room, count);
    for (int i = 0; i < count; i++) {
        CHECK_INT(fcntl(got[i], F_GETFD), FD_CLOEXEC);
        CHECK_INT(skua_write(got[i], "x", 1, SKUA_FOREVER), 1); /* adopted, and the right ones */
        CHECK_INT(skua_read(pipes[0], bytes, 1, SKUA_FOREVER), 1);
    }
    close_all(got, count, skua_close);
    skua_close(pipes[1]);
    CHECK_INT(skua_read(pipes[0], bytes, 1, SKUA_FOREVER), 0); /* no copy is left */
    skua_close(pipes[0]);
    close_both(ends);
}

static int pass_all(void *arg)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
    for (int i = 0; i < 3; i++) {
        for (int count = 0; count <= SKUA_FDS_MAX; count += count < 8 ? 1 : 49) {
            pass(types[i], count);
        }
        pass(types[i], SKUA_FDS_MAX);
    }
    return 0;
}

/* covers: A72 */
static void any_number_of_fds_passes(void **state)
{
    run(pass_all, NULL);
}

static int pass_badly(void *arg)
{
    int ends[2], given[SKUA_FDS_MAX + 1], got[4], room = 4;
    char byte;
    CHECK_INT(skua_socket_pair(ends, SOCK_STREAM), 0);
    for (int i = 0; i <= SKUA_FDS_MAX; i++) {
        given[i] = ends[0];
    }
    CHECK_INT(skua_send_fds(ends[0], "x", 1, given, SKUA_FDS_MAX + 1, SKUA_NOW), -EINVAL);
    CHECK_INT(skua_send_fds(ends[0], "x", 1, given, -1, SKUA_NOW), -EINVAL);
    CHECK_INT(skua_send_fds(ends[0], "", 0, given, 1, SKUA_NOW), -EINVAL);
    given[1] = -1;
    CHECK_INT(skua_send_fds(ends[0], "x", 1, given, 2, SKUA_FOREVER), -EBADF);
    CHECK_INT(skua_recv_fds(ends[1], &byte, 1, got, &room, SKUA_NOW), -EAGAIN);
    CHECK_INT(room, 0);
    room = 4;
    CHECK_INT(skua_recv_fds(ends[1], &byte, 1, got, &room, skua_after(SKUA_US(100))), -ETIMEDOUT);
    CHECK_INT(skua_recv_fds(9999, &byte, 1, got, &room, SKUA_NOW), -EBADF);
    skua_close(ends[0]);
    CHECK_INT(skua_recv_fds(ends[1], &byte, 1, got, &room, SKUA_FOREVER), 0);
    CHECK_INT(skua_send_fds(ends[1], "x", 1, got, 0, SKUA_FOREVER), -EPIPE);
    skua_close(ends[1]);
    return 0;
}

static void bad_calls_send_nothing(void **state)
{
    run(pass_badly, NULL);
}

static void send_five(int fd)
{
    int given[5];
    for (int i = 0; i < 5; i++) {
        given[i] = fd;
    }
    CHECK_INT(skua_send_fds(fd, "x", 1, given, 5, SKUA_FOREVER), 1);
}

/* Whatever goes wrong at the receiver, no fd is left: no room, no fds, no memory, a cut record, a
   plain read, nobody who receives. */
static int receive_badly(void *arg)
{
    int ends[2], got[8], room = 4;
    char bytes[8];
    struct rlimit before, tight;
    CHECK_INT(skua_socket_pair(ends, SOCK_SEQPACKET), 0);
    const int fds = test_fds();
    send_five(ends[0]);
    CHECK_INT(skua_recv_fds(ends[1], bytes, 1, got, &room, SKUA_FOREVER), -EMSGSIZE);
    CHECK_INT(room, 0);
    CHECK_INT(test_fds(), fds);

    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    const int next = dup(0);
    close(next);
    tight = (struct rlimit){.rlim_cur = (rlim_t)next + 2, .rlim_max = before.rlim_max};
    send_five(ends[0]);
    room = 8;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &tight), 0);
    const ssize_t status = skua_recv_fds(ends[1], bytes, 1, got, &room, SKUA_FOREVER);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_INT(status, -EMFILE);
    CHECK_INT(test_fds(), fds);

    CHECK_INT(skua_send_fds(ends[0], "long", 4, ends, 2, SKUA_FOREVER), 4);
    room = 8;
    CHECK_INT(skua_recv_fds(ends[1], bytes, 2, got, &room, SKUA_FOREVER), -EMSGSIZE);
    CHECK_INT(test_fds(), fds);

    send_five(ends[0]);
    CHECK_INT(skua_read(ends[1], bytes, sizeof bytes, SKUA_FOREVER), 1);
    CHECK_INT(test_fds(), fds);

    send_five(ends[0]); /* stays on its way */
    close_both(ends);
    return 0;
}

static void no_fd_is_left_where_receiving_fails(void **state)
{
    run(receive_badly, NULL);
}

/* The records of fds come in chunks of 256: the first fd beyond needs memory. */
static int receive_without_memory(void *arg)
{
    enum { BEYOND = 300 };
    int ends[2], got[2], room = 2, filler[BEYOND], count = 0;
    char byte;
    CHECK_INT(skua_socket_pair(ends, SOCK_STREAM), 0);
    const int given[] = {ends[0], ends[1]};
    CHECK_INT(skua_send_fds(ends[0], "x", 1, given, 2, SKUA_FOREVER), 1);
    do {
        filler[count] = dup(0);
        CHECK(filler[count] >= 0);
    } while (filler[count++] < 254);
    const int fds = test_fds();
    atomic_store(&skua__alloc_budget, 0); /* 255 has its record; 256 has not */
    const ssize_t status = skua_recv_fds(ends[1], &byte, 1, got, &room, SKUA_FOREVER);
    atomic_store(&skua__alloc_budget, -1);
    CHECK_INT(status, -ENOMEM);
    CHECK_INT(test_fds(), fds);
    close_all(filler, count, close_plain);
    close_both(ends);
    return 0;
}

static void without_memory_all_are_closed(void **state)
{
    run(receive_without_memory, NULL);
}

static void *pass_on_thread(void *arg)
{
    int ends[2], pipes[2], got[2], room = 2;
    char byte;
    (void)arg;
    CHECK_INT(skua_socket_pair(ends, SOCK_STREAM), 0);
    CHECK_INT(pipe(pipes), 0);
    CHECK_INT(skua_send_fds(ends[0], "x", 1, pipes, 2, SKUA_FOREVER), 1);
    CHECK_INT(skua_recv_fds(ends[1], &byte, 1, got, &room, SKUA_FOREVER), 1);
    CHECK_INT(room, 2);
    CHECK_INT(write(got[1], "y", 1), 1); /* plain ones */
    CHECK_INT(read(got[0], &byte, 1), 1);
    close_all(got, 2, close_plain);
    close_all(pipes, 2, close_plain);
    close_both(ends);
    return NULL;
}

static void foreign_threads_pass_fds_too(void **state)
{
    pthread_t thread;
    const int fds = test_fds();
    CHECK_INT(pthread_create(&thread, NULL, pass_on_thread, NULL), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(test_fds(), fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(any_number_of_fds_passes),
        TEST(bad_calls_send_nothing),
        TEST(no_fd_is_left_where_receiving_fails),
        TEST(without_memory_all_are_closed),
        TEST(foreign_threads_pass_fds_too),
    };
    return TEST_RUN(tests);
}
