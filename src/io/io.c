/* The I/O of one runtime: made when a task first uses it, ended after the last worker; and the
   owning of fds. What the numbers mean is fd.h's matter. */
#include "base/mem.h"
#include "base/panic.h"
#include "io/call.h"
#include "io/fd.h"
#include "io/ring.h"
#include "sched/report.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { REPORT_BYTES = 256 };

/* A list of numbers as text, cut off with "..." when it gets long. */
struct number_list {
    uint32_t count;
    int length;
    char text[REPORT_BYTES];
};

static void list_number(struct number_list *list, int number)
{
    const int room = (int)sizeof list->text - list->length;
    const int most = (int)sizeof ", 2147483647, ...";
    list->count++;
    if (room > most) {
        list->length += snprintf(list->text + list->length, (size_t)room, "%s%d",
                                 list->length > 0 ? ", " : "", number);
    } else if (list->text[list->length - 1] != '.') {
        list->length += snprintf(list->text + list->length, (size_t)room, ", ...");
    }
}

/* Standard streams are not expected to be closed. */
static void list_open(struct number_list *list, struct skua__fd_chunk *chunk)
{
    for (int i = 0; i < SKUA__FD_CHUNK_RECORDS; i++) {
        uint64_t word = skua__load(&chunk->records[i].word, relaxed);
        skua_require((word & SKUA__FD_HOLDS_MASK) == 0);
        if (skua__fd_is_adopted(word) && chunk->records[i].number > STDERR_FILENO) {
            list_number(list, chunk->records[i].number);
        }
    }
}

/* Nobody polls any more and no task is left. Open fds are the program's from now on. */
static void io_destroy(struct skua__service *service)
{
    struct skua__io *io = SKUA_CONTAINER(service, struct skua__io, service);
    struct number_list open = {0};
    skua__rings_destroy(io->rings);
    skua__io_poller_close(&io->poller);
    for (int i = 0; i < SKUA__FD_CHUNKS; i++) {
        struct skua__fd_chunk *chunk = skua__load(&io->chunks[i], relaxed);
        if (chunk != NULL) {
            list_open(&open, chunk);
            skua__free(chunk);
        }
    }
    if (open.count > 0) {
        skua__runtime_report(service->runtime, SKUA_REPORT_LEFT,
                             "%u file descriptor%s still open: %s", open.count,
                             open.count == 1 ? " is" : "s are", open.text);
    }
    skua__free(io);
}

/* The poller's receiver: what concerns rings is theirs, the rest is passed on in pieces. */
static bool deliver(void *target, const struct skua__io_event *events, size_t count)
{
    struct skua__io *io = target;
    bool has_woken = false;
    size_t first = 0;
    for (size_t i = 0; i < count; i++) {
        bool woke = false;
        if (SKUA_UNLIKELY(events[i].generation == SKUA__RING_GENERATION) &&
            skua__rings_deliver(io->rings, events[i].fd, &woke)) {
            has_woken |= woke | skua__fd_deliver(io, events + first, i - first);
            first = i + 1;
        }
    }
    return skua__fd_deliver(io, events + first, count - first) || has_woken;
}

/* The text of a dump, which begins with a comma; the program's is what follows. */
static const char *backend_of(struct skua__io *io)
{
    return skua__rings_are_open(io->rings) ? ", epoll, files by io_uring" : ", epoll";
}

static const char *describe(struct skua__poller *poller)
{
    return backend_of(SKUA_CONTAINER(poller, struct skua__io, poller.base));
}

/* Those who wait in skua_accept() are told that nobody is let in any more. */
static void io_drain(struct skua__service *service)
{
    skua__fd_stir(SKUA_CONTAINER(service, struct skua__io, service));
}

static int io_create(skua_runtime *runtime, struct skua__service **out)
{
    struct skua__io *io = skua__alloc(sizeof *io);
    if (io == NULL) {
        return -ENOMEM;
    }
    int status = skua__rings_create(runtime, &io->rings);
    if (status < 0) {
        goto fail;
    }
    status = skua__io_poller_open(&io->poller, deliver, io);
    if (status < 0) {
        goto fail_rings;
    }
    io->service.destroy = io_destroy;
    io->poller.base.describe = describe;
    io->service.drain = io_drain;
    skua__runtime_set_poller(runtime, &io->poller.base);
    *out = &io->service;
    return 0;

fail_rings:
    skua__rings_destroy(io->rings);
fail:
    skua__free(io);
    return status;
}

int skua__io_get(struct skua__io **out)
{
    struct skua__service *service = NULL;
    int status = skua__service_get(SKUA__SERVICE_IO, &service, io_create);
    if (status == 0) {
        *out = SKUA_CONTAINER(service, struct skua__io, service);
    }
    return status;
}

int skua_fd_adopt(int fd)
{
    struct skua__io *io = NULL;
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (skua_runtime_current() == NULL) {
        return -EPERM;
    }
    int status = skua__io_get(&io);
    if (status < 0) {
        return status;
    }
    int type = skua__call_type(fd);
    if (type < 0) {
        return type;
    }
    if (type == SKUA__TYPE_FILE) {
        return skua__fd_adopt(io, fd, SKUA__FD_FILE, false);
    }
    if (fd <= STDERR_FILENO) {
        return skua__fd_adopt(io, fd, SKUA__FD_SHARED, type == SKUA__TYPE_SOCKET);
    }
    status = skua__call_set_nonblocking(fd);
    return status < 0 ? status : skua__fd_adopt(io, fd, SKUA__FD_STREAM, type == SKUA__TYPE_SOCKET);
}

void skua_close(int fd)
{
    struct skua__io *io = NULL;
    if (skua__forked() || skua_runtime_current() == NULL) {
        skua__call_close(fd);
        return;
    }
    if (skua__io_get(&io) < 0 || !skua__fd_close(io, fd)) {
        skua__panic("skua_close(%d): this file descriptor was not adopted", fd);
    }
}

const char *skua_io_backend(void)
{
    struct skua__io *io = NULL;
    if (skua__forked() || skua_runtime_current() == NULL) {
        return "poll";
    }
    return skua__io_get(&io) < 0 ? "epoll" : backend_of(io) + strlen(", ");
}
