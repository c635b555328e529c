/* Members: how tasks belong to a scope that is not theirs.

     (M1) A member's root scope stands among the children of the set's scope from before it is
          open until it is done; `alive` counts those. Both are changed under the lock of the
          set's scope.
     (M2) Locks: the set's before the member's, since a canceller walks that way.
     (M3) While a member is alive the set's scope is open, and its chain stands: the owner closes
          it only when it has seen `alive` at 0 under the lock. So a member may walk outward
          without a lock until its own end, and whoever ends needs no other guard of the set's
          memory.
     (M4) The unlock in skua__member_end() is the last access to the set: what remains to be done
          is done to tasks, and to fibers, which stay.
     (M5) Who waits for room is claimed by an end: one for each, and all by the last. Who leaves
          without having been claimed takes nothing with him: the next end looks at all who are
          left, and while anybody waits for less than what is alive there will be one.

   *The owner's frame.* The last member claims the owner under the lock and wakes it after the
   unlock. An owner that comes later takes the lock, so after that unlock, and finds 0. A canceller
   that has the lock is waited for by the close of the scope (S5).

   *A cancel and an end.* The canceller holds the set's lock from the first look to the last. An end
   comes before, and the member is not met; or after, and it was cancelled while it lived.

   *A spawn and a close.* Who spawns while the owner closes is a member itself, so `alive` is not 0
   before it has ended, nor in between. A stranger that spawns without knowing that the set stays
   open finds it closed, and panics, if it finds it at all.

   Rejected: an owner that joins its members one by one (it needs a list of all that have ended, so
   a server's group grows for ever); a count without the lock (the policy, the list and the count
   have to change together: the first failure is one, and refuses whoever comes later). */
#include "sched/member.h"

#include "base/mem.h"
#include "base/panic.h"
#include "sched/fiber.h"
#include "sched/runtime.h"
#include "sched/worker.h"

/* Somebody who waits until fewer than `limit` are alive. */
struct room_waiter {
    struct skua__waiter waiter;
    size_t limit;
};

static uint32_t alive_count(const struct skua__members *members)
{
    return skua__load(&members->alive, relaxed);
}

void skua__members_init(struct skua__members *members, skua_runtime *runtime,
                        void (*ended)(struct skua__members *members, struct skua_task *task,
                                      struct skua__member_end *end))
{
    members->ended = ended;
    members->runtime = runtime;
    members->is_shut = members->is_closed = false;
    skua__store(&members->alive, 0, relaxed);
    skua__list_init(&members->waiters);
}

/* --- becoming a member ------------------------------------------------------------------------ */

int skua__members_lock(struct skua__members *members, const skua_runtime *runtime)
{
    skua__lock(&members->scope.lock, SKUA__RANK_SCOPE);
    uint32_t flags = skua__load(&members->scope.flags, relaxed);
    if ((flags & SKUA__SCOPE_OPEN) == 0 || members->is_closed) {
        skua__panic("a task is spawned into a group that is not open");
    }
    int status = 0;
    if (members->runtime != runtime) {
        status = -EPERM;
    } else if (members->is_shut || (flags & (SKUA__SCOPE_REQUESTED | SKUA__SCOPE_EXPIRED)) != 0) {
        status = -ECANCELED;
    }
    if (status < 0) {
        skua__unlock(&members->scope.lock, SKUA__RANK_SCOPE);
    }
    return status;
}

void skua__members_unlock(struct skua__members *members)
{
    skua__unlock(&members->scope.lock, SKUA__RANK_SCOPE);
}

void skua__members_add(struct skua__members *members, struct skua_task *task,
                       struct skua__start *start)
{
    struct skua__roomy_task *roomy = skua__roomy(task);
    roomy->start = start;
    roomy->next_kept = NULL;
    skua__list_init(&roomy->joiners);
    uint32_t flags = skua__load(&task->scope.flags, relaxed) | SKUA__TASK_MEMBER;
    if (skua__scope_is_cancelled(&members->scope)) {
        flags |= SKUA__SCOPE_CANCELLED;
    }
    skua__store(&task->scope.flags, flags, relaxed);
    task->scope.parent = &members->scope;
    skua__list_push_back(&members->scope.children, &task->scope.sibling);
    skua__store(&members->alive, alive_count(members) + 1, relaxed);
}

/* --- waiting for members ---------------------------------------------------------------------- */

/* An end has made room (M5). */
static void grant_room(struct skua__members *members, struct skua__wake_list *wakes)
{
    uint32_t alive = alive_count(members);
    struct skua__link *next, *head = &members->waiters.head;
    for (struct skua__link *link = head->next; link != head; link = next) {
        struct room_waiter *room = SKUA_CONTAINER(link, struct room_waiter, waiter.link);
        next = link->next;
        if (alive >= room->limit) {
            continue;
        }
        skua__list_remove(link);
        if (skua__waiter_claim(&room->waiter)) {
            if (skua__wake_list_add(wakes, room->waiter.parker)) {
                skua__wake_list_flush(wakes);
            }
            if (alive > 0) {
                return;
            }
        }
    }
}

/* Under the lock, which it gives back. */
static int wait_in_list(struct skua__members *members, size_t limit, enum skua__wait_kind kind,
                        skua_time deadline)
{
    struct skua__wait wait;
    struct room_waiter room = {.limit = limit};
    skua__wait_begin(&wait, kind);
    skua__waiter_init(&room.waiter, &wait, 0, NULL);
    skua__list_push_back(&members->waiters, &room.waiter.link);
    skua__members_unlock(members);
    int cause = skua__wait_park(&wait, skua__deadline_ns(deadline));
    if (cause < 0) {
        skua__lock(&members->scope.lock, SKUA__RANK_SCOPE);
        if (skua__link_is_linked(&room.waiter.link)) {
            skua__list_remove(&room.waiter.link);
        }
        skua__members_unlock(members);
    }
    return cause;
}

int skua__members_wait(struct skua__members *members, size_t limit, enum skua__wait_kind kind,
                       skua_time deadline)
{
    int cause = SKUA__RECHECK;
    while (cause == SKUA__RECHECK) {
        skua__lock(&members->scope.lock, SKUA__RANK_SCOPE);
        if (alive_count(members) < limit || skua__is_now(deadline)) {
            cause = alive_count(members) < limit ? 0 : -EAGAIN;
            skua__members_unlock(members);
        } else {
            cause = wait_in_list(members, limit, kind, deadline);
        }
    }
    return cause;
}

void skua__members_close(struct skua__members *members)
{
    bool is_closed = false;
    while (!is_closed) {
        int status = skua__members_wait(members, 1, SKUA__HARD, SKUA_FOREVER);
        skua_require(status == 0);
        skua__lock(&members->scope.lock, SKUA__RANK_SCOPE);
        is_closed = members->is_closed = alive_count(members) == 0;
        skua__members_unlock(members);
    }
}

void skua__members_shut(struct skua__members *members, int reason, struct skua__wake_list *wakes)
{
    members->is_shut = true;
    skua__scope_cancel_locked(&members->scope, 0, reason, members->runtime, wakes);
}

/* --- the end of a member ---------------------------------------------------------------------- */

/* Wakes all, unless there is one fiber only, which is returned. */
static struct skua__runnable *hand_over(struct skua__wake_list *wakes)
{
    if (SKUA_LIKELY(wakes->count == 1 && !wakes->parkers[0]->is_thread)) {
        return &SKUA_CONTAINER(wakes->parkers[0], struct skua__fiber, parker)->runnable;
    }
    skua__wake_list_flush(wakes);
    return NULL;
}

/* What the set has asked for is done without its lock. */
static void settle(struct skua_task *task, const struct skua__member_end *end, bool has_extra)
{
    if (has_extra) {
        skua__task_report_unseen(task);
        skua__task_mark_seen(task);
        skua_task_release(task);
    }
    skua_task_release(end->dropped);
    if (!end->is_kept) {
        skua_task_release(task);
    }
}

struct skua__runnable *skua__member_end(struct skua_task *task)
{
    struct skua__members *members = skua__members_of(task);
    struct skua__member_end end;
    skua__wake_list_init(&end.wakes);
    end.is_kept = end.is_reported = false;
    end.dropped = NULL;
    skua__lock(&members->scope.lock, SKUA__RANK_SCOPE);
    skua__task_finish(task, &end.wakes);
    skua__list_remove(&task->scope.sibling);
    task->scope.parent = NULL;
    skua__store(&members->alive, alive_count(members) - 1, relaxed);
    members->ended(members, task, &end);
    if (!skua__list_is_empty(&members->waiters)) {
        grant_room(members, &end.wakes);
    }
    bool has_extra = end.is_reported && end.is_kept;
    if (has_extra) {
        skua_task_retain(task);
    }
    /* The set may be gone afterwards (M4). */
    skua__members_unlock(members);
    settle(task, &end, has_extra);
    return hand_over(&end.wakes);
}

/* --- failures --------------------------------------------------------------------------------- */

/* Where there was no memory for a record, it stands in the place of the copied argument, which
   nobody needs any more. */
static struct skua__error_record *record_of(struct skua_task *task)
{
    void *spare = skua__roomy(task)->inline_arg;
    return task->error != NULL ? task->error : spare;
}

void skua__kept_add(struct skua__kept *kept, struct skua_task *task)
{
    skua__roomy(task)->next_kept = NULL;
    if (task->status < 0 && task->error == NULL) {
        *record_of(task) =
            (struct skua__error_record){.error = {.code = task->status,
                                                  .text = "",
                                                  .task_name = skua_task_name(task),
                                                  .task_site = skua_task_site(task)}};
    }
    if (kept->first == NULL) {
        kept->first = task;
    } else {
        skua__roomy(kept->last)->next_kept = task;
    }
    kept->last = task;
    kept->count++;
}

struct skua_task *skua__kept_take(struct skua__kept *kept)
{
    struct skua_task *task = kept->first;
    if (task != NULL) {
        kept->first = skua__roomy(task)->next_kept;
        kept->count--;
    }
    return task;
}

void skua__kept_release(struct skua__kept *kept)
{
    struct skua_task *task;
    while ((task = skua__kept_take(kept)) != NULL) {
        skua_task_release(task);
    }
}

const skua_error *skua__kept_error(struct skua_task *task)
{
    return &record_of(task)->error;
}

void skua__task_adopt_causes(int code, struct skua__kept *causes)
{
    struct skua_task *task = skua_self();
    if (task != NULL && causes->first != NULL && skua__task_set_causes(task, code, causes->first)) {
        *causes = (struct skua__kept){NULL, NULL, 0};
    } else {
        skua__kept_release(causes);
    }
}
