/* merge.h: putting tables together, in parallel. */
#ifndef WORDFREQ_MERGE_H
#define WORDFREQ_MERGE_H

#include "words.h"

/* Merge from[0..count) into the empty tables into[0..count): every word is in one of these, and has
   the sum of its counts. `from` must outlive `into`. Returns 0 or an error. Call from: a task, in a
   shield. May switch. */
int merge_tables(const struct words from[], struct words into[], size_t count);

#endif
