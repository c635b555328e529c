/* Datagrams there and back: a task that answers, and one that asks. */
#include <skua/skua.h>
#include <stdio.h>
#include <string.h>

static int answer(void *arg)
{
    const int *fd = arg;
    char text[64], turned[64];
    skua_address from;
    ssize_t got;
    while ((got = skua_recv_from(*fd, text, sizeof text, &from, SKUA_FOREVER)) >= 0) {
        for (ssize_t i = 0; i < got; i++) {
            turned[i] = text[got - 1 - i];
        }
        got = skua_send_to(*fd, turned, (size_t)got, &from, SKUA_FOREVER);
        if (got < 0) {
            break;
        }
    }
    return (int)got; /* -ECANCELED */
}

static int ask(const skua_address *at)
{
    static const char *const words[] = {"stressed", "pots", "drawer"};
    char text[64];
    int fd = skua_datagram_open(NULL, at, NULL);
    ssize_t moved = fd < 0 ? fd : 0;
    for (int i = 0; i < 3 && moved >= 0; i++) {
        moved = skua_send_to(fd, words[i], strlen(words[i]), NULL, SKUA_FOREVER);
        if (moved >= 0) {
            moved = skua_recv_from(fd, text, sizeof text, NULL, SKUA_FOREVER);
        }
        if (moved >= 0) {
            printf("%zd bytes: %.*s\n", moved, (int)moved, text);
        }
    }
    if (fd >= 0) {
        skua_close(fd);
    }
    return moved < 0 ? (int)moved : 0;
}

static int run(void *arg)
{
    skua_address at;
    skua_task *task;
    int status = skua_address_parse("127.0.0.1:0", &at);
    int fd = status < 0 ? status : skua_datagram_open(&at, NULL, NULL);
    status = fd < 0 ? fd : skua_local_address(fd, &at);
    status = status < 0 ? status : skua_spawn(&task, answer, &fd, NULL);
    if (status < 0) {
        return status;
    }
    status = ask(&at);
    skua_task_cancel(task);
    int joined = skua_join(task, NULL, SKUA_FOREVER);
    skua_task_release(task);
    skua_close(fd);
    return status < 0 ? status : joined == -ECANCELED ? 0 : joined;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
