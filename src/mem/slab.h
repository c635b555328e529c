/* mem/slab.h: type-stable objects of one size.

   An object's memory keeps its kind until the set is destroyed, and all objects, live or free, can
   be visited: whoever visits tells them apart by a field of the object's own that stays valid when
   it is free. Workers keep small caches of their own (struct skua__slab_cache), so that a take and
   a return are usually a few instructions. */
#ifndef SKUA_MEM_SLAB_H
#define SKUA_MEM_SLAB_H

#include "base/lock.h"

#include <stddef.h>

/* A free object's first word links it. */
struct skua__slab_free {
    struct skua__slab_free *next;
};

struct skua__slab_chunk;

enum { SKUA__SLAB_CACHE_MAX = 128 };

struct skua__slab {
    struct skua__lock lock;
    size_t object_bytes; /* a multiple of the cache line keeps objects apart */
    size_t link_offset;  /* where a free object keeps its link */
    struct skua__slab_free *free;
    struct skua__slab_chunk *chunks;
};

/* One thread's free objects. Zeroed is empty. */
struct skua__slab_cache {
    struct skua__slab_free *free;
    size_t count;
};

void skua__slab_init(struct skua__slab *slab, size_t object_bytes, size_t link_offset);
void skua__slab_fini(struct skua__slab *slab);

/* What take and return do when the cache cannot serve them, or is NULL. */
void *skua__slab_take_slow(struct skua__slab *slab, struct skua__slab_cache *cache);
void skua__slab_return_slow(struct skua__slab *slab, struct skua__slab_cache *cache, void *object);

/* An object, zeroed when it is new, as it was returned when it is not (but for its link); or NULL.
   `cache` may be NULL. */
static inline void *skua__slab_take(struct skua__slab *slab, struct skua__slab_cache *cache)
{
    if (SKUA_UNLIKELY(cache == NULL || cache->free == NULL)) {
        return skua__slab_take_slow(slab, cache);
    }
    struct skua__slab_free *link = cache->free;
    cache->free = link->next;
    cache->count--;
    return (char *)link - slab->link_offset;
}

/* Give it back. `cache` may be NULL. */
static inline void skua__slab_return(struct skua__slab *slab, struct skua__slab_cache *cache,
                                     void *object)
{
    if (SKUA_UNLIKELY(cache == NULL || cache->count >= SKUA__SLAB_CACHE_MAX)) {
        skua__slab_return_slow(slab, cache, object);
        return;
    }
    struct skua__slab_free *link =
        (struct skua__slab_free *)(void *)((char *)object + slab->link_offset);
    link->next = cache->free;
    cache->free = link;
    cache->count++;
}

/* Call visit(object, arg) for all objects there are, live and free, new ones possibly left out.
   Objects may be taken and returned meanwhile. */
void skua__slab_visit(struct skua__slab *slab, void (*visit)(void *object, void *arg), void *arg);

#endif
