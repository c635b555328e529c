/* Transports: the operations by name, and those of an fd.

   The fd itself is the object, so a transport of one needs no memory and nobody owns it:

       63          32 31     30            0
       +-------------+-------+-------------+
       | generation  | known |   number    |
       +-------------+-------+-------------+

   Who uses a transport that another task has closed is told so, even if the number means another
   connection by then. */
#include "io/transport.h"

#include "io/stream.h"

#include <skua/io.h>
#include <skua/runtime.h>
#include <skua/transfer.h>

static const uint64_t KNOWN = UINT64_C(1) << 31;
static const uint64_t NUMBER_MASK = INT32_MAX;

_Static_assert(sizeof(void *) == sizeof(uint64_t), "an object holds number and generation");

static int fd_of(void *object)
{
    const uint64_t bits = (uintptr_t)object;
    return bits == UINT64_MAX ? -1 : (int)(bits & NUMBER_MASK);
}

static struct skua__life life_of(void *object)
{
    const uint64_t bits = (uintptr_t)object;
    return (struct skua__life){.is_known = (bits & KNOWN) != 0,
                               .generation = (uint32_t)(bits >> SKUA__FD_GENERATION_SHIFT)};
}

static ssize_t fd_read(void *object, void *buffer, size_t bytes, skua_time deadline)
{
    struct skua__life life = life_of(object);
    return skua__read_in(&life, fd_of(object), buffer, bytes, deadline);
}

static ssize_t fd_write(void *object, const struct iovec *parts, size_t count, skua_time deadline)
{
    struct skua__life life = life_of(object);
    const int fd = fd_of(object);
    return count == 1 ? skua__write_in(&life, fd, parts->iov_base, parts->iov_len, deadline)
                      : skua__writev_in(&life, fd, parts, (int)count, deadline);
}

static int fd_close_write(void *object, skua_time deadline)
{
    (void)deadline; /* shutdown(2) waits for nothing */
    return skua_shutdown(fd_of(object), SHUT_WR);
}

static void fd_close(void *object)
{
    skua_close(fd_of(object));
}

static const skua_transport_ops fd_ops = {
    .read = fd_read, .write = fd_write, .close_write = fd_close_write, .close = fd_close};

/* The number with its generation, if it is adopted. */
static uint64_t bits_of(int fd)
{
    struct skua__io *io = NULL;
    if (fd < 0) {
        return UINT64_MAX;
    }
    if (skua__forked() || skua_runtime_current() == NULL || skua__io_get(&io) < 0) {
        return (uint64_t)fd;
    }
    const struct skua__fd *record = skua__fd_find(io, fd);
    const uint64_t word = record != NULL ? skua__load(&record->word, relaxed) : 0;
    if (!skua__fd_is_adopted(word)) {
        return (uint64_t)fd;
    }
    const uint64_t generation = skua__fd_generation(word);
    return generation << SKUA__FD_GENERATION_SHIFT | KNOWN | (uint64_t)fd;
}

skua_transport skua_fd_transport(int fd)
{
    return (skua_transport){.ops = &fd_ops, .object = (void *)(uintptr_t)bits_of(fd)};
}

ssize_t skua_transport_read(skua_transport transport, void *buffer, size_t bytes,
                            skua_time deadline)
{
    return transport.ops->read(transport.object, buffer, bytes, deadline);
}

ssize_t skua_transport_write(skua_transport transport, const struct iovec *parts, size_t count,
                             skua_time deadline)
{
    return transport.ops->write(transport.object, parts, count, deadline);
}

int skua_transport_flush(skua_transport transport, skua_time deadline)
{
    if (transport.ops->flush == NULL) {
        return skua__cancel_point();
    }
    return transport.ops->flush(transport.object, deadline);
}

int skua_transport_close_write(skua_transport transport, skua_time deadline)
{
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
    if (transport.ops->close_write == NULL) {
        return -EOPNOTSUPP;
    }
    return transport.ops->close_write(transport.object, deadline);
}

void skua_transport_close(skua_transport transport)
{
    transport.ops->close(transport.object);
}

bool skua__transport_error_is_final(int status, skua_time deadline)
{
    switch (status) {
    case -ECANCELED:
    case -EAGAIN:
    case -EBUSY:
    case -ENOMEM:
    case -ENOBUFS:
    case -ESHUTDOWN:
        return false;
    case -ETIMEDOUT: /* ours, or that of a connection whose peer is gone */
        return deadline.ns == 0 || (deadline.ns > 0 && skua_clock().ns < deadline.ns);
    default:
        return true;
    }
}
