/* The system calls of transfer.h. call.h says why they stand apart.

   Writing to a socket that way raises SIGPIPE if its other end is gone, and unlike send(2) neither
   sendfile(2) nor splice(2) can be told not to. So the signal, which is the thread's own, is
   blocked around them and taken back afterwards. That costs two system calls, for a call that moves
   a lot. Rejected: blocking it in all workers (the mask is inherited by what the program starts),
   and ignoring it (the disposition is the program's). */
#define _GNU_SOURCE 1
#include "io/move_call.h"

#include "base/compiler.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, READ_FLAGS = MSG_DONTWAIT, WRITE_FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL };

/* --- several buffers -------------------------------------------------------------------------- */

SKUA_OPAQUE ssize_t skua__call_receive(int fd, struct msghdr *message, int flags)
{
    ssize_t got = 0;
    do {
        got = recvmsg(fd, message, flags | READ_FLAGS);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

SKUA_OPAQUE ssize_t skua__call_send(int fd, const struct msghdr *message, int flags)
{
    ssize_t put = 0;
    do {
        put = sendmsg(fd, message, flags | WRITE_FLAGS);
    } while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

static struct msghdr message_of(const struct iovec *parts, int count)
{
    return (struct msghdr){.msg_iov = (struct iovec *)(uintptr_t)parts,
                           .msg_iovlen = (size_t)count};
}

SKUA_OPAQUE ssize_t skua__call_readv(int fd, bool is_socket, const struct iovec *parts, int count)
{
    if (is_socket) {
        struct msghdr message = message_of(parts, count);
        return skua__call_receive(fd, &message, 0);
    }
    ssize_t got = 0;
    do {
        got = readv(fd, parts, count);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

SKUA_OPAQUE ssize_t skua__call_writev(int fd, bool is_socket, const struct iovec *parts, int count)
{
    if (is_socket) {
        const struct msghdr message = message_of(parts, count);
        return skua__call_send(fd, &message, 0);
    }
    ssize_t put = 0;
    do {
        put = writev(fd, parts, count);
    } while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

SKUA_OPAQUE ssize_t skua__call_readv_nowait(int fd, const struct iovec *parts, int count,
                                            int64_t offset)
{
    ssize_t got = 0;
    do {
        got = preadv2(fd, parts, count, offset, RWF_NOWAIT);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

SKUA_OPAQUE ssize_t skua__call_writev_nowait(int fd, const struct iovec *parts, int count,
                                             int64_t offset)
{
    ssize_t put = 0;
    do {
        put = pwritev2(fd, parts, count, offset, RWF_NOWAIT);
    } while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

SKUA_OPAQUE int skua__call_shutdown(int fd, int how)
{
    return shutdown(fd, how) == 0 ? 0 : -errno;
}

/* --- without SIGPIPE -------------------------------------------------------------------------- */

struct quiet {
    bool
        was_pending; /* it is blocked already, and one that is not ours waits: leave all as it is */
    sigset_t pipe, before;
};

static void begin_quiet(struct quiet *quiet)
{
    sigset_t pending;
    sigemptyset(&quiet->pipe);
    sigaddset(&quiet->pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &quiet->pipe, &quiet->before);
    /* Only where it was blocked before can one of somebody else's be waiting. */
    quiet->was_pending = sigismember(&quiet->before, SIGPIPE) == 1 && sigpending(&pending) == 0 &&
                         sigismember(&pending, SIGPIPE) == 1;
}

static void end_quiet(struct quiet *quiet, ssize_t result)
{
    const struct timespec at_once = {0};
    if (result == -EPIPE && !quiet->was_pending) {
        int taken = 0;
        do {
            taken = sigtimedwait(&quiet->pipe, NULL, &at_once);
        } while (taken < 0 && errno == EINTR);
    }
    pthread_sigmask(SIG_SETMASK, &quiet->before, NULL);
}

/* --- from one fd to another ------------------------------------------------------------------- */

SKUA_OPAQUE ssize_t skua__call_sendfile(int out, bool is_socket, int in, off_t *offset,
                                        size_t bytes)
{
    struct quiet quiet;
    if (is_socket) {
        begin_quiet(&quiet);
    }
    ssize_t put = 0;
    do {
        put = sendfile(out, in, offset, bytes);
    } while (put < 0 && errno == EINTR);
    put = put < 0 ? -errno : put;
    if (is_socket) {
        end_quiet(&quiet, put);
    }
    return put;
}

SKUA_OPAQUE ssize_t skua__call_splice(int out, bool is_socket, int in, size_t bytes)
{
    struct quiet quiet;
    if (is_socket) {
        begin_quiet(&quiet);
    }
    ssize_t put = 0;
    do {
        put = splice(in, NULL, out, NULL, bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    } while (put < 0 && errno == EINTR);
    put = put < 0 ? -errno : put;
    if (is_socket) {
        end_quiet(&quiet, put);
    }
    return put;
}

static off_t start_of(int fd, off_t offset)
{
    return offset < 0 ? lseek(fd, 0, SEEK_CUR) : offset;
}

SKUA_OPAQUE bool skua__call_is_cached(int fd, off_t offset)
{
    char byte;
    const struct iovec part = {.iov_base = &byte, .iov_len = 1};
    off_t start = start_of(fd, offset);
    ssize_t got = 0;
    do {
        got = preadv2(fd, &part, 1, start, RWF_NOWAIT);
    } while (got < 0 && errno == EINTR);
    return got >= 0 || (errno != EAGAIN && errno != EOPNOTSUPP);
}

SKUA_OPAQUE void skua__call_warm(int fd, off_t offset, size_t bytes)
{
    char byte;
    off_t start = start_of(fd, offset);
    for (size_t at = 0; at < bytes; at += PAGE_BYTES) {
        if (pread(fd, &byte, 1, start + (off_t)at) <= 0) {
            return;
        }
    }
}

SKUA_OPAQUE bool skua__call_is_pipe(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

SKUA_OPAQUE int skua__call_spare_pipe(int ends[2])
{
    return pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 ? 0 : -errno;
}
