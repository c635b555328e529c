/* Servers: connections that are served, limited, let finish and cut off; handlers that fail; a
   process that runs out of file descriptors. */
#define _GNU_SOURCE 1
#include "tasks.h"

#include <pthread.h>
#include <skua/skua.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { CLIENTS = 20 };

/* A server in a task of its own. */
static struct {
    skua_server server;
    skua_address at;
    skua_serve_fn handler;
    const skua_serve_opts *opts;
    skua_task *task;
} host;

static gate entered, finish_now, ended;
static atomic_int inside, peak, failures, shortages, recoveries, last_status;

static int listen_somewhere(skua_address *at)
{
    const int listener = skua_tcp_listen("127.0.0.1:0", NULL);
    CHECK(listener >= 0);
    CHECK_INT(skua_local_address(listener, at), 0);
    return listener;
}

static int connect_to(const skua_address *at)
{
    const int fd = skua_tcp_connect_to(at, NULL, SKUA_FOREVER);
    CHECK(fd >= 0);
    return fd;
}

static int run_server(void *arg)
{
    const int listener = listen_somewhere(&host.at);
    atomic_store(&entered, 0);
    return skua_serve(&host.server, listener, host.handler, &host, host.opts);
}

/* Listening when this returns. */
static void begin(skua_serve_fn handler, const skua_serve_opts *opts)
{
    memset(&host, 0, sizeof host);
    host.handler = handler;
    host.opts = opts;
    entered = finish_now = ended = 0;
    atomic_store(&inside, 0);
    atomic_store(&peak, 0);
    atomic_store(&failures, 0);
    atomic_store(&shortages, 0);
    atomic_store(&recoveries, 0);
    atomic_store(&entered, -1);
    host.task = spawn(run_server, NULL);
    await(&entered, 0);
}

static int end(void)
{
    return finish(host.task);
}

static skua_server_counts counts(void)
{
    skua_server_counts now;
    skua_server_count(&host.server, &now);
    return now;
}

static void count_in(void)
{
    const int now = atomic_fetch_add(&inside, 1) + 1;
    int most = atomic_load(&peak);
    while (most < now && !atomic_compare_exchange_weak(&peak, &most, now)) {}
    atomic_fetch_add(&entered, 1);
}

/* --- handlers --------------------------------------------------------------------------------- */

static int echo(skua_client *client)
{
    char buffer[64];
    ssize_t got;
    skua_address peer;
    CHECK_PTR(client->arg, &host);
    CHECK_INT(skua_peer_address(client->fd, &peer), 0);
    CHECK(skua_address_equal(&peer, &client->peer));
    while ((got = skua_read(client->fd, buffer, sizeof buffer, SKUA_FOREVER)) > 0) {
        const int status = skua_write_all(client->fd, buffer, (size_t)got, NULL, SKUA_FOREVER);
        if (status < 0) {
            return status;
        }
    }
    return (int)got;
}

/* Holds its connection until it is told not to, or cut off. */
static int hold(skua_client *client)
{
    int status = 0;
    count_in();
    while (status == 0 && atomic_load(&finish_now) == 0) {
        status = skua_yield();
    }
    atomic_fetch_sub(&inside, 1);
    atomic_fetch_add(&ended, 1);
    return status;
}

static int fail_as_told(skua_client *client)
{
    int status = 0;
    const ssize_t got = skua_read(client->fd, &status, sizeof status, SKUA_FOREVER);
    CHECK_INT(got, sizeof status);
    return status;
}

static void note_event(skua_serve_event event, int status, const skua_address *peer, void *arg)
{
    CHECK_PTR(arg, &host);
    CHECK((peer != NULL) == (event == SKUA_SERVE_FAILED));
    atomic_store(&last_status, status);
    atomic_fetch_add(event == SKUA_SERVE_FAILED      ? &failures
                     : event == SKUA_SERVE_EXHAUSTED ? &shortages
                                                     : &recoveries,
                     1);
}

/* The other side has closed, or reset. */
static void expect_end(int fd)
{
    char byte;
    const ssize_t got = skua_read(fd, &byte, 1, SKUA_FOREVER);
    CHECK(got == 0 || got == -ECONNRESET);
    skua_close(fd);
}

/* --- serving ---------------------------------------------------------------------------------- */

static int talk(void *arg)
{
    char text[16];
    const int fd = connect_to(&host.at);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(skua_write(fd, "hello", 5, SKUA_FOREVER), 5);
        size_t got = 0;
        while (got < 5) {
            const ssize_t part = skua_read(fd, text + got, sizeof text - got, SKUA_FOREVER);
            CHECK(part > 0);
            got += (size_t)part;
        }
        CHECK(memcmp(text, "hello", 5) == 0);
    }
    skua_close(fd);
    return 0;
}

static int serve_echo(void *arg)
{
    skua_task *tasks[CLIENTS];
    const int fds = test_fds();
    begin(echo, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        tasks[i] = spawn(talk, NULL);
    }
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    skua_server_stop(&host.server, SKUA_FOREVER);
    CHECK_INT(end(), 0);
    CHECK_INT(counts().accepted, CLIENTS);
    CHECK_INT(counts().connections, 0);
    CHECK_INT(counts().failed, 0);
    CHECK(test_fds() <= fds + 3); /* what the runtime itself has opened meanwhile */
    return 0;
}

/* covers: A72 */
static void each_connection_has_a_task(void **state)
{
    const int fds = test_fds();
    run_on_1_2_4(serve_echo);
    CHECK_INT(test_fds(), fds);
}

static int serve_few(void *arg)
{
    static const skua_serve_opts opts = {.connections_max = 3};
    int clients[CLIENTS];
    begin(hold, &opts);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = connect_to(&host.at); /* the line takes them in */
    }
    await(&entered, 3);
    for (int i = 0; i < 100; i++) {
        skua_yield();
    }
    CHECK_INT(atomic_load(&entered), 3);
    CHECK_INT(counts().accepted, 3);
    atomic_store(&finish_now, 1);
    await(&ended, CLIENTS);
    CHECK(atomic_load(&peak) <= 3);
    for (int i = 0; i < CLIENTS; i++) {
        expect_end(clients[i]);
    }
    skua_server_stop(&host.server, SKUA_FOREVER);
    return end();
}

static void at_the_limit_it_stops_accepting(void **state)
{
    run_on_1_2_4(serve_few);
}

/* --- stopping --------------------------------------------------------------------------------- */

/* Whether connections are refused by now. */
static bool is_refused(void)
{
    const int fd = skua_tcp_connect_to(&host.at, NULL, SKUA_FOREVER);
    if (fd >= 0) {
        skua_close(fd);
    }
    return fd == -ECONNREFUSED;
}

static int finish_in_peace(void *arg)
{
    begin(hold, NULL);
    const int client = connect_to(&host.at);
    await(&entered, 1);
    skua_server_stop(&host.server, SKUA_FOREVER);
    while (!is_refused()) {
        skua_yield();
    }
    CHECK_INT(skua_join(host.task, NULL, SKUA_NOW), -EAGAIN);
    CHECK_INT(atomic_load(&ended), 0);
    atomic_store(&finish_now, 1);
    CHECK_INT(end(), 0);
    expect_end(client);
    return 0;
}

/* covers: A44 */
static void a_stop_lets_connections_finish(void **state)
{
    run_on_1_2_4(finish_in_peace);
}

static int cut_off(void *arg)
{
    begin(hold, NULL);
    const int client = connect_to(&host.at);
    await(&entered, 1);
    skua_server_stop(&host.server, SKUA_FOREVER);
    skua_server_stop(&host.server, skua_after(SKUA_SEC(1000)));
    skua_server_stop(&host.server, arg != NULL ? SKUA_NOW : skua_after(SKUA_MS(5)));
    CHECK_INT(end(), 0);
    CHECK_INT(atomic_load(&ended), 1);
    expect_end(client);

    begin(echo, NULL); /* waits in a read */
    const int other = connect_to(&host.at);
    while (counts().connections == 0) {
        skua_yield();
    }
    skua_server_stop(&host.server, skua_after(SKUA_MS(1)));
    CHECK_INT(end(), 0);
    expect_end(other);
    return 0;
}

static int cut_off_now(void *arg)
{
    return cut_off(&host);
}

/* covers: A44 */
static void at_the_end_of_the_drain_they_are_cut_off(void **state)
{
    run_on_1_2_4(cut_off);
    run_on_1_2_4(cut_off_now);
}

static int stop_too_early(void *arg)
{
    skua_server server = {{0}};
    skua_address at;
    skua_server_stop(&server, SKUA_FOREVER);
    CHECK_INT(skua_serve(&server, listen_somewhere(&at), echo, NULL, NULL), 0);
    CHECK_INT(skua_tcp_connect_to(&at, NULL, SKUA_FOREVER), -ECONNREFUSED);
    return 0;
}

static void a_stop_may_come_first(void **state)
{
    run_on(1, stop_too_early);
}

static int cancel_server(void *arg)
{
    begin(hold, NULL);
    const int client = connect_to(&host.at);
    await(&entered, 1);
    skua_task_cancel(host.task);
    CHECK_INT(end(), -ECANCELED);
    expect_end(client);
    CHECK(is_refused());
    return 0;
}

static void a_cancel_reaches_all_connections(void **state)
{
    run_on_1_2_4(cancel_server);
}

static void *drain_from_outside(void *arg)
{
    skua_drain(arg, skua_after(SKUA_SEC(1000)));
    return NULL;
}

static int drain_runtime(void *arg)
{
    pthread_t thread;
    begin(hold, NULL);
    const int client = connect_to(&host.at);
    await(&entered, 1);
    CHECK_INT(pthread_create(&thread, NULL, drain_from_outside, skua_runtime_current()), 0);
    while (!is_refused()) {
        skua_yield();
    }
    atomic_store(&finish_now, 1);
    CHECK_INT(end(), 0);
    expect_end(client);
    CHECK_INT(pthread_join(thread, NULL), 0);
    return 0;
}

/* covers: A44 */
static void a_runtime_that_drains_stops_it(void **state)
{
    run_on_1_2_4(drain_runtime);
}

/* --- what goes wrong -------------------------------------------------------------------------- */

static void make_fail(int status)
{
    const uint64_t before = counts().failed;
    const int fd = connect_to(&host.at);
    CHECK_INT(skua_write(fd, &status, sizeof status, SKUA_FOREVER), sizeof status);
    expect_end(fd);
    while (status < 0 && counts().failed == before) {
        skua_yield();
    }
}

static int fail_with_hook(void *arg)
{
    static const skua_serve_opts opts = {.on_event = note_event};
    begin(fail_as_told, &opts);
    make_fail(-EIO);
    await(&failures, 1);
    CHECK_INT(atomic_load(&last_status), -EIO);
    make_fail(0);
    make_fail(7);
    make_fail(-EPIPE);
    await(&failures, 2);
    CHECK_INT(atomic_load(&last_status), -EPIPE);
    CHECK_INT(counts().accepted, 4);
    skua_server_stop(&host.server, SKUA_FOREVER);
    return end();
}

static int fail_without_hook(void *arg)
{
    begin(fail_as_told, NULL);
    make_fail(-EIO);
    make_fail(-EPIPE);
    make_fail(-ECONNRESET);
    make_fail(-ENOTCONN);
    skua_server_stop(&host.server, SKUA_FOREVER);
    return end();
}

static void the_failure_of_one_is_its_own(void **state)
{
    struct said said;
    run_on_1_2_4(fail_with_hook);
    said_begin(&said);
    run_on(2, fail_without_hook);
    const char *text = said_end(&said);
    CHECK_INT(count_of(text, "connection"), 1);
    CHECK_INT(count_of(text, "Input/output error"), count_of(text, "failed"));
}

static int keep_fd(skua_client *client)
{
    atomic_store(&ended, client->fd);
    client->fd = -1;
    return 0;
}

static int take_over(void *arg)
{
    begin(keep_fd, NULL);
    const int client = connect_to(&host.at);
    await(&ended, 1);
    skua_server_stop(&host.server, SKUA_FOREVER);
    CHECK_INT(end(), 0);
    const int ours = atomic_load(&ended);
    CHECK_INT(skua_write(ours, "x", 1, SKUA_FOREVER), 1);
    skua_close(ours);
    char byte = 0;
    CHECK_INT(skua_read(client, &byte, 1, SKUA_FOREVER), 1);
    skua_close(client);
    return 0;
}

static void a_handler_may_keep_its_connection(void **state)
{
    run_on_1_2_4(take_over);
}

/* So many more fds may be opened; returns the limit that was there. */
static struct rlimit allow_fds(int more)
{
    struct rlimit before, now;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    now = before;
    const int lowest = dup(STDERR_FILENO); /* all below are taken */
    CHECK(lowest >= 0);
    close(lowest);
    now.rlim_cur = (rlim_t)(lowest + more);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &now), 0);
    return before;
}

enum { TOO_MANY = 4 };

static int run_short(void *arg)
{
    static const skua_serve_opts opts = {.on_event = note_event};
    int plain[TOO_MANY]; /* to be there before */
    begin(hold, &opts);
    for (int i = 0; i < TOO_MANY; i++) {
        plain[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(plain[i] >= 0);
    }
    const struct rlimit before = allow_fds(1);
    for (int i = 0; i < TOO_MANY; i++) {
        CHECK_INT(connect(plain[i], &host.at.any, host.at.bytes), 0);
    }
    await(&shortages, 1);
    CHECK_INT(atomic_load(&last_status), -EMFILE);
    CHECK_INT(counts().accepted, 1);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(150))), 0); /* several tries, told once */
    CHECK_INT(atomic_load(&shortages), 1);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    await(&entered, TOO_MANY);
    CHECK_INT(atomic_load(&recoveries), 1);
    CHECK_INT(counts().exhausted, 1);
    atomic_store(&finish_now, 1);
    skua_server_stop(&host.server, SKUA_FOREVER);
    CHECK_INT(end(), 0);
    for (int i = 0; i < TOO_MANY; i++) {
        close(plain[i]);
    }
    return 0;
}

static void without_file_descriptors_it_waits_and_recovers(void **state)
{
    run_on(2, run_short);
}

enum { FEW_TASKS = 4 };

static int run_out_of_tasks(void *arg)
{
    static const skua_serve_opts opts = {.on_event = note_event};
    int clients[FEW_TASKS];
    begin(hold, &opts);
    for (int i = 0; i < FEW_TASKS; i++) {
        clients[i] = connect_to(&host.at);
    }
    await(&shortages, 1);
    CHECK_INT(atomic_load(&last_status), -EAGAIN);
    CHECK(counts().connections < FEW_TASKS);
    atomic_store(&finish_now, 1);
    await(&ended, FEW_TASKS);
    skua_server_stop(&host.server, SKUA_FOREVER);
    CHECK_INT(end(), 0);
    for (int i = 0; i < FEW_TASKS; i++) {
        expect_end(clients[i]);
    }
    CHECK_INT(counts().exhausted, atomic_load(&shortages));
    return 0;
}

static void without_tasks_it_keeps_what_it_has_accepted(void **state)
{
    const skua_config config = {.workers = 2, .max_tasks = FEW_TASKS};
    CHECK_INT(skua_run(&config, run_out_of_tasks, NULL), 0);
}

static int misuse(void *arg)
{
    skua_address at;
    int ends[2];
    begin(hold, NULL);
    const int listener = listen_somewhere(&at);
    CHECK_INT(skua_serve(NULL, listener, NULL, NULL, NULL), -EINVAL);
    CHECK_INT(skua_serve(&host.server, listener, echo, NULL, NULL), -EINVAL); /* it serves */
    skua_close(listener);
    CHECK_INT(skua_serve(NULL, listener, echo, NULL, NULL), -EBADF);
    CHECK_INT(skua_socket_pair(ends, SOCK_STREAM), 0);
    CHECK_INT(skua_serve(NULL, ends[0], echo, NULL, NULL), -EINVAL); /* does not listen */
    skua_close(ends[0]);
    skua_close(ends[1]);
    skua_server_stop(&host.server, SKUA_FOREVER);
    return end();
}

static void bad_input_is_refused(void **state)
{
    run_on(1, misuse);
    CHECK_INT(skua_serve(NULL, 0, echo, NULL, NULL), -EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_connection_has_a_task),
        TEST(at_the_limit_it_stops_accepting),
        TEST(a_stop_lets_connections_finish),
        TEST(at_the_end_of_the_drain_they_are_cut_off),
        TEST(a_stop_may_come_first),
        TEST(a_cancel_reaches_all_connections),
        TEST(a_runtime_that_drains_stops_it),
        TEST(the_failure_of_one_is_its_own),
        TEST(a_handler_may_keep_its_connection),
        TEST(without_file_descriptors_it_waits_and_recovers),
        TEST(without_tasks_it_keeps_what_it_has_accepted),
        TEST(bad_input_is_refused),
    };
    return TEST_RUN(tests);
}
