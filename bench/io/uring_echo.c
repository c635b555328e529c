/* Would sockets be cheaper on io_uring than on epoll? The echo server of serve_epoll.c once more,
   by hand on a ring, in one thread, with all that makes a ring fast and that a runtime of many
   threads could use at most in part: one issuer, deferred task work, registered buffers.

       uring_echo echo THREADS UPSTREAM_PORT        fd 3 is the socket; the numbers are ignored

   $BENCH_URING says how (the default is the first):
       multishot   one accept and one receive for each connection that go on for good, and fill
                   buffers of a ring; the answer is sent from there
       single      one receive and one send for each message, into a buffer of the connection
       zerocopy    as multishot, but the answer is sent without a copy
       shared      as multishot, in a ring that any thread could use */
#define _GNU_SOURCE
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SOCKET = 3,
    ENTRIES = 4096,
    BUFFERS = 16384, /* a power of two */
    BUFFER_BYTES = 1024,
    GROUP = 0,
    FDS_MAX = 65536,
};

/* What a completion is about: its kind, a buffer, a connection. */
enum kind { ACCEPT, RECEIVE, SEND };

static struct io_uring ring;
static struct io_uring_buf_ring *free_buffers;
static char (*buffers)[BUFFER_BYTES];
static bool is_multishot = true, is_zerocopy, is_shared;

static uint64_t key_of(enum kind kind, int fd, unsigned buffer)
{
    return (uint64_t)kind << 56 | (uint64_t)buffer << 32 | (uint32_t)fd;
}

static struct io_uring_sqe *new_entry(void)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
    if (entry == NULL) {
        io_uring_submit(&ring);
        entry = io_uring_get_sqe(&ring);
    }
    return entry;
}

static void accept_all(void)
{
    struct io_uring_sqe *entry = new_entry();
    io_uring_prep_multishot_accept(entry, SOCKET, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(entry, key_of(ACCEPT, SOCKET, 0));
}

static void receive(int fd)
{
    struct io_uring_sqe *entry = new_entry();
    if (is_multishot) {
        io_uring_prep_recv(entry, fd, NULL, 0, 0);
        entry->ioprio |= IORING_RECV_MULTISHOT;
        io_uring_sqe_set_flags(entry, IOSQE_BUFFER_SELECT);
        entry->buf_group = GROUP;
    } else {
        io_uring_prep_recv(entry, fd, buffers[fd], BUFFER_BYTES, 0);
    }
    io_uring_sqe_set_data64(entry, key_of(RECEIVE, fd, 0));
}

static void give_back(unsigned buffer)
{
    io_uring_buf_ring_add(free_buffers, buffers[buffer], BUFFER_BYTES, (unsigned short)buffer,
                          io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(free_buffers, 1);
}

static void answer(int fd, unsigned buffer, size_t bytes)
{
    struct io_uring_sqe *entry = new_entry();
    if (is_zerocopy) {
        io_uring_prep_send_zc(entry, fd, buffers[buffer], bytes, MSG_NOSIGNAL, 0);
    } else {
        io_uring_prep_send(entry, fd, buffers[buffer], bytes, MSG_NOSIGNAL);
    }
    io_uring_sqe_set_data64(entry, key_of(SEND, fd, buffer));
}

static void on_accept(const struct io_uring_cqe *done)
{
    const int on = 1;
    if (done->res >= 0) {
        setsockopt(done->res, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        receive(done->res);
    }
    if ((done->flags & IORING_CQE_F_MORE) == 0) {
        accept_all();
    }
}

static void on_receive(const struct io_uring_cqe *done, int fd)
{
    const bool goes_on = (done->flags & IORING_CQE_F_MORE) != 0;
    if (done->res > 0) {
        const unsigned buffer =
            is_multishot ? done->flags >> IORING_CQE_BUFFER_SHIFT : (unsigned)fd;
        answer(fd, buffer, (size_t)done->res);
        if (is_multishot && !goes_on) {
            receive(fd);
        }
    } else if (done->res == -ENOBUFS) {
        receive(fd);
    } else if (!goes_on) {
        close(fd);
    }
}

static void on_send(const struct io_uring_cqe *done, int fd, unsigned buffer)
{
    if ((done->flags & IORING_CQE_F_MORE) != 0) {
        return; /* without a copy: the buffer comes back later */
    }
    if (is_multishot) {
        give_back(buffer);
    } else if (done->res > 0) {
        receive(fd);
    } else {
        close(fd);
    }
}

static void on_completion(const struct io_uring_cqe *done)
{
    const int fd = (int)(uint32_t)done->user_data;
    switch ((enum kind)(done->user_data >> 56)) {
    case ACCEPT:
        on_accept(done);
        break;
    case RECEIVE:
        on_receive(done, fd);
        break;
    case SEND:
        on_send(done, fd, (unsigned)(done->user_data >> 32) & 0xffff);
        break;
    }
}

static void choose(const char *how)
{
    if (how == NULL) {
        return;
    }
    is_multishot = strcmp(how, "single") != 0;
    is_zerocopy = strcmp(how, "zerocopy") == 0;
    is_shared = strcmp(how, "shared") == 0;
}

static void set_up(void)
{
    struct io_uring_params params = {.flags = IORING_SETUP_CQSIZE, .cq_entries = 8 * ENTRIES};
    if (!is_shared) {
        params.flags |= IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    }
    buffers = aligned_alloc(4096, (size_t)FDS_MAX * BUFFER_BYTES);
    free_buffers = aligned_alloc(4096, BUFFERS * sizeof(struct io_uring_buf));
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)free_buffers, .ring_entries = BUFFERS, .bgid = GROUP};
    if (buffers == NULL || free_buffers == NULL ||
        io_uring_queue_init_params(ENTRIES, &ring, &params) < 0 ||
        io_uring_register_buf_ring(&ring, &registration, 0) < 0) {
        abort();
    }
    io_uring_buf_ring_init(free_buffers);
    for (unsigned i = 0; i < BUFFERS; i++) {
        give_back(i);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "echo") != 0) {
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    choose(getenv("BENCH_URING"));
    set_up();
    accept_all();
    for (;;) {
        struct io_uring_cqe *done = NULL;
        unsigned head = 0, count = 0;
        io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, done)
        {
            on_completion(done);
            count++;
        }
        io_uring_cq_advance(&ring, count);
    }
}
