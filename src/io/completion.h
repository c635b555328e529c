/* io/completion.h: one completion queue of the kernel. The contract of the back ends, of which
   CMake chooses one: ring_uring.c on liburing, or ring_none.c, which never has a queue.

   An operation goes in with a key and comes out, once, with the same key. Between the two the
   kernel owns what the operation points at.

   submit and cancel are called by one thread at a time, and so is take; the caller has a lock for
   each. */
#ifndef SKUA_IO_COMPLETION_H
#define SKUA_IO_COMPLETION_H

#include "io/ring.h"

#include <stdbool.h>
#include <stdint.h>

struct skua__completions;

struct skua__completion {
    uint64_t key;
    int32_t result; /* as the system call's, or a negative errno */
};

enum { SKUA__COMPLETIONS_MAX = 512 }; /* in flight at once; the caller counts */

/* 0; -ENOSYS or -EPERM: there is no such thing here, never ask again; -ENOMEM, -EMFILE, -ENFILE. */
int skua__completions_open(struct skua__completions **out);

/* What is still in flight is given up. */
void skua__completions_close(struct skua__completions *completions);

/* Readable while there is something to take: for the poller. */
int skua__completions_fd(const struct skua__completions *completions);

/* Does this kernel know the operation? */
bool skua__completions_knows(const struct skua__completions *completions,
                             enum skua__file_code code);

/* 0: it will complete; it may have already. Else nothing has happened: -EBUSY, -ENOMEM. The keys 0
   and UINT64_MAX are not for the caller. */
int skua__completions_submit(struct skua__completions *completions, const struct skua__file_op *op,
                             uint64_t key);

/* Ask for an early end of an operation. It completes in any case: with -ECANCELED or -EINTR if the
   request was heard. The request may be lost: ask again. */
void skua__completions_cancel(struct skua__completions *completions, uint64_t key);

/* Up to `max` completions that are there. Never waits. */
size_t skua__completions_take(struct skua__completions *completions, struct skua__completion *out,
                              size_t max);

#endif
