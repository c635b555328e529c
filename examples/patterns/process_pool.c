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

static uint64_t sum_in(skua_buf *answer)
{
    uint64_t sum = 0;
    if (answer->bytes == sizeof sum) {
        memcpy(&sum, answer->data, sizeof sum);
    }
    skua_buf_release(answer);
    return sum;
}

/* Jobs are tasks: they can be gathered, cancelled, or be members of a group. */
static int submit_three(skua_pool *pool)
{
    const uint64_t limits[] = {1000, 10000, 100000};
    skua_task *jobs[3];
    skua_buf sums[3] = {{0}};
    int statuses[3];
    size_t count = 0;
    int status = 0;
    while (status == 0 && count < 3) {
        const skua_bytes in = {&limits[count], sizeof limits[count]};
        status = skua_pool_submit(pool, &jobs[count], &sum_of_squares_job, in, NULL, &sums[count],
                                  SKUA_FOREVER);
        count += status == 0;
    }
    const int gathered = skua_gather(jobs, count, statuses, SKUA_FOREVER);
    status = status < 0 ? status : gathered;
    printf("[%" PRIu64 ", %" PRIu64 ", %" PRIu64 "]\n", sum_in(&sums[0]), sum_in(&sums[1]),
           sum_in(&sums[2]));
    skua_task_release_all(jobs, count);
    return status;
}

/* One job, many inputs. */
static int map_three(skua_pool *pool)
{
    uint64_t limits[] = {10, 20, 30};
    skua_pool_item items[3] = {0};
    for (int i = 0; i < 3; i++) {
        items[i].in = (skua_bytes){&limits[i], sizeof limits[i]};
    }
    ssize_t failed = skua_pool_map(pool, &sum_of_squares_job, items, 3, SKUA_FOREVER);
    printf("[%" PRIu64 ", %" PRIu64 ", %" PRIu64 "]\n", sum_in(&items[0].out),
           sum_in(&items[1].out), sum_in(&items[2].out));
    return failed == 0 ? 0 : -EIO;
}

static int run(void *arg)
{
    skua_pool *pool;
    int status = skua_pool_create(&pool, &(skua_pool_opts){.workers = 2});
    if (status < 0) {
        return status;
    }
    status = submit_three(pool);
    status = status < 0 ? status : map_three(pool);
    skua_pool_destroy(pool);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
