/* The memory that a pool shares with its workers: what is given back to the system, what is kept,
   and programs that keep their answers. */
#include "pool_help.h"

#include <skua/pool_map.h>
#include <skua/pool_watch.h>
#include <sys/mman.h>

enum { MIB = 1 << 20, PAYLOAD_MAX = 32 * MIB };

/* Answers so many bytes, all of them written. */
static int blow(skua_bytes in, skua_reply *reply)
{
    size_t bytes;
    memcpy(&bytes, in.data, sizeof bytes);
    char *memory = skua_job_reserve(reply, bytes);
    if (memory == NULL) {
        return -ENOMEM;
    }
    memset(memory, 'b', bytes);
    skua_job_commit(reply, bytes);
    return 0;
}
SKUA_JOB(blow);

/* Writes much and answers little. */
static int squander(skua_bytes in, skua_reply *reply)
{
    char *memory = skua_job_reserve(reply, PAYLOAD_MAX);
    if (memory == NULL) {
        return -ENOMEM;
    }
    memset(memory, 's', PAYLOAD_MAX);
    skua_job_commit(reply, MIB);
    return 0;
}
SKUA_JOB(squander);

static int mirror(skua_bytes in, skua_reply *reply)
{
    skua_job_commit_input(reply, in.bytes);
    return 0;
}
SKUA_JOB(mirror);

static int ignore(skua_bytes in, skua_reply *reply)
{
    return 0;
}
SKUA_JOB(ignore);

/* How many pages of that memory exist. */
static size_t pages_of(const char *memory, size_t bytes)
{
    static unsigned char pages[PAYLOAD_MAX / 4096];
    CHECK_INT(mincore((void *)(uintptr_t)memory, bytes, pages), 0);
    const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t count = 0;
    for (size_t i = 0; i < bytes / page_bytes; i++) {
        count += pages[i] & 1;
    }
    return count;
}

static skua_buf call_blow(skua_pool *pool, const skua_job *job, size_t bytes)
{
    skua_buf out;
    CHECK_INT(skua_pool_call(pool, job, BYTES(bytes), &out, FOREVER), 0);
    return out;
}

static void check_gone(skua_buf *buf)
{
    const char *memory = buf->data;
    const size_t bytes = buf->bytes;
    CHECK(pages_of(memory, bytes) > 0);
    skua_buf_release(buf);
    CHECK_INT(pages_of(memory, bytes), 0);
}

/* The first block of a region lies in its first 16 MiB as far as it goes, the second one beyond. */
static int answers_main(void *arg)
{
    skua_pool *pool = open_pool(1, PAYLOAD_MAX);
    const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    skua_buf first = call_blow(pool, &blow_job, PAYLOAD_MAX);
    skua_buf second = call_blow(pool, &blow_job, PAYLOAD_MAX);
    const char *memory = first.data;
    check_gone(&second);
    skua_buf_release(&first);
    CHECK_INT(pages_of(memory, PAYLOAD_MAX), 16 * MIB / page_bytes);
    /* What an answer has not committed, and what nobody has asked for. */
    first = call_blow(pool, &squander_job, 0);
    CHECK_PTR(first.data, memory);
    CHECK_INT(pages_of(memory, PAYLOAD_MAX), 16 * MIB / page_bytes);
    second = call_blow(pool, &squander_job, 0);
    CHECK_INT(pages_of(second.data, PAYLOAD_MAX), MIB / page_bytes);
    check_gone(&second);
    skua_buf_release(&first);
    size_t bytes = PAYLOAD_MAX;
    CHECK_INT(skua_pool_call(pool, &blow_job, BYTES(bytes), NULL, FOREVER), 0);
    CHECK_INT(pages_of(memory, PAYLOAD_MAX), 16 * MIB / page_bytes);
    skua_pool_destroy(pool);
    return 0;
}

static void far_answers_go_back_to_the_system(void **state)
{
    CHECK_INT(run_with(answers_main), 0);
}

static skua_buf full_buf(skua_pool *pool)
{
    skua_buf buf;
    CHECK_INT(skua_pool_alloc(pool, &buf, PAYLOAD_MAX, FOREVER), 0);
    memset(buf.data, 'i', buf.bytes);
    return buf;
}

static int inputs_main(void *arg)
{
    skua_pool *pool = open_pool(1, PAYLOAD_MAX);
    skua_buf first = full_buf(pool);
    skua_buf second = full_buf(pool);
    const char *memory = second.data;
    check_gone(&second);
    /* A buffer that is the answer, and one that is not. */
    second = full_buf(pool);
    CHECK_PTR(second.data, memory);
    skua_buf out;
    const skua_call_opts opts = {.in_buf = &second};
    const skua_bytes none = {NULL, 0};
    CHECK_INT(skua_pool_call_with(pool, &mirror_job, none, &opts, &out, FOREVER), 0);
    CHECK_PTR(out.data, memory);
    CHECK_PTR(second.data, NULL);
    CHECK_INT(out.bytes, PAYLOAD_MAX);
    CHECK_INT(((const char *)out.data)[PAYLOAD_MAX - 1], 'i');
    check_gone(&out);
    second = full_buf(pool);
    CHECK_INT(skua_pool_call_with(pool, &ignore_job, none, &opts, NULL, FOREVER), 0);
    CHECK_INT(pages_of(memory, PAYLOAD_MAX), 0);
    /* An input that is copied: whether the worker or we give it back. */
    char *data = make_bytes(PAYLOAD_MAX, test_seed());
    CHECK_INT(skua_pool_call(pool, &ignore_job, bytes_of(data, PAYLOAD_MAX), NULL, FOREVER), 0);
    CHECK_INT(pages_of(memory, PAYLOAD_MAX), 0);
    CHECK_INT(skua_pool_call(pool, &mirror_job, bytes_of(data, PAYLOAD_MAX), &out, FOREVER), 0);
    CHECK_INT(memcmp(out.data, data, PAYLOAD_MAX), 0);
    skua_buf_release(&out);
    CHECK_INT(pages_of(memory, PAYLOAD_MAX), 0);
    skua_buf_release(&first);
    free(data);
    skua_pool_destroy(pool);
    return 0;
}

static void far_inputs_go_back_to_the_system(void **state)
{
    CHECK_INT(run_with(inputs_main), 0);
}

/* More than a worker may have out, from one worker. */
static int keeping_main(void *arg)
{
    enum { ITEMS = 3000, BYTES_EACH = 1000 };
    static skua_pool_item items[ITEMS];
    static char inputs[ITEMS][BYTES_EACH];
    skua_pool *pool = open_pool(1, MIB);
    for (size_t i = 0; i < ITEMS; i++) {
        memset(inputs[i], (int)(i % 100), BYTES_EACH);
        items[i] = (skua_pool_item){.in = {inputs[i], BYTES_EACH}};
    }
    CHECK_INT(skua_pool_map(pool, &echo_job, items, ITEMS, FOREVER), 0);
    skua_pool_stats stats;
    skua_pool_stats_get(pool, &stats);
    CHECK_INT(stats.loans, ITEMS);
    check_echo(pool, inputs[7], BYTES_EACH);
    for (size_t i = 0; i < ITEMS; i++) {
        CHECK_INT(items[i].status, 0);
        CHECK_INT(items[i].out.bytes, BYTES_EACH);
        CHECK_INT(memcmp(items[i].out.data, inputs[i], BYTES_EACH), 0);
        skua_buf_release(&items[i].out);
    }
    skua_pool_stats_get(pool, &stats);
    CHECK_INT(stats.loans, 0);
    skua_pool_destroy(pool);
    return 0;
}

static void all_answers_may_be_kept(void **state)
{
    CHECK_INT(run_with(keeping_main), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(far_answers_go_back_to_the_system),
        TEST(far_inputs_go_back_to_the_system),
        TEST(all_answers_may_be_kept),
    };
    return TEST_RUN(tests);
}
