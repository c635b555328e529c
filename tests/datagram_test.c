/* Datagrams: UDP and Unix, one and several, cut, refused, too many. */
#include "net_help.h"

#include <pthread.h>
#include <sys/stat.h>

enum { BYTES_MAX = 2000 };

/* A socket on a free port of 127.0.0.1, and one that is connected to it. */
static void open_udp(int ends[2])
{
    const skua_address any = address_of("127.0.0.1:0");
    ends[0] = skua_datagram_open(&any, NULL, NULL);
    CHECK(ends[0] >= 0);
    const skua_address at = place_of(ends[0]);
    ends[1] = skua_datagram_open(NULL, &at, NULL);
    CHECK(ends[1] >= 0);
}

static int send_every_length(void *arg)
{
    int ends[2];
    char out[BYTES_MAX], in[BYTES_MAX];
    skua_address from;
    memset(out, 'x', sizeof out);
    open_udp(ends);
    const skua_address sender = place_of(ends[1]);
    for (size_t bytes = 0; bytes <= BYTES_MAX; bytes++) {
        out[bytes / 2] = (char)bytes;
        CHECK_INT(skua_send_to(ends[1], out, bytes, NULL, SKUA_FOREVER), bytes);
        CHECK_INT(skua_recv_from(ends[0], in, sizeof in, &from, SKUA_FOREVER), bytes);
        CHECK_INT(memcmp(in, out, bytes), 0);
        CHECK(skua_address_equal(&from, &sender));
    }
    CHECK_INT(skua_send_to(ends[0], "answer", 6, &from, SKUA_FOREVER), 6);
    CHECK_INT(skua_read(ends[1], in, sizeof in, SKUA_FOREVER), 6); /* connected: as a stream */
    CHECK_INT(skua_write(ends[1], "again", 5, SKUA_FOREVER), 5);
    CHECK_INT(skua_recv_from(ends[0], in, sizeof in, NULL, SKUA_FOREVER), 5);
    close_both(ends);
    return 0;
}

/* covers: A72 */
static void datagrams_of_every_length_arrive(void **state)
{
    run(send_every_length, NULL);
}

static int receive_cut(void *arg)
{
    int ends[2];
    char in[8] = "";
    static char huge[70000];
    open_udp(ends);
    CHECK_INT(skua_send_to(ends[1], "abcdef", 6, NULL, SKUA_FOREVER), 6);
    CHECK_INT(skua_send_to(ends[1], "next", 4, NULL, SKUA_FOREVER), 4);
    CHECK_INT(skua_recv_from(ends[0], in, 3, NULL, SKUA_FOREVER), -EMSGSIZE);
    CHECK_INT(memcmp(in, "abc", 4), 0);
    CHECK_INT(skua_recv_from(ends[0], in, sizeof in, NULL, SKUA_FOREVER), 4);
    CHECK_INT(skua_send_to(ends[1], huge, sizeof huge, NULL, SKUA_FOREVER), -EMSGSIZE);
    close_both(ends);
    return 0;
}

static void what_is_cut_is_told(void **state)
{
    run(receive_cut, NULL);
}

static int send_in_vain(void *arg)
{
    int ends[2];
    char in[8];
    open_udp(ends);
    CHECK_INT(skua_recv_from(ends[0], in, sizeof in, NULL, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_recv_from(ends[0], in, sizeof in, NULL, skua_after(SKUA_US(100))), -ETIMEDOUT);
    CHECK_INT(skua_send_to(ends[0], "x", 1, NULL, SKUA_FOREVER), -EDESTADDRREQ);
    skua_close(ends[0]);
    CHECK_INT(skua_send_to(ends[1], "x", 1, NULL, SKUA_FOREVER), 1);
    CHECK_INT(skua_recv_from(ends[1], in, sizeof in, NULL, SKUA_FOREVER), -ECONNREFUSED);
    CHECK_INT(skua_recv_from(ends[1], in, sizeof in, NULL, SKUA_NOW), -EAGAIN);
    skua_close(ends[1]);
    CHECK_INT(skua_datagram_open(NULL, NULL, NULL), -EINVAL);
    return 0;
}

static void who_is_not_there_is_told(void **state)
{
    run(send_in_vain, NULL);
}

/* --- several --- */

enum { MANY = 150, BATCH = 32 };

static int exchange_many(void *arg)
{
    int ends[2];
    char out[MANY][8], in[BATCH][8];
    skua_datagram sent[MANY], came[BATCH];
    open_udp(ends);
    const skua_address sender = place_of(ends[1]);
    for (int i = 0; i < MANY; i++) {
        snprintf(out[i], sizeof out[i], "%d", i);
        sent[i] = (skua_datagram){.buffer = out[i], .bytes = strlen(out[i])};
    }
    int count = 0, next = 0;
    while (count < MANY) {
        const int put = skua_send_many(ends[1], sent + count, MANY - count, SKUA_FOREVER);
        CHECK(put > 0 && put <= SKUA_DATAGRAMS_MAX);
        count += put;
    }
    while (next < MANY) {
        for (int i = 0; i < BATCH; i++) {
            came[i] = (skua_datagram){.buffer = in[i], .bytes = 2}; /* too short for the last */
        }
        const int got = skua_recv_many(ends[0], came, BATCH, SKUA_FOREVER);
        CHECK(got > 0 && got <= BATCH);
        for (int i = 0; i < got; i++, next++) {
            const size_t length = strlen(out[next]);
            CHECK_INT(came[i].length, length);
            CHECK_INT(memcmp(in[i], out[next], length < 2 ? length : 2), 0);
            CHECK(skua_address_equal(&came[i].address, &sender));
        }
    }
    CHECK_INT(skua_recv_many(ends[0], came, BATCH, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_recv_many(ends[0], came, BATCH, skua_after(SKUA_US(100))), -ETIMEDOUT);
    CHECK_INT(skua_recv_many(ends[0], came, 0, SKUA_NOW), -EINVAL);
    CHECK_INT(skua_send_many(ends[1], sent, 0, SKUA_NOW), -EINVAL);
    close_both(ends);
    return 0;
}

/* covers: A72 */
static void several_go_at_once(void **state)
{
    run(exchange_many, NULL);
}

/* --- Unix --- */

struct receiver {
    int fd, count;
};

static int receive_all(void *arg)
{
    const struct receiver *receiver = arg;
    char in[8];
    for (int i = 0; i < receiver->count; i++) {
        int number = -1;
        CHECK_INT(skua_recv_from(receiver->fd, in, sizeof in, NULL, SKUA_FOREVER), sizeof number);
        memcpy(&number, in, sizeof number);
        CHECK_INT(number, i);
    }
    return 0;
}

enum { UNIX_COUNT = 400 };

/* The receiver's queue is full long before; no event says that it no longer is. */
static int overfill_unix(void *arg)
{
    const bool is_connected = arg != NULL;
    char name[64];
    const skua_address at = address_of(abstract_name(name, "datagram"));
    const int to = skua_datagram_open(&at, NULL, NULL);
    CHECK(to >= 0);
    CHECK_INT(skua_datagram_open(&at, NULL, NULL), -EADDRINUSE);
    const skua_address own = address_of(abstract_name(name, "sender"));
    const int from = skua_datagram_open(&own, is_connected ? &at : NULL, NULL);
    CHECK(from >= 0);
    const skua_address *const where = is_connected ? NULL : &at;
    int sent = 0;
    ssize_t put;
    while ((put = skua_send_to(from, &sent, sizeof sent, where, SKUA_NOW)) > 0) {
        sent++;
    }
    CHECK_INT(put, -EAGAIN);
    CHECK_INT(skua_send_to(from, &sent, sizeof sent, where, skua_after(SKUA_MS(3))), -ETIMEDOUT);
    const skua_datagram one = {
        .buffer = &sent, .bytes = sizeof sent, .address = is_connected ? (skua_address){0} : at};
    CHECK_INT(skua_send_many(from, &one, 1, SKUA_NOW), -EAGAIN);
    struct receiver receiver = {.fd = to, .count = UNIX_COUNT};
    skua_task *task = spawn(receive_all, &receiver);
    for (; sent < UNIX_COUNT; sent++) {
        if (sent % 2 == 0) {
            CHECK_INT(skua_send_to(from, &sent, sizeof sent, where, SKUA_FOREVER), sizeof sent);
        } else {
            CHECK_INT(skua_send_many(from, &one, 1, SKUA_FOREVER), 1);
        }
    }
    CHECK_INT(join(task), 0);
    skua_close(to);
    CHECK_INT(skua_send_to(from, "x", 1, where, SKUA_FOREVER), -ECONNREFUSED);
    skua_close(from);
    return 0;
}

static void a_full_receiver_is_waited_for(void **state)
{
    run(overfill_unix, NULL);
    run(overfill_unix, (void *)1);
}

static int use_path(void *arg)
{
    char path[64], text[SKUA_ADDRESS_TEXT_BYTES], in[8];
    skua_address from;
    const skua_address at = address_of(socket_path(path, "datagram"));
    int to = skua_datagram_open(&at, NULL, NULL);
    CHECK(to >= 0);
    CHECK_INT(skua_datagram_open(&at, NULL, NULL), -EADDRINUSE);
    skua_close(to);
    to = skua_datagram_open(&at, NULL, NULL); /* stale */
    CHECK(to >= 0);
    const int sender = skua_datagram_open(NULL, &at, NULL);
    CHECK(sender >= 0);
    CHECK_INT(skua_write(sender, "abc", 3, SKUA_FOREVER), 3);
    CHECK_INT(skua_recv_from(to, in, sizeof in, &from, SKUA_FOREVER), 3);
    CHECK_INT(skua_address_port(&from), 0);
    skua_address_text(&from, text, sizeof text);
    CHECK(strcmp(text, "(none)") == 0 || strcmp(text, "(unnamed)") == 0);
    skua_close(to);
    skua_close(sender);
    CHECK_INT(unlink(path), 0);
    return 0;
}

static void unix_datagrams_have_paths(void **state)
{
    run(use_path, NULL);
}

static void *send_on_thread(void *arg)
{
    int *ends = arg;
    char in[8];
    CHECK_INT(skua_send_to(ends[1], "thread", 6, NULL, SKUA_FOREVER), 6);
    CHECK_INT(skua_recv_from(ends[1], in, sizeof in, NULL, SKUA_FOREVER), 2);
    return NULL;
}

static int talk_to_thread(void *arg)
{
    int ends[2];
    char in[8];
    skua_address from;
    pthread_t thread;
    open_udp(ends);
    CHECK_INT(pthread_create(&thread, NULL, send_on_thread, ends), 0);
    CHECK_INT(skua_recv_from(ends[0], in, sizeof in, &from, SKUA_FOREVER), 6);
    CHECK_INT(skua_send_to(ends[0], "ok", 2, &from, SKUA_FOREVER), 2);
    CHECK_INT(pthread_join(thread, NULL), 0);
    close_both(ends);
    return 0;
}

static void foreign_threads_send_datagrams(void **state)
{
    run(talk_to_thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(datagrams_of_every_length_arrive), TEST(what_is_cut_is_told),
        TEST(who_is_not_there_is_told),         TEST(several_go_at_once),
        TEST(a_full_receiver_is_waited_for),    TEST(unix_datagrams_have_paths),
        TEST(foreign_threads_send_datagrams),
    };
    return TEST_RUN(tests);
}
