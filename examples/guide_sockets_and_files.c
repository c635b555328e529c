/* The program of docs/guide/sockets_and_files.md. */
#include <fcntl.h>
#include <skua/skua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- a server --------------------------------------------------------------------------------- */

/* One connection, in a task of its own: what comes goes back, until the peer has no more. */
static int echo(skua_client *client)
{
    return skua_copy(client->fd, client->fd, NULL, NULL, skua_after(SKUA_SEC(60)));
}

static skua_server server;

static int serve(void *listener)
{
    return skua_serve(&server, *(int *)listener, echo, NULL, NULL);
}

/* --- a client --------------------------------------------------------------------------------- */

/* Sends a line and reads one. The deadline is for all of it. */
static int talk(int fd, const char *word, skua_time deadline)
{
    skua_reader reader = {0};
    skua_writer writer = {0};
    skua_view line;
    int status = skua_reader_open(&reader, skua_fd_transport(fd), NULL);
    if (status == 0) {
        status = skua_writer_open(&writer, skua_fd_transport(fd), NULL);
    }
    if (status == 0) {
        status = skua_writer_printf(&writer, deadline, "hello, %s\n", word);
    }
    if (status == 0) {
        status = skua_writer_flush(&writer, deadline); /* now it goes out */
    }
    if (status == 0) {
        status = skua_reader_line(&reader, &line, deadline);
    }
    if (status == 1) {
        printf("the answer: %.*s\n", (int)line.bytes, line.data);
    }
    skua_writer_discard(&writer);
    skua_reader_close(&reader);
    return status == 1 ? 0 : status == 0 ? -EPIPE : status;
}

static int ask(const char *service, const char *word, skua_time deadline)
{
    int fd = skua_tcp_connect("localhost", service, NULL, deadline);
    if (fd < 0) {
        return fd; /* -ECONNREFUSED, -ENOENT: no such host, -ETIMEDOUT, ... */
    }
    int status = talk(fd, word, deadline);
    skua_close(fd);
    return status;
}

/* --- files ------------------------------------------------------------------------------------ */

static int save_and_load(int dir)
{
    void *text = NULL;
    int status = skua_file_save(dir, "notes", "one\ntwo\nthree\n", 14, NULL, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    ssize_t bytes = skua_file_load(dir, "notes", &text, 1 << 20, SKUA_FOREVER);
    if (bytes < 0) {
        return (int)bytes;
    }
    printf("%zd bytes, beginning with \"%.3s\"\n", bytes, (const char *)text);
    skua_file_unload(text);
    return 0;
}

static int print_lines(int dir)
{
    skua_reader reader;
    skua_view line;
    int number = 0, fd = skua_open_in(dir, "notes", O_RDONLY, 0, SKUA_FOREVER);
    if (fd < 0) {
        return fd;
    }
    int status = skua_reader_open(&reader, skua_fd_transport(fd), NULL);
    if (status == 0) {
        while ((status = skua_reader_line(&reader, &line, SKUA_FOREVER)) == 1) {
            printf("line %d: %.*s\n", ++number, (int)line.bytes, line.data);
        }
        skua_reader_close(&reader);
    }
    skua_close(fd);
    return status; /* 0: all lines were read */
}

static int count_file(const skua_walk_entry *entry, void *arg)
{
    int *files = arg;
    *files += entry->error == 0 && S_ISREG(entry->type);
    return 0; /* go on; < 0 would end the walk */
}

static int walk(int dir)
{
    int files = 0;
    int status = skua_mkdir_all(dir, "old/2026", 0777, SKUA_FOREVER);
    if (status == 0) {
        status = skua_file_copy(dir, "notes", dir, "old/2026/notes", NULL, SKUA_FOREVER);
    }
    if (status == 0) {
        status = skua_walk(dir, ".", count_file, &files, NULL, SKUA_FOREVER);
    }
    printf("%d files in the tree\n", files);
    return status;
}

/* --- programs and signals --------------------------------------------------------------------- */

static int sort(void)
{
    skua_process_run run = {.input = "pear\napple\n", .input_bytes = 11};
    int status = skua_process_run_all(&run, SKUA_ARGV("sort"), NULL, skua_after(SKUA_SEC(60)));
    if (status == 0) {
        printf("sort has ended with %d:\n%s", run.status.code, run.output);
    }
    skua_process_run_free(&run);
    return status;
}

static int hear(void)
{
    skua_signal *reloads = NULL;
    skua_signal_info info;
    int status = skua_signal_open(&reloads, SKUA_SIGNALS(SIGHUP));
    if (status < 0) {
        return status;
    }
    kill(getpid(), SIGHUP); /* as an administrator would */
    status = skua_signal_wait(reloads, &info, skua_after(SKUA_SEC(60)));
    if (status == 1) {
        printf("told to reload\n");
    }
    skua_signal_close(reloads);
    return status < 0 ? status : 0;
}

/* --- all of it -------------------------------------------------------------------------------- */

static int talk_to_server(void)
{
    skua_address at;
    skua_task *task;
    char service[8];
    int listener = skua_tcp_listen("127.0.0.1:0", NULL); /* any port that is free */
    int status = listener < 0 ? listener : skua_local_address(listener, &at);
    status = status < 0 ? status : skua_spawn(&task, serve, &listener, NULL);
    if (status < 0) {
        return status;
    }
    snprintf(service, sizeof service, "%d", skua_address_port(&at));
    status = ask(service, "echo", skua_after(SKUA_SEC(60)));
    skua_server_stop(&server, SKUA_FOREVER); /* no new ones; those that are there may finish */
    int joined = skua_join(task, NULL, SKUA_FOREVER);
    skua_task_release(task);
    return status < 0 ? status : joined;
}

/* Nobody accepts there. */
static int talk_to_nobody(void)
{
    skua_address at;
    char service[8];
    int listener = skua_tcp_listen("127.0.0.1:0", NULL);
    int status = listener < 0 ? listener : skua_local_address(listener, &at);
    if (status == 0) {
        snprintf(service, sizeof service, "%d", skua_address_port(&at));
        status = ask(service, "anybody", skua_after(SKUA_MS(20)));
        printf("%s\n", status == -ETIMEDOUT ? "no answer in time" : skua_error_text(status));
    }
    skua_close(listener);
    return status == -ETIMEDOUT ? 0 : status;
}

static int use_files(void)
{
    char path[64];
    int status = skua_temp_dir(SKUA_CWD, "/tmp/guide-", path, sizeof path, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    int dir = skua_open(path, O_RDONLY | O_DIRECTORY, 0, SKUA_FOREVER);
    status = dir < 0 ? dir : save_and_load(dir);
    status = status < 0 ? status : print_lines(dir);
    status = status < 0 ? status : walk(dir);
    if (dir >= 0) {
        skua_close(dir);
    }
    int removed = skua_remove_tree(SKUA_CWD, path, SKUA_FOREVER);
    return status < 0 ? status : removed;
}

static int program(void *arg)
{
    int status = talk_to_server();
    status = status < 0 ? status : talk_to_nobody();
    status = status < 0 ? status : use_files();
    status = status < 0 ? status : sort();
    return status < 0 ? status : hear();
}

int main(void)
{
    return skua_run(NULL, program, NULL) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
