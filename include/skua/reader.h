/* skua/reader.h: buffered reading and writing over sockets, pipes, files, TLS, or what you have.

   A transport is a stream of bytes in both directions behind five functions; an fd is one, and so
   is a TLS connection (skua/tls.h). A reader takes what has arrived apart into lines, records and
   pieces; a writer puts many small pieces together. Neither owns its transport. One task may use a
   reader and another one a writer on the same transport at the same time; a second task in the same
   reader (or writer), while the first one waits there, gets -EBUSY.

   A reader has one buffer, made when it is opened, and nothing else is ever allocated. What a
   cancel, a deadline or SKUA_NOW (-EAGAIN) ends may simply be called again: bytes that have arrived
   stay in the buffer. An error of the transport is told again by each later call, after the bytes
   that came before it; so is the end.

   Views point into the buffer. They hold until the next call on the same reader.

   "A common result" is -ECANCELED, -ETIMEDOUT, -EAGAIN (SKUA_NOW), -EBUSY, -ESHUTDOWN, or what the
   transport says (-ECONNRESET, -EBADF, ...). */
#ifndef SKUA_READER_H
#define SKUA_READER_H

#include <skua/base.h>
#include <stdarg.h>
#include <sys/uio.h>

SKUA_BEGIN_DECLS

/* --- transports --- */

/* What a kind of transport does. Each behaves as its namesake for fds does (skua/io.h): results,
   deadlines, cancels. */
typedef struct skua_transport_ops {
    /* Up to `bytes` bytes (> 0), waiting until there is one. Returns the number, 0 at the end. */
    ssize_t (*read)(void *object, void *buffer, size_t bytes, skua_time deadline);
    /* At least one byte of the parts, which are not all empty. Returns the number. */
    ssize_t (*write)(void *object, const struct iovec *parts, size_t count, skua_time deadline);
    /* Pass on what write() has taken and still keeps. Returns 0. NULL: it keeps nothing. */
    int (*flush)(void *object, skua_time deadline);
    /* No more will be written: the peer reads the end. Returns 0. NULL: -EOPNOTSUPP. */
    int (*close_write)(void *object, skua_time deadline);
    /* The end of it; tasks that wait in it get -EBADF. Never switches. */
    void (*close)(void *object);
} skua_transport_ops;

/* A transport, passed by value. Zeroed: none. */
typedef struct skua_transport {
    const skua_transport_ops *ops;
    void *object;
} skua_transport;

/* An adopted fd as a transport; in a foreign thread any fd. close_write is shutdown(2), so for
   sockets only; close is skua_close(). Once the fd was closed reading and writing say -EBADF, also
   if the number means another one by then. Call from anywhere. */
skua_transport skua_fd_transport(int fd);

/* The operations, by name. Call from: as the transport says (for fds: a task or a foreign thread).
   May switch. */
ssize_t skua_transport_read(skua_transport transport, void *buffer, size_t bytes,
                            skua_time deadline) SKUA_MUST_CHECK;
ssize_t skua_transport_write(skua_transport transport, const struct iovec *parts, size_t count,
                             skua_time deadline) SKUA_MUST_CHECK;
int skua_transport_flush(skua_transport transport, skua_time deadline) SKUA_MUST_CHECK;
int skua_transport_close_write(skua_transport transport, skua_time deadline) SKUA_MUST_CHECK;

/* Close it. Call from: as the transport says. Never switches. */
void skua_transport_close(skua_transport transport);

/* --- reading --- */

/* A piece of a buffer. No zero stands behind it: print it with "%.*s". */
typedef struct skua_view {
    const char *data;
    size_t bytes;
} skua_view;

typedef struct skua_reader {
    uint64_t opaque[12];
} skua_reader;

/* Zero everywhere is the default, and so is NULL. */
typedef struct skua_reader_opts {
    size_t buffer_bytes; /* 0: 8 KiB. What is read at once, and the limit on lines and peeks */
} skua_reader_opts;

/* Make a reader over the transport. Returns 0, -ENOMEM, -ESHUTDOWN.
   Call from: a task or a foreign thread. Never switches. */
int skua_reader_open(skua_reader *reader, skua_transport transport, const skua_reader_opts *opts)
    SKUA_MUST_CHECK;

/* Give back the buffer, with what nobody has read. The transport stays open. Panics if a task is in
   a call on it. Zeroed or closed already: nothing happens. Never switches. */
void skua_reader_close(skua_reader *reader);

/* Up to `bytes` bytes: what the buffer has, else what one read of the transport gives; that goes
   straight to `buffer` if it is at least as large as the reader's. Returns the number, 0 at the
   end, or a common result.
   Call from: a task or a foreign thread, like all that follow. May switch. Cancel: loses nothing.
   */
ssize_t skua_reader_read(skua_reader *reader, void *buffer, size_t bytes, skua_time deadline)
    SKUA_MUST_CHECK;

/* Exactly `bytes` bytes. Returns 1, 0 (the end came before the first one), -ENODATA (it came in the
   middle), or a common result. On failure *got (may be NULL) tells how many bytes have been taken
   and stand in `buffer`: none if they would fit into the reader's buffer, where they stay to be
   read; larger requests are read straight into `buffer`, and are continued with the rest.
   May switch. */
int skua_reader_exact(skua_reader *reader, void *buffer, size_t bytes, size_t *got,
                      skua_time deadline) SKUA_MUST_CHECK;

/* The next line, without its "\n" or "\r\n"; the last one needs none. Returns 1, 0 (no more lines),
   -EMSGSIZE (with its end longer than the buffer: nothing is taken, see skua_reader_skip_until()),
   or a common result. Where a line without an end must not count, use skua_reader_until(). May
   switch. Cost: one memchr over the line; a read of the transport for each buffer. */
int skua_reader_line(skua_reader *reader, skua_view *line, skua_time deadline) SKUA_MUST_CHECK;

/* What stands before the next delimiter (1 byte or more); the delimiter is taken as well. Returns
   1, 0 (the end, and nothing is left), -ENODATA (the end, without a delimiter: what is left can be
   read), -EMSGSIZE (none in a full buffer: nothing is taken), -EINVAL (no delimiter, or longer than
   the buffer), or a common result. May switch. */
int skua_reader_until(skua_reader *reader, const void *delimiter, size_t delimiter_bytes,
                      skua_view *piece, skua_time deadline) SKUA_MUST_CHECK;

/* Drop all up to the next delimiter, however far it is, and the delimiter. Returns 1, 0 (the end
   came first; all is dropped), -EINVAL, or a common result: what was dropped until then is, and the
   call can be repeated. May switch. */
int skua_reader_skip_until(skua_reader *reader, const void *delimiter, size_t delimiter_bytes,
                           skua_time deadline) SKUA_MUST_CHECK;

/* Show all that the buffer has, at least `bytes` bytes (0: without waiting), and take nothing.
   Returns 1, 0 (the end, and nothing is left; or 0 bytes were asked for, and there are none),
   -ENODATA (the end comes sooner; the view shows what is left), -EMSGSIZE (more than the buffer
   holds), or a common result. May switch. */
int skua_reader_peek(skua_reader *reader, size_t bytes, skua_view *view, skua_time deadline)
    SKUA_MUST_CHECK;

/* Take bytes that a peek has shown. Panics if the buffer has fewer. Never switches. */
void skua_reader_take(skua_reader *reader, size_t bytes);

/* Is it at the end? Waits until that is known. Returns 1 (nothing is left), 0, or a common result.
   May switch. */
int skua_reader_at_end(skua_reader *reader, skua_time deadline) SKUA_MUST_CHECK;

/* --- writing --- */

typedef struct skua_writer {
    uint64_t opaque[12];
} skua_writer;

/* Zero everywhere is the default, and so is NULL. */
typedef struct skua_writer_opts {
    size_t buffer_bytes; /* 0: 8 KiB. Never is more kept back than that */
} skua_writer_opts;

/* Make a writer over the transport. Returns 0, -ENOMEM, -ESHUTDOWN.
   Call from: a task or a foreign thread. Never switches. */
int skua_writer_open(skua_writer *writer, skua_transport transport, const skua_writer_opts *opts)
    SKUA_MUST_CHECK;

/* Write all of it: into the buffer while there is room, else the buffer and your bytes go out
   together, uncopied, and the call waits until what is left fits. So who writes faster than the
   peer reads is slowed down, with never more than the buffer kept. Returns 0 or a common result. On
   failure *taken (may be NULL) tells how many bytes were taken: none of what would fit into the
   buffer, so that such a write is simply repeated; larger ones are continued with the rest.
   Call from: a task or a foreign thread, like all that follow. May switch. */
int skua_writer_write(skua_writer *writer, const void *data, size_t bytes, size_t *taken,
                      skua_time deadline) SKUA_MUST_CHECK;

/* Write formatted text of at most the buffer's size. Returns 0, -EMSGSIZE (too long), -EINVAL (what
   printf(3) cannot format), or a common result; then nothing of it was taken. May switch. */
int skua_writer_printf(skua_writer *writer, skua_time deadline, const char *format, ...)
    SKUA_MUST_CHECK SKUA_PRINTF(3, 4);
int skua_writer_vprintf(skua_writer *writer, skua_time deadline, const char *format,
                        va_list arguments) SKUA_MUST_CHECK SKUA_PRINTF(3, 0);

/* Send all that is kept back. To be called before waiting for an answer. Returns 0 or a common
   result: what has not gone out is kept, and the call can be repeated. May switch. */
int skua_writer_flush(skua_writer *writer, skua_time deadline) SKUA_MUST_CHECK;

/* Flush, and tell the peer that no more will come, who then reads the end; reading goes on. Later
   writes get -EPIPE. Returns 0 or a common result; can be repeated. May switch. */
int skua_writer_end(skua_writer *writer, skua_time deadline) SKUA_MUST_CHECK;

/* How many bytes are kept back, and how many the transport has taken since the writer was opened.
   Never switches. */
size_t skua_writer_kept(const skua_writer *writer);
uint64_t skua_writer_sent(const skua_writer *writer);

/* Flush and give back the buffer, also when the flush fails: then what was kept is lost, and the
   result says so. The transport stays open. Returns 0 or a common result. Panics if another task is
   in a call on it. Zeroed or closed already: 0. May switch. */
int skua_writer_close(skua_writer *writer, skua_time deadline) SKUA_MUST_CHECK;

/* The same without the flush: what is kept back is dropped. Never switches. */
void skua_writer_discard(skua_writer *writer);

SKUA_END_DECLS
#endif
