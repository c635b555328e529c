/* net/answers.h: what the resolver knows and is about to know: answers by question, in the order of
   their last use. No locks: they are the resolver's matter. */
#ifndef SKUA_NET_ANSWERS_H
#define SKUA_NET_ANSWERS_H

#include "base/list.h"

#include <skua/resolve.h>

enum { SKUA__HOST_BYTES = 256, SKUA__SERVICE_BYTES = 64 }; /* with the final zeros */

enum skua__answer_state {
    SKUA__ANSWER_RUNNING,
    SKUA__ANSWER_THERE, /* from now on all but the links and references is constant */
};

/* One question and its answer. Referenced by the table, by the lookup, and by each who waits. */
struct skua__answer {
    struct skua__link used;    /* in the table's list; not linked: forgotten */
    struct skua__answer *next; /* in the bucket */
    uint64_t hash;
    size_t references;
    enum skua__answer_state state;
    int status;                /* the number of addresses, or < 0 */
    int64_t until_ns;          /* when it is too old */
    skua_address *addresses;   /* NULL if there are none */
    struct skua__list waiters; /* of skua__waiter, while it is running */
    void *owner;

    skua_question question; /* its strings are these: */
    char host[SKUA__HOST_BYTES];
    char service[SKUA__SERVICE_BYTES];
};

struct skua__answers {
    struct skua__answer **buckets; /* a power of two of them */
    size_t bucket_count;
    struct skua__list used; /* latest first */
    size_t count;
};

/* For about so many. 0 or -ENOMEM. */
int skua__answers_init(struct skua__answers *table, size_t count);
void skua__answers_fini(struct skua__answers *table); /* it has to be empty */

/* The answer to the question, or NULL. */
struct skua__answer *skua__answers_find(struct skua__answers *table, const skua_question *question);

/* A record for the question, in no table yet, with one reference; or NULL. */
struct skua__answer *skua__answer_create(const skua_question *question);
void skua__answer_free(struct skua__answer *answer);

/* In or out of the table; references are not touched. */
void skua__answers_add(struct skua__answers *table, struct skua__answer *answer);
void skua__answers_remove(struct skua__answers *table, struct skua__answer *answer);
void skua__answers_touch(struct skua__answers *table, struct skua__answer *answer);

/* The one that was used least recently of those that are there; or NULL. */
struct skua__answer *skua__answers_oldest(struct skua__answers *table);

#endif
