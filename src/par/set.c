/* Sets of children: forks whose descriptors stand in chunks. The first chunk is in the set itself,
   the others are allocated, the newest first in the list.

   Descriptors on the heap usually lie below the stack, so that their syncs take the slow way, which
   tells them from short stacks. That is why a few stand in the set. */
#include "base/mem.h"
#include "base/panic.h"
#include "par/stop.h"
#include "sched/worker.h"

#include <skua/par.h>
#include <string.h>

enum {
    CHILDREN_INSIDE = 4,
    CHILDREN_OF_CHUNK = 32,
};

struct set;

struct entry {
    skua_child child;
    skua_fn fn; /* these three are used by sets that fail fast only */
    void *arg;
    struct set *set;
};

struct chunk {
    struct chunk *older;
    size_t first; /* how many adds there were before those in here */
    size_t count;
    struct entry *entries;
};

/* What a skua_fork_set holds. All zero: as new. */
struct set {
    struct skua__stop stop; /* of a set that fails fast */
    int status;             /* the failure at `failed_add` */
    size_t failed_add;      /* meaningful if status < 0 */
    size_t adds;
    struct chunk *newest;
    struct skua__fiber *owner; /* since the first add */
    bool fails_fast;
    bool has_scope;
    skua_scope scope;
    struct chunk inside;
    struct entry inside_entries[CHILDREN_INSIDE];
};

_Static_assert(sizeof(struct set) <= sizeof(skua_fork_set), "skua_fork_set is too small");

static struct set *in(skua_fork_set *set)
{
    return (struct set *)set;
}

static void check_owner(const struct set *set)
{
    if (SKUA_UNLIKELY(set->adds > 0 && set->owner != skua__fiber_self())) {
        skua__panic("a set of forks is used by another fiber than its owner");
    }
}

void skua_fork_set_fail_fast(skua_fork_set *handle)
{
    struct set *set = in(handle);
    if (set->adds > 0 || set->fails_fast) {
        skua__panic("skua_fork_set_fail_fast() comes before the first add, and once");
    }
    set->fails_fast = true;
    set->owner = skua__fiber_self();
    set->has_scope = set->owner != NULL;
    if (set->has_scope) {
        skua_scope_open(&set->scope, SKUA_FOREVER);
    }
}

/* Of the failures the one of the first add counts. */
static void keep_status(struct set *set, size_t add, int status)
{
    if (status < 0 && (set->status == 0 || add < set->failed_add)) {
        set->status = status;
        set->failed_add = add;
    }
}

static int run_failing_fast(void *arg)
{
    struct entry *entry = (struct entry *)arg;
    struct set *set = entry->set;
    int status = entry->fn(entry->arg);
    int none = 0;
    if (status < 0 && skua__cas(&set->stop.status, &none, status, relaxed, relaxed) &&
        set->has_scope) {
        skua_scope_cancel(&set->scope);
    }
    return status;
}

static struct chunk *chunk_with_room(struct set *set)
{
    struct chunk *newest = set->newest;
    size_t room = newest == &set->inside ? CHILDREN_INSIDE : CHILDREN_OF_CHUNK;
    if (newest != NULL && newest->count < room) {
        return newest;
    }
    struct chunk *chunk = &set->inside;
    if (newest != NULL) {
        chunk = skua__alloc(sizeof *chunk + CHILDREN_OF_CHUNK * sizeof(struct entry));
    }
    if (chunk == NULL) {
        return NULL;
    }
    struct entry *entries = newest != NULL ? (struct entry *)(chunk + 1) : set->inside_entries;
    *chunk = (struct chunk){.older = newest, .first = set->adds, .entries = entries};
    set->newest = chunk;
    return chunk;
}

void skua_fork_set_add(skua_fork_set *handle, skua_fn fn, void *arg)
{
    struct set *set = in(handle);
    check_owner(set);
    struct chunk *chunk = chunk_with_room(set);
    struct entry here;
    struct entry *entry = chunk != NULL ? &chunk->entries[chunk->count] : &here;
    if (set->adds == 0) {
        set->owner = skua__fiber_self();
    }
    if (set->fails_fast) {
        entry->fn = fn;
        entry->arg = arg;
        entry->set = set;
        fn = run_failing_fast;
        arg = entry;
    }
    if (chunk != NULL) {
        set->adds++;
        chunk->count++;
        skua_fork(&entry->child, fn, arg);
    } else {
        keep_status(set, set->adds, fn(arg));
    }
}

static void sync_chunk(struct set *set, struct chunk *chunk)
{
    while (chunk->count > 0) {
        chunk->count--;
        keep_status(set, chunk->first + chunk->count,
                    skua_sync(&chunk->entries[chunk->count].child));
    }
}

int skua_fork_set_sync(skua_fork_set *handle)
{
    struct set *set = in(handle);
    check_owner(set);
    while (set->newest != NULL) {
        struct chunk *chunk = set->newest;
        sync_chunk(set, chunk);
        set->newest = chunk->older;
        if (chunk != &set->inside) {
            skua__free(chunk);
        }
    }
    int status = set->fails_fast ? skua__stop_status(&set->stop) : set->status;
    if (set->has_scope) {
        int ignored = skua_scope_close(&set->scope, 0); /* `status` is what cancelled it */
        (void)ignored;
    }
    memset(set, 0, offsetof(struct set, inside_entries));
    return status;
}

void skua_fork_set_fini(skua_fork_set *set)
{
    if (in(set)->adds > 0 || in(set)->fails_fast) {
        int status = skua_fork_set_sync(set);
        (void)status;
    }
}
