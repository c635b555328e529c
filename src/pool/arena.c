/* The shared memory of one worker process: one memfd, mapped by the parent and by that process.

       +--------+------------------------------+------------------------------+-------------+
       | rings  | IN: blocks that the parent   | OUT: blocks that the worker  | spare block |
       |        | allocates                    | allocates                    |             |
       +--------+------------------------------+------------------------------+-------------+
       pages    region_bytes                   region_bytes                   payload_max

   The file is sparse: a region costs addresses until something is written to it. A region has room
   for four of the largest payloads, and for 64 MiB at least, so that inputs can be brought and
   answers be held while the worker runs.

   Invariants
   (A1) Each worker process has a memfd of its own, which no other worker ever maps: not those that
        come after it either. A process that a job has left behind can only spoil its own worker's
        memory.
   (A2) The file is sealed against shrinking and growing before the worker gets it, so that no
        access of the parent inside its mapping can fault.

   Rejected: one region for all workers (a hostile one could change the others' answers); one
   region that both sides allocate from (its books would have to be shared, and believed). */
#include "pool/arena.h"

#include "pool/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAYLOADS_PER_REGION = 4 };

#define REGION_BYTES_MIN ((size_t)64 * 1024 * 1024)
#define PAYLOAD_MAX_LIMIT ((size_t)64 * 1024 * 1024 * 1024)

/* `unit` is a power of two. */
static size_t round_up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) & ~(unit - 1);
}

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t power_of_two(size_t bytes)
{
    size_t power = SKUA__BLOCK_BYTES;
    while (power < bytes) {
        power *= 2;
    }
    return power;
}

static size_t rings_bytes(void)
{
    return round_up(sizeof(struct skua__shared), page_bytes());
}

/* Sizes of an arena. False: too large. */
static bool lay_out(struct skua__arena *arena, size_t payload_max)
{
    if (payload_max > PAYLOAD_MAX_LIMIT) {
        return false;
    }
    const size_t region = PAYLOADS_PER_REGION * power_of_two(payload_max);
    arena->payload_max = payload_max;
    arena->region_bytes = region < REGION_BYTES_MIN ? REGION_BYTES_MIN : region;
    arena->bytes = rings_bytes() + 2 * arena->region_bytes + round_up(payload_max, page_bytes());
    return true;
}

static int map(struct skua__arena *arena, int memfd)
{
    char *memory = mmap(NULL, arena->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    if (memory == MAP_FAILED) {
        return -errno;
    }
    arena->shared = (struct skua__shared *)(void *)memory;
    arena->in = memory + rings_bytes();
    arena->out = arena->in + arena->region_bytes;
    arena->spare = arena->out + arena->region_bytes;
    return 0;
}

/* A limit on the size of files holds for this one, too; but its signal is not for the program,
   which would end by it. */
static int set_size(int memfd, size_t bytes)
{
    sigset_t signal, before;
    const struct timespec at_once = {0, 0};
    sigemptyset(&signal);
    sigaddset(&signal, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &signal, &before);
    const int error = ftruncate(memfd, (off_t)bytes) < 0 ? -errno : 0;
    if (error == -EFBIG && !sigismember(&before, SIGXFSZ)) {
        sigtimedwait(&signal, NULL, &at_once); /* it was sent to this thread */
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static int make_file(size_t bytes)
{
    int memfd = memfd_create("skua-pool", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memfd < 0) {
        return -errno;
    }
    int error = set_size(memfd, bytes);
    if (error == 0 && fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        error = -errno;
    }
    if (error < 0) {
        close(memfd);
        return error;
    }
    return memfd;
}

int skua__arena_create(struct skua__arena *arena, size_t payload_max, int *memfd)
{
    if (!lay_out(arena, payload_max)) {
        return -EINVAL;
    }
    int file = make_file(arena->bytes);
    if (file < 0) {
        return file;
    }
    int error = map(arena, file);
    if (error < 0) {
        close(file);
        return error;
    }
    *memfd = file;
    return 0;
}

int skua__arena_open(struct skua__arena *arena, size_t payload_max, int memfd)
{
    return lay_out(arena, payload_max) ? map(arena, memfd) : -EINVAL;
}

void skua__arena_unmap(struct skua__arena *arena)
{
    if (arena->shared != NULL) {
        munmap(arena->shared, arena->bytes);
        arena->shared = NULL;
    }
}

/* Give what was written between two offsets of a region, or of the spare block, back. */
static void trim(char *region, size_t from, size_t to)
{
    const size_t page = page_bytes();
    from = round_up(from > SKUA__ARENA_KEEP_BYTES ? from : SKUA__ARENA_KEEP_BYTES, page);
    /* The block goes on to there; where pages are larger than blocks the rest is a neighbour's. */
    to = round_up(to, SKUA__BLOCK_BYTES) & ~(page - 1);
    if (from < to) {
        int saved_errno = errno;
        /* It is a matter of thrift: where it does not work the memory is kept. */
        madvise(region + from, to - from, MADV_REMOVE);
        errno = saved_errno;
    }
}

void skua__arena_trim(char *region, uint32_t block, size_t keep_bytes, size_t used_bytes)
{
    const size_t start = (size_t)block << SKUA__BLOCK_SHIFT;
    trim(region, start + keep_bytes, start + used_bytes);
}

void skua__arena_trim_spare(const struct skua__arena *arena, size_t used_bytes)
{
    trim(arena->spare, 0, used_bytes);
}
