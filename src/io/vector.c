/* Reads and writes of several buffers at once: the same attempts as those of one buffer, with the
   same loop around them. What file.c does for fds that epoll does not serve, it does through
   skua__transfer_run(), for one buffer as well. */
#include "io/move_call.h"
#include "io/stream.h"

enum {
    PARTS_MAX = 1024, /* the kernel's limit */
    WINDOW = 32,      /* how many parts skua_writev_all() passes on at once, from its own frame */
};

ssize_t skua__transfer_run(int fd, bool is_socket, const struct skua__transfer *transfer)
{
    const struct iovec *parts = transfer->parts;
    const int count = transfer->part_count;
    if (parts != NULL) {
        return transfer->is_write ? skua__call_writev(fd, is_socket, parts, count)
                                  : skua__call_readv(fd, is_socket, parts, count);
    }
    return transfer->is_write ? skua__call_write(fd, is_socket, transfer->buffer, transfer->bytes)
                              : skua__call_read(fd, is_socket, transfer->buffer, transfer->bytes);
}

ssize_t skua__transfer_run_nowait(int fd, const struct skua__transfer *transfer)
{
    const struct iovec *parts = transfer->parts;
    const int count = transfer->part_count;
    if (parts != NULL) {
        return transfer->is_write ? skua__call_writev_nowait(fd, parts, count, -1)
                                  : skua__call_readv_nowait(fd, parts, count, -1);
    }
    return transfer->is_write ? skua__call_write_nowait(fd, transfer->buffer, transfer->bytes)
                              : skua__call_read_nowait(fd, transfer->buffer, transfer->bytes);
}

void skua__transfer_narrow(struct skua__transfer *transfer)
{
    for (int i = 0; transfer->parts != NULL && i < transfer->part_count; i++) {
        if (transfer->parts[i].iov_len > 0) {
            transfer->buffer = transfer->parts[i].iov_base;
            transfer->bytes = transfer->parts[i].iov_len;
            break;
        }
    }
    transfer->parts = NULL;
}

static ssize_t try_parts(int fd, bool is_socket, void *arg)
{
    return skua__transfer_run(fd, is_socket, arg);
}

static size_t bytes_of(const struct iovec *parts, int count)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++) {
        bytes += parts[i].iov_len;
    }
    return bytes;
}

static ssize_t move_parts(struct skua__life *life, int fd, const struct iovec *parts, int count,
                          bool is_write, skua_time deadline)
{
    if (count < 0 || (parts == NULL && count > 0)) {
        return -EINVAL;
    }
    const struct iovec none = {0};
    struct skua__transfer transfer = {
        .parts = count > 0 ? parts : &none,
        .part_count = count < PARTS_MAX ? count : PARTS_MAX,
        .is_write = is_write,
    };
    const struct skua__operation operation = {.attempt = try_parts,
                                              .arg = &transfer,
                                              .direction = is_write ? SKUA_WRITABLE : SKUA_READABLE,
                                              .bytes =
                                                  bytes_of(transfer.parts, transfer.part_count),
                                              .life = life,
                                              .is_file = true};
    return skua__stream_do(fd, &operation, deadline);
}

ssize_t skua_readv(int fd, const struct iovec *parts, int count, skua_time deadline)
{
    return move_parts(NULL, fd, parts, count, false, deadline);
}

ssize_t skua__writev_in(struct skua__life *life, int fd, const struct iovec *parts, int count,
                        skua_time deadline)
{
    return move_parts(life, fd, parts, count, true, deadline);
}

ssize_t skua_writev(int fd, const struct iovec *parts, int count, skua_time deadline)
{
    return move_parts(NULL, fd, parts, count, true, deadline);
}

/* --- all of them ------------------------------------------------------------------------------ */

/* Where a write of many parts has come to. */
struct place {
    const struct iovec *parts;
    int count;      /* how many are left, the first of which is begun */
    size_t skipped; /* bytes of the first one that went out already */
};

/* A copy of the next parts, without what went out. */
static int fill_window(const struct place *place, struct iovec window[WINDOW])
{
    int count = 0;
    size_t skipped = place->skipped;
    for (; count < place->count && count < WINDOW; count++) {
        window[count].iov_base = (char *)place->parts[count].iov_base + skipped;
        window[count].iov_len = place->parts[count].iov_len - skipped;
        skipped = 0;
    }
    return count;
}

static void advance(struct place *place, size_t bytes)
{
    while (place->count > 0 && bytes >= place->parts->iov_len - place->skipped) {
        bytes -= place->parts->iov_len - place->skipped;
        place->skipped = 0;
        place->parts++;
        place->count--;
    }
    place->skipped += bytes;
}

int skua_writev_all(int fd, const struct iovec *parts, int count, size_t *written,
                    skua_time deadline)
{
    struct place place = {.parts = parts, .count = count};
    struct skua__life life = {0};
    size_t done = 0;
    ssize_t put = count < 0 || (parts == NULL && count > 0) ? -EINVAL : 0;
    while (put >= 0 && place.count > 0) {
        struct iovec window[WINDOW];
        int window_count = fill_window(&place, window);
        put = skua__writev_in(&life, fd, window, window_count, deadline);
        if (put >= 0) {
            done += (size_t)put;
            advance(&place, (size_t)put);
        }
    }
    if (written != NULL) {
        *written = done;
    }
    return put < 0 ? (int)put : 0;
}
