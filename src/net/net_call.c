/* The system calls of sockets. io/call.h says why they stand apart. */
#include "net/net_call.h"

#include "base/compiler.h"

#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

SKUA_OPAQUE int skua__call_socket(int family, int type)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

SKUA_OPAQUE int skua__call_socket_pair(int type, int ends[2])
{
    return socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0 ? 0 : -errno;
}

SKUA_OPAQUE int skua__call_bind(int fd, const skua_address *address)
{
    return bind(fd, &address->any, address->bytes) == 0 ? 0 : -errno;
}

SKUA_OPAQUE int skua__call_listen(int fd, int backlog)
{
    return listen(fd, backlog) == 0 ? 0 : -errno;
}

SKUA_OPAQUE int skua__call_name(int fd, bool is_peer, skua_address *out)
{
    *out = (skua_address){.bytes = sizeof out->storage};
    int status =
        is_peer ? getpeername(fd, &out->any, &out->bytes) : getsockname(fd, &out->any, &out->bytes);
    if (status == 0) {
        return 0;
    }
    out->bytes = 0;
    return -errno;
}

SKUA_OPAQUE int skua__call_set_option(int fd, int level, int name, const void *value,
                                      socklen_t bytes)
{
    return setsockopt(fd, level, name, value, bytes) == 0 ? 0 : -errno;
}

SKUA_OPAQUE int skua__call_get_option(int fd, int level, int name, void *value, socklen_t bytes)
{
    return getsockopt(fd, level, name, value, &bytes) == 0 ? 0 : -errno;
}

SKUA_OPAQUE int skua__call_receive_many(int fd, struct mmsghdr *messages, int count)
{
    int got = 0;
    do {
        got = recvmmsg(fd, messages, (unsigned)count, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

SKUA_OPAQUE int skua__call_send_many(int fd, struct mmsghdr *messages, int count)
{
    int put = 0;
    do {
        put = sendmmsg(fd, messages, (unsigned)count, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

SKUA_OPAQUE bool skua__call_is_socket_file(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

SKUA_OPAQUE int skua__call_unlink(const char *path)
{
    return unlink(path) == 0 ? 0 : -errno;
}

SKUA_OPAQUE uint32_t skua__call_interface(const char *name)
{
    return if_nametoindex(name);
}
