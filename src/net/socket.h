/* net/socket.h: what the files of this room share. */
#ifndef SKUA_NET_SOCKET_H
#define SKUA_NET_SOCKET_H

#include <skua/net.h>

/* Set options on a new socket of this family and type: a plain fd. 0 or a negative errno. */
int skua__socket_prepare(int fd, int family, int type, const skua_socket_opts *opts);

/* Bind a socket of this type; a socket file on which nobody listens is replaced (net/listen.c). */
int skua__socket_bind(int fd, const skua_address *address, int type);

#endif
