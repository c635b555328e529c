/* Readers: lines, pieces, records, peeks; what stays when a call fails; the end in the middle. Over
   a script first, where each read gives what the test says, then over sockets, pipes and files. */
#define _GNU_SOURCE 1
#include "reader_help.h"

#include "mem/forked.h"

#include <stdatomic.h>
#include <sys/wait.h>

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

/* --- lines ------------------------------------------------------------------------------------ */

static void next_line(skua_reader *reader, const char *text)
{
    skua_view line;
    CHECK_INT(skua_reader_line(reader, &line, SOON), 1);
    same_view(line, text);
}

static int read_lines(void *arg)
{
    static const struct act acts[] = {GIVES("one\ntw"), GIVES("o\r\n"), GIVES("\n\r\nthree\nfo"),
                                      GIVES("ur")};
    struct script script;
    skua_reader reader;
    skua_view line;
    open_reader(&reader, SCRIPT(&script, acts), 64);
    next_line(&reader, "one");
    next_line(&reader, "two");
    next_line(&reader, "");
    next_line(&reader, "");
    next_line(&reader, "three");
    next_line(&reader, "four"); /* the last one needs no end */
    CHECK_INT(skua_reader_line(&reader, &line, SOON), 0);
    CHECK_INT(skua_reader_line(&reader, &line, SOON), 0);
    CHECK_INT(script.calls, 5); /* the end is asked for once */
    skua_reader_close(&reader);
    skua_reader_close(&reader); /* closed already */
    return 0;
}

static void lines_come_one_by_one(void **state)
{
    run_on_all(read_lines, NULL);
}

static int read_too_long_a_line(void *arg)
{
    static const struct act acts[] = {GIVES("01234567"), GIVES("89abcdef"), GIVES("g\nnext\n")};
    struct script script;
    skua_reader reader;
    skua_view line;
    open_reader(&reader, SCRIPT(&script, acts), 8);
    CHECK_INT(skua_reader_line(&reader, &line, SOON), -EMSGSIZE);
    CHECK_INT(skua_reader_line(&reader, &line, SOON), -EMSGSIZE); /* nothing was lost */
    CHECK_INT(skua_reader_peek(&reader, 8, &line, SOON), 1);
    same_view(line, "01234567");
    CHECK_INT(skua_reader_skip_until(&reader, "\n", 1, SOON), 1);
    next_line(&reader, "next");
    CHECK_INT(skua_reader_skip_until(&reader, "\n", 1, SOON), 0);
    skua_reader_close(&reader);
    return 0;
}

static void a_line_that_is_too_long_can_be_skipped(void **state)
{
    run_on_all(read_too_long_a_line, NULL);
}

static int find_pieces(void *arg)
{
    static const struct act acts[] = {GIVES("GET /\r"), GIVES("\n\r"),    GIVES("\n=-=body="),
                                      GIVES("-"),       GIVES("=\r\n\r"), GIVES("x\r\n\r\nrest")};
    struct script script;
    skua_reader reader;
    skua_view piece;
    open_reader(&reader, SCRIPT(&script, acts), 24);
    CHECK_INT(skua_reader_until(&reader, "\r\n\r\n", 4, &piece, SOON), 1); /* in three parts */
    same_view(piece, "GET /");
    CHECK_INT(skua_reader_until(&reader, "=-=", 3, &piece, SOON), 1);
    same_view(piece, "");
    CHECK_INT(skua_reader_until(&reader, "=-=", 3, &piece, SOON), 1);
    same_view(piece, "body");
    CHECK_INT(skua_reader_until(&reader, "", 0, &piece, SOON), -EINVAL);
    CHECK_INT(skua_reader_until(&reader, "0123456789012345678901234", 25, &piece, SOON), -EINVAL);
    CHECK_INT(skua_reader_skip_until(&reader, "\r\n\r\n", 4, SOON), 1);
    CHECK_INT(skua_reader_until(&reader, "\n", 1, &piece, SOON), -ENODATA);
    CHECK_INT(skua_reader_until(&reader, "\n", 1, &piece, SOON), -ENODATA);
    next_line(&reader, "rest"); /* is still there */
    CHECK_INT(skua_reader_until(&reader, "\n", 1, &piece, SOON), 0);
    skua_reader_close(&reader);
    return 0;
}

static void pieces_end_at_delimiters_of_any_length(void **state)
{
    run_on_all(find_pieces, NULL);
}

static int skip_far(void *arg)
{
    static const struct act acts[] = {GIVES("xxxxxxxx"), GIVES("xxxxxa"), GIVES("b"), GIVES("cyy"),
                                      GIVES("zzzzz")};
    struct script script;
    skua_reader reader;
    char rest[16];
    open_reader(&reader, SCRIPT(&script, acts), 8);
    CHECK_INT(skua_reader_skip_until(&reader, "abc", 3, SOON), 1); /* across a full buffer */
    CHECK_INT(skua_reader_read(&reader, rest, 2, SOON), 2);
    CHECK_INT(memcmp(rest, "yy", 2), 0);
    CHECK_INT(skua_reader_skip_until(&reader, "abc", 3, SOON), 0);
    CHECK_INT(skua_reader_at_end(&reader, SOON), 1);
    skua_reader_close(&reader);
    return 0;
}

static void a_delimiter_is_found_across_buffers(void **state)
{
    run_on_all(skip_far, NULL);
}

/* --- bytes ------------------------------------------------------------------------------------ */

static int read_bytes(void *arg)
{
    static const struct act acts[] = {GIVES("abcdef"), GIVES("ghijklmnop"), GIVES("qr")};
    struct script script;
    skua_reader reader;
    char bytes[16];
    open_reader(&reader, SCRIPT(&script, acts), 8);
    CHECK_INT(skua_reader_read(&reader, bytes, 0, SOON), 0);
    CHECK_INT(skua_reader_read(&reader, bytes, 2, SOON), 2);
    CHECK_INT(skua_reader_at_end(&reader, SOON), 0);
    CHECK_INT(skua_reader_read(&reader, bytes, 16, SOON), 4); /* what is there, and no read */
    CHECK_INT(memcmp(bytes, "cdef", 4), 0);
    CHECK_INT(script.calls, 1);
    CHECK_INT(skua_reader_read(&reader, bytes, 16, SOON), 10); /* past the buffer */
    CHECK_INT(script.most, 16);
    CHECK_INT(skua_reader_read(&reader, bytes, 1, SOON), 1);
    CHECK_INT(skua_reader_at_end(&reader, SOON), 0);
    CHECK_INT(skua_reader_read(&reader, bytes, 1, SOON), 1);
    CHECK_INT(skua_reader_at_end(&reader, SOON), 1);
    CHECK_INT(skua_reader_read(&reader, bytes, 1, SOON), 0);
    skua_reader_close(&reader);
    return 0;
}

static void reads_give_what_is_there(void **state)
{
    run_on_all(read_bytes, NULL);
}

static int read_exactly(void *arg)
{
    static const struct act acts[] = {GIVES("abc"),      GIVES("def"),        SAYS(-EAGAIN),
                                      GIVES("ghijklmn"), GIVES("opqrst"),     SAYS(-EAGAIN),
                                      GIVES("uvwxyz01"), GIVES("234567890x"), GIVES("ab")};
    struct script script;
    skua_reader reader;
    skua_view left;
    char bytes[32];
    size_t got = 99;
    open_reader(&reader, SCRIPT(&script, acts), 8);
    CHECK_INT(skua_reader_exact(&reader, bytes, 4, &got, SOON), 1);
    CHECK_INT(memcmp(bytes, "abcd", 4), 0);
    CHECK_INT(got, 4);
    CHECK_INT(skua_reader_exact(&reader, bytes, 8, &got, SOON), -EAGAIN);
    CHECK_INT(got, 0); /* all or nothing */
    CHECK_INT(skua_reader_peek(&reader, 0, &left, SOON), 1);
    same_view(left, "ef");
    CHECK_INT(skua_reader_exact(&reader, bytes, 2, NULL, SOON), 1);
    CHECK_INT(skua_reader_exact(&reader, bytes, 32, &got, SOON), -EAGAIN);
    CHECK_INT(got, 14); /* a large one is continued */
    CHECK_INT(skua_reader_exact(&reader, bytes + got, 32 - got, NULL, SOON), 1);
    CHECK_INT(memcmp(bytes, "ghijklmnopqrstuvwxyz01234567890x", 32), 0);
    CHECK_INT(skua_reader_exact(&reader, bytes, 0, NULL, SOON), 1);
    CHECK_INT(skua_reader_exact(&reader, bytes, 3, &got, SOON), -ENODATA);
    CHECK_INT(got, 0);
    CHECK_INT(skua_reader_exact(&reader, bytes, 30, &got, SOON), -ENODATA);
    CHECK_INT(got, 2);
    CHECK_INT(skua_reader_exact(&reader, bytes, 3, &got, SOON), 0);
    skua_reader_close(&reader);
    return 0;
}

static void exactly_is_all_or_nothing(void **state)
{
    run_on_all(read_exactly, NULL);
}

static int peek(void *arg)
{
    static const struct act acts[] = {GIVES("ab"), GIVES("cd")};
    struct script script;
    skua_reader reader;
    skua_view view;
    open_reader(&reader, SCRIPT(&script, acts), 8);
    CHECK_INT(skua_reader_peek(&reader, 0, &view, SOON), 0);
    CHECK_INT(script.calls, 0);
    CHECK_INT(skua_reader_peek(&reader, 3, &view, SOON), 1);
    same_view(view, "abcd");
    CHECK_INT(skua_reader_peek(&reader, 9, &view, SOON), -EMSGSIZE);
    skua_reader_take(&reader, 1);
    CHECK_INT(skua_reader_peek(&reader, 8, &view, SOON), -ENODATA);
    same_view(view, "bcd");
    skua_reader_take(&reader, 3);
    CHECK_INT(skua_reader_peek(&reader, 1, &view, SOON), 0);
    skua_reader_close(&reader);
    return 0;
}

static void peeks_take_nothing(void **state)
{
    run_on_all(peek, NULL);
}

static int fail_at_last(void *arg)
{
    static const struct act acts[] = {GIVES("a\nb"), SAYS(-ECONNRESET), GIVES("never")};
    struct script script;
    skua_reader reader;
    skua_view view;
    char byte;
    open_reader(&reader, SCRIPT(&script, acts), 8);
    next_line(&reader, "a");
    CHECK_INT(skua_reader_line(&reader, &view, SOON), -ECONNRESET);
    CHECK_INT(skua_reader_at_end(&reader, SOON), 0);
    CHECK_INT(skua_reader_read(&reader, &byte, 1, SOON), 1); /* what came before it */
    CHECK_INT(skua_reader_read(&reader, &byte, 1, SOON), -ECONNRESET);
    CHECK_INT(skua_reader_at_end(&reader, SOON), -ECONNRESET); /* and no clean end behind it */
    CHECK_INT(script.calls, 2);
    skua_reader_close(&reader);
    return 0;
}

static void errors_are_kept(void **state)
{
    run_on_all(fail_at_last, NULL);
}

/* A text in random pieces, taken in random ways, is the text. */
static int read_at_random(void *arg)
{
    enum { TEXT_BYTES = 20000 };
    static char text[TEXT_BYTES + 1], read[TEXT_BYTES + 100];
    static uint64_t random; /* goes on from round to round */
    int ends[2];
    skua_reader reader;
    random = random == 0 ? test_seed() : random;
    for (size_t i = 0; i < TEXT_BYTES; i++) {
        text[i] = test_random(&random) % 9 == 0 ? '\n' : (char)('a' + test_random(&random) % 26);
    }
    open_pipe(ends);
    open_reader(&reader, skua_fd_transport(ends[0]), 64 + test_random(&random) % 100);
    size_t in = 0, out = 0;
    while (out < TEXT_BYTES) {
        size_t bytes = test_random(&random) % 200;
        bytes = bytes < TEXT_BYTES - in ? bytes : TEXT_BYTES - in;
        CHECK_INT(skua_write_all(ends[1], text + in, bytes, NULL, SOON), 0);
        in += bytes;
        for (ssize_t status = 1; status > 0;) {
            skua_view view = {0};
            size_t want = 1 + test_random(&random) % 120, got = 0;
            switch (test_random(&random) % 4) {
            case 0:
                status = skua_reader_line(&reader, &view, SKUA_NOW);
                if (status == 1) {
                    memcpy(read + out, view.data, view.bytes);
                    read[out + view.bytes] = '\n';
                    out += view.bytes + 1;
                }
                status = status == -EMSGSIZE ? 1 : status; /* and something else next */
                break;
            case 1:
                status = skua_reader_read(&reader, read + out, want, SKUA_NOW);
                out += status > 0 ? (size_t)status : 0;
                break;
            case 2:
                want = want < TEXT_BYTES - out ? want : TEXT_BYTES - out;
                status = skua_reader_exact(&reader, read + out, want, &got, SKUA_NOW);
                out += got;
                break;
            default:
                status = skua_reader_peek(&reader, 1 + want % 60, &view, SKUA_NOW);
                if (status == 1) {
                    memcpy(read + out, view.data, view.bytes);
                    out += view.bytes;
                    skua_reader_take(&reader, view.bytes);
                }
            }
            CHECK(status > 0 || status == -EAGAIN || out == TEXT_BYTES);
        }
    }
    CHECK_INT(memcmp(read, text, TEXT_BYTES), 0);
    skua_reader_close(&reader);
    close_both(ends);
    return 0;
}

static void no_byte_is_lost_or_doubled(void **state)
{
    for (int i = 0; i < 20; i++) {
        run_on_all(read_at_random, NULL);
    }
}

/* --- waiting ---------------------------------------------------------------------------------- */

struct waiting {
    skua_reader *reader;
    skua_time deadline;
    char text[64];
};

static int wait_for_line(void *arg)
{
    struct waiting *waiting = arg;
    skua_view line;
    int status = skua_reader_line(waiting->reader, &line, waiting->deadline);
    if (status == 1) {
        memcpy(waiting->text, line.data, line.bytes);
        waiting->text[line.bytes] = '\0';
    }
    return status;
}

static skua_task *park_in_line(struct waiting *waiting, int fd)
{
    skua_task *task = spawn(wait_for_line, waiting);
    while (!has_waiter(fd, 0)) {
        skua_yield();
    }
    return task;
}

static int disturb_a_line(void *arg)
{
    int ends[2];
    skua_reader reader;
    skua_view view;
    open_pair(ends);
    open_reader(&reader, skua_fd_transport(ends[0]), 0);
    struct waiting waiting = {.reader = &reader};
    CHECK_INT(skua_write(ends[1], "hello, ", 7, SOON), 7);
    skua_task *task = park_in_line(&waiting, ends[0]);
    CHECK_INT(skua_reader_line(&reader, &view, SOON), -EBUSY); /* one at a time */
    CHECK_INT(skua_reader_read(&reader, waiting.text, 1, SOON), -EBUSY);
    skua_task_cancel(task);
    CHECK_INT(join(task), -ECANCELED);
    CHECK_INT(skua_write(ends[1], "wor", 3, SOON), 3);
    waiting.deadline = skua_after(SKUA_MS(1));
    CHECK_INT(wait_for_line(&waiting), -ETIMEDOUT);
    waiting.deadline = SKUA_NOW;
    CHECK_INT(wait_for_line(&waiting), -EAGAIN);
    waiting.deadline = SKUA_FOREVER;
    task = park_in_line(&waiting, ends[0]);
    CHECK_INT(skua_write(ends[1], "ld\n", 3, SOON), 3);
    CHECK_INT(join(task), 1);
    CHECK_STR(waiting.text, "hello, world"); /* in spite of all */
    skua_reader_close(&reader);
    close_both(ends);
    return 0;
}

/* covers: D81 */
static void a_cancelled_line_comes_later(void **state)
{
    run_on_all(disturb_a_line, NULL);
}

static int read_in_cancelled_scope(void *arg)
{
    static const struct act acts[] = {GIVES("a\nb\n")};
    struct script script;
    skua_reader reader;
    skua_view line;
    skua_scope scope = {{0}};
    open_reader(&reader, SCRIPT(&script, acts), 0);
    next_line(&reader, "a");
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_scope_cancel(&scope);
    CHECK_INT(skua_reader_line(&reader, &line, SOON), -ECANCELED); /* though it is there */
    CHECK_INT(skua_scope_close(&scope, 0), 0);
    next_line(&reader, "b");
    skua_reader_close(&reader);
    return 0;
}

static void a_cancel_comes_before_the_buffer(void **state)
{
    run_on_all(read_in_cancelled_scope, NULL);
}

/* --- files and sockets ------------------------------------------------------------------------ */

enum { FILE_LINES = 20000 };

static int read_file(void *arg)
{
    char path[] = "/tmp/skua-reader-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    unlink(path);
    FILE *file = fdopen(dup(fd), "w");
    for (int i = 0; i < FILE_LINES; i++) {
        fprintf(file, "line %d\n", i);
    }
    CHECK_INT(fclose(file), 0);
    CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
    CHECK_INT(skua_fd_adopt(fd), 0);
    skua_reader reader;
    skua_view line;
    char want[32];
    int count = 0, status = 0;
    open_reader(&reader, skua_fd_transport(fd), 4096);
    while ((status = skua_reader_line(&reader, &line, SOON)) > 0) {
        snprintf(want, sizeof want, "line %d", count++);
        same_view(line, want);
    }
    CHECK_INT(status, 0);
    CHECK_INT(count, FILE_LINES);
    skua_reader_close(&reader);
    skua_close(fd);
    return 0;
}

/* covers: A80 */
static void lines_of_a_file(void **state)
{
    run_on_all(read_file, NULL);
}

static void foreign_threads_read_too(void **state)
{
    int ends[2];
    skua_reader reader;
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    CHECK_INT(write(ends[1], "a\nbc", 4), 4);
    open_reader(&reader, skua_fd_transport(ends[0]), 0);
    next_line(&reader, "a");
    skua_view line;
    CHECK_INT(skua_reader_line(&reader, &line, SKUA_NOW), -EAGAIN);
    close(ends[1]);
    next_line(&reader, "bc");
    CHECK_INT(skua_reader_line(&reader, &line, SKUA_FOREVER), 0);
    skua_reader_close(&reader);
    close(ends[0]);
}

static void a_forked_child_is_told(void **state)
{
    static const struct act acts[] = {GIVES("a\n")};
    static struct script script;
    skua_reader reader;
    skua_writer writer, other;
    open_reader(&reader, SCRIPT(&script, acts), 0);
    open_writer(&writer, SCRIPT(&script, acts), 0);
    pid_t child = fork();
    if (child == 0) {
        skua_view line;
        char byte;
        const bool is_told = skua_reader_line(&reader, &line, SOON) == -ESHUTDOWN &&
                             skua_reader_read(&reader, &byte, 1, SOON) == -ESHUTDOWN &&
                             skua_writer_write(&writer, "x", 1, NULL, SOON) == -ESHUTDOWN &&
                             skua_writer_flush(&writer, SOON) == -ESHUTDOWN &&
                             skua_writer_open(&other, SCRIPT(&script, acts), NULL) == -ESHUTDOWN;
        _exit(is_told ? 0 : 1);
    }
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    skua_reader_close(&reader);
    skua_writer_discard(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_come_one_by_one),
        TEST(a_line_that_is_too_long_can_be_skipped),
        TEST(pieces_end_at_delimiters_of_any_length),
        TEST(a_delimiter_is_found_across_buffers),
        TEST(reads_give_what_is_there),
        TEST(exactly_is_all_or_nothing),
        TEST(peeks_take_nothing),
        TEST(errors_are_kept),
        TEST(no_byte_is_lost_or_doubled),
        TEST(a_cancelled_line_comes_later),
        TEST(a_cancel_comes_before_the_buffer),
        TEST(lines_of_a_file),
        TEST(foreign_threads_read_too),
        TEST(a_forked_child_is_told),
    };
    return TEST_RUN(tests);
}
