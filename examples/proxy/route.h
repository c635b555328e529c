/* What the proxy's file says, and the way to a backend. */
#ifndef PROXY_ROUTE_H
#define PROXY_ROUTE_H

#include <skua/skua.h>

enum { BACKENDS_MAX = 16, BACKEND_BYTES = 128 };

struct route {
    char backends[BACKENDS_MAX][BACKEND_BYTES];
    uint32_t count;
    int64_t idle_ns; /* 0: no limit */
    int64_t connect_ns;
};

/* Returns 0, or < 0 after having said what is wrong. */
int route_load(const char *path, struct route *route);

/* A connection to the backend whose turn it is, or to the next one that can be reached. Returns
   the fd, or < 0 after having said why. */
int route_connect(const struct route *route, unsigned turn);

/* The number in `text` times `unit`, if it is one from 0 to a million. */
bool parse_number(const char *text, double unit, int64_t *out);

#endif
