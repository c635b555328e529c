/* What openssl s_client and s_server talk to in tls_peers_test.sh.

     tls_peer server CHAIN KEY [CLIENTS' CA]   sends back lines until "quit", to one visitor
     tls_peer client PORT CA HOST [CHAIN]      sends lines to `s_server -rev`, which reverses them

   Prints what was agreed upon, or what was wrong. */
#include <netinet/in.h>
#include <skua/skua.h>
#include <skua/tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES = 2000, LINE_BYTES = 300 };

#define SOON skua_after(SKUA_SEC(30))

static const char *const protocols[] = {"skua/2", "skua/1", NULL};
static char **words;

static int loopback(int port, struct sockaddr_in *address)
{
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int status = fd < 0 ? -errno : skua_fd_adopt(fd);
    return status < 0 ? status : fd;
}

static int accept_one(void)
{
    struct sockaddr_in address;
    socklen_t bytes = sizeof address;
    int listener = loopback(0, &address);
    if (listener < 0) {
        return listener;
    }
    if (bind(listener, (struct sockaddr *)&address, bytes) != 0 || listen(listener, 8) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &bytes) != 0) {
        skua_close(listener);
        return -errno;
    }
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    int fd = skua_accept(listener, NULL, NULL, SOON);
    skua_close(listener);
    return fd;
}

static int connect_to(int port)
{
    struct sockaddr_in address;
    int fd = loopback(port, &address);
    int status = fd < 0 ? fd : skua_connect(fd, (struct sockaddr *)&address, sizeof address, SOON);
    if (status < 0 && fd >= 0) {
        skua_close(fd);
    }
    return status < 0 ? status : fd;
}

static int agree(skua_tls *tls)
{
    int status = skua_tls_handshake(tls, SOON);
    if (status < 0) {
        printf("%s: %s\n", skua_error_text(status), skua_tls_error(tls));
    } else {
        printf("%s %s %s\n", skua_tls_version(tls), skua_tls_alpn(tls), skua_tls_peer_subject(tls));
    }
    return status;
}

static int echo(skua_reader *reader, skua_writer *writer)
{
    skua_view line;
    int status;
    while ((status = skua_reader_line(reader, &line, SOON)) > 0) {
        if (line.bytes == 4 && memcmp(line.data, "quit", 4) == 0) {
            return skua_writer_end(writer, SOON);
        }
        status = skua_writer_printf(writer, SOON, "%.*s\n", (int)line.bytes, line.data);
        if (status < 0) {
            return status;
        }
    }
    return status < 0 ? status : -ENODATA;
}

static int send_lines(void *arg)
{
    skua_writer *writer = arg;
    int status = 0;
    for (int i = 0; i < LINES && status == 0; i++) {
        status = skua_writer_printf(writer, SOON, "%0*d\n", 1 + i % LINE_BYTES, i % 10);
    }
    status = status < 0 ? status : skua_writer_printf(writer, SOON, "CLOSE\n");
    return status < 0 ? status : skua_writer_flush(writer, SOON);
}

/* What s_server sends back: the same numbers, the last digit first. */
static int check_lines(skua_reader *reader)
{
    skua_view line;
    for (int i = 0; i < LINES; i++) {
        int status = skua_reader_line(reader, &line, SOON);
        if (status <= 0) {
            return status < 0 ? status : -ENODATA;
        }
        const bool is_same =
            line.bytes == (size_t)(1 + i % LINE_BYTES) && line.data[0] == '0' + i % 10;
        if (!is_same) {
            return -EBADMSG;
        }
    }
    return skua_reader_at_end(reader, SOON) == 1 ? 0 : -EBADMSG;
}

static int ask(skua_reader *reader, skua_writer *writer)
{
    skua_task *task;
    int status = skua_spawn(&task, send_lines, writer, NULL);
    if (status < 0) {
        return status;
    }
    status = check_lines(reader);
    int sent = 0;
    int joined = skua_join(task, &sent, SOON);
    skua_task_release(task);
    return status < 0 ? status : joined < 0 ? joined : sent;
}

static int talk(skua_tls *tls, int (*how)(skua_reader *reader, skua_writer *writer))
{
    skua_reader reader = {0};
    skua_writer writer = {0};
    int status = agree(tls);
    if (status == 0) {
        status = skua_reader_open(&reader, skua_tls_transport(tls), NULL);
    }
    if (status == 0) {
        status = skua_writer_open(&writer, skua_tls_transport(tls), NULL);
    }
    if (status == 0) {
        status = how(&reader, &writer);
        printf("end: %s\n", status == 0 ? "well" : skua_error_text(status));
    }
    skua_writer_discard(&writer);
    skua_reader_close(&reader);
    skua_tls_close(tls);
    return 0;
}

static int serve(skua_tls_config *config)
{
    skua_tls *tls;
    int fd = accept_one();
    int status = fd < 0 ? fd : skua_tls_server(&tls, config, skua_fd_transport(fd));
    return status < 0 ? status : talk(tls, echo);
}

static int visit(skua_tls_config *config)
{
    skua_tls *tls;
    int fd = connect_to(atoi(words[2]));
    int status = fd < 0 ? fd : skua_tls_client(&tls, config, skua_fd_transport(fd), words[4]);
    return status < 0 ? status : talk(tls, ask);
}

static int program(void *arg)
{
    const bool is_server = strcmp(words[1], "server") == 0;
    char why[200] = "";
    skua_tls_opts opts = {.alpn = protocols, .error = why, .error_bytes = sizeof why};
    skua_tls_config *config;
    if (is_server) {
        opts.chain_file = words[2];
        opts.key_file = words[3];
        opts.ca_file = words[4];
        opts.clients = words[4] != NULL ? SKUA_TLS_REQUIRE : SKUA_TLS_ANONYMOUS;
    } else {
        opts.ca_file = words[3];
        opts.chain_file = words[5];
    }
    int status = is_server ? skua_tls_server_config(&config, &opts, SOON)
                           : skua_tls_client_config(&config, &opts, SOON);
    if (status < 0) {
        printf("configuration: %s\n", why);
        return status;
    }
    status = is_server ? serve(config) : visit(config);
    skua_tls_config_destroy(config);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        return EXIT_FAILURE;
    }
    words = argv;
    return skua_run(NULL, program, NULL) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
