/* tests/ext/tls_help.h: both sides of a connection over a pair of sockets. */
#ifndef SKUA_TESTS_EXT_TLS_HELP_H
#define SKUA_TESTS_EXT_TLS_HELP_H

#include "tls_certificates.h"

#include <skua/tls.h>

enum { WORKERS_MAX = 4 };

#define SOON skua_after(SKUA_SEC(30))

static inline void run_on_all(skua_fn fn, void *arg)
{
    for (uint32_t workers = 1; workers <= WORKERS_MAX; workers *= 2) {
        const skua_config config = {.workers = workers};
        const int fds = test_fds();
        CHECK_INT(skua_run(&config, fn, arg), 0);
        CHECK_INT(test_fds(), fds);
    }
}

/* --- both sides of a connection --------------------------------------------------------------- */

static inline skua_tls_config *client_config(const skua_tls_opts *opts)
{
    skua_tls_config *config = NULL;
    char why[128] = "";
    skua_tls_opts told = *opts;
    told.error = why;
    told.error_bytes = sizeof why;
    CHECK_INT(skua_tls_client_config(&config, &told, SOON), 0);
    CHECK_STR(why, "");
    return config;
}

static inline skua_tls_config *server_config(const skua_tls_opts *opts)
{
    skua_tls_config *config = NULL;
    char why[128] = "";
    skua_tls_opts told = *opts;
    told.error = why;
    told.error_bytes = sizeof why;
    CHECK_INT(skua_tls_server_config(&config, &told, SOON), 0);
    CHECK_STR(why, "");
    return config;
}

/* How both are set up, and what they got. */
struct pair {
    skua_tls_opts client_opts, server_opts;
    const char *host; /* whom the client wants */
    int ends[2];
    skua_tls *client, *server;
    int client_status, server_status;
};

static inline int serve_handshake(void *arg)
{
    struct pair *pair = arg;
    return skua_tls_handshake(pair->server, SOON);
}

static inline void open_pair_of_tls(struct pair *pair)
{
    const char *ca = strdup(in_folder("ca.pem")), *chain = strdup(in_folder("server.pem"));
    skua_tls_opts client = pair->client_opts, server = pair->server_opts;
    client.ca_file = client.ca_file != NULL ? client.ca_file : ca;
    server.chain_file = server.chain_file != NULL ? server.chain_file : chain;
    skua_tls_config *to_connect = client_config(&client), *to_serve = server_config(&server);
    const char *host = pair->host != NULL ? pair->host : "skua.test";
    open_pair(pair->ends);
    CHECK_INT(skua_tls_client(&pair->client, to_connect, skua_fd_transport(pair->ends[0]), host),
              0);
    CHECK_INT(skua_tls_server(&pair->server, to_serve, skua_fd_transport(pair->ends[1])), 0);
    skua_tls_config_destroy(to_connect); /* the connections keep what they need */
    skua_tls_config_destroy(to_serve);
    free((void *)(uintptr_t)ca);
    free((void *)(uintptr_t)chain);
}

static inline void shake(struct pair *pair)
{
    skua_task *task = spawn(serve_handshake, pair);
    pair->client_status = skua_tls_handshake(pair->client, SOON);
    if (pair->client_status < 0) {
        shutdown(pair->ends[0], SHUT_WR); /* whatever the server waits for */
    }
    pair->server_status = join(task);
}

static inline void connect_pair(struct pair *pair)
{
    open_pair_of_tls(pair);
    shake(pair);
    CHECK_STR(skua_tls_error(pair->client), "");
    CHECK_STR(skua_tls_error(pair->server), "");
    CHECK_INT(pair->client_status, 0);
    CHECK_INT(pair->server_status, 0);
}

static inline void close_pair(struct pair *pair)
{
    skua_tls_close(pair->client);
    skua_tls_close(pair->server);
}

static inline void send_text(skua_tls *tls, const char *text)
{
    CHECK_INT(skua_tls_write(tls, text, strlen(text), SOON), strlen(text));
}

static inline void get_text(skua_tls *tls, const char *text)
{
    char buffer[256];
    CHECK_INT(skua_tls_read(tls, buffer, sizeof buffer, SOON), strlen(text));
    CHECK_INT(memcmp(buffer, text, strlen(text)), 0);
}

#endif
