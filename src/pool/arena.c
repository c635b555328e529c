/* The shared memory of one worker process: one memfd, mapped by the parent and by that process.

       +--------+--------------+-----------+-----------+-----------+-----------+
       | rings  | input        | answer 0  | answer 1  | answer 2  | answer 3  |
       +--------+--------------+-----------+-----------+-----------+-----------+
       pages    area_bytes     area_bytes ...

   The file is sparse: an area costs address space until something is written to it. There are
   several answer areas because an answer stays on loan to the program while the worker goes on with
   other jobs; the parent says in each request which one to use.

   Invariants
   (A1) Each worker process has a memfd of its own, which no other worker ever maps: not those that
        come after it either. A process that a job has left behind can only spoil its own worker's
        memory.
   (A2) The file is sealed against shrinking and growing before the worker gets it, so that no
        access of the parent inside its mapping can fault.

   Rejected: one region for all workers (a hostile one could change the others' answers); an
   allocator with size classes (one job at a time needs one input and one answer, and unwritten
   memory costs nothing). */
#include "pool/arena.h"

#include "pool/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { AREAS = 1 + SKUA__ANSWERS };

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t round_up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

/* Sizes of an arena. False: it would not fit into the address space. */
static bool lay_out(struct skua__arena *arena, size_t payload_max)
{
    const size_t page = page_bytes();
    const size_t header_bytes = round_up(sizeof(struct skua__shared), page);
    if (payload_max > (((size_t)1 << 46) - header_bytes) / AREAS - page) {
        return false;
    }
    arena->area_bytes = round_up(payload_max, page);
    arena->bytes = header_bytes + AREAS * arena->area_bytes;
    return true;
}

static int map(struct skua__arena *arena, int memfd)
{
    char *memory = mmap(NULL, arena->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    if (memory == MAP_FAILED) {
        return -errno;
    }
    arena->shared = (struct skua__shared *)(void *)memory;
    arena->areas = memory + arena->bytes - AREAS * arena->area_bytes;
    return 0;
}

static int make_file(size_t bytes)
{
    int memfd = memfd_create("skua-pool", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memfd < 0) {
        return -errno;
    }
    if (ftruncate(memfd, (off_t)bytes) < 0 ||
        fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        int error = -errno;
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

void skua__arena_trim(char *area, size_t keep_bytes, size_t used_bytes)
{
    size_t keep = keep_bytes > SKUA__ARENA_KEEP_BYTES ? keep_bytes : SKUA__ARENA_KEEP_BYTES;
    if (used_bytes > keep) {
        const size_t page = page_bytes();
        int saved_errno = errno;
        keep = round_up(keep, page);
        if (used_bytes > keep) {
            /* It is a matter of thrift: where it does not work the memory is kept. */
            madvise(area + keep, round_up(used_bytes - keep, page), MADV_REMOVE);
        }
        errno = saved_errno;
    }
}
