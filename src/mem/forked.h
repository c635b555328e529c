/* mem/forked.h: knowing that this process is a child that the user forked.

   A page of the library is wiped in the child by the kernel (MADV_WIPEONFORK), whatever way the
   fork took: fork, clone, vfork handlers or none. The check is two loads, made before any lock is
   touched. */
#ifndef SKUA_MEM_FORKED_H
#define SKUA_MEM_FORKED_H

#include <stdbool.h>

/* Points to a word that is 1 in the process that loaded the library and 0 in its forked children.
   */
extern const volatile int *skua__origin_word;

static inline bool skua__process_is_forked(void)
{
    return *skua__origin_word == 0;
}

/* The zygote and its workers are forks on purpose: they start a life of their own. */
void skua__process_is_origin(void);

#endif
