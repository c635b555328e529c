/* progress.c: the line on the terminal that tells how far it is. */
#include "thumbs.h"

#include <stdio.h>
#include <unistd.h>

struct progress {
    uint64_t ended, bad;
    size_t files;
};

/* On the blocking pool, since a terminal may take its time. */
static int print_progress(void *arg)
{
    const struct progress *now = arg;
    fprintf(stderr, "\r%llu of %zu files, %llu of them in vain \x1b[K",
            (unsigned long long)now->ended, now->files, (unsigned long long)now->bad);
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
    if (run->settings.is_quiet || !isatty(STDERR_FILENO)) {
        return 0;
    }
    int status = -ETIMEDOUT;
    while (status == -ETIMEDOUT) {
        struct progress now = {run->ended_count, run->bad_count, run->files.count};
        status = skua_blocking(print_progress, &now, SKUA_FOREVER);
        if (status == 0) {
            status = skua_event_wait(&run->ended, skua_after(SKUA_MS(100)));
        }
    }
    return status < 0 ? status : skua_blocking(clear_progress, NULL, SKUA_FOREVER);
}
