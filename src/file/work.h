/* file/work.h: where an operation of this room is carried out, and what is kept open meanwhile.

   One mechanism for all of them:

       behind the cancel point, with the fds held
         in place      as far as the kernel answers from memory                 `in_place`
         by the ring   what it can do, where that pays                          `op`
         on the pool   else: the whole of it, however many system calls it has  `whole`

   A foreign thread does it at once, by `op` or `whole`. */
#ifndef SKUA_FILE_WORK_H
#define SKUA_FILE_WORK_H

#include "io/ring.h"

/* One step of an operation, whose arguments and progress are in `arg`: its result, or a negative
   errno. Never switches. */
typedef ssize_t (*skua__step)(void *arg);

struct skua__work {
    skua__step in_place;            /* or NULL; -EAGAIN: by op or whole; -EOPNOTSUPP: by whole */
    skua__step whole;               /* goes on where in_place stopped */
    const struct skua__file_op *op; /* or NULL; the same as `whole`, which may then be NULL */
    void *arg;
    int file; /* an open file that it works on; or SKUA_CWD, for none */
    int dir, new_dir;
};

#define SKUA__NO_DIRS .dir = SKUA_CWD, .new_dir = SKUA_CWD

/* Returns the result of whoever has carried it out, or a common result; -EBADF if the file is not
   adopted. After a common result the operation may have begun in place: the caller takes down what
   that has left in `arg`. */
ssize_t skua__work_do(const struct skua__work *work, skua_time deadline);

/* The same without the cancel point: for the second of two steps, and for a clean-up that no cancel
   must stop. */
ssize_t skua__work_finish(const struct skua__work *work);

#endif
