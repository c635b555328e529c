/* From one fd to another: sendfile, splice, and the choice between them.

   Invariants:
     (C1) Both numbers are held during a system call, and neither is while the task waits: as in
          stream.c, each turn begins with a new hold, and ends with -EBADF under another generation.
     (C2) skua_copy() counts only what has reached `out`. What is in its own pipe or buffer when it
          is cut off is lost, as the header says: an honest return of it is not possible.
     (C3) A file is asked whether the page cache has the first and the last byte of what is to be
          sent. What it has not is read there by the blocking pool, and then sent without asking
          again: some file systems never say yes.

   Between two sockets a pipe saves the copies, and costs two fds. Measured on one machine,
   processor time of a proxy of loopback TCP: with messages of 64 bytes the two ways cost the same,
   with 1 KiB splicing saves a fifth, from 16 KiB on a third, all against a buffer of 16 KiB. So a
   copy begins with the buffer, goes over to a pipe when a read has filled it, and back when the
   pipe has carried little. The pipe is closed on the way back: an idle connection of a proxy holds
   no fds but its own.

   Rejected: splicing from file to socket by hand (which is what sendfile(2) does inside); one big
   buffer (a proxy of ten thousand connections has ten thousand of them). */
#define _GNU_SOURCE 1
#include "base/mem.h"
#include "io/move_call.h"
#include "io/stream.h"

#include <skua/blocking.h>
#include <skua/runtime.h>

enum {
    SENDFILE_BYTES_MAX = 256 * 1024,
    PIPE_BYTES = 64 * 1024,
    STREAM_BUFFER_BYTES = 16 * 1024,
    FILE_BUFFER_BYTES = 64 * 1024,
    BULK_BYTES = STREAM_BUFFER_BYTES,
    NOT_SUITED = 1, /* another way has to be taken */
};

/* --- both ends at once ------------------------------------------------------------------------ */

/* One of the two fds of a call, from its first hold on. */
struct side {
    int number;
    struct skua__fd *fd; /* while it is held; on a foreign thread never */
    uint64_t word;
    bool is_known; /* the word is that of an earlier hold */
};

/* 0, or -EBADF: it is not adopted, or another one than last time. */
static int hold(struct side *side)
{
    struct skua__io *io = NULL;
    struct skua__fd_look look;
    if (skua_runtime_current() == NULL) {
        return 0;
    }
    int status = skua__io_get(&io);
    if (status < 0) {
        return status;
    }
    struct skua__fd *fd = skua__fd_find(io, side->number);
    if (fd == NULL || !skua__fd_hold(fd, &look)) {
        return -EBADF;
    }
    if (side->is_known && skua__fd_generation(look.word) != skua__fd_generation(side->word)) {
        skua__fd_drop(fd);
        return -EBADF;
    }
    side->fd = fd;
    side->word = look.word;
    side->is_known = true;
    return 0;
}

static void drop(struct side *side)
{
    if (side->fd != NULL) {
        skua__fd_drop(side->fd);
        side->fd = NULL;
    }
}

/* What it is, while it is held, or was. */
static enum skua__fd_kind kind_of(const struct side *side)
{
    if (side->is_known) {
        return skua__fd_kind_of(side->word);
    }
    return skua__call_type(side->number) == SKUA__TYPE_FILE ? SKUA__FD_FILE : SKUA__FD_STREAM;
}

static bool is_socket(const struct side *side)
{
    return side->is_known ? skua__fd_is_socket(side->word)
                          : skua__call_type(side->number) == SKUA__TYPE_SOCKET;
}

/* --- sendfile --------------------------------------------------------------------------------- */

struct sending {
    struct side in;
    off_t *offset;
    size_t bytes;
    bool is_cold;   /* it was looked for in the page cache, in vain */
    bool is_warmed; /* and brought there */
};

static bool is_cached(const struct sending *sending)
{
    if (skua_runtime_current() == NULL || sending->is_warmed) {
        return true;
    }
    const int in = sending->in.number;
    const off_t start = sending->offset != NULL ? *sending->offset : -1;
    if (!skua__call_is_cached(in, start)) {
        return false;
    }
    const off_t last =
        start <= INT64_MAX - (off_t)sending->bytes ? start + (off_t)sending->bytes - 1 : INT64_MAX;
    return start < 0 || skua__call_is_cached(in, last);
}

static ssize_t try_sendfile(int out, bool out_is_socket, void *arg)
{
    struct sending *sending = arg;
    ssize_t status = hold(&sending->in);
    if (status < 0) {
        return status;
    }
    if (kind_of(&sending->in) != SKUA__FD_FILE) {
        status = -EINVAL;
    } else if (!is_cached(sending)) {
        sending->is_cold = true;
    } else {
        status = skua__call_sendfile(out, out_is_socket, sending->in.number, sending->offset,
                                     sending->bytes);
    }
    drop(&sending->in);
    return status;
}

static int warm(void *arg)
{
    const struct sending *sending = arg;
    skua__call_warm(sending->in.number, sending->offset != NULL ? *sending->offset : -1,
                    sending->bytes);
    return 0;
}

static int warm_on_pool(struct sending *sending, skua_time deadline)
{
    if (skua__is_now(deadline)) {
        return -EAGAIN;
    }
    int status = hold(&sending->in);
    if (status < 0) {
        return status;
    }
    status = skua_blocking(warm, sending, deadline);
    drop(&sending->in);
    sending->is_cold = false;
    sending->is_warmed = true;
    return status;
}

ssize_t skua_sendfile(int out, int in, off_t *offset, size_t bytes, skua_time deadline)
{
    struct sending sending = {.in = {.number = in},
                              .offset = offset,
                              .bytes = bytes < SENDFILE_BYTES_MAX ? bytes : SENDFILE_BYTES_MAX};
    const struct skua__operation operation = {
        .attempt = try_sendfile, .arg = &sending, .direction = SKUA_WRITABLE};
    if (offset != NULL && *offset < 0) {
        return -EINVAL;
    }
    for (;;) {
        ssize_t result = skua__stream_do(out, &operation, deadline);
        if (!sending.is_cold) {
            return result;
        }
        int status = warm_on_pool(&sending, deadline);
        if (status < 0) {
            return status;
        }
    }
}

/* --- splice ----------------------------------------------------------------------------------- */

static ssize_t try_splice(struct side *out, struct side *in, size_t bytes)
{
    ssize_t result = hold(out);
    if (result == 0) {
        result = hold(in);
    }
    if (result == 0 && (kind_of(out) != SKUA__FD_STREAM || kind_of(in) != SKUA__FD_STREAM)) {
        result = -EINVAL;
    }
    if (result == 0) {
        result = skua__call_splice(out->number, is_socket(out), in->number, bytes);
    }
    drop(in);
    drop(out);
    return result;
}

/* The kernel does not say which of the two it was: whoever is ready lets us pass. */
static int wait_for_both(const struct side *out, const struct side *in, skua_time deadline)
{
    int status = skua_wait_fd(in->number, SKUA_READABLE, deadline);
    return status < 0 ? status : skua_wait_fd(out->number, SKUA_WRITABLE, deadline);
}

ssize_t skua_splice(int out, int in, size_t bytes, skua_time deadline)
{
    struct side to = {.number = out}, from = {.number = in};
    int status = skua__cancel_point();
    /* On a foreign thread the fds need not be non-blocking. */
    if (status == 0 && skua_runtime_current() == NULL) {
        status = wait_for_both(&to, &from, deadline);
    }
    while (status >= 0) {
        ssize_t result = try_splice(&to, &from, bytes);
        if (result != -EAGAIN || skua__is_now(deadline)) {
            return result;
        }
        status = wait_for_both(&to, &from, deadline);
    }
    return status;
}

/* --- copying ---------------------------------------------------------------------------------- */

struct copy {
    int out, in;
    struct skua__life out_life, in_life;
    bool has_limit, has_ended;
    bool is_bulk;       /* the last turn has moved a lot */
    bool cannot_splice; /* this kind of socket cannot */
    uint64_t left;      /* if there is a limit */
    uint64_t done;
    skua_time deadline;
    const skua_copy_opts *opts; /* or NULL */
    int pipe[2];                /* ours, if [1] is not 0; empty between turns */
    char *buffer;
    size_t buffer_bytes;
};

static size_t share_of(const struct copy *copy, size_t bytes)
{
    return copy->has_limit && copy->left < bytes ? (size_t)copy->left : bytes;
}

static void count(struct copy *copy, size_t bytes)
{
    copy->done += bytes;
    copy->left -= copy->has_limit ? bytes : 0;
    if (bytes > 0 && copy->opts != NULL && copy->opts->on_progress != NULL) {
        copy->opts->on_progress(copy->done, copy->opts->arg);
    }
}

static bool is_through(const struct copy *copy)
{
    return copy->has_ended || (copy->has_limit && copy->left == 0);
}

/* Turns of one system call that moves from end to end. */
static int copy_directly(struct copy *copy, ssize_t (*move)(const struct copy *copy))
{
    while (!is_through(copy)) {
        ssize_t moved = move(copy);
        if (moved == -EINVAL && copy->done == 0) {
            return NOT_SUITED; /* these two cannot, whatever they are */
        }
        if (moved < 0) {
            return (int)moved;
        }
        copy->has_ended = moved == 0;
        count(copy, (size_t)moved);
    }
    return 0;
}

static ssize_t move_file(const struct copy *copy)
{
    return skua_sendfile(copy->out, copy->in, NULL, share_of(copy, SENDFILE_BYTES_MAX),
                         copy->deadline);
}

static ssize_t move_pipe(const struct copy *copy)
{
    return skua_splice(copy->out, copy->in, share_of(copy, PIPE_BYTES), copy->deadline);
}

static int turn_by_buffer(struct copy *copy)
{
    if (copy->buffer == NULL && (copy->buffer = skua__alloc(copy->buffer_bytes)) == NULL) {
        return -ENOMEM;
    }
    size_t put = 0;
    ssize_t got = skua__read_in(&copy->in_life, copy->in, copy->buffer,
                                share_of(copy, copy->buffer_bytes), copy->deadline);
    if (got <= 0) {
        copy->has_ended = got == 0;
        return (int)got;
    }
    int status = skua__write_all_in(&copy->out_life, copy->out, copy->buffer, (size_t)got, &put,
                                    copy->deadline);
    count(copy, put);
    copy->is_bulk = !copy->cannot_splice && got >= BULK_BYTES;
    return status;
}

struct leg {
    int pipe_end;
    size_t bytes;
};

static ssize_t try_in(int in, bool in_is_socket, void *arg)
{
    const struct leg *leg = arg;
    (void)in_is_socket;
    return skua__call_splice(leg->pipe_end, false, in, leg->bytes);
}

static ssize_t try_out(int out, bool out_is_socket, void *arg)
{
    const struct leg *leg = arg;
    return skua__call_splice(out, out_is_socket, leg->pipe_end, leg->bytes);
}

static void close_pipe(struct copy *copy)
{
    if (copy->pipe[1] != 0) {
        skua__call_close(copy->pipe[0]);
        skua__call_close(copy->pipe[1]);
        copy->pipe[0] = copy->pipe[1] = 0;
    }
}

/* Our pipe is empty, so it is `in` that is waited for; and then full, so it is `out`. */
static int turn_by_pipe(struct copy *copy)
{
    struct leg first = {.pipe_end = copy->pipe[1], .bytes = share_of(copy, PIPE_BYTES)};
    const struct skua__operation fill = {
        .attempt = try_in, .arg = &first, .direction = SKUA_READABLE, .life = &copy->in_life};
    ssize_t got = skua__stream_do(copy->in, &fill, copy->deadline);
    if (got == -EINVAL) {
        copy->cannot_splice = true;
        copy->is_bulk = false;
        return 0;
    }
    copy->has_ended = got == 0;
    copy->is_bulk = got >= BULK_BYTES;

    struct leg second = {.pipe_end = copy->pipe[0]};
    const struct skua__operation empty = {
        .attempt = try_out, .arg = &second, .direction = SKUA_WRITABLE, .life = &copy->out_life};
    for (ssize_t rest = got; rest > 0;) {
        second.bytes = (size_t)rest;
        ssize_t put = skua__stream_do(copy->out, &empty, copy->deadline);
        if (put < 0) {
            return (int)put;
        }
        count(copy, (size_t)put);
        rest -= put;
    }
    return got < 0 ? (int)got : 0;
}

/* Two streams, or what needs a buffer anyhow. Without a pipe (no fds are left) the buffer does. */
static int copy_in_turns(struct copy *copy)
{
    int status = 0;
    while (status >= 0 && !is_through(copy)) {
        if (copy->is_bulk && copy->pipe[1] == 0 && skua__call_spare_pipe(copy->pipe) < 0) {
            copy->pipe[0] = copy->pipe[1] = 0;
        }
        if (!copy->is_bulk) {
            close_pipe(copy);
        }
        status = copy->pipe[1] != 0 ? turn_by_pipe(copy) : turn_by_buffer(copy);
    }
    close_pipe(copy);
    skua__free(copy->buffer);
    return status;
}

/* What the two are decides about the way. */
static int copy_all(struct copy *copy)
{
    struct side out = {.number = copy->out}, in = {.number = copy->in};
    int status = hold(&out);
    if (status == 0) {
        status = hold(&in);
    }
    copy->out_life = (struct skua__life){out.is_known, skua__fd_generation(out.word)};
    copy->in_life = (struct skua__life){in.is_known, skua__fd_generation(in.word)};
    const bool is_from_file = kind_of(&in) == SKUA__FD_FILE;
    const bool is_to_stream = kind_of(&out) == SKUA__FD_STREAM;
    const bool are_streams = kind_of(&in) == SKUA__FD_STREAM && is_to_stream;
    const bool are_sockets = is_socket(&in) && is_socket(&out);
    const bool has_pipe = are_streams && !are_sockets &&
                          (skua__call_is_pipe(copy->in) || skua__call_is_pipe(copy->out));
    drop(&in);
    drop(&out);
    if (status < 0) {
        return status;
    }
    copy->buffer_bytes = are_streams && are_sockets ? STREAM_BUFFER_BYTES : FILE_BUFFER_BYTES;
    copy->cannot_splice = !are_streams || !are_sockets;
    int moved = is_from_file && is_to_stream ? copy_directly(copy, move_file)
                : has_pipe                   ? copy_directly(copy, move_pipe)
                                             : NOT_SUITED;
    return moved == NOT_SUITED ? copy_in_turns(copy) : moved;
}

int skua_copy(int out, int in, uint64_t *copied, const skua_copy_opts *opts, skua_time deadline)
{
    struct copy copy = {.out = out, .in = in, .deadline = deadline, .opts = opts};
    copy.left = opts != NULL ? opts->bytes : 0;
    copy.has_limit = copy.left != 0;
    int status = skua__cancel_point();
    if (status == 0) {
        status = copy_all(&copy);
    }
    if (copied != NULL) {
        *copied = copy.done;
    }
    if (status == 0 && copy.has_ended && opts != NULL && opts->half_close) {
        int closed = skua_shutdown(out, SHUT_WR);
        /* The peer was faster, or there is no half of it. */
        status = closed == -ENOTCONN || closed == -ENOTSOCK ? 0 : closed;
    }
    return status;
}
