/* What streams leave behind: arrays that grow, and tables of items with keys.

   A table is an array of items in the order in which their keys came, and a hash index beside it:
   slots with 1 + the place of an item, open addressing, probed in a line, at most three quarters
   full, a power of two of them.

     (V1) An addition has all the memory that it needs before it changes anything: without memory
          the array and the table are what they were.
     (V2) There is a slot for each item, and nothing is ever taken out: so a probe ends at the first
          empty slot.

   The hash is not keyed: whoever lets strangers choose the keys lets them choose the collisions. */
#include "base/compiler.h"
#include "base/mem.h"
#include "base/panic.h"
#include "gen/sink.h"

#include <skua/collect.h>
#include <string.h>

enum { FIRST_CAPACITY = 8, FIRST_SLOTS = 16 };

/* --- arrays ----------------------------------------------------------------------------------- */

/* *replaced is to be freed: the new item may stand in it. */
static int grow(skua_vec *vec, size_t item_bytes, void **replaced)
{
    size_t capacity, bytes;
    if (__builtin_mul_overflow(vec->capacity, 2, &capacity) ||
        __builtin_mul_overflow(capacity > 0 ? capacity : FIRST_CAPACITY, item_bytes, &bytes) ||
        bytes > PTRDIFF_MAX) {
        return -ENOMEM;
    }
    void *items = skua__alloc(bytes);
    if (items == NULL) {
        return -ENOMEM;
    }
    if (vec->count > 0) {
        memcpy(items, vec->items, vec->count * item_bytes);
    }
    *replaced = vec->items;
    vec->items = items;
    vec->capacity = capacity > 0 ? capacity : FIRST_CAPACITY;
    return 0;
}

int skua_vec_add(skua_vec *vec, const void *item, size_t item_bytes)
{
    void *replaced = NULL;
    if (vec->capacity > 0 && item_bytes != vec->item_bytes) {
        skua__panic("an item of %zu bytes is added to an array of items of %zu bytes", item_bytes,
                    vec->item_bytes);
    }
    if (vec->count == vec->capacity) {
        int status = grow(vec, item_bytes, &replaced);
        if (status < 0) {
            return status;
        }
    }
    vec->item_bytes = item_bytes;
    memcpy((char *)vec->items + vec->count * item_bytes, item, item_bytes);
    vec->count++;
    skua__free(replaced);
    return 0;
}

void skua_vec_free(skua_vec *vec)
{
    skua__free(vec->items);
    *vec = (skua_vec){0};
}

/* --- tables ----------------------------------------------------------------------------------- */

/* FNV-1a, stirred at the end, since the slot is taken from the low bits. */
static uint64_t hash(const void *key, size_t key_bytes)
{
    const unsigned char *bytes = key;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < key_bytes; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93u;
    return hash ^ (hash >> 32);
}

static void *item_at(const skua_table *table, size_t index)
{
    return (char *)table->list.items + index * table->list.item_bytes;
}

/* The slot of the key, or the empty one where it would be. */
static uint32_t *find_slot(const skua_table *table, const void *key)
{
    size_t mask = table->slot_count - 1;
    for (size_t i = hash(key, table->key_bytes);; i++) {
        uint32_t *slot = &table->slots[i & mask];
        if (*slot == 0 || memcmp(item_at(table, *slot - 1), key, table->key_bytes) == 0) {
            return slot;
        }
    }
}

/* Room for one more. */
static int grow_slots(skua_table *table)
{
    if (table->list.count < table->slot_count / 4 * 3) {
        return 0;
    }
    size_t slot_count = table->slot_count > 0 ? table->slot_count * 2 : FIRST_SLOTS;
    uint32_t *slots = skua__alloc(slot_count * sizeof slots[0]);
    if (slots == NULL) {
        return -ENOMEM;
    }
    skua__free(table->slots);
    table->slots = slots;
    table->slot_count = slot_count;
    for (size_t i = 0; i < table->list.count; i++) {
        *find_slot(table, item_at(table, i)) = (uint32_t)(i + 1);
    }
    return 0;
}

static void check_sizes(const skua_table *table, size_t item_bytes, size_t key_bytes)
{
    if (key_bytes > item_bytes) {
        skua__panic("a key of %zu bytes in an item of %zu bytes", key_bytes, item_bytes);
    }
    if (table->list.capacity > 0 &&
        (item_bytes != table->list.item_bytes || key_bytes != table->key_bytes)) {
        skua__panic("an item of %zu bytes, key %zu, in a table of items of %zu bytes, key %zu",
                    item_bytes, key_bytes, table->list.item_bytes, table->key_bytes);
    }
}

int skua_table_put(skua_table *table, const void *item, size_t item_bytes, size_t key_bytes)
{
    check_sizes(table, item_bytes, key_bytes);
    if (table->list.count >= UINT32_MAX - 1) {
        return -EOVERFLOW;
    }
    table->key_bytes = key_bytes;
    int status = grow_slots(table);
    if (status < 0) {
        return status;
    }
    uint32_t *slot = find_slot(table, item);
    if (*slot != 0) {
        memcpy(item_at(table, *slot - 1), item, item_bytes);
        return 0;
    }
    status = skua_vec_add(&table->list, item, item_bytes);
    if (status < 0) {
        return status;
    }
    *slot = (uint32_t)table->list.count;
    return 1;
}

void *skua_table_find(const skua_table *table, const void *key)
{
    if (table->list.count == 0) {
        return NULL;
    }
    uint32_t slot = *find_slot(table, key);
    return slot != 0 ? item_at(table, slot - 1) : NULL;
}

void skua_table_free(skua_table *table)
{
    skua_vec_free(&table->list);
    skua__free(table->slots);
    *table = (skua_table){0};
}

/* --- sinks ------------------------------------------------------------------------------------ */

struct collection {
    skua_vec *vec;
    skua_table *table;
    size_t item_bytes, key_bytes;
};

static int add_to_vec(void *context, const void *item)
{
    const struct collection *into = context;
    return skua_vec_add(into->vec, item, into->item_bytes);
}

static int add_to_table(void *context, const void *item)
{
    const struct collection *into = context;
    int status = skua_table_put(into->table, item, into->item_bytes, into->key_bytes);
    return status < 0 ? status : 0;
}

int skua_stream_collect(skua_stream *stream, skua_vec *vec, skua_time deadline)
{
    struct collection into = {.vec = vec, .item_bytes = skua__stream_item_bytes(stream)};
    return skua_stream_for_each(stream, add_to_vec, &into, deadline);
}

int skua_stream_collect_dict(skua_stream *stream, skua_table *dict, size_t key_bytes,
                             skua_time deadline)
{
    struct collection into = {
        .table = dict, .item_bytes = skua__stream_item_bytes(stream), .key_bytes = key_bytes};
    return skua_stream_for_each(stream, add_to_table, &into, deadline);
}

int skua_stream_collect_set(skua_stream *stream, skua_table *set, skua_time deadline)
{
    return skua_stream_collect_dict(stream, set, skua__stream_item_bytes(stream), deadline);
}
