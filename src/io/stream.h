/* io/stream.h: the loop of all calls on fds: try, and wait only when the kernel says EAGAIN. */
#ifndef SKUA_IO_STREAM_H
#define SKUA_IO_STREAM_H

#include "io/fd.h"

#include <skua/transfer.h>

/* One try of an operation: its result, -EAGAIN if it would have to wait, or another negative errno.
   Must not switch. */
typedef ssize_t (*skua__attempt)(int fd, bool is_socket, void *arg);

/* Several operations that mean the same fd: once the number was closed and means another, the next
   of them is told -EBADF. All zero before the first. */
struct skua__life {
    bool is_known; /* never on a foreign thread */
    uint32_t generation;
};

struct skua__operation {
    skua__attempt attempt;
    void *arg;
    int direction; /* SKUA_READABLE or SKUA_WRITABLE: what to wait for */
    size_t bytes;  /* of a read or write of a stream; who gets fewer has got all. 0: another kind */
    struct skua__life *life; /* NULL: whatever the number means now */
    bool is_file; /* FILE and SHARED fds are file.c's, which takes `arg` for a skua__transfer */
};

/* Reading or writing: the arg of both. */
struct skua__transfer {
    void *buffer;
    size_t bytes;
    const struct iovec *parts; /* if not NULL, these instead */
    int part_count;
    bool is_write;
};

/* One system call of it, on any fd; and only as far as nothing has to be waited for, with the
   errors of skua__call_read_nowait(). */
ssize_t skua__transfer_run(int fd, bool is_socket, const struct skua__transfer *transfer);
ssize_t skua__transfer_run_nowait(int fd, const struct skua__transfer *transfer);

/* Of several parts only the first one that is not empty: a short transfer is allowed. */
void skua__transfer_narrow(struct skua__transfer *transfer);

/* From the cancel point to the result, for tasks and foreign threads. */
ssize_t skua__stream_do(int fd, const struct skua__operation *operation, skua_time deadline);

/* skua_read(), skua_write(), skua_writev() and skua_write_all() on one life of the number. */
ssize_t skua__read_in(struct skua__life *life, int fd, void *buffer, size_t bytes,
                      skua_time deadline);
ssize_t skua__write_in(struct skua__life *life, int fd, const void *buffer, size_t bytes,
                       skua_time deadline);
ssize_t skua__writev_in(struct skua__life *life, int fd, const struct iovec *parts, int count,
                        skua_time deadline);
int skua__write_all_in(struct skua__life *life, int fd, const void *buffer, size_t bytes,
                       size_t *written, skua_time deadline);

/* call(fd, arg) for what never waits, with the fd held if it is a task that asks. Returns what call
   returned, -EBADF, or -ESHUTDOWN in a forked child. */
int skua__fd_call(int fd, int (*call)(int fd, void *arg), void *arg);

/* A new socket, non-blocking from birth, becomes ours, or is closed if it cannot. On a foreign
   thread it stays a plain one. Returns the fd or a negative errno. */
int skua__fd_own_socket(int fd);

/* A pause where nothing says when to try again. 0: now; -EAGAIN (SKUA_NOW), -ETIMEDOUT, -ECANCELED.
   */
int skua__fd_nap(int64_t nap_ns, skua_time deadline);

/* Read or write a FILE or SHARED fd that is held; the hold is given back. */
ssize_t skua__file_do(struct skua__io *io, struct skua__fd *fd, const struct skua__fd_look *look,
                      const struct skua__transfer *transfer, skua_time deadline);

/* Adopt an fd that the calling task has just opened, without blocking (O_NONBLOCK) where that means
   something. Returns the fd, or closes it and returns why. */
int skua__file_own(int fd);

#endif
