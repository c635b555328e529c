/* skua/fork.h: fork and sync: parallel calls that cost about as much as calls.

   A fork says that a function may run at the same time as what follows; the sync of that fork waits
   for it. Nothing is started by a fork: it leaves a note that idle workers may take. Usually nobody
   does, and then the sync simply calls the function. So programs can fork at every step of a
   recursion, with no cut-off, and still any forked function may block: on a channel, a lock, a
   timer, a file. When it does, or when the forking function does, the children that have not
   started yet become tasks of their own and go on elsewhere.

       static int left_half(void *arg);

       skua_child child;
       skua_fork(&child, left_half, &work->left);
       int right = right_half(&work->right);
       int left = skua_sync(&child);

   A child belongs to its parent's task: skua_self(), the task-locals, the scope that was innermost
   at the fork, its deadline and its cancellation are the parent's. It runs on the parent's stack,
   or on one of its own if somebody took it; so it must neither rely on its parent's locks nor on
   being on the same thread.

   A program that works only because its children usually run on the parent's stack is wrong; with
   SKUA_FORKS=always in the environment every child gets a stack of its own.

   In C++ an exception must not leave a function with children that may wait: what the language
   keeps of an exception in flight belongs to the thread. Sync, then throw.

   The way it works is that of private deques with requests (Acar, Chargueraud, Rainey: "Scheduling
   Parallel Programs by Work Stealing with Private Deques", PPoPP 2013) in front of a Chase-Lev
   deque; docs/internals.md tells more. */
#ifndef SKUA_FORK_H
#define SKUA_FORK_H

#include <skua/base.h>

SKUA_BEGIN_DECLS

/* One fork, in the frame of the function that forks. Needs no initialisation. What is in it is the
   library's. */
typedef struct skua_child {
    skua_fn fn;
    void *arg;
    uintptr_t place;
    void *scope;
} skua_child;

/* Declare a child that is synced when the block is left by return, goto or break before
   skua_sync() was called, its status lost: `arg` may be on the same stack. Declare it after what
   `arg` points to. Costs a few stores more than a plain skua_child. */
#define SKUA_CHILD(name)                                                                           \
    skua_child name __attribute__((cleanup(skua_child_fini), unused)) = {0, 0, 0, 0}

/* Let fn(arg) run at the same time as the caller, until skua_sync(child). `child` must be in the
   calling function's frame. Never fails: without memory to share it, fn is called by the sync. fn
   always runs, also when its scope has been cancelled: then blocking calls in it say so.
   Call from: a task; on a foreign thread the sync calls fn. Never switches. Cost: five stores. */
static inline void skua_fork(skua_child *child, skua_fn fn, void *arg);

/* Wait for the child and return what fn returned. Children are synced in the reverse order of their
   forks, by the function that forked them, before a scope that was opened since is closed; anything
   else panics as soon as it is noticed. Not cancellable: the child gets the cancel, and ends
   sooner. Call from: where the fork was. May switch, if somebody took the child. Cost: a call of
   fn. */
static inline int skua_sync(skua_child *child) SKUA_MUST_CHECK;

/* Run both functions, perhaps at the same time. Returns the first status < 0 in the order of the
   arguments, else right's status. Call from anywhere. May switch. */
int skua_both(skua_fn left, void *left_arg, skua_fn right, void *right_arg) SKUA_MUST_CHECK;

/* What SKUA_CHILD runs at the end of the block: sync, if that was not done. */
void skua_child_fini(skua_child *child);

/* SKUA_FORKABLE(type, function, type of each argument...): for a function of one to four arguments
   that returns something, declared before, defines a type function_child and

       void function_fork(function_child *child, arguments);
       type function_sync(function_child *child);

   which are skua_fork() and skua_sync() without the detour over void *: a child that nobody took is
   called directly, its arguments and its result in registers.

       long fib(int n);
       SKUA_FORKABLE(long, fib, int)

       long fib(int n)
       {
           if (n < 2) {
               return n;
           }
           fib_child child;
           fib_fork(&child, n - 2);
           long one = fib(n - 1);
           return one + fib_sync(&child);
       } */
#define SKUA_FORKABLE(type, function, ...)                                                         \
    SKUA__FORKABLE_N(__VA_ARGS__, SKUA__FORKABLE_4, SKUA__FORKABLE_3, SKUA__FORKABLE_2,            \
                     SKUA__FORKABLE_1, 0)                                                          \
    (type, function, __VA_ARGS__)

/* --- what follows is not for use by programs -------------------------------------------------- */

/* One worker's part of the fork protocol. */
struct skua__fork_line {
    skua_child **bottom; /* the first free slot of the stack of private children */
    uintptr_t stack_low; /* a sync whose child lies lower takes the slow way */
    skua_child **limit __attribute__((aligned(64))); /* a fork that is not below, likewise */
} __attribute__((aligned(64)));

void skua__fork_slowly(skua_child *child);
int skua__sync_slowly(skua_child *child) SKUA_MUST_CHECK;

/* The calling thread's. A task may come back from any call on another thread, and compilers
   remember where thread-locals are: hence the assembly, which is executed anew each time. */
static inline struct skua__fork_line *skua__fork_line_self(void)
{
    struct skua__fork_line *line;
#if defined(__x86_64__)
    __asm__ volatile("movq skua__fork_line@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=r"(line));
#elif defined(__aarch64__)
    uint64_t offset;
    __asm__ volatile("adrp %1, :gottprel:skua__fork_line\n\t"
                     "ldr %1, [%1, :gottprel_lo12:skua__fork_line]\n\t"
                     "mrs %0, tpidr_el0\n\t"
                     "ldr %0, [%0, %1]"
                     : "=&r"(line), "=&r"(offset));
#else
#error "Skua knows x86-64 and aarch64"
#endif
    return line;
}

static inline void skua_fork(skua_child *child, skua_fn fn, void *arg)
{
    struct skua__fork_line *line = skua__fork_line_self();
    skua_child **bottom = line->bottom;
    child->fn = fn;
    child->arg = arg;
    __atomic_store_n(&child->place, (uintptr_t)bottom, __ATOMIC_RELAXED);
    if (__builtin_expect(bottom >= __atomic_load_n(&line->limit, __ATOMIC_RELAXED), 0)) {
        skua__fork_slowly(child);
        return;
    }
    *bottom = child;
    line->bottom = bottom + 1;
}

/* True: nobody took the child, and nobody can any more; the caller calls it. The place is compared
   rather than computed from `bottom`: so the processor need not wait for the stores to `bottom` in
   the calls between. */
static inline bool skua__sync_takes_back(skua_child *child)
{
    struct skua__fork_line *line = skua__fork_line_self();
    uintptr_t place = __atomic_load_n(&child->place, __ATOMIC_RELAXED);
    bool is_newest = (uintptr_t)line->bottom == place + sizeof *line->bottom;
    bool has_stack = (uintptr_t)child >= __atomic_load_n(&line->stack_low, __ATOMIC_RELAXED);
    if (__builtin_expect(!is_newest || !has_stack, 0)) {
        return false;
    }
    line->bottom = (skua_child **)place;
    return true;
}

static inline int skua_sync(skua_child *child)
{
    if (skua__sync_takes_back(child)) {
        return child->fn(child->arg);
    }
    return skua__sync_slowly(child);
}

#define SKUA__FORKABLE_N(a, b, c, d, name, ...) name

#define SKUA__FORKABLE_1(type, function, a)                                                        \
    SKUA__FORKABLE_WITH(type, function, (function##_child * child, a a1), a a1_;, child->a1_ = a1; \
                        , (child->a1_))
#define SKUA__FORKABLE_2(type, function, a, b)                                                     \
    SKUA__FORKABLE_WITH(type, function, (function##_child * child, a a1, b a2), a a1_; b a2_;      \
                        , child->a1_ = a1; child->a2_ = a2;, (child->a1_, child->a2_))
#define SKUA__FORKABLE_3(type, function, a, b, c)                                                  \
    SKUA__FORKABLE_WITH(type, function, (function##_child * child, a a1, b a2, c a3), a a1_;       \
                        b a2_; c a3_;, child->a1_ = a1; child->a2_ = a2; child->a3_ = a3;          \
                        , (child->a1_, child->a2_, child->a3_))
#define SKUA__FORKABLE_4(type, function, a, b, c, d)                                               \
    SKUA__FORKABLE_WITH(type, function, (function##_child * child, a a1, b a2, c a3, d a4), a a1_; \
                        b a2_; c a3_; d a4_;, child->a1_ = a1; child->a2_ = a2; child->a3_ = a3;   \
                        child->a4_ = a4;, (child->a1_, child->a2_, child->a3_, child->a4_))

#define SKUA__FORKABLE_WITH(type, function, parameters, fields, assignments, arguments)            \
    typedef struct function##_child {                                                              \
        skua_child child;                                                                          \
        fields type result;                                                                        \
    } function##_child;                                                                            \
    static int function##__run(void *arg)                                                          \
    {                                                                                              \
        function##_child *child = (function##_child *)arg;                                         \
        child->result = function arguments;                                                        \
        return 0;                                                                                  \
    }                                                                                              \
    static inline void function##_fork parameters                                                  \
    {                                                                                              \
        assignments skua_fork(&child->child, function##__run, child);                              \
    }                                                                                              \
    static inline type function##_sync(function##_child *child)                                    \
    {                                                                                              \
        if (skua__sync_takes_back(&child->child)) {                                                \
            return function arguments;                                                             \
        }                                                                                          \
        int status = skua__sync_slowly(&child->child);                                             \
        (void)status;                                                                              \
        return child->result;                                                                      \
    }

SKUA_END_DECLS
#endif
