/* Transports: the operations by name, and those of an fd.

   The fd itself is the object, so a transport of one needs no memory and nobody owns it. */
#include "io/transport.h"

#include <skua/io.h>
#include <skua/transfer.h>

static int fd_of(void *object)
{
    return (int)(intptr_t)object;
}

static ssize_t fd_read(void *object, void *buffer, size_t bytes, skua_time deadline)
{
    return skua_read(fd_of(object), buffer, bytes, deadline);
}

static ssize_t fd_write(void *object, const struct iovec *parts, size_t count, skua_time deadline)
{
    return count == 1 ? skua_write(fd_of(object), parts->iov_base, parts->iov_len, deadline)
                      : skua_writev(fd_of(object), parts, (int)count, deadline);
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

skua_transport skua_fd_transport(int fd)
{
    return (skua_transport){.ops = &fd_ops, .object = (void *)(intptr_t)fd};
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
