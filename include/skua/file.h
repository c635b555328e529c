/* skua/file.h: files as plain calls that suspend only the task. skua/dir.h has directories.

   Reading, writing and closing at the file's own position is in skua/io.h; what is here works at
   given offsets, on whole files, and on names.

   What the kernel can answer from memory is done in place: a read of what the page cache has, the
   open of a known path. All else is done elsewhere, the whole operation at once: by the kernel
   itself (io_uring) or by a thread of the blocking pool.

   A name is taken relative to a directory: `dir` is the fd of one (of any kind: adopted, or that of
   a skua_dir), or SKUA_CWD, the working directory; it does not matter if the path is absolute. So a
   program that keeps directories open is not fooled by who renames what lies above them.

   Common results: -ETIMEDOUT and -ECANCELED (it has not begun), -EAGAIN (SKUA_NOW, and it cannot be
   done in place), -EBADF, -ENOMEM, -ESHUTDOWN (in a forked child), and what the system call says
   (-ENOENT, -EACCES, -ENOSPC, -EIO, ...); EINTR never surfaces. What has begun is awaited, and then
   its result is the result: a name that was changed is never reported as -ECANCELED.

   All calls may be made from a foreign thread too, which they block; a deadline means nothing
   there. In a task an fd to read or write must be adopted (-EBADF), which skua_open() and the like
   do. Every fd is close-on-exec. */
#ifndef SKUA_FILE_H
#define SKUA_FILE_H

#include <skua/base.h>
#include <sys/stat.h>
#include <sys/uio.h>

SKUA_BEGIN_DECLS

/* The working directory, as a `dir`. */
enum { SKUA_CWD = -100 };

/* --- open files --- */

/* skua_open() (skua/io.h), relative to `dir`. With O_DIRECTORY or O_PATH the fd is a `dir` for
   other calls. Returns the adopted fd, or a common result.
   Call from: a task or a foreign thread. May switch. Cancel: an fd that was opened too late is
   closed. */
int skua_open_in(int dir, const char *path, int flags, mode_t mode, skua_time deadline)
    SKUA_MUST_CHECK;

/* pread(2) and pwrite(2): up to `bytes` at `offset`; the file's own position stays. Any number of
   tasks at once. Return the number of bytes (reading, 0: at or behind the end), -ESPIPE where there
   are no offsets, or a common result. Writing beyond RLIMIT_FSIZE is -EFBIG; SIGXFSZ is the
   program's to ignore.
   Call from: a task or a foreign thread. May switch. Cancel: what has begun is awaited, since it
   uses the buffer. Cost: one system call while the page cache has it. */
ssize_t skua_pread(int fd, void *buffer, size_t bytes, int64_t offset, skua_time deadline)
    SKUA_MUST_CHECK;
ssize_t skua_pwrite(int fd, const void *buffer, size_t bytes, int64_t offset, skua_time deadline)
    SKUA_MUST_CHECK;

/* The same with several buffers, at most IOV_MAX (1024): -EINVAL. */
ssize_t skua_preadv(int fd, const struct iovec *parts, int count, int64_t offset,
                    skua_time deadline) SKUA_MUST_CHECK;
ssize_t skua_pwritev(int fd, const struct iovec *parts, int count, int64_t offset,
                     skua_time deadline) SKUA_MUST_CHECK;

/* Wait until the file is on the disk: with all that describes it, or with what is needed to read it
   again. Returns 0 or a common result; -EIO, -ENOSPC and -EDQUOT tell of writes before, and are
   told once. Call from: a task or a foreign thread. May switch. */
int skua_fsync(int fd, skua_time deadline) SKUA_MUST_CHECK;
int skua_fdatasync(int fd, skua_time deadline) SKUA_MUST_CHECK;

/* Make the file so long; what is added reads as zeros. Returns 0 or a common result (-EFBIG).
   Call from: a task or a foreign thread. May switch. */
int skua_ftruncate(int fd, uint64_t bytes, skua_time deadline) SKUA_MUST_CHECK;

/* Give the file room on the disk for that range, and make it as long as needed, so that no write
   there fails with -ENOSPC. Returns 0, -EOPNOTSUPP (not on this file system), or a common result.
   Call from: a task or a foreign thread. May switch. */
int skua_allocate(int fd, uint64_t offset, uint64_t bytes, skua_time deadline) SKUA_MUST_CHECK;

/* What is known of a file. Times are nanoseconds since 1970 began (UTC). */
typedef struct skua_file_info {
    uint64_t bytes;
    uint64_t bytes_on_disk; /* fewer than `bytes` in a file with holes */
    uint64_t device, inode; /* together: which file it is */
    int64_t accessed_ns, modified_ns, changed_ns;
    int64_t born_ns; /* 0: the file system does not know */
    uint32_t mode;   /* type and permissions: S_ISDIR(info.mode), info.mode & 0777 */
    uint32_t links, owner, group;
} skua_file_info;

/* Returns 0 or a common result. Call from: a task or a foreign thread. May switch. */
int skua_fstat(int fd, skua_file_info *info, skua_time deadline) SKUA_MUST_CHECK;

/* --- names --- */

/* For `flags` below. */
enum {
    SKUA_NO_FOLLOW = 1,  /* a symbolic link at the end is meant itself */
    SKUA_NO_REPLACE = 2, /* skua_rename(): -EEXIST if the new name is there */
    SKUA_EXCHANGE = 4,   /* skua_rename(): both names are there, and change places */
};

/* All of them: return 0 or a common result, -EINVAL for flags that mean nothing there.
   Call from: a task or a foreign thread. May switch. Cancel: nothing was done. Cost: skua_stat() of
   a path in memory some system calls in place; the others a hand-over (10 to 60 us). */
int skua_stat(int dir, const char *path, int flags, skua_file_info *info, skua_time deadline)
    SKUA_MUST_CHECK;
int skua_access(int dir, const char *path, int mode, skua_time deadline) SKUA_MUST_CHECK;
int skua_unlink(int dir, const char *path, skua_time deadline) SKUA_MUST_CHECK;
int skua_rename(int dir, const char *path, int new_dir, const char *new_path, int flags,
                skua_time deadline) SKUA_MUST_CHECK;
int skua_link(int dir, const char *path, int new_dir, const char *new_path, skua_time deadline)
    SKUA_MUST_CHECK;
int skua_symlink(const char *target, int dir, const char *path, skua_time deadline) SKUA_MUST_CHECK;
int skua_chmod(int dir, const char *path, mode_t mode, skua_time deadline) SKUA_MUST_CHECK;

/* A time that stays as it is. */
#define SKUA_KEEP_TIME INT64_MIN
int skua_utimes(int dir, const char *path, int flags, int64_t accessed_ns, int64_t modified_ns,
                skua_time deadline) SKUA_MUST_CHECK;

/* What a symbolic link says, with a zero behind it. Returns its length, -ENAMETOOLONG if `bytes`
   are not enough, -EINVAL if it is no link, or a common result.
   Call from: a task or a foreign thread. May switch. */
ssize_t skua_readlink(int dir, const char *path, char *buffer, size_t bytes, skua_time deadline)
    SKUA_MUST_CHECK;

/* --- whole files --- */

/* All of a file in memory, with a zero behind it that is not counted; give it back with
   skua_file_unload(). Works for files that do not know their size, as in /proc. Returns the number
   of bytes, -EFBIG (more than `bytes_max`; 0: no limit), -EISDIR, or a common result; then *data is
   NULL.
   Call from: a task or a foreign thread. May switch. Cost: four system calls in place, and one
   allocation, if it is a small one in memory; else one hand-over. */
ssize_t skua_file_load(int dir, const char *path, void **data, size_t bytes_max, skua_time deadline)
    SKUA_MUST_CHECK;

/* Give that memory back; NULL is allowed. Call from anywhere. Never switches. */
void skua_file_unload(void *data);

/* Load into a buffer of your own, without the zero; -EFBIG: it does not fit.
   Call from: a task or a foreign thread. May switch. */
ssize_t skua_file_load_into(int dir, const char *path, void *buffer, size_t bytes,
                            skua_time deadline) SKUA_MUST_CHECK;

/* How to save. Zero everywhere is the default, and so is NULL. */
typedef struct skua_file_save_opts {
    mode_t mode;       /* of a new file, less the umask; 0: 0666. One that is replaced keeps its */
    bool is_durable;   /* on the disk, and under its name there, before the call returns */
    bool is_exclusive; /* -EEXIST rather than replace */
} skua_file_save_opts;

/* Put a file there with this contents, at once: it is written under no name or another one, and
   then takes the place of what was there. Whoever opens the path finds the old file or the whole
   new one, and so does who looks after a crash, if it is durable. If it fails (-ENOSPC, -EDQUOT,
   -EFBIG, -EIO, ...), or is cancelled, the old one is as it was and nothing is left behind. A
   symbolic link is replaced itself. Returns 0 or a common result.
   Call from: a task or a foreign thread. May switch. Cost: one hand-over. */
int skua_file_save(int dir, const char *path, const void *data, size_t bytes,
                   const skua_file_save_opts *opts, skua_time deadline) SKUA_MUST_CHECK;

/* How to copy. Zero everywhere is the default, and so is NULL. */
typedef struct skua_file_copy_opts {
    bool is_durable, is_exclusive; /* as above */
    bool keeps_times;              /* accessed and modified */
    /* Called in the calling task with the bytes so far, each time that it is more. NULL: nobody
       asks. */
    void (*on_progress)(uint64_t copied, void *arg);
    void *arg; /* for on_progress */
} skua_file_copy_opts;

/* Copy a regular file with its permissions, as skua_file_save() would: the new name has the whole
   copy, or is as it was. The copy shares the blocks of the original where the file system can do
   that, and else is made by the kernel, piece by piece; holes stay holes. Returns 0, -EINVAL (not a
   regular file), -ETIMEDOUT or -ECANCELED (between two pieces of it, too), or a common result.
   Call from: a task or a foreign thread. May switch. Cost: a hand-over, and one for each 64 MiB. */
int skua_file_copy(int dir, const char *path, int new_dir, const char *new_path,
                   const skua_file_copy_opts *opts, skua_time deadline) SKUA_MUST_CHECK;

/* A file without a name, in the directory `path`, for reading and writing; it is gone when it is
   closed. Returns the adopted fd or a common result.
   Call from: a task or a foreign thread. May switch. */
int skua_temp_file(int dir, const char *path, skua_time deadline) SKUA_MUST_CHECK;

SKUA_END_DECLS
#endif
