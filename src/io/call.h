/* io/call.h: the system calls on fds, as results instead of errno.

   Each returns what the call returns, or a negative errno; EINTR is retried inside. They are
   functions of a file of their own, which no compiler looks into: errno is an address of the
   thread, and a fiber may be on another thread after a wait.

   None of them waits longer than the kernel makes it: on sockets they never block, on other fds
   only if O_NONBLOCK is not set. */
#ifndef SKUA_IO_CALL_H
#define SKUA_IO_CALL_H

#include <skua/io.h>

struct statx;

enum skua__fd_type {
    SKUA__TYPE_SOCKET,
    SKUA__TYPE_FILE, /* on a disk: always "ready" */
    SKUA__TYPE_OTHER,
};

/* Never -EINTR; sockets are read and written without blocking and without SIGPIPE. */
ssize_t skua__call_read(int fd, bool is_socket, void *buffer, size_t bytes);
ssize_t skua__call_write(int fd, bool is_socket, const void *buffer, size_t bytes);

/* At the file's own position, only as far as nothing has to be waited for: else -EAGAIN, or
   -EOPNOTSUPP where the file system (or terminal) does not offer that. */
ssize_t skua__call_read_nowait(int fd, void *buffer, size_t bytes);
ssize_t skua__call_write_nowait(int fd, const void *buffer, size_t bytes);

/* The new socket is non-blocking and close-on-exec. Connections that have gone away are skipped. */
int skua__call_accept(int listener, struct sockaddr *address, socklen_t *address_bytes);

int skua__call_connect(int fd, const struct sockaddr *address, socklen_t address_bytes);

/* Close-on-exec; -EAGAIN unless all that it takes is in memory. */
int skua__call_open_cached(int dir, const char *path, int flags);

void skua__call_close(int fd);

/* The type of the file behind fd, or -EBADF. */
int skua__call_type(int fd);

/* The status of an open file from what the kernel has in memory: a file server is not asked. */
int skua__call_status_known(int fd, struct statx *out);

/* What kind of file system it lies on: a number of linux/magic.h. May wait for a server. */
int64_t skua__call_system_type(int fd);

/* The file's own position; -ESPIPE: it has none. */
int64_t skua__call_position(int fd);

int skua__call_set_nonblocking(int fd);
int skua__call_set_blocking(int fd);

/* Whether a socket is TCP. */
bool skua__call_is_tcp(int fd);

/* Which of `events` hold, all of them after a hang-up or an error; waits for one until
   `deadline_ns` (0: looks only). 0: the deadline. -EBADF, -ENOMEM. */
int skua__call_poll(int fd, int events, int64_t deadline_ns);

#endif
