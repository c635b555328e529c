/* File descriptors that pass through Unix sockets.

   (P1) There is always room for all that the kernel lets through at once (253, and what else a
        control message may be), so a cut one means that the process could have no more of them.
   (P2) Every number that comes out of recvmsg(2) is adopted or closed. They are plain ones until
        the attempt is over, which nothing can interrupt; and all or none are the caller's.
   (P3) They come close-on-exec: between their arrival and a call that set it another thread could
        start a program. */
#include "io/call.h"
#include "io/move_call.h"
#include "io/stream.h"
#include "net/net_call.h"

#include <limits.h>
#include <skua/runtime.h>
#include <string.h>

enum {
    FDS_BYTES = SKUA_FDS_MAX * sizeof(int),
    OTHERS_BYTES = 256, /* credentials and the like, if the program has asked for them */
    SCM_PIDFD_TYPE = 4, /* SCM_PIDFD: brings an fd too; not in all headers */
};

union control {
    char bytes[CMSG_SPACE(FDS_BYTES) + OTHERS_BYTES];
    struct cmsghdr alignment;
};

/* --- sending ---------------------------------------------------------------------------------- */

struct sending {
    struct iovec part;
    const int *fds;
    int count;
};

static ssize_t try_send(int fd, bool is_socket, void *arg)
{
    struct sending *sending = arg;
    union control control;
    struct msghdr message = {.msg_iov = &sending->part, .msg_iovlen = 1};
    (void)is_socket;
    if (sending->count > 0) {
        const size_t bytes = (size_t)sending->count * sizeof(int);
        memset(&control, 0, CMSG_SPACE(bytes));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(bytes);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(bytes);
        memcpy(CMSG_DATA(head), sending->fds, bytes);
    }
    return skua__call_send(fd, &message, 0);
}

ssize_t skua_send_fds(int fd, const void *buffer, size_t bytes, const int fds[], int count,
                      skua_time deadline)
{
    struct sending sending = {
        .part = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = bytes},
        .fds = fds,
        .count = count,
    };
    const struct skua__operation operation = {
        .attempt = try_send, .arg = &sending, .direction = SKUA_WRITABLE};
    if (bytes == 0 || count < 0 || count > SKUA_FDS_MAX) {
        return -EINVAL;
    }
    return skua__stream_do(fd, &operation, deadline);
}

/* --- receiving -------------------------------------------------------------------------------- */

struct receiving {
    struct iovec part;
    int fds[SKUA_FDS_MAX]; /* plain ones, which have come */
    int count;
    int flags;
};

static void take(struct receiving *receiving, const struct cmsghdr *head)
{
    const bool is_pidfd = head->cmsg_type == SCM_PIDFD_TYPE;
    if (head->cmsg_level != SOL_SOCKET || (head->cmsg_type != SCM_RIGHTS && !is_pidfd)) {
        return;
    }
    const size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int fd = -1;
        memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
        if (is_pidfd || receiving->count == SKUA_FDS_MAX) {
            skua__call_close(fd); /* not one that was sent */
        } else {
            receiving->fds[receiving->count++] = fd;
        }
    }
}

static ssize_t try_receive(int fd, bool is_socket, void *arg)
{
    struct receiving *receiving = arg;
    union control control;
    struct msghdr message = {.msg_iov = &receiving->part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    (void)is_socket;
    ssize_t got = skua__call_receive(fd, &message, MSG_CMSG_CLOEXEC);
    if (got < 0) {
        return got;
    }
    receiving->flags = message.msg_flags;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head != NULL;
         head = CMSG_NXTHDR(&message, head)) {
        take(receiving, head);
    }
    return got;
}

/* What is wrong with what has come, or 0. */
static int judge(const struct receiving *receiving, int room)
{
    if ((receiving->flags & MSG_CTRUNC) != 0) {
        return -EMFILE; /* (P1) */
    }
    return receiving->count > room || (receiving->flags & MSG_TRUNC) != 0 ? -EMSGSIZE : 0;
}

/* On a foreign thread they stay plain. */
static int adopt_all(const struct receiving *receiving, int fds[])
{
    const bool is_task = skua_runtime_current() != NULL;
    for (int i = 0; i < receiving->count; i++) {
        int status = is_task ? skua_fd_adopt(receiving->fds[i]) : 0;
        if (status < 0) {
            for (int k = 0; k < i; k++) {
                skua_close(fds[k]);
            }
            for (int k = i; k < receiving->count; k++) {
                skua__call_close(receiving->fds[k]);
            }
            return status;
        }
        fds[i] = receiving->fds[i];
    }
    return 0;
}

ssize_t skua_recv_fds(int fd, void *buffer, size_t bytes, int fds[], int *count, skua_time deadline)
{
    struct receiving receiving = {.part = {.iov_base = buffer, .iov_len = bytes}};
    const struct skua__operation operation = {
        .attempt = try_receive, .arg = &receiving, .direction = SKUA_READABLE};
    const int room = *count;
    *count = 0;
    ssize_t got = skua__stream_do(fd, &operation, deadline);
    if (got < 0) {
        return got;
    }
    int status = judge(&receiving, room);
    if (status < 0) {
        for (int i = 0; i < receiving.count; i++) {
            skua__call_close(receiving.fds[i]);
        }
        return status;
    }
    status = adopt_all(&receiving, fds);
    if (status < 0) {
        return status;
    }
    *count = receiving.count;
    return got;
}
