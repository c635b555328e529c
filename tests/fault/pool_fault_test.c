/* The program runs out of memory while it uses a pool: the n-th allocation and all after it fail,
   for every n. A call then says -ENOMEM or does what it should; nothing is lost or left over, and
   with memory the pool goes on. */
#include "../pool_help.h"

#include "base/mem.h"

enum { BUDGET_MAX = 24 };

static int moan(skua_bytes in, skua_reply *reply)
{
    return skua_job_fail(reply, -EDOM, "no");
}
SKUA_JOB(moan);

static void allow(int64_t allocations)
{
    skua__store(&skua__alloc_budget, allocations, relaxed);
}

static void check_is_one_of(int got, int one, int other)
{
    CHECK(got == one || got == other);
}

static void call_with_little(skua_pool *pool, const char *data, size_t bytes, int64_t budget)
{
    skua_buf out;
    allow(budget);
    int status = skua_pool_call(pool, &echo_job, bytes_of(data, bytes), &out, FOREVER);
    allow(-1);
    check_is_one_of(status, 0, -ENOMEM);
    CHECK_INT(out.bytes, status == 0 ? bytes : 0);
    CHECK(out.bytes == 0 || memcmp(out.data, data, bytes) == 0);
    skua_buf_release(&out);
    allow(budget);
    status = skua_pool_call(pool, &moan_job, bytes_of(NULL, 0), NULL, FOREVER);
    allow(-1);
    CHECK_INT(status, -EDOM);
}

static void submit_with_little(skua_pool *pool, const char *data, size_t bytes, int64_t budget)
{
    skua_buf buf, out = {NULL, 0, NULL};
    skua_task *task = NULL;
    const skua_call_opts opts = {.in_buf = &buf};
    CHECK_INT(skua_pool_alloc(pool, &buf, bytes, FOREVER), 0);
    memcpy(buf.data, data, bytes);
    allow(budget);
    int status = skua_pool_submit(pool, &task, &echo_job, bytes_of(NULL, 0), &opts, &out, FOREVER);
    if (status == 0) {
        int error = skua_join(task, &status, FOREVER);
        CHECK_INT(error, 0);
        skua_task_state(task);
    }
    allow(-1);
    check_is_one_of(status, 0, -ENOMEM);
    CHECK((buf.owner != NULL) == (task == NULL)); /* refused: it is still ours */
    if (task != NULL) {
        const skua_error *error = skua_task_error(task);
        CHECK(status == 0 || error != NULL);
    }
    CHECK_INT(out.bytes, status == 0 ? bytes : 0);
    skua_buf_release(&buf);
    skua_buf_release(&out);
    skua_task_release(task);
}

static void map_with_little(skua_pool *pool, const char *data, size_t bytes, int64_t budget)
{
    enum { COUNT = 40 };
    skua_pool_item items[COUNT];
    for (int i = 0; i < COUNT; i++) {
        items[i] = (skua_pool_item){.in = bytes_of(data, bytes)};
    }
    allow(budget);
    const ssize_t failed = skua_pool_map(pool, &echo_job, items, COUNT, FOREVER);
    allow(-1);
    CHECK(failed >= 0 || failed == -ENOMEM);
    for (int i = 0; i < COUNT; i++) {
        CHECK(failed < 0 || items[i].status == 0 || items[i].status == -ENOMEM);
        CHECK(items[i].status != 0 || items[i].out.bytes == bytes || failed < 0);
        skua_buf_release(&items[i].out);
    }
}

static int scarce_main(void *arg)
{
    const size_t sizes[] = {10, 300, 5000};
    char *data = make_bytes(5000, 1);
    for (size_t i = 0; i < SKUA_COUNT_OF(sizes); i++) {
        skua_pool *pool = open_pool(1, 1 << 20);
        for (int64_t budget = 0; budget < BUDGET_MAX; budget++) {
            call_with_little(pool, data, sizes[i], budget);
            submit_with_little(pool, data, sizes[i], budget);
            map_with_little(pool, data, sizes[i], budget);
            check_echo(pool, data, sizes[i]);
        }
        skua_pool_stats stats;
        skua_pool_stats_get(pool, &stats);
        CHECK_INT(stats.loans + stats.queued + stats.running, 0);
        skua_pool_destroy(pool);
    }
    free(data);
    return 0;
}

static void a_pool_gets_by_with_little_memory(void **state)
{
    CHECK_INT(run_with(scarce_main), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(a_pool_gets_by_with_little_memory)};
    return TEST_RUN(tests);
}
