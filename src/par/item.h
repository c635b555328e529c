/* par/item.h: items of any size, for scans and sorts: moving and comparing them.

   The functions that are ALWAYS_INLINE here and in the sorts are templates: called with a constant
   `bytes`, they become code for items of that size. */
#ifndef SKUA_PAR_ITEM_H
#define SKUA_PAR_ITEM_H

#include "par/stop.h"

#include <skua/par.h>
#include <string.h>

#define SKUA__ALWAYS_INLINE inline __attribute__((always_inline))

/* Items up to this size are kept in a variable while others are moved. */
enum { SKUA__ITEM_SMALL_BYTES = 128 };

/* One sort: what is the same in all of its calls. */
struct skua__order {
    struct skua__stop stop;
    skua_compare_fn compare;
    void *context;
    size_t item_bytes;
    int (*sort)(void *run); /* the template for this size */
};

static SKUA__ALWAYS_INLINE bool skua__is_less(const struct skua__order *order, const void *left,
                                              const void *right)
{
    return order->compare(left, right, order->context) < 0;
}

static SKUA__ALWAYS_INLINE void skua__item_copy(void *to, const void *from, size_t bytes)
{
    memcpy(to, from, bytes);
}

/* They may be the same item. */
static SKUA__ALWAYS_INLINE void skua__item_swap(void *one, void *two, size_t bytes)
{
    unsigned char held[64];
    char *a = (char *)one;
    char *b = (char *)two;
    while (bytes > 0) {
        size_t part = bytes < sizeof held ? bytes : sizeof held;
        memcpy(held, a, part);
        memmove(a, b, part);
        memcpy(b, held, part);
        a += part;
        b += part;
        bytes -= part;
    }
}

#endif
