/* The program of docs/guide/parallel.md: loops, sums, sorts and sets of children. */
#include <skua/skua.h>
#include <stdio.h>
#include <string.h>

static int square(void *context, size_t begin, size_t end)
{
    double *values = context;
    for (size_t i = begin; i < end; i++) {
        values[i] *= values[i];
    }
    return 0;
}

static int add_up(void *context, size_t begin, size_t end, void *value)
{
    const double *values = context;
    double *sum = value;
    for (size_t i = begin; i < end; i++) {
        *sum += values[i];
    }
    return 0;
}

static int add(void *context, void *into, const void *from)
{
    (void)context;
    *(double *)into += *(const double *)from;
    return 0;
}

static int sum_of_squares(double *values, size_t count, double *sum)
{
    const skua_reduce_opts opts = {.value_bytes = sizeof *sum, .combine = add};
    int status = skua_for(0, count, 0, square, values);
    if (status == 0) {
        *sum = 0;
        status = skua_reduce(count, add_up, values, sum, &opts);
    }
    return status;
}

static int running_sums(double *values, size_t count)
{
    const skua_scan_opts opts = {.item_bytes = sizeof *values, .combine = add};
    return skua_scan(values, count, NULL, &opts);
}

typedef struct word {
    const char *text;
    int length;
} word;

static int by_length(const void *left, const void *right, void *context)
{
    (void)context;
    return ((const word *)left)->length - ((const word *)right)->length;
}

static int sort_words(word *words, size_t count)
{
    return skua_sort_stable(words, count, sizeof *words, by_length, NULL);
}

static int visit(void *context, size_t begin, size_t end)
{
    (void)context;
    (void)begin;
    (void)end;
    return skua_sleep(skua_after(SKUA_MS(10))); /* instead of a request to a server */
}

static int visit_all(void)
{
    return skua_for(0, 200, 1, visit, NULL); /* 10 ms rather than 2 s */
}

static int measure(void *arg)
{
    word *one = arg;
    one->length = (int)strlen(one->text);
    return one->length > 0 ? 0 : -EINVAL;
}

static int measure_all(word *words, size_t count)
{
    SKUA_FORK_SET(set); /* synced on every way out of the block */
    for (size_t i = 0; i < count; i++) {
        skua_fork_set_add(&set, measure, &words[i]);
    }
    return skua_fork_set_sync(&set);
}

typedef struct results {
    double values[1000];
    double sum;
    word words[5];
} results;

static int numbers(void *arg)
{
    results *all = arg;
    for (int i = 0; i < 1000; i++) {
        all->values[i] = i;
    }
    int status = sum_of_squares(all->values, 1000, &all->sum);
    return status < 0 ? status : running_sums(all->values, 1000);
}

static int names(void *arg)
{
    results *all = arg;
    int status = measure_all(all->words, 5);
    return status < 0 ? status : sort_words(all->words, 5);
}

static int work(void *arg)
{
    skua_part parts[] = {{numbers, arg, 0}, {names, arg, 0}};
    int status = skua_invoke(parts, 2);
    return status < 0 ? status : visit_all();
}

static int run(void *arg)
{
    (void)arg;
    results all = {.words = {{"gull", 0}, {"skua", 0}, {"auk", 0}, {"albatross", 0}, {"tern", 0}}};
    int status = work(&all);
    printf("%.0f %.0f\n", all.sum, all.values[999]);
    for (int i = 0; i < 5; i++) {
        printf("%s%c", all.words[i].text, i < 4 ? ' ' : '\n');
    }
    return status;
}

int main(void)
{
    int status = skua_run(NULL, run, NULL);
    if (status < 0) {
        fprintf(stderr, "%s\n", skua_error_text(status));
    }
    return status < 0;
}
