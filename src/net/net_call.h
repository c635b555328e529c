/* net/net_call.h: the system calls on sockets that io has not. As io/call.h says: results or
   negative errnos, functions that no compiler looks into, EINTR retried, never blocking. */
#ifndef SKUA_NET_NET_CALL_H
#define SKUA_NET_NET_CALL_H

#include <skua/net.h>

/* Non-blocking and close-on-exec, both. */
int skua__call_socket(int family, int type);
int skua__call_socket_pair(int type, int ends[2]);

int skua__call_bind(int fd, const skua_address *address);
int skua__call_listen(int fd, int backlog);

/* The address of the socket, or of its peer. */
int skua__call_name(int fd, bool is_peer, skua_address *out);

int skua__call_set_option(int fd, int level, int name, const void *value, socklen_t bytes);
int skua__call_get_option(int fd, int level, int name, void *value, socklen_t bytes);

/* Receive or send up to `count` messages: how many (> 0), or the error of the first. */
int skua__call_receive_many(int fd, struct mmsghdr *messages, int count);
int skua__call_send_many(int fd, struct mmsghdr *messages, int count);

/* True if `path` is the file of a socket. */
bool skua__call_is_socket_file(const char *path);
int skua__call_unlink(const char *path);

/* The number of a network interface, or 0. */
uint32_t skua__call_interface(const char *name);

#endif
