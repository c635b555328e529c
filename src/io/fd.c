/* The table of file descriptors: who owns a number, who waits for it, and what its events do.

   Invariants:
     (F1) A record is found without a lock and stays where it is until the runtime ends.
     (F2) Kind and generation change under the record's lock, but for CLOSING -> NONE, which belongs
          to whoever brings it about by compare-and-swap with no holds left. The number is closed
          after that, so that it cannot be adopted anew while it still reads CLOSING.
     (F3) Nobody waits on an adopted fd of an earlier generation: closing takes the waiters out, and
          fd_wait() links only under the generation that it was asked for.
     (F4) No event is lost: the counters were read before the system call that said EAGAIN. An event
          that came after that has changed its counter, so the wait does not begin; one that comes
          later finds the waiter linked. Both are decided under the lock.
     (F5) A FOREIGN or SHARED fd is registered exactly while somebody waits on it, for the
          directions of those who wait.
     (F6) `exhausted` equals `events` only if a transfer came out short, on a fd where that means
          that nothing was left, after so many events: whatever has come since is an event that is
          still on its way, so a wait may begin without a system call. On TCP it means that, but for
          three things, all of which come with an event of their own: the end of the stream and
          errors, of which the event may have been handed out with that of the last bytes, and
          urgent data, before which a read stops. After one of them short transfers mean nothing
          more. Unix sockets stop at passed fds, pipes in packet mode at packets, terminals at
          lines: there a short read never means anything.

   Go keeps one "ready" bit a direction where we have counters. A bit cannot be taken back by a read
   that drains the fd, so the next read that finds nothing has to be done twice; and it can be set
   only when nobody is woken, which loses the event for a second reader that has just seen EAGAIN.

   Threads: any worker and the holder of the poll token, all through the record's lock; it is held
   over epoll_ctl when arming, which only those who wait for this very fd can notice. */
#include "io/fd.h"

#include "base/mem.h"
#include "base/panic.h"
#include "io/call.h"

static void fd_lock(struct skua__fd *fd)
{
    skua__lock(&fd->lock, SKUA__RANK_IO);
}

static void fd_unlock(struct skua__fd *fd)
{
    skua__unlock(&fd->lock, SKUA__RANK_IO);
}

static uint64_t kind_bits(enum skua__fd_kind kind, bool is_socket)
{
    return (uint64_t)kind << SKUA__FD_KIND_SHIFT | (uint64_t)is_socket << SKUA__FD_SOCKET_SHIFT;
}

/* Both fields that a change of owner replaces. */
static const uint64_t OWNER_MASK =
    (uint64_t)SKUA__FD_KIND_MASK << SKUA__FD_KIND_SHIFT | (uint64_t)1 << SKUA__FD_SOCKET_SHIFT;
static const uint64_t GENERATION_ONE = (uint64_t)1 << SKUA__FD_GENERATION_SHIFT;

static uint64_t word_of(struct skua__fd *fd)
{
    return skua__load(&fd->word, relaxed);
}

static struct skua__waiter *waiter_of(const struct skua__fd *fd, int direction)
{
    return skua__load(&fd->waiters[direction], relaxed);
}

static void set_waiter(struct skua__fd *fd, int direction, struct skua__waiter *waiter)
{
    skua__store(&fd->waiters[direction], waiter, relaxed);
}

/* --- the table -------------------------------------------------------------------------------- */

static struct skua__fd_chunk *make_chunk(int first_number)
{
    struct skua__fd_chunk *chunk = skua__alloc_aligned(SKUA_CACHE_LINE, sizeof *chunk);
    for (int i = 0; chunk != NULL && i < SKUA__FD_CHUNK_RECORDS; i++) {
        chunk->records[i].number = first_number + i;
    }
    return chunk;
}

int skua__fd_make(struct skua__io *io, int number, struct skua__fd **out)
{
    int chunk_index = number / SKUA__FD_CHUNK_RECORDS;
    if (number < 0 || chunk_index >= SKUA__FD_CHUNKS) {
        return number < 0 ? -EBADF : -ENOSPC;
    }
    *out = skua__fd_find(io, number);
    if (*out != NULL) {
        return 0;
    }
    struct skua__fd_chunk *chunk = make_chunk(chunk_index * SKUA__FD_CHUNK_RECORDS);
    if (chunk == NULL) {
        return -ENOMEM;
    }
    struct skua__fd_chunk *none = NULL;
    /* release: publishes the records; pairs with the acquire in skua__fd_find(). */
    if (!skua__cas(&io->chunks[chunk_index], &none, chunk, release, relaxed)) {
        skua__free(chunk);
    }
    *out = skua__fd_find(io, number);
    return 0;
}

/* --- holds ------------------------------------------------------------------------------------ */

bool skua__fd_hold(struct skua__fd *fd, struct skua__fd_look *look)
{
    /* acquire: pairs with the release in skua__fd_adopt(): the fd is set up. */
    look->word = skua__fetch_add(&fd->word, 1, acquire);
    for (int direction = 0; direction < SKUA__FD_DIRECTIONS; direction++) {
        /* acquire: pairs with the release in count_event(); it orders this load before the system
           call that follows (F4). */
        look->events[direction] = skua__load(&fd->events[direction], acquire);
    }
    if (SKUA_UNLIKELY(!skua__fd_is_adopted(look->word))) {
        skua__fd_drop(fd);
        return false;
    }
    return true;
}

void skua__fd_drop(struct skua__fd *fd)
{
    /* acq_rel: orders our system calls, and those of earlier holders, before the close(2) of the
       last; pairs with itself. */
    uint64_t word = skua__fetch_sub(&fd->word, 1, acq_rel) - 1;
    if (SKUA_LIKELY((word & SKUA__FD_HOLDS_MASK) != 0 ||
                    skua__fd_kind_of(word) != SKUA__FD_CLOSING)) {
        return;
    }
    int number = fd->number;
    /* release: orders all of this life of the number before the next one's adoption; pairs with the
       acquire of the lock there, and in skua__fd_hold(). */
    if (skua__cas(&fd->word, &word, word & ~OWNER_MASK, release, relaxed)) {
        skua__call_close(number);
    }
}

/* --- short transfers -------------------------------------------------------------------------- */

/* Ask once in the life of a fd what it is. */
static SKUA_NOINLINE bool find_out_shortness(struct skua__fd *fd, uint64_t word)
{
    bool is_tcp = skua__fd_is_socket(word) && skua__call_is_tcp(fd->number);
    uint32_t unknown = SKUA__FD_UNKNOWN;
    /* Only from UNKNOWN: an event may have made it SILENT meanwhile, which is final. */
    return skua__cas(&fd->shortness, &unknown, is_tcp ? SKUA__FD_TELLING : SKUA__FD_SILENT, relaxed,
                     relaxed) &&
           is_tcp;
}

void skua__fd_note_exhausted(struct skua__fd *fd, const struct skua__fd_look *look, int events,
                             bool is_exhausted)
{
    const int direction = events >> 1;
    const uint32_t count = look->events[direction];
    uint32_t shortness = skua__load(&fd->shortness, relaxed);
    if (is_exhausted && shortness == SKUA__FD_UNKNOWN) {
        shortness = find_out_shortness(fd, look->word) ? SKUA__FD_TELLING : SKUA__FD_SILENT;
    }
    if (shortness == SKUA__FD_TELLING) {
        skua__store(&fd->exhausted[direction], is_exhausted ? count : count - 1, relaxed);
    }
}

/* A new life of the number. Under the lock, before the word says so. */
static void forget_transfers(struct skua__fd *fd)
{
    for (int direction = 0; direction < SKUA__FD_DIRECTIONS; direction++) {
        uint32_t count = skua__load(&fd->events[direction], relaxed);
        skua__store(&fd->exhausted[direction], count - 1, relaxed);
    }
    skua__store(&fd->shortness, SKUA__FD_UNKNOWN, relaxed);
}

/* --- owners ----------------------------------------------------------------------------------- */

int skua__fd_adopt(struct skua__io *io, int number, enum skua__fd_kind kind, bool is_socket)
{
    struct skua__fd *fd = NULL;
    int status = skua__fd_make(io, number, &fd);
    if (status < 0) {
        return status;
    }
    fd_lock(fd);
    uint64_t word = word_of(fd);
    if (skua__fd_kind_of(word) != SKUA__FD_NONE) {
        fd_unlock(fd);
        return skua__fd_kind_of(word) == SKUA__FD_FOREIGN ? -EBUSY : -EEXIST;
    }
    forget_transfers(fd);
    if (kind == SKUA__FD_STREAM) {
        status = skua__io_poller_add(&io->poller, number, skua__fd_generation(word));
        if (status == -EPERM) {
            kind = SKUA__FD_FILE; /* /dev/null and its like */
            status = 0;
        }
    }
    if (status == 0) {
        /* release: publishes the fd, set up and registered; pairs with the acquire in
           skua__fd_hold(). */
        skua__fetch_or(&fd->word, kind_bits(kind, is_socket), release);
    }
    fd_unlock(fd);
    return status;
}

int skua__fd_adopt_new(struct skua__io *io, int number, enum skua__fd_kind kind, bool is_socket)
{
    int status = skua__fd_adopt(io, number, kind, is_socket);
    if (status == -EEXIST) { /* (F2) */
        skua__panic("file descriptor %d, which is adopted, was closed by close(2); skua_close() is "
                    "for it",
                    number);
    }
    return status;
}

/* Take a waiter out of the directions in which it stands. */
static void unlink_waiter(struct skua__fd *fd, const struct skua__waiter *waiter)
{
    for (int direction = 0; direction < SKUA__FD_DIRECTIONS; direction++) {
        if (waiter_of(fd, direction) == waiter) {
            set_waiter(fd, direction, NULL);
        }
    }
}

/* End the waits in the directions `events`. */
static void claim_waiters(struct skua__fd *fd, int events, int result,
                          struct skua__wake_list *wakes)
{
    for (int direction = 0; direction < SKUA__FD_DIRECTIONS; direction++) {
        struct skua__waiter *waiter = waiter_of(fd, direction);
        if ((events >> direction & 1) == 0 || waiter == NULL) {
            continue;
        }
        unlink_waiter(fd, waiter);
        if (skua__waiter_claim(waiter)) {
            waiter->result = result;
            skua__wake_list_add(wakes, waiter->parker);
        }
    }
}

bool skua__fd_close(struct skua__io *io, int number)
{
    struct skua__fd *fd = skua__fd_find(io, number);
    if (fd == NULL) {
        return false;
    }
    struct skua__wake_list wakes;
    skua__wake_list_init(&wakes);
    fd_lock(fd);
    uint64_t word = word_of(fd), closing = 0;
    do {
        if (!skua__fd_is_adopted(word)) {
            fd_unlock(fd);
            return false;
        }
        /* The added one is our own hold. */
        closing = ((word & ~OWNER_MASK) | kind_bits(SKUA__FD_CLOSING, false)) + GENERATION_ONE + 1;
    } while (!skua__cas(&fd->word, &word, closing, relaxed, relaxed));
    claim_waiters(fd, SKUA_READABLE | SKUA_WRITABLE, -EBADF, &wakes);
    fd_unlock(fd);

    if (skua__fd_kind_of(word) != SKUA__FD_FILE) {
        skua__io_poller_remove(&io->poller, number);
    }
    skua__wake_list_flush(&wakes);
    skua__fd_drop(fd);
    return true;
}

/* --- waits ------------------------------------------------------------------------------------ */

static int directions_waited_for(const struct skua__fd *fd)
{
    return (waiter_of(fd, 0) != NULL ? SKUA_READABLE : 0) |
           (waiter_of(fd, 1) != NULL ? SKUA_WRITABLE : 0);
}

/* May a wait begin? 1, or what fd_wait() returns instead. */
static int may_wait(struct skua__fd *fd, const struct skua__fd_look *look, int events, bool is_once)
{
    uint64_t word = word_of(fd);
    enum skua__fd_kind kind = skua__fd_kind_of(word);
    if (skua__fd_generation(word) != skua__fd_generation(look->word)) {
        return skua__fd_is_adopted(look->word) ? -EBADF : 0; /* (F3); somebody else's: look again */
    }
    if (is_once && kind != SKUA__FD_NONE && kind != SKUA__FD_FOREIGN && kind != SKUA__FD_SHARED) {
        return 0; /* adopted meanwhile */
    }
    for (int direction = 0; direction < SKUA__FD_DIRECTIONS; direction++) {
        if ((events >> direction & 1) != 0 &&
            skua__load(&fd->events[direction], relaxed) != look->events[direction]) {
            return 0; /* (F4) */
        }
    }
    return (events & directions_waited_for(fd)) != 0 ? -EBUSY : 1;
}

/* Register a FOREIGN or SHARED fd for `events` besides what it is registered for (F5). */
static int arm(struct skua__io *io, struct skua__fd *fd, int events)
{
    uint64_t word = word_of(fd);
    int status = skua__io_poller_arm(&io->poller, fd->number, skua__fd_generation(word),
                                     events | directions_waited_for(fd));
    if (status == 0 && skua__fd_kind_of(word) == SKUA__FD_NONE) {
        skua__fetch_or(&fd->word, kind_bits(SKUA__FD_FOREIGN, false), relaxed);
    }
    return status;
}

/* The last one who waited leaves: a foreign number is its owner's again. */
static void disarm(struct skua__io *io, struct skua__fd *fd, uint32_t generation)
{
    uint64_t word = word_of(fd);
    if (skua__fd_generation(word) != generation || directions_waited_for(fd) != 0) {
        return;
    }
    skua__io_poller_remove(&io->poller, fd->number);
    if (skua__fd_kind_of(word) == SKUA__FD_FOREIGN) {
        skua__fetch_add(&fd->word, GENERATION_ONE - kind_bits(SKUA__FD_FOREIGN, false), relaxed);
    }
}

/* Under the lock: 1 if the wait may begin, and is armed for; else what fd_wait() returns. */
static int prepare(struct skua__io *io, struct skua__fd *fd, const struct skua__fd_look *look,
                   int events, bool is_once)
{
    int status = may_wait(fd, look, events, is_once);
    if (status == 1 && is_once) {
        int armed = arm(io, fd, events);
        status = armed < 0 ? armed : 1;
    }
    return status;
}

static void place_waiter(struct skua__fd *fd, struct skua__waiter *waiter, int events)
{
    for (int direction = 0; direction < SKUA__FD_DIRECTIONS; direction++) {
        if ((events >> direction & 1) != 0) {
            set_waiter(fd, direction, waiter);
        }
    }
    skua__store(&fd->last_parker, waiter->parker, relaxed);
}

int skua__fd_link(struct skua__io *io, struct skua__fd *fd, const struct skua__fd_look *look,
                  int events, bool is_once, struct skua__waiter *waiter)
{
    fd_lock(fd);
    int status = prepare(io, fd, look, events, is_once);
    if (status == 1) {
        place_waiter(fd, waiter, events);
    }
    fd_unlock(fd);
    return status;
}

void skua__fd_unlink(struct skua__io *io, struct skua__fd *fd, const struct skua__waiter *waiter,
                     bool is_once, uint32_t generation)
{
    fd_lock(fd);
    unlink_waiter(fd, waiter);
    if (is_once) {
        disarm(io, fd, generation);
    }
    fd_unlock(fd);
}

int skua__fd_wait(struct skua__io *io, struct skua__fd *fd, const struct skua__fd_look *look,
                  int events, bool is_once, int64_t deadline_ns)
{
    fd_lock(fd);
    int status = prepare(io, fd, look, events, is_once);
    if (status != 1) {
        fd_unlock(fd);
        return status;
    }
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__wait_begin_for(&wait, SKUA__SOFT, "a file descriptor");
    skua__waiter_init(&waiter, &wait, 0, NULL);
    place_waiter(fd, &waiter, events);
    uint32_t generation = skua__fd_generation(word_of(fd));
    fd_unlock(fd);
    int cause = skua__wait_park_real(&wait, deadline_ns);
    if (cause < 0 || is_once) {
        skua__fd_unlink(io, fd, &waiter, is_once, generation);
    }
    if (cause >= 0) {
        return waiter.result;
    }
    return cause == SKUA__RECHECK ? 0 : cause;
}

/* --- events ----------------------------------------------------------------------------------- */

static void count_event(struct skua__fd *fd, int direction)
{
    uint32_t count = skua__load(&fd->events[direction], relaxed) + 1; /* only under the lock */
    /* release: publishes that the fd is ready; pairs with the acquire in skua__fd_hold(): who reads
       the new count finds, in the system call after that, what the event spoke of. */
    skua__store(&fd->events[direction], count, release);
}

static void deliver_one(struct skua__io *io, const struct skua__io_event *event,
                        struct skua__wake_list *wakes)
{
    struct skua__fd *fd = skua__fd_find(io, event->fd);
    int events = event->events & (SKUA_READABLE | SKUA_WRITABLE);
    fd_lock(fd);
    uint64_t word = word_of(fd);
    if (SKUA_UNLIKELY(skua__fd_generation(word) != event->generation)) {
        fd_unlock(fd);
        return; /* of an earlier life */
    }
    if (SKUA_UNLIKELY((event->events & SKUA__IO_SPECIAL) != 0)) {
        skua__store(&fd->shortness, SKUA__FD_SILENT, relaxed); /* (F6) */
    }
    for (int direction = 0; direction < SKUA__FD_DIRECTIONS; direction++) {
        if ((events >> direction & 1) != 0) {
            count_event(fd, direction);
        }
    }
    claim_waiters(fd, events, events, wakes);
    bool is_stream = skua__fd_kind_of(word) == SKUA__FD_STREAM;
    if (!is_stream && directions_waited_for(fd) != 0 && arm(io, fd, 0) < 0) {
        /* Closed by its owner: those who wait shall see for themselves. */
        claim_waiters(fd, SKUA_READABLE | SKUA_WRITABLE, 0, wakes);
    }
    fd_unlock(fd);
}

/* With thousands of fds nothing of an event is in the cache: its record, the waiter in the frame of
   its wait, the fiber. So all of them are asked for before the first is needed. */
static void prefetch(struct skua__io *io, const struct skua__io_event *events, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        __builtin_prefetch(skua__fd_find(io, events[i].fd), 1);
    }
    for (size_t i = 0; i < count; i++) {
        const struct skua__fd *fd = skua__fd_find(io, events[i].fd);
        int direction = (events[i].events & SKUA_READABLE) != 0 ? 0 : 1;
        __builtin_prefetch(waiter_of(fd, direction), 1);
        __builtin_prefetch(skua__load(&fd->last_parker, relaxed), 1);
    }
}

bool skua__fd_deliver(void *target, const struct skua__io_event *events, size_t count)
{
    struct skua__wake_list wakes;
    skua__wake_list_init(&wakes);
    bool has_woken = false;
    if (count > 1) {
        prefetch(target, events, count);
    }
    for (size_t i = 0; i < count; i++) {
        deliver_one(target, &events[i], &wakes);
        has_woken = has_woken || wakes.count > 0;
        if (wakes.count + SKUA__FD_DIRECTIONS > SKUA__WAKE_CHUNK) {
            skua__wake_list_flush_later(&wakes);
        }
    }
    skua__wake_list_flush_later(&wakes);
    return has_woken;
}

static void stir_one(struct skua__fd *fd)
{
    struct skua__wake_list wakes = {0};
    uint64_t word = word_of(fd);
    if (skua__fd_kind_of(word) != SKUA__FD_STREAM || !skua__fd_is_socket(word)) {
        return;
    }
    fd_lock(fd);
    count_event(fd, 0);
    claim_waiters(fd, SKUA_READABLE, 0, &wakes);
    fd_unlock(fd);
    skua__wake_list_flush(&wakes);
}

void skua__fd_stir(struct skua__io *io)
{
    for (int i = 0; i < SKUA__FD_CHUNKS; i++) {
        /* acquire: pairs with the release in skua__fd_make(): the records are seen initialised. */
        struct skua__fd_chunk *chunk = skua__load(&io->chunks[i], acquire);
        for (int k = 0; chunk != NULL && k < SKUA__FD_CHUNK_RECORDS; k++) {
            stir_one(&chunk->records[k]);
        }
    }
}
