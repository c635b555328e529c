/* The program of docs/guide/io.md. */
#include <skua/skua.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* An fd that belongs to a library, here the kernel's timer: it is waited for, and stays foreign. */
static int wait_for_timer(void)
{
    const struct itimerspec when = {.it_value.tv_nsec = 1000000};
    uint64_t ticks = 0;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0 || timerfd_settime(fd, 0, &when, NULL) < 0) {
        return -errno;
    }
    int events = skua_wait_fd(fd, SKUA_READABLE, skua_after(SKUA_SEC(60)));
    if (events > 0 && read(fd, &ticks, sizeof ticks) == sizeof ticks) {
        printf("the timer has fired: %d\n", (int)ticks);
    }
    close(fd);
    return events < 0 ? events : 0;
}

/* An fd that is ours: adopted once, then read and written by all calls, closed by skua_close(). */
static int use_pipe(void)
{
    int ends[2];
    char text[8];
    if (pipe(ends) < 0) {
        return -errno;
    }
    int status = skua_fd_adopt(ends[0]);
    if (status < 0) {
        close(ends[0]);
        close(ends[1]);
        return status;
    }
    ssize_t got = skua_read(ends[0], text, sizeof text, SKUA_NOW);
    printf("nothing there yet: %s\n", got == -EAGAIN ? "-EAGAIN" : "?");
    got = skua_read(ends[0], text, sizeof text, skua_after(SKUA_MS(1)));
    printf("nor a moment later: %s\n", got == -ETIMEDOUT ? "-ETIMEDOUT" : "?");
    got = write(ends[1], "at last", 7);
    close(ends[1]);
    got = got < 0 ? got : skua_read(ends[0], text, sizeof text, skua_after(SKUA_SEC(60)));
    printf("then: %.*s\n", (int)got, text);
    skua_close(ends[0]);
    return got < 0 ? (int)got : 0;
}

static int program(void *arg)
{
    int status = wait_for_timer();
    return status < 0 ? status : use_pipe();
}

int main(void)
{
    return skua_run(NULL, program, NULL) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
