/* The writer: what is written is kept in one buffer until that is full, or flushed.

       0            start                end           capacity
       +------------+--------------------+----------------+
       |  sent      |  kept back         |  room          |
       +------------+--------------------+----------------+

   (P1) Bytes are counted as taken when they are in the buffer or in the transport; each is in one
        of them only, so whatever ends a call early, the next one goes on where it was.
   (P2) Kept and new bytes go out by one call, the kept ones first. So when one new byte has gone
        out the buffer is empty: a write that fits into it is taken as a whole or not at all.
   (P3) No more is ever kept back than the buffer holds: that is the high-water mark, and a write
        that passes it waits for the peer.
   (P4) Final errors are kept: nobody else would tell the one who flushes later.
   (P5) `is_busy`, as in reader.c (L4).

   Rejected: a task in the background that sends what is kept (asyncio's way, which has to be asked
   then whether it has come to an end; who writes here can wait himself); copying large writes into
   the buffer piece by piece. */
#include "base/mem.h"
#include "io/transport.h"

#include <stdio.h>
#include <string.h>

struct writer {
    skua_transport transport; /* constant, like the next two */
    char *buffer;
    size_t capacity;
    size_t start, end;
    uint64_t sent;
    int error;
    bool has_ended; /* no more may be written */
    _Atomic uint32_t is_busy;
};

_Static_assert(sizeof(struct writer) <= sizeof(skua_writer), "skua_writer is too small");
_Static_assert(_Alignof(struct writer) <= _Alignof(skua_writer), "skua_writer is misaligned");

static struct writer *inside(skua_writer *writer)
{
    return (struct writer *)(void *)writer;
}

static size_t kept(const struct writer *writer)
{
    return writer->end - writer->start;
}

static int enter(const struct writer *writer)
{
    int status = skua__transport_enter(&writer->is_busy, writer->buffer);
    return SKUA_UNLIKELY(status < 0) ? status : writer->error;
}

static int enter_to_write(const struct writer *writer)
{
    int status = enter(writer);
    return status == 0 && writer->has_ended ? -EPIPE : status;
}

static void note(struct writer *writer, int status, skua_time deadline)
{
    if (status < 0 && skua__transport_error_is_final(status, deadline)) {
        writer->error = status; /* (P4) */
    }
}

/* All room there is behind what is kept. */
static void move_to_front(struct writer *writer)
{
    memmove(writer->buffer, writer->buffer + writer->start, kept(writer));
    writer->end -= writer->start;
    writer->start = 0;
}

/* Keep so many bytes, for which there is room. */
static void keep(struct writer *writer, const void *data, size_t bytes)
{
    if (writer->capacity - writer->end < bytes) {
        move_to_front(writer);
    }
    if (bytes > 0) {
        memcpy(writer->buffer + writer->end, data, bytes);
    }
    writer->end += bytes;
}

/* One write of what is kept and of `bytes` more (not both none). Returns how many of those have
   gone out, or an error. */
static ssize_t push(struct writer *writer, const void *data, size_t bytes, skua_time deadline)
{
    if (!skua__transport_claim(&writer->is_busy)) {
        return -EBUSY;
    }
    const size_t before = kept(writer);
    const struct iovec parts[2] = {
        {.iov_base = writer->buffer + writer->start, .iov_len = before},
        {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes},
    };
    ssize_t put = skua_transport_write(writer->transport, before > 0 ? parts : parts + 1,
                                       before > 0 && bytes > 0 ? 2 : 1, deadline);
    if (put > 0) {
        const size_t old = (size_t)put < before ? (size_t)put : before;
        writer->sent += (uint64_t)put;
        writer->start += old;
        put -= (ssize_t)old;
    }
    if (writer->start == writer->end) {
        writer->start = writer->end = 0;
    }
    note(writer, (int)(put < 0 ? put : 0), deadline);
    skua__transport_unclaim(&writer->is_busy);
    return put;
}

static int flush(struct writer *writer, skua_time deadline)
{
    while (kept(writer) > 0) {
        ssize_t put = push(writer, NULL, 0, deadline);
        if (put < 0) {
            return (int)put;
        }
    }
    if (writer->transport.ops->flush == NULL) {
        return 0;
    }
    if (!skua__transport_claim(&writer->is_busy)) {
        return -EBUSY;
    }
    int status = skua_transport_flush(writer->transport, deadline);
    note(writer, status, deadline);
    skua__transport_unclaim(&writer->is_busy);
    return status;
}

/* --- opening and closing ---------------------------------------------------------------------- */

int skua_writer_open(skua_writer *out, skua_transport transport, const skua_writer_opts *opts)
{
    if (skua__process_is_forked()) {
        return -ESHUTDOWN;
    }
    size_t capacity = opts != NULL ? opts->buffer_bytes : 0;
    capacity = capacity > 0 ? capacity : SKUA__BUFFER_BYTES;
    char *buffer = capacity < SIZE_MAX ? skua__alloc(capacity + 1) : NULL; /* printf ends with 0 */
    if (buffer == NULL) {
        return -ENOMEM;
    }
    *inside(out) = (struct writer){.transport = transport, .buffer = buffer, .capacity = capacity};
    return 0;
}

void skua_writer_discard(skua_writer *opened)
{
    struct writer *writer = inside(opened);
    if (skua__load(&writer->is_busy, relaxed) != 0) {
        skua__panic("a writer is closed while a task waits in it");
    }
    skua__free(writer->buffer);
    writer->buffer = NULL;
    writer->start = writer->end = 0;
}

int skua_writer_close(skua_writer *opened, skua_time deadline)
{
    struct writer *writer = inside(opened);
    if (writer->buffer == NULL) {
        return 0;
    }
    int status = enter(writer);
    if (status == 0 && !writer->has_ended) {
        status = flush(writer, deadline);
    }
    skua_writer_discard(opened);
    return status;
}

/* --- writing ---------------------------------------------------------------------------------- */

int skua_writer_write(skua_writer *opened, const void *data, size_t bytes, size_t *taken,
                      skua_time deadline)
{
    struct writer *writer = inside(opened);
    size_t done = 0;
    int status = enter_to_write(writer);
    while (status == 0 && bytes - done > writer->capacity - kept(writer)) {
        ssize_t put = push(writer, (const char *)data + done, bytes - done, deadline);
        status = put < 0 ? (int)put : 0;
        done += put > 0 ? (size_t)put : 0;
    }
    if (status == 0) {
        keep(writer, (const char *)data + done, bytes - done);
        done = bytes;
    }
    if (taken != NULL) {
        *taken = done;
    }
    return status;
}

int skua_writer_vprintf(skua_writer *opened, skua_time deadline, const char *format,
                        va_list arguments)
{
    struct writer *writer = inside(opened);
    int status = enter_to_write(writer);
    while (status == 0) {
        va_list again;
        move_to_front(writer);
        const size_t room = writer->capacity - writer->end;
        va_copy(again, arguments);
        int length = vsnprintf(writer->buffer + writer->end, room + 1, format, again);
        va_end(again);
        if (length < 0) {
            return -EINVAL;
        }
        if ((size_t)length <= room) {
            writer->end += (size_t)length;
            return 0;
        }
        if ((size_t)length > writer->capacity) {
            return -EMSGSIZE;
        }
        ssize_t put = push(writer, NULL, 0, deadline);
        status = put < 0 ? (int)put : 0;
    }
    return status;
}

int skua_writer_printf(skua_writer *opened, skua_time deadline, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int status = skua_writer_vprintf(opened, deadline, format, arguments);
    va_end(arguments);
    return status;
}

int skua_writer_flush(skua_writer *opened, skua_time deadline)
{
    struct writer *writer = inside(opened);
    int status = enter(writer);
    return status < 0 || writer->has_ended ? status : flush(writer, deadline);
}

int skua_writer_end(skua_writer *opened, skua_time deadline)
{
    struct writer *writer = inside(opened);
    int status = enter(writer);
    if (status < 0 || writer->has_ended) {
        return status;
    }
    status = flush(writer, deadline);
    if (status < 0) {
        return status;
    }
    if (!skua__transport_claim(&writer->is_busy)) {
        return -EBUSY;
    }
    status = skua_transport_close_write(writer->transport, deadline);
    writer->has_ended = status == 0;
    skua__transport_unclaim(&writer->is_busy);
    return status;
}

size_t skua_writer_kept(const skua_writer *opened)
{
    return kept((const struct writer *)(const void *)opened);
}

uint64_t skua_writer_sent(const skua_writer *opened)
{
    return ((const struct writer *)(const void *)opened)->sent;
}
