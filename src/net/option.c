/* Options of sockets, and questions about them.

   (O1) A new socket gets what differs from the kernel's defaults only: a system call each. An open
        one gets all that its kind can have, in both directions.
   (O2) Linux hands the options of a listener on to what it accepts: nothing is set per
        connection. */
#include "io/stream.h"
#include "net/net_call.h"
#include "net/socket.h"

#include <netinet/tcp.h>

static bool is_internet(int family)
{
    return family == AF_INET || family == AF_INET6;
}

static int set_number(int fd, int level, int name, int number)
{
    return skua__call_set_option(fd, level, name, &number, sizeof number);
}

static int set_if(bool is_wanted, int fd, int level, int name, int number)
{
    return is_wanted ? set_number(fd, level, name, number) : 0;
}

static int set_keepalive(int fd, const skua_socket_opts *opts, bool is_new)
{
    int status = set_if(opts->keepalive || !is_new, fd, SOL_SOCKET, SO_KEEPALIVE, opts->keepalive);
    if (status == 0 && opts->keepalive_idle_s != 0) {
        status = set_number(fd, IPPROTO_TCP, TCP_KEEPIDLE, opts->keepalive_idle_s);
    }
    if (status == 0 && opts->keepalive_interval_s != 0) {
        status = set_number(fd, IPPROTO_TCP, TCP_KEEPINTVL, opts->keepalive_interval_s);
    }
    if (status == 0 && opts->keepalive_count != 0) {
        status = set_number(fd, IPPROTO_TCP, TCP_KEEPCNT, opts->keepalive_count);
    }
    return status;
}

static int set_tcp(int fd, const skua_socket_opts *opts, bool is_new)
{
    const struct linger linger = {.l_onoff = opts->reset_on_close};
    int status = set_if(!opts->nagle || !is_new, fd, IPPROTO_TCP, TCP_NODELAY, opts->nagle ? 0 : 1);
    if (status == 0) {
        status = set_keepalive(fd, opts, is_new);
    }
    if (status == 0 && (opts->reset_on_close || !is_new)) {
        status = skua__call_set_option(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    return status;
}

static int set_all(int fd, int family, int type, const skua_socket_opts *opts, bool is_new)
{
    int status =
        set_if(opts->send_buffer_bytes != 0, fd, SOL_SOCKET, SO_SNDBUF, opts->send_buffer_bytes);
    if (status == 0) {
        status = set_if(opts->receive_buffer_bytes != 0, fd, SOL_SOCKET, SO_RCVBUF,
                        opts->receive_buffer_bytes);
    }
    if (status == 0 && is_internet(family) && type == SOCK_DGRAM) {
        status = set_if(opts->broadcast || !is_new, fd, SOL_SOCKET, SO_BROADCAST, opts->broadcast);
    }
    if (status == 0 && is_internet(family) && type == SOCK_STREAM) {
        status = set_tcp(fd, opts, is_new);
    }
    return status;
}

int skua__socket_prepare(int fd, int family, int type, const skua_socket_opts *opts)
{
    int status = set_all(fd, family, type, opts, true);
    if (status == 0 && is_internet(family)) {
        status = set_if(opts->reuse_port, fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (status == 0 && family == AF_INET6) {
        /* Said always: the default is the administrator's to change. */
        status = set_number(fd, IPPROTO_IPV6, IPV6_V6ONLY, opts->only_ip6);
    }
    return status;
}

/* --- open sockets ----------------------------------------------------------------------------- */

static int call_set(int fd, void *opts)
{
    int family = 0, type = 0;
    int status = skua__call_get_option(fd, SOL_SOCKET, SO_DOMAIN, &family, sizeof family);
    if (status == 0) {
        status = skua__call_get_option(fd, SOL_SOCKET, SO_TYPE, &type, sizeof type);
    }
    return status < 0 ? status : set_all(fd, family, type, opts, false);
}

int skua_socket_set(int fd, const skua_socket_opts *opts)
{
    return skua__fd_call(fd, call_set, (void *)(uintptr_t)opts);
}

static int call_local_address(int fd, void *out)
{
    return skua__call_name(fd, false, out);
}

static int call_peer_address(int fd, void *out)
{
    return skua__call_name(fd, true, out);
}

int skua_local_address(int fd, skua_address *out)
{
    out->bytes = 0;
    return skua__fd_call(fd, call_local_address, out);
}

int skua_peer_address(int fd, skua_address *out)
{
    out->bytes = 0;
    return skua__fd_call(fd, call_peer_address, out);
}

static int call_credentials(int fd, void *arg)
{
    struct ucred peer = {0};
    skua_credentials *out = arg;
    int family = 0;
    int status = skua__call_get_option(fd, SOL_SOCKET, SO_DOMAIN, &family, sizeof family);
    if (status == 0 && family != AF_UNIX) {
        return -EINVAL; /* the kernel would make somebody up */
    }
    if (status == 0) {
        status = skua__call_get_option(fd, SOL_SOCKET, SO_PEERCRED, &peer, sizeof peer);
    }
    if (status == 0) {
        *out = (skua_credentials){.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
    }
    return status;
}

int skua_peer_credentials(int fd, skua_credentials *out)
{
    return skua__fd_call(fd, call_credentials, out);
}
