/* Threads and plain system calls: eight of them, whatever the number of workers is said to be. */
#define _GNU_SOURCE
#include "files.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 8 };

static atomic_size_t next_file;
static _Atomic uint64_t total;

static int read_one(size_t index, char *buffer, uint64_t *sum)
{
    char path[FILES_PATH_MAX];
    ssize_t got;
    off_t at = 0;
    files_path(index, path);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    while ((got = pread(fd, buffer, FILES_BYTES_MAX, at)) > 0) {
        *sum = files_sum(*sum, buffer, (size_t)got);
        at += got;
    }
    close(fd);
    return (int)got;
}

static void *read_some(void *arg)
{
    const size_t count = *(const size_t *)arg;
    char *buffer = malloc(FILES_BYTES_MAX);
    uint64_t sum = 0;
    size_t index;
    while (buffer != NULL && (index = atomic_fetch_add(&next_file, 1)) < count &&
           read_one(index, buffer, &sum) == 0) {}
    atomic_fetch_add(&total, sum);
    free(buffer);
    return NULL;
}

static int read_all(const bench_job *job, uint64_t *sum)
{
    pthread_t threads[THREADS];
    size_t count = job->count;
    next_file = 0;
    total = 0;
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, read_some, &count) != 0) {
            abort();
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    *sum = total;
    return 0;
}

static int run_files(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return files_run(job, read_all, values);
}

static const bench_case cases[] = {FILES_CASE(run_files, NULL)};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, "pthreads", cases, BENCH_COUNT(cases));
}
