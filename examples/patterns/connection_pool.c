/* A pool of connections: six questions at once over two of them. */
#include <skua/skua.h>
#include <stdio.h>
#include <stdlib.h>

/* --- the server ------------------------------------------------------------------------------- */

static skua_server server;

static int square(skua_client *client)
{
    skua_reader reader = {0};
    skua_view line;
    char text[32];
    int status = skua_reader_open(&reader, skua_fd_transport(client->fd), NULL);
    while (status >= 0 && (status = skua_reader_line(&reader, &line, SKUA_FOREVER)) == 1) {
        int number = atoi(line.data); /* its end stands behind it */
        int bytes = snprintf(text, sizeof text, "%d\n", number * number);
        status = skua_write_all(client->fd, text, (size_t)bytes, NULL, SKUA_FOREVER);
    }
    skua_reader_close(&reader);
    return status;
}

static int serve(void *listener)
{
    return skua_serve(&server, *(int *)listener, square, NULL, NULL);
}

/* --- the pool --------------------------------------------------------------------------------- */

struct connection {
    int fd;
    skua_reader reader;
};

static skua_conn_pool *pool;

static int open_one(void **out, void *address)
{
    struct connection *one = calloc(1, sizeof *one);
    int status = one == NULL ? -ENOMEM : 0;
    if (status == 0) {
        one->fd = skua_tcp_connect_to(address, NULL, SKUA_FOREVER);
        status = one->fd < 0 ? one->fd : 0;
    }
    if (status == 0 &&
        (status = skua_reader_open(&one->reader, skua_fd_transport(one->fd), NULL)) < 0) {
        skua_close(one->fd);
    }
    if (status < 0) {
        free(one);
        return status;
    }
    *out = one;
    return 0;
}

static void close_one(void *thing, void *address)
{
    struct connection *one = thing;
    skua_reader_close(&one->reader);
    skua_close(one->fd);
    free(one);
}

static int ask(struct connection *one, int *number)
{
    char text[32];
    skua_view line;
    int bytes = snprintf(text, sizeof text, "%d\n", *number);
    int status = skua_write_all(one->fd, text, (size_t)bytes, NULL, SKUA_FOREVER);
    status = status < 0 ? status : skua_reader_line(&one->reader, &line, SKUA_FOREVER);
    if (status == 1) {
        *number = atoi(line.data);
    }
    return status == 1 ? 0 : status < 0 ? status : -EPIPE;
}

static int query(void *number)
{
    void *one;
    int status = skua_conn_pool_acquire(pool, &one, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    if ((status = ask(one, number)) < 0) {
        skua_conn_pool_discard(pool, one); /* half an answer may be in it */
        return status;
    }
    skua_conn_pool_release(pool, one);
    return 0;
}

static int query_all(skua_address *at)
{
    int numbers[6] = {0, 1, 2, 3, 4, 5};
    const skua_conn_pool_opts opts = {
        .open = open_one, .close = close_one, .arg = at, .open_max = 2};
    int status = skua_conn_pool_create(&pool, &opts);
    if (status < 0) {
        return status;
    }
    status = skua_map(query, numbers, sizeof numbers[0], 6, NULL);
    for (int i = 0; i < 6; i++) {
        printf("%s%d%s", i == 0 ? "[" : ", ", numbers[i], i == 5 ? "]\n" : "");
    }
    skua_conn_pool_counts counts;
    skua_conn_pool_count(pool, &counts);
    printf("at most two connections: %s\n", counts.opened <= 2 ? "True" : "False");
    skua_conn_pool_destroy(pool);
    return status;
}

static int run(void *arg)
{
    skua_address at;
    skua_task *task;
    int listener = skua_tcp_listen("127.0.0.1:0", NULL);
    int status = listener < 0 ? listener : skua_local_address(listener, &at);
    status = status < 0 ? status : skua_spawn(&task, serve, &listener, NULL);
    if (status < 0) {
        return status;
    }
    status = query_all(&at);
    skua_server_stop(&server, SKUA_FOREVER);
    int joined = skua_join(task, NULL, SKUA_FOREVER);
    skua_task_release(task);
    return status < 0 ? status : joined;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
