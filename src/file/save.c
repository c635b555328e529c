/* Saving a file: one step of the pool, from the open to the last sync. It cannot be cut off in the
   middle, and what fails takes its file away with it (temp.h). */
#include "file/call.h"
#include "file/temp.h"
#include "file/work.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { PIECE_BYTES = 1 << 30, ALL_PERMISSIONS = 07777, USUAL_MODE = 0666 };

struct save {
    int dir;
    const char *path;
    const char *data;
    size_t bytes;
    mode_t mode;
    struct skua__replacement replacement;
};

static int write_all(int fd, const char *data, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        size_t rest = bytes - at;
        const struct iovec part = {
            .iov_base = (void *)(uintptr_t)(data + at),
            .iov_len = rest < PIECE_BYTES ? rest : PIECE_BYTES,
        };
        ssize_t put = skua__file_call_writev(fd, &part, 1, (int64_t)at);
        if (put <= 0) {
            return put < 0 ? (int)put : -EIO;
        }
        at += (size_t)put;
    }
    return 0;
}

/* A file that is replaced keeps its permissions. */
static int keep_mode(const struct skua__replacement *replacement)
{
    struct statx old;
    int status =
        skua__file_call_status(replacement->parent, replacement->name, AT_SYMLINK_NOFOLLOW, &old);
    if (status < 0 || !S_ISREG(old.stx_mode)) {
        return 0; /* there is none; or what is wrong will be said by who takes the name */
    }
    return skua__file_call_fchmod(replacement->fd, old.stx_mode & ALL_PERMISSIONS);
}

static ssize_t save_whole(void *arg)
{
    struct save *save = arg;
    struct skua__replacement *replacement = &save->replacement;
    int status = skua__replacement_open(replacement, save->dir, save->path, save->mode);
    if (status < 0) {
        return status;
    }
    status = write_all(replacement->fd, save->data, save->bytes);
    if (status == 0 && !replacement->is_exclusive) {
        status = keep_mode(replacement);
    }
    if (status == 0) {
        status = skua__replacement_place(replacement);
    }
    skua__replacement_close(replacement);
    return status;
}

int skua_file_save(int dir, const char *path, const void *data, size_t bytes,
                   const skua_file_save_opts *opts, skua_time deadline)
{
    static const skua_file_save_opts usual;
    const skua_file_save_opts *wanted = opts != NULL ? opts : &usual;
    struct save save = {
        .dir = dir,
        .path = path,
        .data = data,
        .bytes = bytes,
        .mode = wanted->mode != 0 ? wanted->mode : USUAL_MODE,
        .replacement = {.is_durable = wanted->is_durable, .is_exclusive = wanted->is_exclusive},
    };
    const struct skua__work work = {
        .whole = save_whole,
        .arg = &save,
        .file = SKUA_CWD,
        .dir = dir,
        .new_dir = SKUA_CWD,
    };
    return (int)skua__work_do(&work, deadline);
}
