/* words.c: the hot path. Half of the words of a text have four letters or fewer, so most of the
   work is to find where a word ends and to find its place in the table; both are kept free of calls
   and of memory that is far away. */
#include "words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct long_word {
    size_t length;
    char letters[];
};

/* Memory for long words: filled from the front, freed as a whole. */
struct word_block {
    struct word_block *next;
    size_t used_bytes;
    size_t room_bytes;
    _Alignas(struct long_word) char memory[];
};

enum { SLOTS_LOG2_MIN = 14, BLOCK_BYTES = 64 * 1024 };

/* The lower-case letter for each byte; zero for what is not a letter. */
static const unsigned char lower_case[256] = {
    ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e', ['f'] = 'f', ['g'] = 'g',
    ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k', ['l'] = 'l', ['m'] = 'm', ['n'] = 'n',
    ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r', ['s'] = 's', ['t'] = 't', ['u'] = 'u',
    ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z', ['A'] = 'a', ['B'] = 'b',
    ['C'] = 'c', ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i',
    ['J'] = 'j', ['K'] = 'k', ['L'] = 'l', ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p',
    ['Q'] = 'q', ['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w',
    ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z',
};

bool is_letter(char byte)
{
    return lower_case[(unsigned char)byte] != 0;
}

/* Spreads keys over all 64 bits (Fibonacci hashing); the upper bits are the good ones. */
static inline uint64_t spread(uint64_t key)
{
    return key * UINT64_C(0x9e3779b97f4a7c15);
}

static inline size_t slot_of(const struct words *table, uint64_t key)
{
    return (size_t)(spread(key) >> (64 - table->slots_log2));
}

static inline size_t slot_after(const struct words *table, size_t slot)
{
    return (slot + 1) & (((size_t)1 << table->slots_log2) - 1);
}

/* Move everything to a table of another size. */
static int words_resize(struct words *table, unsigned slots_log2)
{
    struct words larger = *table;
    larger.slots_log2 = slots_log2;
    larger.slots = calloc((size_t)1 << slots_log2, sizeof(struct word_entry));
    if (!larger.slots) {
        return -ENOMEM;
    }
    const size_t slots = table->slots ? (size_t)1 << table->slots_log2 : 0;
    for (size_t i = 0; i < slots; i++) {
        if (table->slots[i].count > 0) {
            size_t slot = slot_of(&larger, table->slots[i].key);
            while (larger.slots[slot].count > 0) {
                slot = slot_after(&larger, slot);
            }
            larger.slots[slot] = table->slots[i];
        }
    }
    free(table->slots);
    *table = larger;
    return 0;
}

int words_reserve(struct words *table, size_t distinct)
{
    unsigned slots_log2 = table->slots ? table->slots_log2 : SLOTS_LOG2_MIN;
    while (((size_t)1 << slots_log2) / 2 < distinct) {
        slots_log2++;
    }
    if (table->slots && slots_log2 == table->slots_log2) {
        return 0;
    }
    return words_resize(table, slots_log2);
}

/* Called when a word has been added: at least half of the table stays free. */
static inline int words_added(struct words *table)
{
    return ++table->distinct <= ((size_t)1 << table->slots_log2) / 2
               ? 0
               : words_resize(table, table->slots_log2 + 1);
}

/* The word's place in the table: its own, or the free one where it belongs. */
static inline struct word_entry *find_short(const struct words *table, uint64_t key)
{
    size_t slot = slot_of(table, key);
    while (table->slots[slot].count > 0 &&
           (table->slots[slot].key != key || table->slots[slot].spelt)) {
        slot = slot_after(table, slot);
    }
    return &table->slots[slot];
}

/* Eight letters in lower case: the difference to upper case is one bit. */
static inline uint64_t eight_letters(const unsigned char *text)
{
    uint64_t letters;
    memcpy(&letters, text, sizeof(letters));
    return letters | UINT64_C(0x2020202020202020);
}

static bool same_letters(const struct long_word *spelt, const unsigned char *text, size_t length)
{
    if (!spelt || spelt->length != length) {
        return false;
    }
    const unsigned char *letters = (const unsigned char *)spelt->letters;
    for (size_t at = 0; at + 8 <= length; at += 8) {
        if (eight_letters(letters + at) != eight_letters(text + at)) {
            return false;
        }
    }
    return eight_letters(letters + length - 8) == eight_letters(text + length - 8);
}

/* Like find_short(). `text` may be in upper case. */
static struct word_entry *find_long(const struct words *table, uint64_t key,
                                    const unsigned char *text, size_t length)
{
    size_t slot = slot_of(table, key);
    while (
        table->slots[slot].count > 0 &&
        (table->slots[slot].key != key || !same_letters(table->slots[slot].spelt, text, length))) {
        slot = slot_after(table, slot);
    }
    return &table->slots[slot];
}

/* Memory for a long word; NULL when there is none. */
static struct long_word *words_allocate(struct words *table, size_t length)
{
    const size_t unit = _Alignof(struct long_word);
    const size_t bytes = (sizeof(struct long_word) + length + unit - 1) / unit * unit;
    struct word_block *block = table->blocks;
    if (!block || block->room_bytes - block->used_bytes < bytes) {
        const size_t room_bytes = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        block = malloc(sizeof(*block) + room_bytes);
        if (!block) {
            return NULL;
        }
        *block = (struct word_block){.next = table->blocks, .room_bytes = room_bytes};
        table->blocks = block;
    }
    struct long_word *spelt = (struct long_word *)(void *)(block->memory + block->used_bytes);
    block->used_bytes += bytes;
    return spelt;
}

/* The key of a long word. The last eight letters may overlap the ones before. */
static uint64_t hash_letters(const unsigned char *text, size_t length)
{
    uint64_t hash = length;
    for (size_t at = 0; at + 8 <= length; at += 8) {
        hash = spread(hash ^ eight_letters(text + at));
        hash ^= hash >> 32;
    }
    hash = spread(hash ^ eight_letters(text + length - 8));
    return hash ^ hash >> 32;
}

static int add_long(struct words *table, const unsigned char *text, size_t length)
{
    const uint64_t key = hash_letters(text, length);
    struct word_entry *entry = find_long(table, key, text, length);
    if (entry->count > 0) {
        entry->count++;
        return 0;
    }
    struct long_word *spelt = words_allocate(table, length);
    if (!spelt) {
        return -ENOMEM;
    }
    spelt->length = length;
    for (size_t i = 0; i < length; i++) {
        spelt->letters[i] = (char)lower_case[text[i]];
    }
    *entry = (struct word_entry){.key = key, .count = 1, .spelt = spelt};
    return words_added(table);
}

static inline int add_short(struct words *table, uint64_t key)
{
    struct word_entry *entry = find_short(table, key);
    if (entry->count > 0) {
        entry->count++;
        return 0;
    }
    *entry = (struct word_entry){.key = key, .count = 1};
    return words_added(table);
}

int words_add_text(struct words *table, const char *text, size_t bytes)
{
    const unsigned char *at = (const unsigned char *)text;
    const unsigned char *const end = at + bytes;
    int status = words_reserve(table, 1);
    while (status == 0 && at < end) {
        unsigned char letter = lower_case[*at];
        if (letter == 0) {
            at++;
            continue;
        }
        const unsigned char *const start = at;
        uint64_t key = 0;
        do {
            key = key << 8 | letter;
            at++;
        } while (at < end && (letter = lower_case[*at]) != 0);

        const size_t length = (size_t)(at - start);
        status = length > SHORT_WORD_MAX ? add_long(table, start, length) : add_short(table, key);
        table->total++;
    }
    return status;
}

static int merge_word(struct words *into, const struct word_entry *from)
{
    const struct long_word *spelt = from->spelt;
    struct word_entry *entry =
        spelt ? find_long(into, from->key, (const unsigned char *)spelt->letters, spelt->length)
              : find_short(into, from->key);
    into->total += from->count;
    if (entry->count > 0) {
        entry->count += from->count;
        return 0;
    }
    *entry = *from;
    return words_added(into);
}

int words_merge(struct words *into, const struct words *from, size_t share, size_t shares)
{
    const size_t slots = from->slots ? (size_t)1 << from->slots_log2 : 0;
    int status = words_reserve(into, 1);
    for (size_t i = 0; i < slots && status == 0; i++) {
        const struct word_entry *entry = &from->slots[i];
        /* Other bits than those that choose the slot, so that a share fills its table evenly. */
        if (entry->count > 0 && (uint32_t)(spread(entry->key) >> 12) % shares == share) {
            status = merge_word(into, entry);
        }
    }
    return status;
}

const char *word_letters(const struct word_entry *word, char letters[SHORT_WORD_MAX],
                         size_t *length)
{
    if (word->spelt) {
        *length = word->spelt->length;
        return word->spelt->letters;
    }
    size_t count = 0;
    for (int shift = 8 * (SHORT_WORD_MAX - 1); shift >= 0; shift -= 8) {
        const char letter = (char)(word->key >> shift & 0xff);
        if (letter != 0) {
            letters[count++] = letter;
        }
    }
    *length = count;
    return letters;
}

/* Order of the report: < 0 if a comes before b. For qsort(). */
static int compare_words(const void *a_, const void *b_)
{
    const struct word_entry *a = a_;
    const struct word_entry *b = b_;
    if (a->count != b->count) {
        return a->count > b->count ? -1 : 1;
    }
    char a_short[SHORT_WORD_MAX];
    char b_short[SHORT_WORD_MAX];
    size_t a_length;
    size_t b_length;
    const char *a_letters = word_letters(a, a_short, &a_length);
    const char *b_letters = word_letters(b, b_short, &b_length);
    int order = memcmp(a_letters, b_letters, a_length < b_length ? a_length : b_length);
    if (order == 0) {
        order = (a_length > b_length) - (a_length < b_length);
    }
    return order;
}

/* Restore the heap below `at`: each parent comes after its children in the report, so the root is
   the first to be dropped. */
static void sift_down(struct word_entry *heap, size_t count, size_t at)
{
    for (;;) {
        size_t last = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
            if (compare_words(&heap[child], &heap[last]) > 0) {
                last = child;
            }
        }
        if (last == at) {
            return;
        }
        const struct word_entry swapped = heap[at];
        heap[at] = heap[last];
        heap[last] = swapped;
        at = last;
    }
}

/* Keep the word if it is among the first `room` seen so far. */
static void keep_best(struct word_entry *heap, size_t room, size_t *count,
                      const struct word_entry *word)
{
    if (*count < room) {
        heap[(*count)++] = *word;
        if (*count == room) {
            for (size_t at = room / 2; at-- > 0;) {
                sift_down(heap, room, at);
            }
        }
    } else if (compare_words(word, &heap[0]) < 0) {
        heap[0] = *word;
        sift_down(heap, room, 0);
    }
}

int words_top(const struct words tables[], size_t tables_count, size_t count,
              struct word_entry **top, size_t *top_count)
{
    size_t distinct = 0;
    for (size_t i = 0; i < tables_count; i++) {
        distinct += tables[i].distinct;
    }
    const size_t room = count > 0 && count < distinct ? count : distinct;
    struct word_entry *heap = calloc(room + 1, sizeof(struct word_entry));
    if (!heap) {
        return -ENOMEM;
    }
    size_t kept = 0;
    for (size_t i = 0; i < tables_count && room > 0; i++) {
        const size_t slots = tables[i].slots ? (size_t)1 << tables[i].slots_log2 : 0;
        for (size_t slot = 0; slot < slots; slot++) {
            if (tables[i].slots[slot].count > 0) {
                keep_best(heap, room, &kept, &tables[i].slots[slot]);
            }
        }
    }
    qsort(heap, kept, sizeof(struct word_entry), compare_words);
    *top = heap;
    *top_count = kept;
    return 0;
}

void words_fini(struct words *table)
{
    free(table->slots);
    while (table->blocks) {
        struct word_block *block = table->blocks;
        table->blocks = block->next;
        free(block);
    }
    *table = (struct words){0};
}
