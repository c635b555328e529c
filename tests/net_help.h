/* tests/net_help.h: what the suites of sockets share. */
#ifndef SKUA_TESTS_NET_HELP_H
#define SKUA_TESTS_NET_HELP_H

#include "io_help.h"

#include <errno.h>
#include <sys/socket.h>

static inline skua_address address_of(const char *text)
{
    skua_address address;
    CHECK_INT(skua_address_parse(text, &address), 0);
    return address;
}

/* Where a socket is bound to. */
static inline skua_address place_of(int fd)
{
    skua_address address;
    CHECK_INT(skua_local_address(fd, &address), 0);
    return address;
}

/* A listener on a free port of 127.0.0.1, and where that is. */
static inline int listen_tcp(skua_address *at, const skua_socket_opts *opts)
{
    const int listener = skua_tcp_listen("127.0.0.1:0", opts);
    CHECK(listener >= 0);
    *at = place_of(listener);
    return listener;
}

static inline int connect_to(const skua_address *address)
{
    const int fd = skua_tcp_connect_to(address, NULL, SKUA_FOREVER);
    CHECK(fd >= 0);
    return fd;
}

static inline int accept_one(int listener)
{
    const int fd = skua_accept(listener, NULL, NULL, SKUA_FOREVER);
    CHECK(fd >= 0);
    return fd;
}

/* Both ends of a TCP connection. */
static inline void open_tcp(int ends[2])
{
    skua_address at;
    const int listener = listen_tcp(&at, NULL);
    ends[0] = connect_to(&at);
    ends[1] = accept_one(listener);
    skua_close(listener);
}

/* A name of this process for a Unix socket without a file. */
static inline const char *abstract_name(char name[64], const char *what)
{
    snprintf(name, 64, "@skua-test-%s-%d", what, (int)getpid());
    return name;
}

static inline const char *socket_path(char path[64], const char *what)
{
    snprintf(path, 64, "/tmp/skua-test-%s-%d", what, (int)getpid());
    return path;
}

static inline int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t bytes = sizeof value;
    CHECK_INT(getsockopt(fd, level, name, &value, &bytes), 0);
    return value;
}

#endif
