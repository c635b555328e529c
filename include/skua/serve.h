/* skua/serve.h: a server: one task for each connection that a listener accepts.

       static int echo(skua_client *client)
       {
           char buffer[4096];
           ssize_t got;
           while ((got = skua_read(client->fd, buffer, sizeof buffer, SKUA_FOREVER)) > 0) {
               int status = skua_write_all(client->fd, buffer, (size_t)got, NULL, SKUA_FOREVER);
               if (status < 0) {
                   return status;
               }
           }
           return (int)got;
       }
       ...
       int status = skua_serve(NULL, listener, echo, NULL, NULL);                             */
#ifndef SKUA_SERVE_H
#define SKUA_SERVE_H

#include <skua/net.h>
#include <skua/task.h>

SKUA_BEGIN_DECLS

/* A connection, in the frame of its task. */
typedef struct skua_client {
    int fd;            /* adopted; closed when the handler has returned, so not by the handler. One
                          that gives it to somebody else puts -1 here */
    void *arg;         /* the one of skua_serve() */
    skua_address peer; /* who it is */
} skua_client;

/* Serves one connection, in a task of its own. A status < 0 is a failure of this one connection. */
typedef int (*skua_serve_fn)(skua_client *client);

/* What a server can say about itself. */
typedef enum skua_serve_event {
    SKUA_SERVE_FAILED,    /* a handler has: `status` is what it returned */
    SKUA_SERVE_EXHAUSTED, /* nothing can be accepted just now (-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM,
                             -EAGAIN: no task to be had); tried again until it can. Once a time */
    SKUA_SERVE_RECOVERED, /* it can be again */
} skua_serve_event;

/* How to serve. Zero everywhere is the default, and so is NULL. */
typedef struct skua_serve_opts {
    size_t connections_max; /* at once; more wait in the listener's backlog. 0: no limit */
    size_t stack_bytes;     /* of each connection's task; 0: the runtime's default */
    const char *name;       /* of these tasks; copied; NULL: "connection" */
    int64_t drain_ns; /* after a stop, connections get so long to finish before they are cancelled;
                         0: 10 s; < 0: none at all */
    /* NULL: failures are reported as those of tasks are that nobody looks at, but for -ECONNRESET,
       -EPIPE, -ENOTCONN and -ECANCELED, which belong to a server's day; the rest as a line like it.
       Called in the task that has failed, or the one that accepts; `peer` NULL: none in particular.
       Must not fail; may block, which keeps that one task. */
    void (*on_event)(skua_serve_event event, int status, const skua_address *peer, void *arg);
} skua_serve_opts;

/* A handle on a server that runs, for others. Zeroed is ready for use; nothing to destroy. It must
   stay until skua_serve() has returned and no other call on it is under way. */
typedef struct skua_server {
    uint64_t opaque[16];
} skua_server;

/* Accept connections and run handler() for each in a task of its own, until told to stop: by
   skua_server_stop(), by a runtime that drains, or by a stop of the task or a scope around
   (skua_task_stop(), skua_scope_stop(): these are noticed with the next connection, or by the
   cancel that they lead to). Then the listener is closed, so that whoever comes now is refused at
   once; skua_stopping() is true in the handlers, connections may finish until the drain is over,
   and are cancelled then. Returns when all have ended and are closed.
   At the limit it stops accepting; connections wait in the backlog. When the process is out of file
   descriptors, or of memory for tasks, it waits and tries again, some ten times a second.
   `server` may be NULL if nobody else asks.
   Returns 0 after a stop; -ECANCELED (the connections were cancelled, too); -EINVAL (no handler, or
   a server that serves already, or no listener), -EBADF (not adopted, or closed by somebody),
   -EBUSY (somebody else accepts there), -EPERM (foreign thread), -ESHUTDOWN (forked child); or what
   else accept says of the listener.
   Call from: a task. May switch. Owns: the listener, which is closed unless one of -EBADF, -EBUSY,
   -EINVAL, -EPERM and -ESHUTDOWN is returned. Cost: a spawn for each connection. */
int skua_serve(skua_server *server, int listener, skua_serve_fn handler, void *arg,
               const skua_serve_opts *opts) SKUA_MUST_CHECK;

/* Ask the server to stop: as described there, but the connections may finish until the moment
   `until` (SKUA_FOREVER: as long as they like; SKUA_NOW: they are cancelled at once). Returns at
   once. Asked again it can only bring `until` forward; before skua_serve() it stops that one as
   soon as it begins.
   Call from: a task or a foreign thread. Never switches. */
void skua_server_stop(skua_server *server, skua_time until);

/* What it has seen so far. */
typedef struct skua_server_counts {
    size_t connections; /* now */
    uint64_t accepted;
    uint64_t failed;    /* handlers that returned < 0 */
    uint64_t exhausted; /* times that nothing could be accepted for want of something */
} skua_server_counts;

/* Call from anywhere. Never switches. */
void skua_server_count(skua_server *server, skua_server_counts *out);

SKUA_END_DECLS
#endif
