/* Copying a file: shared blocks, or copy_file_range(2), or read and write; piece by piece.

   (K1) The copy is a replacement (temp.h): nobody sees it before it is whole.
   (K2) One step of the pool copies at most PIECE_BYTES. Between two steps a cancel or the deadline
        ends the copy; then one last step, behind a shield, takes it away, because giving back the
        blocks of a large file takes its time.
   (K3) Holes are found with SEEK_DATA and SEEK_HOLE, and skipped. What lies behind the last data is
        made by the length alone.
   (K4) A file that says that it is empty is read to be sure: those of /proc are not. */
#include "base/mem.h"
#include "file/call.h"
#include "file/temp.h"
#include "file/work.h"

#include <fcntl.h>
#include <sys/stat.h>

enum {
    PIECE_BYTES = 64 * 1024 * 1024,
    BUFFER_BYTES = 128 * 1024,
    NS_PER_S = 1000 * 1000 * 1000,
    PRIVATE_MODE = 0600, /* until it is whole */
    PERMISSIONS = 0777,
    IS_MORE = 1, /* a step was made, and another is needed */
};

struct copy {
    int dir, new_dir;
    const char *path, *new_path;
    bool keeps_times;

    bool is_open;
    int from;
    struct skua__replacement to;
    struct statx status;
    char *buffer; /* NULL until it is needed */
    bool is_plain_only;
    bool has_holes;
    uint64_t at, size;
    uint64_t data_end; /* up to there it is data */
};

static void close_both(struct copy *copy)
{
    if (copy->is_open) {
        skua__file_call_shut(copy->from);
        skua__replacement_close(&copy->to);
        copy->is_open = false;
    }
    skua__free(copy->buffer);
    copy->buffer = NULL;
}

static int open_both(struct copy *copy)
{
    copy->from = skua__file_call_open_in(copy->dir, copy->path, O_RDONLY, 0);
    if (copy->from < 0) {
        return copy->from;
    }
    int status = skua__file_call_status(copy->from, "", AT_EMPTY_PATH, &copy->status);
    if (status == 0 && !S_ISREG(copy->status.stx_mode)) {
        status = -EINVAL;
    }
    if (status == 0) {
        status = skua__replacement_open(&copy->to, copy->new_dir, copy->new_path, PRIVATE_MODE);
    }
    if (status < 0) {
        skua__file_call_shut(copy->from);
        return status;
    }
    copy->is_open = true;
    copy->size = copy->status.stx_size;
    if (copy->size > 0 && skua__file_call_clone(copy->from, copy->to.fd) == 0) {
        copy->at = copy->size;
    }
    return 0;
}

/* --- data ------------------------------------------------------------------------------------- */

/* By read and write. Returns the bytes; 0: the end. */
static ssize_t copy_plainly(struct copy *copy, size_t bytes)
{
    if (copy->buffer == NULL) {
        copy->buffer = skua__alloc_dirty(BUFFER_BYTES);
    }
    if (copy->buffer == NULL) {
        return -ENOMEM;
    }
    struct iovec part = {.iov_base = copy->buffer,
                         .iov_len = bytes < BUFFER_BYTES ? bytes : BUFFER_BYTES};
    ssize_t got = skua__file_call_readv(copy->from, &part, 1, (int64_t)copy->at);
    if (got <= 0) {
        return got;
    }
    part.iov_len = (size_t)got;
    ssize_t put = skua__file_call_writev(copy->to.fd, &part, 1, (int64_t)copy->at);
    return put == 0 ? -EIO : put;
}

/* Does this say that the kernel cannot copy between these two? */
static bool is_refusal(ssize_t status)
{
    return status == -EXDEV || status == -EOPNOTSUPP || status == -ENOSYS || status == -EINVAL ||
           status == -EPERM;
}

static ssize_t copy_some(struct copy *copy, size_t bytes)
{
    if (!copy->is_plain_only) {
        ssize_t put = skua__file_call_copy_range(copy->from, copy->to.fd, copy->at, bytes);
        if (put > 0 || (put < 0 && !is_refusal(put))) {
            return put;
        }
        copy->is_plain_only = true; /* also when it says 0: some files know no size */
    }
    return copy_plainly(copy, bytes);
}

/* (K3): `at` goes to the next data. */
static void skip_hole(struct copy *copy)
{
    int64_t data = skua__file_call_seek_data(copy->from, (int64_t)copy->at);
    int64_t hole = data >= 0 ? skua__file_call_seek_hole(copy->from, data) : -1;
    copy->data_end = data >= 0 && hole > data ? (uint64_t)hole : copy->size;
    if (data == -ENXIO) {
        copy->has_holes = true;
        copy->at = copy->size;
    } else if (data > (int64_t)copy->at) {
        copy->has_holes = true;
        copy->at = (uint64_t)data < copy->size ? (uint64_t)data : copy->size;
    }
}

/* The next piece of a file of a known size. */
static int copy_piece(struct copy *copy)
{
    size_t budget = PIECE_BYTES;
    while (copy->at < copy->size && budget > 0) {
        if (copy->at >= copy->data_end) {
            skip_hole(copy);
        }
        uint64_t end = copy->data_end < copy->size ? copy->data_end : copy->size;
        if (copy->at >= end) {
            continue;
        }
        size_t bytes = end - copy->at < budget ? (size_t)(end - copy->at) : budget;
        ssize_t put = copy_some(copy, bytes);
        if (put < 0) {
            return (int)put;
        }
        if (put == 0) {
            copy->size = copy->at; /* it was truncated meanwhile */
        }
        copy->at += (size_t)put;
        budget -= (size_t)put;
    }
    return copy->at < copy->size ? IS_MORE : 0;
}

/* (K4) */
static int copy_to_end(struct copy *copy)
{
    for (size_t budget = PIECE_BYTES; budget >= BUFFER_BYTES;) {
        ssize_t put = copy_plainly(copy, BUFFER_BYTES);
        if (put <= 0) {
            return (int)put;
        }
        copy->at += (size_t)put;
        budget -= (size_t)put;
    }
    return IS_MORE;
}

/* --- steps ------------------------------------------------------------------------------------ */

static int64_t ns_of(const struct statx_timestamp *time)
{
    return time->tv_sec * NS_PER_S + time->tv_nsec;
}

static int complete(struct copy *copy)
{
    int status = 0;
    if (copy->has_holes) {
        status = skua__file_call_truncate(copy->to.fd, copy->size);
    }
    if (status == 0) {
        status = skua__file_call_fchmod(copy->to.fd, copy->status.stx_mode & PERMISSIONS);
    }
    if (status == 0 && copy->keeps_times) {
        const int64_t times_ns[2] = {ns_of(&copy->status.stx_atime),
                                     ns_of(&copy->status.stx_mtime)};
        status = skua__file_call_futimes(copy->to.fd, times_ns);
    }
    return status == 0 ? skua__replacement_place(&copy->to) : status;
}

static ssize_t copy_step(void *arg)
{
    struct copy *copy = arg;
    int status = copy->is_open ? 0 : open_both(copy);
    if (status == 0) {
        status = copy->status.stx_size > 0 ? copy_piece(copy) : copy_to_end(copy);
    }
    if (status == 0) {
        status = complete(copy);
    }
    if (status != IS_MORE) {
        close_both(copy);
    }
    return status;
}

static ssize_t give_up(void *arg)
{
    close_both(arg);
    return 0;
}

int skua_file_copy(int dir, const char *path, int new_dir, const char *new_path,
                   const skua_file_copy_opts *opts, skua_time deadline)
{
    static const skua_file_copy_opts usual;
    const skua_file_copy_opts *wanted = opts != NULL ? opts : &usual;
    struct copy copy = {
        .dir = dir,
        .new_dir = new_dir,
        .path = path,
        .new_path = new_path,
        .keeps_times = wanted->keeps_times,
        .to = {.is_durable = wanted->is_durable, .is_exclusive = wanted->is_exclusive},
    };
    struct skua__work work = {
        .whole = copy_step,
        .arg = &copy,
        .file = SKUA_CWD,
        .dir = dir,
        .new_dir = new_dir,
    };
    int status = IS_MORE;
    while (status == IS_MORE) {
        uint64_t before = copy.at;
        status = (int)skua__work_do(&work, deadline);
        if (wanted->on_progress != NULL && copy.at > before) {
            wanted->on_progress(copy.at, wanted->arg);
        }
    }
    if (copy.is_open) { /* (K2) */
        work.whole = give_up;
        (void)!skua__work_finish(&work);
    }
    return status;
}
