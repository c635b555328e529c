/* The examples of docs/guide/tls.md. */
#include <skua/skua.h>
#include <skua/tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const skua_tls_opts trust = {.ca_file = "guide_tls.pem"};
static const skua_tls_opts prove = {.chain_file = "guide_tls.pem"};

/* What both sides of a connection do first. */
static int start(skua_tls *tls)
{
    int status = skua_tls_handshake(tls, skua_after(SKUA_SEC(10)));
    if (status < 0) {
        return skua_fail(status, "handshake: %s", skua_tls_error(tls));
    }
    return 0;
}

/* Every line comes back. */
static int echo(skua_tls *tls)
{
    skua_reader reader;
    skua_view line;
    int status = skua_reader_open(&reader, skua_tls_transport(tls), NULL);
    if (status < 0) {
        return status;
    }
    while ((status = skua_reader_line(&reader, &line, skua_after(SKUA_SEC(30)))) > 0) {
        char answer[100];
        int bytes = snprintf(answer, sizeof answer, "%.*s!\n", (int)line.bytes, line.data);
        ssize_t put = skua_tls_write(tls, answer, (size_t)bytes, skua_after(SKUA_SEC(30)));
        if (put < 0) {
            status = (int)put;
            break;
        }
    }
    skua_reader_close(&reader);
    return status < 0 ? status : skua_tls_close_write(tls, skua_after(SKUA_SEC(1)));
}

struct service {
    skua_tls_config *config;
    int fd;
};

static int serve(void *arg)
{
    const struct service *service = arg;
    skua_tls *tls;
    int status = skua_tls_server(&tls, service->config, skua_fd_transport(service->fd));
    if (status < 0) {
        skua_close(service->fd); /* still ours */
        return status;
    }
    status = start(tls);
    if (status == 0) {
        status = echo(tls);
    }
    skua_tls_close(tls); /* and the fd */
    return status;
}

/* Connect over `fd` to the service, which should be called `host`. */
static int ask(int fd, skua_tls_config *config, const char *host)
{
    skua_tls *tls;
    char answer[100];
    int status = skua_tls_client(&tls, config, skua_fd_transport(fd), host);
    if (status < 0) {
        skua_close(fd);
        return status;
    }
    status = skua_tls_handshake(tls, skua_after(SKUA_SEC(10)));
    if (status < 0) {
        printf("%s: %s\n", host, skua_tls_error(tls));
    } else {
        printf("%s: %s\n", host, skua_tls_peer_subject(tls));
        ssize_t got = skua_tls_write(tls, "hello\n", 6, skua_after(SKUA_SEC(5)));
        if (got > 0) {
            got = skua_tls_read(tls, answer, sizeof answer, skua_after(SKUA_SEC(5)));
        }
        if (got > 0) {
            printf("the service says: %.*s", (int)got, answer);
            got = skua_tls_close_write(tls, skua_after(SKUA_SEC(1)));
        }
        if (got == 0) { /* 0 again: the service has said that it was all */
            got = skua_tls_read(tls, answer, sizeof answer, skua_after(SKUA_SEC(5)));
        }
        status = got < 0 ? (int)got : 0;
    }
    skua_tls_close(tls);
    return status;
}

static int meet(skua_tls_config *client, skua_tls_config *server, const char *host)
{
    int ends[2];
    skua_task *task;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return -errno;
    }
    int status = skua_fd_adopt(ends[0]);
    status = status < 0 ? status : skua_fd_adopt(ends[1]);
    struct service service = {.config = server, .fd = ends[1]};
    status = status < 0 ? status : skua_spawn(&task, serve, &service, NULL);
    if (status < 0) {
        return status;
    }
    status = ask(ends[0], client, host);
    int served = 0;
    int joined = skua_join(task, &served, SKUA_FOREVER);
    if (served < 0) {
        printf("the service: %s\n", skua_task_error(task)->text);
    }
    skua_task_release(task);
    return joined < 0 ? joined : status;
}

static int program(void *arg)
{
    (void)arg;
    skua_tls_config *client, *server;
    int status = skua_tls_client_config(&client, &trust, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    status = skua_tls_server_config(&server, &prove, SKUA_FOREVER);
    if (status == 0) {
        status = meet(client, server, "skua.test");
        int refused = meet(client, server, "elsewhere.test");
        status = status == 0 && refused == -EKEYREJECTED ? 0 : -EPROTO;
        skua_tls_config_destroy(server);
    }
    skua_tls_config_destroy(client);
    return status;
}

/* A certificate that signs itself, made anew each time, in a folder that is gone afterwards. */
static const char make_certificate[] =
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj "
    "/CN=skua.test "
    "-addext subjectAltName=DNS:skua.test -keyout guide_tls.pem -out guide_tls.crt 2>guide_tls.log"
    " && cat guide_tls.crt >>guide_tls.pem";

int main(void)
{
    char folder[] = "/tmp/guide-tls-XXXXXX";
    if (mkdtemp(folder) == NULL || chdir(folder) != 0) {
        return EXIT_FAILURE;
    }
    int status = system(make_certificate) == 0 ? skua_run(NULL, program, NULL) : -ENOENT;
    unlink("guide_tls.pem");
    unlink("guide_tls.crt");
    unlink("guide_tls.log");
    rmdir(folder);
    return status < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
