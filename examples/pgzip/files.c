/* files.c: which file becomes which. A file that fails is told and left as it is, and the next one
   has its turn; an output that is not whole is removed. */
#include "block.h"
#include "pgzip.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { USUAL_MODE = 0666, PERMISSIONS = 0777, NS_PER_SECOND = 1000000000 };

static const char suffix[] = ".gz";

/* An input: a file, or standard input ("-"). */
struct input {
    int fd;
    const char *path; /* NULL: standard input */
    skua_file_info info;
};

static void complain(struct run *run, const char *path, const char *text)
{
    run->is_incomplete = true;
    fprintf(stderr, "pgzip: %s: %s\n", path != NULL ? path : "standard input", text);
}

/* A program that is to end refuses what is new (-ESHUTDOWN), and cancels what is there. */
static int settled(int status)
{
    return status == -ESHUTDOWN ? -ECANCELED : status;
}

/* Complain of a status, unless it only says that the program is to end. Returns it. */
static int complain_of(struct run *run, const char *path, int status)
{
    status = settled(status);
    if (status != -ECANCELED) {
        complain(run, path, skua_error_text(status));
    }
    return status;
}

static int input_open(struct input *input, const char *path)
{
    *input = (struct input){.fd = STDIN_FILENO};
    int status;
    if (strcmp(path, "-") == 0) {
        status = skua_fd_adopt(STDIN_FILENO);
        status = status == -EEXIST ? 0 : status;
    } else {
        input->path = path;
        status = input->fd = skua_open(path, O_RDONLY, 0, SKUA_FOREVER);
    }
    if (status < 0) {
        return status;
    }
    status = skua_fstat(input->fd, &input->info, SKUA_FOREVER);
    if (status == 0 && S_ISDIR(input->info.mode)) {
        status = -EISDIR;
    }
    if (status < 0 && input->path != NULL) {
        skua_close(input->fd);
    }
    return status;
}

static void input_close(const struct input *input)
{
    if (input->path != NULL) {
        skua_close(input->fd);
    }
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* The input as a member of the output. Returns 0, or < 0 after having told why. */
static int add_member(struct run *run, const struct input *input, const struct output *output)
{
    const bool is_file = input->path != NULL && S_ISREG(input->info.mode);
    const int64_t seconds = input->info.modified_ns / NS_PER_SECOND;
    const bool with_name = is_file && !run->settings.without_name;
    const struct member member = {
        .run = run,
        .from = input->fd,
        .to = output->fd,
        .name = with_name ? last_part(input->path) : NULL,
        .modified = with_name && seconds > 0 && seconds <= UINT32_MAX ? (uint32_t)seconds : 0,
    };
    struct failure failure;
    int status = settled(compress_member(&member, &failure));
    if (status < 0 && status != -ECANCELED) {
        const char *to = output->path != NULL ? output->path : "standard output";
        complain(run, failure.place == FAILED_WRITING ? to : input->path, failure.text);
    }
    return status;
}

/* All inputs, one behind the other, to one output. What cannot be opened is passed over; one that
   fails later has spoilt the output. */
static int compress_to_one(struct run *run, const char *path)
{
    const struct settings *settings = &run->settings;
    static char dash[] = "-";
    static char *const standard_input[] = {dash};
    char *const *files = settings->file_count > 0 ? settings->files : standard_input;
    const size_t count = settings->file_count > 0 ? settings->file_count : 1;
    struct output output;
    int status = output_open(&output, path, settings->overwrites, USUAL_MODE);
    if (status < 0) {
        return complain_of(run, path != NULL ? path : "standard output", status);
    }
    size_t opened = 0;
    for (size_t i = 0; i < count && status == 0; i++) {
        struct input input;
        int result = input_open(&input, files[i]);
        if (result < 0) {
            (void)complain_of(run, files[i], result);
            continue;
        }
        opened++;
        status = add_member(run, &input, &output);
        input_close(&input);
    }
    output_close(&output, opened == 0 ? -ENOENT : status);
    return status;
}

/* With what the input had: permissions and times. */
static int compress_open(struct run *run, const struct input *input, const char *path)
{
    struct output output;
    const mode_t mode = input->info.mode & PERMISSIONS;
    int status = output_open(&output, path, run->settings.overwrites, mode);
    if (status < 0) {
        return complain_of(run, path, status);
    }
    status = add_member(run, input, &output);
    output_close(&output, status);
    if (status < 0) {
        return status;
    }
    status = skua_utimes(SKUA_CWD, path, 0, input->info.accessed_ns, input->info.modified_ns,
                         SKUA_FOREVER);
    if (status == 0 && !run->settings.keeps_input) {
        status = skua_unlink(SKUA_CWD, input->path, SKUA_FOREVER);
    }
    return status < 0 ? complain_of(run, input->path, status) : 0;
}

/* FILE becomes FILE.gz. */
static int compress_file(struct run *run, const char *path)
{
    char to[PATH_MAX];
    const size_t length = strlen(path);
    if (length >= strlen(suffix) && strcmp(path + length - strlen(suffix), suffix) == 0) {
        complain(run, path, "has the suffix .gz already");
        return -EINVAL;
    }
    if ((size_t)snprintf(to, sizeof to, "%s%s", path, suffix) >= sizeof to) {
        return complain_of(run, path, -ENAMETOOLONG);
    }
    struct input input;
    int status = input_open(&input, path);
    if (status < 0) {
        return complain_of(run, path, status);
    }
    if (S_ISREG(input.info.mode) || run->settings.overwrites) {
        status = compress_open(run, &input, to);
    } else {
        complain(run, path, "not a file");
    }
    input_close(&input);
    return status;
}

static int compress_each(struct run *run)
{
    int status = 0;
    for (size_t i = 0; i < run->settings.file_count && status != -ECANCELED; i++) {
        status = compress_file(run, run->settings.files[i]);
    }
    return status == -ECANCELED ? status : 0;
}

/* How much there is to read, as far as that is known, for the time that is left. */
static void measure(struct run *run)
{
    const struct settings *settings = &run->settings;
    skua_file_info info;
    uint64_t bytes = 0;
    if (settings->file_count == 0 && skua_fstat(STDIN_FILENO, &info, SKUA_FOREVER) == 0) {
        bytes = S_ISREG(info.mode) ? info.bytes : 0;
    }
    for (size_t i = 0; i < settings->file_count; i++) {
        if (skua_stat(SKUA_CWD, settings->files[i], 0, &info, SKUA_FOREVER) == 0) {
            bytes += S_ISREG(info.mode) ? info.bytes : 0;
        }
    }
    run->bytes_total = bytes;
}

static int compress_in_pool(struct run *run)
{
    const struct settings *settings = &run->settings;
    SKUA_GROUP(watchers);
    measure(run);
    skua_group_open(&watchers, SKUA_FAIL_FAST, SKUA_FOREVER);
    int status = skua_group_spawn(&watchers, show_progress, run);
    if (status == 0 && settings->output != NULL) {
        status = compress_to_one(run, settings->output);
    } else if (status == 0 && (settings->to_stdout || settings->file_count == 0)) {
        status = compress_to_one(run, NULL);
    } else if (status == 0) {
        status = compress_each(run);
    }
    skua_event_set(&run->ended);
    return skua_group_close(&watchers, status);
}

int compress_files(void *arg)
{
    struct run *run = arg;
    const struct settings *settings = &run->settings;
    const skua_pool_opts opts =
        block_pool_opts(&settings->level, settings->block_bytes, settings->processes);
    int status = skua_pool_create(&run->pool, &opts);
    if (status < 0) {
        return complain_of(run, "worker processes", status);
    }
    status = settled(compress_in_pool(run));
    skua_pool_destroy(run->pool);
    return status == -ECANCELED ? status : 0; /* all else was told */
}
