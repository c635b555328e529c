/* Memory runs out while readers and writers are opened: -ENOMEM, and nothing is left behind; once
   they are open nothing is allocated any more. */
#include "../tasks.h"

#include "base/mem.h"

#include <skua/io.h>
#include <skua/reader.h>

static int open_and_use(void *arg)
{
    int ends[2];
    skua_reader reader;
    skua_writer writer;
    skua_view line;
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    CHECK_INT(skua_fd_adopt(ends[0]), 0);
    CHECK_INT(skua_fd_adopt(ends[1]), 0);
    atomic_store(&skua__alloc_budget, 0);
    CHECK_INT(skua_reader_open(&reader, skua_fd_transport(ends[0]), NULL), -ENOMEM);
    CHECK_INT(skua_writer_open(&writer, skua_fd_transport(ends[1]), NULL), -ENOMEM);
    atomic_store(&skua__alloc_budget, -1);
    CHECK_INT(skua_reader_open(&reader, skua_fd_transport(ends[0]), NULL), 0);
    CHECK_INT(skua_writer_open(&writer, skua_fd_transport(ends[1]), NULL), 0);
    atomic_store(&skua__alloc_budget, 0);
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(skua_writer_printf(&writer, SKUA_FOREVER, "%d\n", i), 0);
        CHECK_INT(skua_writer_flush(&writer, SKUA_FOREVER), 0);
        CHECK_INT(skua_reader_line(&reader, &line, SKUA_FOREVER), 1);
    }
    CHECK_INT(skua_writer_close(&writer, SKUA_FOREVER), 0);
    atomic_store(&skua__alloc_budget, -1);
    skua_reader_close(&reader);
    skua_close(ends[0]);
    skua_close(ends[1]);
    return 0;
}

static void only_the_opening_allocates(void **state)
{
    run_on_1_2_4(open_and_use);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(only_the_opening_allocates)};
    return TEST_RUN(tests);
}
