/* pool/place.h: where workers run: places are sets of processors, as hwloc tells them. */
#ifndef SKUA_POOL_PLACE_H
#define SKUA_POOL_PLACE_H

#include "base/compiler.h"

#include <sched.h>
#include <skua/pool.h>
#include <stdint.h>
#include <sys/types.h>

/* Parent: the places for workers that are bound like that, within what this process may use.
   *places is the caller's, to be freed by skua__free(). Returns how many (0: unbound), -ENOMEM,
   -ENOTSUP (hwloc knows nothing). Cost: milliseconds, unless unbound. */
int skua__place_list(cpu_set_t **places, skua_pool_binding binding) SKUA_MUST_CHECK;

/* Zygote: move a process of its own there. Pages that it touches from now on are taken from the
   nearest memory. Never fails: a worker in the wrong place is slower, and otherwise as good. */
void skua__place_put(pid_t pid, const cpu_set_t *place);

#endif
