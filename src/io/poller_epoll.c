/* The poller on epoll.

   Invariants:
     (P1) Every registration carries fd | generation << 32.
     (P2) The bell is an eventfd, registered edge-triggered: every write to it is an event, whatever
          its counter says, so nobody has to read it.
     (P3) poll() returns to the scheduler only for a reason: somebody was woken, the bell, the
          deadline, a signal. Events that concern nobody (a socket becomes writable when it is
          added) are swallowed here, which is cheaper than a worker that looks for work in vain.

   Rejected: EPOLLONESHOT for all fds, with a re-arming for each wait (0.25 us each, where an edge
   costs nothing); one epoll set a worker (an event would wait until its worker is idle, with others
   asleep). */
#define _GNU_SOURCE 1
#include "io/poller.h"

#include "base/clock.h"
#include "base/compiler.h"

#include <errno.h>
#include <limits.h>
#include <skua/io.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A look brings less than a worker's queue of ready fibers holds, so that it need not spill; and
   what it touches should still be in the cache when it is the last one's turn. */
enum { EVENTS_MAX = 128, NS_PER_MS = 1000 * 1000, NS_PER_S = 1000 * 1000 * 1000 };

static const uint64_t BELL = UINT64_MAX;

/* What one look has brought. */
struct catch
{
    bool has_woken;
    bool has_rung;
};

static uint64_t key_of(int fd, uint32_t generation)
{
    return (uint64_t)generation << 32 | (uint32_t)fd;
}

static int directions_of(uint32_t bits)
{
    if (SKUA_LIKELY((bits & ~(uint32_t)(EPOLLIN | EPOLLOUT)) == 0)) {
        return ((bits & EPOLLIN) != 0 ? SKUA_READABLE : 0) |
               ((bits & EPOLLOUT) != 0 ? SKUA_WRITABLE : 0);
    }
    if ((bits & (EPOLLERR | EPOLLHUP)) != 0) {
        return SKUA_READABLE | SKUA_WRITABLE | SKUA__IO_SPECIAL;
    }
    return SKUA_READABLE | SKUA__IO_SPECIAL | ((bits & EPOLLOUT) != 0 ? SKUA_WRITABLE : 0);
}

static int wait_ms(struct skua__io_poller *poller, struct epoll_event *events, int64_t rest_ns)
{
    int64_t rest_ms = rest_ns / NS_PER_MS + (rest_ns % NS_PER_MS != 0); /* never early */
    int timeout_ms = rest_ms > INT_MAX ? INT_MAX : (int)rest_ms;
    return epoll_wait(poller->queue, events, EVENTS_MAX, timeout_ms);
}

static int wait_ns(struct skua__io_poller *poller, struct epoll_event *events, int64_t rest_ns)
{
    struct timespec rest = {.tv_sec = rest_ns / NS_PER_S, .tv_nsec = rest_ns % NS_PER_S};
    /* By number, since glibc has it only from 2.35 on. */
    long count = syscall(SYS_epoll_pwait2, poller->queue, events, EVENTS_MAX, &rest, NULL, 0);
    if (count < 0 && errno == ENOSYS) {
        poller->has_coarse_clock = true;
        return wait_ms(poller, events, rest_ns);
    }
    return (int)count;
}

/* How many events there are; 0 at the deadline, < 0 after a signal. */
static int wait_until(struct skua__io_poller *poller, struct epoll_event *events,
                      int64_t deadline_ns)
{
    if (deadline_ns == 0 || deadline_ns == SKUA__NEVER) {
        return epoll_wait(poller->queue, events, EVENTS_MAX, deadline_ns == 0 ? 0 : -1);
    }
    int64_t rest_ns = deadline_ns - skua__clock_real_ns();
    if (rest_ns <= 0) {
        return epoll_wait(poller->queue, events, EVENTS_MAX, 0);
    }
    return poller->has_coarse_clock ? wait_ms(poller, events, rest_ns)
                                    : wait_ns(poller, events, rest_ns);
}

static void hand_out(struct skua__io_poller *poller, const struct epoll_event *events, int count,
                     struct catch *catch)
{
    struct skua__io_event batch[EVENTS_MAX];
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        uint64_t key = events[i].data.u64;
        if (SKUA_UNLIKELY(key == BELL)) {
            catch->has_rung = true;
        } else {
            batch[size++] = (struct skua__io_event){
                .fd = (int)(uint32_t)key,
                .generation = (uint32_t)(key >> 32),
                .events = directions_of(events[i].events),
            };
        }
    }
    if (size > 0) {
        catch->has_woken = poller->deliver(poller->target, batch, size);
    }
}

static void poll_queue(struct skua__poller *base, int64_t deadline_ns)
{
    struct skua__io_poller *poller = SKUA_CONTAINER(base, struct skua__io_poller, base);
    struct epoll_event events[EVENTS_MAX];
    struct catch catch = {0};
    int count = 0;
    do {
        count = wait_until(poller, events, deadline_ns);
        hand_out(poller, events, count, &catch);
    } while (count > 0 && deadline_ns != 0 && !catch.has_woken && !catch.has_rung);
}

static void interrupt(struct skua__poller *base)
{
    struct skua__io_poller *poller = SKUA_CONTAINER(base, struct skua__io_poller, base);
    eventfd_write(poller->bell, 1); /* fails only when 2^64 of them were never read */
}

/* Register, or replace what is registered. */
static int set(struct skua__io_poller *poller, int fd, uint32_t bits, uint64_t key)
{
    struct epoll_event event = {.events = bits, .data.u64 = key};
    if (epoll_ctl(poller->queue, EPOLL_CTL_ADD, fd, &event) == 0) {
        return 0;
    }
    if (errno != EEXIST) {
        return -errno;
    }
    return epoll_ctl(poller->queue, EPOLL_CTL_MOD, fd, &event) == 0 ? 0 : -errno;
}

SKUA_OPAQUE int skua__io_poller_add(struct skua__io_poller *poller, int fd, uint32_t generation)
{
    return set(poller, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET,
               key_of(fd, generation));
}

SKUA_OPAQUE int skua__io_poller_watch(struct skua__io_poller *poller, int fd, uint32_t generation)
{
    return set(poller, fd, EPOLLIN | EPOLLET, key_of(fd, generation));
}

SKUA_OPAQUE int skua__io_poller_arm(struct skua__io_poller *poller, int fd, uint32_t generation,
                                    int events)
{
    uint32_t bits = EPOLLONESHOT;
    bits |= (events & SKUA_READABLE) != 0 ? EPOLLIN : 0;
    bits |= (events & SKUA_WRITABLE) != 0 ? EPOLLOUT : 0;
    return set(poller, fd, bits, key_of(fd, generation));
}

SKUA_OPAQUE void skua__io_poller_remove(struct skua__io_poller *poller, int fd)
{
    epoll_ctl(poller->queue, EPOLL_CTL_DEL, fd, NULL); /* it may be closed already */
}

SKUA_OPAQUE int skua__io_poller_open(struct skua__io_poller *poller, skua__io_deliver deliver,
                                     void *target)
{
    *poller = (struct skua__io_poller){
        .base = {.poll = poll_queue, .interrupt = interrupt},
        .deliver = deliver,
        .target = target,
    };
    poller->queue = epoll_create1(EPOLL_CLOEXEC);
    if (poller->queue < 0) {
        return -errno;
    }
    poller->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int status = poller->bell < 0 ? -errno : set(poller, poller->bell, EPOLLIN | EPOLLET, BELL);
    if (status < 0) {
        skua__io_poller_close(poller);
    }
    return status;
}

void skua__io_poller_close(struct skua__io_poller *poller)
{
    close(poller->queue);
    if (poller->bell >= 0) {
        close(poller->bell);
    }
}
