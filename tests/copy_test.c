/* Copies from one fd to another until the end: files, pipes and sockets, in all ways at once. */
#include "base/mem.h"
#include "transfer_help.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>

struct copying {
    int out, in;
    uint64_t copied;
    skua_copy_opts opts;
};

static int copy_it(void *arg)
{
    struct copying *copying = arg;
    return skua_copy(copying->out, copying->in, &copying->copied, &copying->opts, SKUA_FOREVER);
}

struct source {
    int fd;
    size_t bytes, piece;
};

static int pour(void *arg)
{
    const struct source *source = arg;
    for (size_t at = 0; at < source->bytes;) {
        size_t piece = source->bytes - at < source->piece ? source->bytes - at : source->piece;
        CHECK_INT(skua_write_all(source->fd, sent + at, piece, NULL, SKUA_FOREVER), 0);
        at += piece;
    }
    skua_close(source->fd);
    return 0;
}

/* `bytes` bytes in pieces through in and out: what is written to `source` comes out of `sink`. */
static void pump(int source, int in, int out, int sink, size_t bytes, size_t piece, bool is_slow)
{
    struct source from = {.fd = source, .bytes = bytes, .piece = piece};
    struct sink to = {.fd = sink, .is_slow = is_slow};
    struct copying copying = {.out = out, .in = in};
    skua_task *tasks[] = {spawn(pour, &from), spawn(copy_it, &copying), spawn(swallow, &to)};
    CHECK_INT(join(tasks[0]), 0);
    CHECK_INT(join(tasks[1]), 0);
    skua_close(in);
    skua_close(out);
    CHECK_INT(join(tasks[2]), 0);
    skua_close(sink);
    CHECK_INT(copying.copied, bytes);
    check_came(&to, 0, bytes);
}

static int pump_all(void *arg)
{
    static const size_t pieces[] = {100, 16384, BULK};
    for (int kinds = 0; kinds < 4; kinds++) {
        for (int i = 0; i < 3; i++) {
            int left[2], right[2];
            (kinds & 1) != 0 ? open_pipe(left) : open_pair(left);
            (kinds & 2) != 0 ? open_pipe(right) : open_pair(right);
            const size_t bytes = i == 0 ? 20000 : BULK;
            pump(left[1], left[0], right[1], right[0], bytes, pieces[i], i == 2);
        }
    }
    return 0;
}

/* covers: A72 */
static void streams_are_copied_to_the_end(void **state)
{
    run(pump_all, NULL);
}

static int pump_every_length(void *arg)
{
    for (size_t bytes = 0; bytes < 300; bytes++) {
        int left[2], right[2];
        open_pair(left);
        open_pair(right);
        pump(left[1], left[0], right[1], right[0], bytes, 1 + bytes % 7, true);
    }
    return 0;
}

static void short_copies_are_whole_too(void **state)
{
    run(pump_every_length, NULL);
}

static int copy_files(void *arg)
{
    int ends[2];
    char path[64];
    struct copying copying = {0};
    const int file = open_temp(path), other = open_temp(path);
    write_file(file, BULK);
    open_pair(ends);
    struct sink sink = {.fd = ends[1]};
    skua_task *reader = spawn(swallow, &sink);
    copying = (struct copying){.out = ends[0], .in = file, .opts.half_close = true};
    CHECK_INT(copy_it(&copying), 0);
    CHECK_INT(copying.copied, BULK);
    CHECK_INT(join(reader), 0); /* it has seen the end */
    check_came(&sink, 0, BULK);

    struct source source = {.fd = ends[1], .bytes = BULK, .piece = 65536};
    skua_task *writer = spawn(pour, &source);
    copying = (struct copying){.out = other, .in = ends[0]};
    CHECK_INT(copy_it(&copying), 0); /* a stream into a file */
    CHECK_INT(join(writer), 0);
    CHECK_INT(copying.copied, BULK);
    CHECK_INT(lseek(other, 0, SEEK_SET), 0);
    CHECK_INT(ftruncate(file, 0), 0);
    CHECK_INT(lseek(file, 0, SEEK_SET), 0);
    copying = (struct copying){.out = file, .in = other};
    CHECK_INT(copy_it(&copying), 0); /* a file into a file */
    CHECK_INT(pread(file, came, BULK + 1, 0), BULK);
    CHECK_INT(memcmp(came, sent, BULK), 0);
    skua_close(ends[0]);
    skua_close(file);
    skua_close(other);
    return 0;
}

static void files_are_copied(void **state)
{
    run(copy_files, NULL);
}

static int copy_some(void *arg)
{
    int left[2], right[2];
    char bytes[16];
    open_pair(left);
    open_pair(right);
    struct copying copying = {.out = right[1], .in = left[0], .opts = {.bytes = 4}};
    CHECK_INT(skua_write(left[1], "abcdef", 6, SKUA_FOREVER), 6);
    CHECK_INT(copy_it(&copying), 0);
    CHECK_INT(copying.copied, 4);
    CHECK_INT(skua_read(left[0], bytes, sizeof bytes, SKUA_FOREVER), 2); /* not one too many */
    CHECK_INT(skua_read(right[0], bytes, sizeof bytes, SKUA_FOREVER), 4);
    CHECK_INT(memcmp(bytes, "abcd", 4), 0);
    CHECK_INT(skua_copy(right[1], left[0], NULL, NULL, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_copy(right[1], left[0], NULL, NULL, skua_after(SKUA_US(100))), -ETIMEDOUT);
    CHECK_INT(skua_copy(right[1], 9999, NULL, NULL, SKUA_NOW), -EBADF);
    copying.opts = (skua_copy_opts){.half_close = true};
    skua_task *task = spawn(copy_it, &copying);
    CHECK_INT(skua_shutdown(left[1], SHUT_WR), 0);
    CHECK_INT(join(task), 0);
    CHECK_INT(skua_read(right[0], bytes, 1, SKUA_FOREVER), 0); /* passed on */
    CHECK_INT(skua_write(right[0], "x", 1, SKUA_FOREVER), 1);  /* the other half lives */
    CHECK_INT(skua_read(right[1], bytes, 1, SKUA_FOREVER), 1);
    close_both(left);
    close_both(right);
    return 0;
}

static void a_copy_stops_where_it_should(void **state)
{
    run(copy_some, NULL);
}

/* What a copy has told, and a scope whose deadline it moves. */
struct progress {
    uint64_t copied;
    int calls;
    skua_scope *scope;
};

static void note_progress(uint64_t copied, void *arg)
{
    struct progress *progress = arg;
    CHECK(copied > progress->copied);
    progress->copied = copied;
    progress->calls++;
    if (progress->scope != NULL) {
        skua_scope_deadline(progress->scope, skua_after(copied < 10 ? SKUA_SEC(10) : SKUA_MS(2)));
    }
}

/* A byte at a time, each when the one before has come out at the other end. */
static int trickle(void *arg)
{
    const int *ends = arg;
    for (char byte = 0, back; byte < 10; byte++) {
        CHECK_INT(skua_write(ends[0], &byte, 1, SKUA_FOREVER), 1);
        CHECK_INT(skua_read(ends[1], &back, 1, SKUA_FOREVER), 1);
        CHECK_INT(back, byte);
    }
    return 0;
}

static int copy_and_tell(void *arg)
{
    int left[2], right[2];
    struct progress progress = {0};
    open_pair(left);
    open_pair(right);
    struct source from = {.fd = left[1], .bytes = BULK, .piece = BULK};
    struct sink to = {.fd = right[0]};
    struct copying copying = {
        .out = right[1], .in = left[0], .opts = {.on_progress = note_progress, .arg = &progress}};
    skua_task *tasks[] = {spawn(pour, &from), spawn(copy_it, &copying), spawn(swallow, &to)};
    CHECK_INT(join(tasks[0]), 0);
    CHECK_INT(join(tasks[1]), 0);
    CHECK_INT(progress.copied, BULK);
    CHECK(progress.calls > 1);
    skua_close(left[0]);
    skua_close(right[1]);
    CHECK_INT(join(tasks[2]), 0);
    skua_close(right[0]);
    return 0;
}

/* The deadline around moves with the progress, and ends the copy when nothing more comes. */
static int copy_until_silence(void *arg)
{
    int left[2], right[2];
    struct progress progress = {0};
    open_pair(left);
    open_pair(right);
    int ends[] = {left[1], right[0]};
    const skua_copy_opts opts = {.on_progress = note_progress, .arg = &progress};
    SKUA_SCOPE(scope);
    skua_task *writer = spawn(trickle, ends);
    progress.scope = &scope;
    skua_scope_open(&scope, skua_after(SKUA_SEC(10)));
    int status = skua_copy(right[1], left[0], NULL, &opts, SKUA_FOREVER);
    CHECK_INT(skua_scope_close(&scope, status), -ETIMEDOUT);
    CHECK_INT(join(writer), 0);
    CHECK_INT(progress.copied, 10);
    CHECK_INT(progress.calls, 10);
    close_both(left);
    close_both(right);
    return 0;
}

/* covers: A72 */
static void a_copy_tells_how_far_it_is(void **state)
{
    run(copy_and_tell, NULL);
    run(copy_until_silence, NULL);
}

static int copy_to_the_dead(void *arg)
{
    int left[2], right[2];
    open_pair(left);
    open_pair(right);
    struct copying copying = {.out = right[1], .in = left[0]};
    skua_task *task = spawn(copy_it, &copying);
    while (!has_waiter(left[0], 0)) {
        skua_yield();
    }
    skua_close(right[0]);
    CHECK_INT(skua_write(left[1], "x", 1, SKUA_FOREVER), 1);
    CHECK_INT(join(task), -EPIPE);
    CHECK_INT(copying.copied, 0);
    task = spawn(copy_it, &copying);
    while (!has_waiter(left[0], 0)) {
        skua_yield();
    }
    skua_close(left[0]);
    CHECK_INT(join(task), -EBADF);
    skua_close(left[1]);
    skua_close(right[1]);
    return 0;
}

static void a_copy_ends_with_its_ends(void **state)
{
    run(copy_to_the_dead, NULL);
}

/* Both directions of a proxy at once, with as much as does not fit anywhere. */
static int proxy(void *arg)
{
    int left[2], right[2];
    open_pair(left);
    open_pair(right);
    struct copying there = {.out = right[0], .in = left[1], .opts.half_close = true};
    struct copying back = {.out = left[1], .in = right[0], .opts.half_close = true};
    skua_task *tasks[] = {spawn(copy_it, &there), spawn(copy_it, &back)};
    struct copying echo = {.out = right[1], .in = right[1], .opts.half_close = true};
    skua_task *echoing = spawn(copy_it, &echo);
    struct sink sink = {.fd = left[0]};
    skua_task *reader = spawn(swallow, &sink);
    CHECK_INT(skua_write_all(left[0], sent, BULK, NULL, SKUA_FOREVER), 0);
    CHECK_INT(skua_shutdown(left[0], SHUT_WR), 0);
    CHECK_INT(join(reader), 0);
    check_came(&sink, 0, BULK);
    CHECK_INT(join(tasks[0]), 0);
    CHECK_INT(join(tasks[1]), 0);
    CHECK_INT(join(echoing), 0);
    close_both(left);
    close_both(right);
    return 0;
}

static void both_directions_are_copied_at_once(void **state)
{
    for (int i = 0; i < 5; i++) {
        run(proxy, NULL);
    }
}

/* Without fds for a pipe it goes by the buffer; without memory for that, not at all. */
static int copy_in_need(void *arg)
{
    int left[2], right[2];
    struct rlimit before, tight;
    struct copying copying;
    open_pair(left);
    open_pair(right);
    copying = (struct copying){.out = right[1], .in = left[0]};
    atomic_store(&skua__alloc_budget, 0);
    const int status = copy_it(&copying);
    atomic_store(&skua__alloc_budget, -1);
    CHECK_INT(status, -ENOMEM);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &tight), 0);
    pump(left[1], left[0], right[1], right[0], BULK, BULK, false);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    return 0;
}

static void a_copy_makes_do_with_little(void **state)
{
    run(copy_in_need, NULL);
}

static void *copy_on_thread(void *arg)
{
    return (void *)(intptr_t)copy_it(arg);
}

static int copy_beside(void *arg)
{
    int left[2], right[2];
    pthread_t thread;
    void *status = NULL;
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, left), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, right), 0);
    CHECK_INT(skua_fd_adopt(left[1]), 0);
    CHECK_INT(skua_fd_adopt(right[0]), 0);
    struct copying copying = {.out = right[1], .in = left[0], .opts.half_close = true};
    struct source from = {.fd = left[1], .bytes = BULK, .piece = BULK};
    struct sink to = {.fd = right[0]};
    skua_task *tasks[] = {spawn(pour, &from), spawn(swallow, &to)};
    CHECK_INT(pthread_create(&thread, NULL, copy_on_thread, &copying), 0);
    CHECK_INT(join(tasks[0]), 0);
    CHECK_INT(join(tasks[1]), 0);
    CHECK_INT(pthread_join(thread, &status), 0);
    CHECK_INT((intptr_t)status, 0);
    check_came(&to, 0, BULK);
    skua_close(right[0]);
    close(left[0]);
    close(right[1]);
    return 0;
}

static void foreign_threads_copy_too(void **state)
{
    run(copy_beside, NULL);
}

int main(void)
{
    fill_sent();
    const struct CMUnitTest tests[] = {
        TEST(streams_are_copied_to_the_end),
        TEST(short_copies_are_whole_too),
        TEST(files_are_copied),
        TEST(a_copy_stops_where_it_should),
        TEST(a_copy_tells_how_far_it_is),
        TEST(a_copy_ends_with_its_ends),
        TEST(both_directions_are_copied_at_once),
        TEST(a_copy_makes_do_with_little),
        TEST(foreign_threads_copy_too),
    };
    return TEST_RUN(tests);
}
