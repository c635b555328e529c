/* keyvalue.h: what the parts of keyvalue share. */
#ifndef KEYVALUE_H
#define KEYVALUE_H

#include <skua/skua.h>

/* --- table.c: keys and values, safe for all tasks at once --- */

struct table;

/* A key with its value. It does not change any more; who got it releases it. */
struct item {
    _Atomic uint32_t references;
    size_t key_bytes, value_bytes;
    char bytes[]; /* the key, then the value */
};

static inline skua_view item_value(const struct item *item)
{
    return (skua_view){.data = item->bytes + item->key_bytes, .bytes = item->value_bytes};
}

void item_release(struct item *item); /* NULL is allowed */

/* A table that holds at most about so many bytes; NULL without memory. */
struct table *table_create(size_t bytes_max);
void table_destroy(struct table *table);

/* All return 1 (the key is there), 0 (it is not), or: -ECANCELED, -ENOMEM, -ENOSPC (bytes_max). */
int table_get(struct table *table, skua_view key, struct item **item);
int table_has(struct table *table, skua_view key);
int table_set(struct table *table, skua_view key, skua_view value); /* 1 */
int table_remove(struct table *table, skua_view key);               /* was it there? */

/* Add to the number that the value is; none counts as 0. Also -EINVAL (no number), -ERANGE. */
int table_add(struct table *table, skua_view key, int64_t more, int64_t *sum);

int table_clear(struct table *table);
size_t table_count(const struct table *table);
size_t table_bytes(const struct table *table);

/* --- protocol.c: RESP, the protocol of Redis --- */

enum { WORDS_MAX = 1024 };

/* A command as it arrived. The words point into the reader's buffer. */
struct command {
    size_t count; /* 0: an empty line, which is no command */
    skua_view words[WORDS_MAX];
};

struct connection {
    skua_reader reader;
    skua_writer writer;
    struct table *table;
    int64_t idle_ns; /* who says nothing for so long, or takes no answer, is dropped; 0: never */
    skua_time deadline;
    bool quits;
};

/* The next command, which stays until it is taken. Sends the answers to those before when it has to
   wait, not sooner. Returns its length (> 0); 0: there is no more, or the server stops; -EPROTO: it
   is none, which the client has been told; or an error of the connection. */
ssize_t next_command(struct connection *connection, struct command *command);

/* Answers, which are kept back until there is nothing more to do. 0 or an error. */
int reply_line(struct connection *connection, char kind, const char *text); /* '+' or '-' */
int reply_number(struct connection *connection, int64_t number);
int reply_text(struct connection *connection, skua_view text);
int reply_none(struct connection *connection);
int reply_list(struct connection *connection, size_t count); /* so many answers follow */

/* --- commands.c --- */

/* Do it and answer. 0, or an error of the connection. */
int run_command(struct connection *connection, const struct command *command);

#endif
