/* words.h: a table of words and how often each was seen. Not shared: every counter has its own. */
#ifndef WORDFREQ_WORDS_H
#define WORDFREQ_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct long_word;
struct word_block;

enum { SHORT_WORD_MAX = 8 };

/* A word of up to eight letters is its own key: its letters, the last one in the lowest byte. Of a
   longer one the key is a hash, and the letters stand elsewhere. */
struct word_entry {
    uint64_t key;
    uint64_t count;                /* 0: a free place in the table */
    const struct long_word *spelt; /* NULL: a short word */
};

/* Open addressing, at most half full. Zeroed storage is an empty table. */
struct words {
    struct word_entry *slots;
    unsigned slots_log2;
    size_t distinct;
    uint64_t total;
    struct word_block *blocks; /* where the letters of the long words are */
};

/* True for what words are made of: the letters of ASCII. */
bool is_letter(char byte);

/* Count the words of a text. Returns 0 or -ENOMEM. */
int words_add_text(struct words *table, const char *text, size_t bytes);

/* Add to `into` those words of `from` that belong to one of `shares` shares. Long words are not
   copied: `from` must outlive `into`. Returns 0 or -ENOMEM. */
int words_merge(struct words *into, const struct words *from, size_t share, size_t shares);

/* Make room for that many distinct words. Returns 0 or -ENOMEM. */
int words_reserve(struct words *table, size_t distinct);

/* The letters of a word, lower case, without a zero byte at the end; short ones are written to
   `letters`. */
const char *word_letters(const struct word_entry *word, char letters[SHORT_WORD_MAX],
                         size_t *length);

/* The `count` most frequent words of several tables (0: all of them), in the order of the report:
   most frequent first, equally frequent ones by the alphabet. *top is the caller's to free. Returns
   0 or -ENOMEM. */
int words_top(const struct words tables[], size_t tables_count, size_t count,
              struct word_entry **top, size_t *top_count);

void words_fini(struct words *table);

#endif
