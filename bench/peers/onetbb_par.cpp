// oneTBB's algorithms. Their bodies cannot block.
#include "bench.h"
#include "work_par.h"

#include <memory>
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/parallel_reduce.h>
#include <oneapi/tbb/parallel_scan.h>
#include <oneapi/tbb/parallel_sort.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_arena.h>

namespace tbb = oneapi::tbb;
using range = tbb::blocked_range<size_t>;

static int enter_arena(bench_job *job)
{
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, job->workers);
    tbb::task_arena arena(static_cast<int>(job->workers));
    return arena.execute([job] { return bench_job_measure(job); });
}

static std::unique_ptr<double[]> doubles(size_t count)
{
    std::unique_ptr<double[]> items(new double[count]);
    bench_fill_doubles(items.get(), count);
    return items;
}

static int run_light(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const auto items = doubles(job->count);
    const double start = bench_now_ns();
    tbb::parallel_for(range(0, job->count), [&](const range &part) {
        for (size_t i = part.begin(); i < part.end(); i++) {
            items[i] = bench_item_light(items[i]);
        }
    });
    values[0] = bench_ns_each(start, job->count);
    return 0;
}

static int run_heavy(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const auto items = doubles(job->count);
    const double start = bench_now_ns();
    tbb::parallel_for(range(0, job->count), [&](const range &part) {
        for (size_t i = part.begin(); i < part.end(); i++) {
            items[i] = bench_item_heavy(items[i]);
        }
    });
    values[0] = bench_ns_each(start, job->count);
    return 0;
}

// The simple partitioner makes every piece a task of its own, as long as the grain.
static int run_piece(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const auto items = doubles(job->count);
    const double start = bench_now_ns();
    tbb::parallel_for(
        range(0, job->count, 1),
        [&](const range &part) {
            for (size_t i = part.begin(); i < part.end(); i++) {
                items[i] = bench_item_light(items[i]);
            }
        },
        tbb::simple_partitioner());
    values[0] = bench_ns_each(start, job->count);
    return 0;
}

// The one whose result is always the same.
static int run_reduce(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const auto items = doubles(job->count);
    const double start = bench_now_ns();
    const double sum = tbb::parallel_deterministic_reduce(
        range(0, job->count, (job->count - 1) / 512 + 1), 0.0,
        [&](const range &part, double before) {
            for (size_t i = part.begin(); i < part.end(); i++) {
                before += items[i];
            }
            return before;
        },
        [](double left, double right) { return left + right; });
    values[0] = bench_ns_each(start, job->count);
    return sum > 0 ? 0 : -1;
}

static int run_scan(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const auto items = doubles(job->count);
    const double start = bench_now_ns();
    tbb::parallel_scan(
        range(0, job->count), 0.0,
        [&](const range &part, double sum, bool is_final) {
            for (size_t i = part.begin(); i < part.end(); i++) {
                sum += items[i];
                if (is_final) {
                    items[i] = sum;
                }
            }
            return sum;
        },
        [](double left, double right) { return left + right; });
    values[0] = bench_ns_each(start, job->count);
    return 0;
}

static int run_sort_int(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    std::unique_ptr<int[]> items(new int[job->count]);
    bench_fill_ints(items.get(), job->count);
    const double start = bench_now_ns();
    tbb::parallel_sort(items.get(), items.get() + job->count);
    values[0] = bench_ns_each(start, job->count);
    return bench_is_sorted(items.get(), job->count, sizeof(int), bench_compare_ints) ? 0 : -1;
}

static int run_sort_record(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    std::unique_ptr<bench_record[]> items(new bench_record[job->count]());
    bench_fill_records(items.get(), job->count);
    const double start = bench_now_ns();
    tbb::parallel_sort(
        items.get(), items.get() + job->count,
        [](const bench_record &left, const bench_record &right) { return left.key < right.key; });
    values[0] = bench_ns_each(start, job->count);
    return bench_is_sorted(items.get(), job->count, sizeof(bench_record), bench_compare_records)
               ? 0
               : -1;
}

static const bench_case cases[] = {
    {.name = "for-light", .count = 10000000, .run = run_light, .enter = enter_arena},
    {.name = "for-heavy", .count = 2000000, .run = run_heavy, .enter = enter_arena},
    {.name = "for-piece", .count = 10000000, .run = run_piece, .enter = enter_arena},
    {.name = "reduce", .count = 10000000, .run = run_reduce, .enter = enter_arena},
    {.name = "scan", .count = 10000000, .run = run_scan, .enter = enter_arena},
    {.name = "sort-int", .count = 4000000, .run = run_sort_int, .enter = enter_arena},
    {.name = "sort-record", .count = 1000000, .run = run_sort_record, .enter = enter_arena},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, "oneTBB", cases, BENCH_COUNT(cases));
}
