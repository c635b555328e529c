/* tests/explore/explore.h: what a model is, and how it is explored. docs/explorer.md explains.

   A model has up to EXPLORE_THREADS threads, plain functions that call the library's real sources,
   compiled with explore_atomic.h. All interleavings of their atomic operations up to a bound of
   preemptions are run, and for each load all stores that the memory model lets it see.

       static void setup(void) { shared = explore_alloc(sizeof *shared); ... }
       static void owner(void) { ... EXPLORE_CHECK(...); }
       static void finish(void) { ... }
       EXPLORE("deque: two thieves", setup, finish, owner, thief, thief);

   Everything that threads share must be made in setup() (or by skua__alloc()), so that each
   execution starts from the same state. */
#ifndef SKUA_TESTS_EXPLORE_H
#define SKUA_TESTS_EXPLORE_H

#include "base/atomic.h"

#include <stddef.h>

enum { EXPLORE_THREADS = 6 };

struct explore_model {
    const char *name;
    void (*setup)(void);
    void (*finish)(void); /* after all threads have ended; sees the last values */
    void (*threads[EXPLORE_THREADS])(void);
    int preemptions_less;    /* than the bound, for the largest models */
    int spurious_wakes;      /* of futexes, in one execution */
    bool bounds_stale_reads; /* as many as preemptions, in models where all would take too long */
    bool ends_asleep;        /* that all sleep is the end of an execution, and no deadlock */
    uint64_t executions_max; /* 0: no limit. More is a failure */
};

/* Explores the model; prints what it did. A failure is reported with its trace and a replay string,
   and ends the program with status 1. */
void explore(const struct explore_model *model);

#define EXPLORE(words, set_up, finished, ...)                                                      \
    explore(&(const struct explore_model){                                                         \
        .name = words, .setup = set_up, .finish = finished, .threads = {__VA_ARGS__}})

/* For models whose loads have too many stores to read. */
#define EXPLORE_LARGE(words, set_up, finished, ...)                                                \
    explore(&(const struct explore_model){.name = words,                                           \
                                          .setup = set_up,                                         \
                                          .finish = finished,                                      \
                                          .threads = {__VA_ARGS__},                                \
                                          .bounds_stale_reads = true})

/* Zeroed memory of this execution; races, and uses after skua__free(), are found in it. */
void *explore_alloc(size_t bytes);

/* How many blocks are allocated that skua__free() has not had. */
size_t explore_blocks(void);

/* The atomic objects in this memory are slots: a thread reads some and then owns what it has read
   if its next compare-and-swap succeeds. Who overwrites a slot must come after such reads; as loads do
   not see the future here, the order is checked like a race. Call from: setup. */
void explore_slots(const void *memory, size_t bytes);

/* The number of the running thread, in the order of the model, from 0; -1 in setup and finish. */
int explore_self(void);

/* Block until *word is not `value` any more; what it holds is then to be read. For doors that
   sleep. */
void explore_wait_while(const _Atomic uint32_t *word, uint32_t value);

/* The virtual clock, which skua__clock_ns() reads. It is moved by this and by timeouts. */
void explore_clock_set(int64_t ns);

/* Called with the number of the thread that goes on, whenever another one does; NULL: nothing. */
extern void (*explore_on_switch)(int thread);

/* Note that something has happened in this execution. explore_happened() says afterwards in how
   many: a model that never reaches its interesting ends shows nothing. `what` < 16. */
void explore_note(unsigned what);
uint64_t explore_happened(unsigned what);

void explore_fail(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

#define EXPLORE_CHECK(condition)                                                                   \
    ((condition) ? (void)0 : explore_fail(__FILE__, __LINE__, "%s is false", #condition))

#endif
