/* The tasks of an operator. They keep nothing of their own that has to be joined for: what they
   have to say they say through channels, and statuses are ignored. */
#include "gen/crew.h"

#include "base/compiler.h"
#include "base/panic.h"

#include <skua/scope.h>

int skua__crew_start(struct skua__crew *crew, skua_fn fn, void *args, size_t stride,
                     const char *name)
{
    if (SKUA_LIKELY(crew->is_started)) {
        return 0;
    }
    const skua_spawn_opts opts = {.name = name};
    int status = skua_spawn_many(crew->tasks, fn, args, stride, crew->count, &opts);
    crew->is_started = status == 0;
    return status;
}

static void join_all(struct skua__crew *crew)
{
    for (size_t i = 0; i < crew->count; i++) {
        int status = skua_join(crew->tasks[i], NULL, SKUA_FOREVER);
        skua_require(status == 0);
    }
}

void skua__crew_end(struct skua__crew *crew)
{
    if (!crew->is_started) {
        return;
    }
    for (size_t i = 0; i < crew->count; i++) {
        skua_task_cancel(crew->tasks[i]);
    }
    if (skua_self() == NULL) {
        join_all(crew);
    } else {
        skua_scope shield = {{0}};
        skua_shield_open(&shield, SKUA_FOREVER);
        join_all(crew);
        int status = skua_scope_close(&shield, 0);
        skua_require(status == 0);
    }
    skua_task_release_all(crew->tasks, crew->count);
    crew->is_started = false;
}
