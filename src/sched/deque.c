/* The Chase-Lev deque.

     (I1) Items stand in [top, bottom); top never goes back.
     (I2) Whoever moves top from t to t + 1 owns item t.
     (I3) The owner takes item b without touching top only while top < b: then no thief can get that
          far before it sees the lowered bottom.
     (I4) Outgrown arrays stay allocated until fini: a thief may still be reading one. */
#include "sched/deque.h"

#include "base/mem.h"

#include <errno.h>
#include <stddef.h>

struct skua__deque_array {
    struct skua__deque_array *outgrown; /* the array before this one */
    int64_t mask;
    _Atomic(void *) slots[];
};

static struct skua__deque_array *array_create(int64_t capacity)
{
    struct skua__deque_array *array =
        skua__alloc(sizeof *array + (size_t)capacity * sizeof array->slots[0]);
    if (array != NULL) {
        array->mask = capacity - 1;
    }
    return array;
}

static _Atomic(void *) *slot_of(struct skua__deque_array *array, int64_t position)
{
    return &array->slots[position & array->mask];
}

int skua__deque_init(struct skua__deque *deque, int64_t capacity)
{
    struct skua__deque_array *array = array_create(capacity);
    skua__store(&deque->top, 0, relaxed);
    skua__store(&deque->bottom, 0, relaxed);
    skua__store(&deque->array, array, relaxed);
    return array != NULL ? 0 : -ENOMEM;
}

void skua__deque_fini(struct skua__deque *deque)
{
    struct skua__deque_array *array = skua__load(&deque->array, relaxed);
    while (array != NULL) {
        struct skua__deque_array *outgrown = array->outgrown;
        skua__free(array);
        array = outgrown;
    }
    skua__store(&deque->array, NULL, relaxed);
}

static struct skua__deque_array *grow(struct skua__deque *deque, int64_t top, int64_t bottom)
{
    struct skua__deque_array *old = skua__load(&deque->array, relaxed);
    struct skua__deque_array *array = array_create((old->mask + 1) * 2);
    if (array == NULL) {
        return NULL;
    }
    for (int64_t i = top; i < bottom; i++) {
        skua__store(slot_of(array, i), skua__load(slot_of(old, i), relaxed), relaxed);
    }
    array->outgrown = old;
    /* release: publishes the copied slots; pairs with the acquire of array in steal. */
    skua__store(&deque->array, array, release);
    return array;
}

int skua__deque_push(struct skua__deque *deque, void *item)
{
    int64_t bottom = skua__load(&deque->bottom, relaxed);
    /* acquire: pairs with the compare-and-swap of top in steal: the thief has read its slot before
       we overwrite it, one lap later. */
    int64_t top = skua__load(&deque->top, acquire);
    struct skua__deque_array *array = skua__load(&deque->array, relaxed);
    if (SKUA_UNLIKELY(bottom - top > array->mask)) {
        array = grow(deque, top, bottom);
        if (array == NULL) {
            return -ENOMEM;
        }
    }
    skua__store(slot_of(array, bottom), item, relaxed);
    /* release: publishes the slot and what the item points to; pairs with the acquire of bottom in
       steal. */
    skua__store(&deque->bottom, bottom + 1, release);
    return 0;
}

void *skua__deque_pop(struct skua__deque *deque)
{
    int64_t bottom = skua__load(&deque->bottom, relaxed) - 1;
    struct skua__deque_array *array = skua__load(&deque->array, relaxed);
    skua__store(&deque->bottom, bottom, relaxed);
    /* seq_cst: orders the lowered bottom before the load of top; pairs with the fence in steal.
       Without it owner and thief could both miss the other and take the same item. */
    skua__fence(seq_cst);
    int64_t top = skua__load(&deque->top, relaxed);
    if (top > bottom) {
        skua__store(&deque->bottom, bottom + 1, relaxed);
        return NULL;
    }
    void *item = skua__load(slot_of(array, bottom), relaxed);
    if (top == bottom) {
        /* The last item: thieves race for it too. seq_cst: orders with their swaps of top; it pairs
           with the swap in steal. */
        if (!skua__cas(&deque->top, &top, top + 1, seq_cst, relaxed)) {
            item = NULL;
        }
        skua__store(&deque->bottom, bottom + 1, relaxed);
    }
    return item;
}

void *skua__deque_steal(struct skua__deque *deque)
{
    /* acquire: orders the loads below after it; pairs with the swaps of top by other thieves. */
    int64_t top = skua__load(&deque->top, acquire);
    /* seq_cst: orders the load of top before the load of bottom; pairs with the fence in pop. */
    skua__fence(seq_cst);
    /* acquire: pairs with the release in push: the slot is there. */
    int64_t bottom = skua__load(&deque->bottom, acquire);
    if (top >= bottom) {
        return NULL;
    }
    /* acquire: pairs with the release in grow: the copied slots are there. */
    struct skua__deque_array *array = skua__load(&deque->array, acquire);
    void *item = skua__load(slot_of(array, top), relaxed);
    /* seq_cst: orders with the owner's swap for the last item; pairs with the acquire of top in
       push. */
    return skua__cas(&deque->top, &top, top + 1, seq_cst, relaxed) ? item : NULL;
}

int64_t skua__deque_count(const struct skua__deque *deque)
{
    int64_t count = skua__load(&deque->bottom, relaxed) - skua__load(&deque->top, relaxed);
    return count > 0 ? count : 0;
}
