/* Open files: reading and writing at an offset, and what else is asked of an fd.

   Reads and writes are tried in place with RWF_NOWAIT. A file system in memory refuses that
   question though it never waits; there the plain call is made in place (io/device.c tells). */
#include "file/call.h"
#include "file/info.h"
#include "file/work.h"
#include "io/call.h"
#include "io/device.h"
#include "io/move_call.h"

#include <fcntl.h>
#include <limits.h>

/* --- reading and writing ---------------------------------------------------------------------- */

struct data_call {
    int fd;
    bool is_write;
    const struct iovec *parts;
    int count;
    int64_t offset;
};

static ssize_t transfer_whole(const struct data_call *call)
{
    return call->is_write ? skua__file_call_writev(call->fd, call->parts, call->count, call->offset)
                          : skua__file_call_readv(call->fd, call->parts, call->count, call->offset);
}

static ssize_t transfer_in_place(void *arg)
{
    const struct data_call *call = arg;
    struct statx status;
    ssize_t result =
        call->is_write ? skua__call_writev_nowait(call->fd, call->parts, call->count, call->offset)
                       : skua__call_readv_nowait(call->fd, call->parts, call->count, call->offset);
    if (result != -EOPNOTSUPP) {
        return result;
    }
    if (skua__call_status_known(call->fd, &status) < 0) {
        return -EAGAIN;
    }
    uint64_t device = skua__device_of(&status);
    if (skua__device_is_memory(device)) {
        return transfer_whole(call);
    }
    return skua__device_is_near(device) ? -EAGAIN : -EOPNOTSUPP;
}

/* Of a file on a device of which nothing is known. */
static ssize_t transfer_and_learn(void *arg)
{
    const struct data_call *call = arg;
    skua__device_learn(call->fd);
    return transfer_whole(call);
}

static ssize_t transfer(struct data_call *call, skua_time deadline)
{
    const struct skua__file_op op = {
        .code = call->is_write ? SKUA__OP_WRITEV : SKUA__OP_READV,
        .fd = call->fd,
        .parts = call->parts,
        .bytes = (size_t)call->count,
        .offset = call->offset,
    };
    const struct skua__work work = {
        SKUA__NO_DIRS,
        .in_place = transfer_in_place,
        .whole = transfer_and_learn,
        .op = &op,
        .arg = call,
        .file = call->fd,
    };
    if (call->offset < 0 || call->count < 0 || call->count > IOV_MAX) {
        return -EINVAL;
    }
    return skua__work_do(&work, deadline);
}

ssize_t skua_preadv(int fd, const struct iovec *parts, int count, int64_t offset,
                    skua_time deadline)
{
    struct data_call call = {.fd = fd, .parts = parts, .count = count, .offset = offset};
    return transfer(&call, deadline);
}

ssize_t skua_pwritev(int fd, const struct iovec *parts, int count, int64_t offset,
                     skua_time deadline)
{
    struct data_call call = {
        .fd = fd, .is_write = true, .parts = parts, .count = count, .offset = offset};
    return transfer(&call, deadline);
}

ssize_t skua_pread(int fd, void *buffer, size_t bytes, int64_t offset, skua_time deadline)
{
    const struct iovec part = {.iov_base = buffer, .iov_len = bytes};
    return skua_preadv(fd, &part, 1, offset, deadline);
}

ssize_t skua_pwrite(int fd, const void *buffer, size_t bytes, int64_t offset, skua_time deadline)
{
    const struct iovec part = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = bytes};
    return skua_pwritev(fd, &part, 1, offset, deadline);
}

/* --- the rest --------------------------------------------------------------------------------- */

static int do_op(const struct skua__file_op *op, skua_time deadline)
{
    const struct skua__work work = {SKUA__NO_DIRS, .op = op, .file = op->fd};
    return (int)skua__work_do(&work, deadline);
}

int skua_fsync(int fd, skua_time deadline)
{
    return do_op(&(struct skua__file_op){.code = SKUA__OP_FSYNC, .fd = fd}, deadline);
}

int skua_fdatasync(int fd, skua_time deadline)
{
    return do_op(&(struct skua__file_op){.code = SKUA__OP_FDATASYNC, .fd = fd}, deadline);
}

int skua_allocate(int fd, uint64_t offset, uint64_t bytes, skua_time deadline)
{
    if (offset > INT64_MAX || bytes > INT64_MAX) {
        return -EFBIG;
    }
    const struct skua__file_op op = {
        .code = SKUA__OP_ALLOCATE, .fd = fd, .offset = (int64_t)offset, .bytes = bytes};
    return do_op(&op, deadline);
}

struct truncate_call {
    int fd;
    uint64_t bytes;
};

static ssize_t truncate_whole(void *arg)
{
    const struct truncate_call *call = arg;
    return skua__file_call_truncate(call->fd, call->bytes);
}

int skua_ftruncate(int fd, uint64_t bytes, skua_time deadline)
{
    struct truncate_call call = {.fd = fd, .bytes = bytes};
    const struct skua__work work = {SKUA__NO_DIRS, .whole = truncate_whole, .arg = &call,
                                    .file = fd};
    return (int)skua__work_do(&work, deadline);
}

/* --- status ----------------------------------------------------------------------------------- */

struct status_call {
    int fd;
    struct statx *status;
};

static ssize_t status_in_place(void *arg)
{
    const struct status_call *call = arg;
    int result = skua__call_status_known(call->fd, call->status);
    return result == 0 && skua__device_is_near(skua__device_of(call->status)) ? 0 : -EAGAIN;
}

static ssize_t status_whole(void *arg)
{
    const struct status_call *call = arg;
    skua__device_learn(call->fd);
    return skua__file_call_status(call->fd, "", AT_EMPTY_PATH, call->status);
}

int skua_fstat(int fd, skua_file_info *info, skua_time deadline)
{
    struct statx status;
    struct status_call call = {.fd = fd, .status = &status};
    const struct skua__work work = {
        SKUA__NO_DIRS, .in_place = status_in_place, .whole = status_whole, .arg = &call, .file = fd,
    };
    int result = (int)skua__work_do(&work, deadline);
    if (result == 0) {
        skua__info_of(&status, info);
    }
    return result;
}
