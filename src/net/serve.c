/* Serving: one loop that accepts, in the body of a group whose members are the connections.

   The loop runs in a scope of its own inside of the group, so that a stop can end the accepting
   alone. What happens in order:

       accepting --- a stop, a drain, an error ---> draining --- the last connection ---> over
                                                        \------ the moment: cancelled ---/

     (V1) `accepting` and `draining` are set exactly while the scope that they point to is open, and
          change under the server's lock, under which skua_server_stop() uses them.
     (V2) A connection's fd belongs to the loop until its task is spawned, and then to that task:
          each closes what it owns, once. Tasks that are spawned run, cancelled or not.
     (V3) The listener is closed before the draining begins: nobody is left in its line who could
          hope for an answer.
     (V4) A shortage is waited out in the accept itself, which naps (skua/io.h), or here when no
     task
          can be had; the connection that was accepted already is kept meanwhile.

   Rejected: closing the connections that are over the limit (the backlog is a queue already, and
   says so to the clients by itself); several tasks that accept (one takes in more connections than
   can be spawned, and two of them would be woken for each). */
#include "base/atomic.h"
#include "base/lock.h"
#include "base/panic.h"
#include "sched/report.h"
#include "sched/service.h"
#include "sched/waiter.h"

#include <skua/group.h>
#include <skua/io.h>
#include <skua/runtime.h>
#include <skua/serve.h>

static const int64_t DRAIN_NS = SKUA_SEC(10);
static const int64_t NAP_NS = SKUA_MS(50);

struct server {
    struct skua__lock lock;
    bool is_serving;
    bool is_stopped;
    int64_t until_ns;      /* if it is stopped: when connections are cancelled */
    skua_scope *accepting; /* (V1) */
    skua_scope *draining;  /* (V1) */
    _Atomic size_t connections;
    _Atomic uint64_t accepted, failed, exhausted;
};

_Static_assert(sizeof(struct server) <= sizeof(skua_server), "skua_server is too small");
_Static_assert(_Alignof(struct server) <= _Alignof(skua_server), "skua_server is misaligned");

/* One skua_serve(), in its frame. */
struct serving {
    struct server *server;
    int listener;
    skua_serve_fn handler;
    void *arg;
    const skua_serve_opts *opts;
    skua_group *group;
    bool is_short; /* of something, and it has been told */
};

/* What a connection's task gets a copy of. */
struct connection {
    skua_client client;
    struct serving *serving;
};

static void server_lock(struct server *server)
{
    skua__lock(&server->lock, SKUA__RANK_CHAN);
}

static void server_unlock(struct server *server)
{
    skua__unlock(&server->lock, SKUA__RANK_CHAN);
}

/* --- a connection ----------------------------------------------------------------------------- */

/* What belongs to a server's day: the peer is gone. A half-close after a reset says -ENOTCONN. */
static bool is_everyday(int status)
{
    return status == -ECONNRESET || status == -EPIPE || status == -ENOTCONN;
}

static int judge(struct connection *self, int status)
{
    struct serving *serving = self->serving;
    if (status >= 0) {
        return 0;
    }
    skua__fetch_add(&serving->server->failed, 1, relaxed);
    if (skua_cancelled()) {
        return -ECANCELED;
    }
    if (serving->opts->on_event != NULL) {
        serving->opts->on_event(SKUA_SERVE_FAILED, status, &self->client.peer, serving->arg);
        return 0;
    }
    return is_everyday(status) ? 0 : status; /* the group reports it */
}

static int serve_one(void *arg)
{
    struct connection *self = arg;
    struct server *server = self->serving->server;
    int status = self->serving->handler(&self->client);
    if (self->client.fd >= 0) {
        skua_close(self->client.fd);
    }
    status = judge(self, status);
    skua__fetch_sub(&server->connections, 1, relaxed);
    return status;
}

/* --- shortages -------------------------------------------------------------------------------- */

static bool is_shortage(int status)
{
    return status == -EMFILE || status == -ENFILE || status == -ENOBUFS || status == -ENOMEM;
}

static void tell_shortage(struct serving *self, int status)
{
    if (self->is_short) {
        return;
    }
    self->is_short = true;
    skua__fetch_add(&self->server->exhausted, 1, relaxed);
    if (self->opts->on_event != NULL) {
        self->opts->on_event(SKUA_SERVE_EXHAUSTED, status, NULL, self->arg);
    } else {
        skua__runtime_report(skua_runtime_current(), SKUA_REPORT_OTHER,
                             "no connection can be accepted (%s); trying again",
                             skua_error_text(status));
    }
}

static void tell_recovery(struct serving *self)
{
    if (self->is_short) {
        self->is_short = false;
        if (self->opts->on_event != NULL) {
            self->opts->on_event(SKUA_SERVE_RECOVERED, 0, NULL, self->arg);
        }
    }
}

/* --- accepting -------------------------------------------------------------------------------- */

/* A task for the connection, which is closed if it gets none. */
static int spawn_connection(struct serving *self, struct connection *connection)
{
    const skua_spawn_opts opts = {.name =
                                      self->opts->name != NULL ? self->opts->name : "connection",
                                  .arg_bytes = sizeof *connection,
                                  .stack_bytes = self->opts->stack_bytes,
                                  .group = self->group};
    skua__fetch_add(&self->server->accepted, 1, relaxed);
    skua__fetch_add(&self->server->connections, 1, relaxed);
    int status = skua_spawn(NULL, serve_one, connection, &opts);
    while (status == -EAGAIN || status == -ENOMEM) {
        tell_shortage(self, status);
        status = skua_sleep(skua_after(NAP_NS));
        status = status < 0 ? status : skua_spawn(NULL, serve_one, connection, &opts);
    }
    if (status < 0) {
        skua__fetch_sub(&self->server->connections, 1, relaxed);
        skua_close(connection->client.fd);
        return status;
    }
    tell_recovery(self);
    return 0;
}

/* The next connection: 0, or why there is none. */
static int accept_one(struct serving *self)
{
    struct connection connection = {.serving = self, .client.arg = self->arg};
    if (self->opts->connections_max > 0) {
        int status = skua_group_room(self->group, self->opts->connections_max, SKUA_FOREVER);
        if (status < 0) {
            return status;
        }
    }
    skua_address *peer = &connection.client.peer;
    peer->bytes = sizeof peer->storage;
    connection.client.fd = skua_accept(self->listener, &peer->any, &peer->bytes, SKUA_FOREVER);
    if (is_shortage(connection.client.fd)) {
        tell_shortage(self, connection.client.fd);
        return 0;
    }
    return connection.client.fd < 0 ? connection.client.fd : spawn_connection(self, &connection);
}

/* Until something speaks against it: 0 (a stop, a drain), or what. */
static int accept_all(struct serving *self)
{
    struct server *server = self->server;
    SKUA_SCOPE(accepting);
    skua_scope_open(&accepting, SKUA_FOREVER);
    server_lock(server);
    server->accepting = &accepting;
    const bool is_stopped = server->is_stopped;
    server_unlock(server);

    int status = skua__cancel_point();
    while (status == 0 && !is_stopped && !skua_stopping()) {
        status = accept_one(self);
    }
    server_lock(server);
    server->accepting = NULL;
    server_unlock(server);
    status = skua_scope_close(&accepting, status);
    return status == -ESHUTDOWN ? 0 : status;
}

/* --- ending ----------------------------------------------------------------------------------- */

static skua_time moment(int64_t ns)
{
    return ns == SKUA__NEVER ? SKUA_FOREVER : skua_time_at(ns);
}

/* Let the connections finish, for as long as they may. */
static void drain(struct serving *self)
{
    struct server *server = self->server;
    const int64_t own_ns = self->opts->drain_ns;
    const skua_time until = skua_after(own_ns == 0 ? DRAIN_NS : own_ns > 0 ? own_ns : 0);
    skua_scope *scope = skua_group_scope(self->group);
    server_lock(server);
    skua_scope_stop(scope, server->is_stopped ? moment(server->until_ns) : until);
    server->draining = scope;
    server_unlock(server);

    /* Ends when all have, or with the cancel, which leaves nothing to be brought forward. */
    int status = skua_group_room(self->group, 1, SKUA_FOREVER);
    (void)status;
    server_lock(server);
    server->draining = NULL;
    server_unlock(server);
}

static int serve(struct serving *self)
{
    SKUA_GROUP(group);
    self->group = &group;
    skua_group_open(&group, SKUA_SUPERVISE, SKUA_FOREVER);
    int status = accept_all(self);
    if (status != -EBADF && status != -EBUSY && status != -EINVAL) {
        skua_close(self->listener); /* (V3) */
    }
    drain(self);
    const int closed = skua_group_close(&group, 0);
    return status < 0 ? status : closed;
}

int skua_serve(skua_server *handle, int listener, skua_serve_fn handler, void *arg,
               const skua_serve_opts *opts)
{
    static const skua_serve_opts none;
    skua_server own = {{0}};
    struct server *server = (struct server *)(void *)(handle != NULL ? handle : &own);
    struct serving serving = {.server = server,
                              .listener = listener,
                              .handler = handler,
                              .arg = arg,
                              .opts = opts != NULL ? opts : &none};
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (skua_runtime_current() == NULL) {
        return -EPERM;
    }
    server_lock(server);
    const bool is_free = !server->is_serving;
    server->is_serving = server->is_serving || handler != NULL;
    server_unlock(server);
    if (handler == NULL || !is_free) {
        return -EINVAL;
    }
    const int status = serve(&serving);
    server_lock(server);
    server->is_serving = server->is_stopped = false;
    server_unlock(server);
    return status;
}

/* --- from outside ----------------------------------------------------------------------------- */

void skua_server_stop(skua_server *handle, skua_time until)
{
    struct server *server = (struct server *)(void *)handle;
    const int64_t until_ns = skua__is_now(until) ? 1 : skua__deadline_ns(until);
    if (skua__forked()) {
        return;
    }
    server_lock(server);
    if (!server->is_stopped || until_ns < server->until_ns) {
        server->until_ns = until_ns;
    }
    server->is_stopped = true;
    if (server->accepting != NULL) {
        skua_scope_cancel(server->accepting);
    }
    if (server->draining != NULL) {
        skua_scope_stop(server->draining, moment(server->until_ns));
    }
    server_unlock(server);
}

void skua_server_count(skua_server *handle, skua_server_counts *out)
{
    struct server *server = (struct server *)(void *)handle;
    *out = (skua_server_counts){.connections = skua__load(&server->connections, relaxed),
                                .accepted = skua__load(&server->accepted, relaxed),
                                .failed = skua__load(&server->failed, relaxed),
                                .exhausted = skua__load(&server->exhausted, relaxed)};
}
