/* Peers that misbehave: they take and give a few bytes at a time, stop reading, or go away in the
   middle of a write. Everything arrives once and in order, deadlines hold, nobody else is held up,
   and no SIGPIPE is raised (its action is the default one here: it would end the program). */
#include "../io_help.h"

#include <errno.h>
#include <sys/syscall.h>

/* --- pieces ----------------------------------------------------------------------------------- */

/* At most so many bytes go through a call, 0: as many as asked for. Every second one is interrupted
   first. */
static _Atomic size_t piece_bytes;
static _Atomic unsigned calls;

static size_t piece_of(size_t bytes)
{
    const size_t most = atomic_load(&piece_bytes);
    return most != 0 && bytes > most ? most : bytes;
}

static bool is_interrupted(void)
{
    errno = EINTR;
    return atomic_load(&piece_bytes) != 0 && atomic_fetch_add(&calls, 1) % 2 == 0;
}

ssize_t recv(int fd, void *buffer, size_t bytes, int flags)
{
    return is_interrupted() ? -1
                            : syscall(SYS_recvfrom, fd, buffer, piece_of(bytes), flags, NULL, NULL);
}

ssize_t send(int fd, const void *buffer, size_t bytes, int flags)
{
    return is_interrupted() ? -1 : syscall(SYS_sendto, fd, buffer, piece_of(bytes), flags, NULL, 0);
}

enum { LENGTH_MAX = 40, BUFFER_BYTES = 64 };

struct message {
    int ends[2];
    size_t bytes;
};

static char byte_at(size_t length, size_t at)
{
    return (char)(length * 7 + at);
}

static int read_message(void *arg)
{
    const struct message *message = arg;
    char got[BUFFER_BYTES];
    size_t have = 0;
    while (have < message->bytes) {
        const ssize_t count =
            skua_read(message->ends[1], got + have, message->bytes - have, SKUA_FOREVER);
        CHECK(count > 0 && (size_t)count <= message->bytes - have);
        have += (size_t)count;
    }
    for (size_t i = 0; i < have; i++) {
        CHECK_INT(got[i], byte_at(message->bytes, i));
    }
    return 0;
}

static void send_message(struct message *message)
{
    char bytes[BUFFER_BYTES];
    size_t written = 12345;
    for (size_t i = 0; i < message->bytes; i++) {
        bytes[i] = byte_at(message->bytes, i);
    }
    skua_task *reader = spawn(read_message, message);
    CHECK_INT(skua_write_all(message->ends[0], bytes, message->bytes, &written, SKUA_FOREVER), 0);
    CHECK_INT(written, message->bytes);
    CHECK_INT(join(reader), 0);
}

static int send_in_pieces(void *arg)
{
    struct message message;
    open_pair(message.ends);
    for (size_t piece = 1; piece <= LENGTH_MAX; piece++) {
        atomic_store(&piece_bytes, piece);
        for (message.bytes = 0; message.bytes <= LENGTH_MAX; message.bytes++) {
            send_message(&message);
        }
    }
    atomic_store(&piece_bytes, 0);
    close_both(message.ends);
    return 0;
}

static void every_length_arrives_in_pieces_of_every_length(void **state)
{
    run(send_in_pieces, NULL);
}

/* --- a peer that does not read ---------------------------------------------------------------- */

enum { LARGE_BYTES = 8 << 20 };

static char large[LARGE_BYTES];

static int echo_once(void *arg)
{
    const int *ends = arg;
    char byte;
    CHECK_INT(skua_read(ends[1], &byte, 1, SKUA_FOREVER), 1);
    return (int)skua_write(ends[1], &byte, 1, SKUA_FOREVER);
}

static int write_to_the_deaf(void *arg)
{
    int deaf[2], brisk[2];
    size_t written = 0;
    char byte = 'b';
    open_pair(deaf);
    open_pair(brisk);
    CHECK_INT(skua_write_all(deaf[0], large, LARGE_BYTES, &written, skua_after(SKUA_MS(20))),
              -ETIMEDOUT);
    CHECK(written > 0 && written < LARGE_BYTES);
    CHECK_INT(skua_write_all(deaf[0], large, 1, NULL, SKUA_NOW), -EAGAIN);

    struct one_byte writer = {.fd = deaf[0], .byte = 'd'};
    skua_task *waiting = park_writer(&writer);
    for (int i = 0; i < 100; i++) { /* others are served while it waits */
        skua_task *echo = spawn(echo_once, brisk);
        CHECK_INT(skua_write(brisk[0], &byte, 1, SKUA_FOREVER), 1);
        CHECK_INT(skua_read(brisk[0], &byte, 1, SKUA_FOREVER), 1);
        CHECK_INT(join(echo), 1);
    }
    CHECK_INT(skua_join(waiting, NULL, SKUA_NOW), -EAGAIN);
    drain(deaf[1], written + 1); /* what went in before, and that one byte */
    CHECK_INT(join(waiting), 1);
    CHECK_INT(skua_read(deaf[1], &byte, 1, SKUA_NOW), -EAGAIN);
    close_both(deaf);
    close_both(brisk);
    return 0;
}

static void who_does_not_read_holds_up_one_writer(void **state)
{
    run(write_to_the_deaf, NULL);
}

/* --- a peer that goes away -------------------------------------------------------------------- */

struct stream {
    int fd, status;
    size_t written;
};

static int write_large(void *arg)
{
    struct stream *self = arg;
    self->status = skua_write_all(self->fd, large, LARGE_BYTES, &self->written, SKUA_FOREVER);
    return 0;
}

static void take(int fd, size_t bytes)
{
    static char buffer[65536];
    while (bytes > 0) {
        const size_t most = bytes < sizeof buffer ? bytes : sizeof buffer;
        const ssize_t got = skua_read(fd, buffer, most, SKUA_FOREVER);
        CHECK(got > 0);
        bytes -= (size_t)got;
    }
}

/* It takes so many bytes, which may be more than fit in at once, and goes. */
static void leave_after(size_t bytes)
{
    int ends[2];
    open_pair(ends);
    struct stream stream = {.fd = ends[0]};
    skua_task *writer = spawn(write_large, &stream);
    take(ends[1], bytes);
    while (!has_waiter(ends[0], 1)) {
        skua_yield();
    }
    skua_close(ends[1]);
    CHECK_INT(join(writer), 0);
    CHECK(stream.status == -EPIPE || stream.status == -ECONNRESET);
    CHECK(stream.written >= bytes && stream.written < LARGE_BYTES);
    CHECK_INT(skua_write(ends[0], "x", 1, SKUA_FOREVER), -EPIPE);
    skua_close(ends[0]);
}

static int leave_in_mid_write(void *arg)
{
    const size_t moments[] = {0, 1, 4095, 65536, 1 << 20, (4 << 20) + 1};
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        leave_after(moments[i]);
    }
    return 0;
}

static void a_peer_that_goes_ends_the_write_without_a_signal(void **state)
{
    run(leave_in_mid_write, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_length_arrives_in_pieces_of_every_length),
        TEST(who_does_not_read_holds_up_one_writer),
        TEST(a_peer_that_goes_ends_the_write_without_a_signal),
    };
    return TEST_RUN(tests);
}
