/* Packets with file descriptors over SOCK_SEQPACKET: a message comes whole or not at all, and the
   end of the other side is seen at once. Used on both sides, always without blocking. */
#include "pool/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Aligned as the kernel wants it. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(SKUA__MESSAGE_FDS * sizeof(int))];
};

static void pack_fds(struct msghdr *packet, union control *control, const int fds[],
                     size_t fd_count)
{
    size_t count = 0;
    while (count < fd_count && fds[count] >= 0) {
        count++;
    }
    if (count == 0) {
        return;
    }
    packet->msg_control = control;
    packet->msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(packet);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, count * sizeof(int));
}

int skua__message_send(int socket, const struct skua__message *message, const int fds[],
                       size_t fd_count)
{
    union control control = {.bytes = {0}};
    struct iovec part = {.iov_base = (void *)(uintptr_t)message, .iov_len = sizeof *message};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
    pack_fds(&packet, &control, fds, fd_count);
    for (;;) {
        if (sendmsg(socket, &packet, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
            return 0;
        }
        if (errno != EINTR) {
            return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
        }
    }
}

static void unpack_fds(struct msghdr *packet, int fds[])
{
    for (size_t i = 0; i < SKUA__MESSAGE_FDS; i++) {
        fds[i] = -1;
    }
    struct cmsghdr *header = CMSG_FIRSTHDR(packet);
    if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
        return;
    }
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(header), count * sizeof(int));
}

static void close_all(int fds[])
{
    for (size_t i = 0; i < SKUA__MESSAGE_FDS; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
            fds[i] = -1;
        }
    }
}

int skua__message_receive(int socket, struct skua__message *message, int fds[])
{
    union control control = {.bytes = {0}};
    struct iovec part = {.iov_base = message, .iov_len = sizeof *message};
    struct msghdr packet = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof control};
    ssize_t bytes;
    do {
        bytes = recvmsg(socket, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (bytes < 0 && errno == EINTR);
    if (bytes < 0) {
        return errno == ECONNRESET ? 0 : -errno;
    }
    if (bytes == 0) {
        return 0;
    }
    unpack_fds(&packet, fds);
    if (bytes != (ssize_t)sizeof *message || (packet.msg_flags & MSG_TRUNC) != 0) {
        close_all(fds);
        return -EPROTO;
    }
    return 1;
}
