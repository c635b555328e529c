/* Small files that are in memory: opened, read, summed up and closed by tasks. */
#define _GNU_SOURCE
#include "files.h"
#include "on_skua.h"

#include <stdatomic.h>

enum { READERS = 16 };

typedef struct reading {
    atomic_size_t next;
    size_t count;
    _Atomic uint64_t sum;
} reading;

static int read_one(size_t index, char *buffer, uint64_t *sum)
{
    char path[FILES_PATH_MAX];
    ssize_t got;
    files_path(index, path);
    const int fd = skua_open(path, O_RDONLY, 0, SKUA_FOREVER);
    if (fd < 0) {
        return fd;
    }
    while ((got = skua_read(fd, buffer, FILES_BYTES_MAX, SKUA_FOREVER)) > 0) {
        *sum = files_sum(*sum, buffer, (size_t)got);
    }
    skua_close(fd);
    return (int)got;
}

static int read_some(void *arg)
{
    reading *work = arg;
    char *buffer = malloc(FILES_BYTES_MAX);
    uint64_t sum = 0;
    int error = buffer == NULL ? -1 : 0;
    size_t index;
    while (error == 0 && (index = atomic_fetch_add(&work->next, 1)) < work->count) {
        error = read_one(index, buffer, &sum);
    }
    atomic_fetch_add(&work->sum, sum);
    free(buffer);
    return error;
}

static int read_all(const bench_job *job, uint64_t *sum)
{
    reading work = {.count = job->count};
    skua_task *tasks[READERS];
    const int error = skua_spawn_many(tasks, read_some, &work, 0, READERS, NULL);
    if (error != 0) {
        return error;
    }
    const int status = bench_join_all(tasks, READERS);
    *sum = work.sum;
    return status;
}

static int run_files(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return files_run(job, read_all, values);
}

static const bench_case cases[] = {FILES_CASE(run_files, bench_enter_skua)};

int main(int argc, char **argv)
{
    return bench_main_skua(argc, argv, cases, BENCH_COUNT(cases));
}
