/* io/move_call.h: the system calls of transfer.h. As in call.h each gives a result or a negative
   errno, retries EINTR, and is a function which no compiler looks into; none blocks on a
   non-blocking fd, and none raises SIGPIPE. */
#ifndef SKUA_IO_MOVE_CALL_H
#define SKUA_IO_MOVE_CALL_H

#include "io/call.h"

#include <sys/uio.h>

ssize_t skua__call_readv(int fd, bool is_socket, const struct iovec *parts, int count);
ssize_t skua__call_writev(int fd, bool is_socket, const struct iovec *parts, int count);

/* As skua__call_read_nowait() and skua__call_write_nowait(); an offset of -1 is the file's own
   position. */
ssize_t skua__call_readv_nowait(int fd, const struct iovec *parts, int count, int64_t offset);
ssize_t skua__call_writev_nowait(int fd, const struct iovec *parts, int count, int64_t offset);

/* For any socket; the flags come on top of those that neither block nor raise a signal. */
ssize_t skua__call_receive(int fd, struct msghdr *message, int flags);
ssize_t skua__call_send(int fd, const struct msghdr *message, int flags);

int skua__call_shutdown(int fd, int how);

ssize_t skua__call_sendfile(int out, bool is_socket, int in, off_t *offset, size_t bytes);
ssize_t skua__call_splice(int out, bool is_socket, int in, size_t bytes);

/* True if a byte can be had at `offset` (< 0: the file's position) without waiting for a disk, or
   if it is the file's end, or an error. False also where the file system cannot tell. */
bool skua__call_is_cached(int fd, off_t offset);

/* Read what is at `offset` (< 0: the file's position) into the page cache. Waits for the disk. */
void skua__call_warm(int fd, off_t offset, size_t bytes);

bool skua__call_is_pipe(int fd);

/* A pipe of our own: non-blocking and close-on-exec. */
int skua__call_spare_pipe(int ends[2]);

#endif
