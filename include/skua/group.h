/* skua/group.h: groups: tasks that belong together and end together; and map, which runs a function
   over an array in one.

   A group is opened in a task, which is its owner from then on and whose code up to the close is
   the group's body. Members are spawned into it, by the body or by members. Closing returns only
   when every member has ended: no task is left behind by a return, a failure or a cancel.

   A group is a scope as well (skua/scope.h), in which the body and all members run: cancelling it,
   an outer scope, or the owner reaches all of them, and its deadline holds for all of them. It
   lives in the owner's storage, usually its stack, and is closed in reverse order with scopes. */
#ifndef SKUA_GROUP_H
#define SKUA_GROUP_H

#include <skua/scope.h>
#include <skua/task.h>

SKUA_BEGIN_DECLS

/* What the end of a member means for the others, and what closing returns. A member fails by a
   status < 0; one that was cancelled and ends with -ECANCELED has not failed. */
typedef enum skua_policy {
    /* The first failure cancels the body and all members. Closing returns it. */
    SKUA_FAIL_FAST,
    /* All run to their end. Closing returns the first failure; all are kept. */
    SKUA_COLLECT,
    /* The first success cancels the rest. Closing returns its status, which is >= 0; or the first
       failure, if there was no success. */
    SKUA_ANY_SUCCESS,
    /* Members do not concern each other: a failure is reported on standard error when the member
       ends, unless somebody holds a handle of it. Closing returns the body's status. The latest
       SKUA_SUPERVISED_ERRORS_MAX failures are kept. */
    SKUA_SUPERVISE,
    /* Every member that has ended is kept until skua_group_next() takes it. Closing returns the
       body's status. */
    SKUA_JOIN_SET,
} skua_policy;

enum { SKUA_SUPERVISED_ERRORS_MAX = 16 };

typedef struct skua_group {
    uint64_t opaque[40];
} skua_group;

/* Declare a group that closes itself (cancelled, and waiting for its members) when the C block is
   left by return, goto or break while it is open. */
#define SKUA_GROUP(name) skua_group name __attribute__((cleanup(skua_group_fini), unused)) = {{0}}

/* Open `group` (zeroed storage, SKUA_GROUP does that; or one that was closed, whose errors go)
   inside the current scope, with a deadline for all of it or SKUA_FOREVER. Cannot fail and
   allocates nothing. A group that is open already panics.
   Call from: a task. */
void skua_group_open(skua_group *group, skua_policy policy, skua_time deadline);

/* Start fn(arg) as a member. The same as skua_spawn(NULL, fn, arg, &opts) with opts.group, which
   also gives a handle, a name or a copy of the argument. It starts cancelled if an outer scope is.
   Returns 0, -ECANCELED (the group itself was cancelled, its deadline has fired, or a member has
   ended it by its policy), or what skua_spawn() returns. When it fails, fn is not called. A group
   that is not open, or whose close has returned, panics; while it closes, members may spawn.
   Call from: the body, a member, or another task of the runtime which knows that the group stays
   open. Never switches. Cost: a spawn and a lock. */
int skua_group_spawn(skua_group *group, skua_fn fn, void *arg) SKUA_MUST_CHECK;

/* It is a macro, too, which passes on where it stands; see SKUA_SITE. */
#define skua_group_spawn(...) skua_group_spawn_at(__VA_ARGS__, SKUA_SITE)
int skua_group_spawn_at(skua_group *group, skua_fn fn, void *arg, const char *site) SKUA_MUST_CHECK;

/* Start fn(arg) as a member and wait until it has called skua_started(), for servers that must
   listen before others connect. *value, unless `value` is NULL, is what it passed.
   Returns 0; the status (< 0) of a member that ended before, which then does not count as the
   group's failure; -EPROTO if it ended before with a status >= 0; -ETIMEDOUT and -ECANCELED after
   having cancelled the member, which the close waits for; or what skua_group_spawn() returns.
   -EAGAIN (SKUA_NOW): nothing was started.
   Call from: like skua_group_spawn(). May switch. */
int skua_group_start(skua_group *group, skua_fn fn, void *arg, void **value, skua_time deadline)
    SKUA_MUST_CHECK;

/* The calling task says that it is ready. Does nothing if nobody waits for that.
   Call from: a task. Never switches. */
void skua_started(void *value);

/* Take the next member that has ended, in the order of their ends, out of a SKUA_JOIN_SET.
   Returns 1 with an owned reference in *task; 0 when no member is left; -EINVAL with another
   policy; -EAGAIN, -ETIMEDOUT, -ECANCELED.
   Call from: like skua_group_spawn(). May switch. Cancel: nothing is lost. */
int skua_group_next(skua_group *group, skua_task **task, skua_time deadline) SKUA_MUST_CHECK;

/* Wait until fewer than `limit` members are alive: before a spawn, to have at most `limit` of them;
   with limit 1, until all have ended. Of several that wait, one is let go for each end of a member,
   first come, first served. Returns 0, -EINVAL (limit 0), -EAGAIN, -ETIMEDOUT, -ECANCELED.
   Call from: like skua_group_spawn(). May switch. */
int skua_group_room(skua_group *group, size_t limit, skua_time deadline) SKUA_MUST_CHECK;

/* How many members have not ended. Call from anywhere while the group exists. */
size_t skua_group_count(const skua_group *group);

/* Cancel the group on purpose: body and members, none of which can be spawned any more; closing
   then returns 0, or the first failure. Call from anywhere while the group is open. */
void skua_group_cancel(skua_group *group);

/* The group's scope, for all that can be done with scopes but to open and close them: to move its
   deadline, to stop it softly, to ask whether it has expired. */
skua_scope *skua_group_scope(skua_group *group);

/* Wait until all members have ended, and leave the group. `status` is the body's: a failure counts
   as one more, and cancels the members in SKUA_FAIL_FAST and SKUA_SUPERVISE. Outer cancels and
   deadlines reach the members; the wait itself ends only with them.
   Returns what the policy says; where that is neither a failure nor a success of a member:
   -ETIMEDOUT if members or the body were cancelled by the group's own deadline; -ECANCELED if by an
   outer scope; else `status`, where the -ECANCELED of a group that was cancelled on purpose is 0.
   Call from: the task that opened it, as its innermost scope (else it panics). May switch. */
int skua_group_close(skua_group *group, int status) SKUA_MUST_CHECK;

/* Close if still open, after cancelling it; give the errors up: if the close has failed they become
   the causes of the calling task's error, see skua_error_causes(). Does nothing for zeroed storage.
   What SKUA_GROUP runs at the end of the block. May switch if still open. */
void skua_group_fini(skua_group *group);

/* --- errors -----------------------------------------------------------------------------------

   Failures of members are kept, in the order in which they happened, until the group is opened
   again or given up. Having closed the group counts as having seen them. */

/* How many there are, and the one at `index`, or NULL. Looking at one by one takes O(index).
   Call from: the owner; while the group is open, also from the body. */
size_t skua_group_error_count(const skua_group *group);
const skua_error *skua_group_error(const skua_group *group, size_t index);

/* Write them into errors[0..capacity). Returns how many there are, perhaps more. */
size_t skua_group_errors(const skua_group *group, const skua_error *errors[], size_t capacity);

/* The failures of a group's members that made a task fail: of a task that has left a group whose
   close failed, and that has ended with the very code which the close returned. So errors of
   groups inside of groups nest. Writes like skua_group_errors(). They live as long as the error. */
size_t skua_error_causes(const skua_error *error, const skua_error *causes[], size_t capacity);

/* Whether an error is of a kind. */
typedef bool (*skua_error_match)(const skua_error *error, void *arg);

/* Move the errors that match to the front, the others behind them, each in the order they had.
   Returns how many match: errors[0..k) do, errors[k..count) do not; none is lost.
   Call from anywhere. Cost: O(count log count) moves, no allocation. */
size_t skua_errors_split(const skua_error *errors[], size_t count, skua_error_match match,
                         void *arg);

/* Two kinds: errors of SKUA_ERR(class, ...), with arg pointing to an int, the class; and errors
   with one code, with arg pointing to that int. */
bool skua_error_has_class(const skua_error *error, void *error_class);
bool skua_error_has_code(const skua_error *error, void *code);

/* The class and the detail of SKUA_ERR(class, detail); of other codes 0 and the code. */
int skua_error_class(int code) SKUA_MUST_CHECK;
int skua_error_detail(int code) SKUA_MUST_CHECK;

/* --- map -------------------------------------------------------------------------------------- */

/* How to map. Zero everywhere is the default. */
typedef struct skua_map_opts {
    size_t limit;       /* items in flight at most; 0: no limit */
    size_t batch;       /* > 0: so many items, then, when all have ended, a pause, then the next */
    int64_t pause_ns;   /* between batches, not after the last */
    int64_t each_ns;    /* timeout of each item, which then counts as failed with -ETIMEDOUT */
    skua_policy policy; /* SKUA_FAIL_FAST, SKUA_COLLECT or SKUA_ANY_SUCCESS */
    int *statuses;      /* one for each item; -ECANCELED for those that were not run */
    skua_time deadline; /* of all of it */
    const char *name;   /* of the tasks; copied */
} skua_map_opts;

/* Run fn on each of the `count` items of `item_bytes` bytes each, at the same time, and wait until
   all have ended; results go into the items. Items start in order, in tasks of a group of their
   own; one task may run several of them, one after the other, each in a scope of its own. There are
   no more tasks than items wait or run at the same time. A cancel of the caller reaches the items.
   `opts` may be NULL. Returns what closing that group returns: 0, the first failure,
   the first success of SKUA_ANY_SUCCESS, -ETIMEDOUT, -ECANCELED; -EINVAL (fn NULL, another policy,
   a time < 0), -ENOMEM, -EAGAIN, -EPERM (foreign thread), -ESHUTDOWN.
   Call from: a task. May switch. Cost: a spawn for each item that waits, less for others. */
int skua_map(skua_fn fn, void *items, size_t item_bytes, size_t count, const skua_map_opts *opts)
    SKUA_MUST_CHECK;

SKUA_END_DECLS
#endif
