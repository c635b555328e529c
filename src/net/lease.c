/* The table of what is lent: chained buckets by address. */
#include "net/lease.h"

#include "base/mem.h"

#include <errno.h>

enum { BUCKETS_MIN = 8 };

int skua__lease_table_init(struct skua__lease_table *table, size_t count)
{
    *table = (struct skua__lease_table){.bucket_count = BUCKETS_MIN};
    while (table->bucket_count < count && table->bucket_count <= SIZE_MAX / 4 / sizeof(void *)) {
        table->bucket_count *= 2;
    }
    table->buckets = skua__alloc(table->bucket_count * sizeof(struct skua__lease *));
    return table->buckets != NULL ? 0 : -ENOMEM;
}

void skua__lease_table_fini(struct skua__lease_table *table)
{
    skua__free(table->buckets);
}

static struct skua__lease **bucket_of(struct skua__lease_table *table, const void *thing)
{
    /* Fibonacci's: what is allocated differs in the middle bits. */
    const uint64_t hash = (uint64_t)(uintptr_t)thing * UINT64_C(0x9e3779b97f4a7c15);
    return &table->buckets[(hash >> 32) & (table->bucket_count - 1)];
}

void skua__lease_put(struct skua__lease_table *table, struct skua__lease *lease)
{
    struct skua__lease **bucket = bucket_of(table, lease->thing);
    lease->next = *bucket;
    *bucket = lease;
    table->count++;
}

struct skua__lease *skua__lease_take(struct skua__lease_table *table, const void *thing)
{
    struct skua__lease **at = bucket_of(table, thing);
    while (*at != NULL && (*at)->thing != thing) {
        at = &(*at)->next;
    }
    struct skua__lease *found = *at;
    if (found != NULL) {
        *at = found->next;
        table->count--;
    }
    return found;
}

void skua__lease_table_move(struct skua__lease_table *from, struct skua__lease_table *to)
{
    for (size_t i = 0; i < from->bucket_count; i++) {
        struct skua__lease *lease = NULL;
        while ((lease = from->buckets[i]) != NULL) {
            from->buckets[i] = lease->next;
            skua__lease_put(to, lease);
        }
    }
    from->count = 0;
}
