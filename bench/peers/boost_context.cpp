// The raw switch with Boost.Context's lowest call, without the object that usually wraps it.
#include "bench.h"

#include <boost/context/detail/fcontext.hpp>

namespace ctx = boost::context::detail;

static char stack[64 * 1024];

static void bounce(ctx::transfer_t from)
{
    for (;;) {
        from = ctx::jump_fcontext(from.fctx, nullptr);
    }
}

static int run_switch(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    ctx::transfer_t there = {ctx::make_fcontext(stack + sizeof(stack), sizeof(stack), bounce),
                             nullptr};
    const double start = bench_now_ns();
    for (size_t i = 0; i < job->count / 2; i++) {
        there = ctx::jump_fcontext(there.fctx, nullptr);
    }
    values[0] = bench_ns_each(start, job->count / 2 * 2);
    return 0;
}

static const bench_case cases[] = {
    {.name = "switch", .count = 20000000, .run = run_switch},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, "Boost.Context", cases, BENCH_COUNT(cases));
}
