/* Type-stable objects in chunks of 64 KiB. The chunk list only grows, at its head, so that a
   visitor needs the lock only to fetch the head. */
#include "mem/slab.h"

#include "base/mem.h"

enum { CHUNK_BYTES = 64 * 1024, CACHE_BATCH = 64 };

struct skua__slab_chunk {
    struct skua__slab_chunk *next;
    size_t count;
    char objects[] SKUA_CACHE_ALIGNED;
};

void skua__slab_init(struct skua__slab *slab, size_t object_bytes, size_t link_offset)
{
    *slab = (struct skua__slab){.object_bytes = object_bytes, .link_offset = link_offset};
}

void skua__slab_fini(struct skua__slab *slab)
{
    while (slab->chunks != NULL) {
        struct skua__slab_chunk *next = slab->chunks->next;
        skua__free(slab->chunks);
        slab->chunks = next;
    }
    slab->free = NULL;
}

static struct skua__slab_free *link_of(const struct skua__slab *slab, void *object)
{
    return (struct skua__slab_free *)(void *)((char *)object + slab->link_offset);
}

static void *object_of(const struct skua__slab *slab, struct skua__slab_free *link)
{
    return (char *)link - slab->link_offset;
}

/* Adds a chunk's objects to the free list. Under the lock. */
static void add_chunk(struct skua__slab *slab)
{
    struct skua__slab_chunk *chunk = skua__alloc_aligned(SKUA_CACHE_LINE, CHUNK_BYTES);
    if (chunk == NULL) {
        return;
    }
    chunk->count = (CHUNK_BYTES - sizeof *chunk) / slab->object_bytes;
    for (size_t i = chunk->count; i-- > 0;) {
        struct skua__slab_free *link = link_of(slab, chunk->objects + i * slab->object_bytes);
        link->next = slab->free;
        slab->free = link;
    }
    chunk->next = slab->chunks;
    slab->chunks = chunk;
}

/* Moves up to `count` objects from the common list to *list; returns how many. */
static size_t take_batch(struct skua__slab *slab, struct skua__slab_free **list, size_t count)
{
    size_t taken = 0;
    skua__lock(&slab->lock, SKUA__RANK_MEM);
    if (slab->free == NULL) {
        add_chunk(slab);
    }
    while (taken < count && slab->free != NULL) {
        struct skua__slab_free *link = slab->free;
        slab->free = link->next;
        link->next = *list;
        *list = link;
        taken++;
    }
    skua__unlock(&slab->lock, SKUA__RANK_MEM);
    return taken;
}

void *skua__slab_take_slow(struct skua__slab *slab, struct skua__slab_cache *cache)
{
    struct skua__slab_cache one = {NULL, 0};
    size_t batch = CACHE_BATCH;
    if (cache == NULL) {
        cache = &one;
        batch = 1;
    }
    cache->count = take_batch(slab, &cache->free, batch);
    if (cache->free == NULL) {
        return NULL;
    }
    struct skua__slab_free *link = cache->free;
    cache->free = link->next;
    cache->count--;
    return object_of(slab, link);
}

static void spill(struct skua__slab *slab, struct skua__slab_cache *cache, size_t count)
{
    skua__lock(&slab->lock, SKUA__RANK_MEM);
    while (count-- > 0) {
        struct skua__slab_free *link = cache->free;
        cache->free = link->next;
        cache->count--;
        link->next = slab->free;
        slab->free = link;
    }
    skua__unlock(&slab->lock, SKUA__RANK_MEM);
}

void skua__slab_return_slow(struct skua__slab *slab, struct skua__slab_cache *cache, void *object)
{
    struct skua__slab_free *link = link_of(slab, object);
    struct skua__slab_cache one = {NULL, 0};
    struct skua__slab_cache *into = cache != NULL ? cache : &one;
    link->next = into->free;
    into->free = link;
    into->count++;
    if (cache == NULL) {
        spill(slab, &one, 1);
    } else {
        spill(slab, cache, CACHE_BATCH);
    }
}

void skua__slab_visit(struct skua__slab *slab, void (*visit)(void *object, void *arg), void *arg)
{
    skua__lock(&slab->lock, SKUA__RANK_MEM);
    struct skua__slab_chunk *chunk = slab->chunks;
    skua__unlock(&slab->lock, SKUA__RANK_MEM);
    for (; chunk != NULL; chunk = chunk->next) {
        for (size_t i = 0; i < chunk->count; i++) {
            visit(chunk->objects + i * slab->object_bytes, arg);
        }
    }
}
