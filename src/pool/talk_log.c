/* Lines of log, on their way from the shared memory of the workers to skua_pool_opts.log.

   They are collected under the pool's lock, when the reactor looks and when a worker has died, and
   the reactor delivers them after the unlock; what does not fit waits in the workers' memory, where
   the oldest lines give way.

   Invariants
   (G1) A line that is delivered, or quoted in an obituary, has an end and no control characters,
        whatever the worker wrote: it can be printed to a terminal or a file of lines.
   (G2) A line is delivered as that of a job which its worker was given, never of another worker's.
        Which of its own latest jobs it speaks for is what an honest worker says.

   Who runs it: the reactor; whoever has the lock. */
#include "base/mem.h"
#include "pool/state.h"

#include <string.h>

enum { CHUNK = 8 }; /* lines that are delivered after one look */

int skua__talk_room_init(struct skua__talk_room *room, const skua_pool_opts *opts)
{
    skua__list_init(&room->asked);
    if (opts == NULL || opts->log == NULL) {
        return 0;
    }
    room->lines = skua__alloc(SKUA__TALK_LINES * sizeof *room->lines);
    room->log = opts->log;
    room->log_arg = opts->log_arg;
    return room->lines != NULL ? 0 : -ENOMEM;
}

void skua__talk_room_fini(struct skua__talk_room *room)
{
    skua__free(room->lines);
    room->lines = NULL;
}

/* How many bytes of a control character begin here: also those of Latin-1, in UTF-8. 0: none. */
static size_t control_bytes(const unsigned char *text)
{
    if (text[0] == 0xC2 && text[1] >= 0x80 && text[1] < 0xA0) {
        return 2;
    }
    return (text[0] < ' ' && text[0] != '\t') || text[0] == 0x7F;
}

void skua__talk_make_harmless(char *line)
{
    unsigned char *text = (unsigned char *)line;
    while (*text != '\0') {
        const size_t bytes = control_bytes(text);
        memset(text, '?', bytes);
        text += bytes > 0 ? bytes : 1;
    }
}

/* (G1) */
static void make_harmless(char line[SKUA__TEXT_BYTES])
{
    line[SKUA__TEXT_BYTES - 1] = '\0';
    skua__talk_make_harmless(line);
}

void skua__talk_look(struct skua__process *process)
{
    struct skua__talk_room *room = &process->pool->talk;
    if (room->lines == NULL) {
        return;
    }
    const uint32_t before = room->line_count;
    for (int i = 0; i < SKUA__LOG_SLOTS && room->line_count < SKUA__TALK_LINES; i++) {
        struct skua__talk_line *line = &room->lines[room->line_count];
        uint64_t ticket;
        if (skua__jobring_take_log(&process->ring, line->text, &ticket, &room->log_lost) == 0) {
            break;
        }
        make_harmless(line->text);
        line->job = process->talk.jobs[ticket % SKUA__REQUEST_SLOTS];
        line->pid = process->pid;
        room->line_count += line->job != NULL; /* (G2) else no job has had such a ticket */
    }
    if (room->line_count > before && process->pool->sleep != 0) {
        skua__pool_ring(process->pool);
    }
}

bool skua__talk_last_line(const struct skua__process *process, uint64_t ticket,
                          char text[SKUA__TEXT_BYTES])
{
    if (!skua__jobring_last_log(&process->ring, ticket, text)) {
        return false;
    }
    make_harmless(text);
    return true;
}

/* Take the oldest lines. Returns how many. */
static uint32_t take_lines(skua_pool *pool, struct skua__talk_line lines[CHUNK])
{
    struct skua__talk_room *room = &pool->talk;
    skua__pool_lock(pool);
    const uint32_t count = room->line_count < CHUNK ? room->line_count : CHUNK;
    if (count > 0) {
        room->line_count -= count;
        memcpy(lines, room->lines, count * sizeof *lines);
        memmove(room->lines, room->lines + count, room->line_count * sizeof *lines);
    }
    skua__pool_unlock(pool);
    return count;
}

bool skua__talk_deliver(skua_pool *pool)
{
    struct skua__talk_line lines[CHUNK];
    bool found = false;
    uint32_t count;
    while (pool->talk.lines != NULL && (count = take_lines(pool, lines)) > 0) {
        found = true;
        for (uint32_t i = 0; i < count; i++) {
            pool->talk.log(pool->talk.log_arg, lines[i].job, lines[i].pid, lines[i].text);
        }
    }
    return found;
}
