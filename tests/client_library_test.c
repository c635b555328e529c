/* Libraries that know nothing of Skua: one that does not block and says what its fd waits for, one
   that blocks, and one that calls back from a thread of its own. Their server is made of tasks. */
#define _GNU_SOURCE 1
#include "tasks.h"

#include <fcntl.h>
#include <pthread.h>
#include <skua/skua.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 3, QUERIES = 40, ROWS = 5 };

/* --- the server: "rows N\n" is answered by "row 1\n" to "row N\n" and "end\n" */

static skua_server server;
static skua_address place;
static atomic_int connected, connected_peak;

static int answer_all(skua_reader *reader, skua_writer *writer)
{
    skua_view line;
    int status;
    while ((status = skua_reader_line(reader, &line, SKUA_FOREVER)) == 1) {
        CHECK(line.bytes > 5 && memcmp(line.data, "rows ", 5) == 0);
        const int count = atoi(line.data + 5);
        for (int row = 1; row <= count && status >= 0; row++) {
            status = skua_writer_printf(writer, SKUA_FOREVER, "row %d\n", row);
        }
        if (status >= 0) {
            status = skua_writer_printf(writer, SKUA_FOREVER, "end\n");
        }
        if (status < 0 || (status = skua_writer_flush(writer, SKUA_FOREVER)) < 0) {
            break;
        }
    }
    return status;
}

static int serve_queries(skua_client *client)
{
    const int now = atomic_fetch_add(&connected, 1) + 1;
    int most = atomic_load(&connected_peak);
    while (most < now && !atomic_compare_exchange_weak(&connected_peak, &most, now)) {}
    skua_reader reader = {0};
    skua_writer writer = {0};
    CHECK_INT(skua_reader_open(&reader, skua_fd_transport(client->fd), NULL), 0);
    CHECK_INT(skua_writer_open(&writer, skua_fd_transport(client->fd), NULL), 0);
    const int status = answer_all(&reader, &writer);
    skua_writer_discard(&writer);
    skua_reader_close(&reader);
    atomic_fetch_sub(&connected, 1);
    return status;
}

static int run_server(void *arg)
{
    return skua_serve(&server, *(int *)arg, serve_queries, NULL, NULL);
}

/* Runs the body while the server serves. */
static void with_server(void (*body)(void))
{
    int listener = skua_tcp_listen("127.0.0.1:0", NULL);
    CHECK(listener >= 0);
    CHECK_INT(skua_local_address(listener, &place), 0);
    memset(&server, 0, sizeof server);
    atomic_store(&connected_peak, 0);
    skua_task *task = spawn(run_server, &listener);
    body();
    skua_server_stop(&server, SKUA_FOREVER);
    CHECK_INT(finish(task), 0);
}

/* --- a library that does not block ------------------------------------------------------------ */

enum want { DONE, WANTS_TO_READ, WANTS_TO_WRITE };

/* What such a library keeps of a connection; its fd is its own. */
struct session {
    int fd;
    char out[32];
    size_t out_bytes;
    char in[256];
    size_t in_bytes;
};

static struct session *session_begin(void)
{
    struct session *session = calloc(1, sizeof *session);
    CHECK(session != NULL);
    session->fd = socket(place.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(session->fd >= 0);
    CHECK(connect(session->fd, &place.any, place.bytes) == 0 || errno == EINPROGRESS);
    return session;
}

static void session_end(struct session *session)
{
    CHECK_INT(close(session->fd), 0);
    free(session);
}

static void session_query(struct session *session, int rows)
{
    session->in_bytes = 0;
    session->out_bytes = (size_t)snprintf(session->out, sizeof session->out, "rows %d\n", rows);
}

/* Goes on as far as it can without waiting. */
static enum want session_step(struct session *session)
{
    if (session->out_bytes > 0) {
        const ssize_t sent = send(session->fd, session->out, session->out_bytes, MSG_NOSIGNAL);
        if (sent < 0) {
            CHECK(errno == EAGAIN || errno == ENOTCONN);
            return WANTS_TO_WRITE;
        }
        session->out_bytes -= (size_t)sent;
        memmove(session->out, session->out + sent, session->out_bytes);
        return session->out_bytes > 0 ? WANTS_TO_WRITE : WANTS_TO_READ;
    }
    const ssize_t got = recv(session->fd, session->in + session->in_bytes,
                             sizeof session->in - 1 - session->in_bytes, 0);
    if (got < 0) {
        CHECK_INT(errno, EAGAIN);
        return WANTS_TO_READ;
    }
    CHECK(got > 0);
    session->in_bytes += (size_t)got;
    session->in[session->in_bytes] = 0;
    return strstr(session->in, "end\n") != NULL ? DONE : WANTS_TO_READ;
}

/* --- and how it is plugged in ----------------------------------------------------------------- */

static int open_session(void **out, void *arg)
{
    struct session *session = session_begin();
    int got = skua_wait_fd(session->fd, SKUA_WRITABLE, SKUA_FOREVER);
    if (got < 0) {
        session_end(session);
        return got;
    }
    *out = session;
    return 0;
}

static void close_session(void *session, void *arg)
{
    session_end(session);
}

static int fetch(struct session *session, int rows)
{
    session_query(session, rows);
    for (;;) {
        const enum want want = session_step(session);
        if (want == DONE) {
            return 0;
        }
        const int got = skua_wait_fd(
            session->fd, want == WANTS_TO_READ ? SKUA_READABLE : SKUA_WRITABLE, SKUA_FOREVER);
        if (got < 0) {
            return got;
        }
    }
}

static void check_rows(const char *text, int rows)
{
    char want[256] = "";
    for (int row = 1; row <= rows; row++) {
        snprintf(want + strlen(want), sizeof want - strlen(want), "row %d\n", row);
    }
    strcat(want, "end\n");
    CHECK_STR(text, want);
}

static skua_conn_pool *pool;

static int query_by_pool(void *arg)
{
    void *thing = NULL;
    const int rows = 1 + *(const int *)arg % ROWS;
    int status = skua_conn_pool_acquire(pool, &thing, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    struct session *session = thing;
    status = fetch(session, rows);
    if (status < 0) {
        skua_conn_pool_discard(pool, session);
        return status;
    }
    check_rows(session->in, rows);
    skua_conn_pool_release(pool, session);
    return 0;
}

static void query_together(void)
{
    int numbers[QUERIES];
    skua_conn_pool_counts counts;
    const skua_conn_pool_opts opts = {
        .open = open_session, .close = close_session, .open_max = CONNECTIONS};
    for (int i = 0; i < QUERIES; i++) {
        numbers[i] = i;
    }
    CHECK_INT(skua_conn_pool_create(&pool, &opts), 0);
    CHECK_INT(skua_map(query_by_pool, numbers, sizeof numbers[0], QUERIES, NULL), 0);
    skua_conn_pool_count(pool, &counts);
    CHECK_INT(counts.acquired, QUERIES);
    CHECK(counts.opened >= 1 && counts.opened <= CONNECTIONS);
    CHECK(atomic_load(&connected_peak) <= CONNECTIONS);
    CHECK_INT(skua_conn_pool_close(pool, SKUA_FOREVER), 0);
    skua_conn_pool_destroy(pool);
}

static int pool_sessions(void *arg)
{
    with_server(query_together);
    return 0;
}

/* covers: A81 A82 */
static void sessions_of_a_client_library_are_pooled(void **state)
{
    run_on_1_2_4(pool_sessions);
}

static int fetch_one(void *arg)
{
    return fetch(arg, 1);
}

/* Nobody answers what is asked there: only the cancel ends it. */
static int cut_off(void *arg)
{
    int ends[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    struct session session = {.fd = ends[0]};
    skua_task *task = spawn(fetch_one, &session);
    char asked[7];
    for (size_t got = 0; got < sizeof asked;) {
        CHECK_INT(skua_wait_fd(ends[1], SKUA_READABLE, SKUA_FOREVER), SKUA_READABLE);
        const ssize_t part = read(ends[1], asked + got, sizeof asked - got);
        CHECK(part > 0);
        got += (size_t)part;
    }
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    CHECK_INT(close(ends[0]), 0);
    CHECK_INT(close(ends[1]), 0);
    return 0;
}

/* covers: A82 */
static void a_query_of_a_client_library_can_be_cancelled(void **state)
{
    run_on_1_2_4(cut_off);
}

/* --- a library that blocks -------------------------------------------------------------------- */

static int query_and_block(void *arg)
{
    const int rows = 1 + *(const int *)arg % ROWS;
    struct session *session = session_begin();
    CHECK_INT(fcntl(session->fd, F_SETFL, 0), 0); /* each call waits from now on */
    struct timeval patience = {.tv_sec = 20};
    CHECK_INT(setsockopt(session->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    session_query(session, rows);
    enum want want;
    while ((want = session_step(session)) != DONE) {
        CHECK(want == WANTS_TO_READ);
    }
    check_rows(session->in, rows);
    session_end(session);
    return 0;
}

static int query_on_a_thread(void *arg)
{
    return skua_blocking(query_and_block, arg, SKUA_FOREVER);
}

static void query_blocking(void)
{
    int numbers[ROWS] = {0, 1, 2, 3, 4};
    CHECK_INT(skua_map(query_on_a_thread, numbers, sizeof numbers[0], ROWS, NULL), 0);
}

static int block_on_threads(void *arg)
{
    with_server(query_blocking);
    return 0;
}

/* On one worker nobody could answer if that one were blocked. */
/* covers: A84 A69 */
static void a_library_that_blocks_gets_threads(void **state)
{
    run_on_1_2_4(block_on_threads);
}

/* --- a library with a thread ------------------------------------------------------------------ */

/* Calls back once for each number, and goes. */
struct notifier {
    pthread_t thread;
    void (*notify)(int number, void *arg);
    void *arg;
};

static void *notify_all(void *arg)
{
    const struct notifier *notifier = arg;
    for (int number = 1; number <= QUERIES; number++) {
        notifier->notify(number, notifier->arg);
    }
    return NULL;
}

static void pass_on(int number, void *chan)
{
    CHECK_INT(skua_chan_send(chan, &number, sizeof number, SKUA_FOREVER), 0);
}

static int hear_a_thread(void *arg)
{
    skua_chan *chan = NULL;
    CHECK_INT(skua_chan_create(&chan, sizeof(int), 2), 0);
    struct notifier notifier = {.notify = pass_on, .arg = chan};
    CHECK_INT(pthread_create(&notifier.thread, NULL, notify_all, &notifier), 0);
    for (int want = 1; want <= QUERIES; want++) {
        int number = 0;
        CHECK_INT(skua_chan_recv(chan, SKUA_ITEM(number), SKUA_FOREVER), 1);
        CHECK_INT(number, want);
    }
    CHECK_INT(pthread_join(notifier.thread, NULL), 0);
    skua_chan_release(chan, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

/* covers: A84 */
static void a_library_with_a_thread_calls_back_through_a_channel(void **state)
{
    run_on_1_2_4(hear_a_thread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sessions_of_a_client_library_are_pooled),
        TEST(a_query_of_a_client_library_can_be_cancelled),
        TEST(a_library_that_blocks_gets_threads),
        TEST(a_library_with_a_thread_calls_back_through_a_channel),
    };
    return TEST_RUN(tests);
}
