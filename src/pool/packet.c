/* Packets with fds over SOCK_SEQPACKET, one pair of sockets for each worker process.

   A packet comes whole or not at all. What does not fit into the receiver's table of fds, or into
   the room that it gives the kernel, is closed by the kernel, and the packet says so: whatever the
   other side sends, at most SKUA__PACKET_FDS fds come into being here for each packet.

   Rejected: pidfd_getfd(), which needs no socket, but the right to trace: where that is kept from
   the program the pool would have fds that do not travel. */
#include "pool/packet.h"

#include "base/compiler.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The bytes of a packet. */
struct body {
    uint64_t ticket;
    uint64_t count;
};

/* Aligned as the kernel wants it. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(SKUA__PACKET_FDS * sizeof(int))];
};

SKUA_OPAQUE int skua__packet_pair(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0;
}

static int error_of_send(int error)
{
    switch (error) {
    case ECONNRESET:
    case ENOTCONN:
        return -EPIPE;
    case ETOOMANYREFS: /* too many are on their way already */
        return -EMFILE;
    default:
        return -error;
    }
}

SKUA_OPAQUE int skua__packet_send(int socket, const struct skua__packet *packet)
{
    union control control = {.bytes = {0}};
    struct body body = {.ticket = packet->ticket, .count = packet->count};
    struct iovec part = {.iov_base = &body, .iov_len = sizeof body};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (packet->count > 0) {
        const size_t bytes = packet->count * sizeof(int);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(bytes);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(bytes);
        memcpy(CMSG_DATA(header), packet->fds, bytes);
    }
    while (sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno != EINTR) {
            return error_of_send(errno);
        }
    }
    return 0;
}

static void unpack_fds(struct msghdr *message, struct skua__packet *packet)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        packet->count = (uint32_t)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(packet->fds, CMSG_DATA(header), packet->count * sizeof(int));
    }
}

SKUA_OPAQUE int skua__packet_receive(int socket, struct skua__packet *packet)
{
    union control control = {.bytes = {0}};
    struct body body = {0, 0};
    struct iovec part = {.iov_base = &body, .iov_len = sizeof body};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t bytes;
    do {
        bytes = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (bytes < 0 && errno == EINTR);
    if (bytes <= 0) {
        return bytes == 0 || errno == ECONNRESET ? 0 : -errno;
    }
    *packet = (struct skua__packet){.ticket = body.ticket};
    unpack_fds(&message, packet);
    packet->cut = (message.msg_flags & MSG_CTRUNC) != 0;
    if (bytes != (ssize_t)sizeof body || (message.msg_flags & MSG_TRUNC) != 0) {
        skua__packet_close_fds(packet);
        return -EPROTO;
    }
    return 1;
}

SKUA_OPAQUE void skua__packet_close_fds(struct skua__packet *packet)
{
    for (uint32_t i = 0; i < packet->count; i++) {
        close(packet->fds[i]);
    }
    packet->count = 0;
}
