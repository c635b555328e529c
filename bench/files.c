/* Reading many small files that the page cache has: 30,000 of 4 to 64 KiB, each opened, read whole
   and summed up, by eight tasks and by eight threads. They lie in $BENCH_FOLDER, or in /tmp, and are
   removed at the end; where files are made slowly the beginning takes its time. */
#define _GNU_SOURCE
#include "on_skua.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

enum { FILES = 30000, READERS = 8, BYTES_MIN = 4096, BYTES_MAX = 65536, STRIDE = 7919 };

static char folder[256];
static size_t files_made;
static _Atomic size_t next_file, sum;

static int path_of(size_t index, char *path, size_t bytes)
{
    return snprintf(path, bytes, "%s/%zu", folder, index) < (int)bytes ? 0 : -ENAMETOOLONG;
}

static void remove_files(void)
{
    if (skua_remove_tree(SKUA_CWD, folder, SKUA_FOREVER) < 0) {
        fprintf(stderr, "%s is left behind\n", folder);
    }
}

/* Called outside of the runtime. */
static int make_files(size_t count)
{
    static char contents[BYTES_MAX];
    const char *where = getenv("BENCH_FOLDER");
    snprintf(folder, sizeof folder, "%s/skua-bench-XXXXXX", where != NULL ? where : "/tmp");
    if (mkdtemp(folder) == NULL) {
        return -errno;
    }
    atexit(remove_files);
    memset(contents, 'x', sizeof contents);
    for (size_t i = 0; i < count; i++) {
        char path[300];
        const size_t bytes = BYTES_MIN + i * STRIDE % (BYTES_MAX - BYTES_MIN);
        const int status = path_of(i, path, sizeof path);
        const int fd = status < 0 ? -1 : open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, contents, bytes) != (ssize_t)bytes || close(fd) != 0) {
            return status < 0 ? status : -EIO;
        }
    }
    files_made = count;
    return 0;
}

static size_t sum_up(const char *bytes, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i + sizeof total <= count; i += sizeof total) {
        size_t word = 0;
        memcpy(&word, bytes + i, sizeof word);
        total += word;
    }
    return total;
}

static int read_files(void *arg)
{
    const size_t count = *(const size_t *)arg;
    char *buffer = malloc(BYTES_MAX);
    ssize_t got = buffer == NULL ? -ENOMEM : 0;
    for (size_t i = 0; got >= 0 && (i = next_file++) < count;) {
        char path[300];
        got = path_of(i, path, sizeof path);
        got = got < 0 ? got : skua_file_load_into(SKUA_CWD, path, buffer, BYTES_MAX, SKUA_FOREVER);
        sum += got > 0 ? sum_up(buffer, (size_t)got) : 0;
    }
    free(buffer);
    return got < 0 ? (int)got : 0;
}

static void *read_files_on_thread(void *arg)
{
    const size_t count = *(const size_t *)arg;
    char *buffer = malloc(BYTES_MAX);
    for (size_t i = 0; buffer != NULL && (i = next_file++) < count;) {
        char path[300];
        struct stat status;
        const int fd = path_of(i, path, sizeof path) < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &status) != 0) {
            break;
        }
        const ssize_t got = pread(fd, buffer, (size_t)status.st_size, 0);
        close(fd);
        sum += got > 0 ? sum_up(buffer, (size_t)got) : 0;
    }
    free(buffer);
    return NULL;
}

static int by_tasks(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    skua_task *tasks[READERS];
    size_t count = job->count, spawned = 0;
    int error = 0;
    next_file = 0;
    const double start = bench_now_ns(), cpu_start = bench_cpu_ns();
    while (spawned < READERS && error == 0) {
        error = skua_spawn(&tasks[spawned], read_files, &count, NULL);
        spawned += error == 0;
    }
    const int join_error = bench_join_all(tasks, spawned);
    values[0] = bench_ns_each(start, count);
    values[1] = (bench_cpu_ns() - cpu_start) / (double)count;
    return error != 0 ? error : join_error;
}

static int by_threads(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    pthread_t threads[READERS];
    size_t count = job->count, started = 0;
    next_file = 0;
    const double start = bench_now_ns(), cpu_start = bench_cpu_ns();
    while (started < READERS &&
           pthread_create(&threads[started], NULL, read_files_on_thread, &count) == 0) {
        started++;
    }
    for (size_t i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    values[0] = bench_ns_each(start, count);
    values[1] = (bench_cpu_ns() - cpu_start) / (double)count;
    return started == READERS ? 0 : -EAGAIN;
}

/* Both begin with the files; they are made once a process. */
static int enter_tasks(bench_job *job)
{
    const int status = files_made > 0 ? 0 : make_files(job->count);
    return status < 0 ? status : bench_enter_skua(job);
}

static int enter_threads(bench_job *job)
{
    const int status = files_made > 0 ? 0 : make_files(job->count);
    return status < 0 ? status : bench_job_measure(job);
}

static const bench_case cases[] = {
    {.name = "files",
     .rows = {"files", "files-cpu"},
     .count = FILES,
     .run = by_tasks,
     .enter = enter_tasks},
    {.name = "files-threads",
     .rows = {"files-threads", "files-threads-cpu"},
     .count = FILES,
     .run = by_threads,
     .enter = enter_threads},
};

int main(int argc, char **argv)
{
    return bench_main_skua(argc, argv, cases, BENCH_COUNT(cases));
}
