/* Rooms, their members, and what these can say.

   A line that is said is one piece of memory that stands in the mail of all who are to read it. */
#include "chat.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct room {
    char name[NAME_BYTES];
    struct member *members;
    struct room *next;
};

/* Rooms that have members, and all names in them, under the lock. Nothing waits while it holds it:
   mail that is full drops a line. */
static struct {
    skua_mutex lock;
    struct room *rooms;
    unsigned guests; /* so far */
} house;

/* --- lines ------------------------------------------------------------------------------------ */

void line_release(struct line *line)
{
    if (line != NULL && atomic_fetch_sub(&line->references, 1) == 1) {
        free(line);
    }
}

/* NULL without memory: then it is not said. */
static struct line *SKUA_PRINTF(1, 0) line_make(const char *format, va_list arguments)
{
    char text[TEXT_BYTES];
    int bytes = vsnprintf(text, sizeof text - 1, format, arguments);
    bytes = bytes < 0 ? 0 : bytes < TEXT_BYTES - 2 ? bytes : TEXT_BYTES - 2;
    struct line *line = malloc(sizeof *line + (size_t)bytes + 1);
    if (line != NULL) {
        atomic_init(&line->references, 1);
        memcpy(line->text, text, (size_t)bytes);
        line->text[bytes] = '\n';
        line->bytes = (size_t)bytes + 1;
    }
    return line;
}

static void post(struct member *member, struct line *line)
{
    if (line != NULL) {
        atomic_fetch_add(&line->references, 1);
        if (skua_queue_put(member->mail, SKUA_ITEM(line), SKUA_NOW) < 0) {
            line_release(line); /* it leaves */
        }
    }
}

/* To one. */
void tell(struct member *member, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    struct line *line = line_make(format, arguments);
    va_end(arguments);
    post(member, line);
    line_release(line);
}

/* To all in a room but one. Call under the lock. */
static void SKUA_PRINTF(3, 4)
    tell_others(const struct room *room, const struct member *but, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    struct line *line = line_make(format, arguments);
    va_end(arguments);
    for (struct member *member = room->members; member != NULL; member = member->next) {
        if (member != but) {
            post(member, line);
        }
    }
    line_release(line);
}

/* --- rooms: all under the lock ---------------------------------------------------------------- */

static void leave_room(struct member *member)
{
    struct room *room = member->room;
    struct member **at = &room->members;
    while (*at != member) {
        at = &(*at)->next;
    }
    *at = member->next;
    tell_others(room, NULL, "* %s has left", member->name);
    if (room->members == NULL) {
        struct room **place = &house.rooms;
        while (*place != room) {
            place = &(*place)->next;
        }
        *place = room->next;
        free(room);
    }
}

/* A room that nobody is in is made. Returns 0 or -ENOMEM; then the member is where it was. */
static int enter_room(struct member *member, const char *name)
{
    struct room *room = house.rooms;
    while (room != NULL && strcmp(room->name, name) != 0) {
        room = room->next;
    }
    if (room == NULL) {
        room = calloc(1, sizeof *room);
        if (room == NULL) {
            return -ENOMEM;
        }
        strcpy(room->name, name);
        room->next = house.rooms;
        house.rooms = room;
    }
    if (member->room != NULL) {
        leave_room(member);
    }
    tell_others(room, NULL, "* %s is here", member->name);
    member->room = room;
    member->next = room->members;
    room->members = member;
    tell(member, "* you are %s in %s", member->name, room->name);
    return 0;
}

static bool is_taken(const char *name)
{
    for (const struct room *room = house.rooms; room != NULL; room = room->next) {
        for (const struct member *member = room->members; member != NULL; member = member->next) {
            if (strcmp(member->name, name) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* --- commands: under the lock, too ------------------------------------------------------------ */

/* Letters, digits, '-' and '_'. */
static bool is_name(const char *text)
{
    size_t length = 0;
    while (isalnum((unsigned char)text[length]) || text[length] == '-' || text[length] == '_') {
        length++;
    }
    return length > 0 && length < NAME_BYTES && text[length] == '\0';
}

static int command_nick(struct member *member, const char *name)
{
    if (!is_name(name)) {
        tell(member, "* not a name: %s", name);
    } else if (is_taken(name)) {
        tell(member, "* %s is taken", name);
    } else {
        tell_others(member->room, NULL, "* %s is now %s", member->name, name);
        strcpy(member->name, name);
    }
    return 0;
}

static int command_join(struct member *member, const char *name)
{
    if (!is_name(name)) {
        tell(member, "* not a name: %s", name);
        return 0;
    }
    return strcmp(member->room->name, name) == 0 ? 0 : enter_room(member, name);
}

static int command_who(struct member *member, const char *none)
{
    char names[TEXT_BYTES / 2] = "";
    size_t bytes = 0, more = 0;
    for (struct member *other = member->room->members; other != NULL; other = other->next) {
        if (bytes + 2 * NAME_BYTES < sizeof names) {
            bytes += (size_t)snprintf(names + bytes, NAME_BYTES + 1, " %s", other->name);
        } else {
            more++;
        }
    }
    if (more > 0) {
        snprintf(names + bytes, sizeof names - bytes, " and %zu more", more);
    }
    tell(member, "* in %s:%s", member->room->name, names);
    return 0;
}

static int command_rooms(struct member *member, const char *none)
{
    for (const struct room *room = house.rooms; room != NULL; room = room->next) {
        tell(member, "* %s", room->name);
    }
    return 0;
}

static int command_quit(struct member *member, const char *none)
{
    tell(member, "* good-bye");
    return QUIT;
}

static int command_help(struct member *member, const char *none)
{
    tell(member, "* /join ROOM  /nick NAME  /who  /rooms  /quit; all else is said to the room");
    return 0;
}

static const struct {
    const char *word;
    int (*run)(struct member *member, const char *argument);
} commands[] = {
    {"/join", command_join},   {"/nick", command_nick}, {"/who", command_who},
    {"/rooms", command_rooms}, {"/quit", command_quit}, {"/help", command_help},
};

int hear(struct member *member, char *text)
{
    SKUA_GUARD(guard);
    int status = skua_guard_lock(&guard, &house.lock, SKUA_FOREVER);
    if (status < 0 || text[0] == '\0') {
        return status;
    }
    if (text[0] != '/') {
        tell_others(member->room, member, "%s: %s", member->name, text);
        return 0;
    }
    char *argument = text + strcspn(text, " ");
    if (*argument != '\0') {
        *argument++ = '\0';
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].word, text) == 0) {
            return commands[i].run(member, argument);
        }
    }
    tell(member, "* what is %s? try /help", text);
    return 0;
}

/* --- coming and going ------------------------------------------------------------------------- */

int come_in(struct member *member)
{
    SKUA_GUARD(guard);
    int status = skua_guard_lock(&guard, &house.lock, SKUA_FOREVER);
    if (status == 0) {
        do {
            snprintf(member->name, sizeof member->name, "guest%u", ++house.guests);
        } while (is_taken(member->name));
        status = enter_room(member, "lobby");
    }
    return status;
}

void leave(struct member *member)
{
    SKUA_GUARD(guard);
    if (skua_guard_lock(&guard, &house.lock, SKUA_FOREVER) == 0) {
        leave_room(member);
    }
}
