/* Prefix sums.

   With one worker a single pass. With w workers the items are cut into w + 1 blocks:

     pass 1   block 0 is scanned, of blocks 1..w-1 the sums are taken, all at the same time
     between  the sums become what stands before each block
     pass 2   blocks 1..w are scanned

   so that w workers are busy in both passes, and each does 1/(w + 1) of the items in each. */
#include "base/mem.h"
#include "par/item.h"

#include <skua/runtime.h>

enum {
    GRAIN_AUTOMATIC = 2048,
    POLL_ITEMS = 1024,
    SUMS_INSIDE_BYTES = 512, /* sums of the blocks, when they fit */
};

enum what { SUM, SCAN_INCLUSIVE, SCAN_EXCLUSIVE };

struct scan {
    struct skua__stop stop;
    skua_combine_fn combine;
    void *context;
    char *items;
    size_t count;
    size_t item_bytes;
    enum what final; /* what the last pass does */
    bool has_carry;
    size_t blocks;
    size_t sum_bytes; /* whole cache lines: sums are added to at the same time */
    char *sums;       /* one for each block, and one more */
};

static size_t begin_of(const struct scan *scan, size_t block)
{
    size_t each = scan->count / scan->blocks;
    size_t more = scan->count % scan->blocks; /* so many blocks have one item more */
    return block * each + (block < more ? block : more);
}

static bool add(struct scan *scan, void *into, const void *from)
{
    int status = scan->combine(scan->context, into, from);
    skua__stop_note(&scan->stop, status);
    return status >= 0;
}

/* A stretch of items, and `sum`: what stands before them, which then includes them. `held` has room
   for an item. */
struct stretch {
    char *item;
    const char *end;
    char *sum;
    char *held;
};

static SKUA__ALWAYS_INLINE bool go_along(struct scan *scan, enum what what,
                                         const struct stretch *stretch, size_t bytes)
{
    char *sum = stretch->sum;
    for (char *item = stretch->item; item < stretch->end; item += bytes) {
        const char *from = item;
        if (what == SCAN_EXCLUSIVE) {
            skua__item_copy(stretch->held, item, bytes);
            skua__item_copy(item, sum, bytes);
            from = stretch->held;
        }
        if (!add(scan, sum, from)) {
            return false;
        }
        if (what == SCAN_INCLUSIVE) {
            skua__item_copy(item, sum, bytes);
        }
    }
    return true;
}

static SKUA__ALWAYS_INLINE bool go_along_as(struct scan *scan, enum what what,
                                            const struct stretch *stretch, size_t bytes)
{
    switch (what) {
    case SUM:
        return go_along(scan, SUM, stretch, bytes);
    case SCAN_INCLUSIVE:
        return go_along(scan, SCAN_INCLUSIVE, stretch, bytes);
    default:
        return go_along(scan, SCAN_EXCLUSIVE, stretch, bytes);
    }
}

static bool go_along_stretch(struct scan *scan, enum what what, const struct stretch *stretch)
{
    switch (scan->item_bytes) {
    case 4:
        return go_along_as(scan, what, stretch, 4);
    case 8:
        return go_along_as(scan, what, stretch, 8);
    case 16:
        return go_along_as(scan, what, stretch, 16);
    default:
        return go_along_as(scan, what, stretch, scan->item_bytes);
    }
}

/* Go through the items begin..end. Without anything before them, the first one starts the sum. */
static void go_through(struct scan *scan, enum what what, size_t begin, size_t end, char *sum,
                       bool has_before)
{
    SKUA_CACHE_ALIGNED char small[SKUA__ITEM_SMALL_BYTES];
    size_t bytes = scan->item_bytes;
    struct stretch stretch = {.sum = sum, .held = small};
    if (what == SCAN_EXCLUSIVE && bytes > sizeof small) {
        stretch.held = skua__alloc_aligned(SKUA_CACHE_LINE, bytes);
    }
    if (stretch.held == NULL) {
        skua__stop_note(&scan->stop, -ENOMEM);
        return;
    }
    if (!has_before) {
        memcpy(sum, scan->items + begin * bytes, bytes);
        begin++;
    }
    bool goes_on = true;
    while (goes_on && begin < end && skua__stop_poll(&scan->stop)) {
        size_t next = end - begin > POLL_ITEMS ? begin + POLL_ITEMS : end;
        stretch.item = scan->items + begin * bytes;
        stretch.end = scan->items + next * bytes;
        goes_on = go_along_stretch(scan, what, &stretch);
        begin = next;
    }
    if (stretch.held != small) {
        skua__free(stretch.held);
    }
}

static char *sum_of(const struct scan *scan, size_t block)
{
    return scan->sums + block * scan->sum_bytes;
}

static void go_through_block(struct scan *scan, enum what what, size_t block, bool has_before)
{
    go_through(scan, what, begin_of(scan, block), begin_of(scan, block + 1), sum_of(scan, block),
               has_before);
}

static int first_pass(void *context, size_t begin, size_t end)
{
    struct scan *scan = (struct scan *)context;
    for (size_t block = begin; block < end; block++) {
        bool is_first = block == 0;
        go_through_block(scan, is_first ? scan->final : SUM, block, is_first && scan->has_carry);
    }
    return skua__stop_status(&scan->stop);
}

static int second_pass(void *context, size_t begin, size_t end)
{
    struct scan *scan = (struct scan *)context;
    for (size_t block = begin; block < end; block++) {
        go_through_block(scan, scan->final, block, true);
    }
    return skua__stop_status(&scan->stop);
}

/* The place of each block's sum gets what stands before the block. Block 0 is done: its place holds
   the sum of all blocks so far. */
static int sums_to_befores(struct scan *scan)
{
    char *all = sum_of(scan, 0);
    char *held = sum_of(scan, scan->blocks);
    bool goes_on = true;
    for (size_t block = 1; goes_on && block < scan->blocks; block++) {
        bool is_last = block + 1 == scan->blocks;
        memcpy(held, sum_of(scan, block), scan->item_bytes);
        memcpy(sum_of(scan, block), all, scan->item_bytes);
        goes_on = is_last || add(scan, all, held);
    }
    return skua__stop_status(&scan->stop);
}

static int scan_blocks(struct scan *scan, void *carry)
{
    if (scan->has_carry) {
        memcpy(sum_of(scan, 0), carry, scan->item_bytes);
    }
    int status = skua_for(0, scan->blocks > 1 ? scan->blocks - 1 : 1, 1, first_pass, scan);
    if (status == 0 && scan->blocks > 1) {
        status = sums_to_befores(scan);
    }
    if (status == 0 && scan->blocks > 1) {
        status = skua_for(1, scan->blocks, 1, second_pass, scan);
    }
    if (status == 0 && scan->has_carry) {
        memcpy(carry, sum_of(scan, scan->blocks - 1), scan->item_bytes);
    }
    return status;
}

static size_t block_count(size_t count, size_t grain)
{
    skua_runtime *runtime = skua_runtime_current();
    size_t workers = runtime != NULL ? skua_worker_count(runtime) : 1;
    size_t blocks_max = count / (grain > 0 ? grain : GRAIN_AUTOMATIC);
    size_t blocks = workers > 1 ? workers + 1 : 1;
    blocks = blocks < blocks_max ? blocks : blocks_max;
    return blocks > 2 ? blocks : 1; /* two blocks are two passes for nothing */
}

int skua_scan(void *items, size_t count, void *context, const skua_scan_opts *opts)
{
    if (opts == NULL || opts->item_bytes == 0 || opts->combine == NULL ||
        (opts->is_exclusive && opts->carry == NULL)) {
        return -EINVAL;
    }
    if (count == 0) {
        return 0;
    }
    SKUA_CACHE_ALIGNED char inside[SUMS_INSIDE_BYTES];
    size_t lines = (opts->item_bytes - 1) / SKUA_CACHE_LINE + 1;
    struct scan scan = {.stop = skua__stop_begin(),
                        .combine = opts->combine,
                        .context = context,
                        .items = (char *)items,
                        .count = count,
                        .item_bytes = opts->item_bytes,
                        .final = opts->is_exclusive ? SCAN_EXCLUSIVE : SCAN_INCLUSIVE,
                        .has_carry = opts->carry != NULL,
                        .blocks = block_count(count, opts->grain),
                        .sum_bytes = lines * SKUA_CACHE_LINE,
                        .sums = inside};
    size_t sums_bytes = (scan.blocks + 1) * scan.sum_bytes;
    if (sums_bytes > sizeof inside) {
        scan.sums = skua__alloc_aligned(SKUA_CACHE_LINE, sums_bytes);
    }
    if (scan.sums == NULL) {
        return -ENOMEM;
    }
    int status = scan_blocks(&scan, opts->carry);
    if (scan.sums != inside) {
        skua__free(scan.sums);
    }
    return status;
}
