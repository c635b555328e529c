/* crew.h: tasks with the same function, one for each member of an array. */
#ifndef WORDFREQ_CREW_H
#define WORDFREQ_CREW_H

#include <skua/task.h>

/* Fill in the first three and leave the rest zero. */
struct crew {
    const char *name;
    skua_fn fn;
    size_t count;
    skua_task **tasks;
    size_t started;
};

/* Start fn(member) for each of the `count` members, which lie one after the other. When it fails,
   those that were started run all the same, and crew_join() is still to be called. Call from: a
   task. */
int crew_start(struct crew *crew, void *members, size_t member_bytes) SKUA_MUST_CHECK;

/* Wait until all tasks of the crew have ended. Returns 0, or the status of one that failed.
   Harmless for a crew that was not started. Call from: a task, in a shield. May switch. */
int crew_join(struct crew *crew);

#endif
