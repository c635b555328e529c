/* The servers on Skua, as anybody would write them: a task for each connection, blocking calls.

       bench_io_skua echo|udp|proxy WORKERS UPSTREAM_PORT      fd 3 is the socket */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <skua/skua.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { SOCKET = 3, MESSAGE_BYTES = 1024, PROXY_BYTES = 64 * 1024, STACK_BYTES = 64 * 1024 };

static uint16_t upstream_port;

static int echo(void *arg)
{
    const int fd = *(const int *)arg;
    char buffer[MESSAGE_BYTES];
    ssize_t got;
    while ((got = skua_read(fd, buffer, sizeof(buffer), SKUA_FOREVER)) > 0 &&
           skua_write_all(fd, buffer, (size_t)got, NULL, SKUA_FOREVER) == 0) {}
    skua_close(fd);
    return 0;
}

static int spawn_for(skua_fn fn, int fd)
{
    const skua_spawn_opts opts = {.stack_bytes = STACK_BYTES, .arg_bytes = sizeof(fd)};
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return skua_spawn(NULL, fn, &fd, &opts);
}

static int serve(skua_fn fn)
{
    int status = skua_fd_adopt(SOCKET);
    while (status == 0) {
        const int fd = skua_accept(SOCKET, NULL, NULL, SKUA_FOREVER);
        status = fd < 0 ? fd : spawn_for(fn, fd);
    }
    return status;
}

static int serve_echo(void *arg)
{
    (void)arg;
    return serve(echo);
}

static int echo_datagrams(void *arg)
{
    ssize_t got;
    (void)arg;
    do {
        char buffer[MESSAGE_BYTES];
        skua_address from;
        got = skua_recv_from(SOCKET, buffer, sizeof(buffer), &from, SKUA_FOREVER);
        if (got >= 0) {
            got = skua_send_to(SOCKET, buffer, (size_t)got, &from, SKUA_FOREVER);
        }
    } while (got >= 0);
    return (int)got;
}

static int serve_udp(void *arg)
{
    const int status = skua_fd_adopt(SOCKET);
    return status < 0 ? status : echo_datagrams(arg);
}

/* One direction of a proxied connection. */
typedef struct half {
    int from, to;
} half;

static int move_half(void *arg)
{
    const half *self = arg;
    char *buffer = malloc(PROXY_BYTES);
    ssize_t got;
    while (buffer != NULL && (got = skua_read(self->from, buffer, PROXY_BYTES, SKUA_FOREVER)) > 0 &&
           skua_write_all(self->to, buffer, (size_t)got, NULL, SKUA_FOREVER) == 0) {}
    free(buffer);
    return 0;
}

static int proxy(void *arg)
{
    const int near = *(const int *)arg;
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(upstream_port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int status = skua_fd_adopt(far);
    if (status == 0) {
        status =
            skua_connect(far, (const struct sockaddr *)&address, sizeof(address), SKUA_FOREVER);
    }
    if (status == 0) {
        half there = {near, far};
        half back = {far, near};
        skua_task *task = NULL;
        status = skua_spawn(&task, move_half, &back, NULL);
        move_half(&there);
        if (status == 0) {
            skua_task_cancel(task);
            status = skua_join(task, NULL, SKUA_FOREVER);
            skua_task_release(task);
        }
    }
    skua_close(far);
    skua_close(near);
    return status;
}

static int serve_proxy(void *arg)
{
    (void)arg;
    return serve(proxy);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        return 2;
    }
    const skua_config config = {.workers = (uint32_t)atoi(argv[2])};
    const skua_fn fn = strcmp(argv[1], "echo") == 0    ? serve_echo
                       : strcmp(argv[1], "udp") == 0   ? serve_udp
                       : strcmp(argv[1], "proxy") == 0 ? serve_proxy
                                                       : NULL;
    upstream_port = (uint16_t)atoi(argv[3]);
    return fn == NULL ? 2 : skua_run(&config, fn, NULL) < 0;
}
