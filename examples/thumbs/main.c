/* thumbs: thumbnails of pictures that nobody has looked at before.

   main.c reads the arguments and starts the runtime; run.c goes through the files, one.c has one of
   them decoded, decode.c is what the worker processes do, and processes.c says what they may. */
#include "decode.h"
#include "thumbs.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIDE_DEFAULT = 128, PROCESSES_MAX = 1024, MIB = 1024 * 1024 };
enum { MEMORY_DEFAULT_MIB = 256, MEMORY_MAX_MIB = 1024 * 1024 };
enum { EXIT_INCOMPLETE = 1, EXIT_USAGE = 2, EXIT_BY_SIGNAL = 128 };

#define SECONDS_DEFAULT 5.0
#define SECONDS_MAX 1e6

static const char help[] =
    "Usage: thumbs [OPTION...] FROM TO\n"
    "Make a small picture, in the directory TO, of each PGM and PPM file (P5, P6) in the\n"
    "directory FROM.\n"
    "\n"
    "  -s, --side N          at most N pixels wide and high (default 128)\n"
    "  -j, --jobs N          decode N files at the same time (default: one for each core)\n"
    "  -m, --memory MIB      memory of one process (default 256)\n"
    "  -t, --time SECONDS    time for one file (default 5)\n"
    "      --cpu SECONDS     processor time for one file, in whole seconds (default: no limit)\n"
    "      --no-sandbox      let the decoder call whatever it likes of the system\n"
    "      --json            print one JSON object: counts, and a list of what was not done\n"
    "  -q, --quiet           no progress\n"
    "  -h, --help            print this\n"
    "\n"
    "Files are decoded in processes of their own, which have these limits and a filter of\n"
    "system calls, where that is to be had. What crashes its process, hangs, wants too much or\n"
    "answers with nonsense is named in the report, which accounts for every file; the others\n"
    "are not concerned. The exit status is 0 if there is a thumbnail of each, else 1; 2 for\n"
    "wrong use.\n";

static bool parse_number(const char *text, unsigned long max, unsigned long *number)
{
    char *end = NULL;
    errno = 0;
    *number = strtoul(text, &end, 10);
    return errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0' && *number >= 1 &&
           *number <= max;
}

static bool parse_seconds(const char *text, int64_t *ns)
{
    char *end = NULL;
    const double seconds = strtod(text, &end);
    *ns = (int64_t)(seconds * 1e9);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && seconds <= SECONDS_MAX && *ns > 0;
}

enum { CPU = 256, NO_SANDBOX, JSON };

/* One option with an argument. */
static bool parse_value(int letter, struct settings *settings)
{
    unsigned long number = 0;
    bool is_good = false;
    switch (letter) {
    case 's':
        is_good = parse_number(optarg, SIDE_MAX, &number);
        settings->side_max = (uint32_t)number;
        break;
    case 'j':
        is_good = parse_number(optarg, PROCESSES_MAX, &number);
        settings->processes = (uint32_t)number;
        break;
    case 'm':
        is_good = parse_number(optarg, MEMORY_MAX_MIB, &number);
        settings->memory_bytes = (size_t)number * MIB;
        break;
    case 't':
        is_good = parse_seconds(optarg, &settings->time_ns);
        break;
    case CPU:
        is_good = parse_seconds(optarg, &settings->cpu_ns);
        break;
    default:
        return false;
    }
    if (!is_good) {
        fprintf(stderr, "thumbs: not a number in range: %s\n", optarg);
    }
    return is_good;
}

/* Returns 0, 1 (help was printed) or -EINVAL. */
static int parse_option(int letter, struct settings *settings)
{
    switch (letter) {
    case 'h':
        fputs(help, stdout);
        return 1;
    case 'q':
        settings->is_quiet = true;
        return 0;
    case JSON:
        settings->is_json = true;
        return 0;
    case NO_SANDBOX:
        settings->without_sandbox = true;
        return 0;
    default:
        return parse_value(letter, settings) ? 0 : -EINVAL;
    }
}

static int parse_arguments(int argc, char **argv, struct settings *settings)
{
    static const struct option names[] = {
        {"side", required_argument, NULL, 's'},   {"jobs", required_argument, NULL, 'j'},
        {"memory", required_argument, NULL, 'm'}, {"time", required_argument, NULL, 't'},
        {"cpu", required_argument, NULL, CPU},    {"no-sandbox", no_argument, NULL, NO_SANDBOX},
        {"json", no_argument, NULL, JSON},        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    int status = 0;
    for (int letter;
         status == 0 && (letter = getopt_long(argc, argv, "s:j:m:t:qh", names, NULL)) >= 0;) {
        status = parse_option(letter, settings);
    }
    if (status != 0 || argc - optind != 2) {
        return status != 0 ? status : -EINVAL;
    }
    settings->from = argv[optind];
    settings->to = argv[optind + 1];
    return 0;
}

int main(int argc, char **argv)
{
    static struct run run = {
        .settings =
            {
                .side_max = SIDE_DEFAULT,
                .memory_bytes = (size_t)MEMORY_DEFAULT_MIB * MIB,
                .time_ns = (int64_t)(SECONDS_DEFAULT * 1e9),
            },
    };
    const skua_time start = skua_clock();
    int status = parse_arguments(argc, argv, &run.settings);
    if (status != 0) {
        if (status < 0) {
            fputs("Usage: thumbs [OPTION...] FROM TO; --help tells more\n", stderr);
        }
        return status < 0 ? EXIT_USAGE : 0;
    }
    if (run.settings.processes == 0) {
        run.settings.processes = skua_worker_count(NULL);
    }
    const skua_config config = {.name = "thumbs", .drain_ns = -1};
    status = skua_run(&config, make_thumbnails, &run);
    const bool was_stopped = status == -EINTR || status == -ECANCELED;
    if (status == 0 || was_stopped) {
        (run.settings.is_json ? report_json : report_text)(&run,
                                                           (double)skua_elapsed_ns(start) / 1e9);
    }
    const bool is_complete = status == 0 && count_outcome(&run, DONE) == run.files.count;
    free_files(&run);
    if (was_stopped) {
        return EXIT_BY_SIGNAL + skua_run_signal();
    }
    return is_complete && fflush(stdout) == 0 ? 0 : EXIT_INCOMPLETE;
}
