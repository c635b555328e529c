/* Groups: policies over a set of members.

   A group is a scope with members (sched/member.c has the protocol of their ends) and a policy,
   which is asked at each end, under the lock of the scope.

     (G1) first_failure, winner, kept and is_shut change together, under the lock: so there is one
          first, and whoever comes after it is refused.
     (G2) A member that has failed and is kept belongs to the group, with its last reference
          unless others hold it too; its error is read by the owner without a lock, once no member
          is alive.
     (G3) `start` of a member points into the frame of whoever waits for it to be ready; it is
          cleared under the lock by whoever settles it, or by the waiting one before it goes.
     (G4) Whoever takes from a join set stands in `takers` only while nothing is kept and somebody
          is alive. An end hands the task over, or is kept; the last end lets all go.

   The body runs in the group's scope, so that a cancel of the group reaches it where it stands. The
   close waits hard: members are cancelled by the tree, and their ends end it.

   Rejected: keeping all members until the close (a server's group would grow for ever); a
   spawn that waits for room (every call that may wait has a deadline, and a spawn never does). */
#include "group/group.h"

#include "base/panic.h"
#include "sched/fiber.h"
#include "sched/runtime.h"
#include "sched/worker.h"

/* Someone who waits until a member has said that it is ready. */
struct skua__start {
    struct skua__waiter *waiter; /* NULL while it does not wait */
    bool is_settled;
    int status;
    void *value;
};

static bool is_open(const struct skua__group *group)
{
    return (skua__load(&group->members.scope.flags, relaxed) & SKUA__SCOPE_OPEN) != 0;
}

static void lock(struct skua__group *group)
{
    skua__lock(&group->members.scope.lock, SKUA__RANK_SCOPE);
}

static void unlock(struct skua__group *group)
{
    skua__members_unlock(&group->members);
}

/* Claims the waiter, to be woken later. False: it is on its way out. */
static bool claim_into(struct skua__wake_list *wakes, struct skua__waiter *waiter)
{
    if (!skua__waiter_claim(waiter)) {
        return false;
    }
    if (skua__wake_list_add(wakes, waiter->parker)) {
        skua__wake_list_flush(wakes);
    }
    return true;
}

/* --- what an end means ------------------------------------------------------------------------ */

static void settle_start(struct skua_task *task, int status, void *value,
                         struct skua__wake_list *wakes)
{
    struct skua__start *start = skua__roomy(task)->start;
    skua__roomy(task)->start = NULL;
    start->is_settled = true;
    start->status = status;
    start->value = value;
    if (start->waiter != NULL) {
        claim_into(wakes, start->waiter);
    }
}

/* A member has ended that somebody waits for to be ready: it is that one's failure. */
static void fail_start(struct skua_task *task, struct skua__wake_list *wakes)
{
    skua__task_mark_seen(task);
    settle_start(task, task->status < 0 ? task->status : -EPROTO, NULL, wakes);
}

static void keep(struct skua__group *group, struct skua_task *task, struct skua__member_end *end)
{
    skua__kept_add(&group->kept, task);
    end->is_kept = true;
}

/* A join set has one more to be taken. */
static void deliver(struct skua__group *group, struct skua_task *task, struct skua__member_end *end)
{
    struct skua__link *link;
    while ((link = skua__list_pop_front(&group->takers)) != NULL) {
        struct skua__waiter *taker = SKUA_CONTAINER(link, struct skua__waiter, link);
        taker->item = task; /* before the claim: a full list wakes at once */
        taker->result = 1;
        if (claim_into(&end->wakes, taker)) {
            end->is_kept = true;
            return;
        }
    }
    keep(group, task, end);
}

/* A member that says -ECANCELED though nobody has cancelled it says less than any other failure. */
static void note_failure(struct skua__group *group, int status)
{
    if (group->first_failure == 0 || group->first_failure == -ECANCELED) {
        group->first_failure = status;
    }
}

static void judge_failure(struct skua__group *group, struct skua_task *task,
                          struct skua__member_end *end)
{
    keep(group, task, end);
    if (group->policy == SKUA_SUPERVISE) {
        /* Whoever holds a handle will hear of it from that. */
        end->is_reported = skua__load(&task->refs, relaxed) == 1;
        if (group->kept.count > SKUA_SUPERVISED_ERRORS_MAX) {
            end->dropped = skua__kept_take(&group->kept);
        }
        return;
    }
    note_failure(group, task->status);
    if (group->policy == SKUA_FAIL_FAST && !group->members.is_shut) {
        skua__members_shut(&group->members, task->status, &end->wakes);
    }
}

static void judge_success(struct skua__group *group, const struct skua_task *task,
                          struct skua__member_end *end)
{
    if (group->policy == SKUA_ANY_SUCCESS && group->winner < 0) {
        group->winner = task->status;
        skua__members_shut(&group->members, -ECANCELED, &end->wakes);
    }
}

static void judge(struct skua__group *group, struct skua_task *task, struct skua__member_end *end)
{
    skua_task_status state = skua_task_state(task);
    if (state == SKUA_CANCELLED && skua__scope_is_cancelled(&group->members.scope)) {
        group->was_cut = true;
    }
    if (group->policy == SKUA_JOIN_SET) {
        deliver(group, task, end);
    } else if (state == SKUA_FAILED) {
        judge_failure(group, task, end);
    } else if (state == SKUA_DONE) {
        judge_success(group, task, end);
    }
}

/* No member is left that could end (G4). */
static void dismiss_takers(struct skua__group *group, struct skua__wake_list *wakes)
{
    struct skua__link *link;
    while ((link = skua__list_pop_front(&group->takers)) != NULL) {
        struct skua__waiter *taker = SKUA_CONTAINER(link, struct skua__waiter, link);
        taker->result = 0;
        claim_into(wakes, taker);
    }
}

static void member_ended(struct skua__members *members, struct skua_task *task,
                         struct skua__member_end *end)
{
    struct skua__group *group = SKUA_CONTAINER(members, struct skua__group, members);
    if (SKUA_UNLIKELY(skua__roomy(task)->start != NULL)) {
        fail_start(task, &end->wakes);
    } else {
        judge(group, task, end);
    }
    if (skua__load(&members->alive, relaxed) == 0) {
        dismiss_takers(group, &end->wakes);
    }
}

/* --- opening and spawning --------------------------------------------------------------------- */

void skua_group_open(skua_group *storage, skua_policy policy, skua_time deadline)
{
    struct skua__group *group = skua__group_inside(storage);
    struct skua__fiber *fiber = skua__fiber_self();
    if (skua__forked()) {
        return;
    }
    if (fiber != NULL && !is_open(group)) { /* else the scope has something to say */
        skua__kept_release(&group->kept);
        skua__members_init(&group->members, fiber->runnable.runtime, member_ended);
        group->policy = policy;
        group->result = group->first_failure = 0;
        group->winner = -1;
        group->was_cut = false;
        group->kept = (struct skua__kept){NULL, NULL, 0};
        skua__list_init(&group->takers);
    }
    skua_scope_open(skua_group_scope(storage), deadline);
}

int skua_group_spawn_at(skua_group *group, skua_fn fn, void *arg, const char *site)
{
    const struct skua__birth birth = {.site = site};
    return skua__member_spawn(&skua__group_inside(group)->members, NULL, fn, arg, &birth);
}

/* For those who take its address, and for other languages; see SKUA_SITE. */
#undef skua_group_spawn
int skua_group_spawn(skua_group *group, skua_fn fn, void *arg)
{
    return skua_group_spawn_at(group, fn, arg, NULL);
}

/* Waits until it is settled; then, or when it gives up, nobody knows the frame any more (G3). */
static int wait_for_start(struct skua__group *group, struct skua_task *task,
                          struct skua__start *start, skua_time deadline)
{
    int cause = SKUA__RECHECK;
    while (cause == SKUA__RECHECK) {
        struct skua__wait wait;
        struct skua__waiter waiter;
        lock(group);
        if (start->is_settled) {
            unlock(group);
            return start->status;
        }
        skua__wait_begin(&wait, SKUA__SOFT);
        skua__waiter_init(&waiter, &wait, 0, NULL);
        start->waiter = &waiter;
        unlock(group);
        cause = skua__wait_park(&wait, skua__deadline_ns(deadline));
        if (cause >= 0) {
            return start->status;
        }
        lock(group);
        start->waiter = NULL;
        if (start->is_settled) {
            cause = 0;
        } else if (cause != SKUA__RECHECK) {
            skua__roomy(task)->start = NULL;
        }
        unlock(group);
    }
    return cause == 0 ? start->status : cause;
}

int skua_group_start(skua_group *storage, skua_fn fn, void *arg, void **value, skua_time deadline)
{
    struct skua__group *group = skua__group_inside(storage);
    struct skua__start start = {.waiter = NULL};
    skua_task *task;
    int status = skua__cancel_point();
    if (status < 0 || skua__is_now(deadline)) {
        return status < 0 ? status : -EAGAIN;
    }
    const struct skua__birth birth = {.start = &start};
    status = skua__member_spawn(&group->members, &task, fn, arg, &birth);
    if (status < 0) {
        return status;
    }
    status = wait_for_start(group, task, &start, deadline);
    if (!start.is_settled) {
        skua_task_cancel(task);
    } else if (status == 0 && value != NULL) {
        *value = start.value;
    }
    skua_task_release(task);
    return status;
}

void skua_started(void *value)
{
    struct skua_task *task = skua__forked() ? NULL : skua_self();
    if (task == NULL || !skua__task_is_member(task)) {
        return;
    }
    struct skua__members *members = skua__members_of(task);
    struct skua__wake_list wakes;
    skua__wake_list_init(&wakes);
    skua__lock(&members->scope.lock, SKUA__RANK_SCOPE);
    if (skua__roomy(task)->start != NULL) {
        settle_start(task, 0, value, &wakes);
    }
    skua__members_unlock(members);
    skua__wake_list_flush(&wakes);
}

/* --- waiting for members ---------------------------------------------------------------------- */

/* Under the lock, which it gives back. */
static int wait_in_takers(struct skua__group *group, skua_task **task, skua_time deadline)
{
    struct skua__wait wait;
    struct skua__waiter taker;
    skua__wait_begin(&wait, SKUA__SOFT);
    skua__waiter_init(&taker, &wait, 0, NULL);
    skua__list_push_back(&group->takers, &taker.link);
    unlock(group);
    int cause = skua__wait_park(&wait, skua__deadline_ns(deadline));
    if (cause >= 0) {
        *task = taker.result > 0 ? taker.item : *task;
        return taker.result;
    }
    lock(group);
    if (skua__link_is_linked(&taker.link)) {
        skua__list_remove(&taker.link);
    }
    unlock(group);
    return cause;
}

int skua_group_next(skua_group *storage, skua_task **task, skua_time deadline)
{
    struct skua__group *group = skua__group_inside(storage);
    int result = skua__cancel_point();
    if (result < 0 || group->policy != SKUA_JOIN_SET) {
        return result < 0 ? result : -EINVAL;
    }
    do {
        lock(group);
        struct skua_task *ended = skua__kept_take(&group->kept);
        bool is_over = skua__load(&group->members.alive, relaxed) == 0;
        if (ended != NULL || is_over || skua__is_now(deadline)) {
            unlock(group);
            *task = ended != NULL ? ended : *task;
            return ended != NULL ? 1 : is_over ? 0 : -EAGAIN;
        }
        result = wait_in_takers(group, task, deadline);
    } while (result == SKUA__RECHECK);
    return result;
}

int skua_group_room(skua_group *group, size_t limit, skua_time deadline)
{
    int status = skua__cancel_point();
    if (status < 0 || limit == 0) {
        return status < 0 ? status : -EINVAL;
    }
    return skua__members_wait(&skua__group_inside(group)->members, limit, SKUA__SOFT, deadline);
}

size_t skua_group_count(const skua_group *group)
{
    return skua__load(&((const struct skua__group *)(const void *)group)->members.alive, relaxed);
}

void skua_group_cancel(skua_group *group)
{
    skua_scope_cancel(skua_group_scope(group));
}

skua_scope *skua_group_scope(skua_group *group)
{
    return (skua_scope *)(void *)group;
}

/* --- closing ---------------------------------------------------------------------------------- */

/* What the body returned counts like the end of a member. */
static void judge_body(struct skua__group *group, int status)
{
    struct skua__wake_list wakes;
    skua__wake_list_init(&wakes);
    if (status >= 0) {
        return;
    }
    lock(group);
    bool is_alone = group->policy == SKUA_SUPERVISE || group->policy == SKUA_JOIN_SET;
    if (status == -ECANCELED && skua__scope_is_cancelled(&group->members.scope)) {
        group->was_cut = true;
    } else {
        if (!is_alone) {
            note_failure(group, status);
        }
        if ((is_alone || group->policy == SKUA_FAIL_FAST) && !group->members.is_shut) {
            skua__members_shut(&group->members, status, &wakes);
        }
    }
    unlock(group);
    skua__wake_list_flush(&wakes);
}

/* What the close returns, but for what the scope makes of -ECANCELED. */
static int result_of(const struct skua__group *group, int status)
{
    if (group->winner >= 0) {
        return group->winner;
    }
    if (group->first_failure < 0) {
        return group->first_failure;
    }
    return status >= 0 && group->was_cut ? -ECANCELED : status;
}

static int close_group(struct skua__group *group, int status)
{
    struct skua__fiber *fiber = skua__fiber_self();
    if (fiber == NULL || fiber->scope != &group->members.scope) {
        skua__panic("a group is closed that is not the innermost open scope of this task");
    }
    judge_body(group, status);
    skua__members_close(&group->members);
    group->result = skua_scope_close((skua_scope *)(void *)group, result_of(group, status));
    return group->result;
}

/* The close has told of them: the first by what it returned, the others by being readable. Those of
   a join set were not taken, and nobody has told of them; those of SKUA_SUPERVISE are reported one
   by one. */
static void mark_seen(struct skua__group *group)
{
    if (group->policy == SKUA_JOIN_SET || group->policy == SKUA_SUPERVISE) {
        return;
    }
    for (struct skua_task *task = group->kept.first; task != NULL;
         task = skua__roomy(task)->next_kept) {
        skua__task_mark_seen(task);
    }
}

int skua_group_close(skua_group *storage, int status)
{
    struct skua__group *group = skua__group_inside(storage);
    if (skua__forked()) {
        return status;
    }
    status = close_group(group, status);
    mark_seen(group);
    return status;
}

void skua_group_fini(skua_group *storage)
{
    struct skua__group *group = skua__group_inside(storage);
    if (skua__forked()) {
        return;
    }
    if (is_open(group)) {
        skua_group_cancel(storage);
        (void)close_group(group, 0);
        skua__kept_release(&group->kept);
    }
    if (group->result < 0 && group->policy != SKUA_JOIN_SET && group->policy != SKUA_SUPERVISE) {
        skua__task_adopt_causes(group->result, &group->kept);
    } else {
        skua__kept_release(&group->kept);
    }
    group->kept = (struct skua__kept){NULL, NULL, 0};
}
