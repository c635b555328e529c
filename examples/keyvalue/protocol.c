/* protocol.c: commands in, answers out.

   A command is an array of strings, "*2\r\n$3\r\nGET\r\n$4\r\nname\r\n", or a line of words. It is
   taken apart where it has arrived, in the reader's buffer, which is the limit on its length; a
   client that announces more is told so and has to go. */
#include "keyvalue.h"

#include <string.h>

enum { NUMBER_BYTES = 32 };

/* Where the parser is. */
struct parser {
    const char *at, *end;
    const char *problem; /* why this is no command */
    size_t wanted;       /* so many bytes are missing, at least */
};

/* A number behind `kind` and before "\r\n". Returns 1, 0 (incomplete), -EPROTO. */
static int parse_number(struct parser *parser, char kind, size_t *number)
{
    const size_t there = (size_t)(parser->end - parser->at);
    const char *line_end = memchr(parser->at, '\n', there < NUMBER_BYTES ? there : NUMBER_BYTES);
    if (there > 0 && *parser->at != kind) {
        parser->problem = kind == '$' ? "expected '$'" : "expected '*'";
        return -EPROTO;
    }
    if (line_end == NULL && there < NUMBER_BYTES) {
        parser->wanted = 1;
        return 0;
    }
    const char *digit = parser->at + 1;
    *number = 0;
    while (line_end != NULL && digit < line_end && *digit >= '0' && *digit <= '9' &&
           *number <= SIZE_MAX / 100) {
        *number = *number * 10 + (size_t)(*digit++ - '0');
    }
    if (line_end == NULL || digit == parser->at + 1 || digit + 1 != line_end || *digit != '\r') {
        parser->problem = kind == '$' ? "invalid bulk length" : "invalid multibulk length";
        return -EPROTO;
    }
    parser->at = line_end + 1;
    return 1;
}

static int parse_word(struct parser *parser, size_t bytes_max, skua_view *word)
{
    int status = parse_number(parser, '$', &word->bytes);
    if (status != 1) {
        return status;
    }
    const size_t there = (size_t)(parser->end - parser->at);
    if (word->bytes > bytes_max) {
        parser->problem = "invalid bulk length";
        return -EPROTO;
    }
    if (there < word->bytes + 2) {
        parser->wanted = word->bytes + 2 - there;
        return 0;
    }
    word->data = parser->at;
    parser->at += word->bytes + 2;
    if (memcmp(parser->at - 2, "\r\n", 2) != 0) {
        parser->problem = "a string is longer than announced";
        return -EPROTO;
    }
    return 1;
}

static int parse_array(struct parser *parser, struct command *command)
{
    size_t count = 0;
    int status = parse_number(parser, '*', &count);
    if (status == 1 && count > WORDS_MAX) {
        parser->problem = "invalid multibulk length";
        return -EPROTO;
    }
    for (command->count = 0; status == 1 && command->count < count; command->count++) {
        status = parse_word(parser, SIZE_MAX / 4, &command->words[command->count]);
    }
    return status;
}

/* A line of words, as a human types it. */
static int parse_line(struct parser *parser, struct command *command)
{
    const char *line_end = memchr(parser->at, '\n', (size_t)(parser->end - parser->at));
    if (line_end == NULL) {
        parser->wanted = 1;
        return 0;
    }
    const char *at = parser->at;
    parser->at = line_end + 1;
    command->count = 0;
    while (at < line_end) {
        const char *word = at;
        for (; at < line_end && memchr(" \t\r", *at, 3) == NULL;) {
            at++;
        }
        if (at == word) {
            at++;
        } else if (command->count == WORDS_MAX) {
            parser->problem = "too many words";
            return -EPROTO;
        } else {
            command->words[command->count++] =
                (skua_view){.data = word, .bytes = (size_t)(at - word)};
        }
    }
    return 1;
}

/* The last words of a connection. If the client does not hear them it is gone already. */
static int refuse(struct connection *connection, const char *problem)
{
    int status = skua_writer_printf(&connection->writer, connection->deadline,
                                    "-ERR Protocol error: %s\r\n", problem);
    status = status < 0 ? status : skua_writer_end(&connection->writer, connection->deadline);
    return status == -ECANCELED ? status : -EPROTO;
}

ssize_t next_command(struct connection *connection, struct command *command)
{
    size_t wanted = 0; /* first what is there already */
    for (;;) {
        skua_view input = {0};
        int status = skua_reader_peek(&connection->reader, wanted, &input, connection->deadline);
        if (status == -EMSGSIZE) {
            return refuse(connection, "the command is too long");
        }
        if (status < 0 || (status == 0 && wanted > 0)) {
            return status == -ENODATA ? 0 : status;
        }
        struct parser parser = {.at = input.data, .end = input.data + input.bytes, .wanted = 1};
        if (status == 1) {
            status =
                *input.data == '*' ? parse_array(&parser, command) : parse_line(&parser, command);
        }
        if (status == 1) {
            return parser.at - input.data;
        }
        if (status < 0) {
            return refuse(connection, parser.problem);
        }
        wanted = input.bytes + parser.wanted;
        if (connection->idle_ns > 0) {
            connection->deadline = skua_after(connection->idle_ns);
        }
        status = skua_writer_flush(&connection->writer, connection->deadline);
        if (status < 0 || skua_stopping()) {
            return status;
        }
    }
}

/* --- answers --- */

/* "kind", the number, "\r\n", as printf would write it, in a tenth of the time. */
static int write_number(struct connection *connection, char kind, uint64_t number, bool is_negative)
{
    char text[NUMBER_BYTES];
    size_t at = sizeof text;
    text[--at] = '\n';
    text[--at] = '\r';
    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    if (is_negative) {
        text[--at] = '-';
    }
    text[--at] = kind;
    return skua_writer_write(&connection->writer, text + at, sizeof text - at, NULL,
                             connection->deadline);
}

int reply_line(struct connection *connection, char kind, const char *text)
{
    return skua_writer_printf(&connection->writer, connection->deadline, "%c%s\r\n", kind, text);
}

int reply_number(struct connection *connection, int64_t number)
{
    return write_number(connection, ':', number < 0 ? 0 - (uint64_t)number : (uint64_t)number,
                        number < 0);
}

int reply_list(struct connection *connection, size_t count)
{
    return write_number(connection, '*', count, false);
}

int reply_none(struct connection *connection)
{
    return skua_writer_write(&connection->writer, "$-1\r\n", 5, NULL, connection->deadline);
}

int reply_text(struct connection *connection, skua_view text)
{
    int status = write_number(connection, '$', text.bytes, false);
    if (status == 0) {
        status = skua_writer_write(&connection->writer, text.data, text.bytes, NULL,
                                   connection->deadline);
    }
    return status < 0
               ? status
               : skua_writer_write(&connection->writer, "\r\n", 2, NULL, connection->deadline);
}
