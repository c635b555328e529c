/* io/stream.h: the loop of all calls on fds: try, and wait only when the kernel says EAGAIN. */
#ifndef SKUA_IO_STREAM_H
#define SKUA_IO_STREAM_H

#include "io/fd.h"

/* One try of an operation: its result, -EAGAIN if it would have to wait, or another negative errno.
   Must not switch. */
typedef ssize_t (*skua__attempt)(int fd, bool is_socket, void *arg);

struct skua__operation {
    skua__attempt attempt;
    void *arg;
    int direction; /* SKUA_READABLE or SKUA_WRITABLE: what to wait for */
    size_t bytes;  /* of a read or write of a stream; who gets fewer has got all. 0: another kind */
    bool is_file;  /* FILE and SHARED fds are file.c's, which takes `arg` for a skua__transfer */
};

/* Reading or writing: the arg of both. */
struct skua__transfer {
    void *buffer;
    size_t bytes;
    bool is_write;
};

/* From the cancel point to the result, for tasks and foreign threads. */
ssize_t skua__stream_do(int fd, const struct skua__operation *operation, skua_time deadline);

/* Read or write a FILE or SHARED fd that is held; the hold is given back. */
ssize_t skua__file_do(struct skua__io *io, struct skua__fd *fd, const struct skua__fd_look *look,
                      const struct skua__transfer *transfer, skua_time deadline);

#endif
