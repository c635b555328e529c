/* map_parallel: a crew whose members take items from the stream in turn, call for them at the same
   time, and hand over the results in the order of the items, or as they come.

   In order: the k-th item is the ticket k, its result goes through cell k % limit, a channel of
   one. A member takes a permit before it takes a ticket, and who asks gives a permit back for each
   result that he has received.

     (L1) The stream, `tickets` and the taking of a ticket are under the mutex `turn`.
     (L2) At most `limit` tickets are out: taken, and their results not received. So no two of them
          have the same cell, the cell of a ticket is empty when its result comes, and results are
          received in the order of tickets.
     (L3) What ends the stream (its end, its failure, one of a call) has a ticket as well; its cell
          is closed, after `end` has been written to it, and no ticket is taken any more.
     (L4) A member that leaves for any other reason closes all cells.

   In any order there is one cell, a rendezvous, and no permits: a member that has a result waits
   for who asks, so at most `limit` are out here too. The cell is closed by the last member, or at
   once by the first failure: it need not wait for a stream that is slow.

   Rejected: a task for each item, spawned by who asks (results that are ready would wait for an
   item that he waits for); a result's place in a ring under one lock (it has to be waited for, by
   the same channel in the end). */
#include "base/atomic.h"
#include "base/compiler.h"
#include "gen/crew.h"
#include "gen/stream.h"

#include <skua/runtime.h>
#include <skua/sync.h>

struct cell {
    skua_chan *chan;
    _Atomic int end; /* (L3); published by the close */
};

struct member {
    struct parallel *all;
    void *item, *result;
};

struct parallel {
    skua_stream stream;
    skua_parallel how;
    struct skua__crew crew;
    struct member *members;
    struct cell *cells;
    size_t cell_count;
    skua_chan *permits; /* NULL: in any order */

    /* Who asks. */
    uint64_t received;
    size_t permits_owed;

    /* The members. */
    skua_mutex turn;
    uint64_t tickets;
    _Atomic bool is_stopped;
    _Atomic size_t running;
    _Atomic int failure;
};

/* --- the members ------------------------------------------------------------------------------ */

static void note_failure(struct parallel *all, int status)
{
    int none = 0;
    if (status < 0) {
        (void)skua__cas(&all->failure, &none, status, relaxed, relaxed);
    }
}

static void close_all(struct parallel *all)
{
    for (size_t i = 0; i < all->cell_count; i++) {
        skua_chan_close(all->cells[i].chan);
    }
}

static int take_permit(struct parallel *all)
{
    char none;
    int status = skua_chan_recv(all->permits, &none, 0, SKUA_FOREVER);
    return status == 0 ? -ECANCELED : status;
}

/* The next item and its ticket. 1; else what the stream has ended with, and *is_end says whether
   this member is the one who ends it: not one who comes later, or has been cancelled. */
static int take_item(struct member *self, uint64_t *ticket, bool *is_end)
{
    struct parallel *all = self->all;
    *is_end = false;
    int status = skua_mutex_lock(&all->turn, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    if (!skua__load(&all->is_stopped, relaxed)) {
        status = skua__stream_pull(all->stream.upstream, self->item, SKUA_FOREVER);
        *ticket = all->tickets++;
        *is_end = status != 1;
        if (*is_end) {
            skua__store(&all->is_stopped, true, relaxed);
        }
    }
    skua_mutex_unlock(&all->turn);
    return status;
}

/* L3. */
static void end_at(struct parallel *all, uint64_t ticket, int status)
{
    struct cell *cell = &all->cells[ticket % all->cell_count];
    skua__store(&all->is_stopped, true, relaxed);
    if (all->permits == NULL) {
        note_failure(all, status);
        if (status < 0) {
            skua_chan_close(cell->chan);
        }
        return;
    }
    skua__store(&cell->end, status, relaxed);
    skua_chan_close(cell->chan);
}

/* One item from the stream to who asks. 1: go on. 0: it is over. < 0: L4. */
static int serve(struct member *self)
{
    struct parallel *all = self->all;
    uint64_t ticket = 0;
    bool is_end = false;
    int status = all->permits != NULL ? take_permit(all) : 1;
    if (status == 1) {
        status = take_item(self, &ticket, &is_end);
    }
    if (status != 1 && !is_end) {
        return status;
    }
    if (!is_end) {
        status = all->how.fn(all->how.context, self->item, self->result);
        is_end = status < 0;
    }
    if (is_end) {
        end_at(all, ticket, status);
        return 0;
    }
    struct cell *cell = &all->cells[ticket % all->cell_count];
    status = skua_chan_send(cell->chan, self->result, all->how.item_bytes, SKUA_FOREVER);
    return status == 0 ? 1 : status;
}

static int run(void *arg)
{
    struct member *self = arg;
    struct parallel *all = self->all;
    int status;
    while ((status = serve(self)) == 1) {}
    note_failure(all, status);
    /* acq_rel: orders the failure that another has noted before the close by the last one, which
       publishes it to who asks; pairs with itself. */
    if (skua__fetch_sub(&all->running, 1, acq_rel) == 1 || status < 0) {
        close_all(all);
    }
    return 0;
}

/* --- who asks --------------------------------------------------------------------------------- */

static int pay_permits(struct parallel *self)
{
    char none = 0;
    int status = 0;
    while (self->permits_owed > 0 && status == 0) {
        status = skua_chan_send(self->permits, &none, 0, SKUA_NOW);
        self->permits_owed -= status == 0;
    }
    return status;
}

static int parallel_next(skua_stream *stream, void *item, skua_time deadline)
{
    struct parallel *self = (struct parallel *)stream;
    int status =
        skua__crew_start(&self->crew, run, self->members, sizeof self->members[0], "stream map");
    if (status == 0 && self->permits_owed > 0) {
        status = pay_permits(self);
    }
    if (status < 0) {
        return status;
    }
    struct cell *cell = &self->cells[self->received % self->cell_count];
    status = skua_chan_recv(cell->chan, item, stream->item_bytes, deadline);
    if (status == 1) {
        self->received++;
        self->permits_owed += self->permits != NULL;
    }
    if (status == 0) {
        int end = skua__load(&cell->end, relaxed);
        return skua__stream_end(stream, end < 0 ? end : skua__load(&self->failure, relaxed));
    }
    return status;
}

/* --- making and closing ----------------------------------------------------------------------- */

static void parallel_close(skua_stream *stream)
{
    struct parallel *self = (struct parallel *)stream;
    skua__crew_end(&self->crew);
    for (size_t i = 0; i < self->cell_count; i++) {
        skua_chan_release(self->cells[i].chan, SKUA_SENDER | SKUA_RECEIVER);
    }
    skua_chan_release(self->permits, SKUA_SENDER | SKUA_RECEIVER);
}

static int make_channels(struct parallel *self)
{
    size_t capacity = self->how.in_any_order ? 0 : 1;
    int status = 0;
    for (size_t i = 0; i < self->cell_count && status == 0; i++) {
        status = skua_chan_create(&self->cells[i].chan, self->how.item_bytes, capacity);
    }
    if (status == 0 && !self->how.in_any_order) {
        status = skua_chan_create(&self->permits, 0, self->cell_count);
        self->permits_owed = self->cell_count;
    }
    return status;
}

/* For each member: itself, its task, its cell, an item and a result. */
static size_t each_bytes(const skua_stream *upstream, size_t result_bytes)
{
    return sizeof(struct member) + sizeof(skua_task *) + sizeof(struct cell) +
           skua__stream_align(upstream->item_bytes) + skua__stream_align(result_bytes);
}

static void lay_out(struct parallel *self, size_t limit)
{
    size_t item_bytes = skua__stream_align(self->stream.upstream->item_bytes);
    size_t result_bytes = skua__stream_align(self->stream.item_bytes);
    char *place = skua__stream_room(self, sizeof *self);
    char *results = place + limit * item_bytes;
    self->members = (struct member *)(void *)(results + limit * result_bytes);
    self->cells = (struct cell *)(void *)(self->members + limit);
    self->crew.tasks = (skua_task **)(void *)(self->cells + limit);
    self->crew.count = limit;
    self->cell_count = self->how.in_any_order ? 1 : limit;
    for (size_t i = 0; i < limit; i++) {
        self->members[i] =
            (struct member){self, place + i * item_bytes, results + i * result_bytes};
    }
    skua__store(&self->running, limit, relaxed);
}

skua_stream *skua_stream_map_parallel(skua_stream *stream, const skua_parallel *how)
{
    static const struct skua__stream_kind kind = {parallel_next, parallel_close};
    if (stream == NULL) {
        return NULL;
    }
    size_t limit = how->limit > 0 ? how->limit : skua_worker_count(skua_runtime_current());
    size_t room_bytes;
    if (__builtin_mul_overflow(limit, each_bytes(stream, how->item_bytes), &room_bytes)) {
        room_bytes = SIZE_MAX;
    }
    struct parallel *self =
        skua__stream_make(&kind, sizeof *self, room_bytes, how->item_bytes, stream);
    if (self == NULL) {
        return NULL;
    }
    self->how = *how;
    lay_out(self, limit);
    int status = make_channels(self);
    if (status == -ENOMEM) {
        skua_stream *failed = &self->stream;
        skua_stream_close(&failed);
        return NULL;
    }
    if (status < 0) {
        skua__stream_end(&self->stream, status);
    }
    return &self->stream;
}
