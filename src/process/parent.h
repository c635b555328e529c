/* process/parent.h: the birth of a process, as its parent is told of it.

   The record is shared by three: the keeper, a thread of the program that fills it in; the parent,
   a process in the same memory; and the child, which is there too until its exec. */
#ifndef SKUA_PROCESS_PARENT_H
#define SKUA_PROCESS_PARENT_H

#include "base/atomic.h"

#include <skua/process.h>

/* The child's fd `number` is a file of the program, or is opened by the child. */
struct skua__child_fd {
    int number;
    int source;       /* of the program; < 0: `path`, or what another one got */
    int like;         /* without a path: the place of that one */
    const char *path; /* opened with `flags` */
    int flags;
    bool may_miss; /* if the source is not open, nor is the number */
    int lifted;    /* the child's own */
};

enum skua__birth_phase {
    SKUA__BIRTH_OVER,    /* the parent is gone; stored by the kernel */
    SKUA__BIRTH_BEGUN,   /* so far nobody knows */
    SKUA__BIRTH_STARTED, /* the child runs the new program */
};

enum { SKUA__BIRTH_STACK_BYTES = 16384 };

struct skua__birth {
    /* Constant; until it has started, what the pointers point to as well. */
    const char *const *paths; /* of the program, in the order in which they are tried */
    const char *const *argv;
    const char *const *env;
    const char *directory; /* NULL: stay */
    struct skua__child_fd *fds;
    size_t fd_count;
    const skua_process_limit *limits;
    size_t limit_count;
    int terminal; /* which the child gets; -1: none */
    bool has_group, has_session, outlives;
    pid_t program;

    /* The parent's, and the child's before that. */
    _Atomic uint32_t phase; /* a futex that is shared as the kernel has it */
    int error;              /* < 0: it did not start */
    pid_t parent, pid;
    bool has_ended; /* and `how`, `value` are known: as waitid(2) has them */
    int how, value;

    /* One of those who send signals, or the parent while it reaps. */
    _Atomic uint32_t gate;
    bool is_reaped, sweeps_group; /* behind the gate */

    char parent_stack[SKUA__BIRTH_STACK_BYTES] __attribute__((aligned(16)));
    char child_stack[SKUA__BIRTH_STACK_BYTES] __attribute__((aligned(16)));
};

/* Make the parent, which makes the child. Returns its number, or a negative errno. Call from: a
   thread with all signals blocked that does nothing until the phase is OVER but wait for it in the
   kernel, and reaps the parent then. */
pid_t skua__parent_begin(struct skua__birth *birth);

/* Wait until the phase is not `phase` any more. */
void skua__parent_await(struct skua__birth *birth, enum skua__birth_phase phase);

/* The parent is OVER: reap it. */
void skua__parent_reap(pid_t parent);

/* Send a signal to the child, or to its group. 0 (it may just be ending), -ESRCH, -EINVAL, -EPERM.
   With `sweeps` what is left of its group when it ends is killed. */
int skua__child_signal(struct skua__birth *birth, int number, bool sweeps);

#endif
