/* One client: a task that reads its lines, and one that writes its mail. */
#include "chat.h"

#include <ctype.h>

/* The reader. Returns 0 when the client has had enough. */
static int listen_to(struct member *member)
{
    skua_reader reader = {0};
    skua_view line;
    char text[LINE_BYTES + 1];
    const skua_reader_opts opts = {.buffer_bytes = LINE_BYTES};
    int status = skua_reader_open(&reader, skua_fd_transport(member->fd), &opts);
    while (status >= 0 && (status = skua_reader_line(&reader, &line, SKUA_FOREVER)) != 0) {
        if (status == -EMSGSIZE) {
            tell(member, "* that is too long");
            status = skua_reader_skip_until(&reader, "\n", 1, SKUA_FOREVER);
        } else if (status > 0) {
            for (size_t i = 0; i < line.bytes; i++) { /* nobody plays with others' terminals */
                text[i] = iscntrl((unsigned char)line.data[i]) ? ' ' : line.data[i];
            }
            text[line.bytes] = '\0';
            status = hear(member, text);
            if (status == QUIT) {
                status = 0;
                break;
            }
        }
    }
    skua_reader_close(&reader);
    return status;
}

struct writing {
    struct member *member;
    skua_writer writer;
    size_t missed; /* lines, which the client has been told of */
};

static skua_time patience(const struct member *member)
{
    return skua_after(member->settings->patience_ns);
}

/* Writes `line` and all that is there besides. */
static int write_lines(struct writing *writing, struct line *line)
{
    skua_queue_statistics mail;
    int status = 0;
    do {
        const skua_time until = patience(writing->member);
        skua_queue_stats(writing->member->mail, &mail);
        if (mail.dropped != writing->missed) {
            status = skua_writer_printf(&writing->writer, until, "* %zu lines missed\n",
                                        mail.dropped - writing->missed);
            writing->missed = mail.dropped;
        }
        if (status == 0) {
            status = skua_writer_write(&writing->writer, line->text, line->bytes, NULL, until);
        }
        line_release(line);
    } while (status == 0 && skua_queue_get(writing->member->mail, SKUA_ITEM(line), SKUA_NOW) == 1);
    return status < 0 ? status : skua_writer_flush(&writing->writer, patience(writing->member));
}

/* The rest of the mail, and a last line; the mail may be closed already. */
static int say_good_bye(void *arg)
{
    struct writing *writing = arg;
    struct line *line;
    int status = 0;
    if (skua_queue_get(writing->member->mail, SKUA_ITEM(line), SKUA_NOW) == 1) {
        status = write_lines(writing, line);
    }
    if (status == 0) {
        status = skua_writer_printf(&writing->writer, SKUA_FOREVER, "* this server ends now\n");
    }
    return status < 0 ? status : skua_writer_flush(&writing->writer, SKUA_FOREVER);
}

/* The writer. Ends when the mail is closed. */
static int write_to(void *arg)
{
    struct writing writing = {.member = arg};
    struct line *line;
    int status = skua_writer_open(&writing.writer, skua_fd_transport(writing.member->fd), NULL);
    while (status == 0) {
        status = skua_queue_get(writing.member->mail, SKUA_ITEM(line), SKUA_FOREVER);
        if (status <= 0) {
            break;
        }
        status = write_lines(&writing, line);
    }
    if (status == -ECANCELED) {
        /* Cancelled as it is, it may take one more second for that. */
        int said = skua_shielded(skua_after(SKUA_SEC(1)), say_good_bye, &writing);
        status = said < 0 ? said : status;
    }
    skua_writer_discard(&writing.writer);
    return status;
}

static int converse(void *arg)
{
    struct member *member = arg;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    int status = skua_group_spawn(&group, write_to, member);
    if (status == 0) {
        status = listen_to(member);
    }
    skua_queue_close(member->mail, true); /* what is in it is still written */
    return skua_group_close(&group, status);
}

static void drop_line(void *item)
{
    line_release(*(struct line **)item);
}

static int enter(void *arg)
{
    struct member *member = arg;
    const skua_queue_opts opts = {.item_bytes = sizeof(struct line *),
                                  .capacity = member->settings->mail_max,
                                  .full = SKUA_FULL_DROP_OLDEST,
                                  .drop = drop_line,
                                  .name = "mail"};
    int status = skua_queue_create(&member->mail, &opts);
    if (status == 0 && (status = come_in(member)) < 0) {
        skua_queue_destroy(member->mail);
    }
    return status;
}

static int end(void *arg, int status)
{
    struct member *member = arg;
    leave(member);
    skua_queue_destroy(member->mail);
    return status;
}

int serve_client(skua_client *client)
{
    static const skua_resource membership = {.enter = enter, .exit = end};
    struct member member = {.fd = client->fd, .settings = client->arg};
    int status = skua_with(&membership, &member, converse, &member);
    return status == -ETIMEDOUT ? 0 : status; /* too slow, which is no news for us */
}
