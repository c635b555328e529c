/* Writers: what is kept back and what goes out, in what calls; back-pressure; what a failure
   leaves; the end. Over a script that takes as much as the test says, then over sockets. */
#define _GNU_SOURCE 1
#include "reader_help.h"

enum { WORKERS_MAX = 4 };

static void run_on_all(skua_fn fn, void *arg)
{
    for (uint32_t workers = 1; workers <= WORKERS_MAX; workers *= 2) {
        const skua_config config = {.workers = workers};
        const int fds = test_fds();
        CHECK_INT(skua_run(&config, fn, arg), 0);
        CHECK_INT(test_fds(), fds);
    }
}

static int put(skua_writer *writer, const char *text, size_t *taken)
{
    return skua_writer_write(writer, text, strlen(text), taken, SOON);
}

static void has_gone(const struct script *script, const char *text)
{
    CHECK_INT(script->taken_bytes, strlen(text));
    CHECK_INT(memcmp(script->taken, text, script->taken_bytes), 0);
}

static int keep_back(void *arg)
{
    struct script script;
    skua_writer writer;
    open_writer(&writer, script_transport(&script, NULL, 0), 8);
    CHECK_INT(put(&writer, "abc", NULL), 0);
    CHECK_INT(put(&writer, "", NULL), 0);
    CHECK_INT(put(&writer, "defgh", NULL), 0);
    CHECK_INT(script.calls, 0); /* it is full, but nothing has to go */
    CHECK_INT(skua_writer_kept(&writer), 8);
    CHECK_INT(put(&writer, "i", NULL), 0);
    CHECK_INT(script.calls, 1); /* the new byte goes with the old ones */
    has_gone(&script, "abcdefghi");
    CHECK_INT(put(&writer, "0123456789", NULL), 0); /* too much for the buffer: past it */
    CHECK_INT(script.calls, 2);
    CHECK_INT(put(&writer, "jk", NULL), 0);
    CHECK_INT(skua_writer_sent(&writer), 19);
    CHECK_INT(skua_writer_kept(&writer), 2);
    CHECK_INT(skua_writer_flush(&writer, SOON), 0);
    CHECK_INT(script.flushes, 1); /* the transport may keep something, too */
    has_gone(&script, "abcdefghi0123456789jk");
    CHECK_INT(put(&writer, "l", NULL), 0);
    CHECK_INT(skua_writer_close(&writer, SOON), 0);
    has_gone(&script, "abcdefghi0123456789jkl");
    CHECK_INT(skua_writer_close(&writer, SOON), 0); /* closed already */
    return 0;
}

static void small_writes_go_out_together(void **state)
{
    run_on_all(keep_back, NULL);
}

static int take_in_part(void *arg)
{
    static const struct act acts[] = {{.result = 3}, {.result = -EAGAIN}, {.result = 6},
                                      {.result = 2}, {.result = -EAGAIN}, {.result = 1},
                                      {.result = 9}, {.result = -EAGAIN}};
    struct script script;
    skua_writer writer;
    size_t taken = 99;
    open_writer(&writer, SCRIPT(&script, acts), 8);
    CHECK_INT(put(&writer, "abcdef", NULL), 0);
    CHECK_INT(put(&writer, "ghijkl", &taken), -EAGAIN); /* def are kept, there is no room for six */
    CHECK_INT(taken, 0);
    CHECK_INT(skua_writer_kept(&writer), 3);
    CHECK_INT(put(&writer, "ghijkl", &taken), 0); /* so it is repeated; def, ghi go, jkl stay */
    CHECK_INT(taken, 6);
    CHECK_INT(skua_writer_kept(&writer), 3);
    CHECK_INT(put(&writer, "0123456789ABCDEF", &taken), -EAGAIN);
    CHECK_INT(taken, 0); /* jk went */
    CHECK_INT(put(&writer, "0123456789ABCDEF", &taken), 0);
    has_gone(&script, "abcdefghijkl012345678");
    CHECK_INT(skua_writer_kept(&writer), 7);
    CHECK_INT(skua_writer_flush(&writer, SOON), -EAGAIN);
    CHECK_INT(skua_writer_flush(&writer, SOON), 0);
    has_gone(&script, "abcdefghijkl0123456789ABCDEF");
    CHECK_INT(skua_writer_close(&writer, SOON), 0);
    return 0;
}

static void what_a_failure_leaves_is_told(void **state)
{
    run_on_all(take_in_part, NULL);
}

static int continue_large(void *arg)
{
    static const struct act acts[] = {{.result = 5}, {.result = -EAGAIN}};
    struct script script;
    skua_writer writer;
    size_t taken = 0;
    open_writer(&writer, SCRIPT(&script, acts), 4);
    CHECK_INT(put(&writer, "ab", NULL), 0);
    CHECK_INT(put(&writer, "0123456789", &taken), -EAGAIN);
    CHECK_INT(taken, 3);
    CHECK_INT(skua_writer_kept(&writer), 0);
    CHECK_INT(put(&writer, "3456789", &taken), 0);
    has_gone(&script, "ab0123456789");
    skua_writer_discard(&writer);
    return 0;
}

static void large_writes_are_continued(void **state)
{
    run_on_all(continue_large, NULL);
}

static int print(void *arg)
{
    static const struct act acts[] = {{.result = 1}, {.result = -EAGAIN}};
    struct script script;
    skua_writer writer;
    open_writer(&writer, SCRIPT(&script, acts), 8);
    CHECK_INT(skua_writer_printf(&writer, SOON, "%s-%d", "ab", 12), 0);
    CHECK_INT(skua_writer_printf(&writer, SOON, "%d", 345), 0); /* fits exactly */
    CHECK_INT(skua_writer_kept(&writer), 8);
    CHECK_INT(script.calls, 0);
    CHECK_INT(skua_writer_printf(&writer, SOON, "%09d", 1), -EMSGSIZE);
    CHECK_INT(skua_writer_printf(&writer, SOON, "%s", "xyz"), -EAGAIN);
    CHECK_INT(skua_writer_printf(&writer, SOON, "%s", "xyz"), 0);
    CHECK_INT(skua_writer_printf(&writer, SOON, "%08d", 7), 0);
    has_gone(&script, "ab-12345xyz");
    CHECK_INT(skua_writer_close(&writer, SOON), 0);
    has_gone(&script, "ab-12345xyz00000007");
    return 0;
}

static void formatted_text_is_taken_whole(void **state)
{
    run_on_all(print, NULL);
}

static int break_it(void *arg)
{
    static const struct act acts[] = {{.result = -EPIPE}};
    struct script script;
    skua_writer writer;
    open_writer(&writer, SCRIPT(&script, acts), 8);
    CHECK_INT(put(&writer, "abc", NULL), 0);
    CHECK_INT(skua_writer_flush(&writer, SOON), -EPIPE);
    CHECK_INT(put(&writer, "d", NULL), -EPIPE); /* as long as it lives */
    CHECK_INT(skua_writer_end(&writer, SOON), -EPIPE);
    CHECK_INT(script.calls, 1);
    CHECK_INT(skua_writer_close(&writer, SOON), -EPIPE); /* what was kept is lost, and told */
    script.flush_status = -ECONNRESET;
    open_writer(&writer, (skua_transport){.ops = &script_ops, .object = &script}, 8);
    CHECK_INT(put(&writer, "e", NULL), 0);
    CHECK_INT(skua_writer_close(&writer, SOON), -ECONNRESET);
    return 0;
}

static void errors_are_kept(void **state)
{
    run_on_all(break_it, NULL);
}

static int end_it(void *arg)
{
    struct script script;
    skua_writer writer;
    open_writer(&writer, script_transport(&script, NULL, 0), 8);
    CHECK_INT(put(&writer, "abc", NULL), 0);
    CHECK_INT(skua_writer_end(&writer, SOON), 0);
    has_gone(&script, "abc");
    CHECK_INT(script.ends, 1);
    CHECK_INT(skua_writer_end(&writer, SOON), 0);
    CHECK_INT(script.ends, 1);
    CHECK_INT(put(&writer, "d", NULL), -EPIPE);
    CHECK_INT(skua_writer_printf(&writer, SOON, "d"), -EPIPE);
    CHECK_INT(skua_writer_flush(&writer, SOON), 0);
    CHECK_INT(skua_writer_close(&writer, SOON), 0);
    const skua_transport_ops one_way = {.read = script_read, .write = script_write};
    open_writer(&writer, (skua_transport){.ops = &one_way, .object = &script}, 8);
    CHECK_INT(skua_writer_end(&writer, SOON), -EOPNOTSUPP);
    CHECK_INT(skua_writer_close(&writer, SOON), 0);
    CHECK_INT(skua_transport_flush((skua_transport){.ops = &one_way}, SOON), 0);
    return 0;
}

static void the_end_is_written_once(void **state)
{
    run_on_all(end_it, NULL);
}

/* --- sockets ---------------------------------------------------------------------------------- */

enum { MUCH_BYTES = 3 * 1000 * 1000, PIECE_MAX = 30000 };

struct much {
    int fd;
    char *data;
    uint64_t seed;
};

static int write_much(void *arg)
{
    struct much *much = arg;
    skua_writer writer;
    open_writer(&writer, skua_fd_transport(much->fd), 0);
    for (size_t at = 0; at < MUCH_BYTES;) {
        size_t bytes = test_random(&much->seed) % (test_random(&much->seed) % 4 ? 300 : PIECE_MAX);
        bytes = bytes < MUCH_BYTES - at ? bytes : MUCH_BYTES - at;
        CHECK_INT(skua_writer_write(&writer, much->data + at, bytes, NULL, SOON), 0);
        CHECK(skua_writer_kept(&writer) <= 8192);
        at += bytes;
    }
    CHECK_INT(skua_writer_end(&writer, SOON), 0);
    CHECK_INT(skua_writer_sent(&writer), MUCH_BYTES);
    return skua_writer_close(&writer, SOON);
}

/* Both ends write while they read: a reader and a writer on one socket. */
static int exchange_much(void *arg)
{
    int ends[2];
    struct much much[2];
    skua_task *tasks[2];
    uint64_t random = test_seed();
    char *data = malloc(MUCH_BYTES), *got = malloc(MUCH_BYTES);
    for (size_t i = 0; i < MUCH_BYTES; i++) {
        data[i] = (char)test_random(&random);
    }
    open_pair(ends);
    for (int i = 0; i < 2; i++) {
        much[i] = (struct much){.fd = ends[i], .data = data, .seed = test_random(&random)};
        tasks[i] = spawn(write_much, &much[i]);
    }
    skua_reader readers[2];
    for (int i = 0; i < 2; i++) {
        open_reader(&readers[i], skua_fd_transport(ends[i]), 0);
    }
    size_t at[2] = {0, 0}, piece = 1;
    for (; at[0] < MUCH_BYTES || at[1] < MUCH_BYTES; piece = piece * 7 % PIECE_MAX + 1) {
        for (int i = 0; i < 2; i++) {
            const size_t rest = MUCH_BYTES - at[i];
            size_t bytes = piece < rest ? piece : rest;
            if (rest > 0) {
                CHECK_INT(skua_reader_exact(&readers[i], got, bytes, NULL, SOON), 1);
                CHECK_INT(memcmp(got, data + at[i], bytes), 0);
                at[i] += bytes;
            }
        }
    }
    for (int i = 0; i < 2; i++) {
        CHECK_INT(skua_reader_at_end(&readers[i], SOON), 1); /* the other end has ended */
        CHECK_INT(join(tasks[i]), 0);
        skua_reader_close(&readers[i]);
    }
    skua_transport_close(skua_fd_transport(ends[0]));
    skua_transport_close(skua_fd_transport(ends[1]));
    free(data);
    free(got);
    return 0;
}

/* covers: D81 */
static void reader_and_writer_share_a_socket(void **state)
{
    run_on_all(exchange_much, NULL);
}

struct slow {
    skua_writer *writer;
    size_t taken;
    skua_time deadline;
};

static int write_slowly(void *arg)
{
    static const char data[100000];
    struct slow *slow = arg;
    return skua_writer_write(slow->writer, data, sizeof data, &slow->taken, slow->deadline);
}

static int meet_a_slow_reader(void *arg)
{
    int ends[2];
    skua_writer writer;
    struct slow slow = {.writer = &writer};
    open_pair(ends);
    const size_t filled = fill(ends[0]);
    open_writer(&writer, skua_fd_transport(ends[0]), 0);
    CHECK_INT(put(&writer, "abc", NULL), 0); /* there is room in the buffer */
    skua_task *task = spawn(write_slowly, &slow);
    while (!has_waiter(ends[0], 1)) {
        skua_yield();
    }
    CHECK_INT(put(&writer, "d", NULL), -EBUSY);
    CHECK_INT(skua_writer_flush(&writer, SOON), -EBUSY);
    skua_task_cancel(task);
    CHECK_INT(join(task), -ECANCELED);
    CHECK_INT(slow.taken, 0);
    CHECK_INT(skua_writer_flush(&writer, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    CHECK_INT(skua_writer_flush(&writer, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_writer_kept(&writer), 3);
    drain(ends[1], filled);
    CHECK_INT(skua_writer_flush(&writer, SOON), 0); /* may simply be repeated */
    char bytes[4];
    CHECK_INT(skua_read(ends[1], bytes, 4, SOON), 3);
    CHECK_INT(memcmp(bytes, "abc", 3), 0);
    skua_close(ends[1]);
    CHECK_INT(put(&writer, "e", NULL), 0);
    CHECK_INT(skua_writer_close(&writer, SOON), -EPIPE); /* and no SIGPIPE */
    skua_close(ends[0]);
    return 0;
}

static void a_slow_reader_stops_the_writer(void **state)
{
    run_on_all(meet_a_slow_reader, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(small_writes_go_out_together),
        TEST(what_a_failure_leaves_is_told),
        TEST(large_writes_are_continued),
        TEST(formatted_text_is_taken_whole),
        TEST(errors_are_kept),
        TEST(the_end_is_written_once),
        TEST(reader_and_writer_share_a_socket),
        TEST(a_slow_reader_stops_the_writer),
    };
    return TEST_RUN(tests);
}
