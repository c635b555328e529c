/* Addresses, read and printed. inet_pton(3) and inet_ntop(3) know the numbers; here is only what
   stands around them: ports, brackets, scopes, and the two kinds of names of Unix sockets.

   (A1) What does not matter in an address is zero, so that two equal ones look the same.
   (A2) The length of a Unix socket's name is its own: a name without a file may hold any bytes, and
        ends where `bytes` says; a path ends at its first zero, which `bytes` may or may not count.

   Rejected: getaddrinfo(3) with AI_NUMERICHOST, which allocates, and reads configuration. */
#include "net/net_call.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { PATH_START = offsetof(struct sockaddr_un, sun_path), PORT_MAX = 65535, HOST_BYTES = 80 };

/* --- reading ---------------------------------------------------------------------------------- */

/* Digits only. -1: it is none, or too large. */
static int64_t number_of(const char *text, int64_t most)
{
    int64_t number = 0;
    if (*text == '\0') {
        return -1;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return -1;
        }
        number = number * 10 + (*text - '0');
        if (number > most) {
            return -1;
        }
    }
    return number;
}

/* "/path", "./path" or "@name"; the name goes without its '@', behind a zero. */
static int parse_local(const char *text, skua_address *out)
{
    const size_t length = strlen(text);
    if (length >= sizeof out->local.sun_path) {
        return -ENAMETOOLONG;
    }
    if (length == 1) {
        return -EINVAL; /* "@" would be a name of the kernel's choice, "/" is no socket */
    }
    memcpy(out->local.sun_path, text, length);
    out->local.sun_family = AF_UNIX;
    out->bytes = (socklen_t)(PATH_START + length);
    if (text[0] == '@') {
        out->local.sun_path[0] = '\0';
    } else {
        out->bytes++; /* with the zero */
    }
    return 0;
}

static int parse_ip4(const char *host, in_port_t port, skua_address *out)
{
    out->ip4.sin_family = AF_INET;
    out->ip4.sin_port = port;
    out->bytes = sizeof out->ip4;
    if (strcmp(host, "*") == 0) {
        return 0; /* INADDR_ANY is zero */
    }
    return inet_pton(AF_INET, host, &out->ip4.sin_addr) == 1 ? 0 : -EINVAL;
}

/* The interface behind the '%', as a number or a name. */
static int parse_scope(const char *scope, uint32_t *out)
{
    int64_t number = number_of(scope, UINT32_MAX);
    *out = number >= 0 ? (uint32_t)number : skua__call_interface(scope);
    return *out != 0 ? 0 : -EINVAL;
}

static int parse_ip6(char *host, in_port_t port, skua_address *out)
{
    int status = 0;
    char *scope = strchr(host, '%');
    if (scope != NULL) {
        *scope = '\0';
        status = parse_scope(scope + 1, &out->ip6.sin6_scope_id);
    }
    out->ip6.sin6_family = AF_INET6;
    out->ip6.sin6_port = port;
    out->bytes = sizeof out->ip6;
    return status == 0 && inet_pton(AF_INET6, host, &out->ip6.sin6_addr) == 1 ? 0 : -EINVAL;
}

static int parse_internet(const char *text, skua_address *out)
{
    char host[HOST_BYTES];
    const char *colon = strrchr(text, ':');
    const size_t length = colon != NULL ? (size_t)(colon - text) : 0;
    const int64_t port = colon != NULL ? number_of(colon + 1, PORT_MAX) : -1;
    if (port < 0 || length == 0 || length >= sizeof host) {
        return -EINVAL;
    }
    memcpy(host, text, length);
    host[length] = '\0';
    if (host[0] != '[') {
        return parse_ip4(host, htons((uint16_t)port), out);
    }
    if (host[length - 1] != ']') {
        return -EINVAL;
    }
    host[length - 1] = '\0';
    return parse_ip6(host + 1, htons((uint16_t)port), out);
}

int skua_address_parse(const char *text, skua_address *out)
{
    *out = (skua_address){0};
    if (text == NULL) {
        return -EINVAL;
    }
    const bool is_local = text[0] == '/' || text[0] == '@' || (text[0] == '.' && text[1] == '/');
    int status = is_local ? parse_local(text, out) : parse_internet(text, out);
    if (status < 0) {
        *out = (skua_address){0};
    }
    return status;
}

int skua_address_of(const struct sockaddr *from, socklen_t bytes, skua_address *out)
{
    *out = (skua_address){0};
    if (bytes > sizeof out->storage) {
        return -EINVAL;
    }
    memcpy(&out->storage, from, bytes);
    out->bytes = bytes;
    return 0;
}

/* --- printing --------------------------------------------------------------------------------- */

static sa_family_t family_of(const skua_address *address)
{
    return address->bytes < sizeof(sa_family_t) ? AF_UNSPEC : address->any.sa_family;
}

/* How long the name of a Unix socket is (A2). */
static size_t name_length(const skua_address *address)
{
    if (address->bytes <= PATH_START) {
        return 0;
    }
    const size_t most = address->bytes - PATH_START;
    return address->local.sun_path[0] == '\0' ? most : strnlen(address->local.sun_path, most);
}

static void print_local(const skua_address *address, char *text, size_t bytes)
{
    const size_t length = name_length(address);
    if (length == 0) {
        snprintf(text, bytes, "(unnamed)");
        return;
    }
    size_t at = 0;
    for (; at < length && at + 1 < bytes; at++) {
        const char byte = address->local.sun_path[at];
        text[at] = at == 0 && byte == '\0' ? '@' : byte > ' ' && byte < 127 ? byte : '?';
    }
    text[at] = '\0';
}

static void print_ip6(const struct sockaddr_in6 *ip6, char *text, size_t bytes)
{
    char host[INET6_ADDRSTRLEN], scope[16] = "";
    inet_ntop(AF_INET6, &ip6->sin6_addr, host, sizeof host);
    if (ip6->sin6_scope_id != 0) {
        snprintf(scope, sizeof scope, "%%%u", (unsigned)ip6->sin6_scope_id);
    }
    snprintf(text, bytes, "[%s%s]:%u", host, scope, ntohs(ip6->sin6_port));
}

const char *skua_address_text(const skua_address *address, char *text, size_t bytes)
{
    char host[INET_ADDRSTRLEN];
    if (bytes == 0) {
        return text;
    }
    switch (family_of(address)) {
    case AF_INET:
        inet_ntop(AF_INET, &address->ip4.sin_addr, host, sizeof host);
        snprintf(text, bytes, "%s:%u", host, ntohs(address->ip4.sin_port));
        break;
    case AF_INET6:
        print_ip6(&address->ip6, text, bytes);
        break;
    case AF_UNIX:
        print_local(address, text, bytes);
        break;
    case AF_UNSPEC:
        snprintf(text, bytes, "(none)");
        break;
    default:
        snprintf(text, bytes, "(family %d)", address->any.sa_family);
        break;
    }
    return text;
}

/* --- asking ----------------------------------------------------------------------------------- */

uint16_t skua_address_port(const skua_address *address)
{
    switch (family_of(address)) {
    case AF_INET:
        return ntohs(address->ip4.sin_port);
    case AF_INET6:
        return ntohs(address->ip6.sin6_port);
    default:
        return 0;
    }
}

static bool is_same_ip6(const struct sockaddr_in6 *left, const struct sockaddr_in6 *right)
{
    return left->sin6_port == right->sin6_port && left->sin6_scope_id == right->sin6_scope_id &&
           memcmp(&left->sin6_addr, &right->sin6_addr, sizeof left->sin6_addr) == 0;
}

bool skua_address_equal(const skua_address *left, const skua_address *right)
{
    if (family_of(left) != family_of(right)) {
        return false;
    }
    switch (family_of(left)) {
    case AF_INET:
        return left->ip4.sin_port == right->ip4.sin_port &&
               left->ip4.sin_addr.s_addr == right->ip4.sin_addr.s_addr;
    case AF_INET6:
        return is_same_ip6(&left->ip6, &right->ip6);
    case AF_UNIX:
        return name_length(left) == name_length(right) &&
               memcmp(left->local.sun_path, right->local.sun_path, name_length(left)) == 0;
    default:
        return left->bytes == right->bytes &&
               memcmp(&left->storage, &right->storage, left->bytes) == 0;
    }
}
