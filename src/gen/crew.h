/* gen/crew.h: the tasks of an operator: started when it is first asked, ended when it is closed. */
#ifndef SKUA_GEN_CREW_H
#define SKUA_GEN_CREW_H

#include <skua/task.h>

struct skua__crew {
    skua_task **tasks; /* the operator's memory, room for `count` */
    size_t count;
    bool is_started;
};

/* Start them unless they are: the i-th runs fn((char *)args + i * stride). 0, or what
   skua_spawn_many() returns; it may be called again then. Call from: who asks. */
int skua__crew_start(struct skua__crew *crew, skua_fn fn, void *args, size_t stride,
                     const char *name);

/* Cancel them and wait until they have ended, also if the caller is cancelled. May switch. */
void skua__crew_end(struct skua__crew *crew);

#endif
