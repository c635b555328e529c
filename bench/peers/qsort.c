/* The C library's qsort: one thread, and the same calls of a compare function as Skua's sorts. It
   happens to be stable, so it stands in those rows, too. */
#define _GNU_SOURCE
#include "bench.h"
#include "work_par.h"

static int run_ints(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    int *items = bench_items(job->count, sizeof(*items));
    if (items == NULL) {
        return -1;
    }
    bench_fill_ints(items, job->count);
    const double start = bench_now_ns();
    qsort(items, job->count, sizeof(*items), bench_compare_ints);
    values[0] = bench_ns_each(start, job->count);
    free(items);
    return 0;
}

static int run_records(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    bench_record *items = bench_items(job->count, sizeof(*items));
    if (items == NULL) {
        return -1;
    }
    bench_fill_records(items, job->count);
    const double start = bench_now_ns();
    qsort(items, job->count, sizeof(*items), bench_compare_records);
    values[0] = bench_ns_each(start, job->count);
    free(items);
    return 0;
}

static const bench_case cases[] = {
    {.name = "sort-int", .count = 4000000, .run = run_ints},
    {.name = "sort-int-stable", .count = 4000000, .run = run_ints},
    {.name = "sort-record", .count = 1000000, .run = run_records},
    {.name = "sort-record-stable", .count = 1000000, .run = run_records},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, "qsort", cases, BENCH_COUNT(cases));
}
