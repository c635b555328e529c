/* Streams: sockets, pipes, terminals. Everything is one loop (do_in_task): hold the fd, try the
   system call, let go, and only after EAGAIN wait for an event; then from the start.

   (S1) During a system call the fd is held, so its number cannot change its meaning. While parked
        it is not: each turn begins with a new hold, and ends with -EBADF under another generation.
        Calls of several turns, and transports, mean one generation from the first to the last
        (struct skua__life).
   (S2) An attempt that was successful is the result, whatever cancels or deadlines have come
        meanwhile.
   (S3) Attempts never switch; errno stays inside call.c.
   (S4) While the runtime drains nobody accepts. Each attempt asks; those who wait are woken when it
        begins (skua__fd_stir()), and ask again.
   (S5) Where the last transfer has left nothing and no event came since, the wait begins without a
        try ((F6) in fd.c says when that is so): a message costs a read and a write, and no second
        read that finds nothing. What is there may then have an event that nobody has picked up yet,
        so a deadline that ends such a wait is followed by one try, and SKUA_NOW always tries.

   Foreign threads have no records and nobody who wakes them: they wait in poll(2), which comes
   first there, because their fds need not be non-blocking. */
#include "io/stream.h"

#include "io/call.h"
#include "sched/drain.h"

#include <skua/runtime.h>
#include <skua/task.h>

/* A unix socket whose backlog is full says so, but nothing ever says that it no longer is. */
static const int64_t BACKLOG_NAP_NS = SKUA_MS(1);

/* Nor does anything say that there are fds or memory again for those who want to be accepted. */
static const int64_t SHORTAGE_NAP_NS = SKUA_MS(50);

/* The kernel cuts off there, whatever else there is. */
static const ssize_t BYTES_MAX = 0x7ffff000;

static ssize_t do_on_thread(int fd, const struct skua__operation *operation, skua_time deadline)
{
    int64_t deadline_ns = skua__is_now(deadline) ? 0 : skua__deadline_ns(deadline);
    bool is_socket = skua__call_type(fd) == SKUA__TYPE_SOCKET;
    for (;;) {
        int ready = skua__call_poll(fd, operation->direction, deadline_ns);
        if (ready <= 0) {
            return ready < 0 ? ready : deadline_ns == 0 ? -EAGAIN : -ETIMEDOUT;
        }
        ssize_t result = operation->attempt(fd, is_socket, operation->arg);
        if (result != -EAGAIN || deadline_ns == 0) {
            return result;
        }
    }
}

/* One try, on a stream that is held; gives the hold back. */
static ssize_t try_held(struct skua__fd *fd, const struct skua__fd_look *look,
                        const struct skua__operation *operation)
{
    ssize_t result = operation->attempt(fd->number, skua__fd_is_socket(look->word), operation->arg);
    if (operation->bytes > 0 && (result > 0 || result == -EAGAIN)) {
        const bool is_short = result < (ssize_t)operation->bytes && result < BYTES_MAX;
        skua__fd_note_exhausted(fd, look, operation->direction, is_short);
    }
    skua__fd_drop(fd);
    return result;
}

/* What is not a stream; it is held. */
static ssize_t do_other(struct skua__io *io, struct skua__fd *fd, const struct skua__fd_look *look,
                        const struct skua__operation *operation, skua_time deadline)
{
    if (operation->is_file) {
        return skua__file_do(io, fd, look, operation->arg, deadline);
    }
    skua__fd_drop(fd);
    /* A shared listener would block the worker. */
    return skua__fd_is_socket(look->word) ? -EOPNOTSUPP : -ENOTSOCK;
}

/* Hold the fd in the life in which it was. */
static bool hold_again(struct skua__fd *fd, struct skua__fd_look *look)
{
    const uint32_t generation = skua__fd_generation(look->word);
    if (!skua__fd_hold(fd, look)) {
        return false;
    }
    if (skua__fd_generation(look->word) != generation) {
        skua__fd_drop(fd);
        return false; /* (S1) */
    }
    return true;
}

/* The deadline came in a wait that was begun without a try (S5). */
static ssize_t try_at_last(struct skua__fd *fd, struct skua__fd_look *look,
                           const struct skua__operation *operation)
{
    if (!hold_again(fd, look)) {
        return -EBADF;
    }
    ssize_t result = try_held(fd, look, operation);
    return result == -EAGAIN ? -ETIMEDOUT : result;
}

/* Until the operation has a result, beginning with a wait: the last try has left nothing, or we
   know without one. */
static ssize_t wait_and_try(struct skua__io *io, struct skua__fd *fd, struct skua__fd_look *look,
                            const struct skua__operation *operation, bool is_tried,
                            int64_t deadline_ns)
{
    for (;;) {
        int status = skua__fd_wait(io, fd, look, operation->direction, false, deadline_ns);
        if (SKUA_UNLIKELY(status < 0)) {
            return status == -ETIMEDOUT && !is_tried ? try_at_last(fd, look, operation) : status;
        }
        if (!hold_again(fd, look)) {
            return -EBADF;
        }
        ssize_t result = try_held(fd, look, operation);
        if (result != -EAGAIN) {
            return result;
        }
        is_tried = true;
    }
}

/* The fd as it was looked at: the one that the earlier operations meant? */
static bool is_in_life(struct skua__life *life, const struct skua__fd_look *look)
{
    const uint32_t generation = skua__fd_generation(look->word);
    if (life == NULL || life->is_known) {
        return life == NULL || life->generation == generation;
    }
    *life = (struct skua__life){.is_known = true, .generation = generation};
    return true;
}

static ssize_t do_in_task(int number, const struct skua__operation *operation, skua_time deadline)
{
    struct skua__io *io = NULL;
    int status = skua__io_get(&io);
    if (status < 0) {
        return status;
    }
    struct skua__fd *fd = skua__fd_find(io, number);
    if (fd == NULL) {
        return -EBADF;
    }
    struct skua__fd_look look;
    if (operation->bytes > 0 && !skua__is_now(deadline) &&
        skua__fd_is_exhausted(fd, &look, operation->direction) &&
        is_in_life(operation->life, &look)) {
        return wait_and_try(io, fd, &look, operation, false, skua__deadline_ns(deadline));
    }
    if (!skua__fd_hold(fd, &look)) {
        return -EBADF;
    }
    if (SKUA_UNLIKELY(!is_in_life(operation->life, &look))) {
        skua__fd_drop(fd);
        return -EBADF;
    }
    if (SKUA_UNLIKELY(skua__fd_kind_of(look.word) != SKUA__FD_STREAM)) {
        return do_other(io, fd, &look, operation, deadline);
    }
    ssize_t result = try_held(fd, &look, operation);
    if (result != -EAGAIN || skua__is_now(deadline)) {
        return result;
    }
    return wait_and_try(io, fd, &look, operation, true, skua__deadline_ns(deadline));
}

ssize_t skua__stream_do(int fd, const struct skua__operation *operation, skua_time deadline)
{
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
    return skua_runtime_current() == NULL ? do_on_thread(fd, operation, deadline)
                                          : do_in_task(fd, operation, deadline);
}

/* --- reading and writing ---------------------------------------------------------------------- */

static ssize_t try_read(int fd, bool is_socket, void *arg)
{
    const struct skua__transfer *transfer = arg;
    return skua__call_read(fd, is_socket, transfer->buffer, transfer->bytes);
}

static ssize_t try_write(int fd, bool is_socket, void *arg)
{
    const struct skua__transfer *transfer = arg;
    return skua__call_write(fd, is_socket, transfer->buffer, transfer->bytes);
}

ssize_t skua__read_in(struct skua__life *life, int fd, void *buffer, size_t bytes,
                      skua_time deadline)
{
    struct skua__transfer transfer = {.buffer = buffer, .bytes = bytes};
    const struct skua__operation operation = {.attempt = try_read,
                                              .arg = &transfer,
                                              .direction = SKUA_READABLE,
                                              .bytes = bytes,
                                              .life = life,
                                              .is_file = true};
    return skua__stream_do(fd, &operation, deadline);
}

ssize_t skua_read(int fd, void *buffer, size_t bytes, skua_time deadline)
{
    return skua__read_in(NULL, fd, buffer, bytes, deadline);
}

ssize_t skua__write_in(struct skua__life *life, int fd, const void *buffer, size_t bytes,
                       skua_time deadline)
{
    struct skua__transfer transfer = {
        .buffer = (void *)(uintptr_t)buffer, .bytes = bytes, .is_write = true};
    const struct skua__operation operation = {.attempt = try_write,
                                              .arg = &transfer,
                                              .direction = SKUA_WRITABLE,
                                              .bytes = bytes,
                                              .life = life,
                                              .is_file = true};
    return skua__stream_do(fd, &operation, deadline);
}

ssize_t skua_write(int fd, const void *buffer, size_t bytes, skua_time deadline)
{
    return skua__write_in(NULL, fd, buffer, bytes, deadline);
}

int skua__write_all_in(struct skua__life *life, int fd, const void *buffer, size_t bytes,
                       size_t *written, skua_time deadline)
{
    size_t done = 0;
    ssize_t put = 0;
    while (done < bytes && put >= 0) {
        put = skua__write_in(life, fd, (const char *)buffer + done, bytes - done, deadline);
        done += put > 0 ? (size_t)put : 0;
    }
    if (written != NULL) {
        *written = done;
    }
    return put < 0 ? (int)put : 0;
}

int skua_write_all(int fd, const void *buffer, size_t bytes, size_t *written, skua_time deadline)
{
    struct skua__life life = {0};
    return skua__write_all_in(&life, fd, buffer, bytes, written, deadline);
}

/* --- connections ------------------------------------------------------------------------------ */

int skua__fd_nap(int64_t nap_ns, skua_time deadline)
{
    if (skua__is_now(deadline)) {
        return -EAGAIN;
    }
    if (skua__clock_ns() >= skua__deadline_ns(deadline)) {
        return -ETIMEDOUT;
    }
    skua_time until = skua_after(nap_ns);
    return skua_sleep(until.ns < skua__deadline_ns(deadline) ? until : deadline);
}

struct accept_arg {
    struct sockaddr *address;
    socklen_t *address_bytes;
    const skua_runtime *runtime; /* NULL on a foreign thread */
};

static ssize_t try_accept(int fd, bool is_socket, void *arg)
{
    const struct accept_arg *accept = arg;
    (void)is_socket;
    if (accept->runtime != NULL && skua__runtime_is_draining(accept->runtime)) {
        return -ESHUTDOWN; /* (S4) */
    }
    return skua__call_accept(fd, accept->address, accept->address_bytes);
}

int skua__fd_own_socket(int fd)
{
    struct skua__io *io = NULL;
    if (skua_runtime_current() == NULL) {
        return fd;
    }
    int status = skua__io_get(&io);
    if (status == 0) {
        status = skua__fd_adopt_new(io, fd, SKUA__FD_STREAM, true);
    }
    if (status < 0) {
        skua__call_close(fd);
    }
    return status < 0 ? status : fd;
}

static bool is_shortage(int status)
{
    return status == -EMFILE || status == -ENFILE || status == -ENOBUFS || status == -ENOMEM;
}

/* A shortage is told only after a pause and a second try: those who accept in a loop, whatever
   comes out, neither keep a core busy nor miss the end of it. The connection stays in the line. */
int skua_accept(int listener, struct sockaddr *address, socklen_t *address_bytes,
                skua_time deadline)
{
    struct accept_arg arg = {
        .address = address, .address_bytes = address_bytes, .runtime = skua_runtime_current()};
    struct skua__life life = {0};
    const struct skua__operation operation = {
        .attempt = try_accept, .arg = &arg, .direction = SKUA_READABLE, .life = &life};
    int fd = (int)skua__stream_do(listener, &operation, deadline);
    if (is_shortage(fd)) {
        int status = skua__fd_nap(SHORTAGE_NAP_NS, deadline);
        if (status == -ECANCELED) {
            return status;
        }
        fd = status < 0 ? fd : (int)skua__stream_do(listener, &operation, deadline);
    }
    return fd < 0 ? fd : skua__fd_own_socket(fd);
}

struct connect_arg {
    const struct sockaddr *address;
    socklen_t address_bytes;
    bool has_begun;
    bool is_backlog_full;
};

/* Each try calls connect(2) again: while it goes on it says EALREADY, afterwards what has become of
   it. (A look at SO_ERROR would be wrong here: a new TCP socket has an event before it is
   connected.) */
static ssize_t try_connect(int fd, bool is_socket, void *arg)
{
    struct connect_arg *connect = arg;
    (void)is_socket;
    int status = skua__call_connect(fd, connect->address, connect->address_bytes);
    switch (status) {
    case -EINPROGRESS:
    case -EALREADY:
    case -EINTR:
        connect->has_begun = true;
        return -EAGAIN;
    case -EISCONN:
        return connect->has_begun ? 0 : -EISCONN;
    case -EAGAIN:
        connect->is_backlog_full = true;
        return -ENOBUFS;
    default:
        return status;
    }
}

int skua_connect(int fd, const struct sockaddr *address, socklen_t address_bytes,
                 skua_time deadline)
{
    struct connect_arg arg = {.address = address, .address_bytes = address_bytes};
    struct skua__life life = {0};
    const struct skua__operation operation = {
        .attempt = try_connect, .arg = &arg, .direction = SKUA_WRITABLE, .life = &life};
    for (;;) {
        arg.is_backlog_full = false;
        int status = (int)skua__stream_do(fd, &operation, deadline);
        if (!arg.is_backlog_full) {
            return status;
        }
        status = skua__fd_nap(BACKLOG_NAP_NS, deadline);
        if (status < 0) {
            return status;
        }
    }
}
