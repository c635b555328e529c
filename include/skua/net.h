/* skua/net.h: sockets: addresses, TCP, UDP and Unix sockets, and file descriptors passed through
   them.

   What is opened here is adopted, non-blocking and close-on-exec; it is read, written and closed
   with the calls of skua/io.h and skua/transfer.h, and connections are taken in by skua_accept().
   Names of hosts are skua/resolve.h's matter: here are addresses only.

   All calls may be made from foreign threads as well: there they give plain fds (non-blocking all
   the same) and wait by blocking that thread. In a forked child they return -ESHUTDOWN. */
#ifndef SKUA_NET_H
#define SKUA_NET_H

#include <netinet/in.h>
#include <skua/base.h>
#include <sys/socket.h>
#include <sys/un.h>

SKUA_BEGIN_DECLS

/* --- addresses -------------------------------------------------------------------------------- */

/* An address of any family. bytes == 0: none. */
typedef struct skua_address {
    socklen_t bytes;
    union {
        struct sockaddr any; /* what system calls want, with `bytes` */
        struct sockaddr_in ip4;
        struct sockaddr_in6 ip6;
        struct sockaddr_un local;
        struct sockaddr_storage storage;
    };
} skua_address;

enum { SKUA_ADDRESS_TEXT_BYTES = 128 };

/* Read "127.0.0.1:80", "*:80" (every IPv4 address), "[::1]:80", "[::]:80" (every address), or
   "[fe80::1%eth0]:80"; "/path" or "./path" of a Unix socket, or "@name" for one without a file.
   Returns 0, -EINVAL (none of these: the name of a host, maybe), -ENAMETOOLONG.
   Call from anywhere. Never switches. */
int skua_address_parse(const char *text, skua_address *out) SKUA_MUST_CHECK;

/* The same form as text; "(unnamed)" for a Unix socket that has no name, "(none)" for no address,
   and a '?' for bytes that cannot be printed. SKUA_ADDRESS_TEXT_BYTES are always enough; less cut
   it short. Returns `text`.
   Call from anywhere. Never switches. */
const char *skua_address_text(const skua_address *address, char *text, size_t bytes);

/* Take over what a system call or getaddrinfo(3) has given. Returns 0, or -EINVAL (too long).
   Call from anywhere. Never switches. */
int skua_address_of(const struct sockaddr *from, socklen_t bytes, skua_address *out)
    SKUA_MUST_CHECK;

/* The port, 0 where the family has none. Call from anywhere. */
uint16_t skua_address_port(const skua_address *address);

/* Are they the same? Call from anywhere. */
bool skua_address_equal(const skua_address *left, const skua_address *right);

/* The address of a socket itself, and of the other end. Returns 0, -ENOTCONN, -ENOTSOCK, -EBADF
   (in a task also: it is not adopted).
   Call from: a task or a foreign thread. Never switches. */
int skua_local_address(int fd, skua_address *out) SKUA_MUST_CHECK;
int skua_peer_address(int fd, skua_address *out) SKUA_MUST_CHECK;

/* --- options ---------------------------------------------------------------------------------- */

/* How a socket is. Zero everywhere is the default, and so is NULL: TCP_NODELAY is on, as is
   SO_REUSEADDR for listeners (a restarted server gets its port at once). Accepted connections have
   those of their listener. 0 in a number leaves the kernel's own. */
typedef struct skua_socket_opts {
    int backlog;              /* of listeners; 0: as many as the system allows */
    bool reuse_port;          /* SO_REUSEPORT: several sockets share the port, and the load */
    bool exclusive;           /* a listener without SO_REUSEADDR */
    bool only_ip6;            /* "[::]:80" without IPv4 */
    bool broadcast;           /* UDP: may send to broadcast addresses */
    bool records;             /* Unix: SOCK_SEQPACKET, each write is one read */
    bool nagle;               /* TCP: gather small writes, for a delay */
    bool reset_on_close;      /* TCP: skua_close() throws away what is unsent, and resets */
    bool keepalive;           /* TCP: notice a peer that has vanished, by these three: */
    int keepalive_idle_s;     /* silence before the first question */
    int keepalive_interval_s; /* between two questions */
    int keepalive_count;      /* unanswered ones, then reads say -ETIMEDOUT */
    int send_buffer_bytes, receive_buffer_bytes; /* the kernel doubles, and bounds them */
} skua_socket_opts;

/* Set those options on an open socket that it can have: of all but the listener's ones. Returns 0,
   -ENOTSOCK, -EBADF, -EINVAL, -EPERM.
   Call from: a task or a foreign thread. Never switches. */
int skua_socket_set(int fd, const skua_socket_opts *opts) SKUA_MUST_CHECK;

/* --- listening -------------------------------------------------------------------------------- */

/* Listen at "address:port"; port 0 takes a free one, which skua_local_address() tells. The fd is
   for skua_accept(). Returns it, or -EINVAL, -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EMFILE,
   -EAFNOSUPPORT, -ESHUTDOWN and what else socket, bind and listen say.
   Call from: a task or a foreign thread. Never switches. */
int skua_tcp_listen(const char *address, const skua_socket_opts *opts) SKUA_MUST_CHECK;

/* Listen at "/path" or "@name". A socket file on which nobody listens any more is replaced; one on
   which somebody does, and anything that is no socket, is -EADDRINUSE. Closing leaves the file
   there, since by then it may be a successor's: whoever wants it gone unlinks it.
   Call from: a task or a foreign thread. Never switches. */
int skua_unix_listen(const char *address, const skua_socket_opts *opts) SKUA_MUST_CHECK;

/* The same for an address of any family that one can listen at.
   Call from: a task or a foreign thread. Never switches. */
int skua_listen_at(const skua_address *address, const skua_socket_opts *opts) SKUA_MUST_CHECK;

/* --- connecting ------------------------------------------------------------------------------- */

/* A new connection to an address of TCP or of a Unix socket. Returns the fd, or -ECONNREFUSED,
   -ETIMEDOUT (the deadline, or the network's), -ENETUNREACH, -ENOENT, -ECANCELED, -EMFILE, ...
   and then nothing is left open.
   Call from: a task or a foreign thread. May switch. */
int skua_tcp_connect_to(const skua_address *address, const skua_socket_opts *opts,
                        skua_time deadline) SKUA_MUST_CHECK;

/* The same to "/path" or "@name".
   Call from: a task or a foreign thread. May switch. */
int skua_unix_connect(const char *address, const skua_socket_opts *opts, skua_time deadline)
    SKUA_MUST_CHECK;

/* Two Unix sockets that are connected to each other: `type` is SOCK_STREAM, SOCK_SEQPACKET or
   SOCK_DGRAM. Returns 0, or -EINVAL, -EMFILE, -ENOMEM, ...
   Call from: a task or a foreign thread. Never switches. */
int skua_socket_pair(int ends[2], int type) SKUA_MUST_CHECK;

/* --- datagrams -------------------------------------------------------------------------------- */

/* A socket for datagrams, UDP or Unix: bound to `local`, and connected to `peer`, both of which may
   be NULL, but not both at once (-EINVAL). A connected one has traffic with its peer only, and may
   be used with skua_read() and skua_write(). Socket files are treated as skua_unix_listen() does.
   Returns the fd or an error of socket, bind or connect.
   Call from: a task or a foreign thread. Never switches. */
int skua_datagram_open(const skua_address *local, const skua_address *peer,
                       const skua_socket_opts *opts) SKUA_MUST_CHECK;

/* One datagram, and who it is from (may be NULL). Returns its length, which may be 0, or -EMSGSIZE:
   it was longer than `bytes`; what fits is in the buffer, the rest is gone. -ECONNREFUSED: nobody
   has taken one that was sent before. Else the errors of skua_read().
   Call from: a task or a foreign thread. May switch. Cancel: no datagram is lost. */
ssize_t skua_recv_from(int fd, void *buffer, size_t bytes, skua_address *from, skua_time deadline)
    SKUA_MUST_CHECK;

/* Send one, to `to` (NULL: where the socket is connected to). Returns `bytes`, or -EMSGSIZE (too
   long for one), -EDESTADDRREQ, -ECONNREFUSED, and the errors of skua_write().
   Call from: a task or a foreign thread. May switch. Cancel: it was not sent. */
ssize_t skua_send_to(int fd, const void *buffer, size_t bytes, const skua_address *to,
                     skua_time deadline) SKUA_MUST_CHECK;

/* One of several datagrams. */
typedef struct skua_datagram {
    void *buffer;
    size_t bytes;         /* room in the buffer; to send: the length */
    size_t length;        /* set by receiving: of the datagram, more than `bytes` if it was cut */
    skua_address address; /* whom from; to send: whom to (bytes == 0: where it is connected to) */
} skua_datagram;

enum { SKUA_DATAGRAMS_MAX = 64 };

/* Receive or send up to `count` at once (of which SKUA_DATAGRAMS_MAX are looked at), for one system
   call: as many as are there, or as there is room for, waiting for the first. Returns how many
   (> 0), or an error that concerns the first.
   Call from: a task or a foreign thread. May switch. Cancel: as for one. */
int skua_recv_many(int fd, skua_datagram datagrams[], int count, skua_time deadline)
    SKUA_MUST_CHECK;
int skua_send_many(int fd, const skua_datagram datagrams[], int count, skua_time deadline)
    SKUA_MUST_CHECK;

/* --- through Unix sockets --------------------------------------------------------------------- */

enum { SKUA_FDS_MAX = 253 }; /* the kernel's limit */

/* Send `count` file descriptors (adopted ones or not; they stay the sender's) along with `bytes`
   bytes, which must be one at least. Returns the number of bytes (> 0): the fds went with the
   first. -EINVAL (too many, or no byte), -EBADF, -ETOOMANYREFS (too many are on their way), and the
   errors of skua_write().
   Call from: a task or a foreign thread. May switch. Cancel: nothing was sent. */
ssize_t skua_send_fds(int fd, const void *buffer, size_t bytes, const int fds[], int count,
                      skua_time deadline) SKUA_MUST_CHECK;

/* Receive bytes and the file descriptors that came with them. *count says how many there is room
   for in fds[], and then how many came. They are adopted (thus non-blocking, which the sender's own
   become too) and close-on-exec. Returns the number of bytes (0: end), and the errors of
   skua_read(); if not all fds could be had, -EMSGSIZE (no room for them, or a record was cut) or
   -EMFILE, -ENFILE, ...: then all are closed again, and the bytes are gone.
   Call from: a task or a foreign thread. May switch. Cancel: nothing is lost. */
ssize_t skua_recv_fds(int fd, void *buffer, size_t bytes, int fds[], int *count, skua_time deadline)
    SKUA_MUST_CHECK;

/* Who was at the other end of a Unix socket when it was connected. */
typedef struct skua_credentials {
    pid_t pid;
    uid_t uid;
    gid_t gid;
} skua_credentials;

/* Returns 0, -EINVAL (no Unix socket), -ENOTSOCK, -EBADF.
   Call from: a task or a foreign thread. Never switches. */
int skua_peer_credentials(int fd, skua_credentials *out) SKUA_MUST_CHECK;

SKUA_END_DECLS
#endif
