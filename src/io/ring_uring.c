/* The completion queue on io_uring, by liburing. completion.h has the contract.

   (U1) Every entry is submitted at once: what the caller was told to be in flight is in flight, and
        the kernel has read the description, which may then go away. (What it points at stays.)
   (U2) An entry that the kernel did not take becomes a NOP, which goes along with the next
        submission and whose completion nobody sees.
   (U3) The queue of completions holds twice what may be in flight; the rest is for requests to
        cancel that found nothing. Should it overflow all the same the kernel keeps what does not
        fit, and taking fetches it.

   The flags of the ring: none that speed it up. SINGLE_ISSUER and DEFER_TASKRUN want one thread
   that submits and reaps: here a task is cancelled from wherever it runs now, and the thread that
   polls is whichever is idle. With COOP_TASKRUN a completion would wait until its submitter enters
   the kernel, which a worker that computes does not do for long. SQPOLL keeps a processor busy.

   The child of a fork has no mapping of the ring (madvise, done by liburing). */
#include "io/completion.h"

#include "base/compiler.h"
#include "base/mem.h"

#include <liburing.h>
#include <stdlib.h>

enum { ENTRIES = 64 };

/* Keys of entries that are nobody's. */
static const uint64_t NOBODY = 0;

/* What one entry of the queue can carry: read(2) and write(2) cut off there as well. */
static const size_t BYTES_MAX = 0x7ffff000;

struct skua__completions {
    struct io_uring ring;
    bool knows[SKUA__OP_COUNT];
};

static const uint8_t opcodes[SKUA__OP_COUNT] = {
    [SKUA__OP_READ] = IORING_OP_READ,          [SKUA__OP_WRITE] = IORING_OP_WRITE,
    [SKUA__OP_READV] = IORING_OP_READV,        [SKUA__OP_WRITEV] = IORING_OP_WRITEV,
    [SKUA__OP_FSYNC] = IORING_OP_FSYNC,        [SKUA__OP_FDATASYNC] = IORING_OP_FSYNC,
    [SKUA__OP_ALLOCATE] = IORING_OP_FALLOCATE, [SKUA__OP_OPEN] = IORING_OP_OPENAT,
    [SKUA__OP_STATX] = IORING_OP_STATX,        [SKUA__OP_UNLINK] = IORING_OP_UNLINKAT,
    [SKUA__OP_RENAME] = IORING_OP_RENAMEAT,    [SKUA__OP_MKDIR] = IORING_OP_MKDIRAT,
};

/* --- making it -------------------------------------------------------------------------------- */

static int ask_what_it_knows(struct skua__completions *completions)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(&completions->ring);
    if (probe == NULL) {
        return -ENOSYS; /* older than 5.6 */
    }
    for (int code = 0; code < SKUA__OP_COUNT; code++) {
        completions->knows[code] = io_uring_opcode_supported(probe, opcodes[code]) != 0;
    }
    io_uring_free_probe(probe);
    return 0;
}

static int set_up(struct skua__completions *completions)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_CQSIZE,
        .cq_entries = 2 * SKUA__COMPLETIONS_MAX,
    };
    int status = io_uring_queue_init_params(ENTRIES, &completions->ring, &params);
    if (status < 0) {
        return status;
    }
    status = io_uring_ring_dontfork(&completions->ring);
    if (status == 0 && (params.features & IORING_FEAT_NODROP) == 0) {
        status = -ENOSYS; /* (U3) */
    }
    if (status == 0) {
        status = ask_what_it_knows(completions);
    }
    if (status < 0) {
        io_uring_queue_exit(&completions->ring);
    }
    return status;
}

SKUA_OPAQUE int skua__completions_open(struct skua__completions **out)
{
    struct skua__completions *completions = skua__alloc(sizeof *completions);
    if (completions == NULL) {
        return -ENOMEM;
    }
    int status = set_up(completions);
    if (status < 0) {
        skua__free(completions);
        return status;
    }
    *out = completions;
    return 0;
}

SKUA_OPAQUE void skua__completions_close(struct skua__completions *completions)
{
    io_uring_queue_exit(&completions->ring);
    skua__free(completions);
}

int skua__completions_fd(const struct skua__completions *completions)
{
    return completions->ring.ring_fd;
}

bool skua__completions_knows(const struct skua__completions *completions, enum skua__file_code code)
{
    return completions->knows[code];
}

/* --- submitting ------------------------------------------------------------------------------- */

static unsigned bytes_of(const struct skua__file_op *op)
{
    return (unsigned)(op->bytes < BYTES_MAX ? op->bytes : BYTES_MAX);
}

static void describe_transfer(struct io_uring_sqe *entry, const struct skua__file_op *op)
{
    const uint64_t offset = (uint64_t)op->offset;
    const unsigned parts = (unsigned)op->bytes;
    switch (op->code) {
    case SKUA__OP_READ:
        io_uring_prep_read(entry, op->fd, op->buffer, bytes_of(op), offset);
        break;
    case SKUA__OP_WRITE:
        io_uring_prep_write(entry, op->fd, op->buffer, bytes_of(op), offset);
        break;
    case SKUA__OP_READV:
        io_uring_prep_readv(entry, op->fd, op->parts, parts, offset);
        break;
    default:
        io_uring_prep_writev(entry, op->fd, op->parts, parts, offset);
        break;
    }
    entry->rw_flags = (__kernel_rwf_t)op->flags;
}

static void describe(struct io_uring_sqe *entry, const struct skua__file_op *op)
{
    switch (op->code) {
    case SKUA__OP_FSYNC:
        io_uring_prep_fsync(entry, op->fd, 0);
        break;
    case SKUA__OP_FDATASYNC:
        io_uring_prep_fsync(entry, op->fd, IORING_FSYNC_DATASYNC);
        break;
    case SKUA__OP_ALLOCATE:
        io_uring_prep_fallocate(entry, op->fd, (int)op->flags, op->offset, (off_t)op->bytes);
        break;
    case SKUA__OP_OPEN:
        io_uring_prep_openat(entry, op->fd, op->path, skua__op_open_flags(op), op->mode);
        break;
    case SKUA__OP_STATX:
        io_uring_prep_statx(entry, op->fd, op->path, (int)op->flags, op->mask, op->statx);
        break;
    case SKUA__OP_UNLINK:
        io_uring_prep_unlinkat(entry, op->fd, op->path, (int)op->flags);
        break;
    case SKUA__OP_RENAME:
        io_uring_prep_renameat(entry, op->fd, op->path, op->fd_to, op->path_to, op->flags);
        break;
    case SKUA__OP_MKDIR:
        io_uring_prep_mkdirat(entry, op->fd, op->path, op->mode);
        break;
    default:
        describe_transfer(entry, op);
        break;
    }
}

/* Has the kernel taken all that was prepared? */
static bool hand_over(struct io_uring *ring)
{
    int status = 0;
    do {
        status = io_uring_submit(ring);
    } while (status == -EINTR);
    return io_uring_sq_ready(ring) == 0;
}

/* NULL: the queue is full of NOPs that the kernel does not take. */
static struct io_uring_sqe *new_entry(struct io_uring *ring)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(ring);
    if (entry == NULL && hand_over(ring)) {
        entry = io_uring_get_sqe(ring);
    }
    return entry;
}

/* (U2). */
static void take_back(struct io_uring_sqe *entry)
{
    io_uring_prep_nop(entry);
    io_uring_sqe_set_data64(entry, NOBODY);
}

SKUA_OPAQUE int skua__completions_submit(struct skua__completions *completions,
                                         const struct skua__file_op *op, uint64_t key)
{
    struct io_uring_sqe *entry = new_entry(&completions->ring);
    if (entry == NULL) {
        return -EBUSY;
    }
    describe(entry, op);
    io_uring_sqe_set_data64(entry, key);
    if (hand_over(&completions->ring)) {
        return 0;
    }
    take_back(entry);
    return -EBUSY;
}

SKUA_OPAQUE void skua__completions_cancel(struct skua__completions *completions, uint64_t key)
{
    struct io_uring_sqe *entry = new_entry(&completions->ring);
    if (entry == NULL) {
        return;
    }
    io_uring_prep_cancel64(entry, key, 0);
    io_uring_sqe_set_data64(entry, NOBODY);
    if (!hand_over(&completions->ring)) {
        take_back(entry);
    }
}

/* --- taking ----------------------------------------------------------------------------------- */

SKUA_OPAQUE size_t skua__completions_take(struct skua__completions *completions,
                                          struct skua__completion *out, size_t max)
{
    size_t count = 0;
    struct io_uring_cqe *entry = NULL;
    while (count < max && io_uring_peek_cqe(&completions->ring, &entry) == 0 && entry != NULL) {
        if (entry->user_data != NOBODY) {
            out[count].key = entry->user_data;
            out[count].result = entry->res;
            count++;
        }
        io_uring_cqe_seen(&completions->ring, entry);
    }
    return count;
}
