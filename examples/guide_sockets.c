/* The programs of docs/guide/sockets.md. */
#include <skua/skua.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* One connection: everything comes back until the peer has closed its half. */
static int echo(void *arg)
{
    int fd = *(const int *)arg;
    skua_copy_opts opts = {.half_close = true};
    int status = skua_copy(fd, fd, NULL, &opts, skua_after(SKUA_SEC(30)));
    skua_close(fd);
    return status;
}

/* A task for each connection, until the runtime drains or the task is cancelled. */
static int serve(void *arg)
{
    int listener = *(const int *)arg;
    const skua_spawn_opts opts = {.name = "echo", .arg_bytes = sizeof(int)}; /* fd is copied */
    for (;;) {
        int fd = skua_accept(listener, NULL, NULL, SKUA_FOREVER);
        if (fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM) {
            continue; /* it has waited already; somebody will close something */
        }
        if (fd < 0) {
            skua_close(listener);
            return fd == -ESHUTDOWN || fd == -ECANCELED ? 0 : fd;
        }
        int status = skua_spawn(NULL, echo, &fd, &opts);
        if (status < 0) {
            skua_close(fd);
        }
    }
}

/* The server becomes a task of its own; *at tells which port it has got. */
static int start(const char *address, skua_address *at)
{
    int listener = skua_tcp_listen(address, NULL);
    if (listener < 0) {
        return listener; /* -EADDRINUSE, -EACCES, -EINVAL: no address, ... */
    }
    const skua_spawn_opts opts = {.name = "server", .arg_bytes = sizeof listener};
    int status = skua_local_address(listener, at);
    if (status == 0) {
        status = skua_spawn(NULL, serve, &listener, &opts);
    }
    if (status < 0) {
        skua_close(listener);
    }
    return status;
}

/* Everything that comes until the end. */
static ssize_t read_all(int fd, char *text, size_t bytes)
{
    size_t at = 0;
    ssize_t got = 1;
    while (got > 0 && at + 1 < bytes) {
        got = skua_read(fd, text + at, bytes - 1 - at, skua_after(SKUA_SEC(5)));
        at += got > 0 ? (size_t)got : 0;
    }
    text[at] = '\0';
    return got < 0 ? got : (ssize_t)at;
}

static int ask(const skua_address *at)
{
    char answer[32];
    struct iovec parts[] = {{(char[]){"hello, "}, 7}, {(char[]){"echo"}, 4}};
    int fd = skua_tcp_connect_to(at, NULL, skua_after(SKUA_SEC(5)));
    if (fd < 0) {
        return fd; /* -ECONNREFUSED, -ETIMEDOUT, ... and nothing is left open */
    }
    int status = skua_writev_all(fd, parts, 2, NULL, skua_after(SKUA_SEC(5)));
    if (status == 0) {
        status = skua_shutdown(fd, SHUT_WR); /* no more from here; the answer can still come */
    }
    ssize_t got = status < 0 ? status : read_all(fd, answer, sizeof answer);
    if (got >= 0) {
        printf("the answer: %s\n", answer);
    }
    skua_close(fd);
    return got < 0 ? (int)got : 0;
}

struct way {
    int from, to;
};

static int one_way(void *arg)
{
    const struct way *way = arg;
    const skua_copy_opts opts = {.half_close = true};
    return skua_copy(way->to, way->from, NULL, &opts, SKUA_FOREVER);
}

/* Joins two connections until both have ended; when one way fails, the other is cancelled. */
static int relay(int left, int right)
{
    struct way there = {left, right}, back = {right, left};
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    int status = skua_group_spawn(&group, one_way, &there);
    if (status == 0) {
        status = skua_group_spawn(&group, one_way, &back);
    }
    return skua_group_close(&group, status);
}

struct proxy {
    int listener;
    skua_address behind;
};

static int proxy_one(void *arg)
{
    const struct proxy *proxy = arg;
    int left = skua_accept(proxy->listener, NULL, NULL, SKUA_FOREVER);
    if (left < 0) {
        return left;
    }
    int right = skua_tcp_connect_to(&proxy->behind, NULL, skua_after(SKUA_SEC(5)));
    int status = right < 0 ? right : relay(left, right);
    if (right >= 0) {
        skua_close(right);
    }
    skua_close(left);
    return status;
}

static int through_a_proxy(const skua_address *echo_at)
{
    struct proxy proxy = {.behind = *echo_at};
    skua_address at;
    skua_task *task;
    proxy.listener = skua_tcp_listen("127.0.0.1:0", NULL);
    if (proxy.listener < 0) {
        return proxy.listener;
    }
    int status = skua_local_address(proxy.listener, &at);
    if (status == 0) {
        status = skua_spawn(&task, proxy_one, &proxy, NULL);
    }
    if (status == 0) {
        status = ask(&at);
        int joined = -1;
        int waited = skua_join(task, &joined, skua_after(SKUA_SEC(5)));
        skua_task_release(task);
        status = status < 0 ? status : waited < 0 ? waited : joined;
    }
    skua_close(proxy.listener);
    return status;
}

static int send_datagrams(void)
{
    char text[16];
    skua_address any, at, from;
    int status = skua_address_parse("127.0.0.1:0", &any);
    int server = status < 0 ? status : skua_datagram_open(&any, NULL, NULL);
    if (server < 0 || (status = skua_local_address(server, &at)) < 0) {
        return server < 0 ? server : status;
    }
    int client = skua_datagram_open(NULL, &at, NULL); /* connected: it hears its peer only */
    if (client < 0) {
        skua_close(server);
        return client;
    }
    ssize_t moved = skua_send_to(client, "ping", 4, NULL, skua_after(SKUA_SEC(5)));
    if (moved >= 0) {
        moved = skua_recv_from(server, text, sizeof text, &from, skua_after(SKUA_SEC(5)));
    }
    if (moved >= 0) {
        printf("a datagram of %zd bytes: %.4s\n", moved, text);
        moved = skua_recv_from(server, text, sizeof text, &from, SKUA_NOW);
    }
    printf("no other one: %s\n", moved == -EAGAIN ? "nothing there" : skua_error_text((int)moved));
    skua_close(client);
    skua_close(server);
    return moved == -EAGAIN ? 0 : (int)moved;
}

/* A pipe's write end goes through a Unix socket. */
static int pass_an_fd(void)
{
    int ends[2], pipes[2], got[1], count = 1;
    char byte, text[8] = "";
    int status = skua_socket_pair(ends, SOCK_SEQPACKET);
    if (status < 0) {
        return status;
    }
    if (pipe(pipes) < 0) {
        return -errno;
    }
    ssize_t moved = skua_send_fds(ends[0], "w", 1, &pipes[1], 1, skua_after(SKUA_SEC(5)));
    if (moved > 0) {
        moved = skua_recv_fds(ends[1], &byte, 1, got, &count, skua_after(SKUA_SEC(5)));
    }
    if (moved > 0 && count == 1) { /* adopted, close-on-exec, ours to close */
        moved = skua_write(got[0], "passed", 6, skua_after(SKUA_SEC(5)));
        skua_close(got[0]);
        printf("%zd bytes: %.*s\n", moved, (int)read(pipes[0], text, sizeof text), text);
    }
    close(pipes[0]);
    close(pipes[1]);
    skua_close(ends[0]);
    skua_close(ends[1]);
    return moved < 0 ? (int)moved : 0;
}

static int program(void *arg)
{
    (void)arg;
    skua_address at;
    int status = start("127.0.0.1:0", &at);
    if (status == 0) {
        status = ask(&at);
    }
    if (status == 0) {
        status = through_a_proxy(&at);
    }
    if (status == 0) {
        status = send_datagrams();
    }
    if (status == 0) {
        status = pass_an_fd();
    }
    skua_drain(NULL, skua_after(SKUA_SEC(5))); /* the server ends; connections may finish */
    return status;
}

int main(void)
{
    return skua_run(NULL, program, NULL) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
