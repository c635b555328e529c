/* uv_queue_work(): the twin of io/offload.c. */
#include "bench.h"

#include <uv.h>

enum { WORKS = 1000 };

typedef struct load {
    uv_loop_t loop;
    uv_work_t works[WORKS];
    size_t left; /* calls that have not been queued yet */
    int error;
} load;

static void nothing(uv_work_t *work)
{
    (void)work;
}

static void again(uv_work_t *work, int status)
{
    load *self = work->loop->data;
    if (status == 0 && self->left > 0) {
        self->left--;
        status = uv_queue_work(work->loop, work, nothing, again);
    }
    self->error = status != 0 ? status : self->error;
}

static int run_load(size_t at_once, size_t count, double *ns_each)
{
    static load self;
    self.error = uv_loop_init(&self.loop);
    self.loop.data = &self;
    self.left = count - at_once;
    const double start_ns = bench_now_ns();
    for (size_t i = 0; i < at_once && self.error == 0; i++) {
        self.error = uv_queue_work(&self.loop, &self.works[i], nothing, again);
    }
    uv_run(&self.loop, UV_RUN_DEFAULT);
    *ns_each = bench_ns_each(start_ns, count);
    uv_loop_close(&self.loop);
    return self.error;
}

static int run_round_trip(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const int error = run_load(1, job->count, &values[0]);
    values[0] /= 1e3;
    return error;
}

static int run_throughput(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_load(WORKS, job->count > WORKS ? job->count : WORKS, &values[0]);
}

static const bench_case cases[] = {
    {.name = "offload-round-trip", .units = {"us"}, .count = 20000, .run = run_round_trip},
    {.name = "offload-1k", .count = 500000, .run = run_throughput},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, "libuv", cases, BENCH_COUNT(cases));
}
