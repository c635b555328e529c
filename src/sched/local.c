/* Task-locals. A set of bindings is never changed once a second task may see it: setting a value
   makes a new set. Tasks have few locals and set them rarely, so an array that is searched from the
   front is best. */
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

struct skua__locals *skua__locals_retain(struct skua__locals *locals)
{
    skua__fetch_add(&locals->refs, 1, relaxed);
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

int skua_local_set(const skua_local *key, void *value)
{
    struct skua_task *task = skua_self();
    if (task == NULL) {
        return -EPERM;
    }
    struct skua__locals *old = task->locals;
    struct binding *binding = find(old, key);
    /* acquire: pairs with the release of the last other holder: it has read what we overwrite. */
    if (binding != NULL && skua__load(&old->refs, acquire) == 1) {
        binding->value = value;
        return 0;
    }
    uint32_t old_count = old != NULL ? old->count : 0;
    struct skua__locals *set = skua__alloc(sizeof *set + (old_count + 1) * sizeof set->bindings[0]);
    if (set == NULL) {
        return -ENOMEM;
    }
    skua__store(&set->refs, 1, relaxed);
    if (old != NULL) {
        memcpy(set->bindings, old->bindings, old_count * sizeof set->bindings[0]);
    }
    set->count = old_count;
    binding = find(set, key);
    if (binding == NULL) {
        binding = &set->bindings[set->count++];
        binding->key = key;
    }
    binding->value = value;
    task->locals = set;
    if (old != NULL) {
        skua__locals_release(old);
    }
    return 0;
}

void *skua_local_get(const skua_local *key)
{
    struct skua_task *task = skua_self();
    struct binding *binding = task != NULL ? find(task->locals, key) : NULL;
    return binding != NULL ? binding->value : NULL;
}
