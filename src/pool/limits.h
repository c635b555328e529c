/* pool/limits.h: what a worker process may use, and how its death at a limit is told.

   In the order of a worker's life: the zygote makes its control group (cgroup.h) and forks; the
   worker enters its limits; before each job its allowance of processor time is set anew, and before
   the first one that is not the pool's init job it shuts itself into the sandbox. */
#ifndef SKUA_POOL_LIMITS_H
#define SKUA_POOL_LIMITS_H

#include "base/compiler.h"
#include "pool/settings.h"

#include <stdbool.h>

/* Worker, once, when its memory is mapped: nice value, resource limits, no-new-privileges. Returns
   0 or a negative errno. */
int skua__limits_enter(const struct skua__settings *settings) SKUA_MUST_CHECK;

/* Parent: may workers have that value, which is below 0? */
bool skua__limits_may_be_nice(int nice_value);

/* Worker, before each job: its allowance of processor time begins. Cost: nothing without limit. */
void skua__limits_begin_job(const struct skua__settings *settings);

/* Worker, once, before its first job after the init job: the sandbox, if there is to be one. From
   then on a system call that is not on the list writes its number + 1 to *note, which lies in the
   shared memory, and kills the process by SIGSYS. Returns 0 or a negative errno. */
int skua__sandbox_enter(const struct skua__settings *settings, _Atomic uint32_t *note)
    SKUA_MUST_CHECK;

/* Parent: tell how a worker ended: `status` is that of waitpid, or -1 (with the zygote), `note`
   what the sandbox noted, `is_oom` of DIED. Writes a phrase that begins with a verb ("was killed by
   signal 11 (Segmentation fault)"). Returns the error code of its job: -EOWNERDEAD, or -EDQUOT if
   it met a limit. */
int skua__limits_explain(const struct skua__settings *settings, int status, uint32_t note,
                         bool is_oom, char *text, size_t text_bytes);

/* Parent: are there filters of system calls here? */
bool skua__sandbox_is_there(void);

/* The name of a system call, or NULL. */
const char *skua__sandbox_call_name(uint32_t number);

#endif
