/* Streams: reading and writing, closing, and waiting for the readiness of any fd. Connections are
   io_net_test.c's, files io_file_test.c's. */
#define _GNU_SOURCE 1
#include "base/mem.h"
#include "io_help.h"
#include "mem/forked.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

/* --- reading and writing --- */

enum { PING_ROUNDS = 5000 / TEST_SCALE };

struct table {
    int there[2], back[2];
};

static int pong(void *arg)
{
    struct table *table = arg;
    for (int i = 0; i < PING_ROUNDS; i++) {
        int ball = -1;
        CHECK_INT(skua_read(table->there[0], &ball, sizeof ball, SKUA_FOREVER), sizeof ball);
        CHECK_INT(ball, i);
        CHECK_INT(skua_write(table->back[1], &ball, sizeof ball, SKUA_FOREVER), sizeof ball);
    }
    return 0;
}

static int ping(void *arg)
{
    struct table table;
    open_pipe(table.there);
    open_pipe(table.back);
    skua_task *other = spawn(pong, &table);
    for (int i = 0; i < PING_ROUNDS; i++) {
        int ball = i;
        CHECK_INT(skua_write(table.there[1], &ball, sizeof ball, SKUA_FOREVER), sizeof ball);
        CHECK_INT(skua_read(table.back[0], &ball, sizeof ball, SKUA_FOREVER), sizeof ball);
        CHECK_INT(ball, i);
    }
    CHECK_INT(join(other), 0);
    close_both(table.there);
    close_both(table.back);
    return 0;
}

static void two_tasks_play_ping_pong_over_pipes(void **state)
{
    run(ping, NULL);
}

static int read_and_write(void *arg)
{
    int ends[2];
    open_pair(ends);
    const size_t filled = fill(ends[0]);
    struct one_byte reader = {.fd = ends[0]}, writer = {.fd = ends[0], .byte = 'w'};
    skua_task *reading = park_reader(&reader), *writing = park_writer(&writer);
    CHECK_INT(skua_write(ends[1], "r", 1, SKUA_FOREVER), 1); /* the reader's, not the writer's */
    CHECK_INT(join(reading), 1);
    CHECK_INT(reader.byte, 'r');
    CHECK_INT(skua_join(writing, NULL, SKUA_NOW), -EAGAIN);
    drain(ends[1], filled);
    CHECK_INT(join(writing), 1);
    CHECK_INT(skua_read(ends[1], &reader.byte, 1, SKUA_FOREVER), 1);
    CHECK_INT(reader.byte, 'w');
    close_both(ends);
    return 0;
}

/* covers: D81 */
static void reader_and_writer_are_independent(void **state)
{
    run(read_and_write, NULL);
}

static int read_twice(void *arg)
{
    int ends[2];
    char byte;
    open_pipe(ends);
    struct one_byte first = {.fd = ends[0]};
    skua_task *task = park_reader(&first);
    CHECK_INT(skua_read(ends[0], &byte, 1, SKUA_FOREVER), -EBUSY);
    CHECK_INT(skua_wait_fd(ends[0], SKUA_READABLE, SKUA_FOREVER), -EBUSY);
    CHECK_INT(skua_write(ends[1], "a", 1, SKUA_FOREVER), 1);
    CHECK_INT(join(task), 1);
    CHECK_INT(first.byte, 'a');
    close_both(ends);
    return 0;
}

/* covers: D81 */
static void a_second_reader_is_refused(void **state)
{
    run(read_twice, NULL);
}

static int read_in_vain(void *arg)
{
    char byte;
    return (int)skua_read(*(int *)arg, &byte, 1, SKUA_FOREVER);
}

static int end_reads(void *arg)
{
    int ends[2];
    char bytes[4];
    open_pipe(ends);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(skua_read(ends[0], bytes, 1, skua_after(SKUA_US(100))), -ETIMEDOUT);
        CHECK_INT(skua_read(ends[0], bytes, 1, skua_after(0)), -ETIMEDOUT);
        CHECK_INT(skua_within(skua_after(SKUA_US(100)), read_in_vain, &ends[0]), -ETIMEDOUT);
        struct one_byte reader = {.fd = ends[0]};
        skua_task *task = park_reader(&reader);
        skua_task_cancel(task);
        CHECK_INT(join(task), -ECANCELED);
    }
    CHECK_INT(skua_write(ends[1], "abc", 3, SKUA_FOREVER), 3);
    CHECK_INT(skua_read(ends[0], bytes, sizeof bytes, skua_after(0)), 3); /* nothing was lost */
    CHECK_INT(memcmp(bytes, "abc", 3), 0);
    close_both(ends);
    return 0;
}

/* covers: A43 */
static void reads_end_by_deadline_and_cancel(void **state)
{
    run(end_reads, NULL);
}

static int try_now(void *arg)
{
    int ends[2];
    char byte;
    open_pair(ends);
    CHECK_INT(skua_read(ends[0], &byte, 1, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_wait_fd(ends[0], SKUA_READABLE, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_write(ends[1], "a", 1, SKUA_NOW), 1);
    CHECK_INT(skua_read(ends[0], &byte, 1, SKUA_NOW), 1);
    CHECK(fill(ends[0]) > 0);
    CHECK_INT(skua_wait_fd(ends[0], SKUA_WRITABLE, SKUA_NOW), -EAGAIN);
    close_both(ends);
    return 0;
}

static void now_never_waits(void **state)
{
    run(try_now, NULL);
}

enum { BULK_BYTES = 4 * 1024 * 1024 };

struct bulk {
    int fd;
    unsigned char *data;
    size_t written;
};

static int write_bulk(void *arg)
{
    struct bulk *bulk = arg;
    return skua_write_all(bulk->fd, bulk->data, BULK_BYTES, &bulk->written, SKUA_FOREVER);
}

static int send_bulk(void *arg)
{
    int ends[2];
    static unsigned char buffer[70001];
    struct bulk bulk = {.data = malloc(BULK_BYTES)};
    uint64_t random = test_seed();
    for (size_t i = 0; i < BULK_BYTES; i++) {
        bulk.data[i] = (unsigned char)test_random(&random);
    }
    open_pair(ends);
    bulk.fd = ends[1];
    skua_task *writer = spawn(write_bulk, &bulk);
    size_t at = 0;
    while (at < BULK_BYTES) {
        ssize_t got = skua_read(ends[0], buffer, 1 + at % sizeof buffer, SKUA_FOREVER);
        CHECK(got > 0);
        CHECK_INT(memcmp(buffer, bulk.data + at, (size_t)got), 0);
        at += (size_t)got;
    }
    CHECK_INT(join(writer), 0);
    CHECK_INT(bulk.written, BULK_BYTES);
    close_both(ends);
    free(bulk.data);
    return 0;
}

static void write_all_writes_all(void **state)
{
    run(send_bulk, NULL);
}

static int stop_bulk(void *arg)
{
    int ends[2];
    struct bulk bulk = {.data = calloc(1, BULK_BYTES)};
    open_pair(ends);
    bulk.fd = ends[1];
    skua_task *writer = spawn(write_bulk, &bulk);
    while (!has_waiter(ends[1], 1)) {
        skua_yield();
    }
    skua_task_cancel(writer);
    CHECK_INT(join(writer), -ECANCELED);
    CHECK(bulk.written > 0 && bulk.written < BULK_BYTES);
    close_both(ends);
    free(bulk.data);
    return 0;
}

static void a_cancelled_write_all_tells_how_far_it_came(void **state)
{
    run(stop_bulk, NULL);
}

/* --- closing --- */

static int close_under_waiters(void *arg)
{
    for (int i = 0; i < 200; i++) {
        int ends[2];
        open_pair(ends);
        fill(ends[0]);
        struct one_byte reader = {.fd = ends[0]}, writer = {.fd = ends[0]};
        skua_task *reading = park_reader(&reader), *writing = park_writer(&writer);
        skua_close(ends[0]);
        CHECK_INT(join(reading), -EBADF);
        CHECK_INT(join(writing), -EBADF);
        skua_close(ends[1]);
    }
    return 0;
}

static void close_wakes_those_who_wait(void **state)
{
    run(close_under_waiters, NULL);
}

enum { REUSE_ROUNDS = 10000 / TEST_SCALE };

/* In each round the pipe's number has an event on its way when it is closed, and comes back at once
   as another pipe, with a reader who must get this round's byte and nothing else. */
static int reuse_number(void *arg)
{
    int number = -1;
    for (int i = 0; i < REUSE_ROUNDS; i++) {
        int ends[2];
        open_pipe(ends);
        CHECK(number == -1 || ends[0] == number);
        number = ends[0];
        struct one_byte reader = {.fd = number};
        skua_task *task = spawn(read_byte, &reader);
        if (i % 3 == 0) {
            skua_yield();
        }
        const char byte = (char)i;
        if (i % 2 == 0) {
            CHECK_INT(skua_write(ends[1], &byte, 1, SKUA_FOREVER), 1);
            CHECK_INT(join(task), 1);
            CHECK_INT(reader.byte, byte);
            CHECK_INT(skua_write(ends[1], "x", 1, SKUA_FOREVER), 1); /* the late event */
            skua_close(number);
        } else {
            skua_close(number);
            CHECK_INT(join(task), -EBADF);
        }
        skua_close(ends[1]);
    }
    return 0;
}

static void a_reused_number_wakes_no_stranger(void **state)
{
    run(reuse_number, NULL);
}

static int use_strangers(void *arg)
{
    int ends[2];
    char byte;
    CHECK_INT(pipe(ends), 0);
    CHECK_INT(skua_read(ends[0], &byte, 1, SKUA_NOW), -EBADF);
    CHECK_INT(skua_write(ends[1], "x", 1, SKUA_NOW), -EBADF);
    CHECK_INT(skua_read(-1, &byte, 1, SKUA_NOW), -EBADF);
    CHECK_INT(skua_read(1 << 30, &byte, 1, SKUA_NOW), -EBADF);
    CHECK_INT(skua_accept(ends[0], NULL, NULL, SKUA_NOW), -EBADF);
    CHECK_INT(skua_wait_fd(-1, SKUA_READABLE, SKUA_NOW), -EBADF);
    CHECK_INT(skua_wait_fd(9999, SKUA_READABLE, SKUA_NOW), -EBADF);
    CHECK_INT(skua_fd_adopt(-1), -EBADF);
    CHECK_INT(skua_fd_adopt(9999), -EBADF);
    CHECK_INT(skua_fd_adopt(ends[0]), 0);
    CHECK_INT(skua_fd_adopt(ends[0]), -EEXIST);
    CHECK_INT(skua_accept(ends[0], NULL, NULL, SKUA_FOREVER), -ENOTSOCK);
    skua_close(ends[0]);
    CHECK_INT(skua_read(ends[0], &byte, 1, SKUA_FOREVER), -EBADF);
    close(ends[1]);
    return 0;
}

static void only_adopted_fds_are_used(void **state)
{
    CHECK_INT(skua_fd_adopt(0), -EPERM);
    run(use_strangers, NULL);
}

static int adopt_without_memory(void *arg)
{
    int ends[2];
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    atomic_store(&skua__alloc_budget, 0);
    CHECK_INT(skua_fd_adopt(ends[0]), -ENOMEM); /* no service */
    atomic_store(&skua__alloc_budget, 1);
    CHECK_INT(skua_fd_adopt(ends[0]), -ENOMEM); /* no records */
    atomic_store(&skua__alloc_budget, -1);
    adopt_both(ends); /* nothing is left behind */
    close_both(ends);
    return 0;
}

static void without_memory_nothing_is_adopted(void **state)
{
    run(adopt_without_memory, NULL);
}

static int close_stranger(void *arg)
{
    skua_close(2);
    return 0;
}

/* In a forked child, which would have no runtime if it did not say that it is on its own. */
static void run_close_stranger(void *arg)
{
    skua__process_is_origin();
    (void)!skua_run(NULL, close_stranger, NULL);
}

static void closing_what_was_not_adopted_panics(void **state)
{
    test_dies(run_close_stranger, NULL, "skua_close(2): this file descriptor was not adopted");
}

static int close_behind_its_back(void *arg)
{
    for (int i = 0; i < 2; i++) { /* the second one gets the same number */
        const int fd = skua_open("/dev/null", O_RDONLY, 0, SKUA_FOREVER);
        CHECK(fd >= 0);
        CHECK_INT(close(fd), 0);
    }
    return 0;
}

static void run_close_behind_its_back(void *arg)
{
    skua__process_is_origin();
    (void)!skua_run(NULL, close_behind_its_back, NULL);
}

static void an_adopted_number_that_comes_back_panics(void **state)
{
    test_dies(run_close_behind_its_back, NULL, "which is adopted, was closed by close(2)");
}

static int leave_open(void *arg)
{
    int ends[2];
    open_pipe(ends);
    return 0;
}

static void run_leave_open(void *arg)
{
    skua__process_is_origin();
    (void)!skua_run(NULL, leave_open, NULL);
    abort();
}

static void what_stays_open_is_reported(void **state)
{
    test_dies(run_leave_open, NULL, "2 file descriptors are still open: ");
}

static int read_until_the_end(void *arg)
{
    int *ends = arg;
    char byte;
    CHECK_INT(skua_read(ends[0], &byte, 1, SKUA_FOREVER), -ECANCELED);
    close_both(ends);
    return 0;
}

static int leave_reader(void *arg)
{
    static int ends[2];
    open_pipe(ends);
    return skua_spawn(NULL, read_until_the_end, ends, NULL);
}

static void the_end_of_the_runtime_cancels_readers(void **state)
{
    run(leave_reader, NULL);
}

/* --- foreign threads and foreign fds --- */

static void *echo_on_thread(void *arg)
{
    int *ends = arg;
    char byte;
    CHECK_INT(skua_read(ends[0], &byte, 1, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_read(ends[0], &byte, 1, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    CHECK_INT(skua_wait_fd(ends[0], SKUA_READABLE, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    CHECK_INT(skua_write(ends[0], "g", 1, SKUA_FOREVER), 1); /* go on */
    CHECK_INT(skua_wait_fd(ends[0], SKUA_READABLE, SKUA_FOREVER), SKUA_READABLE);
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(skua_read(ends[0], &byte, 1, SKUA_FOREVER), 1);
        CHECK_INT(skua_write_all(ends[0], &byte, 1, NULL, SKUA_FOREVER), 0);
    }
    CHECK_INT(skua_read(ends[0], &byte, 1, SKUA_FOREVER), 0);
    CHECK_INT(skua_write(ends[0], "x", 1, SKUA_FOREVER), -EPIPE); /* and no SIGPIPE */
    return NULL;
}

static int talk_to_thread(void *arg)
{
    int ends[2];
    pthread_t thread;
    char byte;
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_INT(skua_fd_adopt(ends[1]), 0);
    CHECK_INT(pthread_create(&thread, NULL, echo_on_thread, ends), 0);
    CHECK_INT(skua_read(ends[1], &byte, 1, SKUA_FOREVER), 1);
    for (int i = 0; i < 1000; i++) {
        const char sent = (char)i;
        CHECK_INT(skua_write(ends[1], &sent, 1, SKUA_FOREVER), 1);
        CHECK_INT(skua_read(ends[1], &byte, 1, SKUA_FOREVER), 1);
        CHECK_INT(byte, sent);
    }
    skua_close(ends[1]);
    CHECK_INT(pthread_join(thread, NULL), 0);
    close(ends[0]);
    return 0;
}

/* covers: A70 */
static void foreign_threads_read_and_write(void **state)
{
    run(talk_to_thread, NULL);
}

struct foreign_wait {
    int fd, events;
};

static int wait_for_foreign(void *arg)
{
    struct foreign_wait *wait = arg;
    return skua_wait_fd(wait->fd, wait->events, SKUA_FOREVER);
}

static skua_task *park_foreign(struct foreign_wait *wait)
{
    skua_task *task = spawn(wait_for_foreign, wait);
    while (!has_waiter(wait->fd, (wait->events & SKUA_READABLE) != 0 ? 0 : 1)) {
        skua_yield();
    }
    return task;
}

static int wait_twice(void *arg)
{
    int ends[2];
    char byte;
    CHECK_INT(pipe(ends), 0);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(skua_wait_fd(ends[0], SKUA_READABLE, SKUA_NOW), -EAGAIN);
        CHECK_INT(skua_wait_fd(ends[0], SKUA_READABLE, skua_after(SKUA_US(50))), -ETIMEDOUT);
        struct foreign_wait wait = {.fd = ends[0], .events = SKUA_READABLE};
        skua_task *task = park_foreign(&wait);
        CHECK_INT(skua_fd_adopt(ends[0]), -EBUSY);
        CHECK_INT(write(ends[1], "a", 1), 1);
        CHECK_INT(join(task), SKUA_READABLE);
        CHECK_INT(skua_wait_fd(ends[0], SKUA_READABLE, SKUA_FOREVER), SKUA_READABLE);
        CHECK_INT(read(ends[0], &byte, 1), 1);
    }
    close(ends[1]);
    CHECK_INT(skua_wait_fd(ends[0], SKUA_READABLE, SKUA_FOREVER), SKUA_READABLE);
    close(ends[0]);
    CHECK_INT(skua_wait_fd(ends[0], SKUA_READABLE, SKUA_FOREVER), -EBADF);
    return 0;
}

/* covers: A84 */
static void a_foreign_pipe_is_waited_for_again_and_again(void **state)
{
    run(wait_twice, NULL);
}

static void fill_plain(int fd)
{
    static const char zeros[4096];
    CHECK_INT(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while (write(fd, zeros, sizeof zeros) > 0) {}
}

static int wait_both_ways(void *arg)
{
    for (int i = 0; i < 100; i++) {
        int ends[2];
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        fill_plain(ends[0]);
        struct foreign_wait reader = {.fd = ends[0], .events = SKUA_READABLE};
        struct foreign_wait writer = {.fd = ends[0], .events = SKUA_WRITABLE};
        skua_task *reading = park_foreign(&reader), *writing = park_foreign(&writer);
        CHECK_INT(skua_wait_fd(ends[0], SKUA_READABLE | SKUA_WRITABLE, SKUA_FOREVER), -EBUSY);
        if (i % 2 == 0) {
            CHECK_INT(write(ends[1], "r", 1), 1);
            CHECK_INT(join(reading), SKUA_READABLE);
            skua_task_cancel(writing);
            CHECK_INT(join(writing), -ECANCELED);
        } else {
            skua_task_cancel(reading);
            CHECK_INT(join(reading), -ECANCELED);
            close(ends[1]);
            CHECK_INT(join(writing), SKUA_WRITABLE);
        }
        close(ends[0]);
        if (i % 2 == 0) {
            close(ends[1]);
        }
    }
    return 0;
}

static void two_tasks_wait_for_one_foreign_fd(void **state)
{
    run(wait_both_ways, NULL);
}

static int wait_for_either(void *arg)
{
    int ends[2];
    const int both = SKUA_READABLE | SKUA_WRITABLE;
    open_pair(ends);
    CHECK_INT(skua_wait_fd(ends[0], both, SKUA_FOREVER), SKUA_WRITABLE);
    fill(ends[0]);
    struct foreign_wait wait = {.fd = ends[0], .events = both};
    skua_task *task = park_foreign(&wait);
    CHECK_INT(skua_write(ends[1], "r", 1, SKUA_FOREVER), 1);
    CHECK_INT(join(task), SKUA_READABLE);
    CHECK_INT(skua_wait_fd(ends[0], 0, SKUA_FOREVER), -EINVAL);
    skua_close(ends[1]);
    CHECK_INT(skua_wait_fd(ends[0], both, SKUA_FOREVER), both);
    skua_close(ends[0]);
    return 0;
}

static void one_task_waits_for_either_direction(void **state)
{
    run(wait_for_either, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First those that fork: no runtime may have been there before. */
        TEST(closing_what_was_not_adopted_panics),
        TEST(an_adopted_number_that_comes_back_panics),
        TEST(what_stays_open_is_reported),
        TEST(two_tasks_play_ping_pong_over_pipes),
        TEST(reader_and_writer_are_independent),
        TEST(a_second_reader_is_refused),
        TEST(reads_end_by_deadline_and_cancel),
        TEST(now_never_waits),
        TEST(write_all_writes_all),
        TEST(a_cancelled_write_all_tells_how_far_it_came),
        TEST(close_wakes_those_who_wait),
        TEST(a_reused_number_wakes_no_stranger),
        TEST(only_adopted_fds_are_used),
        TEST(without_memory_nothing_is_adopted),
        TEST(the_end_of_the_runtime_cancels_readers),
        TEST(foreign_threads_read_and_write),
        TEST(a_foreign_pipe_is_waited_for_again_and_again),
        TEST(two_tasks_wait_for_one_foreign_fd),
        TEST(one_task_waits_for_either_direction),
    };
    return TEST_RUN(tests);
}
