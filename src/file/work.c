/* Where operations are carried out: work.h has the order. Here are its invariants.

   (W1) Adopted fds are held from before the first try until after the last: a file is not closed,
        and its number not used for another one, under an operation. Other fds, which may stand for
        directories, are their owner's to keep open.
   (W2) What has begun on the pool or in the ring is awaited; so `arg` may lie in the caller's
        frame.
   (W3) The result of an operation is never mistaken for that of the hand-over, which has a result
        of its own. */
#include "file/work.h"

#include "file/call.h"

#include <skua/blocking.h>
#include <skua/runtime.h>
#include <skua/scope.h>

enum { HELD_MAX = 3 };

struct held {
    struct skua__fd *fds[HELD_MAX];
    size_t count;
};

static void drop_all(struct held *held)
{
    while (held->count > 0) {
        skua__fd_drop(held->fds[--held->count]);
    }
}

static int hold(struct held *held, int number, bool must_be_adopted)
{
    struct skua__io *io = NULL;
    int status = skua__io_get(&io);
    if (status < 0) {
        return status;
    }
    struct skua__fd *fd = skua__fd_find(io, number);
    struct skua__fd_look look;
    if (fd != NULL && skua__fd_hold(fd, &look)) {
        held->fds[held->count++] = fd;
    } else if (must_be_adopted) {
        return -EBADF;
    }
    return 0;
}

/* (W1) */
static int hold_all(struct held *held, const struct skua__work *work)
{
    int status = 0;
    if (work->file != SKUA_CWD) {
        status = hold(held, work->file, true);
    }
    if (status == 0 && work->dir != SKUA_CWD) {
        status = hold(held, work->dir, false);
    }
    if (status == 0 && work->new_dir != SKUA_CWD) {
        status = hold(held, work->new_dir, false);
    }
    return status;
}

/* A step on its way to the pool. */
struct errand {
    const struct skua__work *work;
    ssize_t result;
};

static int run_errand(void *arg)
{
    struct errand *errand = arg;
    errand->result = errand->work->whole(errand->work->arg);
    return 0;
}

static ssize_t on_pool(const struct skua__work *work, skua_time deadline)
{
    struct errand errand = {.work = work};
    int status = skua_blocking(run_errand, &errand, deadline);
    return status < 0 ? status : errand.result; /* (W3) */
}

static ssize_t somewhere(const struct skua__work *work, skua_time deadline)
{
    ssize_t result = work->in_place != NULL ? work->in_place(work->arg) : -EAGAIN;
    if (result != -EAGAIN && (result != -EOPNOTSUPP || work->whole == NULL)) {
        return result;
    }
    if (skua__is_now(deadline)) {
        return -EAGAIN;
    }
    bool is_for_ring = result == -EAGAIN && work->op != NULL;
    return is_for_ring ? skua__op_do(work->op, deadline) : on_pool(work, deadline);
}

ssize_t skua__work_do(const struct skua__work *work, skua_time deadline)
{
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
    if (skua_runtime_current() == NULL) {
        return work->op != NULL ? skua__op_call(work->op) : work->whole(work->arg);
    }
    struct held held = {.count = 0};
    status = hold_all(&held, work);
    ssize_t result = status < 0 ? status : somewhere(work, deadline);
    drop_all(&held);
    return result;
}

ssize_t skua__work_finish(const struct skua__work *work)
{
    if (skua_runtime_current() == NULL) {
        return work->whole(work->arg);
    }
    skua_scope shield = {{0}};
    skua_shield_open(&shield, SKUA_FOREVER);
    struct errand errand = {.work = work};
    if (skua_blocking(run_errand, &errand, SKUA_FOREVER) < 0) {
        run_errand(&errand); /* no thread is to be had: then this one */
    }
    (void)!skua_scope_close(&shield, 0);
    return errand.result;
}
