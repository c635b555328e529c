/* A server, names and a pool of connections under load: tasks that ask by name over pooled
   connections of a real server, handlers that hang up, cancels and deadlines at any moment, pools
   that are renewed and resized meanwhile, and servers that are stopped under it all. Whatever
   happens, each answer belongs to its question, and in the end every fd is closed. The rounds go on
   for SKUA_STRESS_SECONDS. */
#include "../tasks.h"

#include <skua/skua.h>

enum { ASKERS = 12, QUESTIONS = 20, OPEN_MAX = 4 };

typedef struct round_ {
    skua_server server;
    int listener;
    uint16_t port;
    skua_conn_pool *pool;
    uint64_t seed;
    atomic_int opened, closed, answered;
} round_;

typedef struct asker {
    round_ *all;
    uint64_t random;
} asker;

static uint32_t below(uint64_t *random, uint32_t bound)
{
    return (uint32_t)(test_random(random) % bound);
}

/* --- the server ------------------------------------------------------------------------------- */

/* Sends back what comes, four bytes at a time, and hangs up now and then. */
static int answer(skua_client *client)
{
    uint64_t random = (uintptr_t)client ^ (uint64_t)client->fd;
    uint32_t question = 0;
    size_t got = 0;
    for (;;) {
        const ssize_t part =
            skua_read(client->fd, (char *)&question + got, sizeof question - got, SKUA_FOREVER);
        if (part <= 0) {
            return (int)part;
        }
        got += (size_t)part;
        if (got < sizeof question) {
            continue;
        }
        got = 0;
        if (below(&random, 16) == 0) {
            return 0;
        }
        const int status =
            skua_write_all(client->fd, &question, sizeof question, NULL, SKUA_FOREVER);
        if (status < 0) {
            return status;
        }
    }
}

static void ignore_event(skua_serve_event event, int status, const skua_address *peer, void *arg) {}

static int serve(void *arg)
{
    round_ *all = arg;
    const skua_serve_opts opts = {.connections_max = OPEN_MAX + 2, .on_event = ignore_event};
    return skua_serve(&all->server, all->listener, answer, all, &opts);
}

/* --- those who ask -----------------------------------------------------------------------------
   */

static int look_up(const skua_question *question, skua_address addresses[], size_t capacity,
                   void *arg)
{
    CHECK_STR(question->host, "server.test");
    CHECK_INT(skua_address_parse("127.0.0.1:1", &addresses[0]), 0);
    return 1;
}

static int open_connection(void **out, void *arg)
{
    round_ *all = arg;
    char service[8];
    snprintf(service, sizeof service, "%u", all->port);
    const int fd = skua_tcp_connect("server.test", service, NULL, SKUA_FOREVER);
    if (fd < 0) {
        return fd;
    }
    atomic_fetch_add(&all->opened, 1);
    *out = (void *)(intptr_t)fd;
    return 0;
}

static void close_connection(void *connection, void *arg)
{
    atomic_fetch_add(&((round_ *)arg)->closed, 1);
    skua_close((int)(intptr_t)connection);
}

static bool is_quiet(void *connection, void *arg)
{
    return skua_wait_fd((int)(intptr_t)connection, SKUA_READABLE, SKUA_NOW) == -EAGAIN;
}

/* One question and its answer. < 0: the connection is of no use any more. */
static int exchange(int fd, uint32_t question, skua_time deadline)
{
    uint32_t got = 0;
    int status = skua_write_all(fd, &question, sizeof question, NULL, deadline);
    for (size_t done = 0; status == 0 && done < sizeof got;) {
        const ssize_t part = skua_read(fd, (char *)&got + done, sizeof got - done, deadline);
        status = part > 0 ? 0 : part == 0 ? -EPIPE : (int)part;
        done += part > 0 ? (size_t)part : 0;
    }
    CHECK(status < 0 || got == question);
    return status;
}

static int ask(void *arg)
{
    asker *self = arg;
    round_ *all = self->all;
    for (int i = 0; i < QUESTIONS; i++) {
        const skua_time deadline = below(&self->random, 3) == 0
                                       ? skua_after(SKUA_US(below(&self->random, 2000)))
                                       : SKUA_FOREVER;
        void *connection = NULL;
        int status = skua_conn_pool_acquire(all->pool, &connection, deadline);
        if (status == -ECANCELED) {
            return status;
        }
        if (status < 0) {
            continue;
        }
        status =
            exchange((int)(intptr_t)connection, (uint32_t)test_random(&self->random), deadline);
        if (status < 0) {
            skua_conn_pool_discard(all->pool, connection);
        } else {
            atomic_fetch_add(&all->answered, 1);
            skua_conn_pool_release(all->pool, connection);
        }
    }
    return 0;
}

/* --- rounds ----------------------------------------------------------------------------------- */

static void disturb(round_ *all, skua_task *tasks[], uint64_t *random)
{
    for (int i = 0; i < 6; i++) {
        (void)!skua_sleep(skua_after(SKUA_US(below(random, 500))));
        switch (below(random, 4)) {
        case 0:
            skua_conn_pool_renew(all->pool);
            break;
        case 1:
            CHECK_INT(skua_conn_pool_resize(all->pool, 1 + below(random, 2 * OPEN_MAX)), 0);
            break;
        case 2:
            skua_resolver_clear();
            break;
        default:
            skua_task_cancel(tasks[below(random, ASKERS)]);
            break;
        }
    }
    if (below(random, 2) == 0) {
        skua_server_stop(&all->server, skua_after(SKUA_US(below(random, 1000))));
    }
}

static int play(void *arg)
{
    static const skua_resolver_opts names = {.lookup = look_up, .hosts_path = ""};
    round_ *all = arg;
    asker askers[ASKERS];
    skua_task *tasks[ASKERS];
    skua_address at;
    const skua_conn_pool_opts opts = {.open = open_connection,
                                      .close = close_connection,
                                      .is_healthy = is_quiet,
                                      .arg = all,
                                      .open_max = OPEN_MAX,
                                      .idle_ns = SKUA_MS(1)};
    CHECK_INT(skua_resolver_setup(&names), 0);
    all->listener = skua_tcp_listen("127.0.0.1:0", NULL);
    CHECK(all->listener >= 0);
    CHECK_INT(skua_local_address(all->listener, &at), 0);
    all->port = skua_address_port(&at);
    CHECK_INT(skua_conn_pool_create(&all->pool, &opts), 0);
    skua_task *server = spawn(serve, all);
    for (int i = 0; i < ASKERS; i++) {
        askers[i] = (asker){.all = all, .random = test_random(&all->seed)};
        tasks[i] = spawn(ask, &askers[i]);
    }
    disturb(all, tasks, &all->seed);
    for (int i = 0; i < ASKERS; i++) {
        const int status = finish(tasks[i]);
        CHECK(status == 0 || status == -ECANCELED);
    }
    CHECK_INT(skua_conn_pool_close(all->pool, SKUA_FOREVER), 0);
    skua_conn_pool_destroy(all->pool);
    skua_server_stop(&all->server, SKUA_FOREVER);
    CHECK_INT(finish(server), 0);
    CHECK_INT(atomic_load(&all->opened), atomic_load(&all->closed));
    return 0;
}

/* covers: A81 */
static void every_answer_belongs_to_its_question(void **state)
{
    const skua_time end = skua_after(SKUA_SEC(1) * (int64_t)test_env("SKUA_STRESS_SECONDS", 6));
    uint64_t random = test_seed();
    const int fds = test_fds();
    int answered = 0;
    do {
        round_ all = {.seed = test_random(&random)};
        run_on_with(1u << below(&random, 3), play, &all);
        CHECK_INT(test_fds(), fds);
        answered += atomic_load(&all.answered);
    } while (skua_clock().ns < end.ns || answered == 0); /* a first round may be too slow */
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(every_answer_belongs_to_its_question)};
    return TEST_RUN(tests);
}
