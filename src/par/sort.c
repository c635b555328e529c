/* The unstable sort: quicksort whose larger parts are forked.

   What keeps it O(n log n), also for hostile input: pivots are medians of three, or of three such;
   a partition that was lopsided costs one of log2(n) lives, and moves some items about; when the
   lives are used up, heap sort does the rest. Input that is sorted already, and many equal items,
   take linear time.

   What keeps it inside of the array, whatever the compare function says: every loop is bounded by a
   count, never by what comparisons have found before. Items are only ever swapped, so that at each
   moment between two swaps all of them are there.

   The processor cannot foresee the result of a comparison with the pivot. So partitions do not
   branch on it: small items are swapped always and the place to swap to advances by the result;
   for larger ones, results are written down for a block of items at each end, and then the wrong
   ones of the left are swapped with the wrong ones of the right. */
#include "par/item.h"
#include "sched/fork.h"

enum {
    INSERTION_MAX = 20,       /* sorted by insertion */
    NINTHER_MIN = 128,        /* pivot from nine items */
    FORK_MIN = 1024,          /* a larger part of fewer items is not forked */
    BLOCK = 64,               /* items whose comparisons are written down */
    LOOK_ITEMS = 4096,        /* compared between two looks for who asks */
    SWAPPED_ITEM_BYTES = 16,  /* items up to this size are swapped always */
    LOPSIDED = 8,             /* a part with less than this part of the items */
    INSERTIONS_OF_SORTED = 8, /* if it takes more, a run was not as good as sorted */
};

/* `before`: the item that stands before the run, not greater than any in it; NULL: none. */
struct run {
    struct skua__order *order;
    char *base;
    size_t count;
    const char *before;
    unsigned lives;
};

struct parted {
    size_t middle;    /* where the pivot is: what is before is less, what is behind is not */
    bool was_already; /* nothing had to be moved */
};

/* --- runs of a few items ---------------------------------------------------------------------- */

/* Move the item at `at` down to where it belongs in the sorted items before it. */
static SKUA__ALWAYS_INLINE bool insert(const struct run *run, size_t at, size_t bytes)
{
    char *item = run->base + at * bytes;
    if (!skua__is_less(run->order, item, item - bytes)) {
        return false;
    }
    if (bytes > SKUA__ITEM_SMALL_BYTES) {
        do {
            skua__item_swap(item, item - bytes, bytes);
            item -= bytes;
        } while (item > run->base && skua__is_less(run->order, item, item - bytes));
        return true;
    }
    SKUA_CACHE_ALIGNED char held[SKUA__ITEM_SMALL_BYTES];
    skua__item_copy(held, item, bytes);
    do {
        skua__item_copy(item, item - bytes, bytes);
        item -= bytes;
    } while (item > run->base && skua__is_less(run->order, held, item - bytes));
    skua__item_copy(item, held, bytes);
    return true;
}

static SKUA__ALWAYS_INLINE void sort_by_insertion(const struct run *run, size_t bytes)
{
    for (size_t i = 1; i < run->count; i++) {
        (void)insert(run, i, bytes);
    }
}

/* Sort a run that looks sorted. False: it was not, and now is a little more so. */
static SKUA__ALWAYS_INLINE bool finish_sorted(const struct run *run, size_t bytes)
{
    int insertions = 0;
    for (size_t i = 1; i < run->count; i++) {
        if (insert(run, i, bytes) && ++insertions > INSERTIONS_OF_SORTED) {
            return false;
        }
    }
    return true;
}

/* --- heap sort -------------------------------------------------------------------------------- */

static void sift_down(const struct run *run, size_t root, size_t count, size_t bytes)
{
    while (2 * root + 1 < count) {
        char *child = run->base + (2 * root + 1) * bytes;
        size_t next = 2 * root + 1;
        if (next + 1 < count && skua__is_less(run->order, child, child + bytes)) {
            child += bytes;
            next++;
        }
        if (!skua__is_less(run->order, run->base + root * bytes, child)) {
            return;
        }
        skua__item_swap(run->base + root * bytes, child, bytes);
        root = next;
    }
}

static void sort_by_heap(const struct run *run)
{
    size_t bytes = run->order->item_bytes;
    for (size_t i = run->count / 2; i-- > 0;) {
        sift_down(run, i, run->count, bytes);
    }
    for (size_t i = run->count; i-- > 1;) {
        skua__item_swap(run->base, run->base + i * bytes, bytes);
        sift_down(run, 0, i, bytes);
    }
}

/* --- pivots ----------------------------------------------------------------------------------- */

static SKUA__ALWAYS_INLINE char *median(const struct skua__order *order, char *a, char *b, char *c)
{
    bool is_a_less_b = skua__is_less(order, a, b);
    bool is_b_less_c = skua__is_less(order, b, c);
    if (is_a_less_b == is_b_less_c) {
        return b;
    }
    return skua__is_less(order, a, c) == is_a_less_b ? c : a;
}

/* The pivot comes first. */
static void choose_pivot(const struct run *run, size_t bytes)
{
    const struct skua__order *order = run->order;
    size_t quarter = run->count / 4;
    char *one = run->base + quarter * bytes;
    char *two = one + quarter * bytes;
    char *three = two + quarter * bytes;
    if (run->count >= NINTHER_MIN) {
        one = median(order, one - bytes, one, one + bytes);
        two = median(order, two - bytes, two, two + bytes);
        three = median(order, three - bytes, three, three + bytes);
    }
    skua__item_swap(run->base, median(order, one, two, three), bytes);
}

/* After a lopsided partition: what made it so shall not do it again. */
static void move_about(const struct run *run, size_t bytes)
{
    uint64_t random = run->count;
    for (size_t i = 0; i < 3 && run->count > INSERTION_MAX; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        size_t other = (size_t)((random >> 33) % run->count);
        skua__item_swap(run->base + (run->count / 4 * (i + 1)) * bytes, run->base + other * bytes,
                        bytes);
    }
}

/* --- partitions ------------------------------------------------------------------------------- */

/* A long partition keeps a worker for milliseconds: give older children to those who ask. A cancel
   is looked for elsewhere. */
static void answer_askers(void)
{
    if (SKUA_UNLIKELY(skua__fork_is_asked())) {
        (void)skua_checkpoint();
    }
}

/* Items begin..end against the first one. Those before `begin` belong to the left. With
   `is_pivot_left`, what equals the pivot goes left. Returns where the right part begins. */
static SKUA__ALWAYS_INLINE size_t part_items(const struct run *run, size_t begin, size_t end,
                                             bool is_pivot_left, bool *was_already, size_t bytes)
{
    const struct skua__order *order = run->order;
    const char *pivot = run->base;
    char *place = run->base + begin * bytes;
    bool has_moved = false;
    for (size_t i = begin; i < end; i++) {
        char *item = run->base + i * bytes;
        bool is_left =
            is_pivot_left ? !skua__is_less(order, pivot, item) : skua__is_less(order, item, pivot);
        has_moved |= is_left & (item != place);
        if (bytes <= SWAPPED_ITEM_BYTES || (is_left && item != place)) {
            skua__item_swap(item, place, bytes);
        }
        place += is_left ? bytes : 0;
        if (i % LOOK_ITEMS == 0) {
            answer_askers();
        }
    }
    *was_already = *was_already && !has_moved;
    return (size_t)(place - run->base) / bytes;
}

struct wrong {
    uint8_t at[BLOCK]; /* distance from the block's outer end */
    size_t first, count;
};

static SKUA__ALWAYS_INLINE void look_for_wrong(const struct run *run, char *outer, bool is_left,
                                               struct wrong *wrong, size_t bytes)
{
    wrong->first = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        const char *item = is_left ? outer + i * bytes : outer - (i + 1) * bytes;
        wrong->at[wrong->count] = (uint8_t)i;
        wrong->count += skua__is_less(run->order, item, run->base) != is_left;
    }
}

/* The outer blocks, as long as there are two; *begin..*end is what is left. */
static SKUA__ALWAYS_INLINE void part_blocks(const struct run *run, size_t *begin, size_t *end,
                                            bool *was_already, size_t bytes)
{
    struct wrong left = {.count = 0};
    struct wrong right = {.count = 0};
    while (*end - *begin >= (size_t)2 * BLOCK) {
        char *low = run->base + *begin * bytes;
        char *high = run->base + *end * bytes;
        if (left.count == 0) {
            look_for_wrong(run, low, true, &left, bytes);
        }
        if (right.count == 0) {
            look_for_wrong(run, high, false, &right, bytes);
        }
        size_t pairs = left.count < right.count ? left.count : right.count;
        for (size_t i = 0; i < pairs; i++) {
            skua__item_swap(low + left.at[left.first++] * bytes,
                            high - (right.at[right.first++] + (size_t)1) * bytes, bytes);
        }
        *was_already = *was_already && pairs == 0;
        left.count -= pairs;
        right.count -= pairs;
        *begin += left.count == 0 ? BLOCK : 0;
        *end -= right.count == 0 ? BLOCK : 0;
        answer_askers();
    }
}

/* What is less than the first item goes left of it, the rest right. */
static SKUA__ALWAYS_INLINE struct parted part(const struct run *run, size_t bytes)
{
    size_t begin = 1;
    size_t end = run->count;
    struct parted parted = {.was_already = true};
    if (bytes > SWAPPED_ITEM_BYTES) {
        part_blocks(run, &begin, &end, &parted.was_already, bytes);
    }
    parted.middle = part_items(run, begin, end, false, &parted.was_already, bytes) - 1;
    skua__item_swap(run->base, run->base + parted.middle * bytes, bytes);
    return parted;
}

/* --- sorting ---------------------------------------------------------------------------------- */

/* Nothing in the run is less than its pivot: sets apart all that equals it. */
static SKUA__ALWAYS_INLINE void skip_equal(struct run *run, size_t bytes)
{
    bool ignored = true;
    size_t equal = part_items(run, 1, run->count, true, &ignored, bytes);
    run->before = run->base;
    run->base += equal * bytes;
    run->count -= equal;
}

/* The two sides of a partition. True: both are as good as sorted, and now are. */
static SKUA__ALWAYS_INLINE bool divide(const struct run *run, struct run *left, struct run *right,
                                       size_t bytes)
{
    struct parted parted = part(run, bytes);
    *left = *run;
    left->count = parted.middle;
    *right = *run;
    right->before = run->base + parted.middle * bytes;
    right->base = run->base + (parted.middle + 1) * bytes;
    right->count = run->count - parted.middle - 1;
    size_t lesser = left->count < right->count ? left->count : right->count;
    if (lesser < run->count / LOPSIDED) {
        left->lives = right->lives = run->lives - 1;
        move_about(left, bytes);
        move_about(right, bytes);
        return false;
    }
    return parted.was_already && finish_sorted(left, bytes) && finish_sorted(right, bytes);
}

/* Sort the smaller side while the larger one is a child. True: the larger one is still to be done,
   by us. */
static bool sort_smaller(struct run *smaller, struct run *larger)
{
    int (*sort)(void *) = larger->order->sort;
    if (larger->count < FORK_MIN) {
        (void)sort(smaller);
        return true;
    }
    skua_child child;
    skua_fork(&child, sort, larger);
    (void)sort(smaller);
    if (skua__sync_takes_back(&child)) {
        return true;
    }
    int status = skua__sync_slowly(&child);
    (void)status;
    return false;
}

static SKUA__ALWAYS_INLINE void sort_run(struct run run, size_t bytes)
{
    while (run.count > INSERTION_MAX) {
        if (run.count >= FORK_MIN && !skua__stop_poll(&run.order->stop)) {
            return;
        }
        if (run.lives == 0) {
            sort_by_heap(&run);
            return;
        }
        choose_pivot(&run, bytes);
        if (run.before != NULL && !skua__is_less(run.order, run.before, run.base)) {
            skip_equal(&run, bytes);
            continue;
        }
        struct run left, right;
        if (divide(&run, &left, &right, bytes)) {
            return;
        }
        bool is_left_larger = left.count > right.count;
        run = is_left_larger ? left : right;
        if (!sort_smaller(is_left_larger ? &right : &left, is_left_larger ? &left : &right)) {
            return;
        }
    }
    sort_by_insertion(&run, bytes);
}

static int sort_4(void *run)
{
    sort_run(*(struct run *)run, 4);
    return 0;
}

static int sort_8(void *run)
{
    sort_run(*(struct run *)run, 8);
    return 0;
}

static int sort_16(void *run)
{
    sort_run(*(struct run *)run, 16);
    return 0;
}

static int sort_64(void *run)
{
    sort_run(*(struct run *)run, 64);
    return 0;
}

static int sort_any(void *arg)
{
    struct run *run = (struct run *)arg;
    sort_run(*run, run->order->item_bytes);
    return 0;
}

static unsigned log2_of(size_t count)
{
    unsigned log2 = 0;
    while (count >>= 1) {
        log2++;
    }
    return log2;
}

int skua_sort(void *items, size_t count, size_t item_bytes, skua_compare_fn compare, void *context)
{
    if (count < 2 || item_bytes == 0) {
        return 0;
    }
    struct skua__order order = {.stop = skua__stop_begin(),
                                .compare = compare,
                                .context = context,
                                .item_bytes = item_bytes,
                                .sort = item_bytes == 4    ? sort_4
                                        : item_bytes == 8  ? sort_8
                                        : item_bytes == 16 ? sort_16
                                        : item_bytes == 64 ? sort_64
                                                           : sort_any};
    struct run all = {
        .order = &order, .base = (char *)items, .count = count, .lives = log2_of(count) + 1};
    (void)order.sort(&all);
    return skua__stop_status(&order.stop);
}
