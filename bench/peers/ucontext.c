/* The raw switch with the C library's own coroutines, which save the signal mask by a system call.
   */
#define _GNU_SOURCE
#include "bench.h"

#include <ucontext.h>

static ucontext_t here, there;
static char stack[64 * 1024];

static void bounce(void)
{
    for (;;) {
        swapcontext(&there, &here);
    }
}

static int run_switch(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = sizeof(stack);
    there.uc_link = NULL;
    makecontext(&there, bounce, 0);
    const double start = bench_now_ns();
    for (size_t i = 0; i < job->count / 2; i++) {
        swapcontext(&here, &there);
    }
    values[0] = bench_ns_each(start, job->count / 2 * 2);
    return 0;
}

static const bench_case cases[] = {
    {.name = "switch", .count = 2000000, .run = run_switch},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, "ucontext", cases, BENCH_COUNT(cases));
}
