/* Readiness of an fd as a case of select (SKUA_READY): skua_wait_fd(), cut into the steps of
   sched/waitable.h.

   It has no lock there: looking is a system call, and the lock of the fd's record stands below
   those of channels. So it is looked at before, as poll(2) is asked first in skua_wait_fd(), and
   linked after; the look tells the link whether anything has happened in between. An event is only
   a hint: who was claimed by one asks poll(2) again. */
#include "io/call.h"
#include "io/fd.h"
#include "sched/waitable.h"

#include <skua/runtime.h>
#include <skua/select.h>

/* What a candidate's notes hold. */
struct notes {
    struct skua__fd_look look;
    bool is_once, is_linked;
};

_Static_assert(sizeof(struct notes) <= sizeof(((struct skua__candidate *)0)->notes),
               "the notes are too small");
_Static_assert(_Alignof(struct notes) <= _Alignof(uint64_t), "the notes are misaligned");

static struct notes *notes_of(struct skua__candidate *candidate)
{
    return (struct notes *)(void *)candidate->notes;
}

static int check(const skua_case *entry)
{
    if (skua_runtime_current() == NULL) {
        return -EPERM;
    }
    bool is_good = entry->events != 0 && (entry->events & ~(SKUA_READABLE | SKUA_WRITABLE)) == 0;
    return is_good ? 0 : -EINVAL;
}

static struct skua__lock *no_lock(const skua_case *entry)
{
    (void)entry;
    return NULL;
}

static int record_of(const skua_case *entry, struct skua__io **io, struct skua__fd **fd)
{
    int status = skua__io_get(io);
    return status < 0 ? status : skua__fd_make(*io, entry->fd, fd);
}

static int attempt(const skua_case *entry, struct skua__candidate *candidate,
                   struct skua__wake_list *wakes)
{
    (void)wakes;
    struct notes *notes = notes_of(candidate);
    notes->is_linked = false;
    if (entry->fd < 0) {
        return SKUA__WOULD_WAIT; /* never, as poll(2) has it */
    }
    struct skua__io *io = NULL;
    struct skua__fd *fd = NULL;
    int status = record_of(entry, &io, &fd);
    if (status < 0) {
        return status;
    }
    bool is_held = skua__fd_hold(fd, &notes->look); /* looks, also where nothing is held */
    enum skua__fd_kind kind = skua__fd_kind_of(notes->look.word);
    notes->is_once = kind != SKUA__FD_STREAM;
    int ready = kind == SKUA__FD_CLOSING ? -EBADF : skua__call_poll(entry->fd, entry->events, 0);
    if (is_held) {
        skua__fd_drop(fd);
    }
    return ready != 0 ? ready : SKUA__WOULD_WAIT;
}

static int link_waiter(const skua_case *entry, struct skua__candidate *candidate)
{
    struct notes *notes = notes_of(candidate);
    struct skua__io *io = NULL;
    struct skua__fd *fd = NULL;
    if (entry->fd < 0) {
        return 1;
    }
    int status = record_of(entry, &io, &fd);
    if (status == 0) {
        status =
            skua__fd_link(io, fd, &notes->look, entry->events, notes->is_once, &candidate->waiter);
        notes->is_linked = status == 1;
    }
    return status;
}

static void unlink_waiter(const skua_case *entry, struct skua__candidate *candidate,
                          struct skua__wake_list *wakes)
{
    (void)wakes;
    struct notes *notes = notes_of(candidate);
    struct skua__io *io = NULL;
    struct skua__fd *fd = NULL;
    if (notes->is_linked && record_of(entry, &io, &fd) == 0) {
        skua__fd_unlink(io, fd, &candidate->waiter, notes->is_once,
                        skua__fd_generation(notes->look.word));
        notes->is_linked = false;
    }
}

static int finish(const skua_case *entry, struct skua__candidate *candidate)
{
    int result = candidate->waiter.result;
    return result < 0 ? result : attempt(entry, candidate, NULL);
}

const struct skua__waitable skua_fd_readiness = {
    .check = check,
    .lock = no_lock,
    .attempt = attempt,
    .link = link_waiter,
    .unlink = unlink_waiter,
    .finish = finish,
    .is_real = true,
};
