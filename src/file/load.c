/* A whole file into memory.

   A small file that the kernel has in memory is opened, asked for its size, read and closed in
   place: four system calls. Where one of them would have to wait, and for files that are large, the
   rest of the operation goes to the pool in one piece. What was read in place stays.

   The size is a guess to begin with: one byte more is asked for, so that the end of a file that is
   as long as it says is seen in the same system call. A file that was longer than that is read on,
   one that knows no size (/proc) as well.

   Rejected: mmap(2): a file that is truncated meanwhile kills the program, and small ones cost more
   than their copy. */
#include "base/mem.h"
#include "file/call.h"
#include "file/work.h"
#include "io/call.h"
#include "io/device.h"
#include "io/move_call.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum {
    ROOM_MIN = 4096,           /* for files that say that they are empty */
    IN_PLACE_MAX = 512 * 1024, /* what is larger would keep a worker for long */
    PIECE_BYTES = 1 << 30,     /* of one read; the kernel takes less than 2 GiB */
};

struct load {
    int dir;
    const char *path;
    size_t bytes_max;
    bool has_own_buffer;

    int fd;        /* -1: not open yet */
    char *data;    /* NULL: not allocated yet */
    size_t room;   /* in `data`, without that for the final zero */
    size_t bytes;  /* read */
    size_t guess;  /* the file's size */
    bool is_plain; /* a regular file */
    bool is_known; /* look() was there */
};

/* --- room ------------------------------------------------------------------------------------- */

/* Room for `room` bytes and the zero, with what was read. */
static int make_room(struct load *load, size_t room)
{
    char *data = skua__alloc_dirty(room + 1);
    if (data == NULL) {
        return -ENOMEM;
    }
    if (load->bytes > 0) {
        memcpy(data, load->data, load->bytes);
    }
    skua__free(load->data);
    load->data = data;
    load->room = room;
    return 0;
}

/* The buffer is full, and the file may go on. */
static int grow(struct load *load)
{
    if (load->has_own_buffer || load->bytes > load->bytes_max) {
        return -EFBIG;
    }
    size_t room = load->room * 2;
    if (room > load->bytes_max) {
        room = load->bytes_max + 1; /* so that one byte too many is seen */
    }
    return make_room(load, room);
}

/* The file is open: what is it, and how long? */
static int look(struct load *load, const struct statx *status)
{
    if (S_ISDIR(status->stx_mode)) {
        return -EISDIR;
    }
    if (S_ISFIFO(status->stx_mode) || S_ISSOCK(status->stx_mode)) {
        return -ESPIPE;
    }
    load->is_known = true;
    load->is_plain = S_ISREG(status->stx_mode);
    load->guess = load->is_plain ? status->stx_size : 0;
    if (load->guess > load->bytes_max) {
        return -EFBIG;
    }
    if (load->has_own_buffer) {
        return 0;
    }
    size_t room = load->guess + 1;
    room = load->guess == 0 ? ROOM_MIN : room;
    room = room > load->bytes_max ? load->bytes_max + 1 : room;
    return make_room(load, room);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* One read at the end of what is there. Returns the bytes; 0: the end. */
static ssize_t read_piece(struct load *load, bool is_cached)
{
    char beyond;
    size_t room = load->room - load->bytes;
    struct iovec parts[2] = {
        {.iov_base = load->data + load->bytes, .iov_len = room < PIECE_BYTES ? room : PIECE_BYTES},
        {.iov_base = &beyond, .iov_len = 1}, /* does it fit into the caller's buffer? */
    };
    const int count = load->has_own_buffer && room < PIECE_BYTES ? 2 : 1;
    const int64_t offset = (int64_t)load->bytes;
    ssize_t got = is_cached ? skua__call_readv_nowait(load->fd, parts, count, offset)
                            : skua__file_call_readv(load->fd, parts, count, offset);
    if (got > 0 && (size_t)got > room) {
        return -EFBIG;
    }
    load->bytes += got > 0 ? (size_t)got : 0;
    return got;
}

/* All of it, or as far as the cache has it (-EAGAIN, -EOPNOTSUPP). */
static ssize_t read_all(struct load *load, bool is_cached)
{
    for (;;) {
        if (load->bytes == load->room && !load->has_own_buffer) {
            int status = grow(load);
            if (status < 0) {
                return status;
            }
        }
        size_t before = load->bytes;
        ssize_t got = read_piece(load, is_cached);
        if (got < 0) {
            return got;
        }
        bool is_short = load->bytes == load->guess && before < load->guess && load->is_plain &&
                        (load->has_own_buffer || load->room > load->bytes);
        if (got == 0 || is_short) {
            return load->bytes <= load->bytes_max ? 0 : -EFBIG;
        }
    }
}

/* --- where ------------------------------------------------------------------------------------ */

static ssize_t load_in_place(void *arg)
{
    struct load *load = arg;
    struct statx status;
    load->fd = skua__call_open_cached(load->dir, load->path, O_RDONLY | O_NONBLOCK);
    if (load->fd < 0) {
        return load->fd;
    }
    if (skua__call_status_known(load->fd, &status) < 0) {
        return -EAGAIN;
    }
    ssize_t result = look(load, &status);
    if (result < 0) {
        return result;
    }
    if (load->guess > IN_PLACE_MAX || !load->is_plain) {
        return -EAGAIN;
    }
    result = read_all(load, true);
    if (result == -EOPNOTSUPP && skua__device_is_memory(skua__device_of(&status))) {
        return read_all(load, false);
    }
    return result;
}

static ssize_t load_whole(void *arg)
{
    struct load *load = arg;
    struct statx status;
    if (load->fd < 0) {
        load->fd = skua__file_call_open_in(load->dir, load->path, O_RDONLY, 0);
    }
    if (load->fd < 0) {
        return load->fd;
    }
    skua__device_learn(load->fd);
    if (!load->is_known) {
        int result = skua__file_call_status(load->fd, "", AT_EMPTY_PATH, &status);
        if (result == 0) {
            result = look(load, &status);
        }
        if (result < 0) {
            return result;
        }
    }
    return read_all(load, false);
}

static ssize_t load_file(struct load *load, skua_time deadline)
{
    const struct skua__work work = {
        .in_place = load_in_place,
        .whole = load_whole,
        .arg = load,
        .file = SKUA_CWD,
        .dir = load->dir,
        .new_dir = SKUA_CWD,
    };
    /* More than a result can say. */
    if ((load->bytes_max == 0 && !load->has_own_buffer) || load->bytes_max > SSIZE_MAX - 1) {
        load->bytes_max = SSIZE_MAX - 1;
    }
    ssize_t result = skua__work_do(&work, deadline);
    if (load->fd >= 0) {
        skua__file_call_shut(load->fd);
    }
    return result < 0 ? result : (ssize_t)load->bytes;
}

ssize_t skua_file_load(int dir, const char *path, void **data, size_t bytes_max, skua_time deadline)
{
    struct load load = {.dir = dir, .path = path, .bytes_max = bytes_max, .fd = -1};
    ssize_t result = load_file(&load, deadline);
    *data = NULL;
    if (result < 0) {
        skua__free(load.data);
        return result;
    }
    load.data[load.bytes] = '\0';
    *data = load.data;
    return result;
}

void skua_file_unload(void *data)
{
    skua__free(data);
}

ssize_t skua_file_load_into(int dir, const char *path, void *buffer, size_t bytes,
                            skua_time deadline)
{
    struct load load = {
        .dir = dir,
        .path = path,
        .bytes_max = bytes,
        .has_own_buffer = true,
        .fd = -1,
        .data = buffer,
        .room = bytes,
    };
    return load_file(&load, deadline);
}
