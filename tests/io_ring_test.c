/* Operations on files as completions: every operation and its errors, cancels and deadlines while
   the kernel has the buffer, more operations than a ring takes, and what happens without a ring. */
#define _GNU_SOURCE 1
#include "io_help.h"

#include "base/mem.h"
#include "io/completion.h"

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

static char folder[64];

static int make_folder(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/skua-ring-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    return rmdir(folder);
}

static struct skua__io *io(void)
{
    struct skua__io *here = NULL;
    CHECK_INT(skua__io_get(&here), 0);
    return here;
}

static ssize_t do_op(const struct skua__file_op *op)
{
    return skua__ring_do(io(), op, SKUA_FOREVER);
}

/* SKUA_IO is read by each runtime when its I/O begins. */
static void run_on(uint32_t workers, const char *choice, skua_fn fn, void *arg)
{
    const skua_config config = {.workers = workers};
    const int fds = test_fds();
    CHECK_INT(setenv("SKUA_IO", choice, 1), 0);
    CHECK_INT(skua_run(&config, fn, arg), 0);
    CHECK_INT(unsetenv("SKUA_IO"), 0);
    CHECK_INT(test_fds(), fds);
}

static void run_on_1_2_4(skua_fn fn, void *arg)
{
    run_on(1, "uring", fn, arg);
    run_on(2, "uring", fn, arg);
    run_on(4, "uring", fn, arg);
}

static struct skua__file_op read_of(int fd, void *buffer, size_t bytes, int64_t offset)
{
    return (struct skua__file_op){
        .code = SKUA__OP_READ, .fd = fd, .buffer = buffer, .bytes = bytes, .offset = offset};
}

/* A pipe that nobody has adopted and that is not non-blocking: the kernel waits on it for us. */
static void plain_pipe(int ends[2])
{
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
}

static void close_plain(const int ends[2])
{
    CHECK_INT(close(ends[0]), 0);
    CHECK_INT(close(ends[1]), 0);
}

/* --- each operation --------------------------------------------------------------------------- */

struct names {
    char folder[160], file[192], other[192];
};

static void transfer_both_ways(int fd)
{
    char buffer[11] = "hello world", back[11] = "", first[5] = "", second[6] = "";
    struct skua__file_op op = {
        .code = SKUA__OP_WRITE, .fd = fd, .buffer = buffer, .bytes = 11, .offset = 5};
    CHECK_INT(do_op(&op), 11);
    op = read_of(fd, back, sizeof back, 5);
    CHECK_INT(do_op(&op), 11);
    CHECK_INT(memcmp(back, buffer, 11), 0);

    const struct iovec out[2] = {{buffer + 6, 5}, {buffer, 6}};
    const struct iovec in[2] = {{first, 5}, {second, 6}};
    op = (struct skua__file_op){.code = SKUA__OP_WRITEV, .fd = fd, .parts = out, .bytes = 2};
    CHECK_INT(do_op(&op), 11);
    op = (struct skua__file_op){.code = SKUA__OP_READV, .fd = fd, .parts = in, .bytes = 2};
    CHECK_INT(do_op(&op), 11);
    CHECK_INT(memcmp(first, "world", 5), 0);
    CHECK_INT(memcmp(second, "hello ", 6), 0);
    op = read_of(fd, back, sizeof back, 1000);
    CHECK_INT(do_op(&op), 0);
}

static void make_durable(int fd, const char *path)
{
    struct statx status;
    struct skua__file_op op = {.code = SKUA__OP_FSYNC, .fd = fd};
    CHECK_INT(do_op(&op), 0);
    op = (struct skua__file_op){.code = SKUA__OP_FDATASYNC, .fd = fd};
    CHECK_INT(do_op(&op), 0);
    op = (struct skua__file_op){.code = SKUA__OP_ALLOCATE, .fd = fd, .bytes = 8192};
    CHECK_INT(do_op(&op), 0);
    op = (struct skua__file_op){
        .code = SKUA__OP_STATX, .fd = AT_FDCWD, .path = path, .mask = STATX_SIZE, .statx = &status};
    CHECK_INT(do_op(&op), 0);
    CHECK_INT(status.stx_size, 8192);
}

static int do_each(void *arg)
{
    struct names names;
    snprintf(names.folder, sizeof names.folder, "%s/%d", folder, *(int *)arg);
    snprintf(names.file, sizeof names.file, "%s/file", names.folder);
    snprintf(names.other, sizeof names.other, "%s/other", names.folder);
    struct skua__file_op op = {
        .code = SKUA__OP_MKDIR, .fd = AT_FDCWD, .path = names.folder, .mode = 0700};
    CHECK_INT(do_op(&op), 0);
    CHECK_INT(do_op(&op), -EEXIST);

    op = (struct skua__file_op){.code = SKUA__OP_OPEN,
                                .fd = AT_FDCWD,
                                .path = names.file,
                                .flags = O_RDWR | O_CREAT | O_EXCL,
                                .mode = 0600};
    const int fd = (int)do_op(&op);
    CHECK(fd >= 0);
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK_INT(do_op(&op), -EEXIST);
    transfer_both_ways(fd);
    make_durable(fd, names.file);
    CHECK_INT(close(fd), 0);

    op = (struct skua__file_op){.code = SKUA__OP_RENAME,
                                .fd = AT_FDCWD,
                                .path = names.file,
                                .fd_to = AT_FDCWD,
                                .path_to = names.other};
    CHECK_INT(do_op(&op), 0);
    CHECK_INT(do_op(&op), -ENOENT);
    op = (struct skua__file_op){.code = SKUA__OP_UNLINK, .fd = AT_FDCWD, .path = names.other};
    CHECK_INT(do_op(&op), 0);
    CHECK_INT(do_op(&op), -ENOENT);
    op = (struct skua__file_op){
        .code = SKUA__OP_UNLINK, .fd = AT_FDCWD, .path = names.folder, .flags = AT_REMOVEDIR};
    CHECK_INT(do_op(&op), 0);
    return 0;
}

static int do_each_at_once(void *arg)
{
    enum { TASKS = 20 };
    skua_task *tasks[TASKS];
    int numbers[TASKS];
    for (int i = 0; i < TASKS; i++) {
        numbers[i] = i;
        tasks[i] = spawn(do_each, &numbers[i]);
    }
    for (int i = 0; i < TASKS; i++) {
        CHECK_INT(join(tasks[i]), 0);
    }
    CHECK_STR(skua_io_backend(), "epoll, files by io_uring");
    return 0;
}

static void every_operation_gives_what_the_system_call_gives(void **state)
{
    run_on_1_2_4(do_each_at_once, NULL);
}

static int do_badly(void *arg)
{
    char byte;
    struct skua__file_op op = read_of(-1, &byte, 1, 0);
    CHECK_INT(do_op(&op), -EBADF);
    const int fd = open(folder, O_RDONLY | O_CLOEXEC);
    op = read_of(fd, &byte, 1, 0);
    CHECK_INT(do_op(&op), -EISDIR);
    op = (struct skua__file_op){.code = SKUA__OP_WRITE, .fd = fd, .buffer = &byte, .bytes = 1};
    CHECK_INT(do_op(&op), -EBADF);
    CHECK_INT(close(fd), 0);
    CHECK_INT(skua__ring_do(io(), &op, SKUA_NOW), -EAGAIN);
    return 0;
}

static void errors_are_those_of_the_system_call(void **state)
{
    run_on_1_2_4(do_badly, NULL);
}

/* --- giving up -------------------------------------------------------------------------------- */

struct reader {
    int fd;
    skua_time deadline;
    char buffer[8];
};

static int read_pipe(void *arg)
{
    struct reader *reader = arg;
    const struct skua__file_op op =
        read_of(reader->fd, reader->buffer, sizeof reader->buffer, SKUA__OFFSET_OWN);
    return (int)skua__ring_do(io(), &op, reader->deadline);
}

/* What comes later is still in the pipe, and not in the buffer. */
static void check_untouched(const int ends[2], const struct reader *reader)
{
    char byte = 0;
    const char untouched[sizeof reader->buffer] = "-------";
    CHECK_INT(write(ends[1], "x", 1), 1);
    CHECK_INT(memcmp(reader->buffer, untouched, sizeof untouched), 0);
    CHECK_INT(read(ends[0], &byte, 1), 1);
    CHECK_INT(byte, 'x');
}

static int cancel_readers(void *arg)
{
    for (int i = 0; i < 100; i++) {
        int ends[2];
        plain_pipe(ends);
        struct reader reader = {.fd = ends[0], .buffer = "-------"};
        skua_task *task = spawn(read_pipe, &reader);
        for (int turns = 0; turns < i; turns++) {
            CHECK_INT(skua_yield(), 0);
        }
        skua_task_cancel(task);
        CHECK_INT(join(task), -ECANCELED);
        check_untouched(ends, &reader);
        close_plain(ends);
    }
    return 0;
}

static void a_cancelled_read_leaves_the_buffer_alone(void **state)
{
    run_on_1_2_4(cancel_readers, NULL);
}

static int time_out_readers(void *arg)
{
    for (int i = 0; i < 20; i++) {
        int ends[2];
        plain_pipe(ends);
        struct reader reader = {
            .fd = ends[0], .deadline = skua_after(SKUA_US(100 * i)), .buffer = "-------"};
        CHECK_INT(read_pipe(&reader), -ETIMEDOUT);
        check_untouched(ends, &reader);
        reader.deadline = SKUA_FOREVER;
        CHECK_INT(skua_within(skua_after(SKUA_US(100 * i)), read_pipe, &reader), -ETIMEDOUT);
        check_untouched(ends, &reader);
        close_plain(ends);
    }
    return 0;
}

static void a_read_ends_at_its_deadline(void **state)
{
    run_on_1_2_4(time_out_readers, NULL);
}

struct storm {
    int ends[2];
    _Atomic int went_in, came_out;
    _Atomic bool is_over;
};

/* A read that was given up has taken nothing; any other reports what it took. */
static int read_in_storm(void *arg)
{
    struct storm *storm = arg;
    uint64_t random = test_seed() + (uintptr_t)&random;
    while (!atomic_load(&storm->is_over)) {
        struct reader reader = {.fd = storm->ends[0]};
        reader.deadline = skua_after(SKUA_US((int64_t)(test_random(&random) % 200)));
        const int got = read_pipe(&reader);
        CHECK(got > 0 || got == -ETIMEDOUT);
        atomic_fetch_add(&storm->came_out, got > 0 ? got : 0);
    }
    return 0;
}

static int storm_body(void *arg)
{
    enum { READERS = 8, WRITES = 2000 / TEST_SCALE };
    struct storm storm = {0};
    skua_task *readers[READERS];
    uint64_t random = test_seed();
    plain_pipe(storm.ends);
    for (int i = 0; i < READERS; i++) {
        readers[i] = spawn(read_in_storm, &storm);
    }
    for (int i = 0; i < WRITES; i++) {
        const int bytes = 1 + (int)(test_random(&random) % 8);
        CHECK_INT(write(storm.ends[1], "12345678", (size_t)bytes), bytes);
        atomic_fetch_add(&storm.went_in, bytes);
        if (i % 4 == 0) {
            CHECK_INT(skua_sleep(skua_after(SKUA_US((int64_t)(test_random(&random) % 100)))), 0);
        }
        CHECK_INT(skua_yield(), 0);
    }
    atomic_store(&storm.is_over, true);
    for (int i = 0; i < READERS; i++) {
        CHECK_INT(join(readers[i]), 0);
    }
    char rest[8];
    CHECK_INT(close(storm.ends[1]), 0);
    for (ssize_t got; (got = read(storm.ends[0], rest, sizeof rest)) > 0;) {
        storm.came_out += (int)got;
    }
    CHECK_INT(storm.came_out, storm.went_in);
    CHECK_INT(close(storm.ends[0]), 0);
    return 0;
}

static void no_byte_is_lost_between_a_deadline_and_a_completion(void **state)
{
    run_on_1_2_4(storm_body, NULL);
}

/* --- many ------------------------------------------------------------------------------------- */

struct crowd {
    int fd;
    _Atomic int refused, full, ended;
};

static int read_in_crowd(void *arg)
{
    struct crowd *crowd = arg;
    struct reader reader = {.fd = crowd->fd};
    const int got = read_pipe(&reader);
    CHECK(got == 8 || got == 0 || got == -ENOSYS);
    atomic_fetch_add(got == 8 ? &crowd->full : got == 0 ? &crowd->ended : &crowd->refused, 1);
    return 0;
}

/* Readers of a pipe that nobody writes to yet, until one is refused. On a busy machine stand-ins
   come to help, and have rings too. */
static int fill_ring(void *arg)
{
    enum { WRITES = SKUA__COMPLETIONS_MAX / 2, TASKS_MAX = 32 * SKUA__COMPLETIONS_MAX };
    static skua_task *tasks[TASKS_MAX];
    struct crowd crowd = {0};
    int ends[2], count = 0;
    plain_pipe(ends);
    crowd.fd = ends[0];
    while (atomic_load(&crowd.refused) == 0) {
        CHECK(count < TASKS_MAX);
        tasks[count++] = spawn(read_in_crowd, &crowd);
        CHECK_INT(skua_yield(), 0);
    }
    for (int i = 0; i < WRITES; i++) {
        CHECK_INT(write(ends[1], "12345678", 8), 8);
    }
    CHECK_INT(close(ends[1]), 0); /* end of file for the others */
    for (int i = 0; i < count; i++) {
        CHECK_INT(join(tasks[i]), 0);
    }
    CHECK(count > SKUA__COMPLETIONS_MAX);
    CHECK_INT(atomic_load(&crowd.full), WRITES);
    CHECK_INT(crowd.full + crowd.ended + crowd.refused, count);
    const int refused = atomic_load(&crowd.refused);
    CHECK_INT(read_in_crowd(&crowd), 0);
    CHECK_INT(atomic_load(&crowd.refused), refused); /* there is room again */
    CHECK_INT(close(ends[0]), 0);
    return 0;
}

static void who_finds_the_ring_full_is_told_so(void **state)
{
    run_on(1, "uring", fill_ring, NULL);
}

enum { BLOCK = 4096, BLOCKS = 512, COLD_TASKS = 3000 / TEST_SCALE };

struct cold {
    int fd;
    _Atomic int next;
};

static int open_blocks(int flags)
{
    char path[128];
    static uint32_t block[BLOCK / sizeof(uint32_t)];
    snprintf(path, sizeof path, "%s/blocks", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        for (size_t word = 0; word < sizeof block / sizeof block[0]; word++) {
            block[word] = i;
        }
        CHECK_INT(write(fd, block, BLOCK), BLOCK);
    }
    CHECK_INT(close(fd), 0);
    fd = open(path, O_RDWR | O_CLOEXEC | flags);
    CHECK(fd >= 0);
    CHECK_INT(unlink(path), 0);
    return fd;
}

static void make_cold(int fd)
{
    CHECK_INT(fsync(fd), 0);
    CHECK_INT(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
}

static int read_a_block(void *arg)
{
    struct cold *cold = arg;
    uint32_t block[BLOCK / sizeof(uint32_t)];
    const uint32_t index = (uint32_t)atomic_fetch_add(&cold->next, 1) * 7 % BLOCKS;
    const struct skua__file_op op = read_of(cold->fd, block, BLOCK, (int64_t)index * BLOCK);
    CHECK_INT(skua__op_do(&op, SKUA_FOREVER), BLOCK);
    CHECK_INT(block[0], index);
    CHECK_INT(block[BLOCK / sizeof(uint32_t) - 1], index);
    return 0;
}

static int read_cold(void *arg)
{
    static skua_task *tasks[COLD_TASKS];
    struct cold cold = {.fd = open_blocks(*(int *)arg)};
    make_cold(cold.fd);
    for (int i = 0; i < COLD_TASKS; i++) {
        tasks[i] = spawn(read_a_block, &cold);
    }
    for (int i = 0; i < COLD_TASKS; i++) {
        CHECK_INT(join(tasks[i]), 0);
    }
    CHECK_INT(close(cold.fd), 0);
    return 0;
}

static void thousands_of_cold_reads_are_in_flight(void **state)
{
    int flags = 0;
    run_on_1_2_4(read_cold, &flags);
    run_on(2, "auto", read_cold, &flags);
    run_on(2, "epoll", read_cold, &flags);
    flags = O_NONBLOCK;
    run_on(2, "uring", read_cold, &flags);
}

/* --- the file's own position ------------------------------------------------------------------ */

struct sequel {
    int fd;
    _Atomic int seen[BLOCKS];
};

static int read_on(void *arg)
{
    struct sequel *sequel = arg;
    uint32_t block[BLOCK / sizeof(uint32_t)];
    ssize_t got;
    while ((got = skua_read(sequel->fd, block, BLOCK, SKUA_FOREVER)) > 0) {
        CHECK_INT(got, BLOCK);
        CHECK_INT(block[0], block[BLOCK / sizeof(uint32_t) - 1]);
        atomic_fetch_add(&sequel->seen[block[0]], 1);
    }
    return (int)got;
}

static int read_together(void *arg)
{
    enum { READERS = 4 };
    static struct sequel sequel;
    skua_task *readers[READERS];
    memset(&sequel, 0, sizeof sequel);
    sequel.fd = open_blocks(0);
    make_cold(sequel.fd);
    CHECK_INT(skua_fd_adopt(sequel.fd), 0);
    for (int i = 0; i < READERS; i++) {
        readers[i] = spawn(read_on, &sequel);
    }
    for (int i = 0; i < READERS; i++) {
        CHECK_INT(join(readers[i]), 0);
    }
    for (int i = 0; i < BLOCKS; i++) {
        CHECK_INT(sequel.seen[i], 1);
    }
    skua_close(sequel.fd);
    return 0;
}

static void several_readers_of_one_file_get_each_block_once(void **state)
{
    run_on_1_2_4(read_together, NULL);
}

/* --- who chooses ------------------------------------------------------------------------------ */

static int ask_backend(void *arg)
{
    char byte;
    const struct skua__file_op op = read_of(STDIN_FILENO, &byte, 0, 0);
    CHECK_STR(skua_io_backend(), "epoll"); /* before anything wants a ring */
    const ssize_t got = skua__op_do(&op, SKUA_FOREVER);
    (void)got; /* whatever standard input is */
    CHECK_STR(skua_io_backend(), arg);
    return 0;
}

static void a_ring_is_made_when_it_is_wanted(void **state)
{
    CHECK_STR(skua_io_backend(), "poll");
    run_on(2, "epoll", ask_backend, (void *)(uintptr_t) "epoll");
    run_on(2, "uring", ask_backend, (void *)(uintptr_t) "epoll, files by io_uring");
    run_on(2, "auto", ask_backend, (void *)(uintptr_t) "epoll, files by io_uring");
}

static int dump_backend(void *arg)
{
    char text[4096] = "";
    int ends[2];
    plain_pipe(ends);
    const struct skua__file_op op = read_of(ends[0], text, 0, 0);
    CHECK_INT(do_op(&op), 0);
    skua_dump(NULL, ends[1]);
    CHECK(read(ends[0], text, sizeof text - 1) > 0);
    CHECK(strstr(text, ", epoll, files by io_uring") != NULL);
    close_plain(ends);
    return 0;
}

static void a_dump_names_the_back_end(void **state)
{
    run_on(1, "uring", dump_backend, NULL);
}

/* No fd is to be had for a ring: the pool does it, now and later. */
static int read_without_fds(void *arg)
{
    struct rlimit limit, none;
    struct cold cold = {.fd = open_blocks(0)};
    make_cold(cold.fd);
    io();
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    CHECK_INT(read_a_block(&cold), 0);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_STR(skua_io_backend(), "epoll");
    CHECK_INT(read_a_block(&cold), 0);
    CHECK_STR(skua_io_backend(), "epoll");
    CHECK_INT(close(cold.fd), 0);
    return 0;
}

static void without_a_ring_the_pool_does_it(void **state)
{
    run_on(1, "uring", read_without_fds, NULL);
}

static int read_without_memory(void *arg)
{
    char byte;
    int ends[2];
    plain_pipe(ends);
    const struct skua__file_op op = read_of(ends[0], &byte, 1, 0);
    struct skua__io *here = io();
    atomic_store(&skua__alloc_budget, *(int *)arg);
    const ssize_t got = skua__ring_do(here, &op, SKUA_FOREVER);
    atomic_store(&skua__alloc_budget, -1);
    CHECK_INT(got, -ENOSYS);
    close_plain(ends);
    return 0;
}

static void a_ring_that_finds_no_memory_leaves_nothing_behind(void **state)
{
    for (int budget = 0; budget < 2; budget++) {
        run_on(1, "uring", read_without_memory, &budget);
    }
}

static int fork_and_try(void *arg)
{
    char byte;
    int ends[2], status = 0;
    plain_pipe(ends);
    const struct skua__file_op op = read_of(ends[0], &byte, 1, 0);
    struct reader reader = {.fd = ends[0]};
    skua_task *task = spawn(read_pipe, &reader);
    CHECK_INT(skua_yield(), 0);
    const pid_t child = fork();
    if (child == 0) {
        _exit(skua__op_do(&op, SKUA_FOREVER) == -ESHUTDOWN ? 0 : 1);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    CHECK_INT(write(ends[1], "12345678", 8), 8);
    CHECK_INT(join(task), 8);
    close_plain(ends);
    return 0;
}

static void a_forked_child_is_refused(void **state)
{
    run_on(1, "uring", fork_and_try, NULL);
}

static void foreign_threads_make_the_call_themselves(void **state)
{
    char byte = 0;
    int ends[2];
    plain_pipe(ends);
    CHECK_INT(write(ends[1], "x", 1), 1);
    const struct skua__file_op op = read_of(ends[0], &byte, 1, SKUA__OFFSET_OWN);
    CHECK_INT(skua__op_do(&op, SKUA_FOREVER), 1);
    CHECK_INT(byte, 'x');
    close_plain(ends);
}

static bool has_rings(void)
{
    struct skua__completions *completions = NULL;
    if (skua__completions_open(&completions) < 0) {
        return false;
    }
    skua__completions_close(completions);
    return true;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_operation_gives_what_the_system_call_gives),
        TEST(errors_are_those_of_the_system_call),
        TEST(a_cancelled_read_leaves_the_buffer_alone),
        TEST(a_read_ends_at_its_deadline),
        TEST(no_byte_is_lost_between_a_deadline_and_a_completion),
        TEST(who_finds_the_ring_full_is_told_so),
        TEST(thousands_of_cold_reads_are_in_flight),
        TEST(several_readers_of_one_file_get_each_block_once),
        TEST(a_ring_is_made_when_it_is_wanted),
        TEST(a_dump_names_the_back_end),
        TEST(without_a_ring_the_pool_does_it),
        TEST(a_ring_that_finds_no_memory_leaves_nothing_behind),
        TEST(a_forked_child_is_refused),
        TEST(foreign_threads_make_the_call_themselves),
    };
    if (!has_rings()) {
        printf("no io_uring here\n");
        return TEST_SKIPPED;
    }
    test_begin();
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
