/* load.h: what the parts of the load generator share. It uses neither Skua nor any of its peers:
   plain system calls in one thread, so that it costs the same whoever serves. */
#ifndef SKUA_BENCH_IO_LOAD_H
#define SKUA_BENCH_IO_LOAD_H

#include "bench.h"

#include <sys/types.h>

/* The server's side of everything is fd 3: a listening socket, or a UDP socket that is bound. */
enum { LOAD_SERVER_FD = 3, LOAD_MESSAGE_BYTES = 64 };

/* A server that runs for one case. */
typedef struct load_server {
    pid_t process;
    clockid_t clock; /* its processor time */
    uint16_t port;   /* of its socket, on 127.0.0.1 */
} load_server;

/* Start $BENCH_SERVER MODE WORKERS UPSTREAM_PORT on a socket of that type. With one worker it has
   the first processor and this process the second; else both share all. 0 or -1. */
int load_server_start(load_server *server, const char *mode, unsigned workers, int type,
                      uint16_t upstream_port);

/* Kill it and wait for its end. */
void load_server_stop(load_server *server);

double load_server_cpu_ns(const load_server *server);
double load_server_rss_bytes(const load_server *server);

/* A socket of that type on 127.0.0.1, at a free port. A stream one listens. -1: failed. */
int load_listen(int type, uint16_t *port);

/* A non-blocking socket of that type, connected to the port. Closing it resets a connection, so
   that no port is left behind. -1: failed. */
int load_connect(int type, uint16_t port);

/* Sockets that were connected. */
typedef struct load_crowd {
    size_t count;
    int *fds;
} load_crowd;

int load_crowd_open(load_crowd *crowd, size_t count, int type, uint16_t port);
void load_crowd_close(load_crowd *crowd);

/* How long a run is warmed up and counted. */
typedef struct load_span {
    double warm_ns;
    double counted_ns;
} load_span;

load_span load_span_of(const bench_job *job);

/* What came out. */
typedef struct load_result {
    double requests;
    double seconds;
    double cpu_ns; /* the server's */
    double p50_us;
    double p99_us;
} load_result;

/* Each socket sends a message, waits for its echo, and sends the next one. */
int load_echo(const load_server *server, const load_crowd *crowd, load_span span,
              load_result *result);

/* Connections that are opened, used for one echo and reset, `width` at a time. */
int load_accept(const load_server *server, size_t width, load_span span, load_result *result);

/* One connection through which this process writes as much as goes in, and one at the other end
   from which it reads. requests: bytes. */
int load_stream(const load_server *server, int listener, load_span span, load_result *result);

#endif
