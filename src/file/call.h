/* file/call.h: the system calls on files and directories, as results instead of errno.

   Each returns what the call returns, or a negative errno; EINTR is retried inside. They are
   functions of a file of their own, which no compiler looks into: io/call.h says why. All fds that
   they open are close-on-exec.

   Those above the line never wait for a disk or another machine; the others may. */
#ifndef SKUA_FILE_CALL_H
#define SKUA_FILE_CALL_H

#include <skua/file.h>
#include <stdbool.h>

struct statx;

void skua__file_call_shut(int fd);

/* --- what may wait ---------------------------------------------------------------------------- */

/* An open fifo does not wait for its other end. */
int skua__file_call_open_in(int dir, const char *path, int flags, mode_t mode);

/* Below `root` by a path of names, none of which is a symbolic link. -ELOOP, -ENOTDIR: one is, or
   is something else by now. */
int skua__file_call_open_beneath(int root, const char *path, int flags);

int skua__file_call_status(int dir, const char *path, int flags, struct statx *out);
ssize_t skua__file_call_readv(int fd, const struct iovec *parts, int count, int64_t offset);
ssize_t skua__file_call_writev(int fd, const struct iovec *parts, int count, int64_t offset);
int skua__file_call_sync(int fd);
int skua__file_call_truncate(int fd, uint64_t bytes);

int skua__file_call_access(int dir, const char *path, int mode);
int skua__file_call_unlink(int dir, const char *path, int flags);
int skua__file_call_rename(int dir, const char *path, int new_dir, const char *new_path,
                           unsigned flags);
int skua__file_call_link(int dir, const char *path, int new_dir, const char *new_path);
int skua__file_call_symlink(const char *target, int dir, const char *path);
ssize_t skua__file_call_readlink(int dir, const char *path, char *buffer, size_t bytes);
int skua__file_call_mkdir(int dir, const char *path, mode_t mode);
int skua__file_call_chmod(int dir, const char *path, mode_t mode);
int skua__file_call_fchmod(int fd, mode_t mode);
int skua__file_call_futimes(int fd, const int64_t times_ns[2]);
int skua__file_call_utimes(int dir, const char *path, int flags, const int64_t times_ns[2]);

/* The file behind fd, which may have no name, gets one. */
int skua__file_call_link_open(int fd, int dir, const char *path);

/* The next entries of a directory; 0: there are no more. */
ssize_t skua__file_call_entries(int fd, void *buffer, size_t bytes);

/* All of it, by sharing the blocks. */
int skua__file_call_clone(int from, int to);

/* At most `bytes` at `offset` in both; 0: the end. */
ssize_t skua__file_call_copy_range(int from, int to, uint64_t offset, size_t bytes);

/* From `offset` on: the next byte of data, or of a hole. -ENXIO: there is none. */
int64_t skua__file_call_seek_data(int fd, int64_t offset);
int64_t skua__file_call_seek_hole(int fd, int64_t offset);

/* Random bits from the kernel, for names that nobody can foresee. */
uint64_t skua__file_call_random(void);

#endif
