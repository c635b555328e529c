/* A client: some small writes that go out together, the end of them, and all of the answer. */
#include <ctype.h>
#include <skua/skua.h>
#include <stdio.h>

/* One visitor. */
static int shout(void *arg)
{
    const int *listener = arg;
    char text[64];
    ssize_t got = 0;
    size_t bytes = 0;
    int fd = skua_accept(*listener, NULL, NULL, SKUA_FOREVER);
    if (fd < 0) {
        return fd;
    }
    while ((got = skua_read(fd, text + bytes, sizeof text - bytes, SKUA_FOREVER)) > 0) {
        bytes += (size_t)got;
    }
    for (size_t i = 0; i < bytes; i++) {
        text[i] = (char)toupper((unsigned char)text[i]);
    }
    int status = got < 0 ? (int)got : skua_write_all(fd, text, bytes, NULL, SKUA_FOREVER);
    skua_close(fd);
    return status;
}

static int ask(int fd)
{
    char text[64];
    size_t bytes = 0;
    skua_reader reader = {0};
    skua_writer writer = {0};
    int status = skua_writer_open(&writer, skua_fd_transport(fd), NULL);
    status = status < 0 ? status : skua_reader_open(&reader, skua_fd_transport(fd), NULL);
    status = status < 0 ? status : skua_writer_write(&writer, "first, ", 7, NULL, SKUA_FOREVER);
    status = status < 0 ? status : skua_writer_write(&writer, "second", 6, NULL, SKUA_FOREVER);
    status = status < 0 ? status : skua_writer_end(&writer, SKUA_FOREVER);
    ssize_t got = status < 0 ? status : 1;
    while (got > 0) {
        got = skua_reader_read(&reader, text + bytes, sizeof text - bytes, SKUA_FOREVER);
        bytes += got > 0 ? (size_t)got : 0;
    }
    printf("%.*s\n", (int)bytes, text);
    skua_reader_close(&reader);
    skua_writer_discard(&writer);
    return (int)got;
}

static int run(void *arg)
{
    skua_address at;
    skua_task *visitor;
    int listener = skua_tcp_listen("127.0.0.1:0", NULL);
    int status = listener < 0 ? listener : skua_local_address(listener, &at);
    status = status < 0 ? status : skua_spawn(&visitor, shout, &listener, NULL);
    if (status < 0) {
        return status;
    }
    int fd = skua_tcp_connect_to(&at, NULL, SKUA_FOREVER);
    status = fd < 0 ? fd : ask(fd);
    if (fd >= 0) {
        skua_close(fd);
    }
    int joined = skua_join(visitor, NULL, SKUA_FOREVER);
    skua_task_release(visitor);
    skua_close(listener);
    if (skua_tcp_connect_to(&at, NULL, SKUA_FOREVER) == -ECONNREFUSED) {
        puts("nobody is there any more");
    }
    return status < 0 ? status : joined;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
