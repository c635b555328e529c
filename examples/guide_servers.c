/* The programs of docs/guide/servers.md. */
#include <skua/skua.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- serving --- */

/* One connection, in a task of its own: what comes goes back in capitals. */
static int shout(skua_client *client)
{
    char buffer[4096];
    ssize_t got;
    while ((got = skua_read(client->fd, buffer, sizeof buffer, SKUA_FOREVER)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            buffer[i] = (char)toupper((unsigned char)buffer[i]);
        }
        int status = skua_write_all(client->fd, buffer, (size_t)got, NULL, SKUA_FOREVER);
        if (status < 0) {
            return status;
        }
    }
    return (int)got;
}

static skua_server server;

static int serve(void *listener)
{
    const skua_serve_opts opts = {
        .connections_max = 100,  /* further ones wait in the line of the listener */
        .drain_ns = SKUA_SEC(5), /* after a stop */
        .name = "shout",
    };
    return skua_serve(&server, *(int *)listener, shout, NULL, &opts);
}

/* --- a pool of connections to it --- */

static int open_connection(void **out, void *service)
{
    int fd = skua_tcp_connect("localhost", service, NULL, SKUA_FOREVER);
    *out = (void *)(intptr_t)fd;
    return fd < 0 ? fd : 0;
}

static void close_connection(void *connection, void *service)
{
    skua_close((int)(intptr_t)connection);
}

/* Whether the server has closed it meanwhile: then there is something to read, the end. */
static bool is_open(void *connection, void *service)
{
    return skua_wait_fd((int)(intptr_t)connection, SKUA_READABLE, SKUA_NOW) == -EAGAIN;
}

static skua_conn_pool *pool;

/* One question over any connection of the pool. */
static int ask(void *arg)
{
    char answer[16] = "";
    void *connection;
    int status = skua_conn_pool_acquire(pool, &connection, skua_after(SKUA_SEC(2)));
    if (status < 0) {
        return status;
    }
    int fd = (int)(intptr_t)connection;
    status = skua_write_all(fd, "hello", 5, NULL, SKUA_FOREVER);
    for (size_t got = 0; status == 0 && got < 5;) {
        ssize_t part = skua_read(fd, answer + got, 5 - got, SKUA_FOREVER);
        status = part > 0 ? 0 : part == 0 ? -EPIPE : (int)part;
        got += part > 0 ? (size_t)part : 0;
    }
    if (status < 0) {
        skua_conn_pool_discard(pool, connection); /* half an answer may be in it */
    } else {
        skua_conn_pool_release(pool, connection);
    }
    return status < 0 ? status : strcmp(answer, "HELLO") == 0 ? 0 : -EPROTO;
}

enum { QUESTIONS = 20 };

static int ask_often(void)
{
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    int status = 0;
    for (int i = 0; i < QUESTIONS && status == 0; i++) {
        status = skua_group_spawn(&group, ask, NULL);
    }
    return skua_group_close(&group, status);
}

static int use_pool(char *service)
{
    const skua_conn_pool_opts opts = {
        .open = open_connection,
        .close = close_connection,
        .is_healthy = is_open,
        .arg = service,
        .open_max = 2,
        .idle_ns = SKUA_SEC(60),
    };
    int status = skua_conn_pool_create(&pool, &opts);
    if (status < 0) {
        return status;
    }
    status = ask_often();
    skua_conn_pool_counts counts;
    skua_conn_pool_count(pool, &counts);
    printf("%d questions over %s connections\n", QUESTIONS,
           counts.opened <= 2 ? "at most two" : "too many");
    int closed = skua_conn_pool_close(pool, SKUA_FOREVER);
    skua_conn_pool_destroy(pool);
    return status < 0 ? status : closed;
}

/* --- names --- */

static int look_up(void)
{
    skua_address found[8];
    char text[SKUA_ADDRESS_TEXT_BYTES];
    const skua_resolve_opts opts = {.family = AF_INET};
    int count = skua_resolve("localhost", "443", &opts, found, 8, skua_after(SKUA_SEC(2)));
    for (int i = 0; i < count && i < 8; i++) {
        printf("%s\n", skua_address_text(&found[i], text, sizeof text));
    }
    return count < 0 ? count : 0;
}

/* --- all of it --- */

static int program(void *arg)
{
    skua_address at;
    skua_task *task;
    char service[8];
    int listener = skua_tcp_listen("127.0.0.1:0", NULL);
    int status = listener < 0 ? listener : skua_local_address(listener, &at);
    status = status < 0 ? status : skua_spawn(&task, serve, &listener, NULL);
    if (status < 0) {
        return status;
    }
    snprintf(service, sizeof service, "%d", skua_address_port(&at));
    status = look_up();
    status = status < 0 ? status : use_pool(service);

    skua_server_stop(&server, SKUA_FOREVER); /* connections may finish */
    int ended = 0;
    int joined = skua_join(task, &ended, SKUA_FOREVER);
    skua_task_release(task);
    skua_server_counts counts;
    skua_server_count(&server, &counts);
    printf("the server has ended with %d, %zu connections left\n", ended, counts.connections);
    return status < 0 ? status : joined < 0 ? joined : ended;
}

int main(void)
{
    return skua_run(NULL, program, NULL) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
