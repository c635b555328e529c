/* What the files of chat share. */
#ifndef CHAT_H
#define CHAT_H

#include <skua/skua.h>
#include <stdatomic.h>

enum { NAME_BYTES = 24, LINE_BYTES = 1024, TEXT_BYTES = 2048 };

struct settings {
    const char *address;
    size_t connections_max;
    size_t mail_max;     /* lines that are kept for a slow reader */
    int64_t patience_ns; /* with one that takes none */
};

/* Somebody who is connected. */
struct member {
    int fd;
    const struct settings *settings;
    char name[NAME_BYTES];
    skua_queue *mail;    /* of struct line *, for its writer */
    struct room *room;   /* under the lock of rooms.c */
    struct member *next; /* in the room */
};

/* A line on its way, shared by all whose mail it is in. */
struct line {
    atomic_int references;
    size_t bytes;
    char text[];
};

/* --- rooms.c --- */

enum { QUIT = 1 };

/* Come in under a name of our choice, and leave. come_in() returns 0 or < 0. leave() is to be
   called where nothing is cancelled. */
int come_in(struct member *member);
void leave(struct member *member);

/* What a member says: a command, or a line for the room. Returns 0, QUIT, or < 0. */
int hear(struct member *member, char *text);

/* Put a line of text into a member's mail. */
void tell(struct member *member, const char *format, ...) SKUA_PRINTF(2, 3);

void line_release(struct line *line);

/* --- client.c --- */

/* Serves one connection; client->arg is the settings. */
int serve_client(skua_client *client);

#endif
