/* tests/explore/engine.h: the inside of the explorer.

     explore.c   decisions, the search through them, threads, reports
     memory.c    which stores a load may see: histories and views
     plain.c     races on plain memory, by the calls that -fsanitize=thread puts into the code
     doors.c     futex, locks, clock, memory and panics of base, modelled

   A thread runs on a stack of its own until its next visible operation, where the explorer may let
   another one run. There is one thread of the operating system only. */
#ifndef SKUA_TESTS_EXPLORE_ENGINE_H
#define SKUA_TESTS_EXPLORE_ENGINE_H

#include "explore.h"

#include <stdio.h>

enum {
    LOCATIONS_MAX = 120,
    STORES_MAX = 192, /* of one location in one execution */
    CLOCKS = 8,
    SPIN_READS_MAX = 32,
    SLOT_READS_MAX = 16,
};

/* For each location the oldest store that may still be seen (later ones may too), and for each
   thread how far it is known: a vector clock. Views only grow. */
struct view {
    int16_t clocks[CLOCKS];
    int16_t stores[LOCATIONS_MAX];
};

struct store {
    uint64_t value;
    const struct view *view; /* what an acquire of it learns, or NULL */
    int head;                /* the thread that began the release sequence it belongs to, or -1 */
};

/* A location's stores in modification order, which is the order in which they were executed. */
struct location {
    uintptr_t address;
    uint32_t bytes;
    uint16_t number;
    bool was_overwritten; /* by plain code: it starts anew */
    bool is_slot;
    int16_t read_clocks[CLOCKS]; /* slots: when each thread has read what then became its own */
    int count;
    struct store stores[STORES_MAX];
};

enum thread_state {
    THREAD_READY,
    THREAD_DONE,
    THREAD_PAUSED, /* spins: waits for a change of what it has read */
    THREAD_WAITS,  /* until a word changes */
    THREAD_FUTEX,  /* until it is woken */
};

struct spin_read {
    struct location *location;
    int store;
};

struct thread {
    int number;
    void *context;
    void (*run)(void);
    enum thread_state state;
    const struct explore_site *site; /* its latest operation */
    /* Memory. */
    struct view now;      /* what it knows */
    struct view pending;  /* what an acquire fence would add */
    struct view released; /* what it knew at its last release fence */
    bool has_released;
    uint8_t stale_reads[LOCATIONS_MAX]; /* in a row, of stores that are not the latest */
    /* Sleeping and spinning. */
    struct location *word;
    uint64_t while_value;
    uintptr_t futex;
    int64_t deadline_ns;
    struct spin_read spin_reads[SPIN_READS_MAX];
    int spin_count, idle_pauses;
    struct location *slot_reads[SLOT_READS_MAX]; /* since the last compare-and-swap */
    int slot_read_count;
};

/* Everything that belongs to the present execution, except memory. */
struct explorer {
    const struct explore_model *model;
    bool is_running; /* between setup and finish */
    bool is_tracing, is_replaying;
    int bound, thread_count, preemptions, spurious, stale_reads, steps;
    uint32_t execution; /* its number: marks what is left from earlier ones as void */
    struct thread *current;
    struct thread threads[EXPLORE_THREADS];
    uint64_t stores_made; /* to notice that a spinning thread changes nothing */
};
extern struct explorer explorer;

/* --- explore.c -------------------------------------------------------------------------------- */

enum decision_kind { DECIDE_THREAD = 't', DECIDE_STORE = 's' };

/* One of `count` alternatives, whose meanings are in `values`; `usual` is the value that need not
   be written down for a replay. */
int explorer_choose(enum decision_kind kind, const int values[], int count, int usual);

/* Before a visible operation: somebody else may run first, unless `is_private`. */
void explorer_point(const struct explore_site *site, bool is_private);

/* The current thread cannot go on for now; returns when it was chosen again. */
void explorer_block(enum thread_state state);

void explorer_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- memory.c --------------------------------------------------------------------------------- */

/* Memory of a new execution: no location, empty views. */
void memory_reset(void);

/* The address's location, made at its first use. */
struct location *memory_location(const volatile void *object, uint32_t bytes);
uint64_t memory_latest(const struct location *location);

/* The location of this address, if it has one in this execution. */
struct location *memory_find(uintptr_t address);

/* What the current thread does with the location, apart from deciding who runs. */
uint64_t memory_load_latest(struct location *location, enum explore_order order);
void memory_fence_everywhere(void);

/* Whether a set of accessors has grown since the last call: then what was explored before may have
   skipped points at which threads meet. */
bool memory_has_grown(void);
void memory_forget_uses(void);

static inline void view_join_stores(struct view *into, const struct view *from)
{
    for (int i = 0; i < LOCATIONS_MAX; i++) {
        into->stores[i] = into->stores[i] > from->stores[i] ? into->stores[i] : from->stores[i];
    }
}

static inline void view_join(struct view *into, const struct view *from)
{
    for (int i = 0; i < CLOCKS; i++) {
        into->clocks[i] = into->clocks[i] > from->clocks[i] ? into->clocks[i] : from->clocks[i];
    }
    view_join_stores(into, from);
}

/* --- plain.c ---------------------------------------------------------------------------------- */

void plain_reset(void);
void *plain_alloc(size_t alignment, size_t bytes);
void plain_free(void *memory);
bool plain_is_inside(uintptr_t address);
char *plain_stack(int thread, size_t *bytes);

/* An atomic access: checked against plain ones. */
void plain_atomic(uintptr_t address, uint32_t bytes);

/* --- doors.c ---------------------------------------------------------------------------------- */

void doors_reset(void);

#endif
