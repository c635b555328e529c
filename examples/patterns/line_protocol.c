/* A protocol of lines and of lengths, taken apart by readers. */
#include <skua/skua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int answer(skua_writer *writer, const skua_view *name)
{
    const char *data = NULL;
    if (name->bytes == 8 && memcmp(name->data, "greeting", 8) == 0) {
        data = "hello\nworld";
    } else if (name->bytes == 7 && memcmp(name->data, "nothing", 7) == 0) {
        data = "";
    }
    int status = data == NULL
                     ? skua_writer_printf(writer, SKUA_FOREVER, "unknown;")
                     : skua_writer_printf(writer, SKUA_FOREVER, "%zu;%s", strlen(data), data);
    return status < 0 ? status : skua_writer_flush(writer, SKUA_FOREVER);
}

/* Each line asks for a name; the answer is a length, a semicolon, and so many bytes. */
static int serve(skua_client *client)
{
    skua_reader reader = {0};
    skua_writer writer = {0};
    skua_view name;
    int status = skua_reader_open(&reader, skua_fd_transport(client->fd), NULL);
    if (status == 0) {
        status = skua_writer_open(&writer, skua_fd_transport(client->fd), NULL);
    }
    while (status >= 0 && (status = skua_reader_line(&reader, &name, SKUA_FOREVER)) == 1) {
        status = answer(&writer, &name);
    }
    skua_writer_discard(&writer);
    skua_reader_close(&reader);
    return status;
}

static int ask(skua_reader *reader, skua_writer *writer, const char *name)
{
    skua_view head;
    char data[64];
    int status = skua_writer_printf(writer, SKUA_FOREVER, "%s\n", name);
    if (status < 0 || (status = skua_writer_flush(writer, SKUA_FOREVER)) < 0) {
        return status;
    }
    if ((status = skua_reader_until(reader, ";", 1, &head, SKUA_FOREVER)) != 1) {
        return status < 0 ? status : -EPIPE;
    }
    if (head.bytes == 7 && memcmp(head.data, "unknown", 7) == 0) {
        printf("%s: unknown\n", name);
        return 0;
    }
    size_t bytes = strtoul(head.data, NULL, 10); /* the semicolon stands behind it */
    status = bytes > sizeof data ? -EMSGSIZE : 0;
    if (status == 0 && bytes > 0) {
        status = skua_reader_exact(reader, data, bytes, NULL, SKUA_FOREVER);
    }
    printf("%s: %zu bytes\n", name, bytes);
    return status < 0 ? status : 0;
}

static int talk(int fd)
{
    skua_reader reader = {0};
    skua_writer writer = {0};
    int status = skua_reader_open(&reader, skua_fd_transport(fd), NULL);
    status = status < 0 ? status : skua_writer_open(&writer, skua_fd_transport(fd), NULL);
    status = status < 0 ? status : ask(&reader, &writer, "greeting");
    status = status < 0 ? status : ask(&reader, &writer, "nothing");
    status = status < 0 ? status : ask(&reader, &writer, "missing");
    status = status < 0 ? status : skua_writer_end(&writer, SKUA_FOREVER);
    status = status < 0 ? status : skua_reader_at_end(&reader, SKUA_FOREVER);
    printf("at the end: %s\n", status == 1 ? "True" : "False");
    skua_writer_discard(&writer);
    skua_reader_close(&reader);
    return status < 0 ? status : 0;
}

static skua_server server;

static int host(void *listener)
{
    return skua_serve(&server, *(int *)listener, serve, NULL, NULL);
}

static int run(void *arg)
{
    skua_address at;
    skua_task *task;
    int listener = skua_tcp_listen("127.0.0.1:0", NULL);
    int status = listener < 0 ? listener : skua_local_address(listener, &at);
    status = status < 0 ? status : skua_spawn(&task, host, &listener, NULL);
    if (status < 0) {
        return status;
    }
    int fd = skua_tcp_connect_to(&at, NULL, SKUA_FOREVER);
    status = fd < 0 ? fd : talk(fd);
    if (fd >= 0) {
        skua_close(fd);
    }
    skua_server_stop(&server, SKUA_FOREVER);
    int joined = skua_join(task, NULL, SKUA_FOREVER);
    skua_task_release(task);
    return status < 0 ? status : joined;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
