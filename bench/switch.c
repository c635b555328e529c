/* What a bare context switch costs: two contexts that do nothing but switch to each other. */
#define _GNU_SOURCE
#include "arch/switch.h"
#include "bench.h"

enum { STACK_BYTES = 64 * 1024 };

static void *main_context, *other_context;

static void switch_back(void *value)
{
    for (;;) {
        value = skua__switch(&other_context, main_context, value);
    }
}

static int run_switch(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    static _Alignas(16) char stack[STACK_BYTES];
    other_context = skua__switch_prepare(stack + STACK_BYTES, switch_back);
    const double start = bench_now_ns();
    for (size_t i = 0; i < job->count / 2; i++) {
        skua__switch(&main_context, other_context, NULL);
    }
    values[0] = bench_ns_each(start, job->count);
    return 0;
}

static const bench_case cases[] = {
    {.name = "switch", .count = 20000000, .run = run_switch},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, "Skua", cases, BENCH_COUNT(cases));
}
