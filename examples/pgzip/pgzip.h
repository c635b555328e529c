/* pgzip.h: what the parts of pgzip share. */
#ifndef PGZIP_H
#define PGZIP_H

#include <skua/skua.h>

struct settings {
    const char *output; /* NULL: FILE.gz for each FILE, unless to_stdout */
    size_t block_bytes;
    uint32_t processes;
    int level;
    bool to_stdout, keeps_input, overwrites, is_quiet, without_name;
    char *const *files; /* none: standard input to standard output */
    size_t file_count;
};

struct run {
    struct settings settings;
    skua_pool *pool;
    bool is_incomplete; /* something failed, and was told */

    _Atomic uint64_t bytes_in, bytes_out; /* so far, of all files */
    _Atomic uint64_t bytes_total;         /* 0: not known */
    skua_event ended;                     /* for the progress */
};

/* The first task; arg is a struct run with its settings. Returns 0, also if files have failed; < 0
   if it had to give up. */
int compress_files(void *arg);

/* One gzip member: all that can be read from fd `from`, to fd `to`. */
struct member {
    struct run *run;
    int from, to;
    const char *name;  /* put into the header; NULL: none */
    uint32_t modified; /* likewise, in seconds; 0: not known */
};

/* What went wrong, in words, and where: at the input, at the output, or in between. */
enum failure_place { FAILED_READING, FAILED_WRITING, FAILED_COMPRESSING };
struct failure {
    enum failure_place place;
    char text[320];
};

/* Read to the end, compress, write. Returns 0, or < 0 with *failure.
   Memory: a fixed number of blocks, however long the input is. */
int compress_member(const struct member *member, struct failure *failure) SKUA_MUST_CHECK;

/* A file that is being written, and that is removed again unless it becomes whole. */
struct output {
    int fd;
    const char *path; /* NULL: standard output */
    bool is_ours;     /* it was made here: it may be removed */
};

int output_open(struct output *output, const char *path, bool overwrites, mode_t mode)
    SKUA_MUST_CHECK;

/* Close it; if `status` < 0 the file is removed. Also in the middle of a cancel. */
void output_close(struct output *output, int status);

/* The task that shows on a terminal how far it is, until run->ended is set. */
int show_progress(void *run);

#endif
