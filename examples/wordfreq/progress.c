/* progress.c: the line on the terminal that tells how far it is. */
#include "pipeline.h"

#include <stdio.h>
#include <unistd.h>

enum { BAR_WIDTH = 30 };

struct progress {
    size_t found;
    size_t done;
    double megabytes;
    double seconds;
};

/* On the blocking pool, since a terminal may take its time. */
static int print_progress(void *arg)
{
    const struct progress *now = arg;
    char bar[BAR_WIDTH + 1];
    for (size_t i = 0; i < BAR_WIDTH; i++) {
        bar[i] = now->done * BAR_WIDTH > i * now->found ? '#' : '.';
    }
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r[%s] %zu of %zu files, %.0f MB, %.0f MB/s \x1b[K", bar, now->done,
            now->found, now->megabytes, now->seconds > 0 ? now->megabytes / now->seconds : 0);
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

static struct progress look(struct pipeline *line, skua_time start)
{
    return (struct progress){
        .found = atomic_load_explicit(&line->files_found, memory_order_relaxed),
        .done = atomic_load_explicit(&line->files_done, memory_order_relaxed),
        .megabytes = (double)atomic_load_explicit(&line->bytes_read, memory_order_relaxed) / 1e6,
        .seconds = (double)skua_elapsed_ns(start) / 1e9,
    };
}

/* The task: shows the line ten times a second until the channel `ended` is closed. */
int show_progress(void *arg)
{
    struct pipeline *line = arg;
    if (!isatty(STDERR_FILENO)) {
        return 0;
    }
    const skua_time start = skua_clock();
    int status;
    do {
        struct progress now = look(line, start);
        status = skua_blocking(print_progress, &now, SKUA_FOREVER);
        if (status == 0) {
            status = skua_chan_recv(line->ended, NULL, 0, skua_after(SKUA_MS(100)));
        }
    } while (status == -ETIMEDOUT);
    return status < 0 ? status : skua_blocking(clear_progress, NULL, SKUA_FOREVER);
}
