/* Readers, writers and transports, disturbed wherever they wait: every byte that was sent comes out
   once, whatever has ended the calls in between. Over a transport of channels, so under a clock
   that only the driver moves. */
#include "sweep.h"

#include <skua/chan.h>
#include <skua/reader.h>

enum { BUFFER_BYTES = 8 };

static skua_chan *pipe_of_bytes;
static skua_reader reader;
static skua_writer writer;
static _Atomic size_t went_in, came_out;

/* --- the transport: one byte is one message --------------------------------------------------- */

static ssize_t chan_read(void *object, void *buffer, size_t bytes, skua_time deadline)
{
    return skua_chan_recv(object, buffer, 1, deadline);
}

static ssize_t chan_write(void *object, const struct iovec *parts, size_t count, skua_time deadline)
{
    const struct iovec *part = parts;
    while (part->iov_len == 0) {
        part++;
    }
    int status = skua_chan_send(object, part->iov_base, 1, deadline);
    return status < 0 ? status : 1;
}

static int chan_wait(void *object, skua_time deadline)
{
    const char byte = '.';
    return skua_chan_send(object, &byte, 1, deadline);
}

static void chan_close(void *object)
{
    skua_chan_close(object);
}

static const skua_transport_ops chan_ops = {.read = chan_read,
                                            .write = chan_write,
                                            .flush = chan_wait,
                                            .close_write = chan_wait,
                                            .close = chan_close};
static const skua_transport_ops plain_ops = {
    .read = chan_read, .write = chan_write, .close = chan_close};

static skua_transport transport(const skua_transport_ops *ops)
{
    return (skua_transport){.ops = ops, .object = pipe_of_bytes};
}

/* --- reading ---------------------------------------------------------------------------------- */

static const skua_reader_opts small = {.buffer_bytes = BUFFER_BYTES};

static void make_reader(void)
{
    went_in = came_out = 0;
    SAME(skua_chan_create(&pipe_of_bytes, 1, 100), 0);
    SAME(skua_reader_open(&reader, transport(&plain_ops), &small), 0);
}

/* "abcdefg\n", again and again. */
static void send_a_byte(void)
{
    const char byte = "abcdefg\n"[went_in % BUFFER_BYTES];
    if (skua_chan_send(pipe_of_bytes, &byte, 1, SKUA_NOW) == 0) {
        went_in++;
    }
}

static int read_some(skua_time deadline)
{
    char bytes[4];
    const ssize_t got = skua_reader_read(&reader, bytes, sizeof bytes, deadline);
    came_out += got > 0 ? (size_t)got : 0;
    return (int)got;
}

static int read_exactly(skua_time deadline)
{
    char bytes[3];
    const int status = skua_reader_exact(&reader, bytes, sizeof bytes, NULL, deadline);
    came_out += status > 0 ? sizeof bytes : 0;
    return status;
}

static int read_much_exactly(skua_time deadline)
{
    char bytes[BUFFER_BYTES + 2];
    size_t got = 0;
    const int status = skua_reader_exact(&reader, bytes, sizeof bytes, &got, deadline);
    came_out += got;
    return status;
}

static int read_line(skua_time deadline)
{
    skua_view line;
    const int status = skua_reader_line(&reader, &line, deadline);
    came_out += status > 0 ? line.bytes + 1 : 0;
    return status;
}

static int read_until(skua_time deadline)
{
    skua_view piece;
    const int status = skua_reader_until(&reader, "cd", 2, &piece, deadline);
    came_out += status > 0 ? piece.bytes + 2 : 0;
    return status;
}

static int skip_until(skua_time deadline)
{
    const int status = skua_reader_skip_until(&reader, "cd", 2, deadline);
    came_out += status > 0 ? 4 : 0;
    return status;
}

static int peek(skua_time deadline)
{
    skua_view view;
    return skua_reader_peek(&reader, 3, &view, deadline);
}

static int at_end(skua_time deadline)
{
    return skua_reader_at_end(&reader, deadline);
}

static int read_transport(skua_time deadline)
{
    char byte;
    const ssize_t got = skua_transport_read(transport(&plain_ops), &byte, 1, deadline);
    came_out += got > 0 ? (size_t)got : 0;
    return (int)got;
}

static size_t left_in_channel(void)
{
    size_t left = 0;
    for (char byte; skua_chan_recv(pipe_of_bytes, &byte, 1, SKUA_NOW) == 1;) {
        left++;
    }
    return left;
}

static void all_is_there(int status)
{
    skua_view view = {0};
    SAME(skua_reader_peek(&reader, 0, &view, SKUA_FOREVER) >= 0, true);
    SAME(went_in, came_out + view.bytes + left_in_channel());
    skua_reader_close(&reader);
    skua_chan_release(pipe_of_bytes, SKUA_SENDER | SKUA_RECEIVER);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void make_writer_over(const skua_transport_ops *ops)
{
    const skua_writer_opts opts = {.buffer_bytes = BUFFER_BYTES};
    went_in = came_out = 0;
    SAME(skua_chan_create(&pipe_of_bytes, 1, 0), 0);
    SAME(skua_writer_open(&writer, transport(ops), &opts), 0);
}

static void make_writer(void)
{
    make_writer_over(&plain_ops);
}

static void make_full_writer(void)
{
    make_writer();
    SAME(skua_writer_write(&writer, "12345678", 8, NULL, SKUA_FOREVER), 0);
    went_in = 8;
}

static void make_writer_that_has_to_flush(void)
{
    make_writer_over(&chan_ops);
    SAME(skua_writer_write(&writer, "12", 2, NULL, SKUA_FOREVER), 0);
    went_in = 2;
}

static void take_a_byte(void)
{
    char byte;
    if (skua_chan_recv(pipe_of_bytes, &byte, 1, SKUA_NOW) == 1) {
        came_out += byte != '.';
    }
}

static int write_some(skua_time deadline)
{
    const int status = skua_writer_write(&writer, "abc", 3, NULL, deadline);
    went_in += status == 0 ? 3 : 0;
    return status;
}

static int write_much(skua_time deadline)
{
    size_t taken = 0;
    const int status = skua_writer_write(&writer, "0123456789ab", 12, &taken, deadline);
    went_in += taken;
    return status;
}

static int print_some(skua_time deadline)
{
    const int status = skua_writer_printf(&writer, deadline, "%d", 345);
    went_in += status == 0 ? 3 : 0;
    return status;
}

static SKUA_PRINTF(2, 3) int vprint(skua_time deadline, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int status = skua_writer_vprintf(&writer, deadline, format, arguments);
    va_end(arguments);
    went_in += status == 0 ? 3 : 0;
    return status;
}

static int vprint_some(skua_time deadline)
{
    return vprint(deadline, "%d", 678);
}

static int flush(skua_time deadline)
{
    return skua_writer_flush(&writer, deadline);
}

static int end(skua_time deadline)
{
    return skua_writer_end(&writer, deadline);
}

static int close_writer(skua_time deadline)
{
    const size_t kept = skua_writer_kept(&writer);
    const uint64_t sent = skua_writer_sent(&writer);
    const int status = skua_writer_close(&writer, deadline);
    went_in -= status == 0 ? 0 : kept - (skua_writer_sent(&writer) - sent); /* is lost, and told */
    return status;
}

static int write_transport(skua_time deadline)
{
    const struct iovec part = {.iov_base = (char[]){"x"}, .iov_len = 1};
    const ssize_t put = skua_transport_write(transport(&plain_ops), &part, 1, deadline);
    went_in += put > 0 ? (size_t)put : 0;
    return (int)put;
}

static int flush_transport(skua_time deadline)
{
    return skua_transport_flush(transport(&chan_ops), deadline);
}

static int end_transport(skua_time deadline)
{
    return skua_transport_close_write(transport(&chan_ops), deadline);
}

static void all_went(int status)
{
    SAME(went_in, came_out + skua_writer_kept(&writer));
    skua_writer_discard(&writer);
    skua_chan_release(pipe_of_bytes, SKUA_SENDER | SKUA_RECEIVER);
}

/* A second task in one reader or writer is refused. */
enum { LONE = SWEEP_ALONE };

static const swept entries[] = {
    {"skua_reader_read", make_reader, read_some, send_a_byte, all_is_there, .done = SWEEP_FINE,
     .flags = LONE},
    {"skua_reader_exact", make_reader, read_exactly, send_a_byte, all_is_there, .done = 1,
     .flags = LONE},
    {"skua_reader_exact: more than the buffer", make_reader, read_much_exactly, send_a_byte,
     all_is_there, .done = 1, .flags = LONE},
    {"skua_reader_line", make_reader, read_line, send_a_byte, all_is_there, .done = 1,
     .flags = LONE},
    {"skua_reader_until", make_reader, read_until, send_a_byte, all_is_there, .done = 1,
     .flags = LONE},
    {"skua_reader_skip_until", make_reader, skip_until, send_a_byte, all_is_there, .done = 1,
     .flags = LONE},
    {"skua_reader_peek", make_reader, peek, send_a_byte, all_is_there, .done = 1, .flags = LONE},
    {"skua_reader_at_end", make_reader, at_end, send_a_byte, all_is_there, .flags = LONE},
    {"skua_transport_read", make_reader, read_transport, send_a_byte, all_is_there, .done = 1,
     .flags = LONE},
    {"skua_writer_write", make_full_writer, write_some, take_a_byte, all_went, .flags = LONE},
    {"skua_writer_write: more than the buffer", make_writer, write_much, take_a_byte, all_went,
     .flags = LONE},
    {"skua_writer_printf", make_full_writer, print_some, take_a_byte, all_went, .flags = LONE},
    {"skua_writer_vprintf", make_full_writer, vprint_some, take_a_byte, all_went, .flags = LONE},
    {"skua_writer_flush", make_writer_that_has_to_flush, flush, take_a_byte, all_went,
     .flags = LONE},
    {"skua_writer_end", make_writer_that_has_to_flush, end, take_a_byte, all_went, .flags = LONE},
    {"skua_writer_close", make_full_writer, close_writer, take_a_byte, all_went,
     .flags = LONE | SWEEP_BEGINS},
    {"skua_transport_write", make_writer, write_transport, take_a_byte, all_went, .done = 1,
     .flags = LONE},
    {"skua_transport_flush", make_writer, flush_transport, take_a_byte, all_went, .flags = LONE},
    {"skua_transport_close_write", make_writer, end_transport, take_a_byte, all_went,
     .flags = LONE},
};

/* covers: B12 */
static void readers_and_writers_are_swept(void **state)
{
    sweep_table(entries, sizeof entries / sizeof entries[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(readers_and_writers_are_swept)};
    return TEST_RUN(tests);
}
