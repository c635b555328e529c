/* Sockets beyond reading and writing: flags, half-close, and system calls that ask or set something
   and never wait. */
#include "io/move_call.h"
#include "io/stream.h"

#include <skua/runtime.h>

enum { REFUSED_FLAGS = MSG_WAITALL | MSG_ERRQUEUE | MSG_TRUNC };

/* --- with flags ------------------------------------------------------------------------------- */

struct flagged {
    struct iovec part;
    int flags;
};

static ssize_t try_receive(int fd, bool is_socket, void *arg)
{
    struct flagged *flagged = arg;
    struct msghdr message = {.msg_iov = &flagged->part, .msg_iovlen = 1};
    (void)is_socket; /* others say -ENOTSOCK by themselves */
    return skua__call_receive(fd, &message, flagged->flags);
}

static ssize_t try_send(int fd, bool is_socket, void *arg)
{
    struct flagged *flagged = arg;
    const struct msghdr message = {.msg_iov = &flagged->part, .msg_iovlen = 1};
    (void)is_socket;
    return skua__call_send(fd, &message, flagged->flags);
}

static ssize_t move(int fd, struct flagged *flagged, bool is_write, skua_time deadline)
{
    const struct skua__operation operation = {
        .attempt = is_write ? try_send : try_receive,
        .arg = flagged,
        .direction = is_write ? SKUA_WRITABLE : SKUA_READABLE,
        .bytes = flagged->flags == 0 ? flagged->part.iov_len : 0,
    };
    return (flagged->flags & REFUSED_FLAGS) != 0 ? -EINVAL
                                                 : skua__stream_do(fd, &operation, deadline);
}

ssize_t skua_recv(int fd, void *buffer, size_t bytes, int flags, skua_time deadline)
{
    struct flagged flagged = {.part = {.iov_base = buffer, .iov_len = bytes}, .flags = flags};
    return move(fd, &flagged, false, deadline);
}

ssize_t skua_send(int fd, const void *buffer, size_t bytes, int flags, skua_time deadline)
{
    struct flagged flagged = {.part = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = bytes},
                              .flags = flags};
    return move(fd, &flagged, true, deadline);
}

/* --- what never waits ------------------------------------------------------------------------- */

int skua__fd_call(int number, int (*call)(int fd, void *arg), void *arg)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (skua_runtime_current() == NULL) {
        return call(number, arg);
    }
    struct skua__io *io = NULL;
    struct skua__fd_look look;
    int status = skua__io_get(&io);
    struct skua__fd *fd = status < 0 ? NULL : skua__fd_find(io, number);
    if (fd == NULL || !skua__fd_hold(fd, &look)) {
        return status < 0 ? status : -EBADF;
    }
    status = call(number, arg);
    skua__fd_drop(fd);
    return status;
}

static int call_shutdown(int fd, void *how)
{
    return skua__call_shutdown(fd, *(int *)how);
}

int skua_shutdown(int fd, int how)
{
    return skua__fd_call(fd, call_shutdown, &how);
}
