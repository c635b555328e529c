/* pool/reexec.h: a zygote for programs that have threads already: the program executed anew.

   The new process runs the constructors, so that jobs are registered there as here, and never main.
   zygote.c starts it; what is below runs in the new process, and on both sides to compare. */
#ifndef SKUA_POOL_REEXEC_H
#define SKUA_POOL_REEXEC_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SKUA__REEXEC_VARIABLE "SKUA_ZYGOTE"

/* What the program tells the process that it executes, in that variable of its environment. */
struct skua__reexec_orders {
    int master;
    int parent;        /* a pidfd */
    pid_t parent_pid;  /* so that nobody else takes the variable as meant for him */
    uint32_t expected; /* how many jobs there are when the last one of the executable is registered
                        */
};

enum { SKUA__REEXEC_TEXT_BYTES = 64 };
void skua__reexec_write(const struct skua__reexec_orders *orders, char text[]);

/* What the program executes: arguments and environment as execve wants them, the latter with the
   variable `text` added ("NAME=value"). One block, to be freed by skua__free(). Returns 0, -ENOMEM,
   or what reading /proc says. */
struct skua__reexec_image {
    char **arguments;
    char **environment;
};
int skua__reexec_image_create(struct skua__reexec_image **out, const char *text) SKUA_MUST_CHECK;

/* Any process: called by skua_job_register() when it has registered the job that has this number and
   whose constructor it will return to at `site`. In a process that was executed to be a zygote it
   does not return, in all others at once. */
void skua__reexec_registered(uint32_t number, const void *site);

/* True in a process that was executed to be a zygote and is none yet: no runtime may start. */
bool skua__reexec_is_wanted(void);

#endif
