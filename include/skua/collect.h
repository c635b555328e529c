/* skua/collect.h: what a stream leaves behind: arrays that grow, dictionaries and sets.

   With filter and map before them these are the comprehensions of other languages:

     skua_vec users = {0};
     status = skua_stream_collect(skua_stream_map(skua_stream_filter(ids, is_active, NULL), fetch,
                                                  NULL, sizeof(struct user)), &users, SKUA_FOREVER);

   Both kinds are the caller's: zeroed is empty, *_free() gives the memory back. They may be read by
   many at once, and changed by one alone. */
#ifndef SKUA_COLLECT_H
#define SKUA_COLLECT_H

#include <skua/stream.h>

SKUA_BEGIN_DECLS

/* An array that grows. Read the fields as you like; `items` moves when one is added. */
typedef struct skua_vec {
    void *items;
    size_t count;
    size_t capacity;
    size_t item_bytes;
} skua_vec;

#define SKUA_VEC(name) skua_vec name __attribute__((cleanup(skua_vec_free), unused)) = {0}

/* Add a copy of *item. The first one decides on item_bytes; another size panics. Returns 0 or
   -ENOMEM. Call from anywhere. Never switches. Cost: O(1) on average. */
int skua_vec_add(skua_vec *vec, const void *item, size_t item_bytes) SKUA_MUST_CHECK;

/* Give the memory back; empty again. */
void skua_vec_free(skua_vec *vec);

/* A table of items of which no two have the same key: the first key_bytes of an item, compared byte
   by byte (so no pointers to strings, and no padding that was not zeroed). A key that is the whole
   item makes it a set; else it is a dictionary of structs that begin with their key. `list` has the
   items in the order in which their keys came first, to be read. */
typedef struct skua_table {
    skua_vec list;
    size_t key_bytes;
    uint32_t *slots; /* private */
    size_t slot_count;
} skua_table;

#define SKUA_TABLE(name) skua_table name __attribute__((cleanup(skua_table_free), unused)) = {0}

/* Add a copy of *item, or put it in the place of the one with the same key. The first one decides
   on item_bytes and key_bytes; other sizes panic, and so does a key larger than the item. Returns 1
   (new), 0 (replaced), -ENOMEM, or -EOVERFLOW (2^32 - 1 items). Call from anywhere. Never switches.
   Cost: O(1) on average. */
int skua_table_put(skua_table *table, const void *item, size_t item_bytes, size_t key_bytes)
    SKUA_MUST_CHECK;

/* The item with that key, or NULL; valid until one is added. Its key must not be changed. */
void *skua_table_find(const skua_table *table, const void *key);

/* Give the memory back; empty again. */
void skua_table_free(skua_table *table);

/* Sinks (skua/stream.h), which close the chain: add all items that come. Return 0, or the failure;
   what was there before it has been added. Call from: as skua_stream_next(). May switch. */
int skua_stream_collect(skua_stream *stream, skua_vec *vec, skua_time deadline) SKUA_MUST_CHECK;
int skua_stream_collect_set(skua_stream *stream, skua_table *set, skua_time deadline)
    SKUA_MUST_CHECK;
int skua_stream_collect_dict(skua_stream *stream, skua_table *dict, size_t key_bytes,
                             skua_time deadline) SKUA_MUST_CHECK;

SKUA_END_DECLS
#endif
