/* files.h: many small files, and what is done with each: read all of it and sum it up.

   They lie in $BENCH_FILES, where they are made if they are not there yet, and stay; else in a
   folder of this process, which goes with it. Sizes are 4 to 64 KiB, the same in every run. */
#ifndef SKUA_BENCH_FILES_H
#define SKUA_BENCH_FILES_H

#include "bench.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { FILES_COUNT = 30000, FILES_BYTES_MIN = 4 * 1024, FILES_BYTES_MAX = 64 * 1024 };
enum { FILES_PATH_MAX = 256, FILES_FOLDERS = 100 };

static char files_root[FILES_PATH_MAX - 32];
static bool files_are_ours;

static inline void files_path(size_t index, char path[FILES_PATH_MAX])
{
    snprintf(path, FILES_PATH_MAX, "%s/%zu/%zu", files_root, index % FILES_FOLDERS, index);
}

static inline size_t files_bytes(size_t index)
{
    return FILES_BYTES_MIN + index * 40503 % (FILES_BYTES_MAX - FILES_BYTES_MIN);
}

static inline uint64_t files_sum(uint64_t sum, const char *bytes, size_t count)
{
    uint64_t word = 0;
    for (size_t i = 0; i + sizeof(word) <= count; i += sizeof(word)) {
        memcpy(&word, bytes + i, sizeof(word));
        sum += word;
    }
    for (size_t i = count - count % sizeof(word); i < count; i++) {
        sum += (unsigned char)bytes[i];
    }
    return sum;
}

static inline int files_make_one(size_t index, uint64_t *sum)
{
    static char bytes[FILES_BYTES_MAX];
    char path[FILES_PATH_MAX];
    struct stat status;
    const size_t count = files_bytes(index);
    memset(bytes, (int)(index % 251), count);
    *sum += files_sum(0, bytes, count);
    files_path(index, path);
    if (stat(path, &status) == 0 && status.st_size == (off_t)count) {
        return 0;
    }
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const ssize_t put = fd < 0 ? -1 : write(fd, bytes, count);
    close(fd);
    return put == (ssize_t)count ? 0 : -1;
}

/* Make what is missing. *sum is that of all files. */
static inline int files_make(size_t count, uint64_t *sum)
{
    const char *folder = getenv("BENCH_FILES");
    snprintf(files_root, sizeof(files_root), "%s", folder != NULL ? folder : "/tmp/bench-XXXXXX");
    files_are_ours = folder == NULL;
    if (files_are_ours ? mkdtemp(files_root) == NULL : false) {
        return -1;
    }
    mkdir(files_root, 0700);
    for (size_t i = 0; i < FILES_FOLDERS; i++) {
        char path[FILES_PATH_MAX];
        snprintf(path, sizeof(path), "%s/%zu", files_root, i);
        mkdir(path, 0700);
    }
    *sum = 0;
    int error = 0;
    for (size_t i = 0; i < count && error == 0; i++) {
        error = files_make_one(i, sum);
    }
    return error;
}

static inline void files_end(size_t count)
{
    char path[FILES_PATH_MAX];
    for (size_t i = 0; i < count && files_are_ours; i++) {
        files_path(i, path);
        unlink(path);
    }
    for (size_t i = 0; i < FILES_FOLDERS && files_are_ours; i++) {
        snprintf(path, sizeof(path), "%s/%zu", files_root, i);
        rmdir(path);
    }
    if (files_are_ours) {
        rmdir(files_root);
    }
}

/* The whole of a run: `read_all` puts the sum of all files into *sum. */
static inline int files_run(const bench_job *job,
                            int (*read_all)(const bench_job *job, uint64_t *sum), double *values)
{
    uint64_t wanted = 0, sum = 0;
    int error = files_make(job->count, &wanted);
    if (error == 0) {
        error = read_all(job, &sum); /* warm */
    }
    const double start = bench_now_ns();
    const double cpu_start = bench_cpu_ns();
    if (error == 0) {
        error = read_all(job, &sum);
    }
    values[0] = (bench_now_ns() - start) / 1e6;
    values[1] = (bench_cpu_ns() - cpu_start) / 1e6;
    files_end(job->count);
    return error != 0 ? error : sum == wanted ? 0 : -1;
}

#define FILES_CASE(run_, enter_)                                                                   \
    {                                                                                              \
        .name = "files-30k", .rows = {"files-30k-time", "files-30k-cpu"}, .units = {"ms", "ms"},   \
        .count = FILES_COUNT, .cold = true, .run = run_, .enter = enter_                           \
    }

#endif
