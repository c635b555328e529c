/* Error sets: the failures that a group has kept, and the causes of a task's failure, as arrays of
   pointers that the caller owns. An error lives in the task that has failed, and the group or the
   record of the task that adopted it holds a reference to that.

   The split is a stable partition in place: both halves are split, and the two blocks in the middle
   change places by a rotation. Rejected: a buffer (a function that sorts errors should not be able
   to fail), and lists that are linked anew (one error can then be in one set only). */
#include "group/group.h"
#include "sched/service.h"

/* Writes the first `capacity` of them; returns how many there are. */
static size_t list_errors(struct skua_task *first, const skua_error *errors[], size_t capacity)
{
    size_t count = 0;
    for (struct skua_task *task = first; task != NULL; task = skua__roomy(task)->next_kept) {
        if (task->status < 0) { /* a join set keeps successes too */
            if (count < capacity) {
                errors[count] = skua__kept_error(task);
                skua__task_mark_seen(task);
            }
            count++;
        }
    }
    return count;
}

static struct skua__group *lock_errors(const skua_group *storage)
{
    struct skua__group *group = (struct skua__group *)(uintptr_t)storage;
    skua__lock(&group->members.scope.lock, SKUA__RANK_SCOPE);
    return group;
}

size_t skua_group_error_count(const skua_group *group)
{
    return skua_group_errors(group, NULL, 0);
}

const skua_error *skua_group_error(const skua_group *storage, size_t index)
{
    const skua_error *error = NULL;
    if (skua__forked()) {
        return NULL;
    }
    struct skua__group *group = lock_errors(storage);
    struct skua_task *task = group->kept.first;
    for (; task != NULL && error == NULL; task = skua__roomy(task)->next_kept) {
        if (task->status < 0 && index-- == 0) {
            error = skua__kept_error(task);
            skua__task_mark_seen(task);
        }
    }
    skua__members_unlock(&group->members);
    return error;
}

size_t skua_group_errors(const skua_group *storage, const skua_error *errors[], size_t capacity)
{
    if (skua__forked()) {
        return 0;
    }
    struct skua__group *group = lock_errors(storage);
    size_t count = list_errors(group->kept.first, errors, capacity);
    skua__members_unlock(&group->members);
    return count;
}

size_t skua_error_causes(const skua_error *error, const skua_error *causes[], size_t capacity)
{
    const struct skua__error_record *record =
        (const struct skua__error_record *)(const void *)error; /* its first member */
    return list_errors(record->causes, causes, capacity);
}

_Static_assert(offsetof(struct skua__error_record, error) == 0, "an error is where its record is");

/* --- kinds ------------------------------------------------------------------------------------ */

enum { ERRNO_MAX = 4095, CLASS_SHIFT = 16, DETAIL_MASK = 0xffff };

int skua_error_class(int code)
{
    return code < -ERRNO_MAX ? -code >> CLASS_SHIFT : 0;
}

int skua_error_detail(int code)
{
    return code < -ERRNO_MAX ? -code & DETAIL_MASK : code;
}

bool skua_error_has_class(const skua_error *error, void *error_class)
{
    return skua_error_class(error->code) == *(const int *)error_class;
}

bool skua_error_has_code(const skua_error *error, void *code)
{
    return error->code == *(const int *)code;
}

/* --- splitting -------------------------------------------------------------------------------- */

static void reverse(const skua_error *errors[], size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        const skua_error *error = errors[i];
        errors[i] = errors[count - 1 - i];
        errors[count - 1 - i] = error;
    }
}

/* The two neighbouring blocks change places. */
static void rotate(const skua_error *errors[], size_t first_count, size_t second_count)
{
    reverse(errors, first_count);
    reverse(errors + first_count, second_count);
    reverse(errors, first_count + second_count);
}

size_t skua_errors_split(const skua_error *errors[], size_t count, skua_error_match match,
                         void *arg)
{
    if (count <= 1) {
        return count == 1 && match(errors[0], arg);
    }
    size_t half = count / 2;
    size_t low = skua_errors_split(errors, half, match, arg);
    size_t high = skua_errors_split(errors + half, count - half, match, arg);
    rotate(errors + low, half - low, high);
    return low + high;
}
