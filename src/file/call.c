/* The system calls of files. call.h says why they stand apart. */
#define _GNU_SOURCE 1
#include "file/call.h"

#include "base/compiler.h"
#include "io/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { NS_PER_S = 1000 * 1000 * 1000, NUMBER_BYTES = 12 };

/* What the library needs of a status. */
static const unsigned STATUS_MASK = STATX_BASIC_STATS | STATX_BTIME;

/* --- what never waits ------------------------------------------------------------------------- */

SKUA_OPAQUE void skua__file_call_shut(int fd)
{
    close(fd); /* Linux closes even when it says EINTR */
}

/* --- opening ---------------------------------------------------------------------------------- */

int skua__file_call_open_in(int dir, const char *path, int flags, mode_t mode)
{
    const struct skua__file_op op = {
        .code = SKUA__OP_OPEN, .fd = dir, .path = path, .flags = (uint32_t)flags, .mode = mode};
    return (int)skua__op_call(&op);
}

/* For kernels and sandboxes that have no openat2: one name at a time. */
static int open_by_names(int root, const char *path, int flags)
{
    int at = root;
    for (;;) {
        const char *slash = strchrnul(path, '/');
        char name[NAME_MAX + 1];
        size_t bytes = (size_t)(slash - path);
        if (bytes >= sizeof name) {
            errno = ENAMETOOLONG;
        }
        memcpy(name, path, bytes < sizeof name ? bytes : 0);
        name[bytes < sizeof name ? bytes : 0] = '\0';
        bool is_last = *slash == '\0';
        int wanted = is_last ? flags : O_PATH | O_DIRECTORY;
        int next = bytes >= sizeof name ? -1 : openat(at, name, wanted | O_NOFOLLOW | O_CLOEXEC);
        int error = errno;
        if (at != root) {
            close(at);
        }
        if (next < 0 || is_last) {
            return next < 0 ? -error : next;
        }
        at = next;
        path = slash + 1;
    }
}

SKUA_OPAQUE int skua__file_call_open_beneath(int root, const char *path, int flags)
{
    const struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_NOFOLLOW | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };
    long fd = 0;
    do {
        fd = syscall(SYS_openat2, root, path, &how, sizeof how);
    } while (fd < 0 && errno == EINTR);
    if (fd >= 0) {
        return (int)fd;
    }
    bool is_unknown = errno == ENOSYS || errno == EPERM || errno == E2BIG || errno == EAGAIN;
    return is_unknown ? open_by_names(root, path, flags) : -errno;
}

/* --- open files ------------------------------------------------------------------------------- */

static struct skua__file_op vector_op(enum skua__file_code code, int fd, const struct iovec *parts,
                                      int count, int64_t offset)
{
    return (struct skua__file_op){
        .code = code, .fd = fd, .parts = parts, .bytes = (size_t)count, .offset = offset};
}

ssize_t skua__file_call_readv(int fd, const struct iovec *parts, int count, int64_t offset)
{
    const struct skua__file_op op = vector_op(SKUA__OP_READV, fd, parts, count, offset);
    return skua__op_call(&op);
}

ssize_t skua__file_call_writev(int fd, const struct iovec *parts, int count, int64_t offset)
{
    const struct skua__file_op op = vector_op(SKUA__OP_WRITEV, fd, parts, count, offset);
    return skua__op_call(&op);
}

int skua__file_call_sync(int fd)
{
    const struct skua__file_op op = {.code = SKUA__OP_FSYNC, .fd = fd};
    return (int)skua__op_call(&op);
}

SKUA_OPAQUE int skua__file_call_truncate(int fd, uint64_t bytes)
{
    int status = 0;
    do {
        status = bytes > INT64_MAX ? (errno = EFBIG, -1) : ftruncate(fd, (off_t)bytes);
    } while (status < 0 && errno == EINTR);
    return status < 0 ? -errno : 0;
}

SKUA_OPAQUE int skua__file_call_clone(int from, int to)
{
    return ioctl(to, FICLONE, from) == 0 ? 0 : -errno;
}

SKUA_OPAQUE ssize_t skua__file_call_copy_range(int from, int to, uint64_t offset, size_t bytes)
{
    ssize_t put = 0;
    do {
        off64_t in = (off64_t)offset, out = (off64_t)offset;
        put = copy_file_range(from, &in, to, &out, bytes, 0);
    } while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

SKUA_OPAQUE int64_t skua__file_call_seek_data(int fd, int64_t offset)
{
    off_t at = lseek(fd, offset, SEEK_DATA);
    return at < 0 ? -errno : at;
}

SKUA_OPAQUE int64_t skua__file_call_seek_hole(int fd, int64_t offset)
{
    off_t at = lseek(fd, offset, SEEK_HOLE);
    return at < 0 ? -errno : at;
}

SKUA_OPAQUE int skua__file_call_fchmod(int fd, mode_t mode)
{
    return fchmod(fd, mode) == 0 ? 0 : -errno;
}

SKUA_OPAQUE int skua__file_call_link_open(int fd, int dir, const char *path)
{
    if (linkat(fd, "", dir, path, AT_EMPTY_PATH) == 0) {
        return 0;
    }
    if (errno != ENOENT && errno != EPERM) {
        return -errno;
    }
    /* Older kernels let only the privileged do that; the other way wants /proc. */
    char self[sizeof "/proc/self/fd/" + NUMBER_BYTES];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, dir, path, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

SKUA_OPAQUE ssize_t skua__file_call_entries(int fd, void *buffer, size_t bytes)
{
    long got = syscall(SYS_getdents64, fd, buffer, bytes);
    return got < 0 ? -errno : got;
}

/* --- names ------------------------------------------------------------------------------------ */

SKUA_OPAQUE int skua__file_call_status(int dir, const char *path, int flags, struct statx *out)
{
    int status = 0;
    do {
        status = statx(dir, path, flags | AT_NO_AUTOMOUNT, STATUS_MASK, out);
    } while (status < 0 && errno == EINTR);
    return status < 0 ? -errno : 0;
}

SKUA_OPAQUE int skua__file_call_access(int dir, const char *path, int mode)
{
    return faccessat(dir, path, mode, 0) == 0 ? 0 : -errno;
}

SKUA_OPAQUE int skua__file_call_unlink(int dir, const char *path, int flags)
{
    return unlinkat(dir, path, flags) == 0 ? 0 : -errno;
}

SKUA_OPAQUE int skua__file_call_rename(int dir, const char *path, int new_dir, const char *new_path,
                                       unsigned flags)
{
    return renameat2(dir, path, new_dir, new_path, flags) == 0 ? 0 : -errno;
}

SKUA_OPAQUE int skua__file_call_link(int dir, const char *path, int new_dir, const char *new_path)
{
    return linkat(dir, path, new_dir, new_path, 0) == 0 ? 0 : -errno;
}

SKUA_OPAQUE int skua__file_call_symlink(const char *target, int dir, const char *path)
{
    return symlinkat(target, dir, path) == 0 ? 0 : -errno;
}

SKUA_OPAQUE ssize_t skua__file_call_readlink(int dir, const char *path, char *buffer, size_t bytes)
{
    ssize_t length = readlinkat(dir, path, buffer, bytes);
    return length < 0 ? -errno : length;
}

SKUA_OPAQUE int skua__file_call_mkdir(int dir, const char *path, mode_t mode)
{
    return mkdirat(dir, path, mode) == 0 ? 0 : -errno;
}

SKUA_OPAQUE int skua__file_call_chmod(int dir, const char *path, mode_t mode)
{
    return fchmodat(dir, path, mode, 0) == 0 ? 0 : -errno;
}

static struct timespec timespec_of(int64_t ns)
{
    if (ns == SKUA_KEEP_TIME) {
        return (struct timespec){.tv_nsec = UTIME_OMIT};
    }
    int64_t rest = ns % NS_PER_S;
    rest += rest < 0 ? NS_PER_S : 0;
    return (struct timespec){.tv_sec = (ns - rest) / NS_PER_S, .tv_nsec = rest};
}

SKUA_OPAQUE int skua__file_call_utimes(int dir, const char *path, int flags,
                                       const int64_t times_ns[2])
{
    const struct timespec times[2] = {timespec_of(times_ns[0]), timespec_of(times_ns[1])};
    return utimensat(dir, path, times, flags) == 0 ? 0 : -errno;
}

SKUA_OPAQUE int skua__file_call_futimes(int fd, const int64_t times_ns[2])
{
    const struct timespec times[2] = {timespec_of(times_ns[0]), timespec_of(times_ns[1])};
    return futimens(fd, times) == 0 ? 0 : -errno;
}

SKUA_OPAQUE uint64_t skua__file_call_random(void)
{
    uint64_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != sizeof bits) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        bits = (uint64_t)now.tv_nsec * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)getpid();
    }
    return bits;
}
