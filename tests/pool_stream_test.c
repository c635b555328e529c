/* Streams and maps: one job over many inputs. */
#include "pool_help.h"

#include <pthread.h>
#include <sched.h>

static int square(skua_bytes in, skua_reply *reply)
{
    uint64_t number;
    memcpy(&number, in.data, sizeof number);
    number *= number;
    return answer(reply, &number, sizeof number);
}
SKUA_JOB(square);

/* Fails for multiples of 5, dies for multiples of 50. */
static int fragile(skua_bytes in, skua_reply *reply)
{
    uint64_t number;
    memcpy(&number, in.data, sizeof number);
    if (number % 50 == 49) {
        abort();
    }
    return number % 5 == 4 ? skua_job_fail(reply, -EDOM, "not %d", (int)number) : 0;
}
SKUA_JOB(fragile);

struct numbers {
    uint64_t next, count;
    size_t bytes; /* of each input; the number stands in front */
    int end;      /* what comes after them */
    char *memory;
    skua_pool *pool; /* not NULL: the inputs are buffers of it */
};

static int next_number(void *arg, skua_bytes *in, skua_buf *buf)
{
    struct numbers *self = arg;
    if (self->next == self->count) {
        return self->end;
    }
    if (self->pool != NULL) {
        CHECK_INT(skua_pool_alloc(self->pool, buf, self->bytes, FOREVER), 0);
        memcpy(buf->data, &self->next, sizeof self->next);
        self->next++;
        return 1;
    }
    memset(self->memory, (int)self->next, self->bytes);
    memcpy(self->memory, &self->next, sizeof self->next);
    *in = bytes_of(self->memory, self->bytes);
    self->next++;
    return 1;
}

static void run_on_1_2_4(skua_fn fn)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_config config = {.workers = workers};
        CHECK_INT(skua_run(&config, fn, NULL), 0);
    }
}

/* All answers once, in their order if that was asked for. */
static void check_squares(skua_pool *pool, struct numbers *numbers,
                          const skua_pool_stream_opts *opts)
{
    skua_pool_stream *stream;
    char *seen = calloc(1, (size_t)numbers->count + 1);
    numbers->memory = malloc(numbers->bytes);
    CHECK_INT(skua_pool_stream_open(&stream, pool, &square_job, next_number, numbers, opts), 0);
    uint64_t index, answers = 0;
    int status, result;
    skua_buf answer;
    while ((result = skua_pool_stream_next(stream, &index, &status, &answer, FOREVER)) == 1) {
        uint64_t square;
        CHECK_INT(status, 0);
        CHECK_INT(answer.bytes, sizeof square);
        memcpy(&square, answer.data, sizeof square);
        CHECK(index < numbers->count && !seen[index]);
        CHECK_INT(square, index * index);
        CHECK(opts->unordered || index == answers);
        CHECK(opts->in_flight_max == 0 || numbers->next - answers <= opts->in_flight_max);
        CHECK_STR(skua_pool_stream_message(stream), "");
        seen[index] = 1;
        answers++;
        skua_buf_release(&answer);
    }
    CHECK_INT(result, numbers->end);
    CHECK_INT(answers, numbers->count);
    skua_pool_stream_close(stream);
    free(numbers->memory);
    free(seen);
}

static int squares_main(void *arg)
{
    const skua_pool_stream_opts kinds[] = {{.unordered = false},
                                           {.unordered = true},
                                           {.in_flight_max = 1},
                                           {.in_flight_max = 7},
                                           {.unordered = true, .in_flight_max = 3, .chunk = 4},
                                           {.chunk = 16, .priority = 2}};
    const size_t sizes[] = {8, 192, 193, 4096, 4097, 50000};
    skua_pool *pool = open_pool(2, 1 << 20);
    for (size_t kind = 0; kind < SKUA_COUNT_OF(kinds); kind++) {
        for (size_t i = 0; i < SKUA_COUNT_OF(sizes); i++) {
            const uint64_t count = sizes[i] > 4096 ? 60 : 300;
            struct numbers numbers = {.count = count, .bytes = sizes[i]};
            check_squares(pool, &numbers, &kinds[kind]);
            numbers = (struct numbers){.count = 50, .bytes = sizes[i], .pool = pool};
            check_squares(pool, &numbers, &kinds[kind]);
        }
    }
    struct numbers failing = {.count = 10, .bytes = 8, .end = -EIO};
    check_squares(pool, &failing, &kinds[0]);
    struct numbers empty = {.bytes = 8};
    check_squares(pool, &empty, &kinds[1]);
    skua_pool_destroy(pool);
    return 0;
}

static void a_stream_answers_all_inputs(void **state)
{
    run_on_1_2_4(squares_main);
}

static int failures_main(void *arg)
{
    enum { COUNT = 200 };
    skua_pool *pool = open_pool(2, 4096);
    char memory[8];
    struct numbers numbers = {.count = COUNT, .bytes = 8, .memory = memory};
    skua_pool_stream *stream;
    CHECK_INT(skua_pool_stream_open(&stream, pool, &fragile_job, next_number, &numbers, NULL), 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        uint64_t index;
        int status;
        skua_buf answer;
        char text[32];
        CHECK_INT(skua_pool_stream_next(stream, &index, &status, &answer, FOREVER), 1);
        CHECK_INT(index, i);
        snprintf(text, sizeof text, "not %d", (int)i);
        if (i % 50 == 49) {
            CHECK_INT(status, -EOWNERDEAD);
            CHECK(strstr(skua_pool_stream_message(stream), "was killed by signal 6") != NULL);
        } else {
            CHECK_INT(status, i % 5 == 4 ? -EDOM : 0);
            CHECK_STR(skua_pool_stream_message(stream), i % 5 == 4 ? text : "");
        }
        CHECK_INT(answer.bytes, 0);
    }
    skua_pool_stream_close(stream);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: D79 */
static void a_failure_is_that_of_one_item(void **state)
{
    run_on_1_2_4(failures_main);
}

/* Closed in the middle, deadlines, and a pool that goes away. */
static int ends_main(void *arg)
{
    skua_pool *pool = open_pool(2, 4096);
    char memory[8];
    struct numbers numbers = {.count = 1000, .bytes = 8, .memory = memory};
    skua_pool_stream *stream = NULL;
    int status;
    skua_buf answer;
    skua_pool_stream_close(NULL);
    CHECK_INT(skua_pool_stream_open(&stream, pool, &square_job, next_number, &numbers, NULL), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(skua_pool_stream_next(stream, NULL, &status, &answer, FOREVER), 1);
        skua_buf_release(&answer);
    }
    skua_pool_stream_close(stream);
    numbers.next = 0;
    CHECK_INT(skua_pool_stream_open(&stream, pool, &hang_job, next_number, &numbers, NULL), 0);
    CHECK_INT(skua_pool_stream_next(stream, NULL, &status, &answer, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_pool_stream_next(stream, NULL, &status, &answer, skua_after(SKUA_MS(10))),
              -ETIMEDOUT);
    skua_pool_stream_close(stream);
    skua_pool_stats stats;
    skua_pool_stats_get(pool, &stats);
    CHECK_INT(stats.loans + stats.running + stats.queued, 0);
    check_echo(pool, "next", 4);
    const skua_pool_stream_opts bad = {.priority = 9};
    CHECK_INT(skua_pool_stream_open(&stream, pool, &hang_job, next_number, &numbers, &bad),
              -EINVAL);
    skua_pool_destroy(pool);
    return 0;
}

static void a_stream_may_be_closed_at_any_time(void **state)
{
    run_on_1_2_4(ends_main);
}

static int tell_pid(skua_bytes in, skua_reply *reply)
{
    return (int)getpid();
}
SKUA_JOB(tell_pid);

enum { CHUNKED = 640, CHUNK = 32, CHUNKS_TRIED = 6 };

/* How often the worker changes from one item to the next. */
static int count_changes(skua_pool *pool)
{
    char memory[8];
    struct numbers numbers = {.count = CHUNKED, .bytes = 8, .memory = memory};
    const skua_pool_stream_opts opts = {.chunk = CHUNK};
    skua_pool_stream *stream = NULL;
    CHECK_INT(skua_pool_stream_open(&stream, pool, &tell_pid_job, next_number, &numbers, &opts), 0);
    int changes = 0, last = 0;
    for (int i = 0; i < CHUNKED; i++) {
        int status;
        skua_buf answer;
        CHECK_INT(skua_pool_stream_next(stream, NULL, &status, &answer, FOREVER), 1);
        CHECK(status > 0);
        changes += status != last;
        last = status;
    }
    skua_pool_stream_close(stream);
    return changes;
}

/* Chunks stay together: most items follow the one before them. A worker that does not get the
   processor is relieved of what it has, which tears them: hence more than one try. */
static int chunks_main(void *arg)
{
    skua_pool *pool = open_pool(2, 4096);
    for (int tries = 1; count_changes(pool) > CHUNKED / 4; tries++) {
        CHECK(tries < CHUNKS_TRIED);
    }
    skua_pool_destroy(pool);
    return 0;
}

static void chunks_go_to_one_worker(void **state)
{
    run_on_1_2_4(chunks_main);
}

/* A reader that is cancelled loses nothing. */
static int cancelled_main(void *arg)
{
    skua_pool *pool = open_pool(1, 4096);
    char memory[8];
    struct numbers numbers = {.count = 20, .bytes = 8, .memory = memory};
    skua_pool_stream *stream = NULL;
    CHECK_INT(skua_pool_stream_open(&stream, pool, &square_job, next_number, &numbers, NULL), 0);
    uint64_t given = 0;
    for (int round = 0; given < 20; round++) {
        SKUA_SCOPE(scope);
        skua_scope_open(&scope, SKUA_FOREVER);
        skua_scope_cancel(&scope);
        uint64_t index;
        int status;
        skua_buf answer;
        CHECK_INT(skua_pool_stream_next(stream, &index, &status, &answer, FOREVER), -ECANCELED);
        CHECK_INT(skua_scope_close(&scope, 0), 0);
        CHECK_INT(skua_pool_stream_next(stream, &index, &status, &answer, FOREVER), 1);
        CHECK_INT(index, given);
        skua_buf_release(&answer);
        given++;
    }
    skua_pool_stream_close(stream);
    skua_pool_destroy(pool);
    return 0;
}

static void a_cancelled_reader_loses_nothing(void **state)
{
    run_on_1_2_4(cancelled_main);
}

struct mapping {
    skua_pool *pool;
    skua_pool_item items[50];
    uint64_t numbers[50];
};

/* --- maps ------------------------------------------------------------------------------------- */

enum { ITEMS = 1500 };

static void fill(skua_pool_item items[], uint64_t numbers[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        numbers[i] = i;
        items[i] = (skua_pool_item){.in = BYTES(numbers[i]), .status = 99};
    }
}

static void map_squares(skua_pool *pool)
{
    skua_pool_item *items = calloc(ITEMS, sizeof *items);
    uint64_t *numbers = calloc(ITEMS, sizeof *numbers);
    fill(items, numbers, ITEMS);
    CHECK_INT(skua_pool_map(pool, &square_job, items, ITEMS, FOREVER), 0);
    for (uint64_t i = 0; i < ITEMS; i++) {
        uint64_t square;
        CHECK_INT(items[i].status, 0);
        memcpy(&square, items[i].out.data, sizeof square);
        CHECK_INT(square, i * i);
        skua_buf_release(&items[i].out);
    }
    CHECK_INT(skua_pool_map(pool, &square_job, NULL, 0, FOREVER), 0);
    free(items);
    free(numbers);
}

static void *map_from_thread(void *pool)
{
    map_squares(pool);
    return NULL;
}

static int hang_in_map(void *arg)
{
    struct mapping *self = arg;
    return (int)skua_pool_map(self->pool, &hang_job, self->items, 50, FOREVER);
}

static int cancelled_map_main(void *arg)
{
    struct mapping self = {.pool = open_pool(2, 4096)};
    skua_task *task;
    fill(self.items, self.numbers, 50);
    CHECK_INT(skua_spawn(&task, hang_in_map, &self, NULL), 0);
    await_running(self.pool, 2);
    skua_task_cancel(task);
    int status;
    CHECK_INT(skua_join(task, &status, FOREVER), 0);
    CHECK_INT(status, -ECANCELED);
    skua_task_release(task);
    for (int i = 0; i < 50; i++) {
        CHECK_INT(self.items[i].status, -ECANCELED);
    }
    skua_pool_destroy(self.pool);
    return 0;
}

static void a_cancelled_map_has_all_its_statuses(void **state)
{
    run_on_1_2_4(cancelled_map_main);
}

static int map_main(void *arg)
{
    skua_pool *pool = open_pool(2, 4096);
    map_squares(pool);
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, map_from_thread, pool), 0);
    map_squares(pool);
    while (pthread_tryjoin_np(thread, NULL) != 0) {
        CHECK_INT(skua_yield(), 0);
    }
    skua_pool_item items[100];
    uint64_t numbers[100];
    fill(items, numbers, 100);
    CHECK_INT(skua_pool_map(pool, &fragile_job, items, 100, FOREVER), 20);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(items[i].status, i % 50 == 49 ? -EOWNERDEAD : i % 5 == 4 ? -EDOM : 0);
    }
    fill(items, numbers, 100);
    CHECK_INT(skua_pool_map(pool, &hang_job, items, 100, skua_after(SKUA_MS(10))), -ETIMEDOUT);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(items[i].status, -ETIMEDOUT);
    }
    skua_pool_destroy(pool);
    return 0;
}

static void a_map_runs_all_items(void **state)
{
    run_on_1_2_4(map_main);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stream_answers_all_inputs),          TEST(a_failure_is_that_of_one_item),
        TEST(a_stream_may_be_closed_at_any_time),   TEST(chunks_go_to_one_worker),
        TEST(a_cancelled_reader_loses_nothing),     TEST(a_map_runs_all_items),
        TEST(a_cancelled_map_has_all_its_statuses),
    };
    return TEST_RUN(tests);
}
