/* chan/cells.h: the buffer of a channel: a bounded ring of cells that many may fill and many may
   empty at once, without a lock (after D. Vyukov's bounded queue).

   Positions grow for ever and live in two words, `head` (where the next item goes in) and `tail`
   (where the next one comes out):

       63                                 1   0
       +-----------------------------------+------+
       |   lap * lap_cells + index of cell  | SLOW |
       +-----------------------------------+------+

   Every cell has a stamp, in the units of these words:

       stamp == position        free; whoever moves head past the position may fill it
       stamp == position + 1    filled; whoever moves tail past the position may empty it
       then                     stamp = position + a whole lap: free for the next round

     (B1) head and tail only grow; tail <= head <= tail + capacity. Full: head is a whole lap ahead;
          empty: head == tail.
     (B2) Who has moved head (tail) past a position by compare-and-swap is the only one to touch
          that cell until it stores the stamp. That store is the last access of the call: the item
          may be taken, and by its taker the channel freed, at once.
     (B3) A word with SLOW set is moved only by the holder of the channel's lock. For a waiter SLOW
          is set by compare-and-swap from the very word that was found to be empty (full), so that
          it cannot come too late: an item that went in before would have moved the word. Where it
          only has to keep others out from now on, it is set wherever the word stands.

   Nothing here waits for another thread, except for the moment between its moving a word and its
   storing the stamp, and only under the channel's lock. */
#ifndef SKUA_CHAN_CELLS_H
#define SKUA_CHAN_CELLS_H

#include "base/atomic.h"
#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { SKUA__CELLS_SLOW = 1, SKUA__CELLS_FILLED = 1, SKUA__CELLS_STEP = 2 };

struct skua__cell {
    _Atomic uint64_t stamp;
    char item[];
};

struct skua__cells {
    /* Constant. */
    char *first;         /* NULL: a channel without cells; both words are SLOW for ever */
    uint32_t item_bytes; /* of an item */
    uint32_t cell_bytes; /* of a cell */
    uint64_t lap;        /* from a position to the same cell's next one: a power of two */
    uint64_t turn;       /* from the last position of a lap to the first one of the next */
    uint64_t index_last;

    _Atomic uint64_t head SKUA_CACHE_ALIGNED;
    _Atomic uint64_t tail SKUA_CACHE_ALIGNED;
};

/* memcpy, with the size that matters most spelled out for the compiler. */
static inline void skua__copy_item(void *to, const void *from, size_t bytes)
{
    if (SKUA_LIKELY(bytes == sizeof(uint64_t))) {
        memcpy(to, from, sizeof(uint64_t));
    } else if (bytes > 0) {
        memcpy(to, from, bytes);
    }
}

static inline uint64_t skua__cells_index(const struct skua__cells *cells, uint64_t word)
{
    return (word & (cells->lap - 1)) / SKUA__CELLS_STEP;
}

static inline struct skua__cell *skua__cells_at(const struct skua__cells *cells, uint64_t index)
{
    return (void *)(cells->first + index * cells->cell_bytes);
}

/* The word one position further than `word`, whose index is given, with the same SLOW. */
static inline uint64_t skua__cells_next(const struct skua__cells *cells, uint64_t word,
                                        uint64_t index)
{
    return word + (SKUA_LIKELY(index != cells->index_last) ? SKUA__CELLS_STEP : cells->turn);
}

/* Moves a word past the position whose cell has the stamp `word + state`, and returns that cell,
   which is now the caller's. *at becomes the position. NULL: the cell is not in that state, or the
   word is SLOW. Call from anywhere. */
static inline struct skua__cell *skua__cells_enter(const struct skua__cells *cells,
                                                   _Atomic uint64_t *end, uint64_t state,
                                                   uint64_t *at)
{
    uint64_t word = skua__load(end, relaxed);
    while ((word & SKUA__CELLS_SLOW) == 0) {
        uint64_t index = skua__cells_index(cells, word);
        uint64_t next = skua__cells_next(cells, word, index);
        struct skua__cell *cell = skua__cells_at(cells, index);
        /* acquire: pairs with the release in skua__cells_leave(): what its last user did to the
           cell is done. */
        if (SKUA_LIKELY(skua__load(&cell->stamp, acquire) == word + state)) {
            /* relaxed: the words only share out the cells, the stamps publish them. */
            if (SKUA_LIKELY(skua__cas(end, &word, next, relaxed, relaxed))) {
                *at = word;
                return cell;
            }
        } else {
            uint64_t before = word;
            word = skua__load(end, relaxed);
            if (word == before) {
                return NULL;
            }
        }
    }
    return NULL;
}

/* The cell's user is done with it. */
static inline void skua__cells_leave(struct skua__cell *cell, uint64_t stamp)
{
    /* release: publishes the item, or that it has been read and may be overwritten; pairs with the
       acquire in skua__cells_enter() and skua__cells_force(). The last access. */
    skua__store(&cell->stamp, stamp, release);
}

/* Put a copy of the item in, or take the oldest one out, without the lock. False: it is for the
   holder of the lock to say why not. `bytes` is the size of an item, here for the compiler. */
static inline bool skua__cells_put(struct skua__cells *cells, const void *item, size_t bytes)
{
    uint64_t at;
    struct skua__cell *cell = skua__cells_enter(cells, &cells->head, 0, &at);
    if (SKUA_UNLIKELY(cell == NULL)) {
        return false;
    }
    skua__copy_item(cell->item, item, bytes);
    skua__cells_leave(cell, at + SKUA__CELLS_FILLED);
    return true;
}

static inline bool skua__cells_take(struct skua__cells *cells, void *item, size_t bytes)
{
    uint64_t at;
    struct skua__cell *cell = skua__cells_enter(cells, &cells->tail, SKUA__CELLS_FILLED, &at);
    if (SKUA_UNLIKELY(cell == NULL)) {
        return false;
    }
    skua__copy_item(item, cell->item, bytes);
    skua__cells_leave(cell, at + cells->lap);
    return true;
}

/* All of the following: under the channel's lock, for channels that have cells. */

/* Like put and take, but SLOW or not, and final: false means full, or empty. */
bool skua__cells_force_put(struct skua__cells *cells, const void *item);
bool skua__cells_force_take(struct skua__cells *cells, void *item);

/* From now on nothing goes in without the lock, given that the ring is empty (full); else false. */
bool skua__cells_hold_empty(struct skua__cells *cells);
bool skua__cells_hold_full(struct skua__cells *cells);

/* Nothing goes in without the lock any more, whatever is in. */
void skua__cells_hold_head(struct skua__cells *cells);

/* Nothing goes in or comes out without the lock any more, whatever is in: the count is exact. */
void skua__cells_hold_both(struct skua__cells *cells);

/* The end of it: the lock is not needed any more. */
void skua__cells_let_go(struct skua__cells *cells);

/* Make the ring over memory for `capacity` cells that is aligned to 8; NULL: of no cells. */
void skua__cells_init(struct skua__cells *cells, void *memory, size_t item_bytes, size_t capacity);

/* What a cell for such an item takes. */
size_t skua__cells_cell_bytes(size_t item_bytes);

/* How many items are in, or on their way in. Exact under the lock while both words are SLOW. */
size_t skua__cells_count(const struct skua__cells *cells);

#endif
