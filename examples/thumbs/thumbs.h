/* thumbs.h: what the parts of thumbs share. */
#ifndef THUMBS_H
#define THUMBS_H

#include <skua/skua.h>

struct settings {
    const char *from, *to;
    uint32_t side_max;   /* of the small pictures, in pixels */
    uint32_t processes;  /* pictures at a time */
    size_t memory_bytes; /* of one process, beyond what it starts with */
    int64_t time_ns;     /* for one picture */
    int64_t cpu_ns;      /* 0: no limit but the time */
    bool without_sandbox, is_json, is_quiet;
};

/* What became of a file. */
enum outcome {
    NOT_TRIED, /* the program was told to end */
    DONE,
    CRASHED,    /* its process died, or was killed for writing nonsense */
    TIMED_OUT,  /* it took too long */
    OVER_LIMIT, /* it wanted more than it may: memory, time of a processor, system calls */
    REFUSED,    /* it is no picture, or what came back is none */
    FAILED,     /* it could not be read, or its thumbnail not be written */
    OUTCOMES,
};

/* One of the files, and its part of the report. */
struct file {
    struct run *run;
    char *name;
    enum outcome outcome;
    char *message; /* NULL: there is nothing to say */
};

struct run {
    struct settings settings;
    skua_pool *pool;
    int from, to;   /* fds of the two directories */
    skua_vec files; /* of struct file, by name */
    skua_sem free_processes;
    bool has_sandbox, has_memory_group; /* could be had here */

    _Atomic uint64_t ended_count, bad_count;
    skua_event ended;
};

/* The first task; arg is a struct run with its settings. Returns 0, also if files have failed. */
int make_thumbnails(void *arg);
void free_files(struct run *run);

/* A task: one file. Returns 0, or -ECANCELED. */
int make_thumbnail(void *file);

/* Start the worker processes, with all limits that can be had here. */
int start_processes(struct run *run) SKUA_MUST_CHECK;

struct file *file_at(const struct run *run, size_t index);

/* How many files have that outcome. */
size_t count_outcome(const struct run *run, enum outcome outcome);
void report_text(const struct run *run, double seconds);
void report_json(const struct run *run, double seconds);

/* The task that shows on a terminal how far it is, until run->ended is set. */
int show_progress(void *run);

#endif
