/* group/group.h: the inside of skua_group. */
#ifndef SKUA_GROUP_GROUP_H
#define SKUA_GROUP_GROUP_H

#include "sched/member.h"

#include <skua/group.h>

struct skua__group {
    struct skua__members members;
    skua_policy policy; /* constant while open */
    int result;         /* of the close */
    /* Under the lock. */
    int first_failure;
    int winner;               /* the status of the first success, >= 0; else -1 */
    bool was_cut;             /* a member was cancelled together with the group */
    struct skua__kept kept;   /* failures; of a join set, all that have ended and were not taken */
    struct skua__list takers; /* who waits for the next end of a join set */
};

_Static_assert(sizeof(struct skua__group) <= sizeof(skua_group), "skua_group is too small");
_Static_assert(_Alignof(struct skua__group) <= _Alignof(skua_group), "skua_group is misaligned");

static inline struct skua__group *skua__group_inside(skua_group *group)
{
    return (struct skua__group *)(void *)group;
}

#endif
