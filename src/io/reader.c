/* The reader: one buffer over a transport.

       0            start                end           capacity
       +------------+--------------------+----------------+
       |  taken     |  arrived, unread   |  room          |
       +------------+--------------------+----------------+

   (L1) What has arrived leaves the buffer only when a call hands it out; so a call that fails has
        lost nothing, and can be repeated.
   (L2) Whatever is searched for lies in the buffer as a whole, else the call says -EMSGSIZE: the
        buffer is the limit on all lengths, and nothing is allocated after the opening.
   (L3) The end and final errors are kept, and told after what came before them.
   (L4) `is_busy` is set while a task is in the transport for this reader. That is the only place
        where it can wait, so a second task is found out there at no cost to calls that find all in
        the buffer.

   The buffer is moved to its front before each read of the transport, not sooner: what is left then
   is part of a line, in general, and the read gets as much room as there can be.

   Rejected: growing with the line (a peer decides then how much memory is used); a lock (two
   tasks that read by turns get pieces of each other's lines, lock or not). */
#define _GNU_SOURCE 1
#include "base/mem.h"
#include "io/transport.h"

#include <string.h>

struct reader {
    skua_transport transport; /* constant, like the next two */
    char *buffer;
    size_t capacity;
    size_t start, end;
    int error;
    bool has_ended;
    _Atomic uint32_t is_busy;
};

_Static_assert(sizeof(struct reader) <= sizeof(skua_reader), "skua_reader is too small");
_Static_assert(_Alignof(struct reader) <= _Alignof(skua_reader), "skua_reader is misaligned");

static struct reader *inside(skua_reader *reader)
{
    return (struct reader *)(void *)reader;
}

static int enter(const struct reader *reader)
{
    return skua__transport_enter(&reader->is_busy, reader->buffer);
}

static size_t unread(const struct reader *reader)
{
    return reader->end - reader->start;
}

/* One read of the transport, to anywhere: > 0, 0 (the end), or an error. */
static ssize_t pull(struct reader *reader, char *buffer, size_t bytes, skua_time deadline)
{
    if (reader->error < 0 || reader->has_ended) {
        return reader->error;
    }
    if (!skua__transport_claim(&reader->is_busy)) {
        return -EBUSY;
    }
    ssize_t got = skua_transport_read(reader->transport, buffer, bytes, deadline);
    if (got == 0) {
        reader->has_ended = true;
    } else if (got < 0 && skua__transport_error_is_final((int)got, deadline)) {
        reader->error = (int)got; /* (L3) */
    }
    skua__transport_unclaim(&reader->is_busy);
    return got;
}

/* Get more into the buffer, which is not full: > 0, 0 (the end), or an error. */
static ssize_t fill(struct reader *reader, skua_time deadline)
{
    if (reader->start > 0) {
        memmove(reader->buffer, reader->buffer + reader->start, unread(reader));
        reader->end -= reader->start;
        reader->start = 0;
    }
    ssize_t got =
        pull(reader, reader->buffer + reader->end, reader->capacity - reader->end, deadline);
    reader->end += got > 0 ? (size_t)got : 0;
    return got;
}

/* Copy out what is there, `bytes` at most. */
static size_t hand_out(struct reader *reader, char *buffer, size_t bytes)
{
    const size_t count = bytes < unread(reader) ? bytes : unread(reader);
    memcpy(buffer, reader->buffer + reader->start, count);
    reader->start += count;
    return count;
}

/* Show the first `bytes` unread ones, and take so many. */
static void show(struct reader *reader, skua_view *view, size_t bytes, size_t taken)
{
    *view = (skua_view){.data = reader->buffer + reader->start, .bytes = bytes};
    reader->start += taken;
}

/* --- opening and closing ---------------------------------------------------------------------- */

int skua_reader_open(skua_reader *out, skua_transport transport, const skua_reader_opts *opts)
{
    if (skua__process_is_forked()) {
        return -ESHUTDOWN;
    }
    size_t capacity = opts != NULL ? opts->buffer_bytes : 0;
    capacity = capacity > 0 ? capacity : SKUA__BUFFER_BYTES;
    char *buffer = skua__alloc(capacity);
    if (buffer == NULL) {
        return -ENOMEM;
    }
    *inside(out) = (struct reader){.transport = transport, .buffer = buffer, .capacity = capacity};
    return 0;
}

void skua_reader_close(skua_reader *opened)
{
    struct reader *reader = inside(opened);
    if (skua__load(&reader->is_busy, relaxed) != 0) {
        skua__panic("a reader is closed while a task waits in it");
    }
    skua__free(reader->buffer);
    reader->buffer = NULL;
}

/* --- reading ---------------------------------------------------------------------------------- */

ssize_t skua_reader_read(skua_reader *opened, void *buffer, size_t bytes, skua_time deadline)
{
    struct reader *reader = inside(opened);
    int status = enter(reader);
    if (status < 0 || bytes == 0) {
        return status;
    }
    if (unread(reader) == 0) {
        if (bytes >= reader->capacity) {
            return pull(reader, buffer, bytes, deadline);
        }
        ssize_t got = fill(reader, deadline);
        if (got <= 0) {
            return got;
        }
    }
    return (ssize_t)hand_out(reader, buffer, bytes);
}

/* What fits into the buffer: all or nothing. */
static int exact_small(struct reader *reader, char *buffer, size_t bytes, skua_time deadline)
{
    while (unread(reader) < bytes) {
        ssize_t got = fill(reader, deadline);
        if (got <= 0) {
            return got < 0 ? (int)got : unread(reader) > 0 ? -ENODATA : 0;
        }
    }
    hand_out(reader, buffer, bytes);
    return 1;
}

/* The others: straight to where they belong, until the rest is less than a buffer. */
static int exact_large(struct reader *reader, char *buffer, size_t bytes, size_t *done,
                       skua_time deadline)
{
    for (*done = hand_out(reader, buffer, bytes); *done < bytes;) {
        const size_t rest = bytes - *done;
        ssize_t got = rest >= reader->capacity ? pull(reader, buffer + *done, rest, deadline)
                                               : fill(reader, deadline);
        if (got <= 0) {
            return got < 0 ? (int)got : *done > 0 ? -ENODATA : 0;
        }
        *done += rest >= reader->capacity ? (size_t)got : hand_out(reader, buffer + *done, rest);
    }
    return 1;
}

int skua_reader_exact(skua_reader *opened, void *buffer, size_t bytes, size_t *got,
                      skua_time deadline)
{
    struct reader *reader = inside(opened);
    size_t done = 0;
    int status = enter(reader);
    if (status == 0 && bytes <= reader->capacity) {
        status = exact_small(reader, buffer, bytes, deadline);
        done = status == 1 ? bytes : 0;
    } else if (status == 0) {
        status = exact_large(reader, buffer, bytes, &done, deadline);
    }
    if (got != NULL) {
        *got = done;
    }
    return status;
}

/* --- lines and pieces ------------------------------------------------------------------------- */

/* The first delimiter at or behind the `from`-th unread byte, or NULL. */
static const char *find(const struct reader *reader, size_t from, const void *delimiter,
                        size_t delimiter_bytes)
{
    const char *text = reader->buffer + reader->start + from;
    const size_t rest = unread(reader) - from;
    return delimiter_bytes == 1 ? memchr(text, *(const unsigned char *)delimiter, rest)
                                : memmem(text, rest, delimiter, delimiter_bytes);
}

/* Get a delimiter into the buffer, and tell how many bytes stand before it: 1; 0 (the end), or an
   error. */
static int seek(struct reader *reader, const void *delimiter, size_t delimiter_bytes,
                size_t *before, skua_time deadline)
{
    size_t from = 0; /* none begins before that */
    for (;;) {
        const char *found = find(reader, from, delimiter, delimiter_bytes);
        if (SKUA_LIKELY(found != NULL)) {
            *before = (size_t)(found - (reader->buffer + reader->start));
            return 1;
        }
        if (unread(reader) == reader->capacity) {
            return -EMSGSIZE; /* (L2) */
        }
        from = unread(reader) >= delimiter_bytes ? unread(reader) - delimiter_bytes + 1 : 0;
        ssize_t got = fill(reader, deadline);
        if (got <= 0) {
            return (int)got;
        }
    }
}

int skua_reader_line(skua_reader *opened, skua_view *line, skua_time deadline)
{
    struct reader *reader = inside(opened);
    size_t length = 0;
    int status = enter(reader);
    if (SKUA_UNLIKELY(status < 0)) {
        return status;
    }
    status = seek(reader, "\n", 1, &length, deadline);
    if (SKUA_LIKELY(status == 1)) {
        const char *text = reader->buffer + reader->start;
        const bool has_return = length > 0 && text[length - 1] == '\r';
        show(reader, line, has_return ? length - 1 : length, length + 1);
        return 1;
    }
    if (status == 0 && unread(reader) > 0) {
        show(reader, line, unread(reader), unread(reader));
        return 1;
    }
    return status;
}

static bool is_delimiter(const struct reader *reader, size_t bytes)
{
    return bytes > 0 && bytes <= reader->capacity;
}

int skua_reader_until(skua_reader *opened, const void *delimiter, size_t delimiter_bytes,
                      skua_view *piece, skua_time deadline)
{
    struct reader *reader = inside(opened);
    size_t length = 0;
    int status = enter(reader);
    if (status < 0) {
        return status;
    }
    if (!is_delimiter(reader, delimiter_bytes)) {
        return -EINVAL;
    }
    status = seek(reader, delimiter, delimiter_bytes, &length, deadline);
    if (status == 1) {
        show(reader, piece, length, length + delimiter_bytes);
    }
    return status == 0 && unread(reader) > 0 ? -ENODATA : status;
}

int skua_reader_skip_until(skua_reader *opened, const void *delimiter, size_t delimiter_bytes,
                           skua_time deadline)
{
    struct reader *reader = inside(opened);
    size_t length = 0;
    int status = enter(reader);
    if (status < 0) {
        return status;
    }
    if (!is_delimiter(reader, delimiter_bytes)) {
        return -EINVAL;
    }
    while ((status = seek(reader, delimiter, delimiter_bytes, &length, deadline)) == -EMSGSIZE) {
        reader->start = reader->end - (delimiter_bytes - 1); /* which may be the beginning of one */
    }
    if (status == 1) {
        reader->start += length + delimiter_bytes;
    } else if (status == 0) {
        reader->start = reader->end;
    }
    return status;
}

int skua_reader_peek(skua_reader *opened, size_t bytes, skua_view *view, skua_time deadline)
{
    struct reader *reader = inside(opened);
    int status = enter(reader);
    if (status < 0) {
        return status;
    }
    if (bytes > reader->capacity) {
        return -EMSGSIZE;
    }
    ssize_t got = 1;
    while (unread(reader) < bytes && got > 0) {
        got = fill(reader, deadline);
    }
    if (got < 0) {
        return (int)got;
    }
    show(reader, view, unread(reader), 0);
    return unread(reader) >= bytes ? unread(reader) > 0 : unread(reader) > 0 ? -ENODATA : 0;
}

void skua_reader_take(skua_reader *opened, size_t bytes)
{
    struct reader *reader = inside(opened);
    if (reader->buffer == NULL || bytes > unread(reader)) {
        skua__panic("%zu bytes are taken from a reader that has fewer", bytes);
    }
    reader->start += bytes;
}

int skua_reader_at_end(skua_reader *opened, skua_time deadline)
{
    struct reader *reader = inside(opened);
    int status = enter(reader);
    if (status < 0 || unread(reader) > 0) {
        return status;
    }
    ssize_t got = fill(reader, deadline);
    return got < 0 ? (int)got : got == 0;
}
