/* Files that go to jobs and come back: duplicates of the caller's, for this job alone; what happens
   when there is no room for them on either side, and with workers that send what nobody wants. */
#include "pool_talk_help.h"

#include "pool/packet.h"

#include <sys/mman.h>
#include <sys/resource.h>

/* ---- jobs ---- */

static int count_open(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

/* Copies the first file to the second one. */
static int copy_file(skua_bytes in, skua_reply *reply)
{
    char data[4096];
    const int from = skua_job_fd(reply, 0);
    const int to = skua_job_fd(reply, 1);
    if (from < 0 || to < 0) {
        return from < 0 ? from : to;
    }
    ssize_t bytes, all = 0;
    while ((bytes = read(from, data, sizeof data)) > 0) {
        if (write(to, data, (size_t)bytes) != bytes) {
            return -EIO;
        }
        all += bytes;
    }
    return (int)all;
}
SKUA_JOB(copy_file);

/* Takes the file number `in`, whatever becomes of it. */
static int take_fd(skua_bytes in, skua_reply *reply)
{
    int index;
    memcpy(&index, in.data, sizeof index);
    const int fd = skua_job_fd(reply, (uint32_t)index);
    const int again = skua_job_fd(reply, (uint32_t)index);
    return fd != again ? -EIO : fd < 0 ? fd : fcntl(fd, F_GETFD) == FD_CLOEXEC ? 0 : -EIO;
}
SKUA_JOB(take_fd);

static int count_fds(skua_bytes in, skua_reply *reply)
{
    return count_open();
}
SKUA_JOB(count_fds);

/* Takes a file with so little room that it cannot have it. */
static int take_without_room(skua_bytes in, skua_reply *reply)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return -errno;
    }
    const rlim_t before = limit.rlim_cur;
    const int lowest = dup(STDIN_FILENO); /* there is to be no room from here on */
    close(lowest);
    limit.rlim_cur = (rlim_t)lowest;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return -errno;
    }
    int fd = skua_job_fd(reply, 0);
    limit.rlim_cur = before;
    int error = setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
    return error < 0 ? error : fd;
}
SKUA_JOB(take_without_room);

/* Sends back so many new files, each with its number inside. Returns the first refusal. */
static int make_files(skua_bytes in, skua_reply *reply)
{
    int count;
    memcpy(&count, in.data, sizeof count);
    for (int i = 0; i < count; i++) {
        const int fd = memfd_create("file", MFD_CLOEXEC);
        if (fd < 0 || write(fd, &i, sizeof i) != sizeof i) {
            return -EIO;
        }
        int error = skua_job_reply_fd(reply, fd);
        close(fd); /* the caller has a duplicate */
        if (error < 0) {
            return error;
        }
    }
    return answer(reply, "made", 5) < 0 ? -EIO : count;
}
SKUA_JOB(make_files);

static int reply_nonsense(skua_bytes in, skua_reply *reply)
{
    return skua_job_reply_fd(reply, 1000);
}
SKUA_JOB(reply_nonsense);

/* Reads the file that it was given, says so in every way, and sends it back. */
static int read_in_sandbox(skua_bytes in, skua_reply *reply)
{
    char data[16];
    const int fd = skua_job_fd(reply, 0);
    const ssize_t bytes = fd < 0 ? fd : read(fd, data, sizeof data);
    if (bytes < 0) {
        return -EIO;
    }
    skua_job_log(reply, "%zd bytes", bytes);
    skua_job_progress(reply, 1, 1);
    int status = skua_job_send(reply, 0, (skua_bytes){data, (size_t)bytes});
    return status < 0 ? status : skua_job_reply_fd(reply, fd);
}
SKUA_JOB(read_in_sandbox);

enum lies { FLOODS, SENDS_NONE, CLAIMS_MANY, SENDS_TWO, SENDS_EMPTY, SENDS_OTHERS, LIES };

/* Sends other fds than it says. */
static int lie(skua_bytes in, skua_reply *reply)
{
    int which;
    memcpy(&which, in.data, sizeof which);
    const int socket = reply->worker->talk;
    struct skua__packet packet = {.ticket = reply->ticket, .count = 1, .fds = {STDIN_FILENO}};
    switch (which) {
    case FLOODS: /* until nothing goes in any more, and claims none of them */
        while (skua__packet_send(socket, &packet) == 0) {}
        return 0;
    case SENDS_NONE:
        reply->fd_count = 3;
        return 0;
    case CLAIMS_MANY:
        reply->fd_count = UINT32_MAX;
        return 0;
    case SENDS_TWO:
        packet.count = 2;
        packet.fds[1] = STDOUT_FILENO;
        reply->fd_count = 1;
        return skua__packet_send(socket, &packet);
    case SENDS_EMPTY:
        packet.count = 0;
        reply->fd_count = 1;
        return skua__packet_send(socket, &packet);
    default:
        packet.ticket += 1; /* of the next job */
        reply->fd_count = 1;
        return skua__packet_send(socket, &packet);
    }
}
SKUA_JOB(lie);

/* ---- helpers ---- */

static int call_with(skua_pool *pool, const skua_job *job, skua_bytes in,
                     const skua_call_opts *opts)
{
    skua_buf out;
    int status = skua_pool_call_with(pool, job, in, opts, &out, FOREVER);
    skua_buf_release(&out);
    return status;
}

/* How many fds a worker of the pool has between jobs. */
static int count_in_worker(skua_pool *pool)
{
    return call_with(pool, &count_fds_job, bytes_of(NULL, 0), NULL);
}

static int file_with(const char *text)
{
    const int fd = memfd_create("input", MFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, text, strlen(text)), strlen(text));
    CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* Once the worker and the spare one are there no fd comes or goes here by itself. */
static int count_here(skua_pool *pool)
{
    skua_pool_stats stats;
    do {
        CHECK_INT(skua_yield(), 0);
        skua_pool_stats_get(pool, &stats);
    } while (stats.workers != 1 || stats.spares != 1);
    return test_fds();
}

static void check_quiet(skua_pool *pool, int fds_here, int fds_there)
{
    CHECK_INT(count_in_worker(pool), fds_there);
    count_here(pool);
    CHECK_INT(test_settle(test_fds, fds_here), fds_here);
}

/* ---- tests ---- */

static int there_main(void *arg)
{
    const char text[] = "what the job reads";
    char read_back[sizeof text] = {0};
    skua_pool *pool = open_pool(1, 4096);
    const int there = count_in_worker(pool);
    const int here = count_here(pool);
    const int fds[] = {file_with(text), file_with("")};
    const skua_call_opts opts = {.fds = fds, .fd_count = 2};
    CHECK_INT(call_with(pool, &copy_file_job, bytes_of(NULL, 0), &opts), strlen(text));
    CHECK_INT(pread(fds[1], read_back, sizeof read_back, 0), strlen(text));
    CHECK_STR(read_back, text);
    int index = 2;
    CHECK_INT(call_with(pool, &take_fd_job, BYTES(index), &opts), -EBADF);
    index = 1;
    CHECK_INT(call_with(pool, &take_fd_job, BYTES(index), &opts), 0);
    CHECK_INT(call_with(pool, &take_fd_job, BYTES(index), NULL), -EBADF);
    CHECK_INT(call_with(pool, &count_fds_job, BYTES(index), &opts), there); /* did not ask */
    close(fds[0]);
    close(fds[1]);
    check_quiet(pool, here, there);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void files_go_with_a_job_and_are_closed_after_it(void **state)
{
    run_on_some(there_main);
}

static int bad_main(void *arg)
{
    skua_pool *pool = open_pool(1, 4096);
    const int there = count_in_worker(pool);
    const int here = count_here(pool);
    const int good = file_with("good");
    const int fds[] = {good, 1000};
    const skua_call_opts opts = {.fds = fds, .fd_count = 2};
    const skua_call_opts one = {.fds = fds, .fd_count = 1};
    int index = 0;
    CHECK_INT(call_with(pool, &take_fd_job, BYTES(index), &opts), -EBADF);
    CHECK_INT(call_with(pool, &take_without_room_job, bytes_of(NULL, 0), &one), -EMFILE);
    CHECK_INT(call_with(pool, &take_fd_job, BYTES(index), &one), 0);
    close(good);
    check_quiet(pool, here, there);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void a_worker_without_room_fails_that_job(void **state)
{
    run_on_workers(2, bad_main);
}

static int back_main(void *arg)
{
    skua_pool *pool = open_pool(1, 4096);
    const int there = count_in_worker(pool);
    const int here = count_here(pool);
    int fds[SKUA_POOL_FDS_MAX];
    uint32_t fd_count = 77;
    const skua_call_opts opts = {.reply_fds = fds, .reply_fd_count = &fd_count};
    for (int count = 0; count <= SKUA_POOL_FDS_MAX; count++) {
        CHECK_INT(call_with(pool, &make_files_job, BYTES(count), &opts), count);
        CHECK_INT(fd_count, count);
        for (int i = 0; i < count; i++) {
            int number = -1;
            CHECK_INT(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
            CHECK_INT(pread(fds[i], &number, sizeof number, 0), sizeof number);
            CHECK_INT(number, i);
            close(fds[i]);
        }
    }
    const int many = SKUA_POOL_FDS_MAX + 1;
    CHECK_INT(call_with(pool, &make_files_job, BYTES(many), &opts), -EMFILE);
    CHECK_INT(fd_count, SKUA_POOL_FDS_MAX); /* a job may fail and still answer */
    for (uint32_t i = 0; i < fd_count; i++) {
        close(fds[i]);
    }
    CHECK_INT(call_with(pool, &make_files_job, BYTES(many), NULL), -EMFILE); /* nobody wants them */
    CHECK_INT(call_with(pool, &reply_nonsense_job, bytes_of(NULL, 0), &opts), -EBADF);
    CHECK_INT(fd_count, 0);
    check_quiet(pool, here, there);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void files_come_back_with_an_answer(void **state)
{
    run_on_some(back_main);
}

static int no_room_main(void *arg)
{
    enum { COUNT = 3 };
    const int count = COUNT;
    skua_pool *pool = open_pool(1, 4096);
    const int there = count_in_worker(pool);
    const int here = count_here(pool);
    int fds[SKUA_POOL_FDS_MAX];
    uint32_t fd_count = 77;
    const skua_call_opts opts = {.reply_fds = fds, .reply_fd_count = &fd_count};
    struct rlimit limit;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const rlim_t before = limit.rlim_cur;
    const int lowest = dup(STDIN_FILENO); /* the next one would be above the limit from now on */
    limit.rlim_cur = (rlim_t)lowest + 2;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int status = call_with(pool, &make_files_job, BYTES(count), &opts);
    limit.rlim_cur = before;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    close(lowest);
    CHECK_INT(status, -EMFILE);
    CHECK_INT(fd_count, 0);
    check_quiet(pool, here, there);
    CHECK_INT(call_with(pool, &make_files_job, BYTES(count), &opts), count);
    for (uint32_t i = 0; i < fd_count; i++) {
        close(fds[i]);
    }
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void a_program_without_room_fails_that_job(void **state)
{
    run_on_workers(2, no_room_main);
}

static int sandbox_main(void *arg)
{
    skua_pool *pool;
    const skua_pool_opts limits = {.workers = 1, .limits = {.sandbox = true}};
    const int error = skua_pool_create(&pool, &limits);
    if (error == -ENOTSUP) {
        printf("no sandbox here\n");
        return 0;
    }
    CHECK_INT(error, 0);
    int fds[SKUA_POOL_FDS_MAX];
    uint32_t fd_count = 0;
    const int file = file_with("inside");
    skua_chan *chan = open_chan(1);
    skua_buf item;
    const skua_call_opts opts = {.fds = &file,
                                 .fd_count = 1,
                                 .reply_fds = fds,
                                 .reply_fd_count = &fd_count,
                                 .channels = &chan,
                                 .channel_count = 1};
    CHECK_INT(call_with(pool, &read_in_sandbox_job, bytes_of(NULL, 0), &opts), 0);
    CHECK_INT(skua_chan_recv(chan, SKUA_ITEM(item), SKUA_NOW), 1);
    CHECK(item.bytes == 6 && memcmp(item.data, "inside", 6) == 0);
    skua_buf_release(&item);
    CHECK_INT(fd_count, 1);
    CHECK_INT(lseek(fds[0], 0, SEEK_CUR), 6); /* it is the same open file */
    close(fds[0]);
    close(file);
    free_chan(chan);
    close_pool(pool);
    return 0;
}

/* covers: A67 */
static void a_job_in_a_sandbox_talks_as_well(void **state)
{
    run_on_workers(2, sandbox_main);
}

static int liars_main(void *arg)
{
    const int results[LIES] = {[FLOODS] = 0,    [SENDS_NONE] = -EPROTO,  [CLAIMS_MANY] = -EPROTO,
                               [SENDS_TWO] = 0, [SENDS_EMPTY] = -EPROTO, [SENDS_OTHERS] = -EPROTO};
    skua_pool *pool = open_pool(1, 4096);
    const int there = count_in_worker(pool);
    const int here = count_here(pool);
    const int count = 2;
    for (int which = 0; which < LIES; which++) {
        int fds[SKUA_POOL_FDS_MAX];
        uint32_t fd_count = 77;
        const skua_call_opts opts = {.reply_fds = fds, .reply_fd_count = &fd_count};
        CHECK_INT(call_with(pool, &lie_job, BYTES(which), &opts), results[which]);
        CHECK_INT(fd_count, which == SENDS_TWO);
        for (uint32_t i = 0; i < fd_count; i++) {
            close(fds[i]);
        }
        /* Whoever comes next, in the same process or in another one, is well, or is told. */
        int status = call_with(pool, &make_files_job, BYTES(count), &opts);
        CHECK(status == count ||
              (which == FLOODS && status == -EMFILE)); /* too many on their way */
        for (uint32_t i = 0; i < fd_count; i++) {
            close(fds[i]);
        }
        check_quiet(pool, here, there);
    }
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void a_hostile_worker_leaves_no_fd_here(void **state)
{
    run_on_workers(2, liars_main);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_go_with_a_job_and_are_closed_after_it),
        TEST(a_worker_without_room_fails_that_job),
        TEST(files_come_back_with_an_answer),
        TEST(a_program_without_room_fails_that_job),
        TEST(a_job_in_a_sandbox_talks_as_well),
        TEST(a_hostile_worker_leaves_no_fd_here),
    };
    return TEST_RUN(tests);
}
