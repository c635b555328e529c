/* progress.c: the line on the terminal that tells how far it is. */
#include "copytree.h"

#include <stdio.h>
#include <unistd.h>

struct progress {
    uint64_t found, done;
    double megabytes, seconds;
};

/* On the blocking pool, since a terminal may take its time. */
static int print_progress(void *arg)
{
    const struct progress *now = arg;
    fprintf(stderr, "\r%llu of %llu files, %.0f MB, %.0f MB/s \x1b[K",
            (unsigned long long)now->done, (unsigned long long)now->found, now->megabytes,
            now->seconds > 0 ? now->megabytes / now->seconds : 0);
    fflush(stderr);
    return 0;
}

static int clear_progress(void *unused)
{
    (void)unused;
    fputs("\r\x1b[K", stderr);
    fflush(stderr);
    return 0;
}

int show_progress(void *arg)
{
    struct job *job = arg;
    const skua_time start = skua_clock();
    if (job->settings.is_quiet || !isatty(STDERR_FILENO)) {
        return 0;
    }
    int status = -ETIMEDOUT;
    while (status == -ETIMEDOUT) {
        struct progress now = {
            .found = job->found,
            .done = job->done,
            .megabytes = (double)job->bytes / 1e6,
            .seconds = (double)skua_elapsed_ns(start) / 1e9,
        };
        status = skua_blocking(print_progress, &now, SKUA_FOREVER);
        if (status == 0) {
            status = skua_event_wait(&job->ended, skua_after(SKUA_MS(100)));
        }
    }
    return status < 0 ? status : skua_blocking(clear_progress, NULL, SKUA_FOREVER);
}
