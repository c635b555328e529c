/* progress.c: the line on the terminal: how much, how fast, how long it will take. */
#include "pgzip.h"

#include <stdio.h>
#include <unistd.h>

struct progress {
    uint64_t bytes_in, bytes_out, bytes_total;
    double seconds;
};

static void print_time(double seconds)
{
    const unsigned long whole = (unsigned long)seconds;
    fprintf(stderr, ", %lu:%02lu left", whole / 60, whole % 60);
}

/* On the blocking pool, since a terminal may take its time. */
static int print_progress(void *arg)
{
    const struct progress *now = arg;
    const double in = (double)now->bytes_in;
    const double rate = now->seconds > 0 ? in / now->seconds : 0;
    fprintf(stderr, "\r%.1f MB", in / 1e6);
    if (now->bytes_total > 0) {
        fprintf(stderr, " of %.1f MB", (double)now->bytes_total / 1e6);
    }
    fprintf(stderr, ", %.1f MB/s", rate / 1e6);
    if (now->bytes_in > 0) {
        fprintf(stderr, ", %.0f %%", 100 * (double)now->bytes_out / in);
    }
    if (rate > 0 && now->bytes_total > now->bytes_in) {
        print_time(((double)now->bytes_total - in) / rate);
    }
    fputs(" \x1b[K", stderr);
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
    struct run *run = arg;
    const skua_time start = skua_clock();
    if (run->settings.is_quiet || !isatty(STDERR_FILENO)) {
        return 0;
    }
    int status = skua_event_wait(&run->ended, skua_after(SKUA_MS(300)));
    while (status == -ETIMEDOUT) {
        struct progress now = {
            .bytes_in = run->bytes_in,
            .bytes_out = run->bytes_out,
            .bytes_total = run->bytes_total,
            .seconds = (double)skua_elapsed_ns(start) / 1e9,
        };
        status = skua_blocking(print_progress, &now, SKUA_FOREVER);
        if (status == 0) {
            status = skua_event_wait(&run->ended, skua_after(SKUA_MS(100)));
        }
    }
    return status < 0 ? status : skua_blocking(clear_progress, NULL, SKUA_FOREVER);
}
