/* base/list.h: an intrusive, circular, doubly linked list. All operations are O(1); a zeroed link
   is "in no list". */
#ifndef SKUA_BASE_LIST_H
#define SKUA_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct skua__link {
    struct skua__link *next, *prev;
};

struct skua__list {
    struct skua__link head;
};

static inline void skua__list_init(struct skua__list *list)
{
    list->head.next = list->head.prev = &list->head;
}

static inline bool skua__list_is_empty(const struct skua__list *list)
{
    return list->head.next == &list->head;
}

static inline bool skua__link_is_linked(const struct skua__link *link)
{
    return link->next != NULL;
}

/* Behind `before`, which is in the list, or its head. */
static inline void skua__list_insert_behind(struct skua__link *before, struct skua__link *link)
{
    link->prev = before;
    link->next = before->next;
    before->next->prev = link;
    before->next = link;
}

static inline void skua__list_push_back(struct skua__list *list, struct skua__link *link)
{
    skua__list_insert_behind(list->head.prev, link);
}

static inline void skua__list_push_front(struct skua__list *list, struct skua__link *link)
{
    skua__list_insert_behind(&list->head, link);
}

static inline void skua__list_remove(struct skua__link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = link->prev = NULL;
}

/* The oldest link, or NULL. */
static inline struct skua__link *skua__list_first(const struct skua__list *list)
{
    return skua__list_is_empty(list) ? NULL : list->head.next;
}

/* Takes the oldest link out, or gives NULL. */
static inline struct skua__link *skua__list_pop_front(struct skua__list *list)
{
    struct skua__link *first = skua__list_first(list);
    if (first != NULL) {
        skua__list_remove(first);
    }
    return first;
}

#endif
