/* Work for the processor, in processes of its own: a job may crash without taking us with it. */
#include <inttypes.h>
#include <skua/skua.h>
#include <stdio.h>
#include <string.h>

static int sum_of_squares(skua_bytes in, skua_reply *reply)
{
    uint64_t limit;
    uint64_t *sum = skua_job_reserve(reply, sizeof *sum);
    if (sum == NULL || in.bytes != sizeof limit) {
        return -EINVAL;
    }
    memcpy(&limit, in.data, sizeof limit);
    *sum = 0;
    for (uint64_t number = 0; number < limit; number++) {
        *sum += number * number;
    }
    skua_job_commit(reply, sizeof *sum);
    return 0;
}
SKUA_JOB(sum_of_squares);

struct call {
    skua_pool *pool;
    uint64_t limit, sum;
};

static int call_job(void *arg)
{
    struct call *call = arg;
    const skua_bytes in = {&call->limit, sizeof call->limit};
    skua_buf out;
    int status = skua_pool_call(call->pool, &sum_of_squares_job, in, &out, SKUA_FOREVER);
    if (status >= 0) {
        memcpy(&call->sum, out.data, sizeof call->sum);
    }
    skua_buf_release(&out);
    return status;
}

static int run(void *arg)
{
    skua_pool *pool;
    int status = skua_pool_create(&pool, &(skua_pool_opts){.workers = 2});
    if (status < 0) {
        return status;
    }
    struct call calls[] = {{pool, 1000, 0}, {pool, 10000, 0}, {pool, 100000, 0}};
    status = skua_map(call_job, calls, sizeof calls[0], 3, NULL);
    printf("[%" PRIu64 ", %" PRIu64 ", %" PRIu64 "]\n", calls[0].sum, calls[1].sum, calls[2].sum);
    skua_pool_destroy(pool);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
