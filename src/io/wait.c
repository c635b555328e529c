/* Waiting for readiness of any fd.

   An adopted stream is registered already; its events are those that reads and writes wait for. Any
   other fd is armed for this one wait and forgotten afterwards, since its owner may close it at any
   time and the number may come back as something else. In both cases poll(2) is asked first: it
   costs a quarter of a registration, and knows also what epoll refuses (disk files are always
   ready). */
#include "io/call.h"
#include "io/fd.h"

#include <skua/runtime.h>

static int wait_on_thread(int fd, int events, skua_time deadline)
{
    int64_t deadline_ns = skua__is_now(deadline) ? 0 : skua__deadline_ns(deadline);
    int ready = skua__call_poll(fd, events, deadline_ns);
    if (ready != 0) {
        return ready;
    }
    return deadline_ns == 0 ? -EAGAIN : -ETIMEDOUT;
}

static int wait_in_task(int number, int events, skua_time deadline)
{
    struct skua__io *io = NULL;
    struct skua__fd *fd = NULL;
    int status = skua__io_get(&io);
    if (status == 0) {
        status = skua__fd_make(io, number, &fd);
    }
    bool was_held = false;
    uint32_t generation = 0;
    while (status >= 0) {
        struct skua__fd_look look; /* of a foreign number too, where nothing is held */
        bool is_held = skua__fd_hold(fd, &look);
        bool is_closing = skua__fd_kind_of(look.word) == SKUA__FD_CLOSING;
        bool was_closed = was_held && skua__fd_generation(look.word) != generation;
        if (is_closing || was_closed) {
            status = -EBADF;
        }
        int ready = status < 0 ? status : skua__call_poll(number, events, 0);
        if (is_held) {
            skua__fd_drop(fd);
        }
        if (ready != 0) {
            return ready;
        }
        was_held = is_held;
        generation = skua__fd_generation(look.word);
        if (skua__is_now(deadline)) {
            return -EAGAIN;
        }
        bool is_once = skua__fd_kind_of(look.word) != SKUA__FD_STREAM;
        status = skua__fd_wait(io, fd, &look, events, is_once, skua__deadline_ns(deadline));
    }
    return status;
}

int skua_wait_fd(int fd, int events, skua_time deadline)
{
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
    if (events == 0 || (events & ~(SKUA_READABLE | SKUA_WRITABLE)) != 0) {
        return -EINVAL;
    }
    return skua_runtime_current() == NULL ? wait_on_thread(fd, events, deadline)
                                          : wait_in_task(fd, events, deadline);
}
