/* The system calls of this room. io/call.h says why such things stand apart. */
#define _GNU_SOURCE 1
#include "process/call.h"

#include "base/compiler.h"
#include "io/call.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { NAME_BYTES = 64, ROWS_DEFAULT = 24, COLUMNS_DEFAULT = 80 };

/* Out of the way of the standard streams, which may be closed in this program. */
static int lift(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO) {
        return fd < 0 ? -errno : fd;
    }
    int lifted = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int status = lifted < 0 ? -errno : lifted;
    close(fd);
    return status;
}

/* Both are there, or none is. */
static int settle(int ends[2])
{
    int status = ends[0] < 0 ? ends[0] : ends[1] < 0 ? ends[1] : 0;
    for (int i = 0; status < 0 && i < 2; i++) {
        if (ends[i] >= 0) {
            close(ends[i]);
        }
        ends[i] = -1;
    }
    return status;
}

SKUA_OPAQUE int skua__call_lifted_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return -errno;
    }
    ends[0] = lift(ends[0]);
    ends[1] = lift(ends[1]);
    return settle(ends);
}

SKUA_OPAQUE int skua__call_resize(int fd, uint16_t rows, uint16_t columns)
{
    const struct winsize size = {.ws_row = rows, .ws_col = columns};
    return ioctl(fd, TIOCSWINSZ, &size) == 0 ? 0 : -errno;
}

SKUA_OPAQUE int skua__call_bell(void)
{
    return lift(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

SKUA_OPAQUE void skua__call_ring(int bell)
{
    const uint64_t one = 1;
    if (write(bell, &one, sizeof one) < 0) {
        return; /* it is full, so it rings already */
    }
}

/* By its name rather than by TIOCGPTPEER, which old kernels do not know. */
static int open_other_side(int master)
{
    char name[NAME_BYTES];
    if (grantpt(master) < 0 || unlockpt(master) < 0) {
        return -errno;
    }
    int error = ptsname_r(master, name, sizeof name);
    return error != 0 ? -error : lift(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
}

SKUA_OPAQUE int skua__call_terminal(int ends[2], uint16_t rows, uint16_t columns)
{
    ends[1] = -1;
    ends[0] = lift(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (ends[0] >= 0) {
        ends[1] = open_other_side(ends[0]);
    }
    int status = settle(ends);
    if (status == 0) {
        skua__call_resize(ends[0], rows != 0 ? rows : ROWS_DEFAULT,
                          columns != 0 ? columns : COLUMNS_DEFAULT);
    }
    return status;
}

/* The signal of our own write goes to this thread: if it is blocked and then taken away, nobody has
   seen it. One that was pending already is somebody else's. */
SKUA_OPAQUE ssize_t skua__call_write_quietly(int fd, const void *buffer, size_t bytes)
{
    sigset_t pipes, before, pending;
    const struct timespec at_once = {0};
    sigemptyset(&pipes);
    sigaddset(&pipes, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipes, &before);
    sigpending(&pending);
    ssize_t put = skua__call_write(fd, false, buffer, bytes);
    if (put == -EPIPE && !sigismember(&pending, SIGPIPE)) {
        while (sigtimedwait(&pipes, NULL, &at_once) < 0 && errno == EINTR) {}
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return put;
}
