/* io/ring.h: operations on files that may have to wait, as completions.

   An operation is described by a struct skua__file_op, which says the same to all who can carry it
   out:

       skua__op_call()    the calling thread, by the system call itself      (op.c)
       skua__ring_do()    the kernel, through the runtime's ring; the task waits   (ring.c)
       skua__op_do()      the ring where it pays, else a thread of the blocking pool   (op.c)

   Who writes a file function tries in place first, if the kernel can be asked not to wait
   (RWF_NOWAIT, RESOLVE_CACHED), and hands the rest to skua__op_do().

   One ring serves a runtime. It is made when the first operation wants it; where the kernel or a
   filter of the sandbox forbids it, and for operations that this kernel's rings do not know, the
   answer is -ENOSYS from then on, and the pool does the work. SKUA_IO in the environment chooses:
   "epoll" never makes a ring, "uring" uses it for all that it can do, "auto" (the default) where
   that was measured to pay (docs/decisions/0024).

   The back ends, one of which is chosen by CMake: ring_uring.c, and ring_none.c, which never has
   one. */
#ifndef SKUA_IO_RING_H
#define SKUA_IO_RING_H

#include "io/fd.h"

#include <skua/io.h>
#include <sys/types.h>

struct iovec;
struct skua__rings;
struct statx;

/* What to do, and which members say with what; the others are not looked at. */
enum skua__file_code {
    SKUA__OP_READ,      /* fd, buffer, bytes, offset, flags (RWF_...) */
    SKUA__OP_WRITE,     /* fd, buffer, bytes, offset, flags (RWF_...) */
    SKUA__OP_READV,     /* fd, parts, bytes (the number of parts), offset, flags (RWF_...) */
    SKUA__OP_WRITEV,    /* fd, parts, bytes (the number of parts), offset, flags (RWF_...) */
    SKUA__OP_FSYNC,     /* fd */
    SKUA__OP_FDATASYNC, /* fd */
    SKUA__OP_ALLOCATE,  /* fd, flags (FALLOC_FL_...), offset, bytes */
    SKUA__OP_OPEN,      /* fd (a directory, or AT_FDCWD), path, flags (O_...), mode */
    SKUA__OP_STATX,     /* fd, path, flags (AT_...), mask, statx */
    SKUA__OP_UNLINK,    /* fd, path, flags (AT_REMOVEDIR) */
    SKUA__OP_RENAME,    /* fd, path, fd_to, path_to, flags (RENAME_...) */
    SKUA__OP_MKDIR,     /* fd, path, mode */
    SKUA__OP_COUNT,
};

/* At the file's own position, which the kernel's rings do not lock as read(2) and write(2) do:
   skua__op_do() knows what to do about it, for skua__ring_do() it is no good. */
#define SKUA__OFFSET_OWN (-1)

/* What it points at stays until the operation has returned: no operation returns before the kernel
   has done with it. */
struct skua__file_op {
    enum skua__file_code code;
    int fd, fd_to;
    uint32_t flags;
    mode_t mode;
    uint32_t mask;
    int64_t offset;
    size_t bytes;
    union {
        void *buffer; /* written only by SKUA__OP_READ */
        const struct iovec *parts;
        const char *path;
    };
    union {
        struct statx *statx;
        const char *path_to;
    };
};

/* The system call, on the calling thread, however long that takes: its result or a negative errno,
   never -EINTR. Files are opened close-on-exec and without waiting for the other end of a fifo. */
ssize_t skua__op_call(const struct skua__file_op *op);

/* Hand the operation to the kernel and wait for it. Returns its result (>= 0, or a negative errno),
   or
     -ENOSYS      there is no ring, it cannot do this, or it is full: use the blocking pool
     -EAGAIN      SKUA_NOW
     -ETIMEDOUT, -ECANCELED  the kernel was asked to give it up, and has. What it has done all the
                  same is reported as done.
   The kernel's answer is awaited in any case, since the buffers are the kernel's until then.
   Call from: a task; the fd is held, or stays open for another reason. May switch. */
ssize_t skua__ring_do(struct skua__io *io, const struct skua__file_op *op, skua_time deadline);

/* The ring if it pays for this operation, else the blocking pool, where an operation that has begun
   is awaited. Returns the operation's result, -EAGAIN (SKUA_NOW), -ETIMEDOUT, -ECANCELED, and what
   skua_blocking() says. On a foreign thread it is skua__op_call().
   Call from: a task or a foreign thread, behind the cancel point. May switch. */
ssize_t skua__op_do(const struct skua__file_op *op, skua_time deadline);

/* How SKUA__OP_OPEN opens: close-on-exec, and without waiting for the other end of a fifo. */
int skua__op_open_flags(const struct skua__file_op *op);

/* --- the rings of a runtime, for io.c and the tests ------------------------------------------- */

enum skua__ring_choice { SKUA__RING_AUTO, SKUA__RING_NEVER, SKUA__RING_ALWAYS };

/* The generation under which the poller knows the fds of rings. */
static const uint32_t SKUA__RING_GENERATION = UINT32_MAX;

int skua__rings_create(skua_runtime *runtime, struct skua__rings **out);

/* The workers have ended. */
void skua__rings_destroy(struct skua__rings *rings);

/* Hand out completions. False: the fd is no ring's. *has_woken: somebody was woken. */
bool skua__rings_deliver(struct skua__rings *rings, int fd, bool *has_woken);

enum skua__ring_choice skua__rings_choice(const struct skua__rings *rings);

/* Is there any ring yet? */
bool skua__rings_are_open(struct skua__rings *rings);

#endif
