/* crew.c: see crew.h. */
#include "crew.h"

#include <stdlib.h>

int crew_start(struct crew *crew, void *members, size_t member_bytes)
{
    const skua_spawn_opts opts = {.name = crew->name};
    crew->tasks = calloc(crew->count, sizeof(*crew->tasks));
    int status = crew->tasks ? 0 : -ENOMEM;
    while (status == 0 && crew->started < crew->count) {
        void *member = (char *)members + crew->started * member_bytes;
        status = skua_spawn(&crew->tasks[crew->started], crew->fn, member, &opts);
        crew->started += status == 0;
    }
    return status;
}

int crew_join(struct crew *crew)
{
    int result = 0;
    for (size_t i = 0; i < crew->started; i++) {
        int ended_with = 0;
        int status = skua_join(crew->tasks[i], &ended_with, SKUA_FOREVER);
        status = status < 0 ? status : ended_with;
        result = result < 0 ? result : status;
    }
    skua_task_release_all(crew->tasks, crew->started);
    free(crew->tasks);
    crew->tasks = NULL;
    crew->started = 0;
    return result;
}
