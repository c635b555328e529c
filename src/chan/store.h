/* chan/store.h: the items of a queue, in the order in which they are to be taken. Not for several
   threads at once: the queue's lock is held. */
#ifndef SKUA_CHAN_STORE_H
#define SKUA_CHAN_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int (*skua__store_order)(const void *a, const void *b);

struct skua__store {
    /* Constant. */
    size_t item_bytes, slot_bytes;
    bool lifo, is_bounded;
    skua__store_order order; /* or NULL */

    char *slots;
    size_t room;       /* slots there are */
    size_t count;      /* items there are */
    size_t first;      /* first in, first out: the slot of the oldest */
    uint64_t sequence; /* with an order: the number of the next item */
};

/* Make an empty store, with room for `capacity` items, or one that grows (0). 0, -EINVAL (too
   large), -ENOMEM. */
int skua__store_init(struct skua__store *store, size_t item_bytes, size_t capacity, bool lifo,
                     skua__store_order order);

/* Make room for one more, in a store that grows. 0, -ENOMEM: all is as it was. */
int skua__store_make_room(struct skua__store *store);

/* Put a copy in; there is room. */
void skua__store_put(struct skua__store *store, const void *item);

/* The item that comes next; there is one. Valid until the next change. */
void *skua__store_next(const struct skua__store *store);

/* Take that item out. */
void skua__store_remove_next(struct skua__store *store);

/* Take everything out, memory included, into a store of the caller's. */
struct skua__store skua__store_detach(struct skua__store *store);

/* Give the memory back, after calling `drop` (may be NULL) for each item. */
void skua__store_fini(struct skua__store *store, void (*drop)(void *item));

#endif
