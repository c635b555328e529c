/* What a job says while it runs: lines of log, also hostile ones and floods of them, its last
   words, and how far it is. */
#include "pool_talk_help.h"

#include <stdatomic.h>

/* ---- jobs ---- */

static int log_lines(skua_bytes in, skua_reply *reply)
{
    int count;
    memcpy(&count, in.data, sizeof count);
    for (int i = 0; i < count; i++) {
        skua_job_log(reply, "line %d of %d", i, count);
    }
    return getpid();
}
SKUA_JOB(log_lines);

/* Logs, and then waits for the end of the channel. */
static int log_and_wait(skua_bytes in, skua_reply *reply)
{
    skua_bytes item;
    skua_job_log(reply, "waiting");
    skua_job_progress(reply, 3, 7);
    return skua_job_receive(reply, 0, &item);
}
SKUA_JOB(log_and_wait);

static int log_and_die(skua_bytes in, skua_reply *reply)
{
    skua_job_log(reply, "all is well");
    skua_job_log(reply, "opening \x1b[31mhostile.png\r\n");
    abort();
}
SKUA_JOB(log_and_die);

static int die_silently(skua_bytes in, skua_reply *reply)
{
    abort();
}
SKUA_JOB(die_silently);

/* Lines that no honest worker writes. */
static int log_badly(skua_bytes in, skua_reply *reply)
{
    static char text[SKUA__TEXT_BYTES + 100];
    memset(text, 'x', sizeof text);
    skua_job_log(reply, "%.*s", (int)sizeof text, text); /* too long */
    memset(text, '\x01', sizeof text);
    skua__workring_log(&reply->worker->ring, text, SKUA__TEXT_BYTES);
    skua_job_log(reply, "tab\there, \xc3\xa4 and \xc2\x9b"
                        "5m, bell \a, delete \x7f");
    /* Without an end, and of a job that never was. */
    struct skua__shared *shared = reply->worker->ring.shared;
    struct skua__log_slot *slot = &shared->log[reply->worker->ring.log_write % SKUA__LOG_SLOTS];
    skua_job_log(reply, "to be overwritten");
    memset((void *)slot->text, 'y', sizeof slot->text);
    skua_job_log(reply, "the end");
    return 0;
}
SKUA_JOB(log_badly);

static int claim_lines(skua_bytes in, skua_reply *reply)
{
    skua_job_log(reply, "one");
    struct skua__shared *shared = reply->worker->ring.shared;
    skua__store(&shared->log_write, UINT32_MAX / 2, relaxed);
    return 0;
}
SKUA_JOB(claim_lines);

static int go_on(skua_bytes in, skua_reply *reply)
{
    uint64_t total;
    memcpy(&total, in.data, sizeof total);
    for (uint64_t done = 0; done <= total; done++) {
        skua_job_progress(reply, done, total);
    }
    return 0;
}
SKUA_JOB(go_on);

/* ---- a log ---- */

enum { LINES_MAX = 64 };

static struct {
    _Atomic int count;
    pid_t pid;
    const skua_job *job;
    char lines[LINES_MAX][SKUA__TEXT_BYTES];
} seen;

static void note_line(void *arg, const skua_job *job, pid_t pid, const char *line)
{
    CHECK_PTR(arg, &seen);
    const int count = atomic_load(&seen.count);
    seen.job = job;
    seen.pid = pid;
    CHECK(strlen(line) < SKUA__TEXT_BYTES);
    snprintf(seen.lines[count % LINES_MAX], sizeof seen.lines[0], "%s", line);
    atomic_store(&seen.count, count + 1);
}

static skua_pool *open_logged(uint32_t workers)
{
    skua_pool *pool = NULL;
    const skua_pool_opts opts = {.workers = workers, .log = note_line, .log_arg = &seen};
    atomic_store(&seen.count, 0);
    CHECK_INT(skua_pool_create(&pool, &opts), 0);
    return pool;
}

static void await_lines(int count)
{
    while (atomic_load(&seen.count) < count) {
        CHECK_INT(skua_yield(), 0);
    }
    CHECK_INT(atomic_load(&seen.count), count);
}

static int call(skua_pool *pool, const skua_job *job, skua_bytes in)
{
    return skua_pool_call(pool, job, in, NULL, FOREVER);
}

/* ---- tests ---- */

static int lines_main(void *arg)
{
    const int count = 10;
    skua_pool *pool = open_logged(1);
    pid_t pid = call(pool, &log_lines_job, BYTES(count));
    await_lines(count);
    for (int i = 0; i < count; i++) {
        char line[32];
        snprintf(line, sizeof line, "line %d of %d", i, count);
        CHECK_STR(seen.lines[i], line);
    }
    CHECK_PTR(seen.job, &log_lines_job);
    CHECK_INT(seen.pid, pid);
    skua_pool_destroy(pool);

    pool = open_pool(1, 4096); /* nobody wants them */
    CHECK(call(pool, &log_lines_job, BYTES(count)) > 0);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void lines_come_in_order(void **state)
{
    run_on_some(lines_main);
}

static int while_main(void *arg)
{
    skua_pool *pool = open_logged(1);
    skua_pool_progress progress = {{0}};
    struct talking talking = {.pool = pool,
                              .job = &log_and_wait_job,
                              .opts = {.progress = &progress},
                              .channels = {open_chan(1)}};
    uint64_t done = 9, total = 9;
    skua_pool_progress_get(&progress, &done, &total);
    CHECK_INT(done, 0);
    CHECK_INT(total, 0);
    start_talking(&talking);
    await_lines(1); /* though the job goes on */
    CHECK_STR(seen.lines[0], "waiting");
    await_waiting(talking.channels[0], 0, 1);
    skua_pool_progress_get(&progress, &done, &total);
    CHECK_INT(done, 3);
    CHECK_INT(total, 7);
    skua_chan_close(talking.channels[0]);
    CHECK_INT(end_talking(&talking), 0);
    skua_pool_progress_get(&progress, &done, &total);
    CHECK_INT(done, 3);
    free_chan(talking.channels[0]);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void lines_and_progress_are_there_while_the_job_runs(void **state)
{
    run_on_some(while_main);
}

static int flood_main(void *arg)
{
    const int count = 20000;
    skua_pool *pool = open_logged(2);
    CHECK(call(pool, &log_lines_job, BYTES(count)) > 0);
    CHECK(call(pool, &log_lines_job, BYTES(count)) > 0);
    skua_pool_stats stats;
    do { /* what is lost is counted */
        CHECK_INT(skua_yield(), 0);
        skua_pool_stats_get(pool, &stats);
    } while (atomic_load(&seen.count) + (int)stats.log_lost < 2 * count);
    CHECK_INT(atomic_load(&seen.count) + (int)stats.log_lost, 2 * count);
    char last[32];
    snprintf(last, sizeof last, "line %d of %d", count - 1, count);
    CHECK_STR(seen.lines[(atomic_load(&seen.count) - 1) % LINES_MAX], last);
    skua_pool_destroy(pool);
    return 0;
}

static void of_a_flood_the_latest_lines_are_kept(void **state)
{
    run_on_some(flood_main);
}

static int bad_main(void *arg)
{
    char x[SKUA__TEXT_BYTES], y[SKUA__TEXT_BYTES], marks[SKUA__TEXT_BYTES];
    memset(x, 'x', sizeof x);
    memset(y, 'y', sizeof y);
    memset(marks, '?', sizeof marks);
    x[sizeof x - 1] = y[sizeof y - 1] = marks[sizeof marks - 1] = '\0';
    skua_pool *pool = open_logged(1);
    CHECK_INT(call(pool, &log_badly_job, bytes_of(NULL, 0)), 0);
    await_lines(5);
    CHECK_STR(seen.lines[0], x);
    CHECK_STR(seen.lines[1], marks);
    CHECK_STR(seen.lines[2], "tab\there, \xc3\xa4 and ??5m, bell ?, delete ?");
    CHECK(strcmp(seen.lines[3], y) == 0 || strcmp(seen.lines[3], "to be overwritten") == 0);
    CHECK_STR(seen.lines[4], "the end");
    CHECK_INT(call(pool, &claim_lines_job, bytes_of(NULL, 0)), 0);
    check_echo(pool, "well", 4);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void hostile_lines_are_cut_and_harmless(void **state)
{
    run_on_workers(2, bad_main);
}

static int last_main(void *arg)
{
    char text[512];
    skua_pool *pool = open_pool(1, 4096);
    struct talking talking = {.pool = pool, .job = &log_and_die_job};
    start_talking(&talking);
    CHECK_INT(end_talking_with(&talking, text, sizeof text), -EOWNERDEAD);
    CHECK(strstr(text, "log_and_die") != NULL && strstr(text, "signal 6") != NULL);
    CHECK(strstr(text, "opening ?[31mhostile.png") != NULL);
    CHECK(strstr(text, "all is well") == NULL);
    talking = (struct talking){.pool = pool, .job = &die_silently_job};
    start_talking(&talking);
    CHECK_INT(end_talking_with(&talking, text, sizeof text), -EOWNERDEAD);
    CHECK(strstr(text, "hostile.png") == NULL);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void the_last_line_is_in_the_obituary(void **state)
{
    run_on_workers(2, last_main);
}

static int last_of_many_main(void *arg)
{
    enum { CALLS = 200 };
    skua_pool *pool = open_pool(2, 4096);
    for (uint64_t total = 0; total < CALLS; total++) {
        skua_pool_progress progress = {{0}};
        const skua_call_opts opts = {.progress = &progress};
        uint64_t done, all;
        CHECK_INT(skua_pool_call_with(pool, &go_on_job, BYTES(total), &opts, NULL, FOREVER), 0);
        skua_pool_progress_get(&progress, &done, &all);
        CHECK_INT(done, total);
        CHECK_INT(all, total);
    }
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void the_last_progress_comes_with_the_answer(void **state)
{
    run_on_some(last_of_many_main);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_come_in_order),
        TEST(lines_and_progress_are_there_while_the_job_runs),
        TEST(of_a_flood_the_latest_lines_are_kept),
        TEST(hostile_lines_are_cut_and_harmless),
        TEST(the_last_line_is_in_the_obituary),
        TEST(the_last_progress_comes_with_the_answer),
    };
    return TEST_RUN(tests);
}
