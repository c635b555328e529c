/* The explorer itself: what it must find, and what it must not, in programs whose outcomes are
   known. Each outcome is a note; the lists say which may happen.

   Sources: */
#include "explore.h"

#include "base/futex.h"
#include "base/lock.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared {
    _Atomic int x, y, z;
    int seen[4]; /* one writer each */
    int plain;
    _Atomic uint32_t word;
    struct skua__lock lock;
    int *block;
};
static struct shared *shared;

static void setup(void)
{
    shared = explore_alloc(sizeof *shared);
}

static void must(const char *what, unsigned note, bool happens)
{
    if ((explore_happened(note) > 0) != happens) {
        fprintf(stderr, "explore: %s: %s\n", what, happens ? "was not found" : "must not happen");
        exit(1);
    }
}

/* --- store buffering -------------------------------------------------------------------------- */

#define BUFFERING(name, mine, others, slot, store_order, between, load_order)                      \
    static void name(void)                                                                         \
    {                                                                                              \
        skua__store(&shared->mine, 1, store_order);                                                \
        between;                                                                                   \
        shared->seen[slot] = skua__load(&shared->others, load_order);                              \
    }
BUFFERING(buffer_x, x, y, 0, release, (void)0, acquire)
BUFFERING(buffer_y, y, x, 1, release, (void)0, acquire)
BUFFERING(buffer_x_fence, x, y, 0, relaxed, skua__fence(seq_cst), relaxed)
BUFFERING(buffer_y_fence, y, x, 1, relaxed, skua__fence(seq_cst), relaxed)
BUFFERING(buffer_x_weak, x, y, 0, relaxed, skua__fence(acq_rel), relaxed)
BUFFERING(buffer_x_all, x, y, 0, seq_cst, (void)0, seq_cst)
BUFFERING(buffer_y_all, y, x, 1, seq_cst, (void)0, seq_cst)
BUFFERING(buffer_x_light, x, y, 0, relaxed, skua__fence_compiler(), relaxed)
BUFFERING(buffer_y_heavy, y, x, 1, relaxed, skua__fence_everywhere(), relaxed)

static void both_old(void)
{
    if (shared->seen[0] == 0 && shared->seen[1] == 0) {
        explore_note(0);
    }
    if (shared->seen[0] == 1 && shared->seen[1] == 1) {
        explore_note(1);
    }
}

static void store_buffering(void)
{
    EXPLORE("store buffering, release and acquire", setup, both_old, buffer_x, buffer_y);
    must("two old values", 0, true);
    must("two new values", 1, true);
    EXPLORE("store buffering, fences", setup, both_old, buffer_x_fence, buffer_y_fence);
    must("two old values with fences", 0, false);
    EXPLORE("store buffering, one weak fence", setup, both_old, buffer_x_weak, buffer_y_fence);
    must("two old values with one fence", 0, true);
    EXPLORE("store buffering, seq_cst", setup, both_old, buffer_x_all, buffer_y_all);
    must("two old values with seq_cst", 0, false);
    EXPLORE("store buffering, light and heavy", setup, both_old, buffer_x_light, buffer_y_heavy);
    must("two old values with a heavy fence", 0, false);
    EXPLORE("store buffering, light and none", setup, both_old, buffer_x_light, buffer_y);
    must("two old values with a compiler's fence only", 0, true);
}

/* --- messages --------------------------------------------------------------------------------- */

#define SENDER(name, order, before)                                                                \
    static void name(void)                                                                         \
    {                                                                                              \
        skua__store(&shared->x, 1, relaxed);                                                       \
        before;                                                                                    \
        skua__store(&shared->y, 1, order);                                                         \
    }
#define RECEIVER(name, order, after)                                                               \
    static void name(void)                                                                         \
    {                                                                                              \
        shared->seen[0] = skua__load(&shared->y, order);                                           \
        after;                                                                                     \
        shared->seen[1] = skua__load(&shared->x, relaxed);                                         \
    }
SENDER(send_relaxed, relaxed, (void)0)
SENDER(send_release, release, (void)0)
SENDER(send_fence, relaxed, skua__fence(release))
RECEIVER(receive_relaxed, relaxed, (void)0)
RECEIVER(receive_acquire, acquire, (void)0)
RECEIVER(receive_fence, relaxed, skua__fence(acquire))

static void passes_on(void)
{
    skua__fetch_add(&shared->y, 1, relaxed); /* goes on with the release sequence */
}

static void new_then_old(void)
{
    if (shared->seen[0] != 0 && shared->seen[1] == 0) {
        explore_note(0);
    }
}

static void messages(void)
{
    EXPLORE("message, relaxed sender", setup, new_then_old, send_relaxed, receive_acquire);
    must("a message from a relaxed store", 0, true);
    EXPLORE("message, relaxed receiver", setup, new_then_old, send_release, receive_relaxed);
    must("a message to a relaxed load", 0, true);
    EXPLORE("message", setup, new_then_old, send_release, receive_acquire);
    must("a message that comes too late", 0, false);
    EXPLORE("message, fences", setup, new_then_old, send_fence, receive_fence);
    must("a message that comes too late, with fences", 0, false);
}

static void only_both(void)
{
    if (shared->seen[0] == 2 && shared->seen[1] == 0) {
        explore_note(0);
    }
}

static void release_sequence(void)
{
    EXPLORE("release sequence", setup, only_both, send_release, passes_on, receive_acquire);
    /* If the addition came first, the receiver would see 1. */
    must("a message lost in a read-modify-write", 0, false);
}

/* --- coherence, and independent readers ------------------------------------------------------- */

static void write_twice(void)
{
    skua__store(&shared->x, 1, relaxed);
    skua__store(&shared->x, 2, relaxed);
}

static void read_twice(void)
{
    shared->seen[0] = skua__load(&shared->x, relaxed);
    shared->seen[1] = skua__load(&shared->x, relaxed);
}

static void goes_back(void)
{
    if (shared->seen[1] < shared->seen[0]) {
        explore_note(0);
    }
    if (shared->seen[0] == 1 && shared->seen[1] == 2) {
        explore_note(1);
    }
}

static void write_x(void)
{
    skua__store(&shared->x, 1, seq_cst);
}

static void write_y(void)
{
    skua__store(&shared->y, 1, seq_cst);
}

#define READER(name, first, second, slot, order)                                                   \
    static void name(void)                                                                         \
    {                                                                                              \
        shared->seen[slot] = skua__load(&shared->first, order);                                    \
        shared->seen[(slot) + 1] = skua__load(&shared->second, order);                             \
    }
READER(read_xy, x, y, 0, acquire)
READER(read_yx, y, x, 2, acquire)
READER(read_xy_all, x, y, 0, seq_cst)
READER(read_yx_all, y, x, 2, seq_cst)

static void disagree(void)
{
    const int *seen = shared->seen;
    if (seen[0] == 1 && seen[1] == 0 && seen[2] == 1 && seen[3] == 0) {
        explore_note(0);
    }
}

static void readers(void)
{
    EXPLORE("coherence", setup, goes_back, write_twice, read_twice);
    must("a value that goes back", 0, false);
    must("both values, in order", 1, true);
    EXPLORE("independent readers, acquire", setup, disagree, write_x, write_y, read_xy, read_yx);
    must("readers that disagree", 0, true);
    EXPLORE("independent readers, seq_cst", setup, disagree, write_x, write_y, read_xy_all,
            read_yx_all);
    must("readers that disagree with seq_cst", 0, false);
}

/* --- what must fail, in a child --------------------------------------------------------------- */

static void sleeper(void)
{
    while (skua__load(&shared->word, acquire) == 0) {
        skua__futex_wait(&shared->word, 0, INT64_MAX, false);
    }
    shared->plain++;
}

static void waker(void)
{
    shared->plain++;
    skua__store(&shared->word, 1, release);
    skua__futex_wake(&shared->word, 1, false);
}

static void forgets_to_wake(void)
{
    skua__store(&shared->word, 1, release);
}

static void counts_under_lock(void)
{
    skua__lock(&shared->lock, SKUA__RANK_MEM);
    shared->plain++;
    skua__unlock(&shared->lock, SKUA__RANK_MEM);
}

static void counts(void)
{
    shared->plain++;
}

static void spins(void)
{
    while (skua__load(&shared->word, acquire) == 0) {
        skua__spin_pause();
    }
}

static void is_two(void)
{
    EXPLORE_CHECK(shared->plain == 2);
}

static void sleeping_and_locking(void)
{
    EXPLORE("futex", setup, is_two, sleeper, waker);
    EXPLORE("lock", setup, is_two, counts_under_lock, counts_under_lock);
    EXPLORE("spin", setup, NULL, spins, forgets_to_wake);
}

static void lost_wake(void)
{
    EXPLORE("a lost wake", setup, NULL, sleeper, forgets_to_wake);
}

static void race(void)
{
    EXPLORE("a race", setup, NULL, counts, counts);
}

static void race_beside_a_lock(void)
{
    EXPLORE("a race beside a lock", setup, NULL, counts_under_lock, counts);
}

static void endless_spin(void)
{
    EXPLORE("an endless spin", setup, NULL, spins);
}

static void frees(void)
{
    skua__lock(&shared->lock, SKUA__RANK_MEM);
    skua__free(shared->block);
    skua__unlock(&shared->lock, SKUA__RANK_MEM);
}

static void uses(void)
{
    skua__lock(&shared->lock, SKUA__RANK_MEM);
    shared->block[0]++;
    skua__unlock(&shared->lock, SKUA__RANK_MEM);
}

static void setup_block(void)
{
    setup();
    shared->block = skua__alloc(sizeof *shared->block);
}

static void use_after_free(void)
{
    EXPLORE("a use after free", setup_block, NULL, uses, frees);
}

/* The report is not shown: it is what is wanted. */
static void must_fail(const char *what, void (*run)(void))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL) {
            _exit(2);
        }
        run();
        _exit(0);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 1) {
        fprintf(stderr, "explore: %s was not found\n", what);
        exit(1);
    }
}

int main(void)
{
    store_buffering();
    messages();
    release_sequence();
    readers();
    sleeping_and_locking();
    must_fail("a lost wake", lost_wake);
    must_fail("a race", race);
    must_fail("a race beside a lock", race_beside_a_lock);
    must_fail("an endless spin", endless_spin);
    must_fail("a use after free", use_after_free);
    return 0;
}
