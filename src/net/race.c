/* Connecting to whichever address answers first ("Happy Eyeballs", RFC 8305).

   The addresses are put in an order that takes the families by turns. Each attempt is a member of a
   group whose first success cancels the others. The next attempt begins when one has failed, or
   when the last one has said nothing for a while; none is given up for that.

     (E1) The first attempt that stands leaves its fd in race->fd; whoever comes second closes his
          own. So what was cancelled too late leaks nothing.
     (E2) Members touch the race until they end, and the group is closed before it goes.
     (E3) What has succeeded reports success, also if a cancel or a deadline came meanwhile.

   A single address needs no race, and no task.

   Rejected: a select over sockets that connect in one task (the calls of io are the attempts, and a
   task for each costs little beside a connection). */
#include "base/atomic.h"
#include "base/clock.h"
#include "base/mem.h"
#include "sched/waiter.h"

#include <skua/group.h>
#include <skua/io.h>
#include <skua/resolve.h>
#include <skua/runtime.h>
#include <skua/sync.h>
#include <stdio.h>
#include <string.h>

enum { ADDRESSES_MAX = 32, TEXT_BYTES = 1024 };

static const int64_t DELAY_NS = SKUA_MS(250);
static const int64_t DELAY_NS_MIN = SKUA_MS(10);

struct race;

struct attempt {
    struct race *race;
    const skua_address *address;
    int status; /* written by the attempt, read after the close; 1: it was not made */
};

struct race {
    const skua_tcp_connect_opts *opts;
    skua_event failed; /* one of them has */
    _Atomic int fd;    /* the first connection that stands; -1: none yet */
    size_t count;
    struct attempt attempts[ADDRESSES_MAX];
};

/* --- one attempt ------------------------------------------------------------------------------ */

static int connect_once(const skua_address *address, const skua_tcp_connect_opts *opts,
                        skua_time deadline)
{
    if (opts->attempt_ns > 0) {
        const skua_time own = skua_after(opts->attempt_ns);
        deadline = own.ns < skua__deadline_ns(deadline) ? own : deadline;
    }
    return skua_tcp_connect_to(address, opts->socket, deadline);
}

static int attempt(void *arg)
{
    struct attempt *self = arg;
    struct race *race = self->race;
    int fd = connect_once(self->address, race->opts, SKUA_FOREVER);
    if (fd < 0) {
        self->status = fd;
        skua_event_set(&race->failed);
        return fd;
    }
    self->status = 0;
    int none = -1;
    if (!skua__cas(&race->fd, &none, fd, relaxed, relaxed)) {
        skua_close(fd); /* (E1) */
    }
    return 0;
}

/* --- the race --------------------------------------------------------------------------------- */

/* By turns, beginning with the family that stands first. */
static void line_up(struct race *race, const skua_address addresses[], size_t count)
{
    const sa_family_t first = addresses[0].any.sa_family;
    size_t at[2] = {0, 0};
    race->count = count < ADDRESSES_MAX ? count : ADDRESSES_MAX;
    for (size_t i = 0; i < race->count; i++) {
        size_t turn = i % 2;
        for (int sides = 0; sides < 2; sides++, turn = 1 - turn) {
            while (at[turn] < count &&
                   (addresses[at[turn]].any.sa_family == first) != (turn == 0)) {
                at[turn]++;
            }
            if (at[turn] < count) {
                break;
            }
        }
        race->attempts[i] =
            (struct attempt){.race = race, .address = &addresses[at[turn]++], .status = 1};
    }
}

/* Begins one attempt after the other. Returns 0, or why it cannot go on. */
static int run(struct race *race, skua_group *group)
{
    const int64_t asked_ns = race->opts->attempt_delay_ns;
    const int64_t delay_ns = asked_ns == 0             ? DELAY_NS
                             : asked_ns < DELAY_NS_MIN ? DELAY_NS_MIN
                                                       : asked_ns;
    const skua_spawn_opts opts = {.name = "connect", .group = group};
    for (size_t i = 0; i < race->count; i++) {
        struct attempt *next = &race->attempts[i];
        skua_event_clear(&race->failed);
        int status = skua_spawn(NULL, attempt, next, &opts);
        if (status == -ECANCELED) {
            return status; /* somebody has won, or nobody may any more */
        }
        if (status < 0) {
            next->status = status;
            continue;
        }
        status = i + 1 < race->count ? skua_event_wait(&race->failed, skua_after(delay_ns)) : 0;
        if (status < 0 && status != -ETIMEDOUT) {
            return status;
        }
    }
    return 0;
}

/* --- what is told when nobody has answered -----------------------------------------------------
   */

/* How far an attempt has got. */
static int progress(int status)
{
    switch (status) {
    case -ECONNREFUSED:
    case -ECONNRESET:
        return 4;
    case -ETIMEDOUT:
        return 3;
    case -ENETUNREACH:
    case -EHOSTUNREACH:
    case -EADDRNOTAVAIL:
    case -EAFNOSUPPORT:
        return 1;
    case -ECANCELED:
        return 0;
    default:
        return 2;
    }
}

/* The error of the attempt that got furthest. */
static int best_error(const struct race *race)
{
    int status = -ECANCELED;
    for (size_t i = 0; i < race->count; i++) {
        const int own = race->attempts[i].status;
        status = progress(own) > progress(status) ? own : status;
    }
    return status;
}

/* Was there an address about which nothing is known? */
static bool was_cut_short(const struct race *race)
{
    bool was_cut = false;
    for (size_t i = 0; i < race->count; i++) {
        was_cut = was_cut || race->attempts[i].status > 0 || race->attempts[i].status == -ECANCELED;
    }
    return was_cut;
}

static int tell(const struct race *race, const char *host, int status)
{
    if (status == -ECANCELED) {
        return status;
    }
    char text[TEXT_BYTES] = "", address[SKUA_ADDRESS_TEXT_BYTES];
    size_t length = 0;
    for (size_t i = 0; i < race->count && length < sizeof text; i++) {
        if (race->attempts[i].status < 0) {
            int added =
                snprintf(text + length, sizeof text - length, "%s%s: %s", length > 0 ? "; " : "",
                         skua_address_text(race->attempts[i].address, address, sizeof address),
                         skua_error_text(race->attempts[i].status));
            length += added > 0 ? (size_t)added : 0;
        }
    }
    return host != NULL ? skua_fail(status, "connecting to %s: %s", host, text)
                        : skua_fail(status, "connecting: %s", text);
}

/* --- all of it -------------------------------------------------------------------------------- */

/* With the race in place: the fd or the error. */
static int connect_first(struct race *race, skua_time deadline)
{
    SKUA_GROUP(group);
    skua__store(&race->fd, -1, relaxed);
    skua_group_open(&group, SKUA_ANY_SUCCESS, deadline);
    int status = run(race, &group);
    status = skua_group_close(&group, status);
    const int fd = skua__load(&race->fd, relaxed);
    if (fd >= 0) {
        return fd; /* (E3) */
    }
    const bool is_late = skua_scope_expired(skua_group_scope(&group));
    return !was_cut_short(race) ? best_error(race) : is_late ? -ETIMEDOUT : -ECANCELED;
}

static int connect_any(const char *host, const skua_address addresses[], size_t count,
                       const skua_tcp_connect_opts *opts, skua_time deadline)
{
    struct race *race = skua__alloc(sizeof *race);
    if (race == NULL) {
        return -ENOMEM;
    }
    race->opts = opts;
    line_up(race, addresses, count);
    int status = 0;
    if (count == 1) {
        status = connect_once(&addresses[0], opts, deadline);
        race->attempts[0].status = status < 0 ? status : 0;
    } else {
        status = connect_first(race, deadline);
    }
    status = status < 0 ? tell(race, host, status) : status;
    skua__free(race);
    return status;
}

/* What is checked before anything is tried. */
static int check(const skua_tcp_connect_opts *opts, skua_time deadline)
{
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
    if (skua_runtime_current() == NULL) {
        return -EPERM;
    }
    if (opts->attempt_delay_ns < 0 || opts->attempt_ns < 0) {
        return -EINVAL;
    }
    return skua__is_now(deadline) ? -EAGAIN : 0;
}

static const skua_tcp_connect_opts no_opts;

int skua_tcp_connect_any(const skua_address addresses[], size_t count,
                         const skua_tcp_connect_opts *opts, skua_time deadline)
{
    opts = opts != NULL ? opts : &no_opts;
    int status = check(opts, deadline);
    if (status < 0) {
        return status;
    }
    return count > 0 ? connect_any(NULL, addresses, count, opts, deadline) : -EINVAL;
}

int skua_tcp_connect(const char *host, const char *service, const skua_tcp_connect_opts *opts,
                     skua_time deadline)
{
    opts = opts != NULL ? opts : &no_opts;
    int status = check(opts, deadline);
    if (status < 0) {
        return status;
    }
    const skua_resolve_opts how = {.family = opts->family};
    skua_address *addresses = skua__alloc(ADDRESSES_MAX * sizeof *addresses);
    if (addresses == NULL) {
        return -ENOMEM;
    }
    int count = skua_resolve(host, service, &how, addresses, ADDRESSES_MAX, deadline);
    if (count > 0) {
        const size_t usable = count < ADDRESSES_MAX ? (size_t)count : ADDRESSES_MAX;
        status =
            connect_any(host != NULL ? host : "this machine", addresses, usable, opts, deadline);
    } else {
        status = skua_fail(count, "looking up %s", host != NULL ? host : "this machine");
    }
    skua__free(addresses);
    return status;
}
