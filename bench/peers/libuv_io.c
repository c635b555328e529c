/* Servers on libuv: one loop, callbacks. fd 3 is the socket; see bench/io.

       libuv_io echo|udp|proxy WORKERS UPSTREAM_PORT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { SOCKET = 3, MESSAGE_BYTES = 1024, PROXY_BYTES = 64 * 1024, BACKLOG = 4096 };

static uv_loop_t *loop;
static uint16_t upstream_port;

/* A connection, with the one message that it works on. */
typedef struct peer {
    uv_tcp_t tcp;
    uv_write_t write;
    struct peer *other; /* of a proxied pair */
    size_t room;
    char bytes[];
} peer;

static peer *peer_create(size_t room)
{
    peer *self = calloc(1, sizeof(*self) + room);
    if (self == NULL || uv_tcp_init(loop, &self->tcp) != 0) {
        abort();
    }
    self->room = room;
    return self;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    peer *self = (peer *)handle;
    (void)suggested;
    *buffer = uv_buf_init(self->bytes, (unsigned)self->room);
}

/* What fits is written at once; a small answer always does. */
static void on_message(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    uv_buf_t answer = uv_buf_init(buffer->base, got > 0 ? (unsigned)got : 0);
    if (got < 0 || (got > 0 && uv_try_write(stream, &answer, 1) != got)) {
        uv_close((uv_handle_t *)stream, on_closed);
    }
}

static void on_echo_connection(uv_stream_t *listener, int status)
{
    peer *self = peer_create(MESSAGE_BYTES);
    if (status != 0 || uv_accept(listener, (uv_stream_t *)&self->tcp) != 0) {
        uv_close((uv_handle_t *)&self->tcp, on_closed);
        return;
    }
    uv_tcp_nodelay(&self->tcp, 1);
    uv_read_start((uv_stream_t *)&self->tcp, give_buffer, on_message);
}

static void on_proxied(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer);

static void on_written(uv_write_t *write, int status)
{
    peer *from = write->data;
    if (status == 0) {
        uv_read_start((uv_stream_t *)&from->tcp, give_buffer, on_proxied);
    }
}

/* The buffer is the reader's only one: it reads again when it is written. */
static void on_proxied(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    peer *self = (peer *)stream;
    if (got <= 0) {
        if (got < 0) {
            uv_read_stop(stream);
        }
        return;
    }
    uv_buf_t part = uv_buf_init(buffer->base, (unsigned)got);
    const int put = uv_try_write((uv_stream_t *)&self->other->tcp, &part, 1);
    if (put == got) {
        return;
    }
    part = uv_buf_init(part.base + (put > 0 ? put : 0), (unsigned)(got - (put > 0 ? put : 0)));
    uv_read_stop(stream);
    self->write.data = self;
    uv_write(&self->write, (uv_stream_t *)&self->other->tcp, &part, 1, on_written);
}

static void on_upstream(uv_connect_t *connect, int status)
{
    peer *far = connect->data;
    if (status == 0) {
        uv_read_start((uv_stream_t *)&far->tcp, give_buffer, on_proxied);
        uv_read_start((uv_stream_t *)&far->other->tcp, give_buffer, on_proxied);
    }
    free(connect);
}

static void on_proxy_connection(uv_stream_t *listener, int status)
{
    struct sockaddr_in address;
    peer *near = peer_create(PROXY_BYTES);
    peer *far = peer_create(PROXY_BYTES);
    uv_connect_t *connect = calloc(1, sizeof(*connect));
    if (status != 0 || connect == NULL || uv_accept(listener, (uv_stream_t *)&near->tcp) != 0) {
        abort();
    }
    near->other = far;
    far->other = near;
    connect->data = far;
    uv_tcp_nodelay(&near->tcp, 1);
    uv_tcp_nodelay(&far->tcp, 1);
    uv_ip4_addr("127.0.0.1", upstream_port, &address);
    uv_tcp_connect(connect, &far->tcp, (const struct sockaddr *)&address, on_upstream);
}

static void give_datagram(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    static char bytes[MESSAGE_BYTES];
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(bytes, sizeof(bytes));
}

static void on_datagram(uv_udp_t *udp, ssize_t got, const uv_buf_t *buffer,
                        const struct sockaddr *from, unsigned flags)
{
    (void)flags;
    if (got > 0 && from != NULL) {
        const uv_buf_t answer = uv_buf_init(buffer->base, (unsigned)got);
        uv_udp_try_send(udp, &answer, 1, from);
    }
}

static int serve_udp(void)
{
    static uv_udp_t udp;
    int error = uv_udp_init(loop, &udp);
    error = error != 0 ? error : uv_udp_open(&udp, SOCKET);
    return error != 0 ? error : uv_udp_recv_start(&udp, give_datagram, on_datagram);
}

static int serve_tcp(uv_connection_cb on_connection)
{
    static uv_tcp_t listener;
    int error = uv_tcp_init(loop, &listener);
    error = error != 0 ? error : uv_tcp_open(&listener, SOCKET);
    return error != 0 ? error : uv_listen((uv_stream_t *)&listener, BACKLOG, on_connection);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        return 2;
    }
    loop = uv_default_loop();
    upstream_port = (uint16_t)atoi(argv[3]);
    const int error = strcmp(argv[1], "udp") == 0     ? serve_udp()
                      : strcmp(argv[1], "proxy") == 0 ? serve_tcp(on_proxy_connection)
                                                      : serve_tcp(on_echo_connection);
    return error != 0 ? 1 : uv_run(loop, UV_RUN_DEFAULT);
}
