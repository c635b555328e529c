/* close() of an fd that Skua has opened: who waits on it sleeps on, and the number comes back.
   Says: which is adopted, was closed by close(2); skua_close() is for it */
#include <fcntl.h>
#include <skua/skua.h>
#include <unistd.h>

static int run(void *arg)
{
    int fd = skua_open("/dev/null", O_RDONLY, 0, SKUA_FOREVER);
    if (fd < 0) {
        return fd;
    }
    close(fd); /* skua_close() */
    fd = skua_open("/dev/null", O_RDONLY, 0, SKUA_FOREVER);
    return fd < 0 ? fd : 0;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
