/* Names: what a path leads to, and how it is changed.

   A path that the kernel has in memory is asked for its status in place: an O_PATH fd by
   RESOLVE_CACHED, its status, and a close; three short system calls instead of a hand-over. Changes
   of names may wait for the file system's journal, and are handed over. */
#define _GNU_SOURCE 1
#include "file/call.h"
#include "file/info.h"
#include "file/work.h"
#include "io/call.h"
#include "io/device.h"

#include <fcntl.h>
#include <linux/stat.h>
#include <skua/dir.h>
#include <stdio.h>

_Static_assert(SKUA_CWD == AT_FDCWD, "the kernel's number for the working directory");

enum { SECTOR_BYTES = 512, NS_PER_S = 1000 * 1000 * 1000 };

struct name_call {
    int dir, new_dir;
    const char *path, *new_path;
    int flags;
    mode_t mode;
    union {
        struct statx *status;
        struct {
            char *buffer;
            size_t bytes;
        };
        int64_t times_ns[2];
    };
};

/* On the pool, by `whole`. */
static ssize_t on_names(skua__step whole, struct name_call *call, skua_time deadline)
{
    const struct skua__work work = {
        .whole = whole,
        .arg = call,
        .file = SKUA_CWD,
        .dir = call->dir,
        .new_dir = call->new_dir,
    };
    return skua__work_do(&work, deadline);
}

/* By the ring where it pays. */
static int by_op(const struct skua__file_op *op, int new_dir, skua_time deadline)
{
    const struct skua__work work = {.op = op, .file = SKUA_CWD, .dir = op->fd, .new_dir = new_dir};
    return (int)skua__work_do(&work, deadline);
}

/* --- status ----------------------------------------------------------------------------------- */

static int64_t ns_of(const struct statx_timestamp *time)
{
    return time->tv_sec * NS_PER_S + time->tv_nsec;
}

void skua__info_of(const struct statx *status, skua_file_info *info)
{
    *info = (skua_file_info){
        .bytes = status->stx_size,
        .bytes_on_disk = status->stx_blocks * SECTOR_BYTES,
        .device = skua__device_of(status),
        .inode = status->stx_ino,
        .accessed_ns = ns_of(&status->stx_atime),
        .modified_ns = ns_of(&status->stx_mtime),
        .changed_ns = ns_of(&status->stx_ctime),
        .born_ns = (status->stx_mask & STATX_BTIME) != 0 ? ns_of(&status->stx_btime) : 0,
        .mode = status->stx_mode,
        .links = status->stx_nlink,
        .owner = status->stx_uid,
        .group = status->stx_gid,
    };
}

static ssize_t status_in_place(void *arg)
{
    const struct name_call *call = arg;
    int fd = skua__call_open_cached(call->dir, call->path, O_PATH | call->flags);
    if (fd < 0) {
        return fd;
    }
    int result = skua__call_status_known(fd, call->status);
    skua__file_call_shut(fd);
    return result == 0 && skua__device_is_near(skua__device_of(call->status)) ? 0 : -EAGAIN;
}

static ssize_t status_whole(void *arg)
{
    const struct name_call *call = arg;
    const int flags = (call->flags & O_NOFOLLOW) != 0 ? AT_SYMLINK_NOFOLLOW : 0;
    int result = skua__file_call_status(call->dir, call->path, flags, call->status);
    if (result == 0 && !skua__device_is_near(skua__device_of(call->status))) {
        int fd = skua__file_call_open_in(call->dir, call->path, O_PATH | call->flags, 0);
        if (fd >= 0) {
            skua__device_learn(fd);
            skua__file_call_shut(fd);
        }
    }
    return result;
}

int skua_stat(int dir, const char *path, int flags, skua_file_info *info, skua_time deadline)
{
    struct statx status;
    struct name_call call = {
        .dir = dir,
        .new_dir = SKUA_CWD,
        .path = path,
        .flags = (flags & SKUA_NO_FOLLOW) != 0 ? O_NOFOLLOW : 0,
        .status = &status,
    };
    const struct skua__work work = {
        .in_place = status_in_place,
        .whole = status_whole,
        .arg = &call,
        .file = SKUA_CWD,
        .dir = dir,
        .new_dir = SKUA_CWD,
    };
    if ((flags & ~SKUA_NO_FOLLOW) != 0) {
        return -EINVAL;
    }
    int result = (int)skua__work_do(&work, deadline);
    if (result == 0) {
        skua__info_of(&status, info);
    }
    return result;
}

static ssize_t access_whole(void *arg)
{
    const struct name_call *call = arg;
    return skua__file_call_access(call->dir, call->path, call->flags);
}

int skua_access(int dir, const char *path, int mode, skua_time deadline)
{
    struct name_call call = {.dir = dir, .new_dir = SKUA_CWD, .path = path, .flags = mode};
    return (int)on_names(access_whole, &call, deadline);
}

/* --- changes ---------------------------------------------------------------------------------- */

int skua_unlink(int dir, const char *path, skua_time deadline)
{
    return by_op(&(struct skua__file_op){.code = SKUA__OP_UNLINK, .fd = dir, .path = path},
                 SKUA_CWD, deadline);
}

int skua_rmdir(int dir, const char *path, skua_time deadline)
{
    const struct skua__file_op op = {
        .code = SKUA__OP_UNLINK, .fd = dir, .path = path, .flags = AT_REMOVEDIR};
    return by_op(&op, SKUA_CWD, deadline);
}

int skua_mkdir(int dir, const char *path, mode_t mode, skua_time deadline)
{
    const struct skua__file_op op = {.code = SKUA__OP_MKDIR, .fd = dir, .path = path, .mode = mode};
    return by_op(&op, SKUA_CWD, deadline);
}

int skua_rename(int dir, const char *path, int new_dir, const char *new_path, int flags,
                skua_time deadline)
{
    const struct skua__file_op op = {
        .code = SKUA__OP_RENAME,
        .fd = dir,
        .path = path,
        .fd_to = new_dir,
        .path_to = new_path,
        .flags = (flags & SKUA_NO_REPLACE ? RENAME_NOREPLACE : 0U) |
                 (flags & SKUA_EXCHANGE ? RENAME_EXCHANGE : 0U),
    };
    if ((flags & ~(SKUA_NO_REPLACE | SKUA_EXCHANGE)) != 0) {
        return -EINVAL;
    }
    return by_op(&op, new_dir, deadline);
}

static ssize_t link_whole(void *arg)
{
    const struct name_call *call = arg;
    return skua__file_call_link(call->dir, call->path, call->new_dir, call->new_path);
}

int skua_link(int dir, const char *path, int new_dir, const char *new_path, skua_time deadline)
{
    struct name_call call = {.dir = dir, .new_dir = new_dir, .path = path, .new_path = new_path};
    return (int)on_names(link_whole, &call, deadline);
}

static ssize_t symlink_whole(void *arg)
{
    const struct name_call *call = arg;
    return skua__file_call_symlink(call->new_path, call->dir, call->path);
}

int skua_symlink(const char *target, int dir, const char *path, skua_time deadline)
{
    struct name_call call = {.dir = dir, .new_dir = SKUA_CWD, .path = path, .new_path = target};
    return (int)on_names(symlink_whole, &call, deadline);
}

static ssize_t chmod_whole(void *arg)
{
    const struct name_call *call = arg;
    return skua__file_call_chmod(call->dir, call->path, call->mode);
}

int skua_chmod(int dir, const char *path, mode_t mode, skua_time deadline)
{
    struct name_call call = {.dir = dir, .new_dir = SKUA_CWD, .path = path, .mode = mode};
    return (int)on_names(chmod_whole, &call, deadline);
}

static ssize_t utimes_whole(void *arg)
{
    const struct name_call *call = arg;
    return skua__file_call_utimes(call->dir, call->path, call->flags, call->times_ns);
}

int skua_utimes(int dir, const char *path, int flags, int64_t accessed_ns, int64_t modified_ns,
                skua_time deadline)
{
    struct name_call call = {
        .dir = dir,
        .new_dir = SKUA_CWD,
        .path = path,
        .flags = (flags & SKUA_NO_FOLLOW) != 0 ? AT_SYMLINK_NOFOLLOW : 0,
        .times_ns = {accessed_ns, modified_ns},
    };
    if ((flags & ~SKUA_NO_FOLLOW) != 0) {
        return -EINVAL;
    }
    return (int)on_names(utimes_whole, &call, deadline);
}

static ssize_t readlink_whole(void *arg)
{
    const struct name_call *call = arg;
    ssize_t length = skua__file_call_readlink(call->dir, call->path, call->buffer, call->bytes);
    if (length < 0) {
        return length;
    }
    if ((size_t)length == call->bytes) {
        return -ENAMETOOLONG; /* there may be more, and there is no room for the zero */
    }
    call->buffer[length] = '\0';
    return length;
}

ssize_t skua_readlink(int dir, const char *path, char *buffer, size_t bytes, skua_time deadline)
{
    struct name_call call = {
        .dir = dir, .new_dir = SKUA_CWD, .path = path, .buffer = buffer, .bytes = bytes};
    return bytes == 0 ? -ENAMETOOLONG : on_names(readlink_whole, &call, deadline);
}
