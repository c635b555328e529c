/* pgzip: gzip with all cores, in processes.

   main.c reads the arguments and starts the runtime; files.c says what becomes of which file,
   member.c compresses one, block.c is what the worker processes do. */
#include "block.h"
#include "pgzip.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LEVEL_DEFAULT = 6, PROCESSES_MAX = 1024, KIB = 1024 };
enum { EXIT_INCOMPLETE = 1, EXIT_USAGE = 2, EXIT_BY_SIGNAL = 128 };

static const char help[] =
    "Usage: pgzip [OPTION...] [FILE...]\n"
    "Compress each FILE to FILE.gz, which gunzip reads, and remove FILE. Without any, or for -,\n"
    "standard input is compressed to standard output.\n"
    "\n"
    "  -1 ... -9             fast or small (default 6)\n"
    "  -c, --stdout          write to standard output, keep the files\n"
    "  -o, --output OUT      write to the file OUT, keep the files\n"
    "  -k, --keep            keep the files\n"
    "  -f, --force           replace files; write to a terminal\n"
    "  -n, --no-name         put no name and time into the header\n"
    "  -p, --processes N     compress with N processes (default: one for each core)\n"
    "  -b, --blocksize KIB   so much is compressed at a time (default 512)\n"
    "  -q, --quiet           no progress\n"
    "  -h, --help            print this\n"
    "\n"
    "Memory stays within some megabytes per process, however much there is to compress. A\n"
    "process that dies is replaced, and its block begun again. An output that does not become\n"
    "whole is removed. The exit status is 0, 1 if something could not be compressed, 2 for\n"
    "wrong use.\n";

static bool parse_number(const char *text, unsigned long min, unsigned long max,
                         unsigned long *number)
{
    char *end = NULL;
    errno = 0;
    *number = strtoul(text, &end, 10);
    return errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0' && *number >= min &&
           *number <= max;
}

/* One option. Returns 0, 1 (help was printed) or -EINVAL. */
static int parse_option(int letter, struct settings *settings)
{
    unsigned long number = 0;
    switch (letter) {
    case 'h':
        fputs(help, stdout);
        return 1;
    case 'c':
        settings->to_stdout = true;
        return 0;
    case 'o':
        settings->output = optarg;
        return 0;
    case 'k':
        settings->keeps_input = true;
        return 0;
    case 'f':
        settings->overwrites = true;
        return 0;
    case 'n':
        settings->without_name = true;
        return 0;
    case 'q':
        settings->is_quiet = true;
        return 0;
    case 'p':
        if (parse_number(optarg, 1, PROCESSES_MAX, &number)) {
            settings->processes = (uint32_t)number;
            return 0;
        }
        break;
    case 'b':
        if (parse_number(optarg, BLOCK_BYTES_MIN / KIB, BLOCK_BYTES_MAX / KIB, &number)) {
            settings->block_bytes = number * KIB;
            return 0;
        }
        break;
    default:
        if (letter >= '1' && letter <= '9') {
            settings->level = letter - '0';
            return 0;
        }
        return -EINVAL;
    }
    fprintf(stderr, "pgzip: -%c: not a number in range: %s\n", letter, optarg);
    return -EINVAL;
}

static int parse_arguments(int argc, char **argv, struct settings *settings)
{
    static const struct option names[] = {
        {"stdout", no_argument, NULL, 'c'},
        {"output", required_argument, NULL, 'o'},
        {"keep", no_argument, NULL, 'k'},
        {"force", no_argument, NULL, 'f'},
        {"no-name", no_argument, NULL, 'n'},
        {"processes", required_argument, NULL, 'p'},
        {"blocksize", required_argument, NULL, 'b'},
        {"fast", no_argument, NULL, '1'},
        {"best", no_argument, NULL, '9'},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int status = 0;
    for (int letter; status == 0 && (letter = getopt_long(argc, argv, "123456789co:kfnp:b:qh",
                                                          names, NULL)) >= 0;) {
        status = parse_option(letter, settings);
    }
    settings->files = argv + optind;
    settings->file_count = (size_t)(argc - optind);
    return status;
}

/* Compressed data on a terminal is nothing that anybody wants. */
static bool writes_to_terminal(const struct settings *settings)
{
    const bool to_stdout =
        settings->output == NULL && (settings->to_stdout || settings->file_count == 0);
    return to_stdout && !settings->overwrites && isatty(STDOUT_FILENO);
}

int main(int argc, char **argv)
{
    static struct run run = {
        .settings = {.level = LEVEL_DEFAULT, .block_bytes = BLOCK_BYTES_DEFAULT},
    };
    int status = parse_arguments(argc, argv, &run.settings);
    if (status == 0 && writes_to_terminal(&run.settings)) {
        fputs("pgzip: compressed data is not written to a terminal, unless forced (-f)\n", stderr);
        status = -EINVAL;
    }
    if (status != 0) {
        if (status < 0) {
            fputs("Usage: pgzip [-123456789ckfnq] [-o OUT] [-p N] [-b KIB] [FILE...]; "
                  "--help tells more\n",
                  stderr);
        }
        return status < 0 ? EXIT_USAGE : 0;
    }
    if (run.settings.processes == 0) {
        run.settings.processes = skua_worker_count(NULL);
    }
    /* So that they are errors of the writes. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    /* This process reads and writes; the work is done by others. A first ^C cancels. */
    const skua_config config = {.name = "pgzip", .workers = 1, .drain_ns = -1};
    status = skua_run(&config, compress_files, &run);
    if (status == -EINTR || status == -ECANCELED) {
        return EXIT_BY_SIGNAL + skua_run_signal();
    }
    if (status < 0 && !run.is_incomplete) {
        fprintf(stderr, "pgzip: %s\n", skua_error_text(status));
    }
    return status < 0 || run.is_incomplete ? EXIT_INCOMPLETE : 0;
}
