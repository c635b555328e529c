/* pipeline.h: the stages of wordfreq and what flows between them.

       walkers --files--> readers --texts--> counters --> merge
          ^ |                | ^               ^  |
          +-+ folders        | +----spare------+--+
                             +--packed--> unpackers --texts--^
                                             |
                                         process pool

   Every arrow is a channel. Channels hold little: a stage that is ahead waits until the next one
   has caught up, so that memory stays bounded whatever the folders contain. Each stage is a crew of
   tasks with the same function; what flows belongs to whoever holds it. */
#ifndef WORDFREQ_PIPELINE_H
#define WORDFREQ_PIPELINE_H

#include "errors.h"
#include "words.h"

#include <skua/skua.h>
#include <stdatomic.h>

/* Some paths, one after the other, each with its zero byte. Allocated with malloc(). */
enum { PATHS_BYTES = 8 * 1024 };

struct path_batch {
    size_t used_bytes;
    char text[PATHS_BYTES];
};

/* A gzip file as it was read. Both are allocated with malloc(). */
struct packed_file {
    char *path;
    char *data;
    size_t bytes;
};

/* Memory for text. The pipeline has a fixed number of buffers, which go round: an empty one is
   taken from `spare`, filled, sent to `texts`, and is put back when its words have been counted. */
struct text_buffer {
    char *data;
    size_t room_bytes;
};

enum { TEXT_BUFFER_BYTES = 256 * 1024 };

/* Text to be counted, which ends where a word ends. It lies in a buffer or in a pool's answer. */
struct text {
    const char *data;
    size_t bytes;
    struct text_buffer *buffer; /* NULL: it lies in `answer` */
    skua_buf answer;
};

struct pipeline {
    /* Do not change while the tasks run. */
    uint32_t jobs;
    skua_pool *pool;
    skua_chan *folders; /* path_batch *: to be walked by whoever has nothing to do */
    skua_chan *files;   /* path_batch *: to be read */
    skua_chan *packed;  /* packed_file: to be unpacked */
    skua_chan *texts;   /* text: to be counted */
    skua_chan *spare;   /* text_buffer *: empty ones */
    skua_chan *ended;   /* nothing: closed at the end, for the progress bar */
    struct text_buffer *buffers;
    size_t buffers_count;

    /* Used by all tasks at any moment. */
    atomic_size_t folders_left; /* found, but not yet walked to the end */
    atomic_size_t files_found;
    atomic_size_t files_done;
    atomic_size_t bytes_read;
    atomic_int status; /* 0, or why it is being given up */
};

/* What comes out of it. The words of `top` may lie in `tables`. */
struct result {
    size_t files;
    size_t bytes;
    uint64_t words;
    size_t distinct;
    struct word_entry *top;
    size_t top_count;
    struct error_list errors;
    struct words *tables; /* those of the counters, then those of the merge */
    size_t tables_count;
    uint32_t ranks;              /* under mpirun; else 1 */
    uint64_t unpacked_elsewhere; /* by other ranks */
};

/* Count the words below `folders`, and keep the `top_count` most frequent (0: all). Returns 0, or
   why it had to be given up; *out must be given to result_fini() in either case. Call from: a task.
 */
int pipeline_run(uint32_t jobs, char *const folders[], size_t folders_count, size_t top_count,
                 struct result *out) SKUA_MUST_CHECK;

void result_fini(struct result *result);

/* Give the whole work up, because of `status` (< 0): closes all channels, so that every stage comes
   to its end. The first status is kept. Returns `status`. */
int pipeline_fail(struct pipeline *line, int status);

/* Give the memory of a text back: a buffer goes to `spare`. Returns 0 or an error of the channel.
 */
int text_release(struct pipeline *line, struct text *text) SKUA_MUST_CHECK;

void packed_file_free(struct packed_file *file);

/* Say that a folder has been walked to its end, or could not be walked: after the last one
   `folders` is closed. Call from anywhere. */
void pipeline_folder_done(struct pipeline *line);

/* The stages. Each function is a task's, and its argument one member of the crew. */
struct walker {
    struct pipeline *line;
    struct error_list errors;
};

struct reader {
    struct pipeline *line;
    struct error_list errors;
};

struct unpacker {
    struct pipeline *line;
    struct error_list errors;
};

struct counter {
    struct pipeline *line;
    struct words *table;
};

int walk_folders(void *walker);
int read_files(void *reader);
int unpack_files(void *unpacker);
int count_texts(void *counter);
int show_progress(void *pipeline);

/* Add the path of `name` in `folder` (or of the folder itself, if `name` is NULL) to the batch.
   False: it does not fit. */
bool paths_add(struct path_batch *batch, const char *folder, const char *name);

/* The path at *offset, which is moved behind it; NULL at the end. */
const char *paths_next(const struct path_batch *batch, size_t *offset);

#endif
