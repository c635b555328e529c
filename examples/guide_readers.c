/* The examples of docs/guide/readers.md. */
#include <skua/skua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Answers lines with lines, until the peer has no more. */
static int answer(skua_reader *reader, skua_writer *writer)
{
    skua_view line;
    int status, count = 0;
    while ((status = skua_reader_line(reader, &line, skua_after(SKUA_SEC(30)))) > 0) {
        if (line.bytes == 5 && memcmp(line.data, "count", 5) == 0) {
            status = skua_writer_printf(writer, SKUA_FOREVER, "%d\n", ++count);
        } else {
            status = skua_writer_printf(writer, SKUA_FOREVER, "what is \"%.*s\"?\n",
                                        (int)line.bytes, line.data);
        }
        if (status == 0) {
            status = skua_writer_flush(writer, skua_after(SKUA_SEC(30)));
        }
        if (status < 0) {
            break;
        }
    }
    return status;
}

/* One task for each connection, which is its to close. */
static int serve(void *arg)
{
    skua_transport connection = skua_fd_transport(*(const int *)arg);
    skua_reader reader = {0};
    skua_writer writer = {0};
    int status = skua_reader_open(&reader, connection, NULL);
    if (status == 0) {
        status = skua_writer_open(&writer, connection, NULL);
    }
    if (status == 0) {
        status = answer(&reader, &writer);
    }
    int closed = skua_writer_close(&writer, skua_after(SKUA_SEC(1)));
    skua_reader_close(&reader);
    skua_transport_close(connection);
    return status < 0 ? status : closed;
}

/* Asks, says that it was all, and reads answers until the service is through. */
static int ask(int fd)
{
    skua_reader reader;
    skua_writer writer;
    skua_view line;
    int status = skua_writer_open(&writer, skua_fd_transport(fd), NULL);
    if (status < 0) {
        return status;
    }
    status = skua_writer_write(&writer, "count\ncount\nhello", 17, NULL, SKUA_FOREVER);
    if (status == 0) {
        status = skua_writer_end(&writer, skua_after(SKUA_SEC(5)));
    }
    skua_writer_discard(&writer);
    if (status < 0 || (status = skua_reader_open(&reader, skua_fd_transport(fd), NULL)) < 0) {
        return status;
    }
    while ((status = skua_reader_line(&reader, &line, skua_after(SKUA_SEC(5)))) > 0) {
        printf("answer: %.*s\n", (int)line.bytes, line.data);
    }
    skua_reader_close(&reader);
    return status;
}

static int talk(void)
{
    int ends[2];
    skua_task *service;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return -errno;
    }
    int status = skua_fd_adopt(ends[0]);
    status = status < 0 ? status : skua_fd_adopt(ends[1]);
    status = status < 0 ? status : skua_spawn(&service, serve, &ends[1], NULL);
    if (status < 0) {
        return status;
    }
    status = ask(ends[0]);
    int joined = skua_join(service, NULL, SKUA_FOREVER);
    skua_task_release(service);
    skua_close(ends[0]);
    return status < 0 ? status : joined;
}

/* Messages with a head that says how long they are. */
static int read_messages(skua_reader *reader)
{
    unsigned char head[2];
    char body[64];
    int status;
    while ((status = skua_reader_exact(reader, head, 2, NULL, SKUA_FOREVER)) > 0) {
        size_t bytes = (size_t)head[0] << 8 | head[1];
        if (bytes > sizeof body) {
            return skua_fail(-EMSGSIZE, "a message of %zu bytes", bytes);
        }
        status = skua_reader_exact(reader, body, bytes, NULL, SKUA_FOREVER);
        if (status <= 0) {
            return status < 0 ? status : -ENODATA;
        }
        printf("message: %.*s\n", (int)bytes, body);
    }
    return status; /* -ENODATA: it ended in the middle of one */
}

/* "Name: value" lines up to an empty one, and lines that are too long in between. */
static int read_heads(skua_reader *reader)
{
    skua_view head;
    int status;
    while ((status = skua_reader_until(reader, "\r\n", 2, &head, SKUA_FOREVER)) != 0) {
        if (status == -EMSGSIZE) {
            status = skua_reader_skip_until(reader, "\r\n", 2, SKUA_FOREVER);
            printf("(one is too long)\n");
        } else if (status > 0 && head.bytes > 0) {
            printf("head: %.*s\n", (int)head.bytes, head.data);
        } else if (status > 0) {
            return 0;
        }
        if (status < 0) {
            return status;
        }
    }
    return -ENODATA;
}

/* A reader over a pipe that holds `text`. */
static int with_text(const char *text, size_t bytes, size_t buffer_bytes,
                     int (*use)(skua_reader *reader))
{
    const skua_reader_opts opts = {.buffer_bytes = buffer_bytes};
    skua_reader reader;
    int ends[2];
    if (pipe(ends) != 0) {
        return -errno;
    }
    int status = write(ends[1], text, bytes) == (ssize_t)bytes ? 0 : -EIO;
    close(ends[1]);
    status = status < 0 ? status : skua_fd_adopt(ends[0]);
    status = status < 0 ? status : skua_reader_open(&reader, skua_fd_transport(ends[0]), &opts);
    if (status < 0) {
        return status;
    }
    status = use(&reader);
    skua_reader_close(&reader);
    skua_close(ends[0]);
    return status;
}

static int program(void *arg)
{
    (void)arg;
    static const char messages[] = "\0\5hello\0\5world\0\7in the";
    static const char heads[] = "Host: skua\r\nCookie: 0123456789012345\r\nAge: 7\r\n\r\n";
    int status = talk();
    if (status == 0) {
        status = with_text(messages, sizeof messages - 1, 0, read_messages);
        printf("then %s\n", skua_error_text(status));
        status = with_text(heads, sizeof heads - 1, 16, read_heads);
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, program, NULL) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
