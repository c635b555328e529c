/* TLS: handshakes, what is wrong with certificates and in what words, protocols on top, half-close
   and truncation; deadlines and cancels in the middle of everything. Both
   sides are ours here; strangers are met in tls_peers_test.sh. */
#define _GNU_SOURCE 1
#include "ext/tls/connection.h"
#include "tls_help.h"

#include "mem/forked.h"

#include <pthread.h>
#include <skua/tls.h>
#include <sys/wait.h>

/* --- what works ------------------------------------------------------------------------------- */

static int talk(void *arg)
{
    static const char *const both[] = {"skua/2", "skua/1", NULL};
    static const char *const old[] = {"http/1.1", "skua/1", NULL};
    struct pair pair = {.client_opts.alpn = both, .server_opts.alpn = old};
    open_pair_of_tls(&pair);
    CHECK_INT(skua_tls_write(pair.client, "x", 1, SOON), -ENOTCONN);
    CHECK_STR(skua_tls_version(pair.client), "");
    shake(&pair);
    CHECK_INT(pair.client_status, 0);
    CHECK_INT(pair.server_status, 0);
    CHECK_INT(skua_tls_handshake(pair.client, SOON), 0); /* again: nothing */
    CHECK_STR(skua_tls_alpn(pair.client), "skua/1");
    CHECK_STR(skua_tls_alpn(pair.server), "skua/1");
    CHECK_STR(skua_tls_version(pair.client), "TLSv1.3");
    CHECK_STR(skua_tls_peer_subject(pair.client), "CN=the server");
    CHECK_STR(skua_tls_peer_issuer(pair.client), "CN=Skua CA");
    CHECK_STR(skua_tls_peer_subject(pair.server), "");
    send_text(pair.client, "hello");
    get_text(pair.server, "hello");
    send_text(pair.server, "world");
    char byte;
    CHECK_INT(skua_tls_read(pair.client, &byte, 0, SOON), 0);
    CHECK_INT(skua_tls_write(pair.client, &byte, 0, SOON), 0);
    get_text(pair.client, "world");
    CHECK_INT(skua_tls_read(pair.client, &byte, 1, SKUA_NOW), -EAGAIN);
    close_pair(&pair);
    skua_tls_close(NULL);
    return 0;
}

/* covers: A72 */
static void two_sides_agree_and_talk(void **state)
{
    run_on_all(talk, NULL);
}

static int end_in_halves(void *arg)
{
    struct pair pair = {0};
    char byte;
    connect_pair(&pair);
    send_text(pair.client, "question");
    CHECK_INT(skua_tls_close_write(pair.client, SOON), 0);
    CHECK_INT(skua_tls_close_write(pair.client, SOON), 0);
    CHECK_INT(skua_tls_write(pair.client, "x", 1, SOON), -EPIPE);
    get_text(pair.server, "question");
    CHECK_INT(skua_tls_read(pair.server, &byte, 1, SOON), 0);
    CHECK_INT(skua_tls_read(pair.server, &byte, 1, SOON), 0);
    send_text(pair.server, "answer"); /* the other direction goes on */
    get_text(pair.client, "answer");
    CHECK_INT(skua_tls_close_write(pair.server, SOON), 0);
    CHECK_INT(skua_tls_read(pair.client, &byte, 1, SOON), 0);
    close_pair(&pair);
    return 0;
}

static void each_direction_ends_by_itself(void **state)
{
    run_on_all(end_in_halves, NULL);
}

static int cut_off(void *arg)
{
    struct pair pair = {0};
    char byte;
    connect_pair(&pair);
    send_text(pair.client, "half a mess");
    /* Takes in the tickets for another session; a socket with unread bytes is reset. */
    CHECK_INT(skua_tls_read(pair.client, &byte, 1, SKUA_NOW), -EAGAIN);
    skua_tls_close(pair.client); /* without a word */
    get_text(pair.server, "half a mess");
    CHECK_INT(skua_tls_read(pair.server, &byte, 1, SOON), -ECONNABORTED);
    CHECK_INT(skua_tls_read(pair.server, &byte, 1, SOON), -ECONNABORTED);
    CHECK_STR(skua_tls_error(pair.server), "the connection was cut off");
    skua_tls_close(pair.server);
    open_pair_of_tls(&pair);
    skua_tls_close(pair.client);
    CHECK_INT(skua_tls_handshake(pair.server, SOON), -ECONNABORTED);
    skua_tls_close(pair.server);
    return 0;
}

static void a_truncated_stream_is_no_end(void **state)
{
    run_on_all(cut_off, NULL);
}

static int update_keys(void *arg)
{
    struct pair pair = {0};
    connect_pair(&pair);
    for (int i = 0; i < 20; i++) {
        skua_tls *asks = i % 2 ? pair.client : pair.server;
        CHECK_INT(SSL_key_update(asks->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        send_text(asks, "new key"); /* with the update in front; the answer comes with a write */
        get_text(i % 2 ? pair.server : pair.client, "new key");
        send_text(i % 2 ? pair.server : pair.client, "mine, too");
        get_text(asks, "mine, too");
    }
    close_pair(&pair);
    return 0;
}

static void keys_are_updated_on_the_way(void **state)
{
    run_on_all(update_keys, NULL);
}

/* --- what does not ---------------------------------------------------------------------------- */

static void is_refused(struct pair *pair, int client, const char *client_says, int server,
                       const char *server_says)
{
    open_pair_of_tls(pair);
    shake(pair);
    CHECK_STR(skua_tls_error(pair->client), client_says);
    CHECK_INT(pair->client_status, client);
    CHECK_STR(skua_tls_error(pair->server), server_says);
    CHECK_INT(pair->server_status, server);
    CHECK_INT(skua_tls_handshake(pair->client, SOON), client); /* once and for all */
    CHECK_INT(skua_tls_write(pair->client, "x", 1, SOON), client);
    close_pair(pair);
}

static int refuse(void *arg)
{
    struct pair expired = {.server_opts.chain_file = in_folder("expired.pem")};
    is_refused(&expired, -EKEYREJECTED, "the peer's certificate: certificate has expired",
               -EKEYREJECTED, "the peer says: sslv3 alert certificate expired");
    struct pair elsewhere = {.server_opts.chain_file = in_folder("elsewhere.pem")};
    is_refused(&elsewhere, -EKEYREJECTED, "the peer's certificate: hostname mismatch",
               -EKEYREJECTED, "the peer says: sslv3 alert bad certificate");
    struct pair foreign = {.server_opts.chain_file = in_folder("foreign.pem")};
    is_refused(&foreign, -EKEYREJECTED,
               "the peer's certificate: unable to get local issuer certificate", -EKEYREJECTED,
               "the peer says: tlsv1 alert unknown ca");
    struct pair selfmade = {.server_opts.chain_file = in_folder("other.pem")};
    is_refused(&selfmade, -EKEYREJECTED, "the peer's certificate: self-signed certificate",
               -EKEYREJECTED, "the peer says: tlsv1 alert unknown ca");
    struct pair address = {.host = "127.0.0.2"};
    is_refused(&address, -EKEYREJECTED, "the peer's certificate: IP address mismatch",
               -EKEYREJECTED, "the peer says: sslv3 alert bad certificate");
    return 0;
}

static void wrong_certificates_are_refused_in_words(void **state)
{
    run_on_all(refuse, NULL);
}

static int accept_hosts(void *arg)
{
    static const char *const hosts[] = {"skua.test", "SKUA.test", "a.wild.test", "127.0.0.1",
                                        "::1"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct pair pair = {.host = hosts[i]};
        connect_pair(&pair);
        close_pair(&pair);
    }
    struct pair unverified = {.host = "nobody.test",
                              .client_opts.is_unverified = true,
                              .server_opts.chain_file = in_folder("foreign.pem")};
    connect_pair(&unverified);
    close_pair(&unverified);
    return 0;
}

static void names_and_addresses_are_matched(void **state)
{
    run_on_all(accept_hosts, NULL);
}

static int disagree(void *arg)
{
    static const char *const ours[] = {"a", NULL}, *const theirs[] = {"b", NULL};
    struct pair alpn = {.client_opts.alpn = ours, .server_opts.alpn = theirs};
    is_refused(&alpn, -EPROTO, "the peer says: tlsv1 alert no application protocol", -EPROTO,
               "no application protocol");
    struct pair silent = {.server_opts.alpn = theirs};
    connect_pair(&silent);
    CHECK_STR(skua_tls_alpn(silent.server), "");
    close_pair(&silent);
    struct pair pair = {0};
    open_pair_of_tls(&pair);
    CHECK_INT(write(pair.ends[0], "GET / HTTP/1.1\r\n\r\n", 18), 18);
    CHECK_INT(skua_tls_handshake(pair.server, SOON), -EPROTO);
    CHECK_STR(skua_tls_error(pair.server), "http request");
    close_pair(&pair);
    return 0;
}

static void who_has_nothing_in_common_is_told(void **state)
{
    run_on_all(disagree, NULL);
}

static int ask_clients(void *arg)
{
    struct pair known = {
        .server_opts = {.clients = SKUA_TLS_REQUIRE, .ca_file = in_folder("ca.pem")},
        .client_opts = {.chain_file = in_folder("client.pem"),
                        .key_file = in_folder("client.key")}};
    connect_pair(&known);
    CHECK_STR(skua_tls_peer_subject(known.server), "CN=the client");
    close_pair(&known);
    struct pair asked = {.server_opts = {.clients = SKUA_TLS_ASK, .ca_file = in_folder("ca.pem")}};
    connect_pair(&asked);
    close_pair(&asked);
    struct pair nobody = {
        .server_opts = {.clients = SKUA_TLS_REQUIRE, .ca_file = in_folder("ca.pem")}};
    open_pair_of_tls(&nobody);
    shake(&nobody);
    CHECK_INT(nobody.client_status, 0); /* in 1.3 the client is through before it is looked at */
    CHECK_INT(nobody.server_status, -EKEYREJECTED);
    CHECK_STR(skua_tls_error(nobody.server), "peer did not return a certificate");
    char byte;
    CHECK_INT(skua_tls_read(nobody.client, &byte, 1, SOON), -EKEYREJECTED);
    CHECK_STR(skua_tls_error(nobody.client), "the peer says: tlsv13 alert certificate required");
    close_pair(&nobody);
    return 0;
}

static void servers_may_want_certificates_too(void **state)
{
    run_on_all(ask_clients, NULL);
}

static void is_bad(bool is_server, const skua_tls_opts *opts, int want, const char *want_text)
{
    skua_tls_config *config = NULL;
    char text[256] = "";
    skua_tls_opts told = *opts;
    told.error = text;
    told.error_bytes = sizeof text;
    CHECK_INT(is_server ? skua_tls_server_config(&config, &told, SOON)
                        : skua_tls_client_config(&config, &told, SOON),
              want);
    CHECK(config == NULL);
    if (strstr(text, want_text) == NULL) {
        CHECK_STR(text, want_text);
    }
}

static int configure_badly(void *arg)
{
    static const char *const empty[] = {"", NULL};
    is_bad(true, &(skua_tls_opts){0}, -EINVAL, "chain_file: no certificate is given");
    is_bad(true, &(skua_tls_opts){.chain_file = "/nowhere.pem"}, -ENOENT,
           "/nowhere.pem: No such file");
    is_bad(true,
           &(skua_tls_opts){.chain_file = in_folder("server.pem"),
                            .key_file = in_folder("client.key")},
           -EINVAL, "key values mismatch");
    is_bad(true, &(skua_tls_opts){.chain_file = in_folder("server.key")}, -EINVAL, "no start line");
    is_bad(true,
           &(skua_tls_opts){.chain_file = in_folder("server.pem"), .clients = SKUA_TLS_REQUIRE},
           -EINVAL, "ca_file: a server that verifies needs it");
    is_bad(false, &(skua_tls_opts){.ca_file = "/nowhere.pem"}, -ENOENT, "/nowhere.pem: ");
    is_bad(false, &(skua_tls_opts){.key_file = in_folder("server.key")}, -EINVAL, "chain_file: ");
    is_bad(false, &(skua_tls_opts){.alpn = empty, .ca_file = in_folder("ca.pem")}, -EINVAL,
           "alpn: an empty name");
    skua_tls_config *client = client_config(&(skua_tls_opts){0}); /* whom the system trusts */
    skua_tls *tls = NULL;
    CHECK_INT(skua_tls_client(&tls, client, skua_fd_transport(-1), NULL), -EINVAL);
    CHECK_INT(skua_tls_server(&tls, client, skua_fd_transport(-1)), -EINVAL);
    CHECK(tls == NULL);
    skua_tls_config_destroy(client);
    skua_tls_config_destroy(NULL);
    return 0;
}

static void bad_configurations_are_explained(void **state)
{
    const skua_config config = {.workers = 2}; /* reads what the system trusts, which takes long */
    CHECK_INT(skua_run(&config, configure_badly, NULL), 0);
}

/* --- disturbed -------------------------------------------------------------------------------- */

struct call {
    skua_tls *tls;
    skua_time deadline;
    char text[64];
};

static int shake_one(void *arg)
{
    struct call *call = arg;
    return skua_tls_handshake(call->tls, call->deadline);
}

static int read_one(void *arg)
{
    struct call *call = arg;
    return (int)skua_tls_read(call->tls, call->text, sizeof call->text - 1, call->deadline);
}

static skua_task *park(skua_fn fn, struct call *call, int fd)
{
    skua_task *task = spawn(fn, call);
    while (!has_waiter(fd, 0)) {
        skua_yield();
    }
    return task;
}

/* Both sides go on by SKUA_NOW only, so each message of the handshake finds the other one gone; and
   in between there are cancels and deadlines. */
static int disturb_handshake(void *arg)
{
    struct pair pair = {0};
    open_pair_of_tls(&pair);
    struct call client = {.tls = pair.client, .deadline = SKUA_FOREVER};
    skua_task *task = park(shake_one, &client, pair.ends[0]);
    char byte;
    CHECK_INT(skua_tls_read(pair.client, &byte, 1, SOON), -EBUSY);
    CHECK_INT(skua_tls_flush(pair.client, SOON), -EBUSY);
    skua_task_cancel(task);
    CHECK_INT(join(task), -ECANCELED);
    CHECK_INT(skua_tls_handshake(pair.client, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    CHECK_STR(skua_tls_error(pair.client), "");
    int status[2] = {-EAGAIN, -EAGAIN};
    for (int i = 0; i < 10 && (status[0] < 0 || status[1] < 0); i++) {
        skua_tls *tls = i % 2 == 0 ? pair.server : pair.client;
        status[i % 2] = skua_tls_handshake(tls, SKUA_NOW);
        CHECK(status[i % 2] == 0 || status[i % 2] == -EAGAIN);
    }
    CHECK_INT(status[0], 0);
    CHECK_INT(status[1], 0);
    send_text(pair.client, "in spite of all");
    get_text(pair.server, "in spite of all");
    close_pair(&pair);
    return 0;
}

static void a_handshake_goes_on_where_it_was(void **state)
{
    run_on_all(disturb_handshake, NULL);
}

static int disturb_reads(void *arg)
{
    struct pair pair = {0};
    connect_pair(&pair);
    struct call call = {.tls = pair.server};
    char byte;
    for (int i = 0; i < 20; i++) {
        CHECK_INT(skua_tls_read(pair.server, &byte, 1, skua_after(SKUA_US(100))), -ETIMEDOUT);
        skua_task *task = park(read_one, &call, pair.ends[1]);
        CHECK_INT(skua_tls_read(pair.server, &byte, 1, SOON), -EBUSY);
        send_text(pair.server, "meanwhile"); /* writing goes on */
        get_text(pair.client, "meanwhile");
        skua_task_cancel(task);
        CHECK_INT(join(task), -ECANCELED);
    }
    skua_task *task = park(read_one, &call, pair.ends[1]);
    send_text(pair.client, "at last");
    CHECK_INT(join(task), 7);
    CHECK_STR(call.text, "at last");
    task = park(read_one, &call, pair.ends[1]);
    skua_tls_close(pair.server); /* under the reader */
    CHECK_INT(join(task), -EBADF);
    skua_tls_close(pair.client);
    return 0;
}

static void reads_end_by_deadline_cancel_and_close(void **state)
{
    run_on_all(disturb_reads, NULL);
}

static int fill_up(void *arg)
{
    static char data[100000];
    struct pair pair = {0};
    connect_pair(&pair);
    size_t taken = 0, got = 0;
    ssize_t put = 0;
    while ((put = skua_tls_write(pair.client, data, sizeof data, SKUA_NOW)) > 0) {
        taken += (size_t)put; /* the last of it stands in the connection */
    }
    CHECK_INT(put, -EAGAIN);
    CHECK_INT(skua_tls_flush(pair.client, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_tls_flush(pair.client, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    CHECK_INT(skua_tls_close_write(pair.client, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    skua_scope scope = {{0}};
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_scope_cancel(&scope);
    CHECK_INT(skua_tls_write(pair.client, data, 1, SOON), -ECANCELED);
    CHECK_INT(skua_scope_close(&scope, 0), 0);
    while (got < taken) {
        put = skua_tls_read(pair.server, data, sizeof data, SKUA_NOW);
        if (put == -EAGAIN) {
            CHECK_INT(skua_tls_flush(pair.client, SOON), 0);
            continue;
        }
        CHECK(put > 0);
        got += (size_t)put;
    }
    CHECK_INT(got, taken);
    CHECK_INT(skua_tls_close_write(pair.client, SOON), 0);
    CHECK_INT(skua_tls_read(pair.server, data, 1, SOON), 0);
    skua_tls_close(pair.server);
    CHECK_INT(skua_tls_read(pair.client, data, 1, SOON), -ECONNABORTED);
    skua_tls_close(pair.client);
    return 0;
}

static void what_was_taken_goes_out_later(void **state)
{
    run_on_all(fill_up, NULL);
}

/* --- elsewhere -------------------------------------------------------------------------------- */

static void *serve_on_thread(void *arg)
{
    skua_tls *tls = arg;
    char text[5];
    CHECK_INT(skua_tls_handshake(tls, SOON), 0);
    CHECK_INT(skua_tls_read(tls, text, sizeof text, SOON), 5);
    CHECK_INT(skua_tls_write(tls, text, 5, SOON), 5);
    return NULL;
}

static void foreign_threads_may_use_it(void **state)
{
    int ends[2];
    pthread_t thread;
    skua_tls *client = NULL, *server = NULL;
    skua_tls_config *to_connect = client_config(&(skua_tls_opts){.ca_file = in_folder("ca.pem")});
    skua_tls_config *to_serve =
        server_config(&(skua_tls_opts){.chain_file = in_folder("server.pem")});
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    CHECK_INT(skua_tls_client(&client, to_connect, skua_fd_transport(ends[0]), "skua.test"), 0);
    CHECK_INT(skua_tls_server(&server, to_serve, skua_fd_transport(ends[1])), 0);
    CHECK_INT(pthread_create(&thread, NULL, serve_on_thread, server), 0);
    CHECK_INT(skua_tls_handshake(client, SOON), 0);
    send_text(client, "hello");
    get_text(client, "hello");
    CHECK_INT(pthread_join(thread, NULL), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        const bool is_told =
            skua_tls_read(client, &byte, 1, SOON) == -ESHUTDOWN &&
            skua_tls_write(client, "x", 1, SOON) == -ESHUTDOWN &&
            skua_tls_handshake(server, SOON) == -ESHUTDOWN &&
            skua_tls_server(&server, to_serve, skua_fd_transport(0)) == -ESHUTDOWN &&
            skua_tls_client_config(&to_connect, NULL, SOON) == -ESHUTDOWN;
        skua_tls_close(client);
        _exit(is_told ? 0 : 1);
    }
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    skua_tls_config_destroy(to_connect);
    skua_tls_config_destroy(to_serve);
    skua_tls_close(client);
    skua_tls_close(server);
}

/* As many as a server has that reads its certificate anew every day: more than the 127 kinds of BIO
   that OpenSSL gives to a process. */
static int make_many_configs(void *arg)
{
    struct pair pair = {.host = NULL};
    for (int i = 0; i < 140; i++) {
        skua_tls_config_destroy(client_config(&(skua_tls_opts){.ca_file = in_folder("ca.pem")}));
    }
    connect_pair(&pair);
    send_text(pair.client, "hello");
    close_pair(&pair);
    return 0;
}

static void configurations_do_not_run_out(void **state)
{
    const skua_config config = {.workers = 2};
    CHECK_INT(skua_run(&config, make_many_configs, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_sides_agree_and_talk),
        TEST(each_direction_ends_by_itself),
        TEST(a_truncated_stream_is_no_end),
        TEST(keys_are_updated_on_the_way),
        TEST(wrong_certificates_are_refused_in_words),
        TEST(names_and_addresses_are_matched),
        TEST(who_has_nothing_in_common_is_told),
        TEST(servers_may_want_certificates_too),
        TEST(bad_configurations_are_explained),
        TEST(configurations_do_not_run_out),
        TEST(a_handshake_goes_on_where_it_was),
        TEST(reads_end_by_deadline_cancel_and_close),
        TEST(what_was_taken_goes_out_later),
        TEST(foreign_threads_may_use_it),
    };
    make_folder();
    int failed = TEST_RUN(tests);
    remove_folder();
    return failed;
}
