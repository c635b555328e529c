/* What forking costs: trees of calls without a cut-off, each next to its serial twin, which makes
   the same calls without any runtime in the same run. */
#define _GNU_SOURCE
#include "on_skua.h"
#include "trees.h"

#include <pthread.h>

/* fib: one child at a time, called by its name when nobody has stolen it. */

static long fib(int n);
SKUA_FORKABLE(long, fib, int)

static long fib(int n)
{
    fib_child child;
    if (n < 2) {
        return n;
    }
    fib_fork(&child, n - 1);
    const long called = fib(n - 2);
    return fib_sync(&child) + called;
}

static int run_fib(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const int n = bench_fib_n(job->count);
    const size_t forks = bench_fib_forks(n);
    double start = bench_now_ns();
    const long expected = bench_fib_call(n);
    values[1] = bench_ns_each(start, forks);
    start = bench_now_ns();
    const long looped = bench_fib_serial(n);
    values[2] = bench_ns_each(start, forks);
    start = bench_now_ns();
    const long result = fib(n);
    values[0] = bench_ns_each(start, forks);
    return result == expected && looped == expected ? 0 : -EPROTO;
}

/* The same through the general calls: a function of one pointer, and a struct for what it needs. */

struct fib_call {
    int n;
    long result;
};

static int fib_of(void *arg)
{
    struct fib_call *call = arg;
    if (call->n < 2) {
        call->result = call->n;
        return 0;
    }
    struct fib_call forked = {.n = call->n - 1}, called = {.n = call->n - 2};
    skua_child child;
    skua_fork(&child, fib_of, &forked);
    const int error = fib_of(&called);
    const int child_error = skua_sync(&child);
    call->result = forked.result + called.result;
    return error != 0 ? error : child_error;
}

static int run_fib_general(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    struct fib_call call = {.n = bench_fib_n(job->count)};
    const double start = bench_now_ns();
    const int error = fib_of(&call);
    values[0] = bench_ns_each(start, bench_fib_forks(call.n));
    return error != 0 || call.result == bench_fib_result(call.n) ? error : -EPROTO;
}

/* skynet: ten children at a time, synced newest first. */

static long skynet(long number, long size);
SKUA_FORKABLE(long, skynet, long, long)

static long skynet(long number, long size)
{
    skynet_child children[BENCH_SKYNET_FORKS];
    const long part = size / BENCH_SKYNET_FORKS;
    long sum = 0;
    if (size == 1) {
        return number;
    }
    for (int i = 0; i < BENCH_SKYNET_FORKS; i++) {
        skynet_fork(&children[i], number + i * part, part);
    }
    for (int i = BENCH_SKYNET_FORKS; i-- > 0;) {
        sum += skynet_sync(&children[i]);
    }
    return sum;
}

static int run_skynet(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const long size = bench_skynet_size(job->count);
    double start = bench_now_ns();
    const long expected = bench_skynet_serial(0, size);
    values[1] = (bench_now_ns() - start) / 1e6;
    start = bench_now_ns();
    const long sum = skynet(0, size);
    values[0] = (bench_now_ns() - start) / 1e6;
    return sum == expected && expected == bench_skynet_result(size) ? 0 : -EPROTO;
}

/* nqueens: as many children as there are safe columns, each with a board of its own. */

struct board {
    signed char columns[BENCH_QUEENS_MAX];
};

static long queens(const struct board *board, int row, int n);
SKUA_FORKABLE(long, queens, const struct board *, int, int)

static long queens(const struct board *board, int row, int n)
{
    struct board boards[BENCH_QUEENS_MAX];
    queens_child children[BENCH_QUEENS_MAX];
    int forked = 0;
    long solutions = 0;
    if (row == n) {
        return 1;
    }
    for (int column = 0; column < n; column++) {
        if (bench_queen_is_safe(board->columns, row, column)) {
            boards[forked] = *board;
            boards[forked].columns[row] = (signed char)column;
            queens_fork(&children[forked], &boards[forked], row + 1, n);
            forked++;
        }
    }
    while (forked-- > 0) {
        solutions += queens_sync(&children[forked]);
    }
    return solutions;
}

static int run_queens(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const int n = bench_queens_n(job->count);
    struct board board = {{0}};
    double start = bench_now_ns();
    const long expected = bench_queens_serial(board.columns, 0, n);
    values[1] = (bench_now_ns() - start) / 1e6;
    start = bench_now_ns();
    const long solutions = queens(&board, 0, n);
    values[0] = (bench_now_ns() - start) / 1e6;
    return solutions == expected && expected == bench_queens_result(n) ? 0 : -EPROTO;
}

/* uts: eight children or none; the root has thousands. */

static long uts(uint64_t node);
SKUA_FORKABLE(long, uts, uint64_t)

static long uts_children(uint64_t node, size_t count, uts_child *children)
{
    long nodes = 1;
    for (size_t i = 0; i < count; i++) {
        uts_fork(&children[i], bench_uts_child(node, i));
    }
    for (size_t i = count; i-- > 0;) {
        nodes += uts_sync(&children[i]);
    }
    return nodes;
}

static long uts(uint64_t node)
{
    uts_child children[BENCH_UTS_FORKS];
    return bench_uts_is_leaf(node) ? 1 : uts_children(node, BENCH_UTS_FORKS, children);
}

static int run_uts(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const size_t roots = bench_uts_roots(job->count);
    uts_child *children = calloc(roots, sizeof(*children));
    if (children == NULL) {
        return -ENOMEM;
    }
    double start = bench_now_ns();
    const long expected = bench_uts_serial_all(roots);
    values[1] = bench_ns_each(start, (size_t)expected);
    start = bench_now_ns();
    const long nodes = uts_children(BENCH_UTS_SEED, roots, children);
    values[0] = bench_ns_each(start, (size_t)nodes);
    free(children);
    return nodes == expected ? 0 : -EPROTO;
}

/* Steals: eight children at a time that each compute for some microseconds, so that whoever has
   nothing to do comes for them. A child that starts on another thread than the one it was forked on
   was stolen: nothing here suspends, so there is no other way to get there. What is counted is
   everything that happens meanwhile, searching and sleeping too, for each child that was stolen. */

enum { SIBLINGS = 8, FAMILIES_MAX = 50000, TURNS = 4000 };

struct sibling {
    skua_child child;
    pthread_t forked_on;
    bool was_stolen;
    uint64_t result;
};

static int compute(void *arg)
{
    struct sibling *self = arg;
    self->was_stolen = !pthread_equal(pthread_self(), self->forked_on);
    uint64_t number = 1;
    for (int i = 0; i < TURNS; i++) {
        number = bench_mix(number);
    }
    self->result = number;
    return 0;
}

static int run_steal(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    struct sibling siblings[SIBLINGS];
    size_t stolen = 0;
    int error = 0;
    const double start = bench_now_ns();
    for (size_t i = 0; i < FAMILIES_MAX && stolen < job->count && error == 0; i++) {
        for (int s = 0; s < SIBLINGS; s++) {
            siblings[s].forked_on = pthread_self();
            skua_fork(&siblings[s].child, compute, &siblings[s]);
        }
        for (int s = SIBLINGS; s-- > 0;) {
            const int child_error = skua_sync(&siblings[s].child);
            error = error != 0 ? error : child_error;
            stolen += siblings[s].was_stolen;
        }
    }
    values[0] = bench_ns_each(start, stolen > 0 ? stolen : 1);
    return error == 0 && stolen < job->count ? -EPROTO : error;
}

static const bench_case cases[] = {
    {.name = "fib",
     .rows = {"fib", "fib-call", "fib-serial"},
     .count = 63245985,
     .run = run_fib,
     .enter = bench_enter_skua},
    {.name = "fib-general", .count = 63245985, .run = run_fib_general, .enter = bench_enter_skua},
    {.name = "skynet",
     .rows = {"skynet", "skynet-serial"},
     .units = {"ms", "ms"},
     .count = 1000000,
     .run = run_skynet,
     .enter = bench_enter_skua},
    {.name = "nqueens",
     .rows = {"nqueens", "nqueens-serial"},
     .units = {"ms", "ms"},
     .count = 856189,
     .run = run_queens,
     .enter = bench_enter_skua},
    {.name = "uts",
     .rows = {"uts", "uts-serial"},
     .count = BENCH_UTS_NODES,
     .run = run_uts,
     .enter = bench_enter_skua},
    /* For the program that counts. With one worker nobody steals. */
    {.name = "steal",
     .count = 10000,
     .workers_min = 2,
     .cold = true,
     .run = run_steal,
     .enter = bench_enter_skua},
};

int main(int argc, char **argv)
{
    return bench_main_skua(argc, argv, cases, BENCH_COUNT(cases));
}
