/* The stable sort: merge sort between the items and a copy of the same size.

   The items of a run are sorted either in place or into the spare memory; its halves are sorted
   into the other place, and merged from there. Long merges are divided: the middle item of the
   longer side goes where it belongs in the other, and what is before and what is behind are merged
   independently.

   Every merge moves each of its items exactly once, whatever the compare function says. After a
   cancel runs are no more sorted, but still moved to where their caller looks for them, so that no
   item is lost. */
#include "base/mem.h"
#include "par/item.h"

enum {
    INSERTION_MAX = 16,
    FORK_MIN = 1024,       /* a half of fewer items is not forked */
    MERGE_FORK_MIN = 8192, /* a merge of fewer items is not divided */
};

struct run {
    struct skua__order *order;
    char *items;
    char *spare;
    size_t count;
    bool into_spare;
};

struct merge {
    struct skua__order *order;
    const char *left, *right;
    char *out;
    size_t left_count, right_count;
};

/* --- merging ---------------------------------------------------------------------------------- */

static SKUA__ALWAYS_INLINE void merge_serially(const struct merge *merge, size_t bytes)
{
    const char *left = merge->left;
    const char *right = merge->right;
    const char *left_end = left + merge->left_count * bytes;
    const char *right_end = right + merge->right_count * bytes;
    char *out = merge->out;
    while (left < left_end && right < right_end) {
        /* All ones or none: compilers would make branches of it, which are mispredicted. */
        size_t if_right = -(size_t)skua__is_less(merge->order, right, left);
        skua__item_copy(out, left + ((size_t)(right - left) & if_right), bytes);
        right += bytes & if_right;
        left += bytes & ~if_right;
        out += bytes;
    }
    memcpy(out, left, (size_t)(left_end - left));
    out += left_end - left;
    memcpy(out, right, (size_t)(right_end - right));
}

static void concatenate(const struct merge *merge)
{
    size_t bytes = merge->order->item_bytes;
    memcpy(merge->out, merge->left, merge->left_count * bytes);
    memcpy(merge->out + merge->left_count * bytes, merge->right, merge->right_count * bytes);
}

/* How many of the sorted items belong before `item`, which comes from their left or right. */
static size_t rank_of(const struct skua__order *order, const char *items, size_t count,
                      const char *item, bool is_from_left)
{
    size_t low = 0;
    while (count > 0) {
        const char *probe = items + (low + count / 2) * order->item_bytes;
        bool is_before =
            is_from_left ? skua__is_less(order, probe, item) : !skua__is_less(order, item, probe);
        low += is_before ? count / 2 + 1 : 0;
        count = is_before ? count - count / 2 - 1 : count / 2;
    }
    return low;
}

/* Cut the merge in two; *behind is the second part. */
static void cut(struct merge *merge, struct merge *behind)
{
    size_t bytes = merge->order->item_bytes;
    size_t left = merge->left_count / 2;
    size_t right = merge->right_count / 2;
    if (merge->left_count >= merge->right_count) {
        right = rank_of(merge->order, merge->right, merge->right_count, merge->left + left * bytes,
                        true);
    } else {
        left = rank_of(merge->order, merge->left, merge->left_count, merge->right + right * bytes,
                       false);
    }
    *behind = *merge;
    behind->left += left * bytes;
    behind->left_count -= left;
    behind->right += right * bytes;
    behind->right_count -= right;
    behind->out += (left + right) * bytes;
    merge->left_count = left;
    merge->right_count = right;
}

static SKUA__ALWAYS_INLINE int merge_with(int (*self)(void *), void *arg, size_t bytes)
{
    struct merge merge = *(struct merge *)arg;
    struct skua__order *order = merge.order;
    bool is_trivial = merge.left_count == 0 || merge.right_count == 0;
    if (is_trivial || skua__stop_is_set(&order->stop) ||
        !skua__is_less(order, merge.right, merge.left + (merge.left_count - 1) * bytes)) {
        concatenate(&merge);
        return 0;
    }
    if (merge.left_count + merge.right_count < MERGE_FORK_MIN || !skua__stop_poll(&order->stop)) {
        merge_serially(&merge, bytes);
        return 0;
    }
    struct merge behind;
    cut(&merge, &behind);
    return skua_both(self, &behind, self, &merge);
}

/* --- sorting ---------------------------------------------------------------------------------- */

static SKUA__ALWAYS_INLINE void sort_by_insertion(const struct run *run, size_t bytes)
{
    SKUA_CACHE_ALIGNED char held[SKUA__ITEM_SMALL_BYTES];
    for (size_t i = 1; i < run->count; i++) {
        char *item = run->items + i * bytes;
        /* The spare place of an item is as good for large ones: nothing is there yet. */
        char *keep = bytes <= sizeof held ? held : run->spare + i * bytes;
        if (skua__is_less(run->order, item, item - bytes)) {
            skua__item_copy(keep, item, bytes);
            do {
                skua__item_copy(item, item - bytes, bytes);
                item -= bytes;
            } while (item > run->items && skua__is_less(run->order, keep, item - bytes));
            skua__item_copy(item, keep, bytes);
        }
    }
}

static void move_into_place(const struct run *run)
{
    if (run->into_spare) {
        memcpy(run->spare, run->items, run->count * run->order->item_bytes);
    }
}

static SKUA__ALWAYS_INLINE int sort_with(int (*merge_items)(void *), struct run *run, size_t bytes)
{
    if (run->count <= INSERTION_MAX) {
        sort_by_insertion(run, bytes);
        move_into_place(run);
        return 0;
    }
    if (run->count >= FORK_MIN && !skua__stop_poll(&run->order->stop)) {
        move_into_place(run);
        return 0;
    }
    int (*sort)(void *) = run->order->sort;
    size_t half = run->count / 2;
    struct run left = {run->order, run->items, run->spare, half, !run->into_spare};
    struct run right = left;
    right.items += half * bytes;
    right.spare += half * bytes;
    right.count = run->count - half;
    int status =
        run->count >= FORK_MIN ? skua_both(sort, &right, sort, &left) : sort(&left) + sort(&right);
    char *from = run->into_spare ? run->items : run->spare;
    struct merge merge = {.order = run->order,
                          .left = from,
                          .right = from + half * bytes,
                          .out = run->into_spare ? run->spare : run->items,
                          .left_count = half,
                          .right_count = right.count};
    return status + merge_items(&merge);
}

static int merge_4(void *merge)
{
    return merge_with(merge_4, merge, 4);
}

static int merge_8(void *merge)
{
    return merge_with(merge_8, merge, 8);
}

static int merge_16(void *merge)
{
    return merge_with(merge_16, merge, 16);
}

static int merge_any(void *merge)
{
    return merge_with(merge_any, merge, ((struct merge *)merge)->order->item_bytes);
}

static int sort_4(void *run)
{
    return sort_with(merge_4, (struct run *)run, 4);
}

static int sort_8(void *run)
{
    return sort_with(merge_8, (struct run *)run, 8);
}

static int sort_16(void *run)
{
    return sort_with(merge_16, (struct run *)run, 16);
}

static int sort_any(void *run)
{
    return sort_with(merge_any, (struct run *)run, ((struct run *)run)->order->item_bytes);
}

int skua_sort_stable(void *items, size_t count, size_t item_bytes, skua_compare_fn compare,
                     void *context)
{
    if (count < 2 || item_bytes == 0) {
        return 0;
    }
    char *spare = count <= SIZE_MAX / item_bytes ? skua__alloc(count * item_bytes) : NULL;
    if (spare == NULL) {
        return -ENOMEM;
    }
    struct skua__order order = {.stop = skua__stop_begin(),
                                .compare = compare,
                                .context = context,
                                .item_bytes = item_bytes,
                                .sort = item_bytes == 4    ? sort_4
                                        : item_bytes == 8  ? sort_8
                                        : item_bytes == 16 ? sort_16
                                                           : sort_any};
    struct run all = {&order, (char *)items, spare, count, false};
    (void)order.sort(&all);
    skua__free(spare);
    return skua__stop_status(&order.stop);
}
