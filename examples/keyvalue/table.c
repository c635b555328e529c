/* table.c: a hash table in shards, each with a lock of its own. A lock is held for as long as it
   takes to find a slot: items are made before, and freed after, and they are counted, so that one
   can be sent to a slow client while others replace it. */
#include "keyvalue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { SHARDS = 64, SHARD_SHIFT = 58, SLOTS_MIN = 16, CACHE_LINE = 64 };

struct slot {
    uint64_t hash;
    struct item *item; /* NULL: free */
};

/* Open addressing: an item stands at its hash's slot, or behind it with no free slot between. */
struct shard {
    _Alignas(CACHE_LINE) skua_mutex lock;
    struct slot *slots;
    size_t capacity; /* a power of two, or 0 */
    _Atomic size_t count;
};

struct table {
    struct shard shards[SHARDS];
    uint64_t seeds[2]; /* unknown to clients, who cannot send keys that all meet in one slot */
    size_t bytes_max;
    _Atomic size_t bytes;
};

/* --- items --- */

static size_t cost(const struct item *item)
{
    return sizeof *item + item->key_bytes + item->value_bytes + 2 * sizeof(struct slot);
}

void item_release(struct item *item)
{
    if (item != NULL && --item->references == 0) {
        free(item);
    }
}

static struct item *item_create(skua_view key, skua_view value)
{
    struct item *item = malloc(sizeof *item + key.bytes + value.bytes);
    if (item != NULL) {
        item->references = 1;
        item->key_bytes = key.bytes;
        item->value_bytes = value.bytes;
        memcpy(item->bytes, key.data, key.bytes);
        memcpy(item->bytes + key.bytes, value.data, value.bytes);
    }
    return item;
}

/* --- hashing --- */

static uint64_t fold(uint64_t left, uint64_t right)
{
    unsigned __int128 product = (unsigned __int128)left * right;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const struct table *table, skua_view key)
{
    uint64_t hash = table->seeds[0] ^ key.bytes, word;
    for (; key.bytes >= sizeof word; key.data += sizeof word, key.bytes -= sizeof word) {
        memcpy(&word, key.data, sizeof word);
        hash = fold(hash ^ word, table->seeds[1]);
    }
    word = 0;
    memcpy(&word, key.data, key.bytes);
    return fold(fold(hash ^ word, table->seeds[1]), table->seeds[0]);
}

/* --- one shard, under its lock --- */

static struct slot *find(const struct shard *shard, uint64_t hash, skua_view key)
{
    for (size_t at = hash & (shard->capacity - 1);; at = (at + 1) & (shard->capacity - 1)) {
        struct slot *slot = &shard->slots[at];
        if (slot->item == NULL || (slot->hash == hash && slot->item->key_bytes == key.bytes &&
                                   memcmp(slot->item->bytes, key.data, key.bytes) == 0)) {
            return slot;
        }
    }
}

/* There is always a free slot, where searches end. */
static int make_room(struct shard *shard)
{
    if ((shard->count + 1) * 4 <= shard->capacity * 3) {
        return 0;
    }
    struct shard larger = {.capacity = shard->capacity > 0 ? 2 * shard->capacity : SLOTS_MIN};
    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (larger.slots == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < shard->capacity; i++) {
        const struct slot *old = &shard->slots[i];
        size_t at = old->hash & (larger.capacity - 1);
        for (; old->item != NULL && larger.slots[at].item != NULL;) {
            at = (at + 1) & (larger.capacity - 1);
        }
        if (old->item != NULL) {
            larger.slots[at] = *old;
        }
    }
    free(shard->slots);
    shard->slots = larger.slots;
    shard->capacity = larger.capacity;
    return 0;
}

/* Free the slot, and move into it what stands behind it and could not be found any more. */
static void vacate(struct shard *shard, struct slot *slot)
{
    const size_t mask = shard->capacity - 1;
    size_t hole = (size_t)(slot - shard->slots);
    for (size_t at = (hole + 1) & mask; shard->slots[at].item != NULL; at = (at + 1) & mask) {
        const size_t home = shard->slots[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            shard->slots[hole] = shard->slots[at];
            hole = at;
        }
    }
    shard->slots[hole].item = NULL;
    shard->count--;
}

/* Put the item where its key belongs; what was there before is the caller's. */
static int put(struct table *table, struct shard *shard, uint64_t hash, struct item *item,
               struct item **old)
{
    *old = NULL;
    int status = make_room(shard);
    if (status < 0) {
        return status;
    }
    if (table->bytes + cost(item) > table->bytes_max) {
        return -ENOSPC; /* others may be as far just now: the limit is about right */
    }
    table->bytes += cost(item);
    skua_view key = {.data = item->bytes, .bytes = item->key_bytes};
    struct slot *slot = find(shard, hash, key);
    *old = slot->item;
    *slot = (struct slot){.hash = hash, .item = item};
    if (*old == NULL) {
        shard->count++;
    } else {
        table->bytes -= cost(*old);
    }
    return 1;
}

/* --- for all tasks --- */

/* Find the shard of a key, and lock it. */
static int enter(struct table *table, skua_view key, uint64_t *hash, struct shard **shard)
{
    *hash = hash_of(table, key);
    *shard = &table->shards[*hash >> SHARD_SHIFT];
    return skua_mutex_lock(&(*shard)->lock, SKUA_FOREVER);
}

int table_get(struct table *table, skua_view key, struct item **item)
{
    struct shard *shard;
    uint64_t hash;
    int status = enter(table, key, &hash, &shard);
    *item = NULL;
    if (status == 0) {
        *item = shard->capacity > 0 ? find(shard, hash, key)->item : NULL;
        if (*item != NULL) {
            (*item)->references++;
            status = 1;
        }
        skua_mutex_unlock(&shard->lock);
    }
    return status;
}

int table_has(struct table *table, skua_view key)
{
    struct item *item;
    int status = table_get(table, key, &item);
    item_release(item);
    return status;
}

int table_set(struct table *table, skua_view key, skua_view value)
{
    struct shard *shard;
    uint64_t hash;
    struct item *old = NULL, *item = item_create(key, value);
    int status = item == NULL ? -ENOMEM : enter(table, key, &hash, &shard);
    if (status == 0) {
        status = put(table, shard, hash, item, &old);
        skua_mutex_unlock(&shard->lock);
    }
    item_release(status < 0 ? item : old);
    return status;
}

int table_remove(struct table *table, skua_view key)
{
    struct shard *shard;
    uint64_t hash;
    struct item *old = NULL;
    int status = enter(table, key, &hash, &shard);
    if (status == 0) {
        struct slot *slot = shard->capacity > 0 ? find(shard, hash, key) : NULL;
        if (slot != NULL && slot->item != NULL) {
            old = slot->item;
            table->bytes -= cost(old);
            vacate(shard, slot);
        }
        skua_mutex_unlock(&shard->lock);
        status = old != NULL;
    }
    item_release(old);
    return status;
}

/* The number that an item's value is. It is built up below zero, where there is more room. */
static int number_of(const struct item *item, int64_t *number)
{
    const skua_view value = item_value(item);
    const bool is_negative = value.bytes > 0 && value.data[0] == '-';
    *number = 0;
    for (size_t i = is_negative; i < value.bytes; i++) {
        const int digit = value.data[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(*number, 10, number) ||
            __builtin_sub_overflow(*number, digit, number)) {
            return -EINVAL;
        }
    }
    if (value.bytes == is_negative || (!is_negative && *number == INT64_MIN)) {
        return -EINVAL;
    }
    *number = is_negative ? *number : -*number;
    return 0;
}

/* table_add(), under the lock. */
static int add(struct table *table, struct shard *shard, uint64_t hash, skua_view key,
               int64_t *number, struct item **old)
{
    int64_t before = 0;
    struct slot *slot = shard->capacity > 0 ? find(shard, hash, key) : NULL;
    int status = slot != NULL && slot->item != NULL ? number_of(slot->item, &before) : 0;
    if (status < 0) {
        return status;
    }
    if (__builtin_add_overflow(before, *number, number)) {
        return -ERANGE;
    }
    char text[24];
    int bytes = snprintf(text, sizeof text, "%lld", (long long)*number);
    struct item *item = item_create(key, (skua_view){.data = text, .bytes = (size_t)bytes});
    status = item == NULL ? -ENOMEM : put(table, shard, hash, item, old);
    if (status < 0) {
        item_release(item);
    }
    return status;
}

int table_add(struct table *table, skua_view key, int64_t more, int64_t *sum)
{
    struct shard *shard;
    uint64_t hash;
    struct item *old = NULL;
    int status = enter(table, key, &hash, &shard);
    *sum = more;
    if (status == 0) {
        status = add(table, shard, hash, key, sum, &old);
        skua_mutex_unlock(&shard->lock);
    }
    item_release(old);
    return status;
}

static void release_all(struct table *table, struct slot *slots, size_t capacity)
{
    for (size_t i = 0; i < capacity; i++) {
        if (slots[i].item != NULL) {
            table->bytes -= cost(slots[i].item);
            item_release(slots[i].item);
        }
    }
    free(slots);
}

int table_clear(struct table *table)
{
    for (struct shard *shard = table->shards; shard < table->shards + SHARDS; shard++) {
        int status = skua_mutex_lock(&shard->lock, SKUA_FOREVER);
        if (status < 0) {
            return status;
        }
        struct slot *slots = shard->slots;
        const size_t capacity = shard->capacity;
        shard->slots = NULL;
        shard->count = shard->capacity = 0;
        skua_mutex_unlock(&shard->lock);
        release_all(table, slots, capacity);
    }
    return 1;
}

size_t table_count(const struct table *table)
{
    size_t count = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        count += table->shards[i].count;
    }
    return count;
}

size_t table_bytes(const struct table *table)
{
    return table->bytes;
}

struct table *table_create(size_t bytes_max)
{
    struct table *table = aligned_alloc(CACHE_LINE, sizeof *table);
    if (table == NULL) {
        return NULL;
    }
    memset(table, 0, sizeof *table);
    table->bytes_max = bytes_max;
    if (getrandom(table->seeds, sizeof table->seeds, 0) != sizeof table->seeds) {
        free(table);
        return NULL;
    }
    table->seeds[0] |= 1;
    table->seeds[1] |= 1;
    return table;
}

void table_destroy(struct table *table)
{
    for (size_t i = 0; i < SHARDS; i++) {
        release_all(table, table->shards[i].slots, table->shards[i].capacity);
    }
    free(table);
}
