/* skua/par.h: parallel loops, reductions, scans and sorts, and any number of children, over forks.

   Everything here is made of forks (skua/fork.h) and has their properties: the functions that are
   called belong to the calling task, may run at the same time as each other on any worker, and may
   block, which holds up nobody but themselves. On a foreign thread everything runs on that thread,
   one after the other.

       static int scale(void *context, size_t begin, size_t end)
       {
           double *values = context;
           for (size_t i = begin; i < end; i++) {
               values[i] *= 2;
           }
           return 0;
       }

       int status = skua_for(0, count, 0, scale, values);

   In all of them: a function that returns < 0 has failed. The first failure in time is what is
   returned; what has not begun by then is left out. The same happens with -ECANCELED when the scope
   is cancelled or its deadline comes; so a loop over nothing but computations ends early, too. What
   has begun is waited for in any case. `context` is handed on and is shared: what is written
   through it from several calls must not be the same. */
#ifndef SKUA_PAR_H
#define SKUA_PAR_H

#include <skua/base.h>
#include <skua/fork.h>
#include <skua/scope.h>

SKUA_BEGIN_DECLS

/* Works on the indices begin <= i < end. Returns < 0 to stop it all. */
typedef int (*skua_range_fn)(void *context, size_t begin, size_t end);

/* Call fn for the whole of begin <= i < end, in pieces that together cover each index once. `grain`
   is how many indices a piece has (the last one may have fewer); 0: pieces grow and shrink so that
   each takes some 10 us, and none is more than a quarter of what its caller has left.
   Between two pieces the loop looks whether an idle worker asks for work, and only then gives half
   of what is left away: nothing is divided in advance, and a loop that nobody helps with costs as
   good as nothing. While fn blocks, others go on with the rest; so all pieces may block at the same
   time, each on a stack of its own. With a grain of 1 they may even wait for each other.
   Returns 0, or the failure. begin >= end: nothing to do, 0.
   Call from anywhere. May switch. Cost: some 10 ns a piece, no allocation.
   After lazy binary splitting (Tzannes, Caragea, Barua, Vishkin, PPoPP 2010). */
int skua_for(size_t begin, size_t end, size_t grain, skua_range_fn fn, void *context)
    SKUA_MUST_CHECK;

/* One of several functions for skua_invoke(), and what it returned. */
typedef struct skua_part {
    skua_fn fn;
    void *arg;
    int status;
} skua_part;

/* Run all of them, perhaps at the same time, and wait for all; each one runs, whether others fail
   or not, and writes its status. They may wait for each other. Returns the first status < 0 in the
   order of the array, else 0. Call from anywhere. May switch. Cost: a fork and a sync each. */
int skua_invoke(skua_part parts[], size_t count) SKUA_MUST_CHECK;

/* Adds the items begin <= i < end to `value`, which holds the neutral element when it is called. */
typedef int (*skua_fold_fn)(void *context, size_t begin, size_t end, void *value);

/* Adds `from`, which stands to the right, to `into`. Associative; need not be commutative. */
typedef int (*skua_combine_fn)(void *context, void *into, const void *from);

typedef struct skua_reduce_opts {
    size_t value_bytes;      /* size of a value; it may be moved like bytes */
    size_t grain;            /* items in one call of fn; 0: a 512th of them */
    skua_combine_fn combine; /* with the same context as fn */
} skua_reduce_opts;

/* Add up `count` items: fn folds blocks of them, combine joins neighbours, always left with right.
   What is joined with what depends on count and grain alone, so the result is the same on any
   number of workers, to the last bit of a floating-point sum. `value` holds the neutral element and
   then the result; each block begins with a copy of its bytes, in memory aligned for any type. If
   it fails, `value` is undefined, and values on the way are dropped: what they own must hang on
   `context` as well.
   Returns 0, the failure, -ENOMEM (only for values of more than 128 bytes), or -EINVAL without
   value_bytes or combine. Call from anywhere. May switch. */
int skua_reduce(size_t count, skua_fold_fn fn, void *context, void *value,
                const skua_reduce_opts *opts) SKUA_MUST_CHECK;

typedef struct skua_scan_opts {
    size_t item_bytes;
    size_t grain;            /* least number of items worth another worker; 0: 2048 */
    skua_combine_fn combine; /* associative; need not be commutative */
    void *carry;             /* what stands before the first item, then all combined; or NULL */
    bool is_exclusive;       /* each item gets what stands before it, without itself; needs carry */
} skua_scan_opts;

/* Prefix sums in place: each item becomes the combination of all items up to itself, in order.
   How they are grouped depends on the number of workers, which sums of floating-point numbers can
   show. If it fails, the items are undefined.
   Returns 0, the failure, -ENOMEM (only for items of more than 128 bytes, or many workers), or
   -EINVAL for options that make no sense. Call from anywhere. May switch.
   Cost: with one worker one pass; with w workers two passes over blocks, about 2 / (w + 1) of it
   (Blelloch, "Prefix Sums and Their Applications", 1990). */
int skua_scan(void *items, size_t count, void *context, const skua_scan_opts *opts) SKUA_MUST_CHECK;

/* < 0, 0 or > 0 as left stands before, level with or after right, like that of qsort_r. */
typedef int (*skua_compare_fn)(const void *left, const void *right, void *context);

/* Sort in place; items that compare equal come in any order. If the scope is cancelled it returns
   -ECANCELED, and the items are in some other order, none lost; it looks for that between steps of
   some thousand items, so that fewer are sorted all the same. Nothing is lost by a compare function
   that contradicts itself either: the sort ends and touches nothing outside of the array.
   Returns 0 or -ECANCELED. Call from anywhere. May switch. Cost: O(count log count) always, less
   for sorted input; no allocation.
   After Peters, "Pattern-defeating Quicksort" (2021), and Edelkamp, Weiss, "BlockQuicksort". */
int skua_sort(void *items, size_t count, size_t item_bytes, skua_compare_fn compare, void *context)
    SKUA_MUST_CHECK;

/* The same, but items that compare equal keep their order. Needs memory for a copy of the items.
   Returns 0, -ECANCELED, or -ENOMEM (nothing was done). A merge sort with parallel merges. */
int skua_sort_stable(void *items, size_t count, size_t item_bytes, skua_compare_fn compare,
                     void *context) SKUA_MUST_CHECK;

/* Any number of children, zeroed storage in the frame of the function that syncs it. What is in it
   is the library's. Its children are forks like any others: between the first add and the sync, by
   the same fiber, what is forked besides them must be synced in the reverse order. */
typedef struct skua_fork_set {
    uint64_t opaque[56];
} skua_fork_set;

/* Declare a set that is synced, its status lost, when the block is left by return, goto or break.
   Declare it after what its children use. */
#define SKUA_FORK_SET(name)                                                                        \
    skua_fork_set name __attribute__((cleanup(skua_fork_set_fini), unused)) = {{0}}

/* Let the first child that fails cancel the others: those that run see -ECANCELED from then on, and
   those that run later, for they do run, at once. Call before the first add; from here to the sync
   there is a scope around what the caller does, closed by the sync. Holds until the sync.
   Call from: a task; on a foreign thread it does nothing. Never switches. */
void skua_fork_set_fail_fast(skua_fork_set *set);

/* Let fn(arg) run at the same time as the caller, until skua_fork_set_sync(set). Cannot fail:
   without memory fn is called here and now, and its status kept.
   Call from: whoever owns the set. Never switches, unless there is no memory. Cost: some 10 ns
   more than a fork; memory for 32 children at a time beyond the first four. */
void skua_fork_set_add(skua_fork_set *set, skua_fn fn, void *arg);

/* Wait for all children. Returns the first status < 0 in the order of the adds, or of a set that
   fails fast the one that cancelled the others; else 0. Afterwards the set is as new.
   Call from: whoever owns the set. May switch. Not cancellable: the children get the cancel. */
int skua_fork_set_sync(skua_fork_set *set) SKUA_MUST_CHECK;

/* What SKUA_FORK_SET runs at the end of the block: sync, if that was not done. */
void skua_fork_set_fini(skua_fork_set *set);

SKUA_END_DECLS
#endif
