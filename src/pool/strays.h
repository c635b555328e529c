/* pool/strays.h: processes that jobs have left behind, and that have left their worker's process
   group, so that the kill of a group does not reach them. */
#ifndef SKUA_POOL_STRAYS_H
#define SKUA_POOL_STRAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef bool (*skua__is_known_fn)(pid_t pid);

/* Become the parent of orphans among one's descendants. A worker has those of its own jobs until it
   ends, the zygote those of workers that have ended. */
void skua__strays_adopt(void);

/* Kill the children of this process that are not known. Returns how many there were. Cost: a look
   at every process of the machine. */
size_t skua__strays_kill(skua__is_known_fn is_known);

/* Reap those that are dead. */
void skua__strays_reap(skua__is_known_fn is_known);

#endif
