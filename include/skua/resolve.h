/* skua/resolve.h: from names to addresses, and to connections.

   What needs no question is answered at once, without a thread: addresses in writing (also with a
   zone, as in "fe80::1%eth0"), "localhost", and what stands in /etc/hosts, which is read again when
   it has changed. All else is asked of getaddrinfo(3), on threads of a class of their own
   (skua/blocking.h), so that slow name servers keep neither files nor other blocking calls waiting.
   Answers are kept for a while, and however many ask for one name, it is looked up once.

   A lookup cannot be stopped, but who waits for it can: he leaves at once, and it goes on for the
   next one who asks. The end of the runtime awaits the lookups that run; how long one may take is
   for the C library to say ("options timeout" in resolv.conf). */
#ifndef SKUA_RESOLVE_H
#define SKUA_RESOLVE_H

#include <skua/net.h>

SKUA_BEGIN_DECLS

/* --- names ------------------------------------------------------------------------------------ */

/* How to look up. Zero everywhere is the default, and so is NULL. */
typedef struct skua_resolve_opts {
    int family;   /* AF_INET or AF_INET6; 0: both */
    int type;     /* SOCK_DGRAM or SOCK_STREAM, for services that have a name; 0: SOCK_STREAM */
    bool numeric; /* only addresses in writing: never asks anybody */
    bool fresh;   /* what is kept is too old: ask again */
} skua_resolve_opts;

/* The addresses of a host, the best first. `host` NULL is this very machine: the loopback
   addresses. `service` is a number ("443") or a name ("https"); NULL: port 0. Writes up to
   `capacity` addresses and returns how many there are, which is at least 1.
   Returns < 0: -ENOENT: there is no such name, or it has no address of this family, or no such
   service. -ENONET: nobody who knows has answered; try again later. -EREMOTEIO: the name servers
   have failed for good. -EINVAL (a name that is empty or too long, another family or type),
   -ETIMEDOUT, -EAGAIN (SKUA_NOW, and it is not known yet), -ECANCELED, -ENOMEM, -ESHUTDOWN, or what
   else the lookup said.
   Call from: a task; on a foreign thread it asks getaddrinfo there and then, which the deadline
   does not bound. May switch. Cancel: the lookup goes on by itself, and its answer is kept. Cost: a
   lock if it is known; else a lookup. */
int skua_resolve(const char *host, const char *service, const skua_resolve_opts *opts,
                 skua_address addresses[], size_t capacity, skua_time deadline) SKUA_MUST_CHECK;

/* One lookup: what to find out. */
typedef struct skua_question {
    const char *host;
    const char *service; /* NULL: port 0 */
    int family;          /* 0: both */
    int type;            /* SOCK_STREAM or SOCK_DGRAM */
} skua_question;

/* How a runtime looks up. Zero everywhere is the default. */
typedef struct skua_resolver_opts {
    uint32_t threads_max;   /* lookups at once; 0: 8 */
    size_t count_max;       /* answers that are kept, the least recently used goes; 0: 256 */
    int64_t ttl_ns;         /* so long; 0: 30 s; < 0: not at all. The C library tells no better */
    int64_t failure_ttl_ns; /* for -ENOENT; 0: 3 s; < 0: not at all. Other failures never are */
    const char *hosts_path; /* a file like /etc/hosts, copied; NULL: that one; "": none */
    /* Another way to look up than getaddrinfo(3); it is called on a thread where it may block.
       Writes up to `capacity` addresses; returns their number or < 0, as skua_resolve() does. */
    int (*lookup)(const skua_question *question, skua_address addresses[], size_t capacity,
                  void *arg);
    void *arg;
} skua_resolver_opts;

/* Say how the calling task's runtime looks up, before it does so for the first time. Returns 0,
   -EBUSY (it has begun), -EINVAL (a path that is too long), -ENOMEM, -EPERM (foreign thread),
   -ESHUTDOWN.
   Call from: a task. Never switches. */
int skua_resolver_setup(const skua_resolver_opts *opts) SKUA_MUST_CHECK;

/* Forget all answers; lookups that are under way are not kept. Does nothing on a foreign thread.
   Call from: a task. Never switches. */
void skua_resolver_clear(void);

/* What the calling task's runtime has looked up so far. */
typedef struct skua_resolver_counts {
    size_t kept;      /* answers now */
    size_t running;   /* lookups now, those that wait for a thread included */
    uint64_t lookups; /* begun */
    uint64_t hits;    /* answered by what was kept */
    uint64_t shared;  /* answered by a lookup that another one had begun */
    uint64_t written; /* answered without any: addresses in writing, /etc/hosts */
} skua_resolver_counts;

/* Zeroes on a foreign thread. Call from: a task. Never switches. */
void skua_resolver_count(skua_resolver_counts *out);

/* --- connecting by name ----------------------------------------------------------------------- */

/* How to connect. Zero everywhere is the default, and so is NULL. */
typedef struct skua_tcp_connect_opts {
    int family;               /* AF_INET or AF_INET6; 0: both */
    int64_t attempt_delay_ns; /* a further address is tried when the last has said nothing for so
                                 long; 0: 250 ms; at least 10 ms is used */
    int64_t attempt_ns;       /* > 0: no longer for any one address, which is then -ETIMEDOUT */
    const skua_socket_opts *socket; /* of the connection; NULL: the good ones */
} skua_tcp_connect_opts;

/* Connect to a host by name, as RFC 8305 has it ("Happy Eyeballs"): all addresses of the name, the
   families by turns, each given a head start before the next; the first that answers is taken, the
   others are closed. Returns the fd, which is adopted (skua/io.h).
   When none could be reached: the error of the attempt that got furthest (one that was refused
   before one that was not routed), with the text of skua_fail() naming each address and its error.
   Else what skua_resolve() returns; -ETIMEDOUT, -EAGAIN (SKUA_NOW: a connection takes time),
   -ECANCELED; -EMFILE and what else socket(2) says; -EPERM (foreign thread), -ESHUTDOWN.
   Call from: a task. May switch. Cancel: nothing stays open. Cost: a task for each address that is
   tried. */
int skua_tcp_connect(const char *host, const char *service, const skua_tcp_connect_opts *opts,
                     skua_time deadline) SKUA_MUST_CHECK;

/* The same for addresses that are known already, in their order, families by turns. -EINVAL if
   `count` is 0.
   Call from: a task. May switch. Cancel: nothing stays open. */
int skua_tcp_connect_any(const skua_address addresses[], size_t count,
                         const skua_tcp_connect_opts *opts, skua_time deadline) SKUA_MUST_CHECK;

SKUA_END_DECLS
#endif
