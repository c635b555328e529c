/* io/fd.h: what Skua knows of each file descriptor.

   A table of records, two levels deep, that grows and never moves: a record is found without a lock
   and stays until the runtime ends. Its word says what the number is to us at the moment:

       63          32 31     29  28     27   24 23          0
       +-------------+---------+--------+------+-------------+
       | generation  |    0    | socket | kind | holds       |
       +-------------+---------+--------+------+-------------+

       NONE      nothing: free, or somebody else's
       FOREIGN   somebody else's, and waited for just now (wait.c)
       STREAM    adopted: non-blocking, registered with the poller, edge-triggered
       FILE      adopted: always ready; may have to go to the blocking pool (file.c)
       SHARED    adopted, but standard input, output or error: stays as it is (file.c)
       CLOSING   skua_close() was called while others were in a system call on it

       NONE -> STREAM, FILE, SHARED    skua__fd_adopt()
       NONE <-> FOREIGN                skua__fd_arm(), skua__fd_disarm()
       adopted -> CLOSING              skua__fd_close(), with the next generation
       CLOSING -> NONE, then close(2)  whoever gives back the last hold

   A hold keeps the number from being closed, and thus from meaning another file, during a system
   call. Who is parked holds nothing: he comes back with the generation, and finds out.

   A transfer that came out short has left nothing to be had: what comes after it is an event. So
   the next one need not ask the kernel as long as there was none. That holds for TCP, and until an
   event speaks of more than bytes (note_shortness() in fd.c). */
#ifndef SKUA_IO_FD_H
#define SKUA_IO_FD_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/lock.h"
#include "io/poller.h"
#include "sched/waiter.h"

#include <skua/io.h>

enum skua__fd_kind {
    SKUA__FD_NONE,
    SKUA__FD_FOREIGN,
    SKUA__FD_STREAM,
    SKUA__FD_FILE,
    SKUA__FD_SHARED,
    SKUA__FD_CLOSING,
};

enum {
    SKUA__FD_KIND_SHIFT = 24,
    SKUA__FD_KIND_MASK = 0xf,
    SKUA__FD_SOCKET_SHIFT = 28,
    SKUA__FD_GENERATION_SHIFT = 32,
    SKUA__FD_HOLDS_MASK = (1 << SKUA__FD_KIND_SHIFT) - 1,
    SKUA__FD_DIRECTIONS = 2, /* 0 reading, 1 writing: bit d of SKUA_READABLE | SKUA_WRITABLE */
};

/* Whether a short transfer means that there is no more. */
enum skua__fd_shortness {
    SKUA__FD_UNKNOWN, /* nobody has asked what it is */
    SKUA__FD_TELLING,
    SKUA__FD_SILENT, /* it means nothing, or no more */
};

struct skua__fd {
    int number; /* constant */
    struct skua__lock lock;
    _Atomic uint64_t word;
    /* How many events there were in each direction; written under the lock, read by all. */
    _Atomic uint32_t events[SKUA__FD_DIRECTIONS];
    /* How many of them there had been when a transfer left nothing; equal: there still is nothing.
       Written by whoever transfers. */
    _Atomic uint32_t exhausted[SKUA__FD_DIRECTIONS];
    _Atomic uint32_t shortness; /* enum skua__fd_shortness */
    /* Under the lock: who waits for which direction; the same one may wait for both. Others only
       take the addresses, for the cache, and that of who has waited last. */
    _Atomic(struct skua__waiter *) waiters[SKUA__FD_DIRECTIONS];
    _Atomic(struct skua__parker *) last_parker;
} SKUA_CACHE_ALIGNED;

enum { SKUA__FD_CHUNK_RECORDS = 256, SKUA__FD_CHUNKS = 16384 };

struct skua__fd_chunk {
    struct skua__fd records[SKUA__FD_CHUNK_RECORDS];
};

struct skua__rings;

/* One runtime's I/O. */
struct skua__io {
    struct skua__service service;
    struct skua__rings *rings; /* completions, ring.h */
    struct skua__io_poller poller;
    _Atomic(struct skua__fd_chunk *) chunks[SKUA__FD_CHUNKS];
};

/* What a record looked like before a system call: what has changed since is no reason to wait. */
struct skua__fd_look {
    uint64_t word;
    uint32_t events[SKUA__FD_DIRECTIONS];
};

/* The calling task's I/O, made if it is not there yet. */
int skua__io_get(struct skua__io **out);

/* The record of a number, or NULL: it was never used. */
static inline struct skua__fd *skua__fd_find(struct skua__io *io, int number)
{
    uint32_t chunk_index = (uint32_t)number / SKUA__FD_CHUNK_RECORDS;
    if (SKUA_UNLIKELY(number < 0 || chunk_index >= SKUA__FD_CHUNKS)) {
        return NULL;
    }
    /* acquire: pairs with the release in skua__fd_make(): the records are seen initialised. */
    struct skua__fd_chunk *chunk = skua__load(&io->chunks[chunk_index], acquire);
    return chunk == NULL ? NULL : &chunk->records[(uint32_t)number % SKUA__FD_CHUNK_RECORDS];
}

/* The same, and makes it: 0, -EBADF, -ENOSPC (a number beyond four million), -ENOMEM. */
int skua__fd_make(struct skua__io *io, int number, struct skua__fd **out);

static inline enum skua__fd_kind skua__fd_kind_of(uint64_t word)
{
    return (enum skua__fd_kind)(word >> SKUA__FD_KIND_SHIFT & SKUA__FD_KIND_MASK);
}

static inline bool skua__fd_is_socket(uint64_t word)
{
    return (word >> SKUA__FD_SOCKET_SHIFT & 1) != 0;
}

static inline uint32_t skua__fd_generation(uint64_t word)
{
    return (uint32_t)(word >> SKUA__FD_GENERATION_SHIFT);
}

static inline bool skua__fd_is_adopted(uint64_t word)
{
    enum skua__fd_kind kind = skua__fd_kind_of(word);
    return kind == SKUA__FD_STREAM || kind == SKUA__FD_FILE || kind == SKUA__FD_SHARED;
}

/* Hold an adopted fd, and note what it looks like. False: it is not adopted; nothing is held. */
bool skua__fd_hold(struct skua__fd *fd, struct skua__fd_look *look);
void skua__fd_drop(struct skua__fd *fd);

/* Note that a transfer in the direction `events` has left nothing to be had, or something. Call
   while the fd is held. */
void skua__fd_note_exhausted(struct skua__fd *fd, const struct skua__fd_look *look, int events,
                             bool is_exhausted);

/* Note what the fd looks like. True: it is an adopted stream, and a system call in the direction
   `events` would say EAGAIN unless an event is on its way. Nothing is held in either case. */
static inline bool skua__fd_is_exhausted(struct skua__fd *fd, struct skua__fd_look *look,
                                         int events)
{
    const int direction = events >> 1; /* a single one */
    /* acquire: pairs with the release in skua__fd_adopt(): what an earlier life left is gone. */
    look->word = skua__load(&fd->word, acquire);
    for (int i = 0; i < SKUA__FD_DIRECTIONS; i++) {
        /* acquire: pairs with the release in count_event(): who sees the count sees what came with
           it about the meaning of short transfers. */
        look->events[i] = skua__load(&fd->events[i], acquire);
    }
    return skua__load(&fd->exhausted[direction], relaxed) == look->events[direction] &&
           skua__load(&fd->shortness, relaxed) == SKUA__FD_TELLING &&
           skua__fd_kind_of(look->word) == SKUA__FD_STREAM;
}

/* Give the number to us. 0, -EEXIST, -EBUSY (waited for as a foreign one), and the poller's errors.
   */
int skua__fd_adopt(struct skua__io *io, int number, enum skua__fd_kind kind, bool is_socket);

/* The same for a number that the kernel has just given out. If that is ours already, the program
   has closed it by close(2): panics. */
int skua__fd_adopt_new(struct skua__io *io, int number, enum skua__fd_kind kind, bool is_socket);

/* False: it is not adopted. */
bool skua__fd_close(struct skua__io *io, int number);

/* Wait until something has happened in one of the directions `events` since the look. Returns the
   events (0: try again, nothing is known), -EBADF (closed meanwhile), -EBUSY, -ETIMEDOUT,
   -ECANCELED. Nothing may be held. With `is_once` the fd is armed for this wait only; then also the
   poller's errors. */
int skua__fd_wait(struct skua__io *io, struct skua__fd *fd, const struct skua__fd_look *look,
                  int events, bool is_once, int64_t deadline_ns);

/* The two halves of such a wait, for who has begun it already: 1 (linked), or what fd_wait()
   returns. The generation is that of the look. */
int skua__fd_link(struct skua__io *io, struct skua__fd *fd, const struct skua__fd_look *look,
                  int events, bool is_once, struct skua__waiter *waiter);
void skua__fd_unlink(struct skua__io *io, struct skua__fd *fd, const struct skua__waiter *waiter,
                     bool is_once, uint32_t generation);

/* Let those who wait to read from sockets try again. Who looked before this call and waits after it
   does so too. What they shall find has to be published before, with a heavy fence. */
void skua__fd_stir(struct skua__io *io);

/* The poller's receiver; `io` is the struct skua__io. */
bool skua__fd_deliver(void *io, const struct skua__io_event *events, size_t count);

#endif
