/* io/poller.h: where readiness comes from. The contract of the back ends, one of which is chosen by
   CMake (poller_epoll.c is the only one so far).

   An adopted fd is added once, edge-triggered, for both directions; a foreign one is armed for one
   event each time somebody waits for it. With each registration goes a generation; it comes back
   with the events, so that the receiver can tell the late ones of an earlier life of the number.

   Hang-ups and errors are reported as both directions: whoever tries finds out what it is.

   add, arm and remove may be called by any thread at any time; poll by one thread at a time. */
#ifndef SKUA_IO_POLLER_H
#define SKUA_IO_POLLER_H

#include "sched/service.h"

#include <stdbool.h>
#include <stdint.h>

/* Besides SKUA_READABLE and SKUA_WRITABLE: the event speaks of something else than bytes in order:
   an end, an error, urgent data. */
enum { SKUA__IO_SPECIAL = 4 };

/* One event. `events`: SKUA_READABLE, SKUA_WRITABLE, SKUA__IO_SPECIAL. */
struct skua__io_event {
    int fd;
    uint32_t generation;
    int events;
};

/* Gets what one look has brought. Returns true if it has woken somebody. */
typedef bool (*skua__io_deliver)(void *target, const struct skua__io_event *events, size_t count);

struct skua__io_poller {
    struct skua__poller base; /* what the scheduler sees */
    skua__io_deliver deliver;
    void *target;
    int queue;
    int bell;
    bool has_coarse_clock; /* an old kernel: milliseconds only */
};

/* 0, -EMFILE, -ENFILE, -ENOMEM. */
int skua__io_poller_open(struct skua__io_poller *poller, skua__io_deliver deliver, void *target);

/* Nobody may be polling any more. All registrations end. */
void skua__io_poller_close(struct skua__io_poller *poller);

/* 0, -EPERM (always ready: a regular file, some devices), -EBADF, -ENOMEM, -ENOSPC (the user's
   limit of watches). What an unnoticed close(2) has left behind is replaced. */
int skua__io_poller_add(struct skua__io_poller *poller, int fd, uint32_t generation);

/* Report whenever the fd becomes readable; edge-triggered. */
int skua__io_poller_watch(struct skua__io_poller *poller, int fd, uint32_t generation);

/* Report once, at once if it is so already. Arming again replaces the events. Errors as for add. */
int skua__io_poller_arm(struct skua__io_poller *poller, int fd, uint32_t generation, int events);

void skua__io_poller_remove(struct skua__io_poller *poller, int fd);

#endif
