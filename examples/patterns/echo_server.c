/* A server: a task for each connection, and three clients at once. */
#include <skua/skua.h>
#include <stdio.h>
#include <string.h>

static skua_server server;
static skua_address place;

static int echo(skua_client *client)
{
    char data[4096];
    ssize_t got;
    while ((got = skua_read(client->fd, data, sizeof data, SKUA_FOREVER)) > 0) {
        int status = skua_write_all(client->fd, data, (size_t)got, NULL, SKUA_FOREVER);
        if (status < 0) {
            return status;
        }
    }
    return (int)got;
}

static int serve(void *listener)
{
    return skua_serve(&server, *(int *)listener, echo, NULL, NULL);
}

struct question {
    const char *word;
    char answer[16];
};

static int ask(void *arg)
{
    struct question *question = arg;
    size_t bytes = strlen(question->word);
    skua_reader reader = {0};
    int fd = skua_tcp_connect_to(&place, NULL, SKUA_FOREVER);
    if (fd < 0) {
        return fd;
    }
    int status = skua_write_all(fd, question->word, bytes, NULL, SKUA_FOREVER);
    if (status == 0) {
        status = skua_reader_open(&reader, skua_fd_transport(fd), NULL);
    }
    if (status == 0) {
        status = skua_reader_exact(&reader, question->answer, bytes, NULL, SKUA_FOREVER);
    }
    skua_reader_close(&reader);
    skua_close(fd);
    return status < 0 ? status : 0;
}

static int run(void *arg)
{
    struct question questions[] = {{.word = "one"}, {.word = "two"}, {.word = "three"}};
    skua_task *task;
    int listener = skua_tcp_listen("127.0.0.1:0", NULL);
    int status = listener < 0 ? listener : skua_local_address(listener, &place);
    status = status < 0 ? status : skua_spawn(&task, serve, &listener, NULL);
    if (status < 0) {
        return status;
    }
    status = skua_map(ask, questions, sizeof questions[0], 3, NULL);
    for (int i = 0; i < 3; i++) {
        puts(questions[i].answer);
    }
    skua_server_stop(&server, SKUA_FOREVER);
    int joined = skua_join(task, NULL, SKUA_FOREVER);
    skua_task_release(task);
    puts("closed");
    return status < 0 ? status : joined;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
