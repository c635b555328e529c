/* Two tasks wait for the same connection: who would get which bytes?
   Says: failed and nobody has asked for its status: -16 (Device or resource busy) */
#include <skua/skua.h>
#include <stdlib.h>

static int listen_in(void *arg)
{
    const int *fd = arg;
    char text[64];
    ssize_t got = skua_read(*fd, text, sizeof text, SKUA_FOREVER);
    return got == -EBUSY ? skua_fail(-EBUSY, "both read one socket") : got < 0 ? (int)got : 0;
}

static int run(void *arg)
{
    int ends[2];
    int status = skua_socket_pair(ends, SOCK_STREAM);
    status = status < 0 ? status : skua_spawn(NULL, listen_in, &ends[0], NULL);
    status = status < 0 ? status : skua_spawn(NULL, listen_in, &ends[0], NULL);
    for (int i = 0; i < 3 && status == 0; i++) {
        status = skua_yield();
    }
    skua_close(ends[0]); /* ends the one that waits */
    skua_close(ends[1]);
    return status;
}

int main(void)
{
    const skua_config one_worker = {.workers = 1};
    return skua_run(&one_worker, run, NULL) < 0;
}
