/* skua_close() of an fd that Skua has not opened, and that was not handed over: by now it may be
   somebody else's.
   Says: this file descriptor was not adopted */
#include <skua/skua.h>
#include <unistd.h>

static int run(void *arg)
{
    int ends[2];
    if (pipe(ends) < 0) {
        return -errno;
    }
    skua_close(ends[0]); /* close(), or skua_fd_adopt() before */
    return 0;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
