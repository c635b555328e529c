/* copytree: copy a tree with many files at a time.

   main.c reads the arguments and starts the runtime; copy.c does the work. */
#include "copytree.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { JOBS_DEFAULT = 16, JOBS_MAX = 4096, FDS_PER_JOB = 5, FDS_BESIDE = 64 };
enum { EXIT_INCOMPLETE = 1, EXIT_USAGE = 2 };

static const char help[] =
    "Usage: copytree [OPTION...] FROM TO\n"
    "Copy the directory FROM with all that is in it to TO, which is made if it is not there.\n"
    "\n"
    "  -j, --jobs N          copy N files at the same time (default 16)\n"
    "  -p, --preserve        keep the times of files and directories\n"
    "  -n, --no-clobber      leave files alone that are in TO already\n"
    "  -x, --one-file-system do not enter other file systems\n"
    "      --durable         each file is on the disk before it gets its name\n"
    "  -q, --quiet           no progress, no summary\n"
    "  -h, --help            print this\n"
    "\n"
    "A file in TO is the old one or the whole new one at every moment, also if copytree is\n"
    "stopped with ^C or killed. Permissions are kept, holes stay holes, symbolic links are\n"
    "copied as such. What cannot be copied is listed, and the rest is copied all the same;\n"
    "then the exit status is 1. At most N files and a handful of directories are open.\n";

/* A number from 1 to JOBS_MAX. */
static bool parse_jobs(const char *text, uint32_t *jobs)
{
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);
    *jobs = (uint32_t)number;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && number >= 1 && number <= JOBS_MAX;
}

/* Returns 0, 1 (help was printed) or -EINVAL. */
static int parse_arguments(int argc, char **argv, struct settings *settings)
{
    enum { DURABLE = 256 };
    static const struct option names[] = {
        {"jobs", required_argument, NULL, 'j'},  {"preserve", no_argument, NULL, 'p'},
        {"no-clobber", no_argument, NULL, 'n'},  {"one-file-system", no_argument, NULL, 'x'},
        {"durable", no_argument, NULL, DURABLE}, {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
    };
    settings->jobs = JOBS_DEFAULT;
    for (int letter; (letter = getopt_long(argc, argv, "j:pnxqh", names, NULL)) >= 0;) {
        switch (letter) {
        case 'h':
            fputs(help, stdout);
            return 1;
        case 'j':
            if (!parse_jobs(optarg, &settings->jobs)) {
                fprintf(stderr, "copytree: not a number from 1 to %d: %s\n", JOBS_MAX, optarg);
                return -EINVAL;
            }
            break;
        case 'p':
            settings->keeps_times = true;
            break;
        case 'n':
            settings->is_exclusive = true;
            break;
        case 'x':
            settings->stays_on_device = true;
            break;
        case DURABLE:
            settings->is_durable = true;
            break;
        case 'q':
            settings->is_quiet = true;
            break;
        default:
            return -EINVAL;
        }
    }
    if (argc - optind != 2) {
        return -EINVAL;
    }
    settings->from = argv[optind];
    settings->to = argv[optind + 1];
    return 0;
}

/* No more files at a time than may be open. */
static void respect_limit(struct settings *settings)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        rlim_t room = limit.rlim_cur > FDS_BESIDE ? limit.rlim_cur - FDS_BESIDE : 0;
        rlim_t jobs = room / FDS_PER_JOB > 0 ? room / FDS_PER_JOB : 1;
        settings->jobs = settings->jobs < jobs ? settings->jobs : (uint32_t)jobs;
    }
}

static void print_summary(const struct job *job, double seconds)
{
    const double megabytes = (double)job->bytes / 1e6;
    printf("%llu files, %zu directories, %llu links, %.1f MB in %.2f s (%.0f MB/s)",
           (unsigned long long)job->done, job->folders.count, (unsigned long long)job->links,
           megabytes, seconds, seconds > 0 ? megabytes / seconds : 0);
    printf(job->failure_count > 0 ? "; %zu could not be copied\n" : "\n", job->failure_count);
}

int main(int argc, char **argv)
{
    static struct job job;
    const skua_time start = skua_clock();
    int status = parse_arguments(argc, argv, &job.settings);
    if (status != 0) {
        if (status < 0) {
            fputs("Usage: copytree [-j N] [-pnxq] [--durable] FROM TO; --help tells more\n",
                  stderr);
        }
        return status < 0 ? EXIT_USAGE : 0;
    }
    respect_limit(&job.settings);
    const skua_config config = {.name = "copytree"};
    status = skua_run(&config, copy_tree, &job);
    print_failures(&job);
    if (status < 0) {
        fprintf(stderr, "copytree: %s\n", skua_error_text(status));
    }
    if (!job.settings.is_quiet) {
        print_summary(&job, (double)skua_elapsed_ns(start) / 1e9);
    }
    const bool is_complete = status >= 0 && job.failure_count == 0;
    free_failures(&job);
    skua_vec_free(&job.folders);
    return is_complete ? 0 : EXIT_INCOMPLETE;
}
