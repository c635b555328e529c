/* Misuse of readers and writers must die and say what was wrong. */
#include "../tasks.h"
#include "mem/forked.h"

#include <skua/io.h>
#include <skua/reader.h>

static skua_reader reader;
static skua_writer writer;

static void run_main(void *fn_at)
{
    skua_fn fn = *(skua_fn *)fn_at;
    const skua_config config = {.workers = 1};
    skua__process_is_origin(); /* the test forks */
    (void)!skua_run(&config, fn, NULL);
}

static void dies(skua_fn fn, const char *text)
{
    test_dies(run_main, &fn, text);
}

static void open_both(void)
{
    int ends[2];
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    CHECK_INT(skua_fd_adopt(ends[0]), 0);
    CHECK_INT(skua_fd_adopt(ends[1]), 0);
    CHECK_INT(skua_reader_open(&reader, skua_fd_transport(ends[0]), NULL), 0);
    CHECK_INT(skua_writer_open(&writer, skua_fd_transport(ends[1]), NULL), 0);
}

/* Again if the main task was just looking. */
static int read_line(void *arg)
{
    skua_view line;
    int status = -EBUSY;
    while (status == -EBUSY) {
        status = skua_reader_line(&reader, &line, SKUA_FOREVER);
    }
    return status;
}

static int write_much(void *arg)
{
    static const char much[1 << 20];
    int status = -EBUSY;
    while (status == -EBUSY) {
        status = skua_writer_write(&writer, much, sizeof much, NULL, SKUA_FOREVER);
    }
    return status;
}

static int use_unopened(void *arg)
{
    return read_line(NULL);
}

static int write_closed(void *arg)
{
    open_both();
    skua_writer_discard(&writer);
    return write_much(NULL);
}

static int take_too_much(void *arg)
{
    open_both();
    CHECK_INT(skua_writer_write(&writer, "abc", 3, NULL, SKUA_FOREVER), 0);
    CHECK_INT(skua_writer_flush(&writer, SKUA_FOREVER), 0);
    CHECK_INT(skua_reader_at_end(&reader, SKUA_FOREVER), 0);
    skua_reader_take(&reader, 4);
    return 0;
}

static int close_in_use(void *arg)
{
    open_both();
    skua_task *task = spawn(read_line, NULL);
    while (skua_reader_at_end(&reader, SKUA_NOW) != -EBUSY) { /* until it is in there */
        (void)!skua_yield();
    }
    skua_reader_close(&reader);
    return finish(task);
}

static int discard_in_use(void *arg)
{
    open_both();
    skua_task *task = spawn(write_much, NULL);
    while (skua_writer_flush(&writer, SKUA_NOW) != -EBUSY) {
        (void)!skua_yield();
    }
    skua_writer_discard(&writer);
    return finish(task);
}

static void what_is_not_open_cannot_be_used(void **state)
{
    dies(use_unopened, "a reader or writer is used that is not open");
    dies(write_closed, "a reader or writer is used that is not open");
}

static void more_than_there_is_cannot_be_taken(void **state)
{
    dies(take_too_much, "4 bytes are taken from a reader that has fewer");
}

static void what_is_in_use_cannot_be_closed(void **state)
{
    dies(close_in_use, "a reader is closed while a task waits in it");
    dies(discard_in_use, "a writer is closed while a task waits in it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_open_cannot_be_used),
        TEST(more_than_there_is_cannot_be_taken),
        TEST(what_is_in_use_cannot_be_closed),
    };
    return TEST_RUN(tests);
}
