/* A number that is closed and used for another file in the middle of a call that makes several
   system calls: the rest does not go to the other file. */
#include "io_help.h"

#include <errno.h>
#include <sys/socket.h>

enum { BUDGET = 128 }; /* operations before a task lets others run */

struct stage {
    int ends[2];
    int others[2]; /* a pair of which one has the number of ends[0] */
    bool is_vector;
};

/* Runs when the writer has used up its turn, between two of its system calls; or on a stand-in,
   beside it: so it waits until some of the bytes have come, and, since a system call that is under
   way keeps the number, until that is free. */
static int put_another_in_place(void *arg)
{
    struct stage *stage = arg;
    const int number = stage->ends[0];
    char first;
    while (recv(stage->ends[1], &first, 1, MSG_PEEK | MSG_DONTWAIT) < 1) {
        CHECK_INT(skua_yield(), 0);
    }
    skua_close(number);
    while (fcntl(number, F_GETFD) >= 0) {
        CHECK_INT(skua_yield(), 0);
    }
    open_pair(stage->others);
    CHECK(stage->others[0] == number || stage->others[1] == number);
    return 0;
}

/* The other pair comes before the end, since nobody reads. */
static int write_while_it_goes(void *arg)
{
    static char bytes[1 << 22];
    struct stage stage = {.is_vector = *(bool *)arg};
    size_t written = 0;
    char buffer[16];
    const struct iovec parts[2] = {{bytes, sizeof bytes / 2}, {bytes, sizeof bytes / 2}};
    open_pair(stage.ends);
    CHECK_INT(skua_yield(), 0);
    skua_task *task = spawn(put_another_in_place, &stage);
    for (int i = 0; i < BUDGET - 2; i++) {
        CHECK_INT(skua_checkpoint(), 0);
    }
    CHECK_INT(stage.is_vector
                  ? skua_writev_all(stage.ends[0], parts, 2, &written, SKUA_FOREVER)
                  : skua_write_all(stage.ends[0], bytes, sizeof bytes, &written, SKUA_FOREVER),
              -EBADF);
    CHECK_INT(join(task), 0);
    CHECK(written > 0 && written < sizeof bytes);
    CHECK_INT(skua_read(stage.others[0], buffer, sizeof buffer, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_read(stage.others[1], buffer, sizeof buffer, SKUA_NOW), -EAGAIN);
    close_both(stage.others);
    skua_close(stage.ends[1]);
    return 0;
}

static void the_rest_of_a_write_goes_nowhere_else(void **state)
{
    const skua_config alone = {.workers = 1};
    for (int i = 0; i < 2; i++) {
        bool is_vector = i == 1;
        CHECK_INT(skua_run(&alone, write_while_it_goes, &is_vector), 0);
    }
}

static int use_old_transport(void *arg)
{
    int ends[2], others[2];
    char buffer[16] = "";
    char text[] = "xy";
    const struct iovec part = {text, 1}, parts[2] = {{text, 1}, {text + 1, 1}};
    open_pair(ends);
    const skua_transport old = skua_fd_transport(ends[0]), peer = skua_fd_transport(ends[1]);
    CHECK_INT(skua_transport_write(old, parts, 2, SKUA_FOREVER), 2);
    CHECK_INT(skua_transport_read(peer, buffer, sizeof buffer, SKUA_FOREVER), 2);
    skua_transport_close(old);
    open_pair(others);
    CHECK(others[0] == ends[0] || others[1] == ends[0]);
    CHECK_INT(skua_transport_write(old, &part, 1, SKUA_FOREVER), -EBADF);
    CHECK_INT(skua_transport_write(old, parts, 2, SKUA_FOREVER), -EBADF);
    CHECK_INT(skua_transport_read(old, buffer, sizeof buffer, SKUA_FOREVER), -EBADF);
    CHECK_INT(skua_transport_read(skua_fd_transport(-1), buffer, sizeof buffer, SKUA_NOW), -EBADF);
    CHECK_INT(skua_read(others[0], buffer, sizeof buffer, SKUA_NOW), -EAGAIN);
    close_both(others);
    skua_transport_close(peer);
    return 0;
}

static void a_transport_does_not_outlive_its_fd(void **state)
{
    run(use_old_transport, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_rest_of_a_write_goes_nowhere_else),
        TEST(a_transport_does_not_outlive_its_fd),
    };
    return TEST_RUN(tests);
}
