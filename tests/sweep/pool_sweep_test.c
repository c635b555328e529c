/* Calls of process pools, disturbed while they wait: what is cut off is killed or taken back, who
   waits behind it gets its turn, no buffer and no answer is lost. In real time, since processes
   answer. */
#include "../pool_gate.h"
#include "sweep.h"

#include <skua/pool_map.h>

enum { LARGEST = 16 << 20, BUFS = 64 };

static skua_pool *pool;
static skua_pool_stream *stream;
static sent running;
static skua_buf bufs[BUFS];
static int buf_count;
static uint64_t given, seen;

static void begin(void)
{
    reset_gate(false);
    pool = open_pool(1, LARGEST);
}

static void open_gate(void)
{
    atomic_store(&jobs_gate->is_open, true);
}

static void until_back(void)
{
    while (!sweep.victim.has_returned || (sweep.rival.task != NULL && !sweep.rival.has_returned)) {
        (void)!skua_yield();
    }
}

static void end(int status)
{
    skua_pool_stats stats;
    skua_pool_stats_get(pool, &stats);
    SAME(stats.loans, 0);
    SAME(stats.queued + stats.running, 0);
    skua_pool_destroy(pool);
}

/* --- calls ------------------------------------------------------------------------------------ */

static int call_gate(skua_time deadline)
{
    const skua_call_opts opts = {.priority = 1};
    skua_buf out;
    const int status =
        skua_pool_call_with(pool, &pass_gate_job, bytes_of(NULL, 0), &opts, &out, deadline);
    SAME(out.bytes, status == 0 ? sizeof(pid_t) : 0);
    skua_buf_release(&out);
    return status;
}

static int map_gate(skua_time deadline)
{
    skua_pool_item items[3] = {{.status = 0}};
    const ssize_t failed = skua_pool_map(pool, &pass_gate_job, items, 3, deadline);
    for (int i = 0; i < 3; i++) {
        SAME(failed != 0 || items[i].status == 0, true);
        skua_buf_release(&items[i].out);
    }
    return (int)failed;
}

/* --- a stream --------------------------------------------------------------------------------- */

static int give(void *arg, skua_bytes *in, skua_buf *buf)
{
    given++;
    *in = bytes_of(&given, sizeof given);
    return 1;
}

static void begin_stream(void)
{
    begin();
    given = seen = 0;
    SAME(skua_pool_stream_open(&stream, pool, &pass_gate_job, give, NULL, NULL), 0);
}

static int next_answer(skua_time deadline)
{
    uint64_t index;
    int job_status;
    skua_buf out = {.data = NULL};
    const int status = skua_pool_stream_next(stream, &index, &job_status, &out, deadline);
    if (status == 1) {
        SAME(index, seen);
        SAME(job_status, 0);
        seen++;
    }
    skua_buf_release(&out);
    return status;
}

static void nothing_is_lost(int status)
{
    open_gate();
    SAME(next_answer(SKUA_FOREVER), 1); /* whatever happened before, this is the next one */
    SAME(next_answer(SKUA_FOREVER), 1);
    skua_pool_stream_close(stream);
    end(status);
}

/* --- buffers ---------------------------------------------------------------------------------- */

static void take_all(void)
{
    begin();
    open_gate();
    buf_count = 0;
    while (skua_pool_alloc(pool, &bufs[buf_count], LARGEST, SKUA_NOW) == 0) {
        buf_count++;
        SAME(buf_count < BUFS - 2, true);
    }
}

static int take_one(skua_time deadline)
{
    skua_buf buf = {.data = NULL};
    const int status = skua_pool_alloc(pool, &buf, LARGEST, deadline);
    SAME(buf.data != NULL, status == 0);
    if (status == 0) {
        bufs[buf_count++] = buf;
    }
    return status;
}

static void give_one(void)
{
    for (int i = 0; i < buf_count; i++) {
        if (bufs[i].data != NULL) {
            skua_buf_release(&bufs[i]);
            bufs[i].data = NULL;
            return;
        }
    }
}

static void give_all(int status)
{
    for (int i = 0; i < buf_count; i++) {
        skua_buf_release(&bufs[i]);
    }
    end(status);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void begin_one(void)
{
    begin();
    send_job(pool, &running, &pass_gate_job);
    await_here(&jobs_gate->begun, 1);
}

static int drain(skua_time deadline)
{
    return skua_pool_drain(pool, deadline);
}

static void it_has_ended(int status)
{
    open_gate();
    SAME(skua_pool_drain(pool, SKUA_FOREVER), 0);
    SAME(outcome_of(&running), 0);
    end(status);
}

/* --- the table -------------------------------------------------------------------------------- */

static const swept pool_calls[] = {
    {"skua_pool_call_with", begin, call_gate, open_gate, end, .flags = SWEEP_REAL | SWEEP_NO_NOW,
     .await = until_back},
    {"skua_pool_map", begin, map_gate, open_gate, end, .flags = SWEEP_REAL | SWEEP_NO_NOW,
     .await = until_back},
    {"skua_pool_stream_next", begin_stream, next_answer, open_gate, nothing_is_lost, .done = 1,
     .flags = SWEEP_REAL | SWEEP_ALONE, .await = until_back},
    {"skua_pool_alloc", take_all, take_one, give_one, give_all, .flags = SWEEP_REAL},
    {"skua_pool_drain", begin_one, drain, open_gate, it_has_ended, .flags = SWEEP_REAL,
     .await = until_back},
};

/* covers: A67 */
static void calls_of_a_pool_lose_nothing_when_disturbed(void **state)
{
    CHECK_INT(skua_pool_prepare(), 0); /* its fds stay until the end of the program */
    sweep_table(pool_calls, sizeof pool_calls / sizeof pool_calls[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(calls_of_a_pool_lose_nothing_when_disturbed)};
    return TEST_RUN(tests);
}
