/* commands.c: what the commands do. */
#include "keyvalue.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static int reply_ok(struct connection *connection)
{
    return skua_writer_write(&connection->writer, "+OK\r\n", 5, NULL, connection->deadline);
}

/* What the table could not do. The connection goes on, unless it was cancelled. */
static int reply_problem(struct connection *connection, int status)
{
    switch (status) {
    case -EINVAL:
        return reply_line(connection, '-', "ERR value is not an integer or out of range");
    case -ERANGE:
        return reply_line(connection, '-', "ERR increment or decrement would overflow");
    case -ENOMEM:
    case -ENOSPC:
        return reply_line(connection, '-', "OOM command not allowed: the table is full");
    default:
        return status;
    }
}

static int do_ping(struct connection *connection, const struct command *command)
{
    return command->count > 1
               ? reply_text(connection, command->words[1])
               : skua_writer_write(&connection->writer, "+PONG\r\n", 7, NULL, connection->deadline);
}

static int do_echo(struct connection *connection, const struct command *command)
{
    return reply_text(connection, command->words[1]);
}

static int do_get(struct connection *connection, const struct command *command)
{
    struct item *item;
    int status = table_get(connection->table, command->words[1], &item);
    if (status == 1) {
        status = reply_text(connection, item_value(item));
    } else {
        status = status == 0 ? reply_none(connection) : status;
    }
    item_release(item);
    return status;
}

static int do_set(struct connection *connection, const struct command *command)
{
    int status = table_set(connection->table, command->words[1], command->words[2]);
    return status < 0 ? reply_problem(connection, status) : reply_ok(connection);
}

/* Count the keys for which the function returns 1. */
static int count_keys(struct connection *connection, const struct command *command,
                      int (*function)(struct table *, skua_view))
{
    int64_t count = 0;
    for (size_t i = 1; i < command->count; i++) {
        int status = function(connection->table, command->words[i]);
        if (status < 0) {
            return status;
        }
        count += status;
    }
    return reply_number(connection, count);
}

static int do_del(struct connection *connection, const struct command *command)
{
    return count_keys(connection, command, table_remove);
}

static int do_exists(struct connection *connection, const struct command *command)
{
    return count_keys(connection, command, table_has);
}

static int add(struct connection *connection, const struct command *command, int64_t more)
{
    int64_t sum;
    int status = table_add(connection->table, command->words[1], more, &sum);
    return status < 0 ? reply_problem(connection, status) : reply_number(connection, sum);
}

static int do_incr(struct connection *connection, const struct command *command)
{
    return add(connection, command, 1);
}

static int do_decr(struct connection *connection, const struct command *command)
{
    return add(connection, command, -1);
}

static int do_dbsize(struct connection *connection, const struct command *command)
{
    return reply_number(connection, (int64_t)table_count(connection->table));
}

static int do_flush(struct connection *connection, const struct command *command)
{
    int status = table_clear(connection->table);
    return status < 0 ? status : reply_ok(connection);
}

static int do_info(struct connection *connection, const struct command *command)
{
    char text[128];
    int bytes =
        snprintf(text, sizeof text, "# Memory\r\nused_memory:%zu\r\n# Keyspace\r\nkeys:%zu\r\n",
                 table_bytes(connection->table), table_count(connection->table));
    return reply_text(connection, (skua_view){.data = text, .bytes = (size_t)bytes});
}

static bool is_word(skua_view word, const char *name)
{
    return strlen(name) == word.bytes && strncasecmp(name, word.data, word.bytes) == 0;
}

/* redis-benchmark wants to know whether what it measures is written to a disk. */
static int do_config(struct connection *connection, const struct command *command)
{
    const skua_view key = command->words[command->count - 1];
    const char *value = is_word(key, "save") ? "" : is_word(key, "appendonly") ? "no" : NULL;
    if (command->count != 3 || !is_word(command->words[1], "get")) {
        return reply_line(connection, '-', "ERR only CONFIG GET is known here");
    }
    int status = reply_list(connection, value != NULL ? 2 : 0);
    if (status == 0 && value != NULL) {
        status = reply_text(connection, key);
        status = status < 0
                     ? status
                     : reply_text(connection, (skua_view){.data = value, .bytes = strlen(value)});
    }
    return status;
}

/* redis-cli asks for the commands when somebody types. */
static int do_command(struct connection *connection, const struct command *command)
{
    return reply_list(connection, 0);
}

static int do_select(struct connection *connection, const struct command *command)
{
    return is_word(command->words[1], "0")
               ? reply_ok(connection)
               : reply_line(connection, '-', "ERR DB index is out of range");
}

static int do_quit(struct connection *connection, const struct command *command)
{
    connection->quits = true;
    return reply_ok(connection);
}

static const struct {
    const char *name;
    size_t count_min, count_max; /* of words, the name included */
    int (*run)(struct connection *connection, const struct command *command);
} commands[] = {
    {"GET", 2, 2, do_get},
    {"SET", 3, 3, do_set},
    {"PING", 1, 2, do_ping},
    {"DEL", 2, WORDS_MAX, do_del},
    {"EXISTS", 2, WORDS_MAX, do_exists},
    {"INCR", 2, 2, do_incr},
    {"DECR", 2, 2, do_decr},
    {"ECHO", 2, 2, do_echo},
    {"DBSIZE", 1, 1, do_dbsize},
    {"FLUSHALL", 1, 2, do_flush},
    {"INFO", 1, WORDS_MAX, do_info},
    {"CONFIG", 2, WORDS_MAX, do_config},
    {"COMMAND", 1, WORDS_MAX, do_command},
    {"SELECT", 2, 2, do_select},
    {"QUIT", 1, 1, do_quit},
};

/* The name goes into a line, so that nothing in it may look like the end of one. */
static int reply_unknown(struct connection *connection, skua_view name)
{
    char shown[64];
    size_t bytes = 0;
    for (; bytes < name.bytes && bytes < sizeof shown - 1; bytes++) {
        const char letter = name.data[bytes];
        shown[bytes] = letter >= ' ' && letter <= '~' ? letter : '?';
    }
    shown[bytes] = '\0';
    return skua_writer_printf(&connection->writer, connection->deadline,
                              "-ERR unknown command '%s'\r\n", shown);
}

int run_command(struct connection *connection, const struct command *command)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (!is_word(command->words[0], commands[i].name)) {
            continue;
        }
        if (command->count < commands[i].count_min || command->count > commands[i].count_max) {
            return skua_writer_printf(&connection->writer, connection->deadline,
                                      "-ERR wrong number of arguments for '%s' command\r\n",
                                      commands[i].name);
        }
        return commands[i].run(connection, command);
    }
    return reply_unknown(connection, command->words[0]);
}
