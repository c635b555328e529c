/* Which ports somebody listens at: all are tried, two at a time. */
#include <skua/skua.h>
#include <stdio.h>
#include <unistd.h>

enum { PORTS = 5 };

struct port {
    int fd;
    skua_address at;
    bool is_open;
};

static int scan(void *arg)
{
    struct port *port = arg;
    int fd = skua_tcp_connect_to(&port->at, NULL, SKUA_FOREVER);
    if (fd < 0) {
        return fd == -ECONNREFUSED ? 0 : fd;
    }
    port->is_open = true;
    skua_close(fd);
    return 0;
}

/* Bound, so that it is nobody else's. */
static int take(struct port *port)
{
    int status = skua_address_parse("127.0.0.1:0", &port->at);
    port->fd = status < 0 ? -1 : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (port->fd < 0 || bind(port->fd, &port->at.any, port->at.bytes) < 0 ||
        getsockname(port->fd, &port->at.any, &port->at.bytes) < 0) {
        return -errno;
    }
    return 0;
}

static int run(void *arg)
{
    struct port ports[PORTS] = {0};
    const skua_map_opts opts = {.limit = 2};
    int status = 0;
    for (int i = 0; i < PORTS && status == 0; i++) {
        status = take(&ports[i]);
        if (status == 0 && i % 2 == 0 && listen(ports[i].fd, 8) < 0) {
            status = -errno;
        }
    }
    status = status < 0 ? status : skua_map(scan, ports, sizeof ports[0], PORTS, &opts);
    for (int i = 0; i < PORTS && status == 0; i++) {
        printf("port %d is %s\n", i, ports[i].is_open ? "open" : "closed");
    }
    for (int i = 0; i < PORTS; i++) {
        close(ports[i].fd);
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
