/* The ring of cells: what is done under the channel's lock. cells.h has the invariants. */
#include "chan/cells.h"

#include "base/futex.h"
#include "base/panic.h"

/* While another thread is between its two steps: pauses before the processor is given away. */
enum { SPINS_BEFORE_YIELD = 200 };

static uint64_t position(uint64_t word)
{
    return word & ~(uint64_t)SKUA__CELLS_SLOW;
}

static uint64_t position_of(const _Atomic uint64_t *end)
{
    return position(skua__load(end, relaxed));
}

/* A thread has moved the other word past this cell and is copying. */
static void wait_for_copier(uint32_t turn)
{
    if (turn < SPINS_BEFORE_YIELD) {
        skua__spin_pause();
    } else {
        skua__thread_yield();
    }
}

/* Moves `end` on and returns the cell, like skua__cells_enter(), also when the word is SLOW; waits
   for the cell's last user. NULL only if the other word stands at `limit` from ours: no such cell.
   */
static struct skua__cell *force(struct skua__cells *cells, _Atomic uint64_t *end, uint64_t state,
                                const _Atomic uint64_t *other, uint64_t limit, uint64_t *at)
{
    uint64_t word = skua__load(end, relaxed);
    for (uint32_t turn = 0;; turn++) {
        uint64_t index = skua__cells_index(cells, word);
        uint64_t next = skua__cells_next(cells, word, index);
        struct skua__cell *cell = skua__cells_at(cells, index);
        /* acquire: pairs with the release in skua__cells_leave(). */
        if (skua__load(&cell->stamp, acquire) == position(word) + state) {
            if (skua__cas(end, &word, next, relaxed, relaxed)) {
                *at = position(word);
                return cell;
            }
            continue;
        }
        bool at_limit = position_of(other) + limit == position(word);
        uint64_t again = skua__load(end, relaxed);
        if (again == word) {
            if (at_limit) {
                return NULL;
            }
            wait_for_copier(turn);
        }
        word = again;
    }
}

bool skua__cells_force_put(struct skua__cells *cells, const void *item)
{
    uint64_t at;
    struct skua__cell *cell = force(cells, &cells->head, 0, &cells->tail, cells->lap, &at);
    if (cell == NULL) {
        return false;
    }
    skua__copy_item(cell->item, item, cells->item_bytes);
    skua__cells_leave(cell, at + SKUA__CELLS_FILLED);
    return true;
}

bool skua__cells_force_take(struct skua__cells *cells, void *item)
{
    uint64_t at;
    struct skua__cell *cell = force(cells, &cells->tail, SKUA__CELLS_FILLED, &cells->head, 0, &at);
    if (cell == NULL) {
        return false;
    }
    skua__copy_item(item, cell->item, cells->item_bytes);
    skua__cells_leave(cell, at + cells->lap);
    return true;
}

/* Sets SLOW in `end`, given that it stands `limit` before the other word. */
static bool hold(_Atomic uint64_t *end, const _Atomic uint64_t *other, uint64_t limit)
{
    uint64_t word = skua__load(end, relaxed);
    do {
        if (position_of(other) != position(word) + limit) {
            return false;
        }
        if ((word & SKUA__CELLS_SLOW) != 0) {
            return true;
        }
        /* The other word cannot have gone further meanwhile (B1), and if ours has, this fails. */
    } while (!skua__cas(end, &word, word | SKUA__CELLS_SLOW, relaxed, relaxed));
    return true;
}

bool skua__cells_hold_empty(struct skua__cells *cells)
{
    return hold(&cells->head, &cells->tail, 0);
}

bool skua__cells_hold_full(struct skua__cells *cells)
{
    if (!hold(&cells->tail, &cells->head, cells->lap)) {
        return false;
    }
    skua__cells_hold_head(cells); /* it is full and stays so until we unlock: nobody passes us */
    return true;
}

void skua__cells_hold_head(struct skua__cells *cells)
{
    skua__fetch_or(&cells->head, SKUA__CELLS_SLOW, relaxed);
}

void skua__cells_hold_both(struct skua__cells *cells)
{
    skua__cells_hold_head(cells);
    skua__fetch_or(&cells->tail, SKUA__CELLS_SLOW, relaxed);
}

void skua__cells_let_go(struct skua__cells *cells)
{
    uint64_t head = skua__load(&cells->head, relaxed), tail = skua__load(&cells->tail, relaxed);
    /* A word that is SLOW is ours, one that is not is not touched. */
    if ((tail & SKUA__CELLS_SLOW) != 0) {
        skua__store(&cells->tail, position(tail), relaxed);
    }
    if ((head & SKUA__CELLS_SLOW) != 0) {
        skua__store(&cells->head, position(head), relaxed);
    }
}

void skua__cells_init(struct skua__cells *cells, void *memory, size_t item_bytes, size_t capacity)
{
    if (memory == NULL) {
        skua__store(&cells->head, SKUA__CELLS_SLOW, relaxed);
        skua__store(&cells->tail, SKUA__CELLS_SLOW, relaxed);
        return;
    }
    cells->first = memory;
    cells->item_bytes = (uint32_t)item_bytes;
    cells->cell_bytes = (uint32_t)skua__cells_cell_bytes(item_bytes);
    cells->lap = SKUA__CELLS_STEP;
    while (cells->lap / SKUA__CELLS_STEP < capacity) {
        cells->lap *= 2;
    }
    cells->index_last = capacity - 1;
    cells->turn = cells->lap - cells->index_last * SKUA__CELLS_STEP;
    for (size_t i = 0; i < capacity; i++) {
        skua__store(&skua__cells_at(cells, i)->stamp, i * SKUA__CELLS_STEP, relaxed);
    }
}

size_t skua__cells_cell_bytes(size_t item_bytes)
{
    size_t bytes = sizeof(struct skua__cell) + item_bytes;
    return (bytes + 7) / 8 * 8;
}

size_t skua__cells_count(const struct skua__cells *cells)
{
    uint64_t tail = position_of(&cells->tail), head = position_of(&cells->head);
    uint64_t from = skua__cells_index(cells, tail), to = skua__cells_index(cells, head);
    if (to > from) {
        return to - from;
    }
    return head == tail ? 0 : cells->index_last + 1 - from + to;
}
