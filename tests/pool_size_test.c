/* Payloads of the process pool around every size at which something changes, in all ways in and
   out: copied, in place, in a buffer of the pool; and some that are larger than memory likes. */
#include "pool_gate.h"

/* Odd, so that no rounding hides in it. */
enum { MAX = (1 << 20) + 3 };

static const size_t sizes[] = {0,           1,          7,       8,     191,   192,    193,
                               255,         256,        257,     4095,  4096,  4097,   8191,
                               8192,        8193,       65535,   65536, 65537, 100000, MAX / 2,
                               MAX / 2 + 1, MAX - 4097, MAX - 1, MAX};

enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* --- jobs ------------------------------------------------------------------------------------- */

/* Adds one to each byte, in place, and gives it back. */
static int add_one(skua_bytes in, skua_reply *reply)
{
    unsigned char *bytes = skua_job_input(reply);
    if (in.bytes > 0 && bytes != in.data) {
        return -EBADMSG;
    }
    for (size_t i = 0; i < in.bytes; i++) {
        bytes[i]++;
    }
    skua_job_commit_input(reply, in.bytes);
    return 1;
}
SKUA_JOB(add_one);

/* An answer of that many bytes, reserved in steps, each of which keeps what was written. */
static int grow(skua_bytes in, skua_reply *reply)
{
    size_t wanted, had = 0;
    memcpy(&wanted, in.data, sizeof wanted);
    for (size_t bytes = wanted / 3;; bytes = wanted) {
        unsigned char *out = skua_job_reserve(reply, bytes);
        if (out == NULL) {
            return 0; /* which the caller must not see */
        }
        for (; had < bytes; had++) {
            out[had] = (unsigned char)(had * 7);
        }
        if (bytes == wanted) {
            break;
        }
    }
    skua_job_commit(reply, wanted);
    return 2;
}
SKUA_JOB(grow);

/* Only the beginning of its input comes back. */
static int shorten(skua_bytes in, skua_reply *reply)
{
    skua_job_commit_input(reply, in.bytes / 2);
    return 3;
}
SKUA_JOB(shorten);

/* --- in and out ------------------------------------------------------------------------------- */

static void check_added(const skua_buf *out, const char *data, size_t bytes)
{
    CHECK_INT(out->bytes, bytes);
    for (size_t i = 0; i < bytes; i++) {
        if (((const char *)out->data)[i] != (char)(data[i] + 1)) {
            test_fail(__FILE__, __LINE__, "byte %zu of %zu is wrong", i, bytes);
        }
    }
}

static void call_copied(skua_pool *pool, const char *data, size_t bytes)
{
    skua_buf out;
    check_echo(pool, data, bytes);
    CHECK_INT(skua_pool_call(pool, &add_one_job, bytes_of(data, bytes), &out, FOREVER), 1);
    check_added(&out, data, bytes);
    skua_buf_release(&out);
    CHECK_INT(skua_pool_call(pool, &shorten_job, bytes_of(data, bytes), &out, FOREVER), 3);
    CHECK_INT(out.bytes, bytes / 2);
    CHECK(out.bytes == 0 || memcmp(out.data, data, out.bytes) == 0);
    skua_buf_release(&out);
    CHECK_INT(skua_pool_call(pool, &add_one_job, bytes_of(data, bytes), NULL, FOREVER), 1);
}

static void call_in_place(skua_pool *pool, const char *data, size_t bytes)
{
    skua_buf in, out;
    CHECK_INT(skua_pool_alloc(pool, &in, bytes, FOREVER), 0);
    CHECK_INT(in.bytes, bytes);
    if (bytes > 0) {
        memcpy(in.data, data, bytes);
    }
    const skua_call_opts opts = {.in_buf = &in};
    CHECK_INT(skua_pool_call_with(pool, &add_one_job, bytes_of("ignored", 7), &opts, &out, FOREVER),
              1);
    check_added(&out, data, bytes);
    skua_buf_release(&in); /* the pool's by now: nothing happens */
    skua_buf_release(&out);
    CHECK_INT(skua_pool_alloc(pool, &in, bytes, FOREVER), 0); /* and one that is not used */
    skua_buf_release(&in);
    skua_buf_release(&in);
}

static void submit_both(skua_pool *pool, const char *data, size_t bytes)
{
    sent copied, in_place;
    skua_buf in;
    send_with(pool, &copied, &echo_job, bytes_of(data, bytes), NULL, FOREVER);
    CHECK_INT(skua_pool_alloc(pool, &in, bytes, FOREVER), 0);
    if (bytes > 0) {
        memcpy(in.data, data, bytes);
    }
    const skua_call_opts opts = {.in_buf = &in};
    send_with(pool, &in_place, &add_one_job, bytes_of(NULL, 0), &opts, FOREVER);
    CHECK_INT(skua_join(copied.task, NULL, FOREVER), 0);
    CHECK_INT(copied.out.bytes, bytes);
    CHECK(bytes == 0 || memcmp(copied.out.data, data, bytes) == 0);
    CHECK_INT(skua_join(in_place.task, NULL, FOREVER), 0);
    check_added(&in_place.out, data, bytes);
    CHECK_INT(outcome_of(&copied), 0);
    CHECK_INT(outcome_of(&in_place), 1);
}

static void ask_for(skua_pool *pool, size_t bytes)
{
    skua_buf out;
    CHECK_INT(skua_pool_call(pool, &grow_job, BYTES(bytes), &out, FOREVER), 2);
    CHECK_INT(out.bytes, bytes);
    for (size_t i = 0; i < bytes; i++) {
        if (((const unsigned char *)out.data)[i] != (unsigned char)(i * 7)) {
            test_fail(__FILE__, __LINE__, "byte %zu of %zu is wrong", i, bytes);
        }
    }
    skua_buf_release(&out);
}

static void refuse_more(skua_pool *pool, const char *data, size_t bytes)
{
    skua_buf in, out = {.data = &in};
    skua_task *task;
    const skua_bytes input = bytes_of(data, bytes);
    CHECK_INT(skua_pool_call(pool, &echo_job, input, &out, FOREVER), -EMSGSIZE);
    CHECK_PTR(out.data, NULL);
    CHECK_INT(skua_pool_alloc(pool, &in, bytes, FOREVER), -EMSGSIZE);
    CHECK_INT(skua_pool_submit(pool, &task, &echo_job, input, NULL, NULL, FOREVER), -EMSGSIZE);
    CHECK_INT(skua_pool_call(pool, &grow_job, BYTES(bytes), &out, FOREVER), -EMSGSIZE);
    CHECK_PTR(out.data, NULL);
    skua_pool_item items[3] = {{.in = bytes_of("a", 1)}, {.in = input}, {.in = bytes_of("b", 1)}};
    CHECK_INT(skua_pool_map(pool, &echo_job, items, 3, FOREVER), 1);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(items[i].status, i == 1 ? -EMSGSIZE : 0);
        skua_buf_release(&items[i].out);
    }
}

static int sizes_main(void *arg)
{
    char *data = make_bytes(MAX + 1, test_seed());
    skua_pool *pool = open_pool(2, MAX);
    for (int i = 0; i < SIZES; i++) {
        call_copied(pool, data, sizes[i]);
        call_in_place(pool, data, sizes[i]);
        submit_both(pool, data, sizes[i]);
        ask_for(pool, sizes[i]);
    }
    refuse_more(pool, data, MAX + 1);
    refuse_more(pool, data, (size_t)PTRDIFF_MAX);
    skua_pool_stats stats;
    skua_pool_stats_get(pool, &stats);
    CHECK_INT(stats.loans, 0);
    CHECK_INT(stats.crashed, 0);
    CHECK_INT(stats.replaced, 0);
    skua_pool_destroy(pool);
    free(data);
    return 0;
}

/* covers: A67 */
static void payloads_of_all_sizes_in_all_ways(void **state)
{
    CHECK_INT(run_with(sizes_main), 0);
}

static int tiny_limit_main(void *arg)
{
    const size_t limits[] = {1, 2, 192, 193, 4096, 4097};
    char *data = make_bytes(5000, 5);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        skua_pool *pool = open_pool(1, limits[i]);
        check_echo(pool, data, limits[i] - 1);
        check_echo(pool, data, limits[i]);
        skua_buf out;
        CHECK_INT(skua_pool_call(pool, &echo_job, bytes_of(data, limits[i] + 1), &out, FOREVER),
                  -EMSGSIZE);
        skua_pool_destroy(pool);
    }
    free(data);
    return 0;
}

/* covers: A67 */
static void a_limit_holds_to_the_byte(void **state)
{
    CHECK_INT(run_with(tiny_limit_main), 0);
}

/* --- more than there is ----------------------------------------------------------------------- */

/* Answers on loan fill the memory of their worker several times over; no job fails for it. */
static int loans_main(void *arg)
{
    enum { COUNT = 100 };
    static skua_buf outs[COUNT];
    char *data = make_bytes(MAX, 3);
    skua_pool *pool = open_pool(1, MAX);
    for (int i = 0; i < COUNT; i++) {
        data[0] = (char)i;
        CHECK_INT(skua_pool_call(pool, &echo_job, bytes_of(data, MAX), &outs[i], FOREVER), 0);
    }
    for (int i = 0; i < COUNT; i++) {
        data[0] = (char)i;
        CHECK_INT(outs[i].bytes, MAX);
        CHECK(memcmp(outs[i].data, data, MAX) == 0);
        skua_buf_release(&outs[i]);
    }
    skua_pool_destroy(pool);
    free(data);
    return 0;
}

/* covers: A67 */
static void answers_on_loan_fail_no_job(void **state)
{
    CHECK_INT(run_with(loans_main), 0);
}

static int release_one(void *arg)
{
    nap_here(SKUA_MS(5)); /* the other one waits by then, most likely; either way it gets it */
    skua_buf_release(arg);
    return 0;
}

/* Buffers for inputs are bounded: who asks for one too many waits for a release. */
static int alloc_main(void *arg)
{
    enum { COUNT = 4096 };
    static skua_buf bufs[COUNT];
    skua_pool *pool = open_pool(1, 16 << 20);
    int count = 0, status = 0;
    while (status == 0) {
        CHECK(count < COUNT);
        status = skua_pool_alloc(pool, &bufs[count], 16 << 20, SKUA_NOW);
        count += status == 0;
    }
    CHECK_INT(status, -EAGAIN);
    CHECK(count > 0);
    skua_buf more;
    CHECK_INT(skua_pool_alloc(pool, &more, 16 << 20, skua_after(SKUA_MS(10))), -ETIMEDOUT);
    check_echo(pool, "small ones go on", 16);
    skua_task *task;
    CHECK_INT(skua_spawn(&task, release_one, &bufs[0], NULL), 0);
    CHECK_INT(skua_pool_alloc(pool, &more, 16 << 20, FOREVER), 0);
    CHECK_INT(skua_join(task, NULL, FOREVER), 0);
    skua_task_release(task);
    skua_buf_release(&more);
    for (int i = 1; i < count; i++) {
        skua_buf_release(&bufs[i]);
    }
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void buffers_are_waited_for(void **state)
{
    CHECK_INT(run_with(alloc_main), 0);
}

typedef struct waiting {
    skua_pool *pool;
    size_t bytes;
    skua_buf buf;
} waiting;

static int wait_for_buffer(void *arg)
{
    waiting *self = arg;
    return skua_pool_alloc(self->pool, &self->buf, self->bytes, FOREVER);
}

static void await_waiters(skua_pool *pool, int count)
{
    for (int found = -1; found != count;) {
        found = 0;
        skua__pool_lock(pool);
        for (struct skua__link *link = pool->memory_waiters.head.next;
             link != &pool->memory_waiters.head; link = link->next) {
            found++;
        }
        skua__pool_unlock(pool);
        nap_here(SKUA_US(100));
    }
}

/* What is too little for the first one in line is given to the second. */
static int small_behind_large_main(void *arg)
{
    enum { LARGE = 16 << 20, COUNT = 64 };
    static skua_buf bufs[COUNT];
    skua_pool *pool = open_pool(1, LARGE);
    int count = 0;
    while (skua_pool_alloc(pool, &bufs[count], LARGE / 2, SKUA_NOW) == 0) {
        count++;
        CHECK(count < COUNT);
    }
    waiting large = {.pool = pool, .bytes = LARGE}, small = {.pool = pool, .bytes = 5000};
    skua_task *tasks[2];
    CHECK_INT(skua_spawn(&tasks[0], wait_for_buffer, &large, NULL), 0);
    await_waiters(pool, 1);
    CHECK_INT(skua_spawn(&tasks[1], wait_for_buffer, &small, NULL), 0);
    await_waiters(pool, 2);
    skua_buf_release(&bufs[0]);
    CHECK_INT(skua_join(tasks[1], NULL, FOREVER), 0);
    CHECK_INT(skua_join(tasks[0], NULL, SKUA_NOW), -EAGAIN);
    skua_buf_release(&small.buf);
    for (int i = 1; i < count; i++) {
        skua_buf_release(&bufs[i]);
    }
    CHECK_INT(skua_join(tasks[0], NULL, FOREVER), 0);
    skua_buf_release(&large.buf);
    skua_task_release_all(tasks, 2);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void a_small_buffer_does_not_wait_behind_a_large_one(void **state)
{
    CHECK_INT(run_with(small_behind_large_main), 0);
}

static int give_strange(void *arg, skua_bytes *in, skua_buf *buf)
{
    *buf = *(skua_buf *)arg;
    return buf->owner != NULL;
}

/* A buffer of one pool, given to a stream of another. */
static int strange_main(void *arg)
{
    skua_pool *pools[2] = {open_pool(1, 4096), open_pool(1, 4096)};
    skua_pool_stream *stream;
    skua_buf buf, out;
    int status;
    CHECK_INT(skua_pool_alloc(pools[0], &buf, 1000, FOREVER), 0);
    CHECK_INT(skua_pool_stream_open(&stream, pools[1], &echo_job, give_strange, &buf,
                                    &(skua_pool_stream_opts){.in_flight_max = 1}),
              0);
    CHECK_INT(skua_pool_stream_next(stream, NULL, &status, &out, FOREVER), 1);
    CHECK_INT(status, -EINVAL);
    skua_pool_stream_close(stream);
    for (int i = 0; i < 2; i++) {
        skua_pool_stats stats;
        skua_pool_stats_get(pools[i], &stats);
        CHECK_INT(stats.loans, 0);
        skua_pool_destroy(pools[i]);
    }
    return 0;
}

static void a_buffer_of_another_pool_is_refused(void **state)
{
    CHECK_INT(run_with(strange_main), 0);
}

/* Reads and writes at both ends, and in the middle. */
static int touch_ends(skua_bytes in, skua_reply *reply)
{
    unsigned char *bytes = skua_job_input(reply);
    const size_t places[] = {0, in.bytes / 2, in.bytes - 1};
    for (int i = 0; i < 3; i++) {
        if (bytes[places[i]] != i + 1) {
            return -EBADMSG;
        }
        bytes[places[i]] = (unsigned char)(i + 11);
    }
    skua_job_commit_input(reply, in.bytes);
    return 0;
}
SKUA_JOB(touch_ends);

static int sparse_main(void *arg)
{
    const size_t bytes = (size_t)3 << 30;
    const size_t places[] = {0, bytes / 2, bytes - 1};
    skua_pool *pool = open_pool(1, (size_t)4 << 30);
    skua_buf in, out;
    CHECK_INT(skua_pool_alloc(pool, &in, bytes, FOREVER), 0);
    unsigned char *data = in.data;
    for (int i = 0; i < 3; i++) {
        data[places[i]] = (unsigned char)(i + 1);
    }
    const skua_call_opts opts = {.in_buf = &in};
    CHECK_INT(skua_pool_call_with(pool, &touch_ends_job, bytes_of(NULL, 0), &opts, &out, FOREVER),
              0);
    CHECK_INT(out.bytes, bytes);
    CHECK_PTR(out.data, data); /* it never moved */
    for (int i = 0; i < 3; i++) {
        CHECK_INT(((unsigned char *)out.data)[places[i]], i + 11);
    }
    skua_buf_release(&out);
    skua_pool_destroy(pool);
    return 0;
}

/* Three pages of memory and three GiB of addresses. */
/* covers: A67 */
static void gibibytes_pass_without_a_copy(void **state)
{
    CHECK_INT(run_with(sparse_main), 0);
}

static long available_kib(void)
{
    char line[128];
    long kib = 0;
    FILE *file = fopen("/proc/meminfo", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "MemAvailable: %ld", &kib) == 1) {
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib;
}

static int large_main(void *arg)
{
    const size_t bytes = (size_t)96 << 20;
    char *data = make_bytes(bytes, 9);
    skua_pool *pool = open_pool(1, bytes);
    check_echo(pool, data, bytes);
    skua_pool_destroy(pool);
    free(data);
    return 0;
}

/* covers: A67 */
static void large_ones_are_copied_whole(void **state)
{
    if (available_kib() < 1 << 20 || TEST_SCALE > 1) {
        print_message("too little memory or time for 96 MiB three times\n");
        skip();
    }
    CHECK_INT(run_with(large_main), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(payloads_of_all_sizes_in_all_ways),
        TEST(a_limit_holds_to_the_byte),
        TEST(answers_on_loan_fail_no_job),
        TEST(buffers_are_waited_for),
        TEST(a_small_buffer_does_not_wait_behind_a_large_one),
        TEST(a_buffer_of_another_pool_is_refused),
        TEST(gibibytes_pass_without_a_copy),
        TEST(large_ones_are_copied_whole),
    };
    return TEST_RUN(tests);
}
