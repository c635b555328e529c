/* Listening and connecting.

   (L1) A socket is a plain fd until it is what its caller wants, and is then handed to io, so that
        whatever fails on the way is undone by one close.
   (L2) A socket file is replaced only if it is one, and if a connection to it is refused: nobody
        listens. The name is never removed when the socket is closed: io knows numbers only, and the
        file may be a successor's by then, which has begun to listen before we ended.

   Two servers that find the same stale file at the same moment can both replace it, and the later
   one has the name. A lock file beside it would prevent that, and leave one file more behind: who
   starts a server twice at once has to be told apart elsewhere. */
#include "io/call.h"
#include "io/stream.h"
#include "net/net_call.h"
#include "net/socket.h"

#include <limits.h>
#include <skua/runtime.h>

static const skua_socket_opts no_opts;

/* --- socket files ----------------------------------------------------------------------------- */

static bool has_path(const skua_address *address)
{
    return address->any.sa_family == AF_UNIX &&
           address->bytes > offsetof(struct sockaddr_un, sun_path) &&
           address->local.sun_path[0] != '\0';
}

/* Does nobody listen at this socket file? */
static bool is_stale(const skua_address *address, int type)
{
    if (!skua__call_is_socket_file(address->local.sun_path)) {
        return false;
    }
    int probe = skua__call_socket(AF_UNIX, type);
    if (probe < 0) {
        return false;
    }
    int status = skua__call_connect(probe, &address->any, address->bytes);
    skua__call_close(probe);
    return status == -ECONNREFUSED;
}

int skua__socket_bind(int fd, const skua_address *address, int type)
{
    int status = skua__call_bind(fd, address);
    if (status != -EADDRINUSE || !has_path(address) || !is_stale(address, type)) {
        return status;
    }
    status = skua__call_unlink(address->local.sun_path);
    /* Gone already: somebody does the same as we. */
    return status < 0 && status != -ENOENT ? status : skua__call_bind(fd, address);
}

/* --- listening -------------------------------------------------------------------------------- */

/* What connections to this address are made of, or a negative errno. */
static int type_of(const skua_address *address, const skua_socket_opts *opts)
{
    switch (address->bytes < sizeof(sa_family_t) ? AF_UNSPEC : address->any.sa_family) {
    case AF_INET:
    case AF_INET6:
        return SOCK_STREAM;
    case AF_UNIX:
        return opts->records ? SOCK_SEQPACKET : SOCK_STREAM;
    default:
        return -EAFNOSUPPORT;
    }
}

/* A socket with its options, that is ours to close. */
static int make_socket(const skua_address *address, int type, const skua_socket_opts *opts)
{
    if (type < 0) {
        return type;
    }
    int fd = skua__call_socket(address->any.sa_family, type);
    if (fd < 0) {
        return fd;
    }
    int status = skua__socket_prepare(fd, address->any.sa_family, type, opts);
    if (status < 0) {
        skua__call_close(fd);
        return status;
    }
    return fd;
}

static int begin_to_listen(int fd, const skua_address *address, int type,
                           const skua_socket_opts *opts)
{
    const int one = 1;
    int status = 0;
    if (address->any.sa_family != AF_UNIX && !opts->exclusive) {
        status = skua__call_set_option(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    }
    if (status == 0) {
        status = skua__socket_bind(fd, address, type);
    }
    if (status == 0) {
        status = skua__call_listen(fd, opts->backlog == 0 ? INT_MAX : opts->backlog);
    }
    return status;
}

int skua_listen_at(const skua_address *address, const skua_socket_opts *opts)
{
    opts = opts != NULL ? opts : &no_opts;
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (opts->backlog < 0) {
        return -EINVAL;
    }
    const int type = type_of(address, opts);
    int fd = make_socket(address, type, opts);
    if (fd < 0) {
        return fd;
    }
    int status = begin_to_listen(fd, address, type, opts);
    if (status < 0) {
        skua__call_close(fd);
        return status;
    }
    return skua__fd_own_socket(fd);
}

static bool is_local(const skua_address *address)
{
    return address->any.sa_family == AF_UNIX;
}

int skua_tcp_listen(const char *address, const skua_socket_opts *opts)
{
    skua_address parsed;
    int status = skua_address_parse(address, &parsed);
    if (status < 0) {
        return status;
    }
    return is_local(&parsed) ? -EINVAL : skua_listen_at(&parsed, opts);
}

int skua_unix_listen(const char *address, const skua_socket_opts *opts)
{
    skua_address parsed;
    int status = skua_address_parse(address, &parsed);
    if (status < 0) {
        return status;
    }
    return is_local(&parsed) ? skua_listen_at(&parsed, opts) : -EINVAL;
}

/* --- connecting ------------------------------------------------------------------------------- */

int skua_tcp_connect_to(const skua_address *address, const skua_socket_opts *opts,
                        skua_time deadline)
{
    opts = opts != NULL ? opts : &no_opts;
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
    int fd = make_socket(address, type_of(address, opts), opts);
    if (fd >= 0) {
        fd = skua__fd_own_socket(fd);
    }
    if (fd < 0) {
        return fd;
    }
    status = skua_connect(fd, &address->any, address->bytes, deadline);
    if (status < 0) {
        skua_close(fd);
        return status;
    }
    return fd;
}

int skua_unix_connect(const char *address, const skua_socket_opts *opts, skua_time deadline)
{
    skua_address parsed;
    int status = skua_address_parse(address, &parsed);
    if (status < 0) {
        return status;
    }
    return is_local(&parsed) ? skua_tcp_connect_to(&parsed, opts, deadline) : -EINVAL;
}

int skua_socket_pair(int ends[2], int type)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    int status = skua__call_socket_pair(type, ends);
    if (status < 0) {
        return status;
    }
    status = skua__fd_own_socket(ends[0]);
    if (status < 0) {
        skua__call_close(ends[1]);
        return status;
    }
    status = skua__fd_own_socket(ends[1]);
    if (status < 0) {
        skua_close(ends[0]);
        return status;
    }
    return 0;
}

/* --- datagrams -------------------------------------------------------------------------------- */

int skua_datagram_open(const skua_address *local, const skua_address *peer,
                       const skua_socket_opts *opts)
{
    const skua_address *either = local != NULL ? local : peer;
    opts = opts != NULL ? opts : &no_opts;
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (either == NULL || either->bytes == 0 || opts->records) {
        return -EINVAL;
    }
    int fd = make_socket(either, SOCK_DGRAM, opts);
    if (fd < 0) {
        return fd;
    }
    int status = local != NULL ? skua__socket_bind(fd, local, SOCK_DGRAM) : 0;
    if (status == 0 && peer != NULL) {
        status = skua__call_connect(fd, &peer->any, peer->bytes); /* only notes the address */
    }
    if (status < 0) {
        skua__call_close(fd);
        return status;
    }
    return skua__fd_own_socket(fd);
}
