/* pool/reexec.h: a zygote for programs that have threads already: the program executed anew.

   The new process runs the constructors, so that jobs are registered there as here, and never main.
   zygote.c starts it; what is below runs in the new process, or prepares it. */
#ifndef SKUA_POOL_REEXEC_H
#define SKUA_POOL_REEXEC_H

#include "base/compiler.h"

#include <skua/job.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What the program tells the process that it executes, in a variable of its environment. */
struct skua__reexec_orders {
    int master;
    int parent;        /* a pidfd */
    pid_t parent_pid;  /* so that nobody else takes the variable as meant for him */
    uint32_t expected; /* how many jobs are registered when main would be called */
};

enum { SKUA__REEXEC_TEXT_BYTES = 80 };

/* Program: what it executes: arguments and environment as execve wants them, the latter with the
   orders added. One block, to be freed by skua__free(). Returns 0, -ENOMEM, or what reading /proc
   says. */
struct skua__reexec_image {
    char **arguments;
    char **environment;
    char orders[SKUA__REEXEC_TEXT_BYTES];
};
int skua__reexec_image_create(struct skua__reexec_image **out,
                              const struct skua__reexec_orders *orders) SKUA_MUST_CHECK;

/* Any process: skua_job_register() has registered the job, and will return to `site`. Returns at
   once; but in a process that was executed to be a zygote it does not return at all from the
   executable's first job. */
void skua__reexec_registered(const skua_job *job, const void *site);

/* True in a process that was executed to be a zygote: no runtime may start. */
bool skua__reexec_is_wanted(void);

#endif
