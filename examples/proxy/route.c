/* The file of a proxy: a line for each backend, and two numbers. */
#include "route.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 65536 };

bool parse_number(const char *text, double unit, int64_t *out)
{
    char *end;
    double number = strtod(text, &end);
    *out = (int64_t)(number >= 0 && number <= 1e6 ? number * unit : 0);
    return end != text && *end == '\0' && number >= 0 && number <= 1e6;
}

/* "name:port", where it is not the text of an address. */
static bool split_name(const char *text, char host[BACKEND_BYTES], const char **port)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || colon[1] == '\0') {
        return false;
    }
    snprintf(host, BACKEND_BYTES, "%.*s", (int)(colon - text), text);
    *port = colon + 1;
    return true;
}

static bool parse_line(char *line, struct route *route)
{
    char word[16] = "", value[BACKEND_BYTES] = "", host[BACKEND_BYTES];
    int end = 0;
    const char *port;
    skua_address at;
    line[strcspn(line, "#")] = '\0';
    int words = sscanf(line, "%15s %127s %n", word, value, &end);
    if (words <= 0 || line[end] != '\0') {
        return words <= 0;
    }
    if (strcmp(word, "idle") == 0) {
        return parse_number(value, 1e9, &route->idle_ns);
    }
    if (strcmp(word, "connect") == 0) {
        return parse_number(value, 1e9, &route->connect_ns) && route->connect_ns > 0;
    }
    if (strcmp(word, "backend") != 0 || route->count == BACKENDS_MAX ||
        (skua_address_parse(value, &at) < 0 && !split_name(value, host, &port))) {
        return false;
    }
    strcpy(route->backends[route->count++], value);
    return true;
}

int route_load(const char *path, struct route *route)
{
    void *data;
    char *rest = NULL;
    int number = 1;
    *route = (struct route){.connect_ns = SKUA_SEC(5)};
    ssize_t bytes = skua_file_load(AT_FDCWD, path, &data, FILE_BYTES_MAX, SKUA_FOREVER);
    if (bytes < 0) {
        fprintf(stderr, "proxy: cannot read %s: %s\n", path, skua_error_text((int)bytes));
        return (int)bytes;
    }
    char *line = data;
    for (; line != NULL; line = rest, number++) {
        rest = strchr(line, '\n');
        if (rest != NULL) {
            *rest++ = '\0';
        }
        if (!parse_line(line, route)) {
            fprintf(stderr, "proxy: %s, line %d: not of the form that --help shows\n", path,
                    number);
            break;
        }
    }
    skua_file_unload(data);
    if (line == NULL && route->count == 0) {
        fprintf(stderr, "proxy: %s: no line such as `backend 127.0.0.1:8080`\n", path);
    }
    return line != NULL || route->count == 0 ? -EINVAL : 0;
}

static int reach(const char *backend, skua_time deadline)
{
    char host[BACKEND_BYTES];
    const char *port;
    skua_address at;
    if (skua_address_parse(backend, &at) == 0) {
        return skua_tcp_connect_to(&at, NULL, deadline);
    }
    return split_name(backend, host, &port) ? skua_tcp_connect(host, port, NULL, deadline)
                                            : -EINVAL;
}

int route_connect(const struct route *route, unsigned turn)
{
    int fd = -ENOENT;
    for (uint32_t i = 0; i < route->count && fd < 0 && fd != -ECANCELED; i++) {
        const char *backend = route->backends[(turn + i) % route->count];
        fd = reach(backend, skua_after(route->connect_ns));
        if (fd < 0 && fd != -ECANCELED) {
            fprintf(stderr, "proxy: %s: %s\n", backend, skua_error_text(fd));
        }
    }
    return fd;
}
