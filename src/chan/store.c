/* The store of a queue: one array of slots.

     first in, first out   a ring: the items are in slots first .. first + count - 1, modulo room
     last in, first out    a stack: in slots 0 .. count - 1, the newest at the end
     by an order           a binary heap in slots 0 .. count - 1; each slot has the item's number
                           behind the item, and among equals the smaller number comes first

     (T1) count <= room.
     (T2) No slot comes before its parent in the heap (slot i's is (i - 1) / 2).
     (T3) Items lie as their type wants them: a slot is as long as an item is, or a multiple of 16
          if the item's size is one, or else of 8; and the array begins on 16.

   A store that grows doubles, under the queue's lock; one that has been emptied gives a large array
   back. Rejected: a node for each item, which costs a malloc and a free a message, and a linked
   list of blocks, which serves the ring only. */
#include "chan/store.h"

#include "base/mem.h"
#include "base/panic.h"

#include <errno.h>
#include <string.h>

enum {
    ROOM_MIN = 16,
    KEPT_BYTES_MAX = 64 * 1024, /* what a store that grows keeps when it is empty */
};

static char *slot_at(const struct skua__store *store, size_t index)
{
    return store->slots + index * store->slot_bytes;
}

static void copy(void *to, const void *from, size_t bytes)
{
    if (bytes > 0) {
        memcpy(to, from, bytes);
    }
}

/* --- the order -------------------------------------------------------------------------------- */

static size_t number_offset(const struct skua__store *store)
{
    return (store->item_bytes + 7) / 8 * 8;
}

static uint64_t number_of(const struct skua__store *store, const char *slot)
{
    uint64_t number;
    memcpy(&number, slot + number_offset(store), sizeof number);
    return number;
}

static bool comes_before(const struct skua__store *store, const char *a, const char *b)
{
    int order = store->order(a, b);
    return order < 0 || (order == 0 && number_of(store, a) < number_of(store, b));
}

/* The parents that come after the new item move down, and it takes the place of the last. */
static void heap_put(struct skua__store *store, const void *item)
{
    size_t at = store->count;
    while (at > 0 && store->order(item, slot_at(store, (at - 1) / 2)) < 0) {
        memcpy(slot_at(store, at), slot_at(store, (at - 1) / 2), store->slot_bytes);
        at = (at - 1) / 2;
    }
    uint64_t number = store->sequence++;
    copy(slot_at(store, at), item, store->item_bytes);
    memcpy(slot_at(store, at) + number_offset(store), &number, sizeof number);
}

/* The first slot is free, and the heap one shorter, so that its last item needs a place: the
   children that come before it move up. */
static void heap_close_gap(struct skua__store *store)
{
    const char *last = slot_at(store, store->count);
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= store->count) {
            break;
        }
        if (child + 1 < store->count &&
            comes_before(store, slot_at(store, child + 1), slot_at(store, child))) {
            child++;
        }
        if (!comes_before(store, slot_at(store, child), last)) {
            break;
        }
        memcpy(slot_at(store, at), slot_at(store, child), store->slot_bytes);
        at = child;
    }
    if (at != store->count) {
        memcpy(slot_at(store, at), last, store->slot_bytes);
    }
}

/* --- the array -------------------------------------------------------------------------------- */

/* 0, -EINVAL, -ENOMEM. */
static int make_slots(const struct skua__store *store, size_t room, char **out)
{
    size_t bytes;
    if (__builtin_mul_overflow(room, store->slot_bytes, &bytes) || bytes > PTRDIFF_MAX) {
        return -EINVAL;
    }
    *out = bytes > 0 ? skua__alloc(bytes) : NULL;
    return bytes > 0 && *out == NULL ? -ENOMEM : 0;
}

/* The items in their old order, the ring unrolled. */
static void move_items(const struct skua__store *store, char *to)
{
    if (store->count == 0) {
        return;
    }
    size_t ahead = store->room - store->first;
    if (ahead > store->count) {
        ahead = store->count;
    }
    copy(to, slot_at(store, store->first), ahead * store->slot_bytes);
    copy(to + ahead * store->slot_bytes, store->slots, (store->count - ahead) * store->slot_bytes);
}

int skua__store_init(struct skua__store *store, size_t item_bytes, size_t capacity, bool lifo,
                     skua__store_order order)
{
    size_t unit = item_bytes % 16 == 0 ? 16 : 8;
    size_t with_number = ((item_bytes + 7) / 8 * 8 + sizeof(uint64_t) + unit - 1) / unit * unit;
    *store = (struct skua__store){
        .item_bytes = item_bytes,
        .slot_bytes = order != NULL ? with_number : item_bytes,
        .lifo = lifo,
        .is_bounded = capacity > 0,
        .order = order,
        .room = capacity,
    };
    if (store->slot_bytes == 0) {
        store->slot_bytes = 1; /* so that slots have addresses */
    }
    return make_slots(store, capacity, &store->slots);
}

int skua__store_make_room(struct skua__store *store)
{
    if (store->count < store->room) {
        return 0;
    }
    skua_require(!store->is_bounded);
    size_t room = store->room > 0 ? 2 * store->room : ROOM_MIN;
    char *slots;
    if (make_slots(store, room, &slots) < 0) {
        return -ENOMEM;
    }
    move_items(store, slots);
    skua__free(store->slots);
    store->slots = slots;
    store->room = room;
    store->first = 0;
    return 0;
}

static bool is_ring(const struct skua__store *store)
{
    return !store->lifo && store->order == NULL;
}

/* The slot of the ring that is `ahead` (<= room) after the first. */
static size_t ring_index(const struct skua__store *store, size_t ahead)
{
    return ahead < store->room - store->first ? store->first + ahead
                                              : ahead - (store->room - store->first);
}

void skua__store_put(struct skua__store *store, const void *item)
{
    skua_assert(store->count < store->room);
    if (store->order != NULL) {
        heap_put(store, item);
    } else {
        size_t index = is_ring(store) ? ring_index(store, store->count) : store->count;
        copy(slot_at(store, index), item, store->item_bytes);
    }
    store->count++;
}

void *skua__store_next(const struct skua__store *store)
{
    skua_assert(store->count > 0);
    if (is_ring(store)) {
        return slot_at(store, store->first);
    }
    return slot_at(store, store->order != NULL ? 0 : store->count - 1);
}

void skua__store_remove_next(struct skua__store *store)
{
    store->count--;
    if (is_ring(store)) {
        store->first = ring_index(store, 1);
    } else if (store->order != NULL) {
        heap_close_gap(store);
    }
    if (store->count == 0 && !store->is_bounded && store->room > ROOM_MIN &&
        store->room > KEPT_BYTES_MAX / store->slot_bytes) {
        skua__free(store->slots);
        store->slots = NULL;
        store->room = store->first = 0;
    }
}

struct skua__store skua__store_detach(struct skua__store *store)
{
    struct skua__store all = *store;
    store->slots = NULL;
    store->room = store->count = store->first = 0;
    return all;
}

void skua__store_fini(struct skua__store *store, void (*drop)(void *item))
{
    while (drop != NULL && store->count > 0) {
        drop(skua__store_next(store));
        skua__store_remove_next(store);
    }
    skua__free(store->slots);
    store->slots = NULL;
}
