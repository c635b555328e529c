/* Hygiene of forked processes: signals, fds and the name. Nothing here allocates or locks. */
#include "pool/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

void skua__child_reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    for (int number = 1; number < NSIG; number++) {
        /* Fails for SIGKILL, SIGSTOP and those that libc keeps for itself, as it should. */
        sigaction(number, &action, NULL);
    }
}

void skua__child_ignore_ends(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        sigaction(ends[i], &action, NULL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_from_to(unsigned first, unsigned last)
{
    if (first <= last && close_range(first, last, 0) < 0) {
        long max = sysconf(_SC_OPEN_MAX);
        for (unsigned fd = first; fd <= last && (long)fd < max; fd++) {
            close((int)fd);
        }
    }
}

/* The smallest of fds that is >= from; UINT_MAX if there is none. */
static unsigned next_kept(const int fds[], size_t count, unsigned from)
{
    unsigned next = UINT_MAX;
    for (size_t i = 0; i < count; i++) {
        if ((unsigned)fds[i] >= from && (unsigned)fds[i] < next) {
            next = (unsigned)fds[i];
        }
    }
    return next;
}

void skua__child_close_others(const int fds[], size_t count)
{
    unsigned first = STDERR_FILENO + 1;
    for (;;) {
        unsigned kept = next_kept(fds, count, first);
        if (kept == UINT_MAX) {
            close_from_to(first, UINT_MAX);
            return;
        }
        if (kept > first) {
            close_from_to(first, kept - 1);
        }
        first = kept + 1;
    }
}

int skua__child_lift_fd(int fd)
{
    if (fd > STDERR_FILENO) {
        return fd;
    }
    int lifted = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    close(fd);
    return lifted;
}

void skua__child_fill_standard_fds(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            /* The lowest free number, which is this one. */
            int null = open("/dev/null", O_RDWR);
            if (null != fd && null >= 0) {
                close(null);
            }
        }
    }
}

void skua__child_set_name(const char *name)
{
    prctl(PR_SET_NAME, name, 0, 0, 0);
}
