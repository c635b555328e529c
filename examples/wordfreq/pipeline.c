/* pipeline.c: sets the stages up, waits for them one after the other, and puts the results
   together.

   The end travels with the items: when all tasks of a stage have ended, the channel behind it is
   closed, and the next stage ends when it has taken what was left in it. */
#include "pipeline.h"

#include "crew.h"
#include "gunzip.h"
#include "merge.h"

#include <stdlib.h>
#include <sys/stat.h>

/* All that runs. The members are what the tasks of a crew work on. */
struct staff {
    struct crew walking;
    struct crew reading;
    struct crew unpacking;
    struct crew counting;
    struct crew showing;
    struct walker *walkers;
    struct reader *readers;
    struct unpacker *unpackers;
    struct counter *counters;
};

int pipeline_fail(struct pipeline *line, int status)
{
    int none = 0;
    atomic_compare_exchange_strong(&line->status, &none, status);
    skua_chan *channels[] = {line->folders, line->files, line->packed, line->texts, line->spare};
    for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++) {
        skua_chan_close(channels[i]);
    }
    return status;
}

void pipeline_folder_done(struct pipeline *line)
{
    if (atomic_fetch_sub(&line->folders_left, 1) == 1) {
        skua_chan_close(line->folders);
    }
}

static int buffers_create(struct pipeline *line, size_t count)
{
    line->buffers = calloc(count, sizeof(*line->buffers));
    if (!line->buffers) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        struct text_buffer *buffer = &line->buffers[i];
        buffer->data = malloc(TEXT_BUFFER_BYTES);
        if (!buffer->data) {
            return -ENOMEM;
        }
        buffer->room_bytes = TEXT_BUFFER_BYTES;
        line->buffers_count++;
        int status = skua_chan_send(line->spare, SKUA_ITEM(buffer), SKUA_NOW);
        if (status < 0) {
            return status;
        }
    }
    return 0;
}

static int pipeline_init(struct pipeline *line, uint32_t jobs, size_t readers)
{
    *line = (struct pipeline){.jobs = jobs, .folders_left = 1};
    /* A reader holds one buffer and may wait for another; as many again are on their way. */
    const size_t buffers = 4 * readers;
    const skua_pool_opts pool = {
        .workers = jobs, .payload_max = GUNZIP_BYTES_MAX, .name = "wordfreq-unzip"};
    int status = skua_pool_create(&line->pool, &pool);
    status = status < 0 ? status
                        : skua_chan_create(&line->folders, sizeof(struct path_batch *), 2 * jobs);
    status = status < 0 ? status
                        : skua_chan_create(&line->files, sizeof(struct path_batch *), 2 * readers);
    status =
        status < 0 ? status : skua_chan_create(&line->packed, sizeof(struct packed_file), 2 * jobs);
    status = status < 0 ? status : skua_chan_create(&line->texts, sizeof(struct text), 2 * jobs);
    status =
        status < 0 ? status : skua_chan_create(&line->spare, sizeof(struct text_buffer *), buffers);
    status = status < 0 ? status : skua_chan_create(&line->ended, 0, 0);
    return status < 0 ? status : buffers_create(line, buffers);
}

/* What is left in the channels when the work was given up. */
static void drain(struct pipeline *line)
{
    struct path_batch *batch;
    struct packed_file file;
    struct text text;
    while (line->folders && skua_chan_recv(line->folders, SKUA_ITEM(batch), SKUA_NOW) == 1) {
        free(batch);
    }
    while (line->files && skua_chan_recv(line->files, SKUA_ITEM(batch), SKUA_NOW) == 1) {
        free(batch);
    }
    while (line->packed && skua_chan_recv(line->packed, SKUA_ITEM(file), SKUA_NOW) == 1) {
        packed_file_free(&file);
    }
    while (line->texts && skua_chan_recv(line->texts, SKUA_ITEM(text), SKUA_NOW) == 1) {
        skua_buf_release(&text.answer);
    }
}

static void pipeline_fini(struct pipeline *line)
{
    drain(line);
    const int both_ends = SKUA_SENDER | SKUA_RECEIVER;
    skua_chan_release(line->folders, both_ends);
    skua_chan_release(line->files, both_ends);
    skua_chan_release(line->packed, both_ends);
    skua_chan_release(line->texts, both_ends);
    skua_chan_release(line->spare, both_ends);
    skua_chan_release(line->ended, both_ends);
    skua_pool_destroy(line->pool);
    for (size_t i = 0; i < line->buffers_count; i++) {
        free(line->buffers[i].data);
    }
    free(line->buffers);
}

/* What an argument of the program is. */
struct argument {
    const char *path;
    bool is_folder;
};

/* On the blocking pool. Returns 0 or why there is nothing to be counted. */
static int look_at(void *arg)
{
    struct argument *argument = arg;
    struct stat info;
    if (stat(argument->path, &info) < 0) {
        return -errno;
    }
    argument->is_folder = S_ISDIR(info.st_mode);
    return argument->is_folder || S_ISREG(info.st_mode) ? 0 : -ENOTDIR;
}

/* Give one argument to the walkers, or to the readers if it is a file. */
static int feed(struct pipeline *line, const char *path, struct error_list *errors)
{
    struct argument argument = {.path = path};
    int status = skua_blocking(look_at, &argument, SKUA_FOREVER);
    struct path_batch *batch = calloc(1, sizeof(*batch));
    if (!batch) {
        return -ENOMEM;
    }
    /* The slash behind a folder makes a symbolic link stand for what it points to. */
    if (status == 0 && !paths_add(batch, path, argument.is_folder ? "" : NULL)) {
        status = -ENAMETOOLONG;
    }
    if (status < 0) {
        free(batch);
        errors_add(errors, path, status);
        return 0;
    }
    atomic_fetch_add(argument.is_folder ? &line->folders_left : &line->files_found, 1);
    skua_chan *to = argument.is_folder ? line->folders : line->files;
    status = skua_chan_send(to, SKUA_ITEM(batch), SKUA_FOREVER);
    if (status < 0) {
        free(batch);
    }
    return status;
}

/* Two for each process that unpacks, on all machines. */
static size_t unpackers(uint32_t jobs)
{
    return 2 * (size_t)jobs * skua_cluster_size();
}

static int staff_hire(struct staff *staff, uint32_t jobs, size_t readers)
{
    *staff = (struct staff){
        .walking = {.name = "walker", .fn = walk_folders, .count = jobs},
        .reading = {.name = "reader", .fn = read_files, .count = readers},
        .unpacking = {.name = "unpacker", .fn = unpack_files, .count = unpackers(jobs)},
        .counting = {.name = "counter", .fn = count_texts, .count = jobs},
        .showing = {.name = "progress", .fn = show_progress, .count = 1},
        .walkers = calloc(jobs, sizeof(struct walker)),
        .readers = calloc(readers, sizeof(struct reader)),
        .unpackers = calloc(unpackers(jobs), sizeof(struct unpacker)),
        .counters = calloc(jobs, sizeof(struct counter)),
    };
    return staff->walkers && staff->readers && staff->unpackers && staff->counters ? 0 : -ENOMEM;
}

static int staff_start(struct staff *staff, struct pipeline *line, struct words *tables)
{
    for (size_t i = 0; i < staff->walking.count; i++) {
        staff->walkers[i].line = line;
    }
    for (size_t i = 0; i < staff->reading.count; i++) {
        staff->readers[i].line = line;
    }
    for (size_t i = 0; i < staff->unpacking.count; i++) {
        staff->unpackers[i].line = line;
    }
    for (size_t i = 0; i < staff->counting.count; i++) {
        staff->counters[i] = (struct counter){.line = line, .table = &tables[i]};
    }
    int status = crew_start(&staff->walking, staff->walkers, sizeof(struct walker));
    status =
        status < 0 ? status : crew_start(&staff->reading, staff->readers, sizeof(struct reader));
    status = status < 0 ? status
                        : crew_start(&staff->unpacking, staff->unpackers, sizeof(struct unpacker));
    status =
        status < 0 ? status : crew_start(&staff->counting, staff->counters, sizeof(struct counter));
    return status < 0 ? status : crew_start(&staff->showing, line, 0);
}

/* Wait for the stages, one after the other. What went wrong is in line->status. */
static void staff_join(struct staff *staff, struct pipeline *line)
{
    (void)crew_join(&staff->walking);
    skua_chan_close(line->files);
    (void)crew_join(&staff->reading);
    skua_chan_close(line->packed);
    (void)crew_join(&staff->unpacking);
    skua_chan_close(line->texts);
    (void)crew_join(&staff->counting);
    skua_chan_close(line->ended);
    (void)crew_join(&staff->showing);
}

static void staff_leave(struct staff *staff, struct error_list *errors)
{
    for (size_t i = 0; staff->walkers && i < staff->walking.count; i++) {
        errors_move(errors, &staff->walkers[i].errors);
    }
    for (size_t i = 0; staff->readers && i < staff->reading.count; i++) {
        errors_move(errors, &staff->readers[i].errors);
    }
    for (size_t i = 0; staff->unpackers && i < staff->unpacking.count; i++) {
        errors_move(errors, &staff->unpackers[i].errors);
    }
    errors_sort(errors);
    free(staff->walkers);
    free(staff->readers);
    free(staff->unpackers);
    free(staff->counters);
}

/* Run the stages from the folders to the tables of the counters. */
static int count_folders(struct pipeline *line, size_t readers, char *const folders[],
                         size_t folders_count, struct result *out)
{
    struct staff staff;
    int status = staff_hire(&staff, line->jobs, readers);
    status = status < 0 ? status : staff_start(&staff, line, out->tables);
    for (size_t i = 0; i < folders_count && status == 0; i++) {
        status = feed(line, folders[i], &out->errors);
    }
    if (status < 0) {
        (void)pipeline_fail(line, status);
    }
    pipeline_folder_done(line); /* no more arguments */
    staff_join(&staff, line);
    staff_leave(&staff, &out->errors);
    return atomic_load(&line->status);
}

/* What other machines have done for it. */
static void look_at_ranks(const struct pipeline *line, struct result *out)
{
    out->ranks = skua_cluster_size();
    for (uint32_t rank = 1; rank < out->ranks; rank++) {
        skua_cluster_stats stats;
        if (skua_cluster_stats_get(line->pool, rank, &stats) == 0) {
            out->unpacked_elsewhere += stats.answered;
        }
    }
}

/* Put the tables of the counters together, and fill in the result. */
static int finish(const struct pipeline *line, size_t top_count, struct result *out)
{
    const size_t count = line->jobs;
    struct words *merged = count > 1 ? out->tables + count : out->tables;
    int status = count > 1 ? merge_tables(out->tables, merged, count) : 0;
    for (size_t i = 0; i < count && status == 0; i++) {
        out->words += merged[i].total;
        out->distinct += merged[i].distinct;
    }
    out->files = atomic_load(&line->files_found);
    out->bytes = atomic_load(&line->bytes_read);
    look_at_ranks(line, out);
    return status < 0 ? status : words_top(merged, count, top_count, &out->top, &out->top_count);
}

static int run_shielded(uint32_t jobs, char *const folders[], size_t folders_count,
                        size_t top_count, struct result *out)
{
    const size_t readers = jobs < 2 ? 4 : 2 * (size_t)jobs;
    struct pipeline line;
    *out = (struct result){.tables = calloc(2 * (size_t)jobs, sizeof(struct words))};
    if (!out->tables) {
        return -ENOMEM;
    }
    out->tables_count = 2 * (size_t)jobs;
    int status = pipeline_init(&line, jobs, readers);
    if (status == 0) {
        status = count_folders(&line, readers, folders, folders_count, out);
    }
    if (status == 0) {
        status = finish(&line, top_count, out);
    }
    pipeline_fini(&line);
    return status;
}

int pipeline_run(uint32_t jobs, char *const folders[], size_t folders_count, size_t top_count,
                 struct result *out)
{
    /* The tasks work on what is on this stack, so their end is awaited whatever happens. When the
       program is told to end they are cancelled themselves. */
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, SKUA_FOREVER);
    int status = run_shielded(jobs, folders, folders_count, top_count, out);
    return skua_scope_close(&shield, status);
}

void result_fini(struct result *result)
{
    for (size_t i = 0; i < result->tables_count; i++) {
        words_fini(&result->tables[i]);
    }
    free(result->tables);
    free(result->top);
    errors_fini(&result->errors);
}
