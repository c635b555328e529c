/* Operations on files: by the calling thread, by a thread of the blocking pool, by the kernel's
   ring. Here is the table of system calls, and who makes which. */
#define _GNU_SOURCE 1
#include "io/ring.h"

#include "base/compiler.h"
#include "io/call.h"

#include <fcntl.h>
#include <skua/blocking.h>
#include <skua/runtime.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

int skua__op_open_flags(const struct skua__file_op *op)
{
    return (int)op->flags | O_CLOEXEC | O_NONBLOCK;
}

/* --- the calls -------------------------------------------------------------------------------- */

static ssize_t call_read(const struct skua__file_op *op)
{
    const struct iovec part = {.iov_base = op->buffer, .iov_len = op->bytes};
    return preadv2(op->fd, &part, 1, op->offset, (int)op->flags);
}

static ssize_t call_write(const struct skua__file_op *op)
{
    const struct iovec part = {.iov_base = op->buffer, .iov_len = op->bytes};
    return pwritev2(op->fd, &part, 1, op->offset, (int)op->flags);
}

static ssize_t call_readv(const struct skua__file_op *op)
{
    return preadv2(op->fd, op->parts, (int)op->bytes, op->offset, (int)op->flags);
}

static ssize_t call_writev(const struct skua__file_op *op)
{
    return pwritev2(op->fd, op->parts, (int)op->bytes, op->offset, (int)op->flags);
}

static ssize_t call_fsync(const struct skua__file_op *op)
{
    return fsync(op->fd);
}

static ssize_t call_fdatasync(const struct skua__file_op *op)
{
    return fdatasync(op->fd);
}

static ssize_t call_allocate(const struct skua__file_op *op)
{
    return fallocate(op->fd, (int)op->flags, op->offset, (off_t)op->bytes);
}

static ssize_t call_open(const struct skua__file_op *op)
{
    const int flags = skua__op_open_flags(op);
    int fd = openat(op->fd, op->path, flags, op->mode);
    if (fd < 0 && errno == EWOULDBLOCK) {
        /* Somebody has a lease on the file, and gets the time to end it. */
        fd = openat(op->fd, op->path, flags & ~O_NONBLOCK, op->mode);
    }
    return fd;
}

static ssize_t call_statx(const struct skua__file_op *op)
{
    return statx(op->fd, op->path, (int)op->flags, op->mask, op->statx);
}

static ssize_t call_unlink(const struct skua__file_op *op)
{
    return unlinkat(op->fd, op->path, (int)op->flags);
}

static ssize_t call_rename(const struct skua__file_op *op)
{
    return renameat2(op->fd, op->path, op->fd_to, op->path_to, op->flags);
}

static ssize_t call_mkdir(const struct skua__file_op *op)
{
    return mkdirat(op->fd, op->path, op->mode);
}

struct file_call {
    ssize_t (*call)(const struct skua__file_op *op);
    bool suits_ring; /* measured: docs/decisions/0024 */
};

static const struct file_call calls[SKUA__OP_COUNT] = {
    [SKUA__OP_READ] = {call_read, true},          [SKUA__OP_WRITE] = {call_write, false},
    [SKUA__OP_READV] = {call_readv, true},        [SKUA__OP_WRITEV] = {call_writev, false},
    [SKUA__OP_FSYNC] = {call_fsync, false},       [SKUA__OP_FDATASYNC] = {call_fdatasync, false},
    [SKUA__OP_ALLOCATE] = {call_allocate, false}, [SKUA__OP_OPEN] = {call_open, false},
    [SKUA__OP_STATX] = {call_statx, true},        [SKUA__OP_UNLINK] = {call_unlink, false},
    [SKUA__OP_RENAME] = {call_rename, true},      [SKUA__OP_MKDIR] = {call_mkdir, false},
};

SKUA_OPAQUE ssize_t skua__op_call(const struct skua__file_op *op)
{
    ssize_t result = 0;
    do {
        result = calls[op->code].call(op);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

/* --- who makes them --------------------------------------------------------------------------- */

/* More at once is not worth a second copy. */
enum { READ_TWICE_MAX = 64 * 1024 };

static bool is_for_ring(const struct skua__io *io, const struct skua__file_op *op)
{
    switch (skua__rings_choice(io->rings)) {
    case SKUA__RING_NEVER:
        return false;
    case SKUA__RING_ALWAYS:
        return true;
    default:
        return calls[op->code].suits_ring;
    }
}

/* A ring does not lock a file's own position. So it reads where that is at the moment, which brings
   the bytes into the page cache, and the bytes that count are read from there, once more and
   without waiting. -ENOSYS: that did not work out. */
static ssize_t read_at_own_position(struct skua__io *io, const struct skua__file_op *op,
                                    skua_time deadline)
{
    struct skua__file_op there = *op;
    there.offset = skua__call_position(op->fd);
    if (op->code != SKUA__OP_READ || there.offset < 0 || op->bytes > READ_TWICE_MAX) {
        return -ENOSYS;
    }
    ssize_t got = skua__ring_do(io, &there, deadline);
    if (got < 0) {
        return got;
    }
    ssize_t result = skua__call_read_nowait(op->fd, op->buffer, op->bytes);
    return result == -EAGAIN || result == -EOPNOTSUPP ? -ENOSYS : result;
}

static ssize_t by_ring(struct skua__io *io, const struct skua__file_op *op, skua_time deadline)
{
    if (!is_for_ring(io, op)) {
        return -ENOSYS;
    }
    bool is_transfer = op->code <= SKUA__OP_WRITEV;
    return is_transfer && op->offset == SKUA__OFFSET_OWN ? read_at_own_position(io, op, deadline)
                                                         : skua__ring_do(io, op, deadline);
}

struct offload {
    const struct skua__file_op *op;
    ssize_t result;
};

static int run_offload(void *arg)
{
    struct offload *offload = arg;
    offload->result = skua__op_call(offload->op);
    return 0;
}

static ssize_t on_pool(const struct skua__file_op *op, skua_time deadline)
{
    struct offload offload = {.op = op};
    int status = skua_blocking(run_offload, &offload, deadline);
    return status < 0 ? status : offload.result;
}

ssize_t skua__op_do(const struct skua__file_op *op, skua_time deadline)
{
    struct skua__io *io = NULL;
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (skua_runtime_current() == NULL) {
        return skua__op_call(op);
    }
    int status = skua__io_get(&io);
    if (status < 0) {
        return status;
    }
    if (skua__is_now(deadline)) {
        return -EAGAIN;
    }
    ssize_t result = by_ring(io, op, deadline);
    return result == -ENOSYS ? on_pool(op, deadline) : result;
}
