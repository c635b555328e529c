/* Files: what epoll cannot wait for, and what we must not make non-blocking.

   (1) FILE, on a disk. Read in place as far as the page cache has it (preadv2 with RWF_NOWAIT at
       the file's own position), else by the kernel's ring or a thread of the blocking pool (op.c),
       and then awaited: it uses the buffer. A file system in memory does not know RWF_NOWAIT
       though it never waits: there the plain call is made in place (device.c).
   (2) SHARED: standard input, output and error, when they are not disk files. Their open file
       description belongs to other processes too, so O_NONBLOCK is not ours to set. In place with
       RWF_NOWAIT as well; where the kernel cannot do that (terminals), wait for readiness and then
       let a thread of the pool do it, since another process may have been quicker. No more than
       PIPE_BUF bytes are written that way, which is what a writable pipe has room for.

   The fd is held all the time but while parked for readiness: a file is not closed under a reader.

   Paths are opened in place if the kernel has all of the path in memory (RESOLVE_CACHED), which
   takes a microsecond or two instead of the thirty of a hand-over to the pool and back. */
#include "base/panic.h"
#include "io/call.h"
#include "io/device.h"
#include "io/ring.h"
#include "io/stream.h"

#include <fcntl.h>
#include <limits.h>
#include <skua/blocking.h>
#include <skua/runtime.h>

/* --- reading and writing ---------------------------------------------------------------------- */

struct file_call {
    int fd;
    bool is_socket;
    struct skua__transfer transfer;
    ssize_t result;
};

static int run_transfer(void *arg)
{
    struct file_call *call = arg;
    call->result = skua__transfer_run(call->fd, call->is_socket, &call->transfer);
    return 0;
}

static ssize_t on_pool(struct file_call *call, skua_time deadline)
{
    int status = skua_blocking(run_transfer, call, deadline);
    return status < 0 ? status : call->result;
}

static ssize_t in_place(struct file_call *call)
{
    if (call->is_socket) {
        run_transfer(call); /* never blocks on a socket */
        return call->result;
    }
    return skua__transfer_run_nowait(call->fd, &call->transfer);
}

static struct skua__file_op op_of(const struct file_call *call)
{
    const struct skua__transfer *transfer = &call->transfer;
    struct skua__file_op op = {.fd = call->fd, .offset = SKUA__OFFSET_OWN};
    if (transfer->parts != NULL) {
        op.code = transfer->is_write ? SKUA__OP_WRITEV : SKUA__OP_READV;
        op.parts = transfer->parts;
        op.bytes = (size_t)transfer->part_count;
    } else {
        op.code = transfer->is_write ? SKUA__OP_WRITE : SKUA__OP_READ;
        op.buffer = transfer->buffer;
        op.bytes = transfer->bytes;
    }
    return op;
}

/* The file system refuses to say whether it would wait. -EAGAIN: it would; -EOPNOTSUPP: nothing is
   known of it. */
static ssize_t in_place_by_device(struct file_call *call)
{
    struct statx status;
    if (skua__call_status_known(call->fd, &status) < 0 || !S_ISREG(status.stx_mode)) {
        return -EAGAIN;
    }
    const uint64_t device = skua__device_of(&status);
    if (skua__device_is_memory(device)) {
        run_transfer(call);
        return call->result;
    }
    return skua__device_is_near(device) ? -EAGAIN : -EOPNOTSUPP;
}

/* On the pool, of a file on a device of which nothing is known. */
static int learn_and_run(void *arg)
{
    struct file_call *call = arg;
    skua__device_learn(call->fd);
    return run_transfer(call);
}

static ssize_t do_file(struct file_call *call, skua_time deadline)
{
    ssize_t result = in_place(call);
    if (result == -EOPNOTSUPP) {
        result = in_place_by_device(call);
    }
    if (result != -EAGAIN && result != -EOPNOTSUPP) {
        return result;
    }
    if (skua__is_now(deadline)) {
        return -EAGAIN;
    }
    if (result == -EOPNOTSUPP) {
        int status = skua_blocking(learn_and_run, call, deadline);
        return status < 0 ? status : call->result;
    }
    const struct skua__file_op op = op_of(call);
    return skua__op_do(&op, deadline);
}

/* One try on a SHARED fd: -EAGAIN if it is not ready. */
static ssize_t try_shared(struct file_call *call, int direction, skua_time deadline)
{
    ssize_t result = in_place(call);
    if (result != -EOPNOTSUPP) {
        return result;
    }
    int ready = skua__call_poll(call->fd, direction, 0);
    if (ready <= 0) {
        return ready < 0 ? ready : -EAGAIN;
    }
    if (call->transfer.is_write && call->transfer.bytes > PIPE_BUF) {
        call->transfer.bytes = PIPE_BUF;
    }
    return on_pool(call, deadline);
}

static ssize_t do_shared(struct skua__io *io, struct skua__fd *fd, struct skua__fd_look *look,
                         struct file_call *call, skua_time deadline)
{
    const int direction = call->transfer.is_write ? SKUA_WRITABLE : SKUA_READABLE;
    const uint32_t generation = skua__fd_generation(look->word);
    for (;;) {
        ssize_t result = try_shared(call, direction, deadline);
        skua__fd_drop(fd);
        if (result != -EAGAIN || skua__is_now(deadline)) {
            return result;
        }
        int status = skua__fd_wait(io, fd, look, direction, true, skua__deadline_ns(deadline));
        if (status < 0) {
            return status;
        }
        if (!skua__fd_hold(fd, look)) {
            return -EBADF;
        }
        if (skua__fd_generation(look->word) != generation) {
            skua__fd_drop(fd);
            return -EBADF;
        }
    }
}

ssize_t skua__file_do(struct skua__io *io, struct skua__fd *fd, const struct skua__fd_look *look,
                      const struct skua__transfer *transfer, skua_time deadline)
{
    struct file_call call = {
        .fd = fd->number,
        .is_socket = skua__fd_is_socket(look->word),
        .transfer = *transfer,
    };
    if (skua__fd_kind_of(look->word) == SKUA__FD_SHARED) {
        struct skua__fd_look latest = *look;
        skua__transfer_narrow(&call.transfer);
        return do_shared(io, fd, &latest, &call, deadline);
    }
    ssize_t result = do_file(&call, deadline);
    skua__fd_drop(fd);
    return result;
}

/* --- opening ---------------------------------------------------------------------------------- */

static ssize_t open_somewhere(const struct skua__file_op *op, skua_time deadline)
{
    if ((op->flags & (O_CREAT | O_TRUNC)) == 0) {
        int fd = skua__call_open_cached(op->fd, op->path, (int)op->flags | O_NONBLOCK);
        if (fd != -EAGAIN) {
            return fd;
        }
    }
    return skua__op_do(op, deadline);
}

/* Unlike skua_fd_adopt(): it is not shared, whatever its number, and is non-blocking already. */
int skua__file_own(int fd)
{
    struct skua__io *io = NULL;
    int type = skua__call_type(fd);
    int status = type < 0 ? type : skua__io_get(&io);
    if (status == 0) {
        enum skua__fd_kind kind = type == SKUA__TYPE_FILE ? SKUA__FD_FILE : SKUA__FD_STREAM;
        status = skua__fd_adopt_new(io, fd, kind, type == SKUA__TYPE_SOCKET);
    }
    if (status < 0) {
        skua__call_close(fd);
    }
    return status < 0 ? status : fd;
}

int skua_open(const char *path, int flags, mode_t mode, skua_time deadline)
{
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
    const struct skua__file_op op = {
        .code = SKUA__OP_OPEN,
        .fd = AT_FDCWD,
        .path = path,
        .flags = (uint32_t)flags,
        .mode = mode,
    };
    if (skua_runtime_current() == NULL) {
        return (int)skua__op_call(&op);
    }
    int fd = (int)open_somewhere(&op, deadline);
    return fd < 0 ? fd : skua__file_own(fd);
}
