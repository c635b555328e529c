/* Names: what is asked, and of whom.

   In this order: an address in writing; this very machine; the file of names; what the resolver
   knows or looks up (resolver.c). A service with a name needs a lookup, whatever the host is. */
#include "net/resolver.h"
#include "sched/waiter.h"

#include <string.h>
#include <strings.h>

enum { PORT_MAX = 65535, DECIMAL = 10 };

static const char LOCALHOST[] = "localhost";

/* --- what is asked ---------------------------------------------------------------------------- */

/* A service in digits. False: it has a name. */
static bool read_port(const char *service, uint32_t *port)
{
    *port = 0;
    if (service == NULL) {
        return true;
    }
    for (const char *at = service; *at != '\0'; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        *port = *port * DECIMAL + (uint32_t)(*at - '0');
        if (*port > PORT_MAX) {
            break;
        }
    }
    return service[0] != '\0';
}

/* The question and the port, which is 0 if the service has a name. */
static int read_question(const char *host, const char *service, const skua_resolve_opts *opts,
                         skua_question *question, uint32_t *port)
{
    const int family = opts->family;
    const int type = opts->type != 0 ? opts->type : SOCK_STREAM;
    const bool is_number = read_port(service, port);
    *question = (skua_question){.host = host == NULL && !is_number ? LOCALHOST : host,
                                .service = is_number ? NULL : service,
                                .family = family,
                                .type = type};
    if (family != 0 && family != AF_INET && family != AF_INET6) {
        return -EINVAL;
    }
    if (type != SOCK_STREAM && type != SOCK_DGRAM) {
        return -EINVAL;
    }
    if (host != NULL && (host[0] == '\0' || strlen(host) >= SKUA__HOST_BYTES)) {
        return -EINVAL;
    }
    if (is_number) {
        return *port <= PORT_MAX ? 0 : -EINVAL;
    }
    *port = 0;
    return service[0] != '\0' && strlen(service) < SKUA__SERVICE_BYTES ? 0 : -EINVAL;
}

/* "localhost", and all below it (RFC 6761). */
static bool is_localhost(const char *host)
{
    size_t length = strlen(host);
    length -= length > 0 && host[length - 1] == '.';
    const size_t own = sizeof LOCALHOST - 1;
    return length >= own && strncasecmp(host + length - own, LOCALHOST, own) == 0 &&
           (length == own || host[length - own - 1] == '.');
}

static int loopback(int family, skua_address addresses[], size_t capacity)
{
    int count = 0;
    for (int i = 0; i < 2; i++) {
        skua_address address;
        if (skua__address_read(i == 0 ? "::1" : "127.0.0.1", &address) &&
            (family == 0 || family == address.any.sa_family)) {
            if ((size_t)count < capacity) {
                addresses[count] = address;
            }
            count++;
        }
    }
    return count;
}

/* What is known without asking anybody: how many addresses; 0: nothing; or -ENOENT. */
static int written(const skua_question *question, bool is_numeric, skua_address addresses[],
                   size_t capacity)
{
    skua_address address;
    if (question->service != NULL) {
        return is_numeric ? -ENOENT : 0;
    }
    if (question->host == NULL) {
        return loopback(question->family, addresses, capacity);
    }
    if (skua__address_read(question->host, &address)) {
        if (question->family != 0 && question->family != address.any.sa_family) {
            return -ENOENT;
        }
        if (capacity > 0) {
            addresses[0] = address;
        }
        return 1;
    }
    if (is_numeric) {
        return -ENOENT;
    }
    return is_localhost(question->host) ? loopback(question->family, addresses, capacity) : 0;
}

/* --- who is asked ----------------------------------------------------------------------------- */

static int find_in_task(const skua_question *question, const skua_resolve_opts *opts,
                        skua_address addresses[], size_t capacity, skua_time deadline)
{
    struct skua__resolver *resolver = NULL;
    int status = skua__resolver_get(&resolver);
    if (status < 0) {
        return status;
    }
    skua__resolver_begin(resolver);
    int found = written(question, opts->numeric, addresses, capacity);
    if (found == 0 && question->service == NULL) {
        found = skua__resolver_hosts(resolver, question, addresses, capacity, deadline);
    }
    if (found > 0) {
        skua__resolver_count_written(resolver);
    }
    return found != 0
               ? found
               : skua__resolver_ask(resolver, question, opts->fresh, addresses, capacity, deadline);
}

static int find_on_thread(const skua_question *question, const skua_resolve_opts *opts,
                          skua_address addresses[], size_t capacity, skua_time deadline)
{
    int found = written(question, opts->numeric, addresses, capacity);
    if (found == 0 && skua__is_now(deadline)) {
        return -EAGAIN;
    }
    return found != 0 ? found : skua__name_lookup(question, addresses, capacity);
}

static void set_ports(skua_address addresses[], size_t count, uint16_t port)
{
    for (size_t i = 0; i < count; i++) {
        if (addresses[i].any.sa_family == AF_INET) {
            addresses[i].ip4.sin_port = htons(port);
        } else if (addresses[i].any.sa_family == AF_INET6) {
            addresses[i].ip6.sin6_port = htons(port);
        }
    }
}

int skua_resolve(const char *host, const char *service, const skua_resolve_opts *opts,
                 skua_address addresses[], size_t capacity, skua_time deadline)
{
    static const skua_resolve_opts none;
    skua_question question;
    uint32_t port = 0;
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
    opts = opts != NULL ? opts : &none;
    status = read_question(host, service, opts, &question, &port);
    if (status < 0) {
        return status;
    }
    status = skua_runtime_current() != NULL
                 ? find_in_task(&question, opts, addresses, capacity, deadline)
                 : find_on_thread(&question, opts, addresses, capacity, deadline);
    if (status > 0 && question.service == NULL) {
        set_ports(addresses, (size_t)status < capacity ? (size_t)status : capacity, (uint16_t)port);
    }
    return status;
}

/* --- how ------------------------------------------------------------------------------------- */

int skua_resolver_setup(const skua_resolver_opts *opts)
{
    struct skua__resolver *resolver = NULL;
    int status = skua__resolver_get(&resolver);
    return status < 0 ? status : skua__resolver_configure(resolver, opts);
}

void skua_resolver_clear(void)
{
    struct skua__resolver *resolver = NULL;
    if (skua__resolver_get(&resolver) == 0) {
        skua__resolver_clear(resolver);
    }
}

void skua_resolver_count(skua_resolver_counts *out)
{
    struct skua__resolver *resolver = NULL;
    *out = (skua_resolver_counts){0};
    if (skua__resolver_get(&resolver) == 0) {
        skua__resolver_count(resolver, out);
    }
}
