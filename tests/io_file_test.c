/* Files: opening, reading and writing what lies on a disk, and the standard streams. */
#define _GNU_SOURCE 1
#include "io_help.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

static char folder[64];

static int make_folder(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/skua-io-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    return rmdir(folder);
}

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* --- regular files --- */

enum { FILE_BYTES = 300001 };

static void write_file(const char *path, const char *data)
{
    const int fd = skua_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644, SKUA_FOREVER);
    size_t written = 0;
    CHECK(fd >= 0);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_INT(skua_write_all(fd, data, FILE_BYTES, &written, SKUA_FOREVER), 0);
    CHECK_INT(written, FILE_BYTES);
    skua_close(fd);
}

static void read_file(const char *path, const char *data, bool is_cached)
{
    static char buffer[FILE_BYTES];
    const int fd = skua_open(path, O_RDONLY, 0, SKUA_FOREVER);
    size_t at = 0;
    ssize_t got = 1;
    CHECK(fd >= 0);
    if (!is_cached) {
        CHECK_INT(fsync(fd), 0);
        CHECK_INT(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    }
    while (got > 0) {
        got = skua_read(fd, buffer + at, 7001 < FILE_BYTES - at ? 7001 : FILE_BYTES - at + 1,
                        SKUA_FOREVER);
        CHECK(got >= 0);
        at += (size_t)got;
    }
    CHECK_INT(at, FILE_BYTES);
    CHECK_INT(memcmp(buffer, data, FILE_BYTES), 0);
    CHECK_INT(skua_read(fd, buffer, 1, SKUA_FOREVER), 0); /* the end stays the end */
    CHECK_INT(skua_wait_fd(fd, SKUA_READABLE, SKUA_NOW), SKUA_READABLE);
    CHECK_INT(skua_accept(fd, NULL, NULL, SKUA_FOREVER), -ENOTSOCK);
    skua_close(fd);
}

static int write_and_read(void *arg)
{
    static char data[FILE_BYTES];
    uint64_t random = test_seed();
    for (size_t i = 0; i < FILE_BYTES; i++) {
        data[i] = (char)test_random(&random);
    }
    write_file(path_of("data"), data);
    read_file(path_of("data"), data, true);
    read_file(path_of("data"), data, false);
    CHECK_INT(unlink(path_of("data")), 0);
    return 0;
}

static void a_file_is_written_and_read_to_its_end(void **state)
{
    run(write_and_read, NULL);
}

static int use_memory(void *arg)
{
    char bytes[4] = "1234";
    const int fd = memfd_create("skua-test", MFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_INT(skua_fd_adopt(fd), 0);
    CHECK_INT(skua_write(fd, bytes, 4, SKUA_FOREVER), 4); /* it is learned what it lies on */
    CHECK_INT(skua_write(fd, bytes, 4, SKUA_NOW), 4);
    CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(skua_read(fd, bytes, 4, SKUA_NOW), 4);
        CHECK_INT(memcmp(bytes, "1234", 4), 0);
    }
    CHECK_INT(skua_read(fd, bytes, 4, SKUA_NOW), 0);
    skua_close(fd);
    return 0;
}

static void a_file_in_memory_is_never_waited_for(void **state)
{
    run(use_memory, NULL);
}

static int open_badly(void *arg)
{
    char byte;
    CHECK_INT(skua_open(path_of("missing"), O_RDONLY, 0, SKUA_FOREVER), -ENOENT);
    CHECK_INT(skua_open(path_of("missing"), O_RDONLY, 0, SKUA_FOREVER), -ENOENT);
    CHECK_INT(skua_open(folder, O_WRONLY, 0, SKUA_FOREVER), -EISDIR);
    CHECK_INT(skua_open(path_of(""), O_WRONLY | O_CREAT, 0644, SKUA_FOREVER), -EISDIR);
    const int fd = skua_open(folder, O_RDONLY | O_DIRECTORY, 0, SKUA_FOREVER);
    CHECK(fd >= 0);
    CHECK_INT(skua_read(fd, &byte, 1, SKUA_FOREVER), -EISDIR);
    skua_close(fd);
    return 0;
}

static void what_open_says_is_returned(void **state)
{
    run(open_badly, NULL);
}

static int open_cancelled(void *arg)
{
    const int flags = O_WRONLY | O_CREAT;
    CHECK_INT(skua_open(path_of("never"), flags, 0644, SKUA_FOREVER), -ECANCELED);
    CHECK_INT(access(path_of("never"), F_OK), -1);
    return -ECANCELED;
}

static int open_in_cancelled_scope(void *arg)
{
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_scope_cancel(&scope);
    return skua_scope_close(&scope, open_cancelled(NULL));
}

static void a_cancelled_task_opens_nothing(void **state)
{
    run(open_in_cancelled_scope, NULL);
}

static int use_devices(void *arg)
{
    char bytes[16];
    const int null = skua_open("/dev/null", O_RDWR, 0, SKUA_FOREVER);
    const int zero = skua_open("/dev/zero", O_RDONLY, 0, SKUA_FOREVER);
    CHECK(null >= 0 && zero >= 0);
    CHECK_INT(skua_write(null, bytes, sizeof bytes, SKUA_FOREVER), sizeof bytes);
    CHECK_INT(skua_read(null, bytes, sizeof bytes, SKUA_FOREVER), 0);
    CHECK_INT(skua_read(zero, bytes, sizeof bytes, SKUA_FOREVER), sizeof bytes);
    skua_close(null);
    skua_close(zero);
    return 0;
}

static void devices_that_epoll_refuses_work(void **state)
{
    run(use_devices, NULL);
}

static int meet_in_fifo(void *arg)
{
    char byte;
    CHECK_INT(mkfifo(path_of("fifo"), 0600), 0);
    CHECK_INT(skua_open(path_of("fifo"), O_WRONLY, 0, SKUA_FOREVER), -ENXIO); /* no reader */
    const int in = skua_open(path_of("fifo"), O_RDONLY, 0, SKUA_FOREVER);
    const int out = skua_open(path_of("fifo"), O_WRONLY, 0, SKUA_FOREVER);
    CHECK(in >= 0 && out >= 0);
    CHECK_INT(skua_read(in, &byte, 1, skua_after(SKUA_US(50))), -ETIMEDOUT);
    CHECK_INT(skua_write(out, "f", 1, SKUA_FOREVER), 1);
    CHECK_INT(skua_read(in, &byte, 1, SKUA_FOREVER), 1);
    CHECK_INT(byte, 'f');
    skua_close(out);
    CHECK_INT(skua_read(in, &byte, 1, SKUA_FOREVER), 0);
    skua_close(in);
    CHECK_INT(unlink(path_of("fifo")), 0);
    return 0;
}

static void a_fifo_opens_at_once(void **state)
{
    run(meet_in_fifo, NULL);
}

enum { READERS = 16, READER_ROUNDS = 200 };

static int read_often(void *arg)
{
    char buffer[512];
    for (int i = 0; i < READER_ROUNDS; i++) {
        const int fd = skua_open("/proc/self/status", O_RDONLY, 0, SKUA_FOREVER);
        CHECK(fd >= 0);
        CHECK(skua_read(fd, buffer, sizeof buffer, SKUA_FOREVER) > 0);
        skua_close(fd);
    }
    return 0;
}

static int read_often_at_once(void *arg)
{
    skua_task *tasks[READERS];
    for (int i = 0; i < READERS; i++) {
        CHECK_INT(skua_spawn(&tasks[i], read_often, NULL, NULL), 0);
    }
    for (int i = 0; i < READERS; i++) {
        int status = -1;
        CHECK_INT(skua_join(tasks[i], &status, SKUA_FOREVER), 0);
        CHECK_INT(status, 0);
    }
    skua_task_release_all(tasks, READERS);
    return 0;
}

static void many_tasks_read_files_at_once(void **state)
{
    run(read_often_at_once, NULL);
}

static void a_foreign_thread_reads_a_file(void **state)
{
    char byte;
    const int fd = skua_open("/proc/self/status", O_RDONLY, 0, SKUA_FOREVER);
    CHECK(fd >= 0);
    CHECK_INT(skua_read(fd, &byte, 1, SKUA_FOREVER), 1);
    CHECK_INT(byte, 'N');
    skua_close(fd);
    CHECK_INT(fcntl(fd, F_GETFD), -1);
    CHECK_INT(skua_open(path_of("missing"), O_RDONLY, 0, SKUA_FOREVER), -ENOENT);
}

/* --- standard streams --- */

static int read_one(void *arg)
{
    char byte = 0;
    const ssize_t got = skua_read(0, &byte, 1, SKUA_FOREVER);
    return got == 1 ? byte : (int)got;
}

/* A reader of standard input that is parked when this returns. */
static skua_task *park_on_stdin(void)
{
    skua_task *task = NULL;
    CHECK_INT(skua_spawn(&task, read_one, NULL, NULL), 0);
    while (!has_waiter(0, 0)) {
        skua_yield();
    }
    return task;
}

/* Standard input is something whose other side is `other`. */
static void use_stdin(int other)
{
    char byte;
    CHECK_INT(skua_fd_adopt(0), 0);
    CHECK_INT(fcntl(0, F_GETFL) & O_NONBLOCK, 0);
    CHECK_INT(skua_read(0, &byte, 1, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_read(0, &byte, 1, skua_after(SKUA_US(50))), -ETIMEDOUT);
    skua_task *task = park_on_stdin();
    CHECK_INT(skua_read(0, &byte, 1, SKUA_FOREVER), -EBUSY);
    CHECK_INT(write(other, "s", 1), 1);
    CHECK_INT(join(task), 's');
    task = park_on_stdin();
    skua_task_cancel(task);
    CHECK_INT(join(task), -ECANCELED);
    task = park_on_stdin();
    skua_close(0);
    CHECK_INT(join(task), -EBADF);
}

/* So that a byte arrives without a newline. */
static void make_raw(int terminal)
{
    struct termios mode;
    CHECK_INT(tcgetattr(terminal, &mode), 0);
    cfmakeraw(&mode);
    CHECK_INT(tcsetattr(terminal, TCSANOW, &mode), 0);
}

static int read_stdin(void *arg)
{
    const int saved = dup(0);
    for (int kind = 0; kind < 3; kind++) {
        int ends[2];
        if (kind == 0) {
            CHECK_INT(pipe(ends), 0);
        } else if (kind == 1) {
            CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        } else { /* a terminal */
            ends[1] = posix_openpt(O_RDWR | O_NOCTTY);
            CHECK_INT(grantpt(ends[1]), 0);
            CHECK_INT(unlockpt(ends[1]), 0);
            ends[0] = open(ptsname(ends[1]), O_RDWR | O_NOCTTY);
            make_raw(ends[0]);
        }
        CHECK_INT(dup2(ends[0], 0), 0);
        use_stdin(ends[1]);
        close(ends[0]);
        close(ends[1]);
        CHECK_INT(dup2(saved, 0), 0); /* lest the next pair gets the number */
    }
    close(saved);
    return 0;
}

static void standard_input_stays_blocking_and_does_not_block(void **state)
{
    run(read_stdin, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_written_and_read_to_its_end),
        TEST(a_file_in_memory_is_never_waited_for),
        TEST(what_open_says_is_returned),
        TEST(a_cancelled_task_opens_nothing),
        TEST(devices_that_epoll_refuses_work),
        TEST(a_fifo_opens_at_once),
        TEST(many_tasks_read_files_at_once),
        TEST(a_foreign_thread_reads_a_file),
        TEST(standard_input_stays_blocking_and_does_not_block),
    };
    make_folder(NULL);
    const int failed = TEST_RUN(tests);
    remove_folder(NULL);
    return failed;
}
