/* Task-locals. A set of bindings is never changed once a second task may see it: setting a value
   makes a new set. Tasks have few locals and set them rarely, so an array that is searched from the
   front is best.

   A thread that makes a blocking call for a task reads the task's locals; it must not set them,
   since the task's forked children go on meanwhile, and share them.

   A task's forked children share its set. So it is looked into, and replaced, under the lock of the
   task's scope; tasks without any locals, which are most, are spared the lock. */
#include "sched/local.h"

#include "base/atomic.h"
#include "base/mem.h"
#include "sched/fiber.h"
#include "sched/task.h"

#include <string.h>

struct binding {
    const skua_local *key;
    void *value;
};

struct skua__locals {
    _Atomic uint32_t refs;
    uint32_t count;
    struct binding bindings[];
};

struct skua__locals *skua__locals_of(skua_task *task)
{
    if (SKUA_LIKELY(skua__load(&task->locals, relaxed) == NULL)) {
        return NULL;
    }
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
    struct skua__locals *locals = skua__load(&task->locals, relaxed);
    skua__fetch_add(&locals->refs, 1, relaxed);
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
    return locals;
}

void skua__locals_release(struct skua__locals *locals)
{
    /* acq_rel: orders the reads of other holders before the free; pairs with itself. */
    if (skua__fetch_sub(&locals->refs, 1, acq_rel) == 1) {
        skua__free(locals);
    }
}

static struct binding *find(struct skua__locals *locals, const skua_local *key)
{
    for (uint32_t i = 0; locals != NULL && i < locals->count; i++) {
        if (locals->bindings[i].key == key) {
            return &locals->bindings[i];
        }
    }
    return NULL;
}

/* A copy of `old` with one more binding, or another value of one. */
static struct skua__locals *extend(struct skua__locals *old, const skua_local *key, void *value)
{
    uint32_t old_count = old != NULL ? old->count : 0;
    struct skua__locals *set = skua__alloc(sizeof *set + (old_count + 1) * sizeof set->bindings[0]);
    if (set == NULL) {
        return NULL;
    }
    skua__store(&set->refs, 1, relaxed);
    if (old != NULL) {
        memcpy(set->bindings, old->bindings, old_count * sizeof set->bindings[0]);
    }
    set->count = old_count;
    struct binding *binding = find(set, key);
    if (binding == NULL) {
        binding = &set->bindings[set->count++];
        binding->key = key;
    }
    binding->value = value;
    return set;
}

/* Under the lock. *replaced is a set that the task does not use any more, to be released. */
static int set_locked(skua_task *task, const skua_local *key, void *value,
                      struct skua__locals **replaced)
{
    struct skua__locals *old = skua__load(&task->locals, relaxed);
    struct binding *binding = find(old, key);
    /* acquire: pairs with the release of the last other holder: it has read what we overwrite. */
    if (binding != NULL && skua__load(&old->refs, acquire) == 1) {
        binding->value = value;
        return 0;
    }
    struct skua__locals *set = extend(old, key, value);
    if (set == NULL) {
        return -ENOMEM;
    }
    skua__store(&task->locals, set, relaxed);
    *replaced = old;
    return 0;
}

int skua_local_set(const skua_local *key, void *value)
{
    skua_task *task = skua_self();
    struct skua__locals *replaced = NULL;
    if (task == NULL) {
        return -EPERM;
    }
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
    int status = set_locked(task, key, value, &replaced);
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
    if (replaced != NULL) {
        skua__locals_release(replaced);
    }
    return status;
}

void *skua_local_get(const skua_local *key)
{
    skua_task *task = skua_self();
    if (SKUA_UNLIKELY(task == NULL)) {
        task = skua__locals_lender();
    }
    if (task == NULL || skua__load(&task->locals, relaxed) == NULL) {
        return NULL;
    }
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
    struct binding *binding = find(skua__load(&task->locals, relaxed), key);
    void *value = binding != NULL ? binding->value : NULL;
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
    return value;
}
