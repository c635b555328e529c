/* merge.c: each task makes one table out of its share of the words, as the hash gives them out. It
   reads all tables and writes only its own. */
#include "merge.h"

#include "crew.h"

#include <stdlib.h>

struct merger {
    const struct words *from;
    struct words *into;
    size_t share;
    size_t shares; /* and tables */
};

static int merge_share(void *arg)
{
    struct merger *self = arg;
    size_t distinct = 0;
    for (size_t i = 0; i < self->shares; i++) {
        distinct += self->from[i].distinct / self->shares;
    }
    int status = words_reserve(self->into, distinct);
    for (size_t i = 0; i < self->shares && status == 0; i++) {
        status = words_merge(self->into, &self->from[i], self->share, self->shares);
    }
    return status;
}

int merge_tables(const struct words from[], struct words into[], size_t count)
{
    struct merger *mergers = calloc(count, sizeof(*mergers));
    if (!mergers) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        mergers[i] = (struct merger){.from = from, .into = &into[i], .share = i, .shares = count};
    }
    struct crew merging = {.name = "merger", .fn = merge_share, .count = count};
    int status = crew_start(&merging, mergers, sizeof(struct merger));
    const int joined = crew_join(&merging);
    free(mergers);
    return status < 0 ? status : joined;
}
