/* tests/io_help.h: what the suites of I/O share: pairs of adopted fds, and tasks parked on them. */
#ifndef SKUA_TESTS_IO_HELP_H
#define SKUA_TESTS_IO_HELP_H

#include "io/fd.h"
#include "test.h"

#include <fcntl.h>
#include <skua/skua.h>

static inline void run(skua_fn fn, void *arg)
{
    const skua_config config = {.workers = 4};
    const int fds = test_fds();
    CHECK_INT(skua_run(&config, fn, arg), 0);
    CHECK_INT(test_fds(), fds);
}

static inline skua_task *spawn(skua_fn fn, void *arg)
{
    skua_task *task = NULL;
    CHECK_INT(skua_spawn(&task, fn, arg, NULL), 0);
    return task;
}

static inline int join(skua_task *task)
{
    int status = -1;
    CHECK_INT(skua_join(task, &status, SKUA_FOREVER), 0);
    skua_task_release(task);
    return status;
}

static inline void adopt_both(const int ends[2])
{
    CHECK_INT(skua_fd_adopt(ends[0]), 0);
    CHECK_INT(skua_fd_adopt(ends[1]), 0);
}

static inline void open_pipe(int ends[2])
{
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    adopt_both(ends);
}

static inline void open_pair(int ends[2])
{
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    adopt_both(ends);
}

static inline void close_both(const int ends[2])
{
    skua_close(ends[0]);
    skua_close(ends[1]);
}

/* Write until nothing more goes in; returns how much did. */
static inline size_t fill(int fd)
{
    static const char zeros[4096];
    size_t total = 0;
    ssize_t put = 0;
    while ((put = skua_write(fd, zeros, sizeof zeros, SKUA_NOW)) > 0) {
        total += (size_t)put;
    }
    CHECK_INT(put, -EAGAIN);
    return total;
}

static inline void drain(int fd, size_t bytes)
{
    char buffer[65536];
    while (bytes > 0) {
        /* No more: what others write as soon as there is room is not ours. */
        const size_t most = bytes < sizeof buffer ? bytes : sizeof buffer;
        ssize_t got = skua_read(fd, buffer, most, SKUA_FOREVER);
        CHECK(got > 0);
        bytes -= (size_t)got;
    }
}

/* A task that reads or writes one byte of `fd`, and its result. */
struct one_byte {
    int fd;
    skua_time deadline;
    char byte;
};

static inline int read_byte(void *arg)
{
    struct one_byte *one = arg;
    return (int)skua_read(one->fd, &one->byte, 1, one->deadline);
}

static inline int write_byte(void *arg)
{
    struct one_byte *one = arg;
    return (int)skua_write(one->fd, &one->byte, 1, one->deadline);
}

/* Does somebody wait on `fd` (direction 0 reading, 1 writing)? */
static inline bool has_waiter(int number, int direction)
{
    struct skua__io *io = NULL;
    CHECK_INT(skua__io_get(&io), 0);
    struct skua__fd *fd = skua__fd_find(io, number);
    if (fd == NULL) {
        return false;
    }
    skua__lock(&fd->lock, SKUA__RANK_IO);
    const bool has = fd->waiters[direction] != NULL;
    skua__unlock(&fd->lock, SKUA__RANK_IO);
    return has;
}

/* A reader that is parked when this returns. */
static inline skua_task *park_reader(struct one_byte *one)
{
    skua_task *task = spawn(read_byte, one);
    while (!has_waiter(one->fd, 0)) {
        skua_yield();
    }
    return task;
}

static inline skua_task *park_writer(struct one_byte *one)
{
    skua_task *task = spawn(write_byte, one);
    while (!has_waiter(one->fd, 1)) {
        skua_yield();
    }
    return task;
}

#endif
