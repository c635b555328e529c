/* TLS with much to do: readers and writers on both sides at once, many connections, and a transport
   that moves a few bytes at a time under deadlines of microseconds. */
#define _GNU_SOURCE 1
#include "tls_help.h"

/* --- much and many ---------------------------------------------------------------------------- */

enum { MUCH_BYTES = 1000 * 1000 / TEST_SCALE, CONNECTIONS = 24, MESSAGES = 40 / TEST_SCALE };

struct much {
    skua_tls *tls;
    const char *data;
    size_t bytes;
};

static int write_much(void *arg)
{
    const struct much *much = arg;
    skua_writer writer;
    int status = skua_writer_open(&writer, skua_tls_transport(much->tls), NULL);
    uint64_t random = test_seed();
    for (size_t at = 0; status == 0 && at < much->bytes;) {
        size_t bytes = test_random(&random) % (test_random(&random) % 3 ? 500 : 50000);
        bytes = bytes < much->bytes - at ? bytes : much->bytes - at;
        status = skua_writer_write(&writer, much->data + at, bytes, NULL, SOON);
        at += bytes;
    }
    status = status == 0 ? skua_writer_end(&writer, SOON) : status;
    skua_writer_discard(&writer);
    return status;
}

static int read_much(void *arg)
{
    const struct much *much = arg;
    char *got = malloc(much->bytes);
    skua_reader reader;
    CHECK_INT(skua_reader_open(&reader, skua_tls_transport(much->tls), NULL), 0);
    CHECK_INT(skua_reader_exact(&reader, got, much->bytes, NULL, SOON), 1);
    CHECK_INT(memcmp(got, much->data, much->bytes), 0);
    CHECK_INT(skua_reader_at_end(&reader, SOON), 1);
    skua_reader_close(&reader);
    free(got);
    return 0;
}

/* Four tasks on one connection: each side reads and writes at once. */
static int exchange_much(void *arg)
{
    struct pair pair = {0};
    skua_task *tasks[4];
    uint64_t random = test_seed();
    char *data = malloc(MUCH_BYTES);
    for (size_t i = 0; i < MUCH_BYTES; i++) {
        data[i] = (char)test_random(&random);
    }
    connect_pair(&pair);
    struct much client = {.tls = pair.client, .data = data, .bytes = MUCH_BYTES};
    struct much server = {.tls = pair.server, .data = data, .bytes = MUCH_BYTES};
    tasks[0] = spawn(write_much, &client);
    tasks[1] = spawn(write_much, &server);
    tasks[2] = spawn(read_much, &client);
    tasks[3] = spawn(read_much, &server);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(join(tasks[i]), 0);
    }
    skua_transport_close(skua_tls_transport(pair.client));
    skua_transport_close(skua_tls_transport(pair.server));
    free(data);
    return 0;
}

static void both_sides_read_and_write_at_once(void **state)
{
    run_on_all(exchange_much, NULL);
}

struct many {
    skua_tls_config *client, *server;
    int ends[2];
};

static int serve_one(void *arg)
{
    const struct many *many = arg;
    skua_tls *tls = NULL;
    skua_reader reader;
    skua_view line;
    CHECK_INT(skua_tls_server(&tls, many->server, skua_fd_transport(many->ends[1])), 0);
    CHECK_INT(skua_tls_handshake(tls, SOON), 0);
    CHECK_INT(skua_reader_open(&reader, skua_tls_transport(tls), NULL), 0);
    int status = 0;
    while ((status = skua_reader_line(&reader, &line, SOON)) > 0) {
        char answer[64];
        const int bytes =
            snprintf(answer, sizeof answer, "you said %.*s\n", (int)line.bytes, line.data);
        CHECK_INT(skua_tls_write(tls, answer, (size_t)bytes, SOON), bytes);
    }
    CHECK_INT(status, 0);
    CHECK_INT(skua_tls_close_write(tls, SOON), 0);
    skua_reader_close(&reader);
    skua_tls_close(tls);
    return 0;
}

static int ask_one(void *arg)
{
    const struct many *many = arg;
    skua_tls *tls = NULL;
    skua_reader reader;
    skua_writer writer;
    skua_view line;
    char want[64];
    CHECK_INT(skua_tls_client(&tls, many->client, skua_fd_transport(many->ends[0]), "skua.test"),
              0);
    CHECK_INT(skua_tls_handshake(tls, SOON), 0);
    CHECK_INT(skua_reader_open(&reader, skua_tls_transport(tls), NULL), 0);
    CHECK_INT(skua_writer_open(&writer, skua_tls_transport(tls), NULL), 0);
    for (int i = 0; i < MESSAGES; i++) {
        CHECK_INT(skua_writer_printf(&writer, SOON, "message %d\n", i), 0);
        CHECK_INT(skua_writer_flush(&writer, SOON), 0);
        CHECK_INT(skua_reader_line(&reader, &line, SOON), 1);
        const int bytes = snprintf(want, sizeof want, "you said message %d", i);
        CHECK_INT(line.bytes, bytes);
        CHECK_INT(memcmp(line.data, want, line.bytes), 0);
    }
    CHECK_INT(skua_writer_end(&writer, SOON), 0);
    CHECK_INT(skua_reader_at_end(&reader, SOON), 1);
    CHECK_INT(skua_writer_close(&writer, SOON), 0);
    skua_reader_close(&reader);
    skua_tls_close(tls);
    return 0;
}

static int serve_many(void *arg)
{
    static struct many many[CONNECTIONS];
    skua_task *tasks[2 * CONNECTIONS];
    skua_tls_config *client = client_config(&(skua_tls_opts){.ca_file = in_folder("ca.pem")});
    skua_tls_config *server =
        server_config(&(skua_tls_opts){.chain_file = in_folder("server.pem")});
    for (int i = 0; i < CONNECTIONS; i++) {
        many[i].client = client;
        many[i].server = server;
        open_pair(many[i].ends);
        tasks[2 * i] = spawn(serve_one, &many[i]);
        tasks[2 * i + 1] = spawn(ask_one, &many[i]);
    }
    for (int i = 0; i < 2 * CONNECTIONS; i++) {
        CHECK_INT(join(tasks[i]), 0);
    }
    skua_tls_config_destroy(client);
    skua_tls_config_destroy(server);
    return 0;
}

static void many_connections_share_a_configuration(void **state)
{
    run_on_all(serve_many, NULL);
}

/* --- in pieces -------------------------------------------------------------------------------- */

enum { CHOPPED_BYTES = 60000 / TEST_SCALE };

/* An fd that moves a few bytes at a time. */
struct chopped {
    int fd;
    uint64_t reads, writes; /* the states of two random streams */
};

static ssize_t chopped_read(void *object, void *buffer, size_t bytes, skua_time deadline)
{
    struct chopped *chopped = object;
    const size_t most = 1 + test_random(&chopped->reads) % 700;
    return skua_read(chopped->fd, buffer, bytes < most ? bytes : most, deadline);
}

static ssize_t chopped_write(void *object, const struct iovec *parts, size_t count,
                             skua_time deadline)
{
    struct chopped *chopped = object;
    const size_t most = 1 + test_random(&chopped->writes) % 700;
    return skua_write(chopped->fd, parts->iov_base, parts->iov_len < most ? parts->iov_len : most,
                      deadline);
}

static void chopped_close(void *object)
{
    skua_close(((struct chopped *)object)->fd);
}

static const skua_transport_ops chopped_ops = {
    .read = chopped_read, .write = chopped_write, .close = chopped_close};

/* One side of such a connection; every call has some microseconds, and is repeated. */
struct hasty {
    skua_tls *tls;
    const char *data;
    uint64_t reads, writes;
};

static skua_time soon(uint64_t *random)
{
    return test_random(random) % 4 == 0 ? SKUA_NOW : skua_after(SKUA_US(test_random(random) % 300));
}

static bool was_late(ssize_t status)
{
    if (status == -EAGAIN) {
        skua_yield();
    }
    return status == -EAGAIN || status == -ETIMEDOUT;
}

static int write_hastily(void *arg)
{
    struct hasty *hasty = arg;
    int status = 0;
    for (size_t at = 0; at < CHOPPED_BYTES;) {
        size_t bytes = 1 + test_random(&hasty->writes) % 20000;
        bytes = bytes < CHOPPED_BYTES - at ? bytes : CHOPPED_BYTES - at;
        ssize_t put = skua_tls_write(hasty->tls, hasty->data + at, bytes, soon(&hasty->writes));
        CHECK(put > 0 || was_late(put));
        at += put > 0 ? (size_t)put : 0;
    }
    while (was_late(status = skua_tls_close_write(hasty->tls, soon(&hasty->writes)))) {}
    return status;
}

static int read_hastily(void *arg)
{
    struct hasty *hasty = arg;
    char buffer[3000];
    int status = 0;
    while (was_late(status = skua_tls_handshake(hasty->tls, soon(&hasty->reads)))) {}
    CHECK_INT(status, 0);
    skua_task *writer = spawn(write_hastily, hasty);
    for (size_t at = 0;;) {
        const size_t bytes = 1 + test_random(&hasty->reads) % sizeof buffer;
        ssize_t got = skua_tls_read(hasty->tls, buffer, bytes, soon(&hasty->reads));
        if (got == 0) {
            CHECK_INT(at, CHOPPED_BYTES);
            return join(writer);
        }
        CHECK(got > 0 || was_late(got));
        CHECK(got < 0 || memcmp(buffer, hasty->data + at, (size_t)got) == 0);
        at += got > 0 ? (size_t)got : 0;
    }
}

static int hurry(void *arg)
{
    static uint64_t random; /* goes on from round to round */
    struct chopped chopped[2];
    struct hasty hasty[2];
    skua_task *tasks[2];
    int ends[2];
    random = random == 0 ? test_seed() : random;
    char *data = malloc(CHOPPED_BYTES);
    for (size_t i = 0; i < CHOPPED_BYTES; i++) {
        data[i] = (char)test_random(&random);
    }
    skua_tls_config *client = client_config(&(skua_tls_opts){.ca_file = in_folder("ca.pem")});
    skua_tls_config *server =
        server_config(&(skua_tls_opts){.chain_file = in_folder("server.pem")});
    open_pair(ends);
    for (int i = 0; i < 2; i++) {
        chopped[i] = (struct chopped){ends[i], test_random(&random), test_random(&random)};
        hasty[i] = (struct hasty){NULL, data, test_random(&random), test_random(&random)};
        const skua_transport transport = {.ops = &chopped_ops, .object = &chopped[i]};
        CHECK_INT(i == 0 ? skua_tls_client(&hasty[i].tls, client, transport, "skua.test")
                         : skua_tls_server(&hasty[i].tls, server, transport),
                  0);
    }
    for (int i = 0; i < 2; i++) {
        tasks[i] = spawn(read_hastily, &hasty[i]);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_INT(join(tasks[i]), 0);
    }
    skua_tls_close(hasty[0].tls);
    skua_tls_close(hasty[1].tls);
    skua_tls_config_destroy(client);
    skua_tls_config_destroy(server);
    free(data);
    return 0;
}

static void no_deadline_costs_a_byte(void **state)
{
    run_on_all(hurry, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_sides_read_and_write_at_once),
        TEST(many_connections_share_a_configuration),
        TEST(no_deadline_costs_a_byte),
    };
    make_folder();
    int failed = TEST_RUN(tests);
    remove_folder();
    return failed;
}
