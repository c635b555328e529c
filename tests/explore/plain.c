/* Plain memory. The compiler, told -fsanitize=thread, calls __tsan_read8(address) and the like
   before each access that others could meet; here these calls are the explorer's own. Two accesses
   of which one writes and neither happens before the other are a race, and any access to freed
   memory is a failure.

   All memory that threads of a model can share lies in one arena: blocks that are handed out
   upwards and never twice in an execution, and the threads' stacks. Memory is watched in cells of
   four bytes. */
#include "engine.h"

#include <string.h>
#include <unistd.h>

enum {
    BLOCKS_BYTES = 1 << 20,
    STACK_BYTES = 64 * 1024,
    ARENA_BYTES = BLOCKS_BYTES + EXPLORE_THREADS * STACK_BYTES,
    CELL_BYTES = 4,
};

/* What is known of four bytes. Clocks are those of the accessing threads. */
struct cell {
    uint32_t execution;                   /* the rest is void if this is an earlier one */
    int8_t writer;                        /* -1: nobody but setup() */
    bool is_freed;                        /* by the writer */
    bool is_atomic;                       /* has been accessed by an atomic operation */
    int16_t write_clock;                  /* of the latest plain write */
    int16_t read_clocks[EXPLORE_THREADS]; /* of reads, and of atomic accesses */
};

static _Alignas(4096) char arena[ARENA_BYTES];
static struct cell cells[ARENA_BYTES / CELL_BYTES];
static size_t arena_used, block_count;

struct block {
    size_t bytes;
    char padding[56];
};

void plain_reset(void)
{
    arena_used = block_count = 0;
}

void *plain_alloc(size_t alignment, size_t bytes)
{
    size_t at = (arena_used + sizeof(struct block) + alignment - 1) & ~(alignment - 1);
    at = (at + 63) & ~(size_t)63;
    if (at + bytes > BLOCKS_BYTES) {
        explore_fail(__FILE__, __LINE__, "the model needs more memory than the arena has");
    }
    arena_used = at + bytes;
    block_count++;
    ((struct block *)(void *)(arena + at))[-1].bytes = bytes;
    memset(arena + at, 0, bytes);
    return arena + at;
}

void *explore_alloc(size_t bytes)
{
    return plain_alloc(64, bytes);
}

size_t explore_blocks(void)
{
    return block_count;
}

bool plain_is_inside(uintptr_t address)
{
    return address - (uintptr_t)arena < ARENA_BYTES;
}

char *plain_stack(int thread, size_t *bytes)
{
    *bytes = STACK_BYTES;
    return arena + BLOCKS_BYTES + (size_t)thread * STACK_BYTES;
}

/* --- the check -------------------------------------------------------------------------------- */

static struct cell *cell_at(size_t offset)
{
    struct cell *cell = &cells[offset / CELL_BYTES];
    if (cell->execution != explorer.execution) {
        *cell = (struct cell){.execution = explorer.execution, .writer = -1};
    }
    return cell;
}

static bool has_seen_write(const struct cell *cell)
{
    return cell->writer < 0 || explorer.current->now.clocks[cell->writer] >= cell->write_clock;
}

/* The source line of an address of code. */
static void print_place(const void *code)
{
    char command[256], place[256] = "";
    snprintf(command, sizeof command, "addr2line -e /proc/%d/exe %p 2>/dev/null", (int)getpid(),
             (const void *)((const char *)code - 1));
    FILE *lines = popen(command, "r");
    if (lines != NULL) {
        if (fgets(place, sizeof place, lines) == NULL) {
            place[0] = '\0';
        }
        pclose(lines);
    }
    fprintf(stderr, "  at %s", place[0] != '\0' ? place : "an unknown line\n");
}

static void fail_freed(const void *code)
{
    print_place(code);
    explore_fail(__FILE__, __LINE__, "thread %d uses freed memory", explorer.current->number);
}

static void fail_race(const struct cell *cell, const void *code, int other, const char *what)
{
    (void)cell;
    if (code != NULL) {
        print_place(code);
    }
    explore_fail(__FILE__, __LINE__, "a race: thread %d %s what thread %d has accessed",
                 explorer.current->number, what, other);
}

static void check_write(struct cell *cell, const void *code)
{
    struct thread *self = explorer.current;
    if (!has_seen_write(cell)) {
        fail_race(cell, code, cell->writer, "writes");
    }
    for (int i = 0; i < explorer.thread_count; i++) {
        if (i != self->number && self->now.clocks[i] < cell->read_clocks[i]) {
            fail_race(cell, code, i, "writes");
        }
    }
}

/* A plain write ends the history of the atomic objects that it covers. */
static void overwrite_atomics(size_t offset)
{
    uintptr_t start = (uintptr_t)arena + offset / CELL_BYTES * CELL_BYTES;
    uintptr_t aligned = start & ~(uintptr_t)7;
    for (uintptr_t address = aligned; address < start + CELL_BYTES; address++) {
        struct location *location = memory_find(address);
        if (location != NULL && location->address + location->bytes > start) {
            location->was_overwritten = true;
        }
    }
}

static void access_cell(size_t offset, bool is_write, const void *code)
{
    struct cell *cell = cell_at(offset);
    struct thread *self = explorer.current;
    if (cell->is_freed) {
        fail_freed(code);
    }
    if (!is_write) {
        if (!has_seen_write(cell)) {
            fail_race(cell, code, cell->writer, "reads");
        }
        cell->read_clocks[self->number] = self->now.clocks[self->number];
        return;
    }
    check_write(cell, code);
    cell->writer = (int8_t)self->number;
    cell->write_clock = self->now.clocks[self->number];
    if (cell->is_atomic) {
        overwrite_atomics(offset);
    }
}

static inline void access_range(const volatile void *memory, size_t bytes, bool is_write,
                                const void *code)
{
    size_t offset = (size_t)((uintptr_t)memory - (uintptr_t)arena);
    if (offset >= ARENA_BYTES || !explorer.is_running || bytes == 0) {
        return;
    }
    size_t end = offset + bytes;
    for (offset &= ~(size_t)(CELL_BYTES - 1); offset < end; offset += CELL_BYTES) {
        access_cell(offset, is_write, code);
    }
}

void plain_atomic(uintptr_t address, uint32_t bytes)
{
    size_t offset = (size_t)(address - (uintptr_t)arena);
    if (offset >= ARENA_BYTES) {
        return;
    }
    struct thread *self = explorer.current;
    size_t end = offset + bytes;
    for (offset &= ~(size_t)(CELL_BYTES - 1); offset < end; offset += CELL_BYTES) {
        struct cell *cell = cell_at(offset);
        if (cell->is_freed) {
            fail_freed(NULL);
        }
        if (!has_seen_write(cell)) {
            fail_race(cell, NULL, cell->writer, "accesses atomically");
        }
        cell->is_atomic = true;
        cell->read_clocks[self->number] = self->now.clocks[self->number];
    }
}

void plain_free(void *memory)
{
    struct block *block = (struct block *)memory - 1;
    block_count--;
    if (!explorer.is_running) {
        return;
    }
    size_t offset = (size_t)((char *)memory - arena);
    size_t end = offset + block->bytes;
    for (; offset < end; offset += CELL_BYTES) {
        access_cell(offset, true, __builtin_return_address(0));
        cell_at(offset)->is_freed = true;
    }
}

/* --- what the compiler calls ------------------------------------------------------------------ */

#define HOOK(name, bytes, is_write)                                                                \
    void name(void *memory);                                                                       \
    void name(void *memory)                                                                        \
    {                                                                                              \
        access_range(memory, bytes, is_write, __builtin_return_address(0));                        \
    }
HOOK(__tsan_read1, 1, false)
HOOK(__tsan_read2, 2, false)
HOOK(__tsan_read4, 4, false)
HOOK(__tsan_read8, 8, false)
HOOK(__tsan_read16, 16, false)
HOOK(__tsan_write1, 1, true)
HOOK(__tsan_write2, 2, true)
HOOK(__tsan_write4, 4, true)
HOOK(__tsan_write8, 8, true)
HOOK(__tsan_write16, 16, true)
HOOK(__tsan_unaligned_read2, 2, false)
HOOK(__tsan_unaligned_read4, 4, false)
HOOK(__tsan_unaligned_read8, 8, false)
HOOK(__tsan_unaligned_read16, 16, false)
HOOK(__tsan_unaligned_write2, 2, true)
HOOK(__tsan_unaligned_write4, 4, true)
HOOK(__tsan_unaligned_write8, 8, true)
HOOK(__tsan_unaligned_write16, 16, true)
HOOK(__tsan_read_write1, 1, true)
HOOK(__tsan_read_write2, 2, true)
HOOK(__tsan_read_write4, 4, true)
HOOK(__tsan_read_write8, 8, true)
HOOK(__tsan_read_write16, 16, true)

void __tsan_read_range(const void *memory, size_t bytes);
void __tsan_read_range(const void *memory, size_t bytes)
{
    access_range(memory, bytes, false, __builtin_return_address(0));
}

void __tsan_write_range(void *memory, size_t bytes);
void __tsan_write_range(void *memory, size_t bytes)
{
    access_range(memory, bytes, true, __builtin_return_address(0));
}

void __tsan_init(void);
void __tsan_init(void) {}

void __tsan_func_entry(void *caller);
void __tsan_func_entry(void *caller)
{
    (void)caller;
}

void __tsan_func_exit(void);
void __tsan_func_exit(void) {}

/* Public headers have no atomic layer: they use the compiler's builtins, which become these. */
static const struct explore_site builtin_site = {"a public header", "a builtin", 0};

static enum explore_order order_of(int builtin)
{
    static const enum explore_order orders[] = {explore_relaxed, explore_acquire, explore_acquire,
                                                explore_release, explore_acq_rel, explore_seq_cst};
    return orders[builtin];
}

uint64_t __tsan_atomic64_load(const volatile uint64_t *object, int order);
uint64_t __tsan_atomic64_load(const volatile uint64_t *object, int order)
{
    return explore__load(object, sizeof *object, order_of(order), &builtin_site);
}

void __tsan_atomic64_store(volatile uint64_t *object, uint64_t value, int order);
void __tsan_atomic64_store(volatile uint64_t *object, uint64_t value, int order)
{
    explore__store(object, sizeof *object, value, order_of(order), &builtin_site);
}

/* Copies and fills are calls of the C library, which the linker turns into these (--wrap). */
void *__real_memset(void *memory, int byte, size_t bytes);
void *__real_memcpy(void *to, const void *from, size_t bytes);
void *__real_memmove(void *to, const void *from, size_t bytes);
void *__wrap_memset(void *memory, int byte, size_t bytes);
void *__wrap_memcpy(void *to, const void *from, size_t bytes);
void *__wrap_memmove(void *to, const void *from, size_t bytes);

void *__wrap_memset(void *memory, int byte, size_t bytes)
{
    access_range(memory, bytes, true, __builtin_return_address(0));
    return __real_memset(memory, byte, bytes);
}

void *__wrap_memcpy(void *to, const void *from, size_t bytes)
{
    access_range(from, bytes, false, __builtin_return_address(0));
    access_range(to, bytes, true, __builtin_return_address(0));
    return __real_memcpy(to, from, bytes);
}

void *__wrap_memmove(void *to, const void *from, size_t bytes)
{
    access_range(from, bytes, false, __builtin_return_address(0));
    access_range(to, bytes, true, __builtin_return_address(0));
    return __real_memmove(to, from, bytes);
}

void *__tsan_memset(void *memory, int byte, size_t bytes);
void *__tsan_memset(void *memory, int byte, size_t bytes)
{
    return __wrap_memset(memory, byte, bytes);
}

void *__tsan_memcpy(void *to, const void *from, size_t bytes);
void *__tsan_memcpy(void *to, const void *from, size_t bytes)
{
    return __wrap_memcpy(to, from, bytes);
}

void *__tsan_memmove(void *to, const void *from, size_t bytes);
void *__tsan_memmove(void *to, const void *from, size_t bytes)
{
    return __wrap_memmove(to, from, bytes);
}
