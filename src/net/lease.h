/* net/lease.h: the things of a pool, each in a record, and which of them are lent. No locks: they
   are the pool's matter. */
#ifndef SKUA_NET_LEASE_H
#define SKUA_NET_LEASE_H

#include "base/list.h"

#include <stdint.h>

struct skua__lease {
    struct skua__link link;   /* in the pool's idle list, or of those about to be closed */
    struct skua__lease *next; /* in a bucket, while it is lent */
    void *thing;
    int64_t opened_ns;
    int64_t idle_since_ns;
    uint64_t generation; /* of the pool when it was opened */
};

/* Those that are lent, by what they are. */
struct skua__lease_table {
    struct skua__lease **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
};

/* For about so many. 0 or -ENOMEM. */
int skua__lease_table_init(struct skua__lease_table *table, size_t count);
void skua__lease_table_fini(struct skua__lease_table *table);

/* All that is in `from` goes to the other one, which is empty. */
void skua__lease_table_move(struct skua__lease_table *from, struct skua__lease_table *to);

void skua__lease_put(struct skua__lease_table *table, struct skua__lease *lease);

/* Out of the table, or NULL: it is not there. */
struct skua__lease *skua__lease_take(struct skua__lease_table *table, const void *thing);

#endif
