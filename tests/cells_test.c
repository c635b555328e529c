/* The ring of cells: laps, edges, and what its two ways have to do with each other. */
#include "base/mem.h"
#include "chan/cells.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>

static struct skua__cells *make(size_t item_bytes, size_t capacity)
{
    struct skua__cells *cells = skua__alloc_aligned(SKUA_CACHE_LINE, sizeof *cells);
    void *memory = skua__alloc(capacity * skua__cells_cell_bytes(item_bytes));
    CHECK(cells != NULL && memory != NULL);
    skua__cells_init(cells, memory, item_bytes, capacity);
    return cells;
}

static void drop(struct skua__cells *cells)
{
    skua__free(cells->first);
    skua__free(cells);
}

/* An item whose bytes all depend on its number. */
static void fill_item(unsigned char *item, size_t bytes, unsigned number)
{
    for (size_t i = 0; i < bytes; i++) {
        item[i] = (unsigned char)(number * 7 + i);
    }
}

static void check_item(const unsigned char *item, size_t bytes, unsigned number)
{
    for (size_t i = 0; i < bytes; i++) {
        CHECK_INT(item[i], (unsigned char)(number * 7 + i));
    }
}

/* Fills up to `level` and empties, many times round; with the lock's ways and without, in turns. */
static void go_round(size_t item_bytes, size_t capacity, size_t level)
{
    struct skua__cells *cells = make(item_bytes, capacity);
    unsigned char item[64];
    unsigned in = 0, out = 0;
    for (int turn = 0; turn < 20; turn++) {
        for (size_t i = 0; i < level; i++) {
            fill_item(item, item_bytes, in);
            CHECK(in++ % 3 ? skua__cells_put(cells, item, item_bytes)
                           : skua__cells_force_put(cells, item));
            CHECK_INT(skua__cells_count(cells), i + 1);
        }
        if (level == capacity) {
            CHECK(!skua__cells_put(cells, item, item_bytes));
            CHECK(!skua__cells_force_put(cells, item));
        }
        for (size_t i = 0; i < level; i++) {
            CHECK(out % 4 ? skua__cells_take(cells, item, item_bytes)
                          : skua__cells_force_take(cells, item));
            check_item(item, item_bytes, out++);
        }
        CHECK(!skua__cells_take(cells, item, item_bytes));
        CHECK(!skua__cells_force_take(cells, item));
        CHECK_INT(skua__cells_count(cells), 0);
    }
    drop(cells);
}

static void laps(void **state)
{
    static const size_t sizes[] = {1, 4, 8, 13, 64};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t capacity = 1; capacity <= 9; capacity++) {
            for (size_t level = 1; level <= capacity; level++) {
                go_round(sizes[i], capacity, level);
            }
        }
    }
}

/* Holding works from the edges only, keeps the others out, and does not disturb the positions. */
static void holding(void **state)
{
    struct skua__cells *cells = make(sizeof(int), 3);
    int item = 1;
    CHECK(!skua__cells_hold_full(cells));
    CHECK(skua__cells_hold_empty(cells));
    CHECK(skua__cells_hold_empty(cells));
    CHECK(!skua__cells_put(cells, &item, sizeof item));
    CHECK(skua__cells_force_put(cells, &item));
    CHECK(!skua__cells_hold_empty(cells));
    CHECK(skua__cells_take(cells, &item, sizeof item));
    skua__cells_let_go(cells);
    for (item = 1; item <= 3; item++) {
        CHECK(skua__cells_put(cells, &item, sizeof item));
    }
    CHECK(!skua__cells_hold_empty(cells));
    CHECK(skua__cells_hold_full(cells));
    CHECK(!skua__cells_take(cells, &item, sizeof item));
    CHECK(skua__cells_force_take(cells, &item));
    CHECK_INT(item, 1);
    CHECK(!skua__cells_put(cells, &item, sizeof item));
    CHECK_INT(skua__cells_count(cells), 2);
    skua__cells_let_go(cells);
    CHECK(skua__cells_put(cells, &item, sizeof item));
    CHECK(skua__cells_take(cells, &item, sizeof item));
    CHECK_INT(item, 2);
    drop(cells);
}

/* A ring of no cells is always for the lock. */
static void without_cells(void **state)
{
    struct skua__cells *cells = skua__alloc_aligned(SKUA_CACHE_LINE, sizeof *cells);
    int item = 0;
    CHECK(cells != NULL);
    skua__cells_init(cells, NULL, sizeof item, 0);
    CHECK(!skua__cells_put(cells, &item, sizeof item));
    CHECK(!skua__cells_take(cells, &item, sizeof item));
    skua__free(cells);
}

/* --- threads --- */

enum { THREADS = 3, EACH = 6000 / TEST_SCALE };

static struct skua__cells *shared;
static _Atomic int taken[THREADS * EACH];

static void *put_all(void *arg)
{
    uint64_t first = (uint64_t)(uintptr_t)arg * EACH;
    for (uint64_t item = first; item < first + EACH;) {
        if (skua__cells_put(shared, &item, sizeof item)) {
            item++;
        } else {
            sched_yield();
        }
    }
    return NULL;
}

static void *take_all(void *arg)
{
    uint64_t item = 0, last[THREADS] = {0};
    for (int i = 0; i < EACH;) {
        if (skua__cells_take(shared, &item, sizeof item)) {
            CHECK(item >= last[item / EACH]);
            last[item / EACH] = item;
            taken[item]++;
            i++;
        } else {
            sched_yield();
        }
    }
    return NULL;
}

static void many_threads(void **state)
{
    for (size_t capacity = 1; capacity <= 64; capacity += 21) {
        pthread_t threads[2 * THREADS];
        shared = make(sizeof(uint64_t), capacity);
        memset(taken, 0, sizeof taken);
        for (uintptr_t i = 0; i < THREADS; i++) {
            CHECK_INT(pthread_create(&threads[2 * i], NULL, put_all, (void *)i), 0);
            CHECK_INT(pthread_create(&threads[2 * i + 1], NULL, take_all, NULL), 0);
        }
        for (int i = 0; i < 2 * THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
        for (int i = 0; i < THREADS * EACH; i++) {
            CHECK_INT(taken[i], 1);
        }
        drop(shared);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(laps),
        TEST(holding),
        TEST(without_cells),
        TEST(many_threads),
    };
    return TEST_RUN(tests);
}
