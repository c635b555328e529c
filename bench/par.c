/* Loops, reductions, scans and sorts: the time for each item, and what a piece of a loop costs. */
#define _GNU_SOURCE
#include "on_skua.h"
#include "work_par.h"

/* --- loops ------------------------------------------------------------------------------------ */

static int light(void *context, size_t begin, size_t end)
{
    double *items = context;
    for (size_t i = begin; i < end; i++) {
        items[i] = bench_item_light(items[i]);
    }
    return 0;
}

static int heavy(void *context, size_t begin, size_t end)
{
    double *items = context;
    for (size_t i = begin; i < end; i++) {
        items[i] = bench_item_heavy(items[i]);
    }
    return 0;
}

static int run_loop(const bench_job *job, size_t grain, skua_range_fn fn, double *value)
{
    double *items = bench_items(job->count, sizeof(*items));
    if (items == NULL) {
        return -ENOMEM;
    }
    bench_fill_doubles(items, job->count);
    const double start = bench_now_ns();
    const int error = skua_for(0, job->count, grain, fn, items);
    *value = bench_ns_each(start, job->count);
    free(items);
    return error;
}

static int run_light(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_loop(job, 0, light, values);
}

static int run_heavy(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_loop(job, 0, heavy, values);
}

static int run_piece(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_loop(job, 1, light, values);
}

/* --- reductions and scans --------------------------------------------------------------------- */

static int sum_up(void *context, size_t begin, size_t end, void *value)
{
    const double *items = context;
    double sum = *(double *)value;
    for (size_t i = begin; i < end; i++) {
        sum += items[i];
    }
    *(double *)value = sum;
    return 0;
}

static int add(void *context, void *into, const void *from)
{
    (void)context;
    *(double *)into += *(const double *)from;
    return 0;
}

static int reduce(double *items, size_t count)
{
    double sum = 0;
    const skua_reduce_opts opts = {.value_bytes = sizeof(sum), .combine = add};
    const int error = skua_reduce(count, sum_up, items, &sum, &opts);
    return error < 0 ? error : sum > 0 ? 0 : -EIO;
}

static int scan(double *items, size_t count)
{
    const skua_scan_opts opts = {.item_bytes = sizeof(*items), .combine = add};
    return skua_scan(items, count, NULL, &opts);
}

static int run_on_doubles(const bench_job *job, int (*fn)(double *items, size_t count),
                          double *value)
{
    double *items = bench_items(job->count, sizeof(*items));
    if (items == NULL) {
        return -ENOMEM;
    }
    bench_fill_doubles(items, job->count);
    const double start = bench_now_ns();
    const int error = fn(items, job->count);
    *value = bench_ns_each(start, job->count);
    free(items);
    return error;
}

static int run_reduce(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_on_doubles(job, reduce, values);
}

static int run_scan(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_on_doubles(job, scan, values);
}

/* --- sorts ------------------------------------------------------------------------------------ */

typedef int (*sort_fn)(void *items, size_t count, size_t item_bytes, skua_compare_fn compare,
                       void *context);

static int compare_ints(const void *left, const void *right, void *context)
{
    (void)context;
    return bench_compare_ints(left, right);
}

static int compare_records(const void *left, const void *right, void *context)
{
    (void)context;
    return bench_compare_records(left, right);
}

static int sort_ints(const bench_job *job, sort_fn sort, double *value)
{
    int *items = bench_items(job->count, sizeof(*items));
    if (items == NULL) {
        return -ENOMEM;
    }
    bench_fill_ints(items, job->count);
    const double start = bench_now_ns();
    int error = sort(items, job->count, sizeof(*items), compare_ints, NULL);
    *value = bench_ns_each(start, job->count);
    if (!bench_is_sorted(items, job->count, sizeof(*items), bench_compare_ints)) {
        error = -EIO;
    }
    free(items);
    return error;
}

static int sort_records(const bench_job *job, sort_fn sort, double *value)
{
    bench_record *items = bench_items(job->count, sizeof(*items));
    if (items == NULL) {
        return -ENOMEM;
    }
    bench_fill_records(items, job->count);
    const double start = bench_now_ns();
    int error = sort(items, job->count, sizeof(*items), compare_records, NULL);
    *value = bench_ns_each(start, job->count);
    if (!bench_is_sorted(items, job->count, sizeof(*items), bench_compare_records)) {
        error = -EIO;
    }
    free(items);
    return error;
}

static int run_sort_int(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return sort_ints(job, skua_sort, values);
}

static int run_sort_int_stable(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return sort_ints(job, skua_sort_stable, values);
}

static int run_sort_record(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return sort_records(job, skua_sort, values);
}

static int run_sort_record_stable(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return sort_records(job, skua_sort_stable, values);
}

enum { ITEMS = 10000000, HEAVY = 2000000, INTS = 4000000, RECORDS = 1000000 };

#define ON_SKUA(id, items, fn)                                                                     \
    {                                                                                              \
        .name = (id), .count = (items), .run = (fn), .enter = bench_enter_skua                     \
    }

static const bench_case cases[] = {
    ON_SKUA("for-light", ITEMS, run_light),
    ON_SKUA("for-heavy", HEAVY, run_heavy),
    ON_SKUA("for-piece", ITEMS, run_piece),
    ON_SKUA("reduce", ITEMS, run_reduce),
    ON_SKUA("scan", ITEMS, run_scan),
    ON_SKUA("sort-int", INTS, run_sort_int),
    ON_SKUA("sort-int-stable", INTS, run_sort_int_stable),
    ON_SKUA("sort-record", RECORDS, run_sort_record),
    ON_SKUA("sort-record-stable", RECORDS, run_sort_record_stable),
};

int main(int argc, char **argv)
{
    return bench_main_skua(argc, argv, cases, BENCH_COUNT(cases));
}
