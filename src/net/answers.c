/* The table of answers: chained buckets, and a list in the order of use. */
#include "net/answers.h"

#include "base/mem.h"
#include "base/panic.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { BUCKETS_MIN = 16 };

int skua__answers_init(struct skua__answers *table, size_t count)
{
    table->bucket_count = BUCKETS_MIN;
    while (table->bucket_count < count) {
        table->bucket_count *= 2;
    }
    table->buckets = skua__alloc(table->bucket_count * sizeof(struct skua__answer *));
    skua__list_init(&table->used);
    return table->buckets != NULL ? 0 : -ENOMEM;
}

void skua__answers_fini(struct skua__answers *table)
{
    skua_require(table->count == 0);
    skua__free(table->buckets);
}

/* FNV-1a, without regard to upper and lower case. */
static uint64_t hash_of(const skua_question *question)
{
    uint64_t hash =
        UINT64_C(0xcbf29ce484222325) ^ (uint64_t)(question->family * 2 + question->type);
    const char *const parts[] = {question->host,
                                 question->service != NULL ? question->service : ""};
    for (int i = 0; i < 2; i++) {
        for (const char *at = parts[i]; *at != '\0'; at++) {
            hash = (hash ^ (uint64_t)tolower((unsigned char)*at)) * UINT64_C(0x100000001b3);
        }
        hash = (hash ^ UINT64_C(0xff)) * UINT64_C(0x100000001b3);
    }
    return hash ^ hash >> 32;
}

static bool is_same(const skua_question *left, const skua_question *right)
{
    const char *left_service = left->service != NULL ? left->service : "";
    const char *right_service = right->service != NULL ? right->service : "";
    return left->family == right->family && left->type == right->type &&
           strcasecmp(left->host, right->host) == 0 && strcmp(left_service, right_service) == 0;
}

static struct skua__answer **bucket_of(struct skua__answers *table, uint64_t hash)
{
    return &table->buckets[hash & (table->bucket_count - 1)];
}

struct skua__answer *skua__answers_find(struct skua__answers *table, const skua_question *question)
{
    const uint64_t hash = hash_of(question);
    struct skua__answer *at = *bucket_of(table, hash);
    while (at != NULL && !(at->hash == hash && is_same(&at->question, question))) {
        at = at->next;
    }
    return at;
}

struct skua__answer *skua__answer_create(const skua_question *question)
{
    struct skua__answer *answer = skua__alloc(sizeof *answer);
    if (answer == NULL) {
        return NULL;
    }
    skua_require(strlen(question->host) < sizeof answer->host);
    strcpy(answer->host, question->host);
    answer->question = *question;
    answer->question.host = answer->host;
    if (question->service != NULL) {
        skua_require(strlen(question->service) < sizeof answer->service);
        strcpy(answer->service, question->service);
        answer->question.service = answer->service;
    }
    answer->hash = hash_of(question);
    answer->references = 1;
    skua__list_init(&answer->waiters);
    return answer;
}

void skua__answer_free(struct skua__answer *answer)
{
    skua__free(answer->addresses);
    skua__free(answer);
}

void skua__answers_add(struct skua__answers *table, struct skua__answer *answer)
{
    struct skua__answer **bucket = bucket_of(table, answer->hash);
    answer->next = *bucket;
    *bucket = answer;
    skua__list_push_front(&table->used, &answer->used);
    table->count++;
}

void skua__answers_remove(struct skua__answers *table, struct skua__answer *answer)
{
    struct skua__answer **at = bucket_of(table, answer->hash);
    while (*at != answer) {
        at = &(*at)->next;
    }
    *at = answer->next;
    skua__list_remove(&answer->used);
    table->count--;
}

void skua__answers_touch(struct skua__answers *table, struct skua__answer *answer)
{
    skua__list_remove(&answer->used);
    skua__list_push_front(&table->used, &answer->used);
}

struct skua__answer *skua__answers_oldest(struct skua__answers *table)
{
    struct skua__link *link = table->used.head.prev;
    while (link != &table->used.head &&
           SKUA_CONTAINER(link, struct skua__answer, used)->state != SKUA__ANSWER_THERE) {
        link = link->prev;
    }
    return link == &table->used.head ? NULL : SKUA_CONTAINER(link, struct skua__answer, used);
}
