// The parallel mode of libstdc++: sorts on OpenMP's threads. One worker: std::sort and
// std::stable_sort, which is what the mode calls then.
#include "bench.h"
#include "work_par.h"

#include <memory>
#include <omp.h>
#include <parallel/algorithm>

static bool is_less(const bench_record &left, const bench_record &right)
{
    return left.key < right.key;
}

static int run_ints(const bench_job *job, bool is_stable, double *value)
{
    std::unique_ptr<int[]> items(new int[job->count]);
    int *const begin = items.get();
    int *const end = begin + job->count;
    bench_fill_ints(begin, job->count);
    omp_set_num_threads(static_cast<int>(job->workers));
    const double start = bench_now_ns();
    if (is_stable) {
        __gnu_parallel::stable_sort(begin, end);
    } else {
        __gnu_parallel::sort(begin, end);
    }
    *value = bench_ns_each(start, job->count);
    return bench_is_sorted(begin, job->count, sizeof(int), bench_compare_ints) ? 0 : -1;
}

static int run_records(const bench_job *job, bool is_stable, double *value)
{
    std::unique_ptr<bench_record[]> items(new bench_record[job->count]());
    bench_record *const begin = items.get();
    bench_record *const end = begin + job->count;
    bench_fill_records(begin, job->count);
    omp_set_num_threads(static_cast<int>(job->workers));
    const double start = bench_now_ns();
    if (is_stable) {
        __gnu_parallel::stable_sort(begin, end, is_less);
    } else {
        __gnu_parallel::sort(begin, end, is_less);
    }
    *value = bench_ns_each(start, job->count);
    return bench_is_sorted(begin, job->count, sizeof(bench_record), bench_compare_records) ? 0 : -1;
}

static int run_sort_int(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_ints(job, false, values);
}

static int run_sort_int_stable(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_ints(job, true, values);
}

static int run_sort_record(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_records(job, false, values);
}

static int run_sort_record_stable(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_records(job, true, values);
}

static const bench_case cases[] = {
    {.name = "sort-int", .count = 4000000, .run = run_sort_int},
    {.name = "sort-int-stable", .count = 4000000, .run = run_sort_int_stable},
    {.name = "sort-record", .count = 1000000, .run = run_sort_record},
    {.name = "sort-record-stable", .count = 1000000, .run = run_sort_record_stable},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, "libstdc++", cases, BENCH_COUNT(cases));
}
