/* wordfreq: the most frequent words of all files below some folders, plain or gzip'd.

   main.c reads the arguments and starts the runtime; the work is in pipeline.c. */
#include "pipeline.h"
#include "report.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { JOBS_MAX = 1024, TOP_DEFAULT = 20 };

struct options {
    uint32_t jobs;
    size_t top;
    bool json;
    char **folders;
    size_t folders_count;
    struct result *result; /* where the first task puts what it has found */
};

static const char help[] =
    "Usage: wordfreq [OPTION...] FOLDER...\n"
    "Print the most frequent words of all regular files below the folders. A word is a\n"
    "run of ASCII letters; upper and lower case are the same. gzip files are unpacked.\n"
    "\n"
    "  --top N    print N words (default 20; 0: all)\n"
    "  --jobs N   use N workers, and N processes that unpack (default: one per core)\n"
    "  --json     print one JSON object: files, bytes, words, distinct, seconds,\n"
    "             ranks, unpacked_elsewhere, top: list of [word, count], errors: list\n"
    "             of {path, error}\n"
    "  --help     print this\n"
    "\n"
    "Files that cannot be read, and damaged ones, are listed behind the words; of a\n"
    "damaged gzip file the words that can be saved count. Files larger than 256 MiB,\n"
    "packed or unpacked, are not unpacked. Symbolic links are not followed.\n"
    "Under mpirun the processes of all ranks unpack; the files are read by the first.\n";

/* The number in `text`, at most `max`. False: it is none. */
static bool parse_number(const char *text, unsigned long long max, unsigned long long *number)
{
    char *end = NULL;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0' && *number <= max;
}

/* Returns 0, 1 (help was printed) or -EINVAL. */
static int parse_arguments(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        {"top", required_argument, NULL, 't'},
        {"jobs", required_argument, NULL, 'j'},
        {"json", no_argument, NULL, 'J'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (int letter; (letter = getopt_long(argc, argv, "ht:j:", names, NULL)) >= 0;) {
        unsigned long long number = 0;
        if (letter == 'h') {
            fputs(help, stdout);
            return 1;
        } else if (letter == 'J') {
            options->json = true;
        } else if (letter == 't' && parse_number(optarg, SIZE_MAX, &number)) {
            options->top = (size_t)number;
        } else if (letter == 'j' && parse_number(optarg, JOBS_MAX, &number)) {
            options->jobs = (uint32_t)number;
        } else {
            if (letter != '?') {
                fprintf(stderr, "wordfreq: not a number in range: %s\n", optarg);
            }
            return -EINVAL;
        }
    }
    options->folders = argv + optind;
    options->folders_count = (size_t)(argc - optind);
    return options->folders_count > 0 ? 0 : -EINVAL;
}

/* The first task. */
static int run(void *arg)
{
    const struct options *options = arg;
    return pipeline_run(options->jobs, options->folders, options->folders_count, options->top,
                        options->result);
}

int main(int argc, char **argv)
{
    const skua_time start = skua_clock();
    struct result result = {0};
    struct options options = {.top = TOP_DEFAULT, .result = &result};
    int status = parse_arguments(argc, argv, &options);
    if (status != 0) {
        if (status < 0) {
            fputs("Usage: wordfreq [--top N] [--jobs N] [--json] FOLDER...\n", stderr);
        }
        return status < 0;
    }
    if (options.jobs == 0) {
        options.jobs = skua_worker_count(NULL);
    }
    const skua_config config = {.workers = options.jobs, .name = "wordfreq"};
    status = skua_run(&config, run, &options);
    const double seconds = (double)skua_elapsed_ns(start) / 1e9;
    bool nothing_read = false;
    if (status < 0) {
        fprintf(stderr, "wordfreq: %s\n", skua_error_text(status));
    } else {
        (options.json ? report_json : report_table)(&result, seconds);
        nothing_read = result.files == 0 && result.errors.count > 0;
    }
    result_fini(&result);
    return status < 0 || nothing_read || fflush(stdout) != 0;
}
