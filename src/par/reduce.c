/* Reductions: a tree over blocks of items whose shape depends on their number and the grain alone.
   Every inner node forks its right half. */
#include "base/mem.h"
#include "par/stop.h"

#include <skua/par.h>
#include <string.h>

enum {
    BLOCKS_AUTOMATIC = 512, /* enough to share out evenly among some dozens of workers */
    SMALL_VALUE_BYTES = 128,
};

struct reduction {
    struct skua__stop stop;
    skua_fold_fn fn;
    skua_combine_fn combine;
    void *context;
    size_t value_bytes;
    size_t block;
    const void *neutral;
};

struct stretch {
    struct reduction *all;
    size_t begin;
    size_t end;
    void *value; /* neutral at first */
};

static int fold(void *arg);

static void fold_both(struct stretch *whole, struct stretch *right)
{
    struct reduction *all = whole->all;
    struct stretch left = {all, whole->begin, right->begin, whole->value};
    memcpy(right->value, all->neutral, all->value_bytes);
    int status = skua_both(fold, right, fold, &left);
    if (status == 0 && !skua__stop_is_set(&all->stop)) {
        status = all->combine(all->context, left.value, right->value);
    }
    skua__stop_note(&all->stop, status);
}

static void fold_in_two(struct stretch *whole)
{
    struct reduction *all = whole->all;
    SKUA_CACHE_ALIGNED unsigned char small[SMALL_VALUE_BYTES];
    bool is_small = all->value_bytes <= sizeof small;
    size_t blocks = (whole->end - whole->begin - 1) / all->block + 1;
    struct stretch right = {all, whole->begin + blocks / 2 * all->block, whole->end, small};
    if (!is_small) {
        right.value = skua__alloc_aligned(SKUA_CACHE_LINE, all->value_bytes);
    }
    if (right.value == NULL) {
        skua__stop_note(&all->stop, -ENOMEM);
        return;
    }
    fold_both(whole, &right);
    if (!is_small) {
        skua__free(right.value);
    }
}

static int fold(void *arg)
{
    struct stretch *whole = (struct stretch *)arg;
    struct reduction *all = whole->all;
    if (whole->end - whole->begin > all->block) {
        if (!skua__stop_is_set(&all->stop)) {
            fold_in_two(whole);
        }
    } else if (skua__stop_poll(&all->stop)) {
        int status = all->fn(all->context, whole->begin, whole->end, whole->value);
        skua__stop_note(&all->stop, status);
    }
    return 0;
}

/* The neutral element is needed until the last block has begun, and `value` is the first block's
   from the start. */
static int reduce(struct reduction *all, size_t count, void *value, void *neutral)
{
    memcpy(neutral, value, all->value_bytes);
    all->neutral = neutral;
    struct stretch whole = {all, 0, count, value};
    (void)fold(&whole);
    return skua__stop_status(&all->stop);
}

int skua_reduce(size_t count, skua_fold_fn fn, void *context, void *value,
                const skua_reduce_opts *opts)
{
    if (opts == NULL || opts->value_bytes == 0 || opts->combine == NULL) {
        return -EINVAL;
    }
    if (count == 0) {
        return 0;
    }
    struct reduction all = {.stop = skua__stop_begin(),
                            .fn = fn,
                            .combine = opts->combine,
                            .context = context,
                            .value_bytes = opts->value_bytes,
                            .block = opts->grain};
    if (opts->grain == 0) {
        all.block = (count - 1) / BLOCKS_AUTOMATIC + 1;
    }
    SKUA_CACHE_ALIGNED unsigned char small[SMALL_VALUE_BYTES];
    if (all.value_bytes <= sizeof small) {
        return reduce(&all, count, value, small);
    }
    void *neutral = skua__alloc_aligned(SKUA_CACHE_LINE, all.value_bytes);
    if (neutral == NULL) {
        return -ENOMEM;
    }
    int status = reduce(&all, count, value, neutral);
    skua__free(neutral);
    return status;
}
