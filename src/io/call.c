/* The system calls of io. call.h says why they stand apart. */
#define _GNU_SOURCE 1
#include "io/call.h"

#include "base/clock.h"
#include "base/compiler.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum { NS_PER_S = 1000 * 1000 * 1000 };

SKUA_OPAQUE ssize_t skua__call_read(int fd, bool is_socket, void *buffer, size_t bytes)
{
    ssize_t got = 0;
    do {
        got = is_socket ? recv(fd, buffer, bytes, MSG_DONTWAIT) : read(fd, buffer, bytes);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

SKUA_OPAQUE ssize_t skua__call_write(int fd, bool is_socket, const void *buffer, size_t bytes)
{
    ssize_t put = 0;
    do {
        put = is_socket ? send(fd, buffer, bytes, MSG_DONTWAIT | MSG_NOSIGNAL)
                        : write(fd, buffer, bytes);
    } while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

SKUA_OPAQUE ssize_t skua__call_read_nowait(int fd, void *buffer, size_t bytes)
{
    const struct iovec part = {.iov_base = buffer, .iov_len = bytes};
    ssize_t got = 0;
    do {
        got = preadv2(fd, &part, 1, -1, RWF_NOWAIT);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

SKUA_OPAQUE ssize_t skua__call_write_nowait(int fd, const void *buffer, size_t bytes)
{
    const struct iovec part = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = bytes};
    ssize_t put = 0;
    do {
        put = pwritev2(fd, &part, 1, -1, RWF_NOWAIT);
    } while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

/* The connection has gone away in the line, or came with an error of the network that is its own:
   accept(2) says which. Not EOPNOTSUPP, which also means that the socket does not listen. */
static bool is_of_connection(int error)
{
    switch (error) {
    case ECONNABORTED:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return true;
    default:
        return false;
    }
}

SKUA_OPAQUE int skua__call_accept(int listener, struct sockaddr *address, socklen_t *address_bytes)
{
    int fd = 0;
    do {
        fd = accept4(listener, address, address_bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && (errno == EINTR || is_of_connection(errno)));
    return fd < 0 ? -errno : fd;
}

SKUA_OPAQUE int skua__call_connect(int fd, const struct sockaddr *address, socklen_t address_bytes)
{
    /* Not repeated after EINTR, which means for connect(2) that it goes on by itself. */
    return connect(fd, address, address_bytes) == 0 ? 0 : -errno;
}

SKUA_OPAQUE int skua__call_open_cached(int dir, const char *path, int flags)
{
    const struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .resolve = RESOLVE_CACHED,
    };
    long fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
    /* ENOENT is an answer; all else is for open(2) to say, old kernels and strict filters included.
       */
    return fd >= 0 ? (int)fd : errno == ENOENT ? -ENOENT : -EAGAIN;
}

SKUA_OPAQUE void skua__call_close(int fd)
{
    close(fd); /* Linux closes even when it says EINTR */
}

SKUA_OPAQUE int skua__call_type(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return -errno;
    }
    switch (status.st_mode & S_IFMT) {
    case S_IFSOCK:
        return SKUA__TYPE_SOCKET;
    case S_IFREG:
    case S_IFDIR:
    case S_IFBLK:
        return SKUA__TYPE_FILE;
    default:
        return SKUA__TYPE_OTHER;
    }
}

SKUA_OPAQUE int64_t skua__call_position(int fd)
{
    off_t position = lseek(fd, 0, SEEK_CUR);
    return position < 0 ? -errno : position;
}

/* Change O_NONBLOCK, unless it is so already. */
static int set_nonblocking(int fd, bool wanted)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) {
        return -errno;
    }
    if (((flags & O_NONBLOCK) != 0) == wanted) {
        return 0;
    }
    return fcntl(fd, F_SETFL, flags ^ O_NONBLOCK) == 0 ? 0 : -errno;
}

SKUA_OPAQUE int skua__call_set_nonblocking(int fd)
{
    return set_nonblocking(fd, true);
}

SKUA_OPAQUE int skua__call_set_blocking(int fd)
{
    return set_nonblocking(fd, false);
}

SKUA_OPAQUE bool skua__call_is_tcp(int fd)
{
    int type = 0, protocol = 0;
    socklen_t bytes = sizeof protocol;
    return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &bytes) == 0 &&
           protocol == IPPROTO_TCP && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 &&
           type == SOCK_STREAM;
}

/* One ppoll, until the deadline: its result, or a negative errno. */
static int poll_once(struct pollfd *entry, int64_t deadline_ns)
{
    struct timespec rest = {0};
    if (deadline_ns != 0 && deadline_ns != SKUA__NEVER) {
        int64_t rest_ns = deadline_ns - skua__clock_ns();
        rest_ns = rest_ns > 0 ? rest_ns : 0;
        rest = (struct timespec){.tv_sec = rest_ns / NS_PER_S, .tv_nsec = rest_ns % NS_PER_S};
    }
    int count = ppoll(entry, 1, deadline_ns == SKUA__NEVER ? NULL : &rest, NULL);
    return count < 0 ? -errno : count;
}

SKUA_OPAQUE int skua__call_poll(int fd, int events, int64_t deadline_ns)
{
    struct pollfd entry = {.fd = fd};
    entry.events = (short)(((events & SKUA_READABLE) != 0 ? POLLIN : 0) |
                           ((events & SKUA_WRITABLE) != 0 ? POLLOUT : 0));
    if (fd < 0) {
        return -EBADF; /* poll(2) would pass over it */
    }
    int count = 0;
    do {
        count = poll_once(&entry, deadline_ns);
    } while (count == -EINTR);
    if (count <= 0) {
        return count;
    }
    if ((entry.revents & POLLNVAL) != 0) {
        return -EBADF;
    }
    if ((entry.revents & (POLLERR | POLLHUP)) != 0) {
        return events;
    }
    return events & (((entry.revents & POLLIN) != 0 ? SKUA_READABLE : 0) |
                     ((entry.revents & POLLOUT) != 0 ? SKUA_WRITABLE : 0));
}

SKUA_OPAQUE int skua__call_status_known(int fd, struct statx *out)
{
    const unsigned mask = STATX_BASIC_STATS | STATX_BTIME;
    return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, mask, out) == 0 ? 0 : -errno;
}

SKUA_OPAQUE int64_t skua__call_system_type(int fd)
{
    struct statfs system;
    return fstatfs(fd, &system) == 0 ? (int64_t)system.f_type : -errno;
}
